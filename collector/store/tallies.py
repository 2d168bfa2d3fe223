"""Sources, claims, current tallies, and the log of what a correction replaced."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from collector.store.tables import claim, facility, source, tally, tally_log


@dataclass(frozen=True, slots=True)
class Source:
    """A source of a facility, as the store knows it."""

    id: int
    facility: str
    name: str
    agent: str
    kind: str
    role: str
    part: str | None
    first_day: date | None
    last_day: date | None
    in_roster: bool
    ok: bool | None
    read_at: datetime | None
    newest_day: date | None
    since: datetime | None
    error: str | None
    failed: str
    unmapped: str
    unmapped_cases: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A source counts a measure of its facility; `last_day` when it has stopped to. Lower ids came first."""

    id: int
    source: Source
    measure: str
    last_day: date | None

    def covers(self, day: date) -> bool:
        """Whether the source counts this measure on `day`."""
        ends = [one for one in (self.source.last_day, self.last_day) if one is not None]
        return (self.source.first_day is None or self.source.first_day <= day) and all(day <= end for end in ends)


class Row(NamedTuple):
    """A stored tally. `counts` is canonical JSON."""

    source: int
    measure: str
    day: date
    revision: int
    counts: str

    @property
    def by_category(self) -> dict[str, int]:
        """The counts, read."""
        return dict(json.loads(self.counts))


def sources(connection: sa.Connection, facilities: Sequence[str] | None = None) -> list[Source]:
    """All sources, or those of these facilities, the oldest first."""
    query = sa.select(source).order_by(source.c.id)
    if facilities is not None:
        query = query.where(source.c.facility.in_(facilities))
    return [Source(**row) for row in connection.execute(query).mappings()]


def claims(connection: sa.Connection, of: Iterable[Source]) -> list[Claim]:
    """The claims of these sources, the oldest first."""
    by_id = {one.id: one for one in of}
    query = sa.select(claim).where(claim.c.source.in_(list(by_id))).order_by(claim.c.id)
    return [Claim(row.id, by_id[row.source], row.measure, row.last_day) for row in connection.execute(query)]


def add_source(connection: sa.Connection, values: dict[str, Any]) -> Source:
    """A new source."""
    return Source(**connection.execute(source.insert().values(**values).returning(source)).mappings().one())


def update_source(connection: sa.Connection, source_id: int, values: dict[str, Any]) -> None:
    """Change columns of a source."""
    connection.execute(source.update().where(source.c.id == source_id).values(**values))


def add_claim(connection: sa.Connection, of: Source, measure: str) -> Claim:
    """A source begins to count a measure; one that had stopped queues again behind the others."""
    connection.execute(claim.delete().where(claim.c.source == of.id, claim.c.measure == measure))
    row = connection.execute(claim.insert().values(source=of.id, measure=measure).returning(claim)).one()
    return Claim(row.id, of, measure, None)


def end_claim(connection: sa.Connection, one: Claim, last_day: date) -> None:
    """The source no longer counts the measure after `last_day`."""
    connection.execute(claim.update().where(claim.c.id == one.id).values(last_day=last_day))


def newest_day(connection: sa.Connection, source_id: int, measure: str) -> date | None:
    """The newest day that has a tally."""
    query = sa.select(sa.func.max(tally.c.day)).where(tally.c.source == source_id, tally.c.measure == measure)
    day: date | None = connection.scalar(query)
    return day


def stored(connection: sa.Connection, keys: Iterable[tuple[int, str, date]]) -> dict[tuple[int, str, date], Row]:
    """What is stored under these keys (source, measure, day)."""
    wanted = set(keys)
    days_of: dict[tuple[int, str], list[date]] = {}
    for source_id, measure, day in wanted:
        days_of.setdefault((source_id, measure), []).append(day)
    found = {}
    for (source_id, measure), days in days_of.items():
        query = sa.select(tally.c.source, tally.c.measure, tally.c.day, tally.c.revision, tally.c.counts).where(
            tally.c.source == source_id, tally.c.measure == measure, tally.c.day.in_(days)
        )
        for row in connection.execute(query).tuples():
            found[row[0], row[1], row[2]] = Row(*row)
    return found


def insert(connection: sa.Connection, rows: Sequence[Row], at: datetime) -> None:
    """New tallies."""
    if rows:
        connection.execute(tally.insert(), [{**row._asdict(), "received_at": at} for row in rows])


def replace(connection: sa.Connection, rows: Sequence[Row], corrected: Sequence[Row], at: datetime) -> None:
    """Newer revisions of tallies; what the `corrected` among them held is logged first."""
    for row in corrected:
        key = sa.and_(tally.c.source == row.source, tally.c.measure == row.measure, tally.c.day == row.day)
        columns = (tally.c.source, tally.c.measure, tally.c.day, tally.c.revision, tally.c.counts, tally.c.received_at)
        old = sa.select(*columns, sa.literal(at, tally_log.c.replaced_at.type)).where(key)
        names = ["source", "measure", "day", "revision", "counts", "received_at", "replaced_at"]
        connection.execute(tally_log.insert().from_select(names, old))
    if rows:
        b = sa.bindparam
        connection.execute(
            tally.update()
            .where(tally.c.source == b("b_source"), tally.c.measure == b("b_measure"), tally.c.day == b("b_day"))
            .values(revision=b("b_revision"), counts=b("b_counts"), received_at=b("b_at")),
            [{**{f"b_{name}": value for name, value in row._asdict().items()}, "b_at": at} for row in rows],
        )


def between(
    connection: sa.Connection, of: Iterable[Source], first: date, last: date, measures: Sequence[str] | None = None
) -> list[Row]:
    """The current tallies of these sources (and measures) from `first` to `last`."""
    query = (
        sa.select(tally.c.source, tally.c.measure, tally.c.day, tally.c.revision, tally.c.counts)
        .where(tally.c.source.in_([one.id for one in of]), tally.c.day.between(first, last))
        .order_by(tally.c.source, tally.c.measure, tally.c.day)
    )
    if measures is not None:
        query = query.where(tally.c.measure.in_(measures))
    return [Row(*row) for row in connection.execute(query).tuples()]


def delete_source(connection: sa.Connection, source_id: int) -> None:
    """Forget a source that has no tally."""
    connection.execute(claim.delete().where(claim.c.source == source_id))
    connection.execute(source.delete().where(source.c.id == source_id))


def has_tallies(connection: sa.Connection, source_id: int) -> bool:
    """Whether the source has ever counted anything."""
    return connection.scalar(sa.select(tally.c.day).where(tally.c.source == source_id).limit(1)) is not None


def touch(connection: sa.Connection, facilities: Iterable[str]) -> None:
    """Something that is shown of these facilities has changed."""
    connection.execute(
        facility.update().where(facility.c.id.in_(sorted(set(facilities)))).values(change=facility.c.change + 1)
    )
