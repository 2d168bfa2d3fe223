"""The ledger: what was counted, at which revision, and what the collector has said it keeps.

A row waits to be sent while revision > acked, unless it is parked (refused, or put aside) or unsettled (the
collector holds other counts at `stored`, so its day has to be read again first).

Every row carries a checksum. One whose bits have flipped on the disk is never sent: nothing of it is believed but that
its day must be read again.
"""

import json
import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from agent.disk import Disk, decoded, row_sum
from contract.adapter import DayCount
from contract.days import DayRange
from contract.tally import Ack, Counts, Key, MonthDigest, Tally, digest

# Two ways of being parked that are not refusals: an old day that came back empty while the collector holds cases,
# and a day that cannot be read again while the collector holds other counts.
VANISHED = "vanished"
UNREADABLE = "unreadable"
_ASIDE = (VANISHED, UNREADABLE)
_WAITING = "revision > acked AND parked IS NULL AND stored IS NULL"
_WHERE_KEY = "WHERE source = ? AND facility = ? AND measure = ? AND day = ?"
KEEP_DAYS = 400
log = logging.getLogger(__name__)


class Parked(NamedTuple):
    """A tally that is not sent, and why."""

    key: Key
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rule:
    """How a read is taken: `{}` for a day before `vanish_before` does not replace what the collector holds."""

    vanish_before: date
    accept_empty: bool = False


class Ledger:
    """Tallies of this agent, on its disk."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def record(self, source: str, counts: Iterable[DayCount], rule: Rule) -> None:
        """Take what was read, in one transaction; only what changed gets a new revision."""
        with self._disk.transaction() as connection:
            record(connection, source, counts, rule)

    def waiting(self, limit: int) -> list[Tally]:
        """Tallies to send, today's first, then backwards."""
        with self._disk.transaction() as connection:
            rows = connection.execute(
                "SELECT source, facility, measure, day, revision, counts, sum FROM tally INDEXED BY tally_waiting"
                f" WHERE {_WAITING} ORDER BY day DESC LIMIT ?",
                (limit,),
            ).fetchall()
            return [
                Tally(Key(facility, source, measure, _day(day)), revision, _counts(counts))
                for source, facility, measure, day, revision, counts, sum_ in rows
                if _holds(connection, (source, facility, measure, day), sum_, revision, counts, None)
            ]

    def tallies(self, source: str, days: DayRange) -> list[Tally]:
        """All that is held of `source` for `days`."""
        with self._disk.transaction() as connection:
            rows = connection.execute(
                "SELECT facility, measure, day, revision, counts FROM tally WHERE source = ? AND day BETWEEN ? AND ?"
                " ORDER BY day, facility, measure",
                (source, str(days.first), str(days.last)),
            )
            return [
                Tally(Key(facility, source, measure, _day(day)), revision, _counts(counts))
                for facility, measure, day, revision, counts in rows
            ]

    def size(self) -> tuple[int, int]:
        """(how many tallies wait, how many are parked)."""
        with self._disk.transaction() as connection:
            waiting = connection.execute(f"SELECT COUNT(*) FROM tally WHERE {_WAITING}").fetchone()[0]
            parked = connection.execute("SELECT COUNT(*) FROM tally WHERE parked IS NOT NULL").fetchone()[0]
        return waiting, parked

    def settle(self, sent: Sequence[Tally], ack: Ack) -> None:
        """Take the collector's verdicts on `sent`.

        An ack marks the revision that was sent: a row that has changed meanwhile goes on waiting.
        """
        stale = {one.index: one.revision for one in ack.stale}
        refused = {one.index: one for one in ack.refused}
        with self._disk.transaction() as connection:
            for index, tally in enumerate(sent):
                if index in stale:
                    self._unsettle(connection, tally, stale[index])
                elif index in refused:
                    self._park(connection, tally, refused[index].code, refused[index].reason)
                else:
                    # a row that was found damaged meanwhile has begun anew, below what was sent
                    connection.execute(
                        f"UPDATE tally SET acked = MAX(acked, ?) {_WHERE_KEY} AND revision >= ?",
                        (tally.revision, *_row(tally.key), tally.revision),
                    )

    def _unsettle(self, connection: sqlite3.Connection, tally: Tally, stored: int) -> None:
        # Already above what is stored: the row changed since it was sent and will win by itself.
        row = connection.execute(
            f"SELECT revision, counts FROM tally {_WHERE_KEY} AND revision <= ?", (*_row(tally.key), stored)
        ).fetchone()
        if row:
            sum_ = row_sum(*_row(tally.key), *row, stored)
            connection.execute(f"UPDATE tally SET stored = ?, sum = ? {_WHERE_KEY}", (stored, sum_, *_row(tally.key)))

    def _park(self, connection: sqlite3.Connection, tally: Tally, code: str, reason: str) -> None:
        connection.execute(
            f"UPDATE tally SET parked = ?, reason = ? {_WHERE_KEY} AND revision = ?",
            (code, reason[:500], *_row(tally.key), tally.revision),
        )

    def unsettled(self, source: str) -> list[Key]:
        """Keys whose day must be read again before anything more is said of them."""
        with self._disk.transaction() as connection:
            rows = connection.execute(
                "SELECT facility, source, measure, day FROM tally INDEXED BY tally_unsettled"
                " WHERE source = ? AND stored IS NOT NULL AND parked IS NULL ORDER BY day",
                (source,),
            )
            return [Key(facility, name, measure, _day(day)) for facility, name, measure, day in rows]

    def give_up(self, keys: Iterable[Key]) -> None:
        """These days cannot be read again: the collector's counts stand, and the rows take its revision."""
        with self._disk.transaction() as connection:
            for key in keys:
                row = connection.execute(
                    f"SELECT stored, counts FROM tally {_WHERE_KEY} AND stored IS NOT NULL", _row(key)
                ).fetchone()
                if row:
                    stored, counts = row
                    connection.execute(
                        f"UPDATE tally SET revision = ?, acked = ?, sum = ?, parked = ?, reason = NULL {_WHERE_KEY}",
                        (stored, stored, row_sum(*_row(key), stored, counts, stored), UNREADABLE, *_row(key)),
                    )

    def retry_refused(self) -> None:
        """Offer again what was refused: the catalogue or the registry may have changed."""
        with self._disk.transaction() as connection:
            connection.execute("UPDATE tally SET parked = NULL, reason = NULL WHERE parked NOT IN (?, ?)", _ASIDE)

    def offer_all(self) -> None:
        """The collector's store is another one (a restore): nothing counts as delivered."""
        with self._disk.transaction() as connection:
            connection.execute("UPDATE tally SET acked = 0 WHERE parked IS NULL OR parked NOT IN (?, ?)", _ASIDE)

    def offer_months(self, months: Iterable[tuple[str, str, str, str]]) -> None:
        """Send these months (source, facility, measure, `2026-11`) again."""
        with self._disk.transaction() as connection:
            connection.executemany(
                "UPDATE tally SET acked = 0 WHERE source = ? AND facility = ? AND measure = ?"
                " AND substr(day, 1, 7) = ? AND parked IS NULL",
                list(months),
            )

    def parked(self) -> list[Parked]:
        """What is not sent, and why."""
        with self._disk.transaction() as connection:
            rows = connection.execute(
                "SELECT facility, source, measure, day, parked, COALESCE(reason, '') FROM tally"
                " WHERE parked IS NOT NULL ORDER BY day DESC"
            )
            return [Parked(Key(f, s, m, _day(day)), code, why) for f, s, m, day, code, why in rows]

    def holds_cases(self, source: str, measure: str, days: DayRange) -> bool:
        """Whether any day in `days` is known to have a case."""
        with self._disk.transaction() as connection:
            row = connection.execute(
                "SELECT 1 FROM tally WHERE source = ? AND measure = ? AND day BETWEEN ? AND ? AND counts <> '{}'",
                (source, measure, str(days.first), str(days.last)),
            ).fetchone()
        return row is not None

    def newest_days(self, source: str) -> dict[str, date]:
        """The newest day that has a case, by facility."""
        with self._disk.transaction() as connection:
            rows = connection.execute(
                "SELECT facility, MAX(day) FROM tally WHERE source = ? AND counts <> '{}' GROUP BY facility", (source,)
            )
            return {facility: _day(day) for facility, day in rows}

    def held(self, source: str, places: Iterable[tuple[str, str, date]]) -> dict[tuple[str, str, date], Counts]:
        """The counts of those of `places` (measure, facility, day) that have a row."""
        found = {}
        with self._disk.transaction() as connection:
            for measure, facility, day in places:
                key = (source, facility, measure, str(day))
                if row := connection.execute(f"SELECT counts FROM tally {_WHERE_KEY}", key).fetchone():
                    found[measure, facility, day] = _counts(row[0])
        return found

    def digests(self, source: str) -> list[tuple[MonthDigest, DayRange]]:
        """One for each (facility, measure, month) held, and the first and last day of it that is held.

        Without months in which something waits, is unsettled or aside.
        """
        days: dict[tuple[str, str, str], list[tuple[date, Mapping[str, int]]]] = {}
        open_months: set[tuple[str, str, str]] = set()
        with self._disk.transaction() as connection:
            rows = connection.execute(
                "SELECT facility, measure, day, revision, counts, sum,"
                f" ({_WAITING}) OR stored IS NOT NULL OR parked IS NOT NULL FROM tally WHERE source = ?",
                (source,),
            ).fetchall()
            for facility, measure, day, revision, counts, sum_, is_open in rows:
                month = (facility, measure, day[:7])
                if is_open or not _holds(connection, (source, facility, measure, day), sum_, revision, counts, None):
                    open_months.add(month)
                else:
                    days.setdefault(month, []).append((_day(day), _counts(counts)))
        return [
            (
                MonthDigest(facility=facility, source=source, measure=measure, month=month, digest=digest(content)),
                DayRange(min(day for day, _ in content), max(day for day, _ in content)),
            )
            for (facility, measure, month), content in sorted(days.items())
            if (facility, measure, month) not in open_months
        ]

    def prune(self, today: date) -> None:
        """Forget delivered rows older than 400 days; what was never acked is never dropped.

        Except days that have not come, which were read under a wrong clock and refused: they are read in their time.
        """
        with self._disk.transaction() as connection:
            connection.execute(
                "DELETE FROM tally WHERE day < ? AND revision <= acked", (str(today - timedelta(days=KEEP_DAYS)),)
            )
            connection.execute("DELETE FROM tally WHERE day > ? AND parked = 'bad_day'", (str(today),))


def record(connection: sqlite3.Connection, source: str, counts: Iterable[DayCount], rule: Rule) -> None:
    """`Ledger.record` inside a transaction that holds more."""
    for one in counts:
        filled = json.dumps({code: n for code, n in sorted(one.counts.items()) if n}, separators=(",", ":"))
        key = (source, one.facility, one.measure, str(one.day))
        row = connection.execute(f"SELECT revision, counts, stored, sum FROM tally {_WHERE_KEY}", key).fetchone()
        if row is None:
            connection.execute(
                "INSERT INTO tally (source, facility, measure, day, counts, revision, sum)"
                " VALUES (?, ?, ?, ?, ?, 1, ?)",
                (*key, filled, row_sum(*key, 1, filled, None)),
            )
            continue
        revision, known, stored, sum_ = row
        if not _holds(connection, key, sum_, revision, known, stored):
            revision = stored = 0
        if stored is not None or filled != known:
            _update(connection, key, one.day, filled, max(revision, stored or 0) + 1, bool(stored), rule)


def _update(
    connection: sqlite3.Connection,
    key: tuple[str, str, str, str],
    day: date,
    filled: str,
    revision: int,
    is_disputed: bool,
    rule: Rule,
) -> None:
    if is_disputed and filled == "{}" and day < rule.vanish_before and not rule.accept_empty:
        # An old day that this source no longer knows: the collector's counts are the better witness.
        connection.execute(f"UPDATE tally SET parked = ? {_WHERE_KEY}", (VANISHED, *key))
        return
    connection.execute(
        f"UPDATE tally SET counts = ?, revision = ?, sum = ?, stored = NULL, parked = NULL, reason = NULL {_WHERE_KEY}",
        (filled, revision, row_sum(*key, revision, filled, None), *key),
    )


def _holds(connection: sqlite3.Connection, key: tuple[str, str, str, str], sum_: int, *cells: str | int | None) -> bool:
    """Whether a row (revision, counts, stored) is what was written; one that is not keeps nothing but its day."""
    if row_sum(*key, *cells) == sum_:
        return True
    log.error("sổ của agent: số đếm %s %s %s %s bị hỏng trên đĩa; đọc lại ngày đó", *key)
    connection.execute(
        "UPDATE tally SET counts = '{}', revision = 0, acked = 0, stored = 0, parked = NULL, reason = NULL, sum = ?"
        f" {_WHERE_KEY}",
        (row_sum(*key, 0, "{}", 0), *key),
    )
    # It may have been the row of another day: a database is read deep every night, a folder counts all its days anew.
    connection.execute(
        "INSERT OR IGNORE INTO touched SELECT DISTINCT source, measure, facility, day FROM entry"
        " WHERE day IS NOT NULL AND facility IS NOT NULL"
    )
    return False


def _row(key: Key) -> tuple[str, str, str, str]:
    return key.source, key.facility, key.measure, str(key.day)


def _day(text: str) -> date:
    return decoded(date.fromisoformat, text)


def _counts(text: str) -> Counts:
    return decoded(lambda cell: dict(json.loads(cell)), text)
