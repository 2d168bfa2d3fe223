"""The windows over which a standing is taken, and the days expected of a measure (architecture.md, "Windows")."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import Literal, get_args

from collector.store.registry import Facility, Pause
from contract import daybits
from contract.calendar import Calendar
from contract.catalogue import Cadence
from contract.days import DayRange

CADENCES: tuple[Cadence, ...] = get_args(Cadence)
"""From the shortest to the longest."""
Window = Literal["today", "7d", "30d", "month", "quarter", "year"]
WINDOWS: tuple[Window, ...] = get_args(Window)
_PERIOD_MONTHS = {"monthly": 1, "quarterly": 3, "yearly": 12}
# A measure of a longer cadence that is later than this after its period's end has no data for now.
_GRACE_DAYS = 15


@lru_cache(maxsize=100)
def window(name: str, today: date) -> DayRange:
    """`today` is the running day; the others end yesterday, calendar periods being those that contain yesterday."""
    yesterday = today - timedelta(days=1)
    match name:
        case "today":
            return DayRange(today, today)
        case "7d" | "30d":
            return DayRange.ending(yesterday, int(name[:-1]))
        case "month" | "quarter" | "year":
            cadence: Cadence = {"month": "monthly", "quarter": "quarterly", "year": "yearly"}[name]  # type: ignore[assignment]
            return DayRange(period(cadence, yesterday).first, yesterday)
        case _:
            raise ValueError(f"no such window: {name}")


def is_long(cadence: Cadence) -> bool:
    """Whether every window is replaced by the newest period that has data."""
    return cadence in _PERIOD_MONTHS


def period(cadence: Cadence, day: date) -> DayRange:
    """The calendar month, quarter or year of `day`."""
    months = _PERIOD_MONTHS[cadence]
    first_month = (day.month - 1) // months * months + 1
    first = date(day.year, first_month, 1)
    after = first_month + months
    following = date(day.year + (after > 12), (after - 1) % 12 + 1, 1)
    return DayRange(first, following - timedelta(days=1))


def recent_periods(cadence: Cadence, days: Iterable[date], today: date) -> list[DayRange]:
    """The periods, running or over, in which one of `days` lies, newest first; not those that ended too long ago."""
    found = {period(cadence, date(year, month, 1)) for year, month in {(d.year, d.month) for d in days if d <= today}}
    recent = (one for one in found if today <= one.last + timedelta(days=len(one) + _GRACE_DAYS))
    return sorted(recent, key=lambda one: one.first, reverse=True)


def expected(cadence: Cadence, facility: Facility, pauses: Sequence[Pause], days: DayRange, calendar: Calendar) -> int:
    """The days (as bits) for which a tally is expected: all, or working days; none while closed or paused."""
    found = calendar.working(days) if cadence == "working" else daybits.span(days)
    if facility.active_from is not None:
        found &= daybits.since(facility.active_from)
    if facility.active_to is not None:
        found &= daybits.until(facility.active_to)
    for one in pauses:
        found &= ~daybits.span(DayRange(one.first_day, one.last_day))
    return found
