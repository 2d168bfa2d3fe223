"""Agents: what they said last, enrolment codes shown once with the command to type, revoking tokens."""

from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from collector import collation
from collector.access import CODE_LIVES
from collector.pages.admin.entered import Text
from collector.pages.admin.facilities import PAGE
from collector.pages.admin.rights import acting, admin
from collector.pages.rendering import Reader, page
from collector.parts import Parts, parts_of
from collector.store import access, registry, tallies
from collector.store.people import Person
from contract.days import now
from contract.errors import ConfigError, NotFoundError

router = APIRouter(prefix="/admin/agents")
SILENT = timedelta(hours=24)
"""An agent that has not spoken for so long is not at work."""


def is_silent(agent: dict[str, Any], moment: datetime) -> bool:
    """Whether the agent has not spoken lately."""
    return agent["last_push_at"] is None or moment - agent["last_push_at"] > SILENT


@router.get("")
def agents_page(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    q: str = "",
    start: int = 0,
    done: int | None = None,
) -> Response:
    """The agents, those that are silent first; `done`: how many tokens have just been revoked."""
    moment = now()
    with parts.store.read() as connection:
        agents, facilities = access.agents(connection), access.all_facilities(connection)
        valid, codes = access.enrolled(connection), access.open_codes(connection, moment)
        names = {one.id: one.name for one in registry.facilities(connection)}
    silent = {one["id"] for one in agents if one["id"] in valid and is_silent(one, moment)}
    word = collation.folded(q)
    shown = [
        one
        for one in agents
        if word in collation.folded(" ".join([one["id"], *(f"{i} {names[i]}" for i in facilities.get(one["id"], ()))]))
    ]
    shown.sort(key=lambda one: (one["id"] not in valid, one["id"] not in silent, one["id"]))
    start = max(start, 0)
    return page(
        found, "admin_agents.html", agents=shown[start : start + PAGE], count=len(shown), total=len(agents), q=q,
        start=start, size=PAGE, facilities=facilities, valid=valid, codes=codes, names=names, silent=silent, done=done,
    )  # fmt: skip


@router.get("/code")
def code_page(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    facility: str = "",
    agent: str = "",
) -> Response:
    """The form for an enrolment code; of an agent that enrols again, with the facilities that it speaks for."""
    if agent and not facility:
        with parts.store.read() as connection:
            facility = " ".join(access.facilities_of(connection, agent))
    return _code_form(parts, found, facility, agent)


def _code_form(parts: Parts, found: Reader, facilities: str, agent: str, problems: list[str] | None = None) -> Response:
    with parts.store.read() as connection:
        known = registry.facilities(connection)
    return page(
        found, "admin_code.html", 400 if problems else 200, facilities=facilities, agent=agent,
        problems=problems or [], known=known,
    )  # fmt: skip


@router.post("/code")
def make_code(
    request: Request,
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    person: Annotated[Person, Depends(acting)],
    facilities: Text = "",
    agent: Text = "",
) -> Response:
    """A code: the answer is the only page that shows it, so there is no redirect."""
    ids, moment = facilities.replace(",", " ").split(), now()
    try:
        if not ids:
            raise ConfigError("cơ sở: chưa nhập")
        code = parts.access.make_code(ids, agent.strip() or None, moment, person.name)
    except ConfigError as error:
        return _code_form(parts, found, facilities, agent, error.problems)
    address = (parts.settings.public_url or str(request.base_url)).rstrip("/")
    return page(
        found, "admin_secret.html", what="code", secret=code, ids=ids, agent=agent.strip(), until=moment + CODE_LIVES,
        address=address,
    )  # fmt: skip


@router.get("/{agent}")
def agent_page(
    parts: Annotated[Parts, Depends(parts_of)], found: Annotated[Reader, Depends(admin)], agent: str
) -> Response:
    """One agent: its facilities, sources, tokens."""
    with parts.store.read() as connection:
        one = _agent(access.agents(connection), agent)
        places = access.facilities_of(connection, agent)
        return page(
            found, "admin_agent.html", agent=one, facilities=registry.facilities(connection, places),
            sources=[each for each in tallies.briefs(connection) if each.agent == agent],
            tokens=access.tokens(connection, agent),
        )  # fmt: skip


def _agent(known: list[dict[str, Any]], agent: str) -> dict[str, Any]:
    for one in known:
        if one["id"] == agent:
            return one
    raise NotFoundError("không có agent này")


@router.get("/{agent}/revoke")
def sure_page(
    parts: Annotated[Parts, Depends(parts_of)], found: Annotated[Reader, Depends(admin)], agent: str
) -> Response:
    """What revoking means."""
    with parts.store.read() as connection:
        one = _agent(access.agents(connection), agent)
        places = access.facilities_of(connection, agent)
    return page(found, "admin_sure.html", what="tokens_revoked", agent=one, places=places)


@router.post("/{agent}/revoke")
def revoke(
    parts: Annotated[Parts, Depends(parts_of)], person: Annotated[Person, Depends(acting)], agent: str
) -> Response:
    """Revoke all tokens of the agent."""
    count = parts.access.revoke(agent, now(), person.name)
    return RedirectResponse(f"/admin/agents?done={count}#{quote(agent)}", 303)
