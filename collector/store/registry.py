"""Facilities, their codes and pauses."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa

from collector.store import as_text, months
from collector.store.tables import agent, facility, facility_code, pause
from contract.days import DayRange

_MOVED: Mapping[str, Any] = {"change": facility.c.change + 1, "past_change": facility.c.past_change + 1}


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
    merger: "Merger | None" = None

    def was_active(self, days: DayRange) -> bool:
        """Whether the facility was active on some day of `days`."""
        begun = self.active_from is None or self.active_from <= days.last
        return begun and (self.active_to is None or self.active_to >= days.first)


@dataclass(frozen=True, slots=True)
class Merger:
    """From `day` on the facility's sources count for `into`; there as `part`, or None: as whatever part they say."""

    into: str
    day: date
    part: str | None


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
    id: int = field(default=0, compare=False)


def save(connection: sa.Connection, facilities: Iterable[Facility], codes: Iterable[Code]) -> None:
    """Add new facilities and bring known ones up to date; their registration stays. A newer code ends the older."""
    known = set(connection.scalars(sa.select(facility.c.id)))
    for one in sorted(facilities, key=lambda one: one.id):
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
            connection.execute(facility.update().where(facility.c.id == one.id).values(**values, **_MOVED))
        else:
            connection.execute(facility.insert().values(id=one.id, registered_at=one.registered_at, **values))
            known.add(one.id)
    for code in codes:
        _save_code(connection, code)


def _save_code(connection: sa.Connection, code: Code) -> None:
    """Put a code into its facility's line of codes: one is in force until the day before the next."""
    line = {one.valid_from: one for one in codes(connection, code.facility)}
    before = max((day for day in line if day <= code.valid_from), default=None)
    if before is not None and line[before].code == code.code:
        return
    line[code.valid_from] = code
    days = sorted(line)
    connection.execute(facility_code.delete().where(facility_code.c.facility == code.facility))
    for day, following in zip(days, [*days[1:], None], strict=True):
        last = following and following - timedelta(days=1)
        values = {"facility": code.facility, "code": line[day].code, "valid_from": day, "valid_to": last}
        connection.execute(facility_code.insert().values(values))


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
            None if row.merged_into is None else Merger(row.merged_into, row.merged_on, row.merged_part),
        )
        for row in connection.execute(query)
    ]


def mergers(connection: sa.Connection) -> dict[str, Merger]:
    """Facility → how it was merged into another, of all that were."""
    columns = (facility.c.id, facility.c.merged_into, facility.c.merged_on, facility.c.merged_part)
    rows = connection.execute(sa.select(*columns).where(facility.c.merged_into.is_not(None)))
    return {one: Merger(into, day, part) for one, into, day, part in rows}


def set_merger(connection: sa.Connection, of: str, merger: Merger | None, active_to: date | None) -> None:
    """The facility is merged into another and its own days end; None: it no longer is."""
    into, day, part = (None, None, None) if merger is None else (merger.into, merger.day, merger.part)
    values = {"merged_into": into, "merged_on": day, "merged_part": part, "active_to": active_to}
    place = sa.select(facility.c.id).where(facility.c.id == of)
    months.forget_line(connection, place)
    connection.execute(facility.update().where(facility.c.id == of).values(values))
    months.forget_line(connection, place)


def codes(connection: sa.Connection, of: str | None = None) -> list[Code]:
    """All codes, or those of one facility, the newest last."""
    query = sa.select(facility_code).order_by(facility_code.c.facility, facility_code.c.valid_from)
    if of is not None:
        query = query.where(facility_code.c.facility == of)
    return [Code(row.facility, row.code, row.valid_from, row.valid_to) for row in connection.execute(query)]


def add_pause(connection: sa.Connection, one: Pause) -> None:
    """Nothing is expected on these days."""
    connection.execute(
        pause.insert().values(facility=one.facility, first_day=one.first_day, last_day=one.last_day, reason=one.reason)
    )
    touch(connection, [one.facility])


def remove_pause(connection: sa.Connection, one: Pause) -> None:
    """These days are expected again."""
    connection.execute(pause.delete().where(pause.c.id == one.id))
    touch(connection, [one.facility])


def pauses(connection: sa.Connection, ids: Sequence[str] | None = None) -> list[Pause]:
    """All pauses, or those of the facilities `ids`."""
    query = sa.select(pause).order_by(pause.c.first_day)
    if ids is not None:
        query = query.where(pause.c.facility.in_(ids))
    return [Pause(row.facility, row.first_day, row.last_day, row.reason, row.id) for row in connection.execute(query)]


def lock(connection: sa.Connection, ids: Iterable[str]) -> None:
    """Keep others from changing what belongs to these facilities; in one order, so that nobody waits in a ring."""
    mine = sa.select(facility.c.id).where(facility.c.id.in_(sorted(ids)))
    connection.execute(mine.order_by(facility.c.id).with_for_update()).all()


def touch(connection: sa.Connection, ids: Iterable[str]) -> None:
    """Something that is shown of these facilities has changed."""
    connection.execute(facility.update().where(facility.c.id.in_(sorted(ids))).values(_MOVED))


def hear(connection: sa.Connection, ids: Iterable[str], at: datetime, is_past: bool) -> None:
    """An agent has spoken for these facilities; not `is_past`: of nothing but the running day."""
    values = _MOVED if is_past else {"change": facility.c.change + 1}
    connection.execute(facility.update().where(facility.c.id.in_(sorted(ids))).values(**values, last_push_at=at))


class Change(NamedTuple):
    """How often something that is shown of a facility may have changed, and of these more than the running day."""

    all: int
    past: int


def changes(connection: sa.Connection) -> dict[str, Change]:
    """By facility."""
    return {one: Change(*counted) for one, *counted in connection.execute(_CHANGES)}


class ChangeSum(NamedTuple):
    """Numbers that, when they are the same again, mean that nothing has moved."""

    facilities: int
    changes: int | None
    agents: int
    last_push_at: datetime | None


def change_sum(connection: sa.Connection) -> ChangeSum:
    """Of all facilities and agents."""
    return ChangeSum(*connection.execute(_OF_FACILITIES).one(), *connection.execute(_OF_AGENTS).one())


# made once: they are asked several times a second
_CHANGES = sa.select(facility.c.id, facility.c.change, facility.c.past_change)
_OF_FACILITIES = sa.select(sa.func.count(), sa.func.sum(facility.c.change)).select_from(facility)
_OF_AGENTS = sa.select(sa.func.count(), sa.func.max(agent.c.last_push_at)).select_from(agent)
