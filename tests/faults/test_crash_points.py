"""Agent and collector die before and after every commit and every answer; nothing is lost, nothing invented."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import date
from itertools import count
from pathlib import Path
from random import Random

import pytest

from collector import registry
from collector.access import Access
from collector.settings import load
from collector.store import Store, tallies
from contract import catalogue
from contract.days import local_day, now
from contract.tally import Key
from demo.running import reserve
from tests.faults.crash import DIED
from tests.faults.hospital import Hospital, changing
from tests.faults.oracle import Oracle, Stored
from tests.faults.truth import Truth

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent.parent
TODAY = local_day(now())


class Runner:
    """The other end of `tests.faults.crash`."""

    def __init__(self, directory: Path) -> None:
        self._log = directory / "log"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.crash"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def ask(self, job: object) -> int:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def start(self, program: str, config: Path, at: int = 0) -> int:
        return self.ask([program, str(config), at, str(self._log)])

    def wait(self, pid: int) -> int:
        return self.ask(pid)

    def agent(self, config: Path, at: int = 0) -> int:
        """One `poll-once`, to its end or its death."""
        return self.wait(self.start("agent", config, at))

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8")

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


class Site:
    """A hospital and a collector in a directory, both set up and nothing sent."""

    def __init__(self, directory: Path, runner: Runner, port: int) -> None:
        self.directory, self.runner, self.port = directory, runner, port
        self.truth = Truth()
        self.oracle = Oracle(self.truth)
        self.random = Random(1)
        self.hospital = Hospital(directory / "hospital", ["12001"], f"http://127.0.0.1:{port}", self.truth, TODAY)
        self.change()
        self.config = directory / "collector.toml"
        self.config.write_text(f'[collector]\nlisten = "127.0.0.1:{port}"\ndata_dir = "collector"\n')
        (directory / "collector").mkdir()
        settings = load(self.config)
        with closing(Store(settings.database)) as store:
            store.migrate()
            line = registry.line("12001", {"id": "12001", "name": "Bệnh viện", "level": "province"})
            registry.register(store, [("12001", line)], catalogue.load(), now())
            access = Access(store, settings.revocations)
            self.hospital.token.write_text(access.enrol(access.make_code(["12001"], None, now()), now())[1])

    def change(self) -> None:
        for _ in range(5):
            self.hospital.change_all(self.random, changing(TODAY))

    def stored(self) -> list[Stored]:
        with closing(Store(load(self.config).database)) as store, store.read() as connection:
            sources = {one.id: one for one in tallies.sources(connection)}
            rows = tallies.between(connection, sources.values(), date.min, date.max)
        found = []
        for row in rows:
            source = sources[row.source]
            key = Key(source.facility, source.name, row.measure, row.day)
            found.append(Stored(key, row.revision, row.by_category))
        return found

    def serve(self, at: int = 0) -> int:
        """Start a collector; returns when it answers or has died."""
        pid = self.runner.start("collector", self.config, at)
        while not answers(self.port) and alive(pid):
            time.sleep(0.02)
        return pid

    def end(self, serving: int) -> None:
        """Kill a collector."""
        os.kill(serving, signal.SIGKILL)
        self.runner.wait(serving)

    def keep(self) -> None:
        """What is there now is what `back` leads to."""
        shutil.copytree(self.directory, self.directory.with_suffix(".kept"))

    def back(self) -> None:
        shutil.rmtree(self.directory)
        shutil.copytree(self.directory.with_suffix(".kept"), self.directory)


def answers(port: int) -> bool:
    with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), 1)):
        return True
    return False


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def site(memory: Path) -> Iterator[Site]:
    (memory / "site").mkdir()
    with closing(Runner(memory)) as runner, closing(reserve(range(31_000, 32_000))) as held:
        yield Site(memory / "site", runner, held.getsockname()[1])


def agent_dies(site: Site, moment: int) -> bool:
    """Whether there is such a moment: the agent died at it, and its next run made everything right."""
    code = site.runner.agent(site.hospital.config, moment)
    assert code in (0, DIED), site.runner.log[-2000:]
    assert site.oracle.invented(site.stored()) == 0
    if code:
        assert site.runner.agent(site.hospital.config) == 0, site.runner.log[-2000:]
    assert site.oracle.differences(site.stored()) == [], f"died at moment {moment}"
    return code == DIED


def test_an_agent_that_dies_at_any_commit_of_its_first_read_loses_and_invents_nothing(site: Site) -> None:
    site.keep()
    for moment in count(1):
        serving = site.serve()
        has_died = agent_dies(site, moment)
        site.end(serving)
        if not has_died:
            break
        site.back()
    assert moment > 10


def test_an_agent_that_dies_at_any_commit_of_a_correction_loses_and_invents_nothing(site: Site) -> None:
    serving = site.serve()
    assert site.runner.agent(site.hospital.config) == 0
    for moment in count(1):
        site.change()
        if not agent_dies(site, moment):
            break
    site.end(serving)
    assert moment > 10


@pytest.mark.parametrize("known", [False, True], ids=["at its first push", "at a correction"])
def test_a_collector_that_dies_at_any_commit_or_answer_loses_and_invents_nothing(site: Site, known: bool) -> None:
    if known:
        serving = site.serve()
        assert site.runner.agent(site.hospital.config) == 0
        site.end(serving)
        site.change()
    site.keep()
    for moment in count(1):
        serving = site.serve(moment)
        site.runner.agent(site.hospital.config)
        if has_died := not alive(serving):
            assert site.runner.wait(serving) == DIED, site.runner.log[-2000:]
            assert site.oracle.invented(site.stored()) == 0
            serving = site.serve()
            assert site.runner.agent(site.hospital.config) == 0, site.runner.log[-2000:]
        assert site.oracle.differences(site.stored()) == [], f"died at moment {moment}"
        site.end(serving)
        if not has_died:
            break
        site.back()
    assert moment > 5
