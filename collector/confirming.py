"""Confirmations over HTTP, for the portal and for people's programs (contract.md, "Others")."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError

from collector import bodies, confirm
from collector.confirm import Asked, Month
from collector.parts import Parts, parts_of
from collector.reading import person
from collector.store.people import Person
from collector.versions import Change, Figure, Version, sentence
from collector.yardstick import Yardstick
from contract.days import now
from contract.errors import MalformedError

router = APIRouter(prefix="/api/v1")
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": Asked.model_json_schema()}}}}


@router.get("/confirmations")
def get_confirmations(
    parts: Annotated[Parts, Depends(parts_of)],
    caller: Annotated[Person, Depends(person)],
    facility: Annotated[str, Query(max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")],
    period: Annotated[str, Query(max_length=7)],
) -> dict[str, Any]:
    """The figures of a facility in a month that is over, their digest, and what people have decided of them."""
    confirm.may_see(caller, facility)
    moment, rules = now(), parts.settings.confirmation
    with parts.store.read() as connection:
        found = confirm.look(connection, parts.yardstick, rules, facility, period, moment)
    return _plain(*found, parts.yardstick, moment)


@router.post("/confirmations", openapi_extra=_BODY)
async def post_confirmations(
    request: Request, parts: Annotated[Parts, Depends(parts_of)], caller: Annotated[Person, Depends(person)]
) -> dict[str, Any]:
    """Confirm or dispute the figures named by the digest; the same again is answered alike."""
    body = await bodies.read(request)
    try:
        asked = Asked.model_validate_json(body)
    except ValidationError as error:
        raise MalformedError(bodies.places(error.errors(), Asked.model_fields)) from None
    moment, rules = now(), parts.settings.confirmation
    found = await run_in_threadpool(confirm.sign, parts.store, parts.yardstick, rules, caller, asked, moment)
    return _plain(*found, parts.yardstick, moment)


def _plain(month: Month, version: Version, yardstick: Yardstick, moment: datetime) -> dict[str, Any]:
    return {
        "facility": month.facility,
        "period": month.period,
        "state": month.state,
        "waiting_for_second": month.waiting_for_second,
        "due": month.due,
        "overdue": month.is_overdue(moment),
        "digest": version.digest,
        "figures": [
            {"indicator": code, **_plain_figure(version.figures[code])}
            for code in yardstick.catalogue.indicators
            if code in version.figures
        ],
        "changes": [_plain_change(one) for one in month.changes if one.reopens],
        "smaller": [_plain_change(one) for one in month.changes if not one.reopens],
        "signatures": [
            {"person": one.person, "decision": one.decision, "digest": one.digest, "at": one.at, "reasons": one.reasons}
            for one in month.signatures
        ],
    }


def _plain_figure(one: Figure) -> dict[str, Any]:
    return one.model_dump(mode="json")


def _plain_change(one: Change) -> dict[str, Any]:
    return {
        "indicator": one.indicator,
        "what": one.what,
        "before": one.before and _plain_figure(one.before),
        "after": one.after and _plain_figure(one.after),
        "sentence": sentence(one),
    }
