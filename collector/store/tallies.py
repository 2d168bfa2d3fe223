"""Sources, claims, current tallies, and the log of what a correction replaced."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from pydantic_core import from_json

from collector.store import months
from collector.store.tables import claim, source, tally, tally_log
from contract.catalogue import Cadence
from contract.days import midnight

# What decides which days of a source count.
_COUNTS_BY = {"facility", "role", "part", "cadence", "first_day", "last_day"}


@dataclass(frozen=True, slots=True)
class Source:
    """A source of a facility, as the store knows it."""

    id: int
    facility: str
    name: str
    agent: str | None
    """None: people of the facility upload sheets."""
    kind: str
    role: str
    part: str | None
    cadence: Cadence | None
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

    @property
    def failing(self) -> dict[str, datetime | None]:
        """Measure that cannot be read → when it was last read; None: not known."""
        found = json.loads(self.failed)
        pairs = found if isinstance(found, dict) else dict.fromkeys(found)  # stores of before knew the measures only
        return {measure: at and datetime.fromisoformat(at) for measure, at in pairs.items()}


@dataclass(frozen=True, slots=True)
class Claim:
    """A source counts a measure of its facility; `last_day` when it has stopped to. Lower ids came first."""

    id: int
    source: Source
    measure: str
    last_day: date | None

    def covers(self, first: date, last: date | None = None) -> bool:
        """Whether the source is to count this measure on `first`, or on some day from `first` to `last`."""
        ends = [one for one in (self.source.last_day, self.last_day) if one is not None]
        begins = self.source.first_day is None or self.source.first_day <= (last or first)
        return begins and all(first <= end for end in ends)

    def is_retired(self, day: date) -> bool:
        """Whether an operator has retired the source before `day`."""
        return self.source.last_day is not None and day > self.source.last_day

    def adds_to(self, other: "Claim", day: date) -> bool:
        """Whether both count `day`: other parts, or the cut-over day (the last of one, the first of the other)."""
        here, there = self.source, other.source
        shared = here.last_day == day == there.first_day or there.last_day == day == here.first_day
        return here.part != there.part or shared


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
        found: dict[str, int] = from_json(self.counts)
        return found


def sources(connection: sa.Connection, facilities: Sequence[str] | None = None) -> list[Source]:
    """All sources, or those of these facilities, the oldest first."""
    query = sa.select(source).order_by(source.c.id)
    if facilities is not None:
        query = query.where(source.c.facility.in_(facilities))
    return [Source(**row) for row in connection.execute(query).mappings()]


class Brief(NamedTuple):
    """What a list of many sources says of each."""

    id: int
    facility: str
    name: str
    kind: str
    agent: str | None
    last_day: date | None
    in_roster: bool
    ok: bool | None


def briefs(connection: sa.Connection) -> list[Brief]:
    """All sources, the oldest first, in few words: a province has thousands."""
    query = sa.select(*(source.c[name] for name in Brief._fields)).order_by(source.c.id)
    return [Brief(*row) for row in connection.execute(query)]


def source_with(connection: sa.Connection, source_id: int) -> Source | None:
    """The source with this id."""
    row = connection.execute(sa.select(source).where(source.c.id == source_id)).mappings().first()
    return None if row is None else Source(**row)


def rostered(connection: sa.Connection, agent: str) -> set[str]:
    """The facilities at which the agent has named a source."""
    query = sa.select(source.c.facility).where(source.c.agent == agent, source.c.in_roster).distinct()
    return set(connection.scalars(query))


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
    changed = [source.c[name].is_distinct_from(values[name]) for name in sorted(_COUNTS_BY & values.keys())]
    if changed and connection.scalar(sa.select(source.c.id).where(source.c.id == source_id, sa.or_(*changed))):
        months.forget(connection, [source_id])
    connection.execute(source.update().where(source.c.id == source_id).values(**values))


def add_claims(connection: sa.Connection, of: Source, measures: Iterable[str]) -> list[Claim]:
    """A source begins to count these measures; where it had done so before, it queues again behind the others."""
    wanted = sorted(measures)
    if not wanted:
        return []
    months.forget(connection, [of.id])
    connection.execute(claim.delete().where(claim.c.source == of.id, claim.c.measure.in_(wanted)))
    rows = connection.execute(claim.insert().returning(claim), [{"source": of.id, "measure": one} for one in wanted])
    return [Claim(row.id, of, row.measure, None) for row in rows]


def end_claim(connection: sa.Connection, one: Claim, last_day: date) -> None:
    """The source no longer counts the measure after `last_day`."""
    months.forget(connection, [one.source.id])
    connection.execute(claim.update().where(claim.c.id == one.id).values(last_day=last_day))


def newest_day(connection: sa.Connection, source_id: int, measure: str) -> date | None:
    """The newest day that has a tally."""
    query = sa.select(sa.func.max(tally.c.day)).where(tally.c.source == source_id, tally.c.measure == measure)
    day: date | None = connection.scalar(query)
    return day


def stored(connection: sa.Connection, keys: Iterable[tuple[int, str, date]]) -> dict[tuple[int, str, date], Row]:
    """What is stored under these keys (source, measure, day)."""
    days: dict[tuple[int, str], list[date]] = defaultdict(list)
    sources: dict[tuple[str, date], list[int]] = defaultdict(list)
    for source_id, measure, day in set(keys):
        days[source_id, measure].append(day)
        sources[measure, day].append(source_id)
    # a long time of one source, or one day of many: whichever takes fewer statements
    if len(days) <= len(sources):
        wanted = [(tally.c.source == s, tally.c.measure == m, tally.c.day.in_(of)) for (s, m), of in days.items()]
    else:
        wanted = [(tally.c.day == d, tally.c.measure == m, tally.c.source.in_(of)) for (m, d), of in sources.items()]
    query = sa.select(tally.c.source, tally.c.measure, tally.c.day, tally.c.revision, tally.c.counts)
    rows = (Row(*row) for these in wanted for row in connection.execute(query.where(*these)))
    return {(row.source, row.measure, row.day): row for row in rows}


def insert(connection: sa.Connection, rows: Sequence[Row], at: datetime) -> None:
    """New tallies."""
    if rows:
        months.forget(connection, (row.source for row in rows), (row.day for row in rows))
        connection.execute(tally.insert(), [{**row._asdict(), "received_at": at} for row in rows])


def replace(connection: sa.Connection, rows: Sequence[Row], corrected: Sequence[Row], at: datetime) -> None:
    """Newer revisions of tallies; what the `corrected` among them held is logged first.

    What was said of a day while it ran is no figure that a correction replaces: a running day changes at every poll,
    and a log of that would be a hundred times what is logged.
    """
    b, at_type = sa.bindparam, tally_log.c.replaced_at.type
    key = sa.and_(tally.c.source == b("b_source"), tally.c.measure == b("b_measure"), tally.c.day == b("b_day"))
    if corrected:
        months.forget(connection, (row.source for row in corrected), (row.day for row in corrected))
        was_over = tally.c.received_at >= b("b_over", type_=at_type)
        old = sa.select(*tally.c, b("b_at", type_=at_type)).where(key, was_over)
        bound = [
            {**_bound(row, "source", "measure", "day"), "b_at": at, "b_over": midnight(row.day + timedelta(days=1))}
            for row in corrected
        ]
        connection.execute(tally_log.insert().from_select([*tally.c.keys(), "replaced_at"], old), bound)
    if rows:
        connection.execute(
            tally.update().where(key).values(revision=b("b_revision"), counts=b("b_counts"), received_at=b("b_at")),
            [{**_bound(row, *Row._fields), "b_at": at} for row in rows],
        )


def _bound(row: Row, *names: str) -> dict[str, Any]:
    return {f"b_{name}": getattr(row, name) for name in names}


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
    return [Row._make(row) for row in connection.execute(query).all()]


def by_day(
    connection: sa.Connection, of: Iterable[Source], first: date, last: date, measures: Sequence[str]
) -> dict[tuple[int, str], dict[date, dict[str, int]]]:
    """The counts of these sources from `first` to `last`: (source, measure) → day → counts, in no order.

    The database joins all days of a key to one text. A row for each, made into an object, took three times as long,
    and a province that starts reads a million of them.
    """
    ids = [one.id for one in of]
    if not ids or not measures:
        return {}
    asked = {"sources": ids, "measures": list(measures), "first": first, "last": last}
    return {
        (source_id, measure): {_day(text): counts for text, counts in from_json(f"{{{joined}}}").items()}
        for source_id, measure, joined in connection.execute(_DAYS_OF, asked)
    }


_day = lru_cache(maxsize=10_000)(date.fromisoformat)
_joined = sa.literal('"').concat(sa.cast(tally.c.day, sa.Text)).concat('":').concat(tally.c.counts)
# made once: making it takes as long as running it for one facility
_DAYS_OF = (
    sa.select(tally.c.source, tally.c.measure, sa.func.aggregate_strings(_joined, ","))
    .where(tally.c.source.in_(sa.bindparam("sources", expanding=True)))
    .where(tally.c.measure.in_(sa.bindparam("measures", expanding=True)))
    .where(tally.c.day.between(sa.bindparam("first"), sa.bindparam("last")))
    .group_by(tally.c.source, tally.c.measure)
)


def delete_source(connection: sa.Connection, source_id: int) -> None:
    """Forget a source that has no tally."""
    connection.execute(claim.delete().where(claim.c.source == source_id))
    connection.execute(source.delete().where(source.c.id == source_id))


def has_tallies(connection: sa.Connection, source_id: int) -> bool:
    """Whether the source has ever counted anything."""
    return connection.scalar(sa.select(tally.c.day).where(tally.c.source == source_id).limit(1)) is not None
