"""Months to confirm: for the Sở all facilities of a month; for a facility its own months, and its deputies."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import RedirectResponse, Response

from collector import collation, confirm, confirmations, deputies, reports
from collector.confirm import Month
from collector.pages.confirmation import month_name
from collector.pages.door import reader, writer
from collector.pages.rendering import Reader, page
from collector.parts import Parts, parts_of
from collector.reports import csv
from collector.reports.blocks import Column, Table
from collector.reports.confirmation import short
from collector.store import deputies as stored_deputies
from collector.store import people, registry
from collector.store.people import Person
from collector.store.registry import Facility
from collector.typography import clean
from contract.days import LOCAL, local_day, now
from contract.errors import BadRequestError, NotFoundError

router = APIRouter(include_in_schema=False)
Filter = Literal["", "overdue", "reopened", "open", "disputed", "confirmed"]
_MONTHS_SHOWN = 12
_MONTHS_OFFERED = 24
_COLUMNS = tuple(
    Column(title, 10)
    for title in (
        *("Tháng", "Mã cơ sở", "Cơ sở", "Địa bàn", "Trạng thái", "Quá hạn", "Hạn"),
        *("Người ký", "Thời điểm ký", "Mã số liệu", "Số kết quả đã thay đổi"),
    )
)
NO_DAY = "ngày phải viết theo dạng 31/12/2026"


@dataclass(frozen=True, slots=True)
class Line:
    """A facility and its month. `who`: the names of those whose signatures settled it, or who wait for a second."""

    facility: Facility
    month: Month
    is_overdue: bool
    who: Sequence[str]
    at: datetime | None

    @property
    def reopening(self) -> int:
        """How many results have changed since they were signed."""
        return sum(one.reopens for one in self.month.changes) if self.month.state == "reopened" else 0


@router.get("/confirmations")
def confirmations_page(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(reader)],
    month: Annotated[str, Query(max_length=7)] = "",
    state: Filter = "",
    area: Annotated[str, Query(max_length=200)] = "",
    facility: Annotated[str, Query(max_length=64)] = "",
    before: Annotated[str, Query(max_length=7)] = "",
    done: Literal["named", "ended", ""] = "",
) -> Response:
    """The list that is the reader's. Raises NotFoundError, BadRequestError (no month, or not over)."""
    assert found.session is not None
    person, moment = found.session.person, now()
    if person.facility is not None or facility:
        return _own(parts, found, facility or str(person.facility), before, done=done)
    period = month or confirm.closed(moment)[-1]
    lines = _lines(parts, period, moment)
    shown = [one for one in lines if _passes(one, state) and area in ("", one.facility.area)]
    return page(
        found,
        "confirmations.html",
        period=period,
        month=month_name(period),
        lines=shown,
        counts=Counter(one.month.state for one in lines),
        overdue=sum(one.is_overdue for one in lines),
        total=len(lines),
        due=confirm.due(period, parts.settings.confirmation.due_day),
        left=(local_day(confirm.due(period, parts.settings.confirmation.due_day)) - local_day(moment)).days,
        months=_offered(period, moment),
        areas=sorted({one.facility.area for one in lines} - {""}, key=collation.key),
        state=state,
        area=area,
        states=confirm.STATES,
        month_name=month_name,
    )


@router.get("/confirmations.csv")
def confirmations_csv(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(reader)],
    month: Annotated[str, Query(max_length=7)] = "",
    state: Filter = "",
    area: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """What the list shows, as a file: of a facility's reader only their own. Raises BadRequestError."""
    assert found.session is not None
    own, moment = found.session.person.facility, now()
    period = month or confirm.closed(moment)[-1]
    lines = [
        one
        for one in _lines(parts, period, moment)
        if own in (None, one.facility.id) and _passes(one, state) and area in ("", one.facility.area)
    ]
    content = csv.lines(Table("Xác nhận", _COLUMNS, [_cells(one) for one in lines]))
    headers = {
        "Content-Disposition": f'attachment; filename="xac-nhan-{period}.csv"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(content, media_type=reports.MEDIA_TYPES["csv"], headers=headers)


@router.post("/confirmations/deputies")
def name_deputy(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(reader)],
    person: Annotated[Person, Depends(writer)],
    facility: Annotated[str, Form(max_length=64)] = "",
    who: Annotated[str, Form(max_length=200)] = "",
    first: Annotated[str, Form(max_length=20)] = "",
    last: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    """Name who signs in the confirmer's place on some days."""
    try:
        deputies.name(parts.store, person, facility, who, (_day(first), _day(last)), now())
    except BadRequestError as error:
        entered = {"who": who, "first": first, "last": last}
        return _own(parts, found, facility, "", 400, str(error), entered)
    return RedirectResponse(f"/confirmations?facility={facility}&done=named#deputies", 303)


@router.post("/confirmations/deputies/{number}/end")
def end_deputy(
    parts: Annotated[Parts, Depends(parts_of)],
    person: Annotated[Person, Depends(writer)],
    number: int,
    facility: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """From now on the deputy signs no longer."""
    deputies.end(parts.store, person, facility, number, now())
    return RedirectResponse(f"/confirmations?facility={facility}&done=ended#deputies", 303)


# --- a month of the province


def _lines(parts: Parts, period: str, moment: datetime) -> list[Line]:
    """Overdue first, then by what is left to do, then by name."""
    found = parts.confirmations.of_all(period, moment)
    with parts.store.read() as connection:
        names = people.shown(connection, [one.person for _, month in found for one in month.signatures])
    lines = [_line(facility, month, names, moment) for facility, month in found]
    order = {state: place for place, state in enumerate(confirm.STATES)}
    return sorted(
        lines,
        key=lambda one: (
            not one.is_overdue,
            order[one.month.state],
            collation.key(one.facility.name),
            one.facility.id,
        ),
    )


def _line(facility: Facility, month: Month, names: dict[str, str], moment: datetime) -> Line:
    signed = month.settled or month.signatures[-1:]
    who = [names.get(one.person, one.person) for one in signed]
    return Line(facility, month, month.is_overdue(moment), who, signed[-1].at if signed else None)


def _passes(one: Line, state: Filter) -> bool:
    if state == "overdue":
        return one.is_overdue
    return state in ("", one.month.state)


def _offered(period: str, moment: datetime) -> list[str]:
    """The months to choose from, the newest first; the one that is shown among them."""
    newest = confirm.closed(moment)[-1]
    offered, day = [newest], confirm.days_of(newest).first
    for _ in range(_MONTHS_OFFERED - 1):
        day = (day - timedelta(days=1)).replace(day=1)
        offered.append(f"{day:%Y-%m}")
    return offered if period in offered else [*offered, period]


def _cells(one: Line) -> list[str | int | date | None]:
    month = one.month
    return [
        month.period,
        one.facility.id,
        clean(one.facility.name),
        clean(one.facility.area),
        confirm.STATES[month.state].vi,
        "Có" if one.is_overdue else "",
        None if month.due is None else local_day(month.due),
        clean(", ".join(one.who)),
        None if one.at is None else f"{one.at.astimezone(LOCAL):%H:%M %d/%m/%Y}",
        short(month.settled[-1].digest) if month.settled else "",
        one.reopening,
    ]


# --- the months of a facility


def _own(
    parts: Parts,
    found: Reader,
    facility: str,
    before: str,
    status: int = 200,
    problem: str | None = None,
    entered: dict[str, str] | None = None,
    done: str = "",
) -> Response:
    assert found.session is not None
    person, moment = found.session.person, now()
    confirm.may_see(person, facility)
    rules, newest = parts.settings.confirmation, f"{local_day(moment):%Y-%m}"
    with parts.store.read() as connection:
        place = next(iter(registry.facilities(connection, [facility])), None)
        if place is None:
            raise NotFoundError("không có cơ sở này")
        months = confirmations.of_facility(
            connection, parts.yardstick, rules, place, min(before or newest, newest), _MONTHS_SHOWN + 1
        )
        names = people.shown(connection, [one.person for month in months for one in month.signatures])
        in_force = deputies.in_force(stored_deputies.of(connection, [facility]), local_day(moment))
        named_by = people.shown(connection, [one.named_by for one in in_force])
        can_name = deputies.may_name(person, facility)
        candidates = deputies.candidates(connection, facility) if can_name else []
    lines = [_line(place, month, names, moment) for month in months[:_MONTHS_SHOWN]]
    return page(
        found,
        "confirmations_own.html",
        status,
        facility=place,
        lines=lines,
        left={one.month.period: one.month.days_left(moment) for one in lines},
        waiting=[one for one in lines if one.month.state in ("open", "reopened") and one.month.due is not None],
        older=months[_MONTHS_SHOWN - 1].period if len(months) > _MONTHS_SHOWN else None,
        states=confirm.STATES,
        month_name=month_name,
        deputies=in_force,
        named_by=named_by,
        candidates=candidates,
        can_name=can_name,
        today=local_day(moment),
        problem=problem,
        entered=entered or {"who": "", "first": "", "last": ""},
        done=done,
    )


def _day(text: str) -> date:
    """A day as browsers send it, or as people type it where they do not know date fields. Raises BadRequestError."""
    for form in ("%Y-%m-%d", "%d/%m/%Y"):
        try:
            return datetime.strptime(text.strip(), form).replace(tzinfo=LOCAL).date()
        except ValueError:
            continue
    raise BadRequestError(NO_DAY)
