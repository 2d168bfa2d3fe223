"""The audit: who changed what, when, before and after; and the same as CSV."""

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
from collector.reports import csv
from collector.reports.blocks import Cell, Column, Table
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


def filters(person: str = "", action: str = "", facility: str = "", first: str = "", last: str = "") -> dict[str, str]:
    """What an address asks for, as it was typed."""
    return {"person": person, "action": action, "facility": facility, "first": first, "last": last}


def wanted(typed: dict[str, str]) -> Wanted:
    """The lines asked for. Raises ConfigError for a day that is none."""
    return Wanted(
        typed["facility"].strip() or None, typed["person"].strip() or None, typed["action"] or None,
        day(typed["first"], "từ ngày"), day(typed["last"], "đến ngày"),
    )  # fmt: skip


@router.get("")
def audit_page(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    typed: Annotated[dict[str, str], Depends(filters)],
    start: Annotated[int, Query(le=10**9)] = 0,
) -> Response:
    """The newest first; what is not filled in narrows nothing."""
    start, problems, asked = max(start, 0), list[str](), Wanted()
    try:
        asked = wanted(typed)
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
    typed: Annotated[dict[str, str], Depends(filters)],
) -> Response:
    """The same lines for Excel in Vietnamese, at most 50,000."""
    try:
        asked = wanted(typed)
    except ConfigError as error:
        raise BadRequestError(str(error)) from None
    with parts.store.read() as connection:
        lines = people.changes(connection, most=_MOST_LINES, wanted=asked)
    titles = ("lúc", "ai", "việc", "mã việc", "cơ sở", "đối tượng", "trước", "sau")
    table = Table("Nhật ký", [Column(title, 12) for title in titles], [_row(one) for one in lines])
    headers = {**HEADERS, "Content-Disposition": 'attachment; filename="nhat-ky.csv"'}
    return Response(csv.lines(table), media_type="text/csv; charset=utf-8", headers=headers)


def _row(one: Change) -> list[Cell]:
    action = WORDS[one.action].vi if one.action in WORDS else one.action
    at = f"{one.at.astimezone(LOCAL):%d/%m/%Y %H:%M:%S}"
    return [at, one.person, action, one.action, one.facility or "", one.subject, one.before or "", one.after or ""]
