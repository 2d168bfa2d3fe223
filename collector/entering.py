"""Figures of manual targets over HTTP, for the portal and for people's programs: only for people of the Sở."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError

from collector import bodies, manual
from collector.manual import ManualState, NewFigure
from collector.parts import Parts, parts_of
from collector.reading import person
from collector.store import manual as stored
from collector.store.manual import ManualFigure
from collector.store.people import Person
from contract.days import local_day, now
from contract.errors import ForbiddenError, MalformedError, NotFoundError

router = APIRouter(prefix="/api/v1")
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": NewFigure.model_json_schema()}}}}
_MAX_BODY = 32_768


def department(caller: Annotated[Person, Depends(person)]) -> Person:
    """Somebody of the Sở. Raises NotFoundError for people of a facility."""
    if caller.facility is not None:
        raise NotFoundError("chỉ dành cho người của Sở")
    return caller


@router.get("/manual", dependencies=[Depends(department)])
def get_manual(
    parts: Annotated[Parts, Depends(parts_of)], plan: Annotated[str | None, Query(max_length=64)] = None
) -> dict[str, list[dict[str, Any]]]:
    """Where the manual targets stand: of the plans in force, or of `plan`, also of one that is over."""
    today = local_day(now())
    chosen = manual.select(parts.yardstick.plans, plan, today)
    with parts.store.read() as connection:
        figures = stored.figures(connection, [one.id for one in chosen])
    return {"manual": [_plain(one) for one in manual.states(chosen, figures, today)]}


@router.post("/manual", status_code=201, openapi_extra=_BODY)
async def post_manual(
    request: Request, parts: Annotated[Parts, Depends(parts_of)], caller: Annotated[Person, Depends(department)]
) -> dict[str, Any]:
    """Enter a figure under the caller's own name; the answer is where the target then stands."""
    if caller.role != "admin":
        raise ForbiddenError("chỉ quản trị của Sở nhập được số liệu")
    body = await bodies.read(request, _MAX_BODY)
    try:
        new = NewFigure.model_validate_json(body)
    except ValidationError as error:
        raise MalformedError(bodies.places(error.errors(), NewFigure.model_fields)) from None
    return _plain(await run_in_threadpool(_enter, parts, new, caller.name))


def _enter(parts: Parts, new: NewFigure, name: str) -> ManualState:
    moment, plans = now(), parts.yardstick.plans
    with parts.store.write() as connection:
        target = manual.enter(connection, plans, new, name, moment)
        figures = stored.figures(connection, [new.plan])
    return manual.state(*target, figures, local_day(moment))


def _plain(one: ManualState) -> dict[str, Any]:
    return {
        "plan": one.plan.id,
        "code": one.manual.code,
        "vi": one.manual.vi,
        "en": one.manual.en,
        "unit": one.manual.unit,
        "operator": one.manual.operator,
        "value": None if one.manual.value is None else float(one.manual.value),
        "applies_to": one.manual.applies_to.model_dump(),
        "deadline": one.deadline,
        "section": one.manual.section,
        "words": one.manual.words,
        "state": one.state,
        "figure": one.figure and _plain_figure(one.figure),
        "history": [_plain_figure(figure) for figure in one.history],
    }


def _plain_figure(one: ManualFigure) -> dict[str, Any]:
    return {
        "day": one.day,
        "value": float(one.value),
        "evidence": one.evidence,
        "file": None if one.file is None else f"/evidence/{one.id}",
        "person": one.person,
        "entered_at": one.entered_at,
    }
