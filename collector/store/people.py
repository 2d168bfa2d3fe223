"""People: who they are, their sessions, and the audit of what they change. Secrets are here only as hashes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from collector.store import as_text
from collector.store.tables import audit, person, session
from contract.days import midnight
from contract.errors import NotFoundError

OPERATOR = "nhipso-collector"
"""Who types commands on the collector's machine, in the audit."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a role. `name` is what they log in with; `facility` None: works at the Sở."""

    name: str
    role: str
    facility: str | None
    full_name: str = ""
    email: str = ""
    id: int = field(default=0, compare=False)

    @property
    def shown(self) -> str:
        """The name that others read."""
        return self.full_name or self.name


@dataclass(frozen=True, slots=True)
class Account:
    """How a person proves who they are. `password_hash`, `subject`: None for who has no password, no single sign-on."""

    person: Person
    password_hash: str | None
    must_change: bool
    failures: int
    locked_until: datetime | None
    disabled_at: datetime | None
    subject: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the audit. `before`, `after`: JSON or None."""

    at: datetime
    person: str
    action: str
    facility: str | None
    subject: str
    before: str | None
    after: str | None


def save(connection: sa.Connection, one: Person, at: datetime, **values: Any) -> None:
    """A new person, or what is known anew of one; `values`: further columns, such as `token_hash`."""
    values |= {"role": one.role, "facility": one.facility, "full_name": one.full_name, "email": one.email}
    if connection.scalar(sa.select(person.c.id).where(person.c.name == one.name)) is None:
        connection.execute(person.insert().values(name=one.name, created_at=at, **values))
    else:
        connection.execute(person.update().where(person.c.name == one.name).values(**values))


def change(connection: sa.Connection, person_id: int, **values: Any) -> None:
    """Change columns of a person."""
    connection.execute(person.update().where(person.c.id == person_id).values(**values))


def attempt(connection: sa.Connection, name: str, at: datetime, most: int, until: datetime) -> int | None:
    """One more try at a password, counted as wrong until it proves right; None while there is no such open account.

    Returns how many tries in a row this is; the `most`-th locks the account until `until`. One statement, so that
    those who try at the same time are counted one after the other.
    """
    count = sa.case((person.c.locked_until.is_(None), person.c.failures + 1), else_=1)
    locked_until = sa.case((count >= most, sa.literal(until, person.c.locked_until.type)), else_=sa.null())
    is_open = sa.or_(person.c.locked_until.is_(None), person.c.locked_until <= at)
    statement = person.update().where(person.c.name == name, is_open)
    statement = statement.values(failures=count, locked_until=locked_until)
    found: int | None = connection.scalar(statement.returning(person.c.failures))
    return found


def accounts(connection: sa.Connection, facility: str | None = None) -> list[Account]:
    """All people, or those of one facility, by name."""
    query = sa.select(person).order_by(person.c.name)
    if facility is not None:
        query = query.where(person.c.facility == facility)
    return [_account(row) for row in connection.execute(query)]


def shown(connection: sa.Connection, names: Iterable[str]) -> dict[str, str]:
    """Name → the name that others read, of those who have an account."""
    query = sa.select(person.c.name, person.c.full_name).where(person.c.name.in_(sorted(set(names))))
    return {row.name: row.full_name or row.name for row in connection.execute(query)}


def account(connection: sa.Connection, name: str) -> Account | None:
    """The account that logs in with `name`."""
    row = connection.execute(sa.select(person).where(person.c.name == name)).first()
    return _account(row) if row else None


def with_id(connection: sa.Connection, person_id: int) -> Account:
    """The account with this id. Raises NotFoundError."""
    row = connection.execute(sa.select(person).where(person.c.id == person_id)).first()
    if row is None:
        raise NotFoundError("không có người dùng này")
    return _account(row)


def named(connection: sa.Connection, name: str) -> Account:
    """The account of a person who must be there. Raises NotFoundError."""
    found = account(connection, name)
    if found is None:
        raise NotFoundError("không có người dùng này")
    return found


def by_token(connection: sa.Connection, token_hash: str) -> Person | None:
    """Whose personal API token this is; None also when the account is closed."""
    row = connection.execute(
        sa.select(person).where(person.c.token_hash == token_hash, person.c.disabled_at.is_(None))
    ).first()
    return _person(row) if row else None


def by_subject(connection: sa.Connection, subject: str) -> Account | None:
    """Who this is at the single sign-on."""
    row = connection.execute(sa.select(person).where(person.c.subject == subject)).first()
    return _account(row) if row else None


def open_session(connection: sa.Connection, hash_: str, person_id: int, at: datetime) -> None:
    """Somebody has logged in."""
    connection.execute(session.insert().values(hash=hash_, person=person_id, created_at=at, seen_at=at))


def session_of(connection: sa.Connection, hash_: str) -> tuple[Account, datetime, datetime] | None:
    """(account, since when, last seen) of an open session."""
    query = sa.select(person, session.c.created_at.label("opened_at"), session.c.seen_at)
    row = connection.execute(
        query.join(session, session.c.person == person.c.id).where(session.c.hash == hash_)
    ).first()
    return (_account(row), row.opened_at, row.seen_at) if row else None


def see_session(connection: sa.Connection, hash_: str, at: datetime) -> None:
    """The session was used."""
    connection.execute(session.update().where(session.c.hash == hash_).values(seen_at=at))


def close_session(connection: sa.Connection, hash_: str) -> None:
    """Somebody has logged out."""
    connection.execute(session.delete().where(session.c.hash == hash_))


def close_sessions(connection: sa.Connection, person_id: int, but: str | None = None) -> None:
    """Log a person out everywhere, except in the session `but`."""
    connection.execute(session.delete().where(session.c.person == person_id, session.c.hash != (but or "")))


def forget_sessions(connection: sa.Connection, seen_before: datetime) -> int:
    """Drop sessions that nobody has used since; returns how many."""
    return connection.execute(session.delete().where(session.c.seen_at < seen_before)).rowcount


def note(
    connection: sa.Connection,
    at: datetime,
    who: str,
    action: str,
    subject: str,
    *,
    facility: str | None = None,
    before: Any = None,
    after: Any = None,
) -> None:
    """Add a line to the audit."""
    texts = {"before": None if before is None else as_text(before), "after": None if after is None else as_text(after)}
    connection.execute(
        audit.insert().values(at=at, person=who, action=action, facility=facility, subject=subject, **texts)
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines of the audit are asked for: None asks for all."""

    facility: str | None = None
    person: str | None = None
    action: str | None = None
    first: date | None = None
    last: date | None = None


def changes(
    connection: sa.Connection, facility: str | None = None, most: int = 200, skip: int = 0, wanted: Wanted | None = None
) -> list[Change]:
    """The audit, newest first; of one facility, or all, or as `wanted` narrows it."""
    asked = wanted or Wanted(facility)
    query = sa.select(*(audit.c[name] for name in Change.__slots__)).order_by(audit.c.id.desc())
    for column, value in ((audit.c.facility, asked.facility), (audit.c.person, asked.person)):
        if value is not None:
            query = query.where(column == value)
    if asked.action is not None:
        query = query.where(audit.c.action == asked.action)
    if asked.first is not None:
        query = query.where(audit.c.at >= midnight(asked.first))
    if asked.last is not None:
        query = query.where(audit.c.at < midnight(asked.last + timedelta(days=1)))
    return [Change(*row) for row in connection.execute(query.limit(most).offset(skip))]


def noted(connection: sa.Connection) -> tuple[list[str], list[str]]:
    """(who, which actions) the audit has."""
    people, actions = (
        connection.scalars(sa.select(column).distinct().order_by(column)) for column in (audit.c.person, audit.c.action)
    )
    return list(people), list(actions)


def _person(row: Any) -> Person:
    return Person(row.name, row.role, row.facility, row.full_name, row.email, row.id)


def _account(row: Any) -> Account:
    columns = ("password_hash", "must_change", "failures", "locked_until", "disabled_at", "subject")
    return Account(_person(row), *(getattr(row, name) for name in columns))
