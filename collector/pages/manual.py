"""Manual targets: where each stands, by whose word, and the form for a new figure. For people of the Sở."""

import re
from collections.abc import Sequence
from itertools import groupby
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Query, UploadFile
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from collector import evidence, manual
from collector.manual import ManualState, NewFigure
from collector.pages.door import person_of, reader, writer
from collector.pages.rendering import HEADERS, Reader, page
from collector.parts import Parts, parts_of
from collector.store import evidence as files
from collector.store import manual as stored
from collector.store import registry
from collector.store.people import Person
from contract.days import local_day, now
from contract.errors import BadRequestError, ForbiddenError, NotFoundError, TooLargeError

router = APIRouter(include_in_schema=False)
_DAY = re.compile(r"(\d{1,2})\s*[/.-]\s*(\d{1,2})\s*[/.-]\s*(\d{4})")
_WRONG = {
    "value": "con số viết bằng chữ số, ví dụ 20 hoặc 20,5, không kèm dấu %",
    "day": "ngày viết theo dạng ngày/tháng/năm, ví dụ 20/11/2026",
    "evidence": "hãy ghi minh chứng: văn bản, biên bản, nơi lưu (không quá 2.000 ký tự)",
}


def of_department(person: Annotated[Person, Depends(person_of)]) -> Person:
    """Somebody of the Sở. Raises NotFoundError for people of a facility."""
    if person.facility is not None:
        raise NotFoundError("không có trang này")
    return person


def entering(_: Annotated[Person, Depends(of_department)], person: Annotated[Person, Depends(writer)]) -> Person:
    """Who enters figures. Raises ForbiddenError for those who only read."""
    if person.role != "admin":
        raise ForbiddenError("chỉ quản trị của Sở nhập được số liệu")
    return person


@router.get("/manual", dependencies=[Depends(of_department)])
def manual_page(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(reader)],
    plan: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """Where the manual targets stand: of the plans in force, or of `plan`, also of one that is over."""
    states = _states(parts, plan)
    by_plan = [
        (of, [(section, list(some)) for section, some in groupby(list(each), key=lambda one: one.manual.section)])
        for of, each in groupby(states, key=lambda one: one.plan)
    ]
    others = [one for one in parts.yardstick.plans if one.manual and one.id not in {of.id for of, _ in by_plan}]
    return page(
        found,
        "manual.html",
        by_plan=by_plan,
        total=len(states),
        missing=sum(one.figure is None for one in states),
        met=sum(one.state == "met" for one in states),
        others=others,
        **_words(parts),
    )


def _words(parts: Parts) -> dict[str, Any]:
    with parts.store.read() as connection:
        names = {one.id: one.name for one in registry.facilities(connection)}
    return {"asked": manual.asked, "shown": manual.shown, "meant": lambda one: manual.meant(one, names)}


def _states(parts: Parts, plan: str | None) -> Sequence[ManualState]:
    today = local_day(now())
    chosen = manual.select(parts.yardstick.plans, plan, today)
    with parts.store.read() as connection:
        figures = stored.figures(connection, [one.id for one in chosen])
    return manual.states(chosen, figures, today)


@router.get("/manual/{plan}/{code}", dependencies=[Depends(of_department)])
def target_page(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(reader)],
    plan: str,
    code: str,
    done: bool = False,
) -> Response:
    """One target with all its figures, and the form for a new one."""
    return _target_page(parts, found, plan, code, done=done)


def _target_page(
    parts: Parts,
    found: Reader,
    plan: str,
    code: str,
    status: int = 200,
    problem: str | None = None,
    entered: dict[str, str] | None = None,
    done: bool = False,
) -> Response:
    state = next((one for one in _states(parts, plan) if one.manual.code == code), None)
    if state is None:
        raise NotFoundError("kế hoạch không có chỉ tiêu này")
    filled = entered or {"value": "", "day": "", "evidence": ""}
    shown = {"state": state, "problem": problem, "entered": filled, "done": done}
    largest = evidence.LARGEST_BYTES // 1024**2
    return page(found, "manual_target.html", status, **shown, largest=largest, **_words(parts))


@router.post("/manual/{plan}/{code}")
def enter_figure(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(reader)],
    person: Annotated[Person, Depends(entering)],
    plan: str,
    code: str,
    value: Annotated[str, Form(max_length=50)] = "",
    day: Annotated[str, Form(max_length=50)] = "",
    text: Annotated[str, Form(alias="evidence", max_length=20_000)] = "",
    file: UploadFile | None = None,
) -> Response:
    """Keep a figure, with its evidence."""
    entered = {"value": value, "day": day, "evidence": text}
    try:
        new = _new_figure(plan, code, entered)
        shown = None
        if file is not None and file.filename:
            shown = evidence.checked(file.filename, file.file.read(evidence.LARGEST_BYTES + 1))
        with parts.store.write() as connection:
            manual.enter(connection, parts.yardstick.plans, new, person.name, now(), shown)
    except (BadRequestError, TooLargeError) as error:
        return _target_page(parts, found, plan, code, error.status, str(error), entered)
    return RedirectResponse(f"/manual/{quote(plan)}/{quote(code)}?done=1", 303)


def _new_figure(plan: str, code: str, entered: dict[str, str]) -> NewFigure:
    """Raises BadRequestError with every mistake."""
    written = _DAY.fullmatch(entered["day"].strip())
    day = f"{written[3]}-{written[2]:0>2}-{written[1]:0>2}" if written else entered["day"].strip()
    try:
        return NewFigure.model_validate({"plan": plan, "code": code, **entered, "day": day})
    except ValidationError as error:
        wrong = dict.fromkeys(_WRONG.get(str(one["loc"][0]), "yêu cầu không đúng dạng") for one in error.errors())
        raise BadRequestError("; ".join(wrong)) from None


@router.get("/evidence/{figure}", dependencies=[Depends(of_department)])
def evidence_file(parts: Annotated[Parts, Depends(parts_of)], figure: int) -> Response:
    """The file of a figure, to be kept on disk and never shown as a page of ours."""
    with parts.store.read() as connection:
        kept = files.of_figure(connection, figure) if figure < 2**31 else None
    if kept is None:
        raise NotFoundError("không có tệp minh chứng này")
    headers = {
        **HEADERS,
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Content-Disposition": f"attachment; filename*=utf-8''{quote(kept.name)}",
    }
    return Response(kept.content, media_type=evidence.MEDIA_TYPES[kept.kind], headers=headers)
