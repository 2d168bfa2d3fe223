"""What agents call (contract.md, "Push API"): tallies, catalogue, enrolments, digests."""

import threading
from collections import defaultdict
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from collector import bodies, ingest
from collector.access import Speaker
from collector.parts import Parts, parts_of
from collector.store import tallies
from contract import tls
from contract.days import now
from contract.errors import BadRequestError, BusyError, MalformedError, TooLargeError, UnauthorisedError
from contract.tally import MAX_TALLIES, Ack, AgentReport, MonthDigest, Push, SourceReport, digest

router = APIRouter(prefix="/api/v1")
# More at once than this only queues behind the database: agents wait better, on their own disk. Fewer than the
# server's worker threads (40) and the database's connections (30), so that others are still answered.
_MOST_AT_ONCE = 24
_at_once = threading.BoundedSemaphore(_MOST_AT_ONCE)
_MAX_CODE_BODY = 4096


class Code(BaseModel):
    """The body of an enrolment."""

    code: str = Field(max_length=100)


_NAMES = {
    field.alias or name
    for shape in (Push, AgentReport, SourceReport, Code)
    for name, field in shape.model_fields.items()
}


class Enrolled(BaseModel):
    """The answer to an enrolment: the only time that the token is shown."""

    agent: str
    token: str
    facilities: list[str]


class Months(BaseModel):
    """Digests of what is stored for an agent."""

    months: list[MonthDigest]


def bearer(authorization: str | None) -> str:
    """The token of an Authorization header. Raises UnauthorisedError."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthorisedError("thiếu Authorization: Bearer …")
    return token.strip()


def is_of_this_machine(request: Request) -> bool:
    """Whether the caller is on this machine and calls it so, where that is asked of them instead of a token.

    Who comes through a proxy on this machine does not, nor does a browser here that another site's name leads to us.
    """
    client = request.client.host if request.client else ""
    return tls.is_loopback(client) and tls.is_loopback(request.url.hostname or "")


def speaker(
    parts: Annotated[Parts, Depends(parts_of)], authorization: Annotated[str | None, Header()] = None
) -> Speaker:
    """The agent that calls. Raises UnauthorisedError."""
    return parts.access.speaker(bearer(authorization), now())


@router.post(
    "/tallies",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Push"}}},
        }
    },
)
async def post_tallies(
    request: Request, parts: Annotated[Parts, Depends(parts_of)], caller: Annotated[Speaker, Depends(speaker)]
) -> Ack:
    """Take a batch; 200 only when what is accepted is on disk. The same batch again is accepted again."""
    body = await bodies.read(request)
    if not _at_once.acquire(blocking=False):
        raise BusyError("máy chủ đang bận, agent sẽ gửi lại")
    try:
        return await run_in_threadpool(_take, parts, caller, body)
    finally:
        _at_once.release()


def _take(parts: Parts, caller: Speaker, body: bytes) -> Ack:
    push = _parsed(TypeAdapter(Push), body)
    if len(push.tallies) > MAX_TALLIES:
        raise TooLargeError(f"quá {MAX_TALLIES} số đếm trong một gói")
    ack = ingest.take(parts.store, caller, push, parts.catalogue, now())
    for result, count in (("accepted", ack.accepted), ("stale", len(ack.stale)), ("refused", len(ack.refused))):
        parts.meters.tallies.labels(result).inc(count)
    return ack


def _parsed(shape: TypeAdapter[Any], body: bytes) -> Any:
    try:
        return shape.validate_json(body)
    except ValidationError as error:
        raise MalformedError(bodies.places(error.errors(), _NAMES)) from None
    except RecursionError:
        raise MalformedError("lồng quá sâu") from None


@router.get("/catalogue")
def get_catalogue(
    parts: Annotated[Parts, Depends(parts_of)], if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """The catalogue in force; its digest is the ETag."""
    tag = f'"{parts.catalogue.digest}"'
    if if_none_match and tag in if_none_match:
        return Response(status_code=304, headers={"ETag": tag})
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    return Response(parts.catalogue.model_dump_json(), media_type="application/json", headers=headers)


@router.post(
    "/enrolments",
    status_code=201,
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": Code.model_json_schema()}}}
    },
)
async def post_enrolments(request: Request, parts: Annotated[Parts, Depends(parts_of)]) -> Enrolled:
    """Trade a one-time code for a token."""
    body = await bodies.read(request, _MAX_CODE_BODY)
    code: Code = _parsed(TypeAdapter(Code), body)
    address = request.client.host if request.client else ""
    agent, token, facilities = await run_in_threadpool(parts.access.enrol, code.code, now(), address)
    return Enrolled(agent=agent, token=token, facilities=facilities)


@router.get("/digests")
def get_digests(
    parts: Annotated[Parts, Depends(parts_of)],
    caller: Annotated[Speaker, Depends(speaker)],
    first: Annotated[date, Query(alias="from")],
    last: Annotated[date, Query(alias="to")],
) -> Months:
    """A digest per (facility, source, measure, month) of this agent's tallies between two days."""
    if first > last:
        raise BadRequestError("from phải không sau to")
    with parts.store.read() as connection:
        sources = [one for one in tallies.sources(connection, sorted(caller.facilities)) if one.agent == caller.agent]
        rows = tallies.between(connection, sources, first, last)
    of = {one.id: one for one in sources}
    months: dict[tuple[int, str, str], list[tuple[date, dict[str, int]]]] = defaultdict(list)
    for row in rows:
        months[row.source, row.measure, f"{row.day:%Y-%m}"].append((row.day, row.by_category))
    return Months(
        months=[
            MonthDigest(
                facility=of[source].facility, source=of[source].name, measure=measure, month=month, digest=digest(days)
            )
            for (source, measure, month), days in months.items()
        ]
    )
