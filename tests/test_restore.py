"""A copy is taken and put back while agents push: afterwards the collector holds what they hold, to the last tally."""

import random
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from agent.link import Link
from agent.test_push import RULE, Bench
from collector.store import backup
from contract.adapter import DayCount
from contract.days import local_day, now
from contract.errors import PushError
from tests.hospital import Hospital
from tests.office import Office, serving

TODAY = local_day(now())
DAYS = [TODAY - timedelta(days=back) for back in range(30)]


class Agent:
    """A real ledger and a real pusher in a thread, over a source in which something changes all the time."""

    def __init__(self, directory: Path, url: str, facility: str, token: str) -> None:
        directory.mkdir()
        hospital = Hospital(directory, facility, url)
        self.bench = Bench(hospital, cast(Any, None))
        hospital.token.write_text(token)
        self._link = Link(self.bench.settings)
        self.pushes = self.failures = 0
        self._facility = facility
        self._random = random.Random(facility)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            counts = {"cccd_qr": self._random.randrange(1000)}
            count = DayCount(self._facility, "checkins", self._random.choice(DAYS), counts)
            self.bench.ledger.record("his", [count], RULE)
            try:
                self.bench.push()
                self.pushes += 1
            except PushError:  # the store is being exchanged: the ledger keeps it
                self.failures += 1

    def end(self) -> None:
        """No more changes; what waits is sent, as at the next poll."""
        self._stop.set()
        self._thread.join()
        self.bench.push()

    def close(self) -> None:
        """The agent ends."""
        self._link.close()
        self.bench.close()

    def is_known(self) -> bool:
        """Whether the collector holds what the ledger holds, and no more."""
        ours = {month for month, _ in self.bench.ledger.digests("his")}
        return self.bench.ledger.size() == (0, 0) and ours == set(self._link.digests(DAYS[-1], TODAY))


@pytest.fixture
def office(store_url: str, tmp_path: Path) -> Iterator[Office]:
    one = Office(store_url, tmp_path)
    yield one
    one.store.close()


def test_restored_under_load_the_collector_gets_everything_again(office: Office, tmp_path: Path) -> None:
    tokens = {one: office.enrol(one, at=now()) for one in ("12001", "12002", "12003")}
    with serving(office.app()) as client:
        agents = [Agent(tmp_path / one, str(client.base_url), one, token) for one, token in tokens.items()]
        try:
            for number in range(2):
                wait_for_pushes(agents, 2)
                backup.backup(office.store, tmp_path / f"copy{number}")
                wait_for_pushes(agents, 2)
                backup.restore(office.store, tmp_path / f"copy{number}")
            wait_for_pushes(agents, 1)
        finally:
            for one in agents:
                one.end()
        assert [one.is_known() for one in agents] == [True] * 3
        for one in agents:
            one.close()


def wait_for_pushes(agents: list[Agent], count: int) -> None:
    """Until each has pushed so many times more."""
    wanted = [one.pushes + count for one in agents]
    deadline = time.monotonic() + 60
    while any(one.pushes < more for one, more in zip(agents, wanted, strict=True)):
        assert time.monotonic() < deadline, [(one.pushes, one.failures) for one in agents]
        time.sleep(0.02)
