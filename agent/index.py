"""The index of folder kinds: which file said what of which case, and the counts that follow.

It lies in the ledger's file and is written in the same transactions. It can be deleted: reading all files again
rebuilds it. Nothing in it leads back to a person (see `contract.adapter.Entry`).
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from datetime import date

from agent.disk import decoded
from contract.adapter import DayCount, Reading

# The rule of `contract.adapter.Entry`: the highest rank decides the category, the highest that has a day the day.
_COUNTS = """
WITH wanted AS (
  SELECT DISTINCT "case" FROM entry WHERE source = :source AND measure = :measure AND day BETWEEN :first AND :last
), placed AS (
  SELECT e."case", e.category, e.facility, e.day, e.cases,
    ROW_NUMBER() OVER (PARTITION BY e."case" ORDER BY e.rank DESC, e.path DESC) AS nth,
    ROW_NUMBER() OVER (PARTITION BY e."case" ORDER BY e.day IS NULL, e.rank DESC, e.path DESC) AS nth_with_day
  FROM entry e JOIN wanted w ON w."case" = e."case"
  WHERE e.source = :source AND e.measure = :measure
), decided AS (
  SELECT "case", MAX(CASE WHEN nth = 1 THEN category END) AS category, MAX(CASE WHEN nth = 1 THEN cases END) AS cases,
    MAX(CASE WHEN nth_with_day = 1 THEN facility END) AS facility,
    MAX(CASE WHEN nth_with_day = 1 THEN day END) AS day
  FROM placed GROUP BY "case"
)
SELECT facility, day, category, SUM(cases) FROM decided
WHERE category IS NOT NULL AND day BETWEEN :first AND :last GROUP BY facility, day, category
"""


def take(connection: sqlite3.Connection, source: str, reading: Reading, keep_before: date) -> None:
    """Replace what the files of `reading` said, and note the days on which that may change a count.

    Files that are gone take their cases with them, except those whose cases are all older than `keep_before`: a
    hospital that moves last year's files to an archive does not undo last year.
    """
    gone = [path for path in reading.gone if _newest_day(connection, source, path) >= str(keep_before)]
    away = set(reading.gone) - set(gone)
    connection.executemany("UPDATE file SET away = 1 WHERE source = ? AND path = ?", [(source, path) for path in away])
    read = [(seen.path, seen.entries) for seen in reading.files if seen.entries is not None]
    paths = [path for path, _ in read] + gone
    cases: set[tuple[str, bytes]] = {(one.measure, one.case) for _, entries in read for one in entries}
    for path in paths:
        cases.update(
            connection.execute('SELECT measure, "case" FROM entry WHERE source = ? AND path = ?', (source, path))
        )
    _touch(connection, source, cases)
    connection.executemany("DELETE FROM entry WHERE source = ? AND path = ?", [(source, path) for path in paths])
    connection.executemany("DELETE FROM file WHERE source = ? AND path = ?", [(source, path) for path in gone])
    connection.executemany(
        "INSERT OR REPLACE INTO file (source, path, identity, problem) VALUES (?, ?, ?, ?)",
        [(source, seen.path, seen.identity, seen.problem) for seen in reading.files],
    )
    connection.executemany(
        "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(source, path, *one[:5], one.day and str(one.day), one.cases) for path, entries in read for one in entries],
    )
    _touch(connection, source, cases)


def touched(connection: sqlite3.Connection, source: str) -> set[tuple[str, str, date]]:
    """(measure, facility, day) whose counts may differ from what the ledger holds."""
    rows = connection.execute("SELECT measure, facility, day FROM touched WHERE source = ?", (source,))
    return {(measure, facility, decoded(date.fromisoformat, day)) for measure, facility, day in rows}


def counts(connection: sqlite3.Connection, source: str, wanted: Iterable[tuple[str, str, date]]) -> list[DayCount]:
    """The counts of these (measure, facility, day) from all files known; a day with no case at all is left out."""
    days_of: dict[str, set[date]] = defaultdict(set)
    for measure, _, day in wanted:
        days_of[measure].add(day)
    found: dict[tuple[str, str, date], dict[str, int]] = defaultdict(dict)
    for measure, days in days_of.items():
        parameters = {"source": source, "measure": measure, "first": str(min(days)), "last": str(max(days))}
        for facility, day, category, cases in connection.execute(_COUNTS, parameters):
            found[measure, facility, decoded(date.fromisoformat, day)][category] = cases
    return [
        DayCount(facility, measure, day, by_category)
        for (measure, facility, day), by_category in found.items()
        if day in days_of[measure]
    ]


def forget_touched(connection: sqlite3.Connection, source: str) -> None:
    """The counts of all touched days are recorded."""
    connection.execute("DELETE FROM touched WHERE source = ?", (source,))


def problems(connection: sqlite3.Connection, source: str) -> dict[str, int]:
    """What could not be read: our own sentence → number of files."""
    rows = connection.execute(
        "SELECT problem, COUNT(*) FROM file WHERE source = ? AND problem IS NOT NULL GROUP BY problem", (source,)
    )
    return dict(rows.fetchall())


def _newest_day(connection: sqlite3.Connection, source: str, path: bytes) -> str:
    row = connection.execute("SELECT MAX(day) FROM entry WHERE source = ? AND path = ?", (source, path)).fetchone()
    # A file that held no case has nothing worth keeping.
    return row[0] or "9999-12-31"


def _touch(connection: sqlite3.Connection, source: str, cases: Iterable[tuple[str, bytes]]) -> None:
    connection.executemany(
        "INSERT OR IGNORE INTO touched SELECT source, measure, facility, day FROM entry"
        ' WHERE source = ? AND measure = ? AND "case" = ? AND day IS NOT NULL AND facility IS NOT NULL',
        [(source, measure, case) for measure, case in cases],
    )
