"""The audit: who changed what, when, before and after; and the same as CSV."""

import csv
import io
import json
import re
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from collector.audit import NAMES, WORDS
from collector.pages.admin.entered import day
from collector.pages.admin.rights import admin
from collector.pages.rendering import HEADERS, Reader, page
from collector.parts import Parts, parts_of
from collector.store import people
from collector.store.people import Change, Wanted
from contract.days import LOCAL
from contract.errors import BadRequestError, ConfigError

router = APIRouter(prefix="/admin/audit")
_PAGE = 50
_EMPTY: tuple[object, ...] = (None, [], "")
# Days and moments as they are kept; people read 10:05 21/11/2026.
_ISO = re.compile(r"\b(\d{4})-(\d\d)-(\d\d)(?:T(\d\d:\d\d)[\d:.]*[+]\d\d:\d\d)?\b")
# More lines than this are asked for by days.
_MOST_LINES = 50_000


def wanted(person: str = "", action: str = "", facility: str = "", first: str = "", last: str = "") -> Wanted:
    """The lines asked for. Raises ConfigError for a day that is none."""
    return Wanted(
        facility.strip() or None, person.strip() or None, action or None, day(first, "từ ngày"), day(last, "đến ngày")
    )


@router.get("")
def audit_page(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    person: str = "",
    action: str = "",
    facility: str = "",
    first: str = "",
    last: str = "",
    start: Annotated[int, Query(le=10**9)] = 0,
) -> Response:
    """The newest first; what is not filled in narrows nothing."""
    typed = {"person": person, "action": action, "facility": facility, "first": first, "last": last}
    start, problems, asked = max(start, 0), list[str](), Wanted()
    try:
        asked = wanted(**typed)
    except ConfigError as error:
        problems = error.problems
    with parts.store.read() as connection:
        lines = [] if problems else people.changes(connection, most=_PAGE + 1, skip=start, wanted=asked)
        who, actions = people.noted(connection)
    return page(
        found, "admin_audit.html", 400 if problems else 200, lines=lines[:_PAGE], has_more=len(lines) > _PAGE,
        start=start, size=_PAGE, typed=typed, query=urlencode(typed), who=who, actions=actions, words=WORDS,
        names=NAMES, read=read, problems=problems,
    )  # fmt: skip


def read(text: str | None, is_all: bool) -> list[tuple[str, str]]:
    """What an audit line keeps, as (name, value) pairs for people; `is_all`: with what is empty too."""
    value = None if text is None else json.loads(text)
    if isinstance(value, dict):
        return [(name, _shown(each)) for name, each in value.items() if is_all or each not in _EMPTY]
    return [] if value is None else [("", _shown(value))]


def _shown(value: Any) -> str:
    if value in _EMPTY:
        return "–"
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_shown(each)}" for name, each in value.items())
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return _ISO.sub(lambda one: f"{one[4] + ' ' if one[4] else ''}{one[3]}/{one[2]}/{one[1]}", text)


@router.get(".csv")
def audit_csv(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    person: str = "",
    action: str = "",
    facility: str = "",
    first: str = "",
    last: str = "",
) -> Response:
    """The same lines for Excel in Vietnamese: UTF-8 with its mark, semicolons; at most 50,000."""
    try:
        asked = wanted(person, action, facility, first, last)
    except ConfigError as error:
        raise BadRequestError(str(error)) from None
    with parts.store.read() as connection:
        lines = people.changes(connection, most=_MOST_LINES, wanted=asked)
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow(["lúc", "ai", "việc", "mã việc", "cơ sở", "đối tượng", "trước", "sau"])
    writer.writerows(map(_row, lines))
    headers = {**HEADERS, "Content-Disposition": 'attachment; filename="nhat-ky.csv"'}
    return Response(text.getvalue().encode("utf-8-sig"), media_type="text/csv; charset=utf-8", headers=headers)


def _row(one: Change) -> list[str]:
    action = WORDS[one.action].vi if one.action in WORDS else one.action
    at = f"{one.at.astimezone(LOCAL):%d/%m/%Y %H:%M:%S}"
    cells = [at, one.person, action, one.action, one.facility or "", one.subject, one.before or "", one.after or ""]
    # Excel would calculate what begins so
    return [f"'{cell}" if cell.startswith(("=", "+", "-", "@")) else cell for cell in cells]
