"""What is remembered of standings: since when an indicator is below its target, and where a road begins."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa

from collector.store.tables import baseline, below


@dataclass(frozen=True, slots=True)
class Baseline:
    """The share of a facility over its first complete days in the period of a plan that begins on `first_day`.

    `day`: the last of those days.
    """

    facility: str
    indicator: str
    plan: str
    first_day: date
    day: date
    numerator: int
    denominator: int


def below_since(connection: sa.Connection, ids: Sequence[str]) -> dict[str, dict[str, datetime]]:
    """Facility → indicator → since when it is below target."""
    found: dict[str, dict[str, datetime]] = defaultdict(dict)
    for row in connection.execute(sa.select(below).where(below.c.facility.in_(ids))):
        found[row.facility][row.indicator] = row.since
    return found


def save_below(
    connection: sa.Connection, now: Mapping[str, Mapping[str, datetime]], before: Mapping[str, Mapping[str, datetime]]
) -> dict[str, dict[str, datetime]]:
    """Bring what is remembered from `before` to `now`, both by facility and indicator; returns what is stored then."""
    gone = [(one, code) for one, of in before.items() for code in of if code not in now.get(one, {})]
    new = [(one, code, at) for one, of in now.items() for code, at in of.items() if code not in before.get(one, {})]
    for facility, code in gone:
        connection.execute(below.delete().where(below.c.facility == facility, below.c.indicator == code))
    known = below_since(connection, sorted({one for one, *_ in new}))
    # another collector may have been faster: its moment stands
    rows = [
        {"facility": one, "indicator": code, "since": at} for one, code, at in new if code not in known.get(one, {})
    ]
    if rows:
        connection.execute(below.insert(), rows)
    return below_since(connection, sorted(now))


def baselines(connection: sa.Connection, ids: Sequence[str]) -> dict[str, list[Baseline]]:
    """By facility."""
    found: dict[str, list[Baseline]] = defaultdict(list)
    for row in connection.execute(sa.select(baseline).where(baseline.c.facility.in_(ids))):
        found[row.facility].append(Baseline(*row))
    return found


def add_baselines(connection: sa.Connection, found: Iterable[Baseline]) -> None:
    """Freeze them; one that is there already stays as it is."""
    for one in found:
        key = [baseline.c[name] == getattr(one, name) for name in ("facility", "indicator", "plan", "first_day")]
        if connection.scalar(sa.select(baseline.c.day).where(*key)) is None:
            values = {name: getattr(one, name) for name in Baseline.__slots__}
            connection.execute(baseline.insert().values(values))
