"""Standings of 600 facilities in all windows: from cold, and of one facility that has changed.

The goals are those of the standings, from the tallies in the database on. Beside them, to inform, all that pages and
/metrics need. Cold: a collector's province put together for the first time after a start, from the database on: tallies
read, months summed up or read, standings, findings, the lines of /metrics. `Kept` months are those that an earlier
start has summed up. The peer is SQLite alone, asked for the bare sums by facility, measure and category of the same six
windows, one statement a window: no target, verdict, silence, completeness or text. A facility changes in the running
day at every poll, in another day when a count is late or corrected.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.folders import row, seconds, show
from benchmarks.province import as_served, fill, measured_by
from collector import windows
from collector.figures import load, recall
from collector.province import Province
from collector.standings import history, standings
from collector.store import Store, registry
from collector.store.registry import Facility
from collector.thresholds import Confirmation
from collector.yardstick import Yardstick
from contract.days import DayRange, local_day, now

FACILITIES, DAYS = 600, 366
_CHANGES = 20
_SUMS = """
    SELECT source.facility, tally.measure, one.key, SUM(one.value)
    FROM source JOIN tally ON tally.source = source.id, json_each(tally.counts) AS one
    WHERE tally.day BETWEEN ? AND ? AND source.facility {}
    GROUP BY 1, 2, 3
"""


def run() -> list[dict[str, Any]]:
    """Measure. Takes about a minute and a half."""
    as_served()
    yardstick = measured_by()
    with TemporaryDirectory() as name, closing(Store(f"sqlite:///{Path(name) / 'collector.sqlite'}")) as store:
        store.migrate()
        ids = list(fill(store, FACILITIES, DAYS))
        provinces = [Province(store, yardstick, Confirmation()) for _ in range(2)]
        first, kept = (seconds(partial(one.refresh, now())) for one in provinces)
        with store.read() as connection:
            places = registry.facilities(connection)
        alone = seconds(lambda: _standings(store, yardstick, places))
        one = median(seconds(partial(_standings, store, yardstick, [place])) for place in places[:_CHANGES]) * 1000
        today, other = (
            median(_changed(store, provinces[1], one, is_past) for one in ids[:_CHANGES]) * 1000
            for is_past in (False, True)
        )
        with closing(sqlite3.connect(Path(name) / "collector.sqlite")) as bare:
            peer = seconds(lambda: _sums(bare, "IS NOT NULL"))
            peer_of_one = seconds(lambda: _sums(bare, f"= '{ids[0]}'")) * 1000
    what = f"{FACILITIES} facilities × all indicators × {len(windows.WINDOWS)} windows, cold"
    return [
        row(f"standings alone, {what} (peer: bare sums in SQL)", alone, peer, "s", "< 5 s", alone < 5),
        row(f"all that pages and /metrics need, {what}", kept, peer, "s", "(informs)", True),
        row(f"the same at the very first start, {what}", first, peer, "s", "(informs)", True),
        row("standings alone, one facility (peer: bare sums in SQL)", one, peer_of_one, "ms", "< 10 ms", one < 10),
        row("one facility changed in the running day, all of it", today, peer_of_one, "ms", "< 10 ms", today < 10),
        row("one facility changed in another day, all of it", other, peer_of_one, "ms", "(informs)", True),
    ]


def _standings(store: Store, yardstick: Yardstick, places: Sequence[Facility]) -> None:
    moment = now()
    today = local_day(moment)
    near = history(("30d",), yardstick.thresholds, today).replace(day=1)
    far = history(windows.WINDOWS, yardstick.thresholds, today).replace(day=1)
    with store.read() as connection:
        for start in range(0, len(places), 50):
            some = load(connection, yardstick.catalogue, places[start : start + 50], near, today)
            recall(connection, yardstick.catalogue, some, far, near)
            for data in some:
                standings(data, yardstick, moment, windows.WINDOWS)


def _changed(store: Store, province: Province, facility: str, is_past: bool) -> float:
    with store.write() as connection:
        registry.hear(connection, {facility}, now(), is_past)
    return seconds(lambda: province.refresh(now()))


def _sums(bare: sqlite3.Connection, where: str) -> Sequence[object]:
    today = local_day(now())
    spans: list[DayRange] = [windows.window(one, today) for one in windows.WINDOWS]
    return [bare.execute(_SUMS.format(where), (str(one.first), str(one.last))).fetchall() for one in spans]


if __name__ == "__main__":
    show(run())
