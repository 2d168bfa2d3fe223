"""A copy is taken and put back while agents push: afterwards the collector holds what the agents hold, to the last tally."""

import random
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from agent.test_push import Bench
from collector.store import Store, backup, tallies
from contract.days import local_day, now
from contract.errors import PushError
from tests.faulty_collector import FaultyCollector
from tests.hospital import Hospital
from tests.office import Office, serving

TODAY = local_day(now())
DAYS = [TODAY - timedelta(days=back) for back in range(30)]


class Pushing:
    """A real ledger and a real pusher, with a source that changes all the time."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench = bench
        self.pushes = 0
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            self.bench.read(self._random.choice(DAYS), cccd_qr=self._random.randrange(1000))
            try:
                self.bench.push()
                self.pushes += 1
            except PushError:  # away while the store is exchanged: the ledger keeps it
                self._stop.wait(0.1)

    def end(self) -> None:
        """Push what is left, as the next turns would."""
        self._stop.set()
        self._thread.join()
        self.bench.push()


@pytest.fixture
def office(store_url: str, tmp_path: Path) -> Iterator[Office]:
    one = Office(store_url, tmp_path)
    yield one
    one.store.close()


def held(store: Store) -> dict[tuple[str, str, str], dict[str, int]]:
    with store.read() as connection:
        sources = {one.id: one for one in tallies.sources(connection)}
        rows = tallies.between(connection, list(sources.values()), DAYS[-1], DAYS[0])
    return {(sources[one.source].facility, one.measure, str(one.day)): one.by_category for one in rows}


def owned(bench: Bench) -> dict[tuple[str, str, str], dict[str, int]]:
    with closing(bench.disk.read()) if False else bench.disk.transaction() as connection:
        rows = connection.execute("SELECT facility, measure, day, counts FROM tally").fetchall()
    import json

    return {(facility, measure, day): json.loads(counts) for facility, measure, day, counts in rows}
