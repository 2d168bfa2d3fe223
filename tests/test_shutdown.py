"""A collector or an agent that is told to end (SIGTERM) finishes what it has begun, and says nothing that is not so."""

import json
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.test_service import QUICK, running, until
from collector.test_commands import Desk, add, enrolled, ready
from contract.days import now
from tests.faulty_collector import TOKEN, FaultyCollector, hangs
from tests.hospital import Hospital
from tests.office import a_push, a_source, a_tally, bearer

pytestmark = pytest.mark.slow
YESTERDAY = now().date() - timedelta(days=1)
GRACE_SECONDS = 10
"""What systemd, and people, may count on: after this nothing is waited for any more."""


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Nobody can commit to this SQLite file."""
    with closing(sqlite3.connect(file, isolation_level=None, timeout=30)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


class Pushing:
    """Someone who sends revisions of one day, and remembers what was acked."""

    def __init__(self, url: str, token: str, source: str) -> None:
        self.acked = 0
        self.sent = 0
        self.is_sending = threading.Event()
        self.problems: list[str] = []
        self._source = source
        self._token = token
        self._client = httpx.Client(base_url=url, trust_env=False, timeout=30)

    def push(self) -> None:
        """One push; nothing is wrong with a connection that the other side no longer takes."""
        self.sent += 1
        counts = {"qr": self.sent}
        body = a_push(
            self._token.partition(".")[0],
            [a_tally(YESTERDAY, self.sent, counts, source=self._source)],
            [a_source(self._source, part=self._source)],
            sent_at=now().isoformat(),
        )
        self.is_sending.set()
        answer = self._client.post("/api/v1/tallies", json=body, headers=bearer(self._token))
        if answer.status_code == 200 and answer.json()["accepted"] == 1:
            self.acked = self.sent
        else:
            self.problems.append(f"{answer.status_code} {answer.text}")

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def push_until_it_is_gone(self) -> None:
        """As fast as it goes."""
        with suppress(httpx.TransportError):
            while True:
                self.push()


def stored(file: Path) -> dict[str, int]:
    """Source → revision."""
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute("SELECT s.name, t.revision FROM tally t JOIN source s ON s.id = t.source").fetchall()
    return dict(found)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    one = Desk(tmp_path)
    one.run("migrate")
    add(one, "12001")
    return one


@contextmanager
def serving(desk: Desk, count: int) -> Iterator[tuple[Any, list[Pushing]]]:
    """A collector in a process of its own, and so many who push to it."""
    process = desk.start()
    pushing: list[Pushing] = []
    try:
        with ready(desk.port) as client:
            token = enrolled(desk, client, "12001")
        pushing += [Pushing(f"http://127.0.0.1:{desk.port}", token, f"his{n}") for n in range(count)]
        yield process, pushing
    finally:
        process.kill()
        process.wait()
        for one in pushing:
            one.close()


def test_pushes_that_a_collector_has_begun_are_answered_after_it_was_told_to_end(desk: Desk) -> None:
    file = desk.directory / "data" / "collector.sqlite"
    with serving(desk, 6) as (process, pushing):
        threads = [threading.Thread(target=one.push) for one in pushing]
        with locked(file):
            for thread in threads:
                thread.start()
            assert all(one.is_sending.wait(10) for one in pushing)
            time.sleep(1)  # they are on a socket of this machine by now, and wait for the database
            process.send_signal(signal.SIGTERM)
            time.sleep(1)
            assert process.poll() is None
            with pytest.raises(httpx.ConnectError):
                httpx.get(f"http://127.0.0.1:{desk.port}/healthz", trust_env=False)
        for thread in threads:
            thread.join()
        assert process.wait(GRACE_SECONDS) == 0
    assert [(one.acked, one.problems) for one in pushing] == [(1, [])] * 6
    assert stored(file) == {f"his{n}": 1 for n in range(6)}
    assert "Traceback" not in (desk.directory / "log").read_text()


def test_all_that_was_acked_in_the_midst_of_ending_is_stored(desk: Desk) -> None:
    with serving(desk, 4) as (process, pushing):
        threads = [threading.Thread(target=one.push_until_it_is_gone) for one in pushing]
        for thread in threads:
            thread.start()
        until(lambda: all(one.acked >= 3 for one in pushing))
        process.send_signal(signal.SIGTERM)
        assert process.wait(GRACE_SECONDS + 5) == 0
        for thread in threads:
            thread.join()
    found = stored(desk.directory / "data" / "collector.sqlite")
    for number, one in enumerate(pushing):
        assert one.problems == []
        assert one.acked <= found[f"his{number}"] <= one.sent


def test_an_answer_that_comes_while_the_agent_ends_is_still_taken(tmp_path: Path) -> None:
    with FaultyCollector() as collector:
        hospital = Hospital(tmp_path, collector=collector.url)
        hospital.token.write_text(TOKEN)
        hospital.configure(agent=QUICK)
        hospital.come(now().date(), 2)
        collector.faults.append(hangs(2))
        with running(hospital) as process:
            until(lambda: collector.pushes)
            process.send_signal(signal.SIGTERM)
            assert process.wait(GRACE_SECONDS) == 0
        status = json.loads(hospital.run("status", "--json").stdout)
        assert status["waiting"] == 0
        assert collector.counts(now().date()) == {"cccd_qr": 2}
