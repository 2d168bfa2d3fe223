"""What the months that lie behind add up to, by facility: worked out once from the tallies, so that years cost nothing.

Whatever changes a tally, or which source counts, forgets the months it touches (store/tallies.py, registry.py); they
are worked out again when they are next asked for. Nothing is lost when the table is emptied.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

import sqlalchemy as sa

from collector.series import Month
from collector.store import as_text
from collector.store.tables import facility, month_count, source


def of(
    connection: sa.Connection, ids: Sequence[str], first: date, before: date
) -> dict[str, dict[date, dict[str, Month]]]:
    """Facility → first day of a month → measure: what is known of the months from `first` until `before`."""
    query = sa.select(month_count).where(month_count.c.facility.in_(ids), month_count.c.month >= first)
    found: dict[str, dict[date, dict[str, Month]]] = defaultdict(dict)
    for row in connection.execute(query.where(month_count.c.month < before)):
        found[row.facility][row.month] = {code: Month(*one) for code, one in json.loads(row.measures).items()}
    return found


def save(connection: sa.Connection, found: Mapping[str, Mapping[date, Mapping[str, Month]]]) -> None:
    """Keep months that are not yet known; what another collector has kept in the meantime is the same."""
    starts = [first for by_month in found.values() for first in by_month]
    if not starts:
        return
    known = of(connection, list(found), min(starts), max(starts) + timedelta(days=1))
    rows = [
        {"facility": one, "month": first, "measures": as_text(dict(by_measure))}
        for one, by_month in found.items()
        for first, by_measure in by_month.items()
        if first not in known.get(one, {})
    ]
    if rows:
        connection.execute(month_count.insert(), rows)


def forget(connection: sa.Connection, sources: Iterable[int], days: Iterable[date] | None = None) -> None:
    """The months of `days` (None: all) no longer hold for the facilities of these sources, nor where those went."""
    place = sa.select(source.c.facility.label("id")).where(source.c.id.in_(sorted(set(sources))))
    forget_line(connection, place, days)


def forget_line(connection: sa.Connection, place: sa.Select[tuple[str]], days: Iterable[date] | None = None) -> None:
    """The same for the facilities that `place` selects as `id`, and what they were merged into."""
    line = place.cte("line", recursive=True)
    into = sa.select(facility.c.merged_into).join(line, facility.c.id == line.c.id)
    line = line.union(into.where(facility.c.merged_into.is_not(None)))
    statement = month_count.delete().where(month_count.c.facility.in_(sa.select(line.c.id)))
    if days is not None:
        statement = statement.where(month_count.c.month.in_(sorted({day.replace(day=1) for day in days})))
    connection.execute(statement)
