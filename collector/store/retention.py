"""What is no longer kept: each call deletes a little, in its caller's transaction."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

import sqlalchemy as sa

from collector.store.tables import alert, audit, claim, meta, month_count, reminder, tally, tally_log, upload

_KEPT_FROM = "kept_from"
BY_MOMENT: Mapping[str, sa.Column[datetime]] = {
    "tally_log": tally_log.c.replaced_at,
    "upload": upload.c.at,
    "reminder": reminder.c.at,
    "alert": alert.c.ends_at,
    "audit": audit.c.at,
}
"""Tables whose rows are deleted when this moment of theirs is past; a row that has none stays."""


def kept_from(connection: sa.Connection) -> date | None:
    """The first day whose tallies are all still there; None: nothing was ever deleted."""
    found = connection.scalar(sa.select(meta.c.value).where(meta.c.name == _KEPT_FROM))
    return None if found is None else date.fromisoformat(found)


def keep_from(connection: sa.Connection, day: date) -> None:
    """Say that tallies of earlier days may be gone, before the first of them goes. It never moves back."""
    before = kept_from(connection)
    if before is None:
        connection.execute(meta.insert().values(name=_KEPT_FROM, value=day.isoformat()))
    elif before < day:
        connection.execute(meta.update().where(meta.c.name == _KEPT_FROM).values(value=day.isoformat()))


def with_tallies_before(connection: sa.Connection, day: date) -> Sequence[tuple[int, str]]:
    """The (source, measure) that have tallies of earlier days: a look at an index for each, whatever there is."""
    has = sa.exists().where(tally.c.source == claim.c.source, tally.c.measure == claim.c.measure, tally.c.day < day)
    found = connection.execute(sa.select(claim.c.source, claim.c.measure).where(has).order_by(claim.c.id))
    return [(row.source, row.measure) for row in found]


def forget_tallies(connection: sa.Connection, source: int, measure: str, before: date) -> int:
    """Delete what this source has counted of a measure on earlier days; returns how many tallies."""
    old = tally.c.source == source, tally.c.measure == measure, tally.c.day < before
    return connection.execute(tally.delete().where(*old)).rowcount


def forget_months(connection: sa.Connection, before: date) -> None:
    """Delete the sums of earlier months."""
    connection.execute(month_count.delete().where(month_count.c.month < before))


def forget_rows(
    connection: sa.Connection, table: str, before: datetime, after: int, most: int
) -> tuple[int, int | None]:
    """Look at the `most` rows of a table of `BY_MOMENT` that follow the id `after`, and delete the old among them.

    Returns how many were deleted, and the last id that was looked at; None: nothing old was there, so that later rows
    need no look, for they were added in the order of their moments.
    """
    at = BY_MOMENT[table]
    if "id" not in at.table.c:  # small enough for one statement
        return connection.execute(sa.delete(at.table).where(at < before)).rowcount, None
    id_ = at.table.c.id
    rows = connection.execute(sa.select(id_, at).where(id_ > after).order_by(id_).limit(most)).all()
    old = [row[0] for row in rows if row[1] is not None and row[1] < before]
    if not old:
        return 0, None
    return connection.execute(sa.delete(at.table).where(id_.in_(old))).rowcount, rows[-1][0]
