"""What the agent remembers of each source: identity, progress, health, unmapped values. Lies in the ledger's file."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from agent import index
from agent.disk import Disk, decoded
from contract.adapter import Reading, Unmapped
from contract.days import DayRange

# A raw value leaves the hospital only when it is frequent enough to be no person's (architecture.md, "Agent").
FREQUENT_CASES, FREQUENT_DAYS, MOST_VALUES, WINDOW_DAYS = 10, 3, 20, 30


@dataclass(frozen=True, slots=True)
class Health:
    """How the last reads of a source went. `since`: when it began to fail; `failed`: measure → why."""

    ok: bool = False
    read_at: datetime | None = None
    since: datetime | None = None
    error: str | None = None
    failed: Mapping[str, str] = field(default_factory=dict)
    strangers: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)


class Sources:
    """The agent's memory of its sources."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def identity(self, name: str) -> tuple[str | None, date | None]:
        """(identity, `from`) under which `name` was last read; (None, None) when it never was."""
        with self._disk.transaction() as connection:
            row = connection.execute("SELECT identity, first_day FROM source WHERE name = ?", (name,)).fetchone()
            return (row[0], row[1] and decoded(date.fromisoformat, row[1])) if row else (None, None)

    def set_identity(self, name: str, identity: str, first_day: date | None) -> None:
        """From now on `name` is this system; one that starts at another day is read from there."""
        with self._disk.transaction() as connection:
            if self.identity(name) not in ((None, None), (identity, first_day)):
                connection.execute("DELETE FROM progress WHERE source = ?", (name,))
            connection.execute(
                "INSERT INTO source (name, identity, first_day) VALUES (?, ?, ?) ON CONFLICT (name)"
                " DO UPDATE SET identity = excluded.identity, first_day = excluded.first_day",
                (name, identity, first_day and str(first_day)),
            )

    def last_good_day(self, name: str, measure: str) -> date | None:
        """The day before the first that was not read to its end; None when nothing was."""
        with self._disk.transaction() as connection:
            row = connection.execute(
                "SELECT last_good_day FROM progress WHERE source = ? AND measure = ?", (name, measure)
            ).fetchone()
            return decoded(date.fromisoformat, row[0]) if row else None

    def set_last_good_day(self, name: str, days: Mapping[str, date]) -> None:
        """Measure → last good day."""
        with self._disk.transaction() as connection:
            connection.executemany(
                "INSERT INTO progress VALUES (?, ?, ?) ON CONFLICT (source, measure)"
                " DO UPDATE SET last_good_day = excluded.last_good_day",
                [(name, measure, str(day)) for measure, day in days.items()],
            )

    def health(self, name: str) -> Health:
        """How `name` fares."""
        with self._disk.transaction() as connection:
            row = connection.execute(
                "SELECT ok, read_at, since, error, failed, strangers, seconds FROM source WHERE name = ?", (name,)
            ).fetchone()
            if row is None:
                return Health()
            ok, read_at, since, error, failed, strangers, seconds = row
            return Health(
                bool(ok),
                read_at and decoded(datetime.fromisoformat, read_at),
                since and decoded(datetime.fromisoformat, since),
                error,
                decoded(json.loads, failed),
                decoded(json.loads, strangers),
                decoded(json.loads, seconds),
            )

    def set_health(self, name: str, health: Health) -> None:
        """Keep `health`."""
        with self._disk.transaction() as connection:
            connection.execute(
                "INSERT INTO source (name, ok, read_at, since, error, failed, strangers, seconds)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET ok = excluded.ok,"
                " read_at = excluded.read_at, since = excluded.since, error = excluded.error,"
                " failed = excluded.failed, strangers = excluded.strangers, seconds = excluded.seconds",
                (
                    name,
                    health.ok,
                    health.read_at and health.read_at.isoformat(),
                    health.since and health.since.isoformat(),
                    health.error,
                    json.dumps(health.failed),
                    json.dumps(health.strangers),
                    json.dumps(health.seconds),
                ),
            )

    def unmapped(self, name: str, today: date) -> dict[str, dict[str, dict[str, int]]]:
        """Facility → measure → raw value → cases in 30 days. Stays in the hospital."""
        return self._unmapped(name, today, frequent=False)

    def unmapped_to_tell(self, name: str, today: date) -> dict[str, dict[str, dict[str, int]]]:
        """Like `unmapped`, the frequent ones only, at most 20 a measure: what may leave the hospital."""
        return self._unmapped(name, today, frequent=True)

    def _unmapped(self, name: str, today: date, frequent: bool) -> dict[str, dict[str, dict[str, int]]]:
        least_cases, least_days = (FREQUENT_CASES, FREQUENT_DAYS) if frequent else (1, 1)
        with self._disk.transaction() as connection:
            rows = connection.execute(
                "SELECT facility, measure, value, SUM(cases) AS n FROM unmapped WHERE source = ? AND day > ?"
                " GROUP BY facility, measure, value HAVING n >= ? AND COUNT(DISTINCT day) >= ? ORDER BY n DESC, value",
                (name, str(today - timedelta(days=WINDOW_DAYS)), least_cases, least_days),
            ).fetchall()
        found: dict[str, dict[str, dict[str, int]]] = {}
        told: Counter[str] = Counter()
        for facility, measure, value, cases in rows:
            told[measure] += 1
            if not frequent or told[measure] <= MOST_VALUES:
                found.setdefault(facility, {}).setdefault(measure, {})[value] = cases
        return found

    def prune(self, today: date) -> None:
        """Forget raw values that nobody asks about any more."""
        with self._disk.transaction() as connection:
            connection.execute("DELETE FROM unmapped WHERE day <= ?", (str(today - timedelta(days=WINDOW_DAYS)),))

    def problems(self, name: str) -> dict[str, int]:
        """What could not be read of a folder: our own sentence → number of files."""
        with self._disk.transaction() as connection:
            return index.problems(connection, name)


def record_unmapped(
    connection: sqlite3.Connection, source: str, measures: Iterable[str], days: DayRange, found: Iterable[Unmapped]
) -> None:
    """Replace what is known of `measures` on `days`."""
    for measure in measures:
        connection.execute(
            "DELETE FROM unmapped WHERE source = ? AND measure = ? AND day BETWEEN ? AND ?",
            (source, measure, str(days.first), str(days.last)),
        )
    connection.executemany(
        "INSERT INTO unmapped VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET cases = unmapped.cases + excluded.cases",
        [(source, one.facility, one.measure, str(one.day), one.value, one.cases) for one in found],
    )


def measures_read(reading: Reading) -> set[str]:
    """The measures that this step counted."""
    return {one.measure for one in reading.tallies}
