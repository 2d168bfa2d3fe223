"""Official reports: asked for here, made in the background, fetched here while they are kept."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import RedirectResponse, Response

from collector import collation, reports
from collector.pages.door import person_of, reader, writer
from collector.pages.rendering import HEADERS, Reader, page
from collector.parts import Parts, parts_of
from collector.reports import periods
from collector.reports.periods import Period
from collector.store import Connection, jobs, registry
from collector.store.jobs import Job
from collector.store.people import Person
from collector.typography import capitalised
from contract.days import local_day, now
from contract.errors import BadRequestError, BusyError, NotFoundError
from contract.tally import FIRST_DAY

router = APIRouter(include_in_schema=False, prefix="/reports")
MOST_WAITING = 5
"""How many reports one person may wait for at once."""
_MOST_SHOWN = 100
_REFRESH = {"Refresh": "3"}
_DAYS = "days"
_WRONG_DAY = "ngày viết theo dạng ngày/tháng/năm, ví dụ 15/10/2026"


@router.get("")
def reports_page(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(reader)],
    person: Annotated[Person, Depends(person_of)],
    facility: Annotated[str, Query(max_length=64)] = "",
    period: Annotated[str, Query(max_length=30)] = "",
) -> Response:
    """The form, filled in as the address says, and the reports that there are."""
    return _reports_page(parts, found, person, {"facility": facility, "period": period})


def _reports_page(
    parts: Parts,
    found: Reader,
    person: Person,
    entered: dict[str, str],
    status: int = 200,
    problem: str | None = None,
) -> Response:
    moment = now()
    with parts.store.read() as connection:
        facilities = registry.facilities(connection, None if person.facility is None else [person.facility])
        known = jobs.recent(connection, person.facility, _MOST_SHOWN)
    offered = _offered(local_day(moment))
    default = {"facility": "", "period": offered[0][1][1].code, "format": "docx", "first": "", "last": ""}
    return page(
        found,
        "reports.html",
        status,
        facilities=sorted(facilities, key=lambda one: collation.key(one.name)),
        names={one.id: one.name for one in facilities},
        offered=offered,
        formats=reports.FORMATS,
        entered=default | {name: value for name, value in entered.items() if value},
        jobs=[(one, one.shown_state(moment), _name(one)) for one in known],
        kept=parts.settings.reports_kept_days,
        problem=problem,
    )


def _offered(today: date) -> Sequence[tuple[str, Sequence[Period]]]:
    """The periods to choose from, the newest first; those that run too, but none without a day that is over."""
    yesterday = today - timedelta(days=1)

    def back(code: str, most: int) -> list[Period]:
        found = [periods.parse(code)]
        while len(found) < most and found[-1].whole.first.year > FIRST_DAY.year:
            found.append(found[-1].previous())
        return found

    quarter, half = (yesterday.month + 2) // 3, (yesterday.month + 5) // 6
    return [
        ("month", back(f"{yesterday:%Y-%m}", 25)),
        ("quarter", back(f"{yesterday.year}-Q{quarter}", 8)),
        ("half", back(f"{yesterday.year}-H{half}", 4)),
        ("year", back(f"{yesterday.year}", 4)),
    ]


def _name(job: Job) -> str:
    """The period as people read it."""
    return capitalised(periods.named(job.period).name)


@router.post("")
def ask(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(reader)],
    person: Annotated[Person, Depends(writer)],
    period: Annotated[str, Form(max_length=30)] = "",
    first: Annotated[str, Form(max_length=30)] = "",
    last: Annotated[str, Form(max_length=30)] = "",
    facility: Annotated[str, Form(max_length=64)] = "",
    format: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """Have a report made. Raises NotFoundError for a facility that is not the person's."""
    moment = now()
    about = facility or person.facility
    if person.facility not in (None, about):
        raise NotFoundError("không có cơ sở này")
    entered = {"facility": facility, "period": period, "format": format, "first": first, "last": last}
    try:
        chosen = _chosen(period, first, last)
        chosen.days(local_day(moment))
        if format not in reports.FORMATS:
            raise BadRequestError("hãy chọn dạng tệp")
        with parts.store.write() as connection:
            _known(connection, about)
            if jobs.unfinished(connection, person.name) >= MOST_WAITING:
                raise BusyError(f"anh/chị đang chờ {MOST_WAITING} báo cáo: hãy đợi một báo cáo lập xong")
            job = jobs.add(connection, about, chosen.code, format, person.name, moment)
    except (BadRequestError, BusyError) as error:
        return _reports_page(parts, found, person, entered, error.status, str(error))
    return RedirectResponse(f"/reports/{job}", 303)


def _known(connection: Connection, facility: str | None) -> None:
    if facility is not None and not registry.facilities(connection, [facility]):
        raise NotFoundError("không có cơ sở này")


def _chosen(period: str, first: str, last: str) -> Period:
    """Raises BadRequestError."""
    if period != _DAYS:
        return periods.parse(period)
    try:
        days = [datetime.strptime(one.strip(), "%d/%m/%Y").date() for one in (first, last)]  # noqa: DTZ007
    except ValueError:
        raise BadRequestError(_WRONG_DAY) from None
    return periods.between(*days)


@router.get("/{job}")
def report_page(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(reader)],
    person: Annotated[Person, Depends(person_of)],
    job: int,
) -> Response:
    """How far a report is; looks again by itself while it is not done."""
    moment = now()
    with parts.store.read() as connection:
        one = _own(connection, person, job)
        about = registry.facilities(connection, [one.facility]) if one.facility else []
    state = one.shown_state(moment)
    answer = page(
        found,
        "report.html",
        job=one,
        state=state,
        period=_name(one),
        about=about[0] if about else None,
        minutes=parts.settings.report_minutes,
    )
    if state in ("waiting", "running"):
        answer.headers.update(_REFRESH)
    return answer


@router.get("/{job}/file")
def report_file(
    parts: Annotated[Parts, Depends(parts_of)], person: Annotated[Person, Depends(person_of)], job: int
) -> Response:
    """The report."""
    with parts.store.read() as connection:
        one = _own(connection, person, job)
        content = jobs.content(connection, job)
    if content is None or one.file_name is None:
        raise NotFoundError("báo cáo này chưa lập xong")
    headers = {**HEADERS, "Content-Disposition": f"attachment; filename*=utf-8''{quote(one.file_name)}"}
    return Response(content, media_type=reports.MEDIA_TYPES[one.format], headers=headers)


def _own(connection: Connection, person: Person, job: int) -> Job:
    """Raises NotFoundError, also for a report that is not about the person's facility."""
    found = jobs.get(connection, job) if job < 2**31 else None
    if found is None or (person.facility is not None and found.facility != person.facility):
        raise NotFoundError("không có báo cáo này; báo cáo đã lập chỉ được giữ một thời gian")
    return found
