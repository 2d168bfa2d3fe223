"""What was corrected: which counts of a day were replaced, when, and by which."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa
from pydantic_core import from_json

from collector.store.tables import tally, tally_log


@dataclass(frozen=True, slots=True)
class Correction:
    """A day of a measure, by category, before and after; `at`: when the collector took it."""

    source: int
    measure: str
    day: date
    before: dict[str, int]
    after: dict[str, int]
    at: datetime

    @property
    def changed(self) -> list[str]:
        """The categories that differ."""
        return sorted(one for one in self.before | self.after if self.before.get(one, 0) != self.after.get(one, 0))


def newest(connection: sa.Connection, sources: Sequence[int], measure: str | None, most: int) -> list[Correction]:
    """The newest `most` corrections of these sources, of one measure or all, the newest first."""
    query = sa.select(tally_log).where(tally_log.c.source.in_(sources)).order_by(tally_log.c.id.desc())
    if measure is not None:
        query = query.where(tally_log.c.measure == measure)
    return [
        Correction(row.source, row.measure, row.day, from_json(row.counts), _after(connection, row), row.replaced_at)
        for row in connection.execute(query.limit(most)).all()
    ]


def _after(connection: sa.Connection, row: sa.Row[tuple[object, ...]]) -> dict[str, int]:
    """What took the place of a logged tally: the next that was logged, or the one that stands."""
    log, key = tally_log.c, ("source", "measure", "day")
    later = sa.select(log.counts).where(log.id > row.id, *(log[one] == getattr(row, one) for one in key))
    counts = connection.scalar(later.order_by(log.id).limit(1))
    if counts is None:
        now = sa.select(tally.c.counts).where(*(tally.c[one] == getattr(row, one) for one in key))
        counts = connection.scalar(now)
    found: dict[str, int] = from_json(counts or "{}")
    return found
