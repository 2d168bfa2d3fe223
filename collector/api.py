"""What agents call (contract.md, "Push API"): tallies, catalogue, enrolments, digests."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from functools import partial
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from collector import bodies, ingest
from collector.access import NOT_IN_FORCE, Speaker
from collector.ingest import Sent
from collector.intake import Intake
from collector.parts import Parts, parts_of
from collector.store import tallies
from contract import tls
from contract.days import now
from contract.errors import BadRequestError, MalformedError, PortalError, TooLargeError, UnauthorisedError
from contract.tally import MAX_TALLIES, Ack, AgentReport, MonthDigest, Push, SourceReport, digest

# More at once than this only queues behind the database: agents wait better, on their own disk.
_MOST_AT_ONCE = 24
_MAX_CODE_BODY = 4096


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """One intake for each app: `request.state.intake`."""
    yield {"intake": Intake(partial(_take, app.state.parts), _MOST_AT_ONCE)}


router = APIRouter(prefix="/api/v1", lifespan=_lifespan)


class Code(BaseModel):
    """The body of an enrolment."""

    code: str = Field(max_length=100)


_PUSH, _CODE = TypeAdapter(Push), TypeAdapter(Code)
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


class _Arrived(NamedTuple):
    """A push as it came over the line, unpacked."""

    token: str
    body: bytes
    at: datetime


@router.post(
    "/tallies",
    response_model=Ack,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Push"}}},
        }
    },
)
async def post_tallies(request: Request) -> Response:
    """Take a batch; 200 only when what is accepted is on disk. The same batch again is accepted again."""
    parts = parts_of(request)
    token = bearer(request.headers.get("authorization"))
    if not parts.access.has_known(token):  # no body of a stranger's is read
        await run_in_threadpool(parts.access.speaker, token, now())
    arrived = _Arrived(token, await bodies.read(request), now())
    ack = await request.state.intake.take(arrived)
    return Response(ack.model_dump_json(), media_type="application/json")


def _take(parts: Parts, arrived: Sequence[_Arrived]) -> list[Ack | Exception]:
    """An answer to each push. Raises AwayError."""
    speakers = parts.access.speakers({one.token for one in arrived}, now())
    read = [_sent(one, speakers.get(one.token)) for one in arrived]
    taken = iter(ingest.take_all(parts.store, [one for one in read if isinstance(one, Sent)], parts.catalogue))
    answers = [next(taken) if isinstance(one, Sent) else one for one in read]
    acks = [one for one in answers if isinstance(one, Ack)]
    for result, count in (
        ("accepted", sum(one.accepted for one in acks)),
        ("stale", sum(len(one.stale) for one in acks)),
        ("refused", sum(len(one.refused) for one in acks)),
    ):
        parts.meters.tallies.labels(result).inc(count)
    return answers


def _sent(one: _Arrived, caller: Speaker | None) -> Sent | PortalError:
    """What the body says, or why it is not taken."""
    try:
        if caller is None:
            raise UnauthorisedError(NOT_IN_FORCE)
        push = _parsed(_PUSH, one.body)
        if len(push.tallies) > MAX_TALLIES:
            raise TooLargeError(f"quá {MAX_TALLIES} số đếm trong một gói")
        return Sent(caller, push, one.at)
    except PortalError as error:
        return error


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
    code: Code = _parsed(_CODE, body)
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
