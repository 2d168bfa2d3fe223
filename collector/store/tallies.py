"""Sources, claims, current tallies, and the log of what a correction replaced."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from pydantic_core import from_json

from collector.store import months, rows
from collector.store.tables import claim, source, tally
from contract.catalogue import Cadence
from contract.days import midnight

_KEPT = "source, measure, day, revision, counts, received_at"
_PUT = f"""INSERT INTO tally ({_KEPT}) VALUES {{rows}} ON CONFLICT (source, measure, day)
DO UPDATE SET revision = excluded.revision, counts = excluded.counts, received_at = excluded.received_at"""
# CROSS JOIN: SQLite takes it as the order to go in.
_FIND = """WITH run (source, measure, first, last) AS (VALUES {rows})
SELECT tally.source, tally.measure, tally.day, tally.revision, tally.counts FROM run CROSS JOIN tally
WHERE tally.source = run.source AND tally.measure = run.measure AND tally.day BETWEEN run.first AND run.last"""
_LOG = f"""WITH gone (source, measure, day, ended, moment) AS (VALUES {{rows}})
INSERT INTO tally_log ({_KEPT}, replaced_at)
SELECT tally.source, tally.measure, tally.day, tally.revision, tally.counts, tally.received_at, gone.moment
FROM gone CROSS JOIN tally WHERE tally.source = gone.source AND tally.measure = gone.measure
AND tally.day = gone.day AND tally.received_at >= gone.ended"""
_DAY = timedelta(days=1)
# What decides which days of a source count.
COUNTS_BY = {"facility", "role", "part", "cadence", "first_day", "last_day"}


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

    def is_retired(self, day: date) -> bool:
        """Whether an operator has retired it before `day`: nothing more is expected of it."""
        return self.last_day is not None and self.last_day < day

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
        return self.source.is_retired(day)

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


def rostered(connection: sa.Connection, agents: Iterable[str]) -> set[str]:
    """The facilities at which these agents have named a source."""
    query = sa.select(source.c.facility).where(source.c.agent.in_(sorted(agents)), source.c.in_roster).distinct()
    return set(connection.scalars(query))


def claims(connection: sa.Connection, of: Iterable[Source]) -> list[Claim]:
    """The claims of these sources, the oldest first."""
    by_id = {one.id: one for one in of}
    query = sa.select(claim).where(claim.c.source.in_(list(by_id))).order_by(claim.c.id)
    found = connection.execute(query)
    return [Claim(one, by_id[source_id], measure, last_day) for one, source_id, measure, last_day in found]


def add_source(connection: sa.Connection, values: dict[str, Any]) -> Source:
    """A new source."""
    return Source(**connection.execute(source.insert().values(**values).returning(source)).mappings().one())


def update_source(connection: sa.Connection, source_id: int, values: dict[str, Any]) -> None:
    """Change columns of a source."""
    changed = [source.c[name].is_distinct_from(values[name]) for name in sorted(COUNTS_BY & values.keys())]
    if changed and connection.scalar(sa.select(source.c.id).where(source.c.id == source_id, sa.or_(*changed))):
        months.forget(connection, [source_id])
    connection.execute(source.update().where(source.c.id == source_id).values(**values))


def update_sources(connection: sa.Connection, changed: Iterable[tuple[Source, Source]]) -> None:
    """Bring sources from what they were to what they are; those that change alike in one statement."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for before, after in changed:
        names = tuple(name for name in Source.__slots__ if getattr(before, name) != getattr(after, name))
        alike[names].append({"b_id": before.id, **{f"b_{name}": getattr(after, name) for name in names}})
    for names, bound in alike.items():
        if COUNTS_BY.intersection(names):
            months.forget(connection, {one["b_id"] for one in bound})
        statement = source.update().where(source.c.id == sa.bindparam("b_id"))
        connection.execute(statement.values({name: sa.bindparam(f"b_{name}") for name in names}), bound)


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


def stored(connection: sa.Connection, days: Mapping[tuple[int, str], Set[date]]) -> dict[tuple[int, str, date], Row]:
    """What is stored of these days, by (source, measure)."""
    bound, read = rows.binder(connection, tally.c.day), rows.reader(connection, tally.c.day)
    runs = [
        (source_id, measure, bound(first), bound(last))
        for (source_id, measure), of in days.items()
        for first, last in _runs(of)
    ]
    found = (Row(one[0], one[1], read(one[2]), one[3], one[4]) for one in rows.query(connection, _FIND, runs))
    return {row[:3]: row for row in found}


def _runs(days: Set[date]) -> Iterator[tuple[date, date]]:
    """The first and the last of the days that have no gap between them."""
    first = last = None
    for day in sorted(days):
        if last is None or day != last + _DAY:
            if first is not None and last is not None:
                yield first, last
            first = day
        last = day
    if first is not None and last is not None:
        yield first, last


def insert(connection: sa.Connection, new: Sequence[Row], at: datetime) -> None:
    """New tallies."""
    if new:
        months.forget(connection, {row.source for row in new}, {row.day for row in new})
        _put(connection, new, at)


def replace(connection: sa.Connection, newer: Sequence[Row], corrected: Sequence[Row], at: datetime) -> None:
    """Newer revisions of tallies; what the `corrected` among them held is logged first.

    What was said of a day while it ran is no figure that a correction replaces: a running day changes at every poll,
    and a log of that would be a hundred times what is logged.
    """
    if corrected:
        day, moment = rows.binder(connection, tally.c.day), rows.binder(connection, tally.c.received_at)
        ends = {one: (day(one), moment(midnight(one + timedelta(days=1)))) for one in {row.day for row in corrected}}
        months.forget(connection, {row.source for row in corrected}, ends)
        gone = [(row.source, row.measure, *ends[row.day], moment(at)) for row in corrected]
        rows.execute(connection, _LOG, gone)
    _put(connection, newer, at)


def _put(connection: sa.Connection, these: Iterable[Row], at: datetime) -> None:
    bound = lru_cache(rows.binder(connection, tally.c.day))
    moment = rows.binder(connection, tally.c.received_at)(at)
    # in the order of the key, so that neighbours are written together
    values = [(s, m, bound(day), revision, counts, moment) for s, m, day, revision, counts in sorted(these)]
    rows.execute(connection, _PUT, values)


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
