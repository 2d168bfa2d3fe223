"""The calendar of this year and the next: public holidays, the Sở's own days, pauses of facilities. Read only."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from collector.pages.admin.rights import admin
from collector.pages.rendering import Reader, page
from collector.parts import Parts, parts_of
from collector.store import registry
from contract.calendar import Calendar
from contract.days import DayRange, local_day, now

router = APIRouter(prefix="/admin/calendar")


@dataclass(frozen=True, slots=True)
class Entry:
    """Days in a row that are alike. `name` None: worked instead of another day, as the government said."""

    days: DayRange
    name: str | None
    is_off: bool
    is_own: bool
    """The Sở's own file says so."""


@router.get("")
def calendar_page(parts: Annotated[Parts, Depends(parts_of)], found: Annotated[Reader, Depends(admin)]) -> Response:
    """What decides which days have figures to expect."""
    today = local_day(now())
    with parts.store.read() as connection:
        pauses = [one for one in registry.pauses(connection) if one.last_day >= today]
        names = {one.id: one.name for one in registry.facilities(connection)}
    years = [(year, list(entries(parts.yardstick.calendar, year))) for year in (today.year, today.year + 1)]
    return page(
        found, "admin_calendar.html", years=years, pauses=pauses, names=names, today=today,
        file=parts.settings.calendar_file,
    )  # fmt: skip


def entries(calendar: Calendar, year: int) -> Iterator[Entry]:
    """The days of a year that are off though not a weekend's, or worked though they would be off."""
    last: Entry | None = None
    for day in DayRange(date(year, 1, 1), date(year, 12, 31)):
        entry = _entry(calendar, day)
        if last is not None and entry is not None and _joins(last, entry):
            last = Entry(DayRange(last.days.first, day), last.name, last.is_off, last.is_own)
            continue
        if last is not None:
            yield last
        last = entry
    if last is not None:
        yield last


def _entry(calendar: Calendar, day: date) -> Entry | None:
    if day in calendar.work:
        return Entry(DayRange(day, day), calendar.work[day], False, True)
    name = calendar.holiday(day)
    if name is not None:
        return Entry(DayRange(day, day), name, True, day in calendar.off)
    if day.weekday() >= 5 and calendar.is_working(day):
        return Entry(DayRange(day, day), None, False, False)
    return None


def _joins(last: Entry, entry: Entry) -> bool:
    same = (last.name, last.is_off, last.is_own) == (entry.name, entry.is_off, entry.is_own)
    return same and last.days.last.toordinal() + 1 == entry.days.first.toordinal()
