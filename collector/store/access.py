"""Agents, tokens, enrolment codes. Secrets are here only as hashes."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from collector.store import as_text
from collector.store.tables import agent, agent_facility, enrolment_code, token


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a one-time code is for. `agent` None: a new one."""

    agent: str | None
    facilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Token:
    """A token of an agent, without its hash."""

    agent: str
    created_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class OpenCode:
    """A one-time code that can still be used."""

    enrolment: Enrolment
    created_at: datetime
    expires_at: datetime


def tokens(connection: sa.Connection, agent_id: str) -> list[Token]:
    """All tokens of an agent, the newest first."""
    columns = (token.c[name] for name in Token.__slots__)
    query = sa.select(*columns).where(token.c.agent == agent_id).order_by(token.c.created_at.desc())
    return [Token(*row) for row in connection.execute(query)]


def enrolled(connection: sa.Connection) -> set[str]:
    """The agents that have a token in force."""
    return set(connection.scalars(sa.select(token.c.agent).where(token.c.revoked_at.is_(None)).distinct()))


def open_codes(connection: sa.Connection, at: datetime) -> list[OpenCode]:
    """The codes that nobody has used yet and that have not run out, the newest first."""
    query = sa.select(enrolment_code).where(enrolment_code.c.used_at.is_(None), enrolment_code.c.expires_at > at)
    return [
        OpenCode(Enrolment(row.agent, tuple(json.loads(row.facilities))), row.created_at, row.expires_at)
        for row in connection.execute(query.order_by(enrolment_code.c.created_at.desc()))
    ]


def add_code(
    connection: sa.Connection, code_hash: str, enrolment: Enrolment, created_at: datetime, expires_at: datetime
) -> None:
    """Keep a one-time code."""
    connection.execute(
        enrolment_code.insert().values(
            hash=code_hash,
            agent=enrolment.agent,
            facilities=as_text(enrolment.facilities),
            created_at=created_at,
            expires_at=expires_at,
        )
    )


def use_code(connection: sa.Connection, code_hash: str, at: datetime) -> Enrolment | None:
    """What the code is for, and it is used from now on; None when there is none that may be used."""
    usable = sa.and_(
        enrolment_code.c.hash == code_hash, enrolment_code.c.used_at.is_(None), enrolment_code.c.expires_at > at
    )
    # one statement, so that of two who come at once only one gets it
    row = connection.execute(
        enrolment_code.update()
        .where(usable)
        .values(used_at=at)
        .returning(enrolment_code.c.agent, enrolment_code.c.facilities)
    ).first()
    return Enrolment(row.agent, tuple(json.loads(row.facilities))) if row else None


def add_agent(connection: sa.Connection, agent_id: str, at: datetime) -> None:
    """A new agent."""
    connection.execute(agent.insert().values(id=agent_id, created_at=at))


def agent_exists(connection: sa.Connection, agent_id: str) -> bool:
    """Whether this id was ever given."""
    return connection.scalar(sa.select(agent.c.id).where(agent.c.id == agent_id)) is not None


def set_facilities(connection: sa.Connection, agent_id: str, ids: Iterable[str]) -> None:
    """The facilities that the agent may speak for, from now on."""
    connection.execute(agent_facility.delete().where(agent_facility.c.agent == agent_id))
    connection.execute(agent_facility.insert(), [{"agent": agent_id, "facility": one} for one in ids])


def facilities_of(connection: sa.Connection, agent_id: str) -> list[str]:
    """The facilities that the agent may speak for."""
    query = sa.select(agent_facility.c.facility).where(agent_facility.c.agent == agent_id)
    return list(connection.scalars(query.order_by(agent_facility.c.facility)))


def all_facilities(connection: sa.Connection) -> dict[str, list[str]]:
    """Agent → the facilities it may speak for."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in connection.execute(sa.select(agent_facility).order_by(agent_facility.c.facility)):
        found[row.agent].append(row.facility)
    return found


def add_token(connection: sa.Connection, token_hash: str, agent_id: str, at: datetime) -> None:
    """Keep a token of an agent."""
    connection.execute(token.insert().values(hash=token_hash, agent=agent_id, created_at=at))


def speakers(connection: sa.Connection, token_hashes: Iterable[str]) -> dict[str, tuple[str, bool, frozenset[str]]]:
    """Hash of a token in force → (agent, whether the token was used before, the facilities it may speak for)."""
    mine = sa.and_(token.c.hash.in_(sorted(token_hashes)), token.c.revoked_at.is_(None))
    columns = (token.c.hash, token.c.agent, token.c.used_at, agent_facility.c.facility)
    joined = token.outerjoin(agent_facility, agent_facility.c.agent == token.c.agent)
    found: dict[str, tuple[str, bool, set[str]]] = {}
    for one, agent_id, used_at, facility in connection.execute(sa.select(*columns).select_from(joined).where(mine)):
        found.setdefault(one, (agent_id, used_at is not None, set()))[2].update([facility] if facility else ())
    return {one: (agent_id, used, frozenset(facilities)) for one, (agent_id, used, facilities) in found.items()}


def first_use(connection: sa.Connection, token_hash: str, agent_id: str, at: datetime) -> list[str]:
    """A token's first use revokes the agent's older ones. Returns their hashes."""
    mine = token.update().where(token.c.hash == token_hash).values(used_at=at).returning(token.c.created_at)
    created_at = connection.scalar(mine)
    older = sa.and_(token.c.agent == agent_id, token.c.hash != token_hash, token.c.created_at <= created_at)
    return _revoke(connection, older, at)


def revoke(connection: sa.Connection, agent_id: str, at: datetime) -> list[str]:
    """Revoke all tokens of an agent. Returns their hashes."""
    return _revoke(connection, token.c.agent == agent_id, at)


def revoke_hashes(connection: sa.Connection, hashes: Sequence[str], at: datetime) -> None:
    """Revoke these tokens, if they are here."""
    _revoke(connection, token.c.hash.in_(hashes), at)


def _revoke(connection: sa.Connection, which: sa.ColumnElement[bool], at: datetime) -> list[str]:
    statement = token.update().where(which, token.c.revoked_at.is_(None)).values(revoked_at=at)
    return list(connection.scalars(statement.returning(token.c.hash)))


def note_pushes(connection: sa.Connection, said: Mapping[str, Mapping[str, Any]]) -> None:
    """These agents have just spoken; also keeps two pushes of one agent from overlapping. `said`: columns by agent."""
    values: dict[str, Any] = {name: sa.bindparam(f"b_{name}") for one in said.values() for name in one}
    statement = agent.update().where(agent.c.id == sa.bindparam("b_id")).values(values)
    # in one order, so that nobody waits in a ring
    bound = [{"b_id": one, **{f"b_{name}": value for name, value in said[one].items()}} for one in sorted(said)]
    connection.execute(statement, bound)


def agents(connection: sa.Connection) -> list[dict[str, Any]]:
    """All agents with what they said last."""
    return [dict(row) for row in connection.execute(sa.select(agent).order_by(agent.c.id)).mappings()]
