"""Sheets that people upload: the workbook to fill in, what a sheet would change, and taking it."""

import io
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Query, UploadFile
from fastapi.responses import RedirectResponse, Response

from collector import sheets
from collector.pages.door import person_of, reader, writer
from collector.pages.rendering import HEADERS, Reader, page
from collector.parts import Parts, parts_of
from collector.sheets import Preview
from collector.store import Connection, registry, uploads
from collector.store.people import Person
from collector.store.registry import Facility
from contract.catalogue import Cadence
from contract.days import local_day, now
from contract.errors import BadRequestError, BusyError, ConflictError, ForbiddenError, NotFoundError, TooLargeError
from contract.sheets import template

router = APIRouter(include_in_schema=False, prefix="/facilities/{facility}/sheets")
_MOST_EARLIER = 50
# Of a change the first so many are shown at once; all are counted.
_MOST_SHOWN = 400
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_By = Literal["day", "month"]


def _allowed(person: Person, facility: str) -> None:
    """Raises NotFoundError for people of another facility, ForbiddenError for those who only read."""
    if person.facility not in (None, facility):
        raise NotFoundError("không có cơ sở này")
    if person.role not in ("admin", "confirmer"):
        raise ForbiddenError("chỉ người xác nhận của cơ sở và quản trị của Sở gửi được bảng tính")


def _found(connection: Connection, facility: str) -> Facility:
    for one in registry.facilities(connection, [facility]):
        return one
    raise NotFoundError("không có cơ sở này")


def reading_here(facility: str, person: Annotated[Person, Depends(person_of)]) -> Person:
    """Somebody who may upload for this facility, and looks at a page."""
    _allowed(person, facility)
    return person


def writing_here(facility: str, person: Annotated[Person, Depends(writer)]) -> Person:
    """Somebody who may upload for this facility, and sends a form."""
    _allowed(person, facility)
    return person


@router.get("", dependencies=[Depends(reading_here)])
def sheets_page(
    parts: Annotated[Parts, Depends(parts_of)], found: Annotated[Reader, Depends(reader)], facility: str
) -> Response:
    """How to send figures without an agent, and what was sent."""
    return _sheets_page(parts, found, facility)


def _sheets_page(parts: Parts, found: Reader, facility: str, status: int = 200, problem: str | None = None) -> Response:
    with parts.store.read() as connection:
        one = _found(connection, facility)
        elsewhere = sheets.counted_elsewhere(connection, facility, local_day(now()))
        earlier = uploads.accepted(connection, facility, _MOST_EARLIER)
    return page(
        found,
        "sheets.html",
        status,
        facility=one,
        measures=sheets.measures(parts.catalogue, one),
        elsewhere=elsewhere,
        catalogue=parts.catalogue,
        earlier=earlier,
        largest=sheets.LARGEST_BYTES // 1024**2,
        problem=problem,
    )


@router.get("/template.xlsx", dependencies=[Depends(reading_here)])
def template_file(
    parts: Annotated[Parts, Depends(parts_of)],
    facility: str,
    measure: Annotated[list[str] | None, Query(max_length=500)] = None,
    by: _By = "day",
) -> Response:
    """The workbook to fill in, for the measures asked for; all that nobody else counts, if none is."""
    with parts.store.read() as connection:
        allowed = sheets.measures(parts.catalogue, _found(connection, facility))
        elsewhere = sheets.counted_elsewhere(connection, facility, local_day(now()))
    asked = [one for one in allowed if one in (measure or ())] or [one for one in allowed if one not in elsewhere]
    if not asked:
        raise BadRequestError("mọi số đếm của cơ sở này đã có nguồn khác gửi")
    content = io.BytesIO()
    cadences = {one: _cadence(parts.catalogue.measures[one].cadence, by) for one in asked}
    template.write(content, parts.catalogue, cadences, [facility], local_day(now()))
    headers = {**HEADERS, "Content-Disposition": f"attachment; filename*=utf-8''{quote(f'bang-mau-{facility}.xlsx')}"}
    return Response(content.getvalue(), media_type=_XLSX, headers=headers)


def _cadence(own: Cadence, by: _By) -> Cadence:
    return "monthly" if by == "month" and own in ("daily", "working") else own


@router.post("")
def send_sheet(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(reader)],
    person: Annotated[Person, Depends(writing_here)],
    facility: str,
    file: UploadFile | None = None,
) -> Response:
    """Read a sheet and show what it would change; nothing is stored yet."""
    moment = now()
    try:
        if file is None or not file.size:
            raise BadRequestError("hãy chọn một tệp bảng tính có nội dung")
        with parts.store.read() as connection:
            one = _found(connection, facility)
            codes = [code.code for code in registry.codes(connection, facility)]
        content = file.file.read(sheets.LARGEST_BYTES + 1)
        said = sheets.read(one, codes, content, parts.catalogue, person.name, moment)
    except (BadRequestError, TooLargeError, BusyError) as error:
        return _sheets_page(parts, found, facility, error.status, str(error))
    with parts.store.write() as connection:
        kept = uploads.add(connection, said)
    return RedirectResponse(f"/facilities/{quote(facility)}/sheets/{kept}", 303)


@router.get("/{upload}", dependencies=[Depends(reading_here)])
def sheet_page(
    parts: Annotated[Parts, Depends(parts_of)], found: Annotated[Reader, Depends(reader)], facility: str, upload: int
) -> Response:
    """What a sheet would change, or has changed."""
    return _sheet_page(parts, found, facility, upload)


def _sheet_page(
    parts: Parts, found: Reader, facility: str, upload: int, status: int = 200, problem: str | None = None
) -> Response:
    with parts.store.write() as connection:
        one = _found(connection, facility)
        preview = sheets.look(connection, facility, upload, parts.catalogue, now())
    return page(
        found, "sheet.html", status, facility=one, catalogue=parts.catalogue, **_shown(preview), problem=problem
    )


def _shown(preview: Preview) -> dict[str, Any]:
    changes = [one for one in preview.changes if one.refused is None and one.state != "same"]
    refused: dict[tuple[str, str], int] = {}
    for one in preview.changes:
        if one.refused is not None:
            refused[one.measure, one.refused] = refused.get((one.measure, one.refused), 0) + 1
    return {
        "upload": preview.upload,
        "digest": preview.digest,
        "result": preview.upload.result or preview.result,
        "taken": len(preview.taken),
        "measures": len({one.measure for one in preview.taken}),
        "days_count": len({one.day for one in preview.taken}),
        "changes": changes[:_MOST_SHOWN],
        "more": max(0, len(changes) - _MOST_SHOWN),
        "refused": refused,
        "wrong": sum(one.is_left_out for one in preview.upload.remarks),
    }


@router.post("/{upload}")
def take_sheet(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(reader)],
    person: Annotated[Person, Depends(writing_here)],
    facility: str,
    upload: int,
    digest: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Store what was shown."""
    try:
        with parts.store.write() as connection:
            sheets.accept(connection, facility, upload, digest, parts.catalogue, person.name, now())
    except ConflictError as error:
        return _sheet_page(parts, found, facility, upload, error.status, str(error))
    return RedirectResponse(f"/facilities/{quote(facility)}/sheets/{upload}", 303)
