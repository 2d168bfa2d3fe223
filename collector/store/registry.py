"""Facilities, their codes and pauses."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa

from collector.store import as_text
from collector.store.tables import facility, facility_code, pause


@dataclass(frozen=True, slots=True)
class Facility:
    """A registered facility. `active_from`, `active_to` None: no such end; `indicators` None: all of its level."""

    id: str
    name: str
    level: str
    ownership: str
    area: str
    email: str
    active_from: date | None
    active_to: date | None
    indicators: tuple[str, ...] | None
    registered_at: datetime
    last_push_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Code:
    """A BHXH code of a facility, in force from `valid_from` to `valid_to` (both included; None: still)."""

    facility: str
    code: str
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True, slots=True)
class Pause:
    """Days on which nothing is expected of a facility."""

    facility: str
    first_day: date
    last_day: date
    reason: str


def save(connection: sa.Connection, facilities: Iterable[Facility], codes: Iterable[Code]) -> None:
    """Add new facilities and bring known ones up to date; their registration stays. A newer code ends the older."""
    known = set(connection.scalars(sa.select(facility.c.id)))
    for one in facilities:
        values = {
            "name": one.name,
            "level": one.level,
            "ownership": one.ownership,
            "area": one.area,
            "email": one.email,
            "active_from": one.active_from,
            "active_to": one.active_to,
            "indicators": None if one.indicators is None else as_text(one.indicators),
        }
        if one.id in known:
            statement = facility.update().where(facility.c.id == one.id)
            connection.execute(statement.values(**values, change=facility.c.change + 1))
        else:
            connection.execute(facility.insert().values(id=one.id, registered_at=one.registered_at, **values))
            known.add(one.id)
    for code in codes:
        _save_code(connection, code)


def _save_code(connection: sa.Connection, code: Code) -> None:
    here = facility_code.c.facility == code.facility
    same = sa.and_(here, facility_code.c.code == code.code, facility_code.c.valid_to.is_(None))
    if connection.execute(sa.select(facility_code.c.code).where(same)).first():
        return
    still = sa.and_(here, facility_code.c.valid_to.is_(None), facility_code.c.valid_from < code.valid_from)
    connection.execute(facility_code.update().where(still).values(valid_to=code.valid_from))
    connection.execute(
        facility_code.insert().values(
            facility=code.facility, code=code.code, valid_from=code.valid_from, valid_to=code.valid_to
        )
    )


def facilities(connection: sa.Connection, ids: Sequence[str] | None = None) -> list[Facility]:
    """All facilities by id, or those of `ids`."""
    query = sa.select(facility).order_by(facility.c.id)
    if ids is not None:
        query = query.where(facility.c.id.in_(ids))
    return [
        Facility(
            row.id,
            row.name,
            row.level,
            row.ownership,
            row.area,
            row.email,
            row.active_from,
            row.active_to,
            None if row.indicators is None else tuple(json.loads(row.indicators)),
            row.registered_at,
            row.last_push_at,
        )
        for row in connection.execute(query)
    ]


def codes(connection: sa.Connection) -> list[Code]:
    """All codes, the newest last."""
    query = sa.select(facility_code).order_by(facility_code.c.facility, facility_code.c.valid_from)
    return [Code(row.facility, row.code, row.valid_from, row.valid_to) for row in connection.execute(query)]


def add_pause(connection: sa.Connection, one: Pause) -> None:
    """Nothing is expected on these days."""
    connection.execute(
        pause.insert().values(facility=one.facility, first_day=one.first_day, last_day=one.last_day, reason=one.reason)
    )
    connection.execute(facility.update().where(facility.c.id == one.facility).values(change=facility.c.change + 1))


def pauses(connection: sa.Connection, ids: Sequence[str] | None = None) -> list[Pause]:
    """All pauses, or those of the facilities `ids`."""
    query = sa.select(pause).order_by(pause.c.first_day)
    if ids is not None:
        query = query.where(pause.c.facility.in_(ids))
    return [Pause(row.facility, row.first_day, row.last_day, row.reason) for row in connection.execute(query)]


def changes(connection: sa.Connection) -> dict[str, int]:
    """Facility → how often something that is shown of it may have changed."""
    return dict(connection.execute(sa.select(facility.c.id, facility.c.change)).tuples().all())


def change_sum(connection: sa.Connection) -> tuple[int, int]:
    """(number of facilities, sum of all changes): the same pair again means that nothing has moved."""
    row = connection.execute(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(facility.c.change), 0)).select_from(facility)
    ).one()
    return int(row[0]), int(row[1])
