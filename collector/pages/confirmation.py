"""A facility's month: its figures to confirm or dispute, what has changed since, who has signed; and its sheet."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from collector import confirm, reports
from collector.confirm import Asked, Decision
from collector.pages.door import reader, writer
from collector.pages.rendering import Reader, page
from collector.parts import Parts, parts_of
from collector.reports import confirmation as sheets
from collector.statements import Statement, may_sign, statement
from collector.store.people import Person
from collector.versions import Change, Figure, Version, changes
from contract.days import now
from contract.errors import BadRequestError, ConflictError
from contract.verdict import Verdict

router = APIRouter(include_in_schema=False)
RIGHT, WRONG = "right", "wrong"
NOT_SAID = "hãy chọn “Đúng” hoặc “Chưa đúng”"
NO_REASON = "hãy ghi lý do vì sao số này chưa đúng"
REASON_BUT_RIGHT = "đã có lý do: hãy chọn “Chưa đúng”, hoặc xóa lý do"
NOTHING_WRONG = "chưa có số nào được đánh dấu “Chưa đúng”; nếu tất cả đều đúng thì bấm “Xác nhận số liệu”"
SOME_WRONG = "số này được đánh dấu “Chưa đúng”: hãy bấm “Gửi ý kiến”, hoặc đổi lại thành “Đúng”"
LOOK_AGAIN = "xin xem lại những chỗ được nêu dưới đây"
CHANGED = "số liệu vừa thay đổi trong lúc anh/chị xem: xin xem lại các số được đánh dấu rồi ký"


@dataclass(frozen=True, slots=True)
class Entered:
    """What a person has filled in. `answers`: indicator → RIGHT or WRONG; `reasons`: as typed."""

    answers: Mapping[str, str]
    reasons: Mapping[str, str]
    seen: Version | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """An indicator on the page. `moved`: how it has changed while the person was looking."""

    code: str
    figure: Figure
    before: Figure | None
    verdict: Verdict
    answer: str
    reason: str
    moved: Change | None
    problem: str | None


_NOTHING = Entered({}, {})


@router.get("/facilities/{facility}/confirmations/{period}")
def month_page(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(reader)],
    facility: str,
    period: str,
    done: Literal["confirmed", "first", "disputed", ""] = "",
) -> Response:
    """The month. Raises NotFoundError, also for a facility that is not the reader's; BadRequestError (not over)."""
    assert found.session is not None
    one, can_sign = _look(parts, found.session.person, facility, period, now())
    return _shown(parts, found, one, can_sign, _NOTHING, done=done)


@router.post("/facilities/{facility}/confirmations/{period}")
async def decide(
    request: Request,
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(reader)],
    person: Annotated[Person, Depends(writer)],
    facility: str,
    period: str,
    decision: Annotated[Decision, Form()],
) -> Response:
    """Confirm or dispute what was shown; what cannot be taken is shown again as it was filled in."""
    fields = {name: text for name, text in (await request.form()).items() if isinstance(text, str)}
    return await run_in_threadpool(_decide, parts, found, person, facility, period, decision, fields)


def _decide(
    parts: Parts,
    found: Reader,
    person: Person,
    facility: str,
    period: str,
    decision: Decision,
    fields: Mapping[str, str],
) -> Response:
    moment = now()
    one, can_sign = _look(parts, person, facility, period, moment)
    entered = _entered(one, fields)
    problems = _problems(one, entered, decision)
    if problems:
        return _shown(parts, found, one, can_sign, entered, 400, LOOK_AGAIN, problems)
    reasons = {code: entered.reasons[code] for code, answer in entered.answers.items() if answer == WRONG}
    asked = Asked(facility=facility, period=period, digest=fields.get("digest", ""), decision=decision, reasons=reasons)
    try:
        month, _ = confirm.sign(parts.store, parts.yardstick, parts.settings.confirmation, person, asked, moment)
    except (ConflictError, BadRequestError) as error:
        one, can_sign = _look(parts, person, facility, period, moment)
        is_stale = one.month.state != "confirmed" and asked.digest != one.now.digest
        said = CHANGED if is_stale else str(error)
        return _shown(parts, found, one, can_sign, entered, error.status, said)
    done = "first" if decision == "confirm" and month.waiting_for_second else month.state
    return RedirectResponse(f"/facilities/{facility}/confirmations/{period}?done={done}", 303)


@router.get("/facilities/{facility}/confirmations/{period}/sheet.{format}")
def sheet(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(reader)],
    facility: str,
    period: str,
    format: Literal["pdf", "docx"],
) -> Response:
    """The sheet for the hospital's own signing system. Raises NotFoundError, BadRequestError."""
    assert found.session is not None
    moment = now()
    one, _ = _look(parts, found.session.person, facility, period, moment)
    report = sheets.sheet(one, parts.catalogue, parts.settings.report, moment)
    headers = {
        "Content-Disposition": f'attachment; filename="{reports.file_name(report, format)}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(reports.write(report, format), media_type=reports.MEDIA_TYPES[format], headers=headers)


def _look(parts: Parts, person: Person, facility: str, period: str, moment: datetime) -> tuple[Statement, bool]:
    """The statement, and whether this person can decide on it now."""
    confirm.may_see(person, facility)
    with parts.store.read() as connection:
        one = statement(connection, parts.yardstick, parts.settings.confirmation, facility, period, moment)
        return one, may_sign(connection, person, one, moment)


def month_name(period: str) -> str:
    """`10/2026`, in every language."""
    return f"{period[5:]}/{period[:4]}"


# --- what was filled in


def _entered(one: Statement, fields: Mapping[str, str]) -> Entered:
    answers = {code: fields.get(f"answer-{code}", "") for code in one.now.figures}
    reasons = {code: fields.get(f"reason-{code}", "").strip() for code in one.now.figures}
    return Entered(
        {code: answer for code, answer in answers.items() if answer in (RIGHT, WRONG)},
        {code: reason for code, reason in reasons.items() if reason},
        _seen(fields),
    )


def _seen(fields: Mapping[str, str]) -> Version | None:
    """The version that the person was looking at; None when the form does not hold it whole."""
    found = Version(fields.get("figures", ""))
    try:
        return found if found.digest == fields.get("digest") and found.figures else None
    except (ValidationError, json.JSONDecodeError, AttributeError, TypeError):
        return None


def _problems(one: Statement, entered: Entered, decision: Decision) -> dict[str, str]:
    """Indicator → what is wrong with what was said of it; "" for the whole form."""
    problems = {}
    for code in one.now.figures:
        answer, reason = entered.answers.get(code), entered.reasons.get(code)
        if answer is None and (decision == "confirm" or reason):
            problems[code] = NOT_SAID
        elif answer == RIGHT and reason:
            problems[code] = REASON_BUT_RIGHT
        elif answer == WRONG and decision == "confirm":
            problems[code] = SOME_WRONG
        elif answer == WRONG and not reason:
            problems[code] = NO_REASON
    if decision == "dispute" and not problems and WRONG not in entered.answers.values():
        problems[""] = NOTHING_WRONG
    return problems


# --- the page


def _shown(
    parts: Parts,
    found: Reader,
    one: Statement,
    can_sign: bool,
    entered: Entered,
    status: int = 200,
    problem: str | None = None,
    problems: Mapping[str, str] | None = None,
    done: str = "",
) -> Response:
    assert found.session is not None
    can_sign &= bool(one.now.figures)
    moved = {each.indicator: each for each in changes(entered.seen, one.now)} if entered.seen else {}
    is_first = one.month.waiting_for_second == found.session.person.name
    return page(
        found,
        "confirm.html",
        status,
        one=one,
        month=month_name(one.month.period),
        short=sheets.short,
        state=confirm.STATES[one.month.state],
        rows=_rows(parts, one, entered, moved, problems or {}),
        left=one.month.days_left(now()),
        can_sign=can_sign,
        can_confirm=can_sign and not is_first,
        needs_two=parts.settings.confirmation.confirm_by == 2,
        reopening=[each for each in one.month.changes if each.reopens],
        smaller=[each for each in one.month.changes if not each.reopens],
        catalogue=parts.catalogue,
        verdicts={verdict.code: verdict for verdict in Verdict},
        longest=confirm.LONGEST_REASON,
        problem=problem,
        problems=problems or {},
        done=done,
    )


def _rows(
    parts: Parts, one: Statement, entered: Entered, moved: Mapping[str, Change], problems: Mapping[str, str]
) -> Sequence[Row]:
    """In the catalogue's order; an answer on a figure that has changed meanwhile has to be given again."""
    before = one.before.figures if one.before else {}
    return [
        Row(
            code,
            figure,
            before.get(code),
            Verdict[figure.verdict.upper()],
            "" if code in moved else entered.answers.get(code, ""),
            entered.reasons.get(code, ""),
            moved.get(code),
            problems.get(code),
        )
        for code in parts.catalogue.indicators
        if (figure := one.shown.figures.get(code)) is not None
    ]
