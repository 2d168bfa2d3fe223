"""The service: polls and pushes by itself, ends when told, survives kills, clocks, outages and nights."""

import json
import logging
import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from agent.app import Agent, start
from agent.poll import Poller, Wish
from agent.reader import Description
from agent.schedule import Service
from agent.settings import Source, load
from agent.sources import Health
from conftest import free_port
from contract.catalogue import Catalogue
from contract.days import local_day, now
from tests.faulty_collector import TOKEN, FaultyCollector, answer, commits_and_dies, hangs
from tests.hospital import Hospital, HungServer, readers_of
from tests.real_collector import RealCollector

TODAY = local_day(now())
QUICK = "poll_minutes = 0.01\ndeep_reread_days = 3"
pytestmark = pytest.mark.slow


@pytest.fixture
def faulty() -> Iterator[FaultyCollector]:
    with FaultyCollector() as collector:
        yield collector


@pytest.fixture
def hospital(tmp_path: Path, faulty: FaultyCollector) -> Hospital:
    hospital = Hospital(tmp_path, collector=faulty.url)
    hospital.configure(agent=QUICK)
    hospital.token.write_text(TOKEN)
    return hospital


def until(condition: Callable[[], object], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


@contextmanager
def running(hospital: Hospital) -> Iterator["subprocess.Popen[str]"]:
    process = hospital.start("run")
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def agent_of(hospital: Hospital) -> Iterator[Agent]:
    agent = start(load(hospital.config), now())
    try:
        yield agent
    finally:
        agent.close()


@contextmanager
def serving(agent: Agent, clock: Callable[[], datetime] = now) -> Iterator[Service]:
    service = Service(agent, clock)
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        yield service
    finally:
        service.stop()
        thread.join()


def ended(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def test_it_brings_what_happens_asks_for_status_meanwhile_and_ends_at_sigterm(
    hospital: Hospital, faulty: FaultyCollector
) -> None:
    with running(hospital) as process:
        hospital.come(TODAY, 1)
        until(lambda: faulty.counts(TODAY) == {"cccd_qr": 1})
        hospital.come(TODAY, 2)
        until(lambda: faulty.counts(TODAY) == {"cccd_qr": 3})
        report = json.loads(hospital.run("status", "--json").stdout)
        assert report["sources"][0]["ok"] is True
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert "Traceback" not in hospital.log
    assert "maximum number of running instances" not in hospital.log
    assert not (hospital.data / "ledger.sqlite-wal").exists() or hospital.run("status").returncode == 0


def test_sources_that_are_due_together_take_turns_with_one_reader(hospital: Hospital, faulty: FaultyCollector) -> None:
    text = hospital.config.read_text()
    hospital.configure(measures=("checkins_insured",))
    second = hospital.config.read_text().partition("[sources.his]")[2]
    second = "[sources.insured]" + second.replace("sources.his", "sources.insured")
    hospital.config.write_text(text.replace("poll_minutes = 0.01", "poll_minutes = 0.05") + second)
    with running(hospital) as process:
        together, alive, readers = 0, set[int](), set[int]()
        until(lambda: "agent chạy" in hospital.log)
        end = time.monotonic() + 7
        while time.monotonic() < end:
            alive = set(readers_of(process.pid))
            readers |= alive
            together = max(together, len(alive))
        polls = len(faulty.pushes)
    assert together == 1
    assert 0 < len(readers) < polls


@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGKILL])
def test_no_reader_is_left_behind_however_the_agent_ends(hospital: Hospital, signal_: signal.Signals) -> None:
    with HungServer() as server:
        hospital.configure(agent=QUICK, source='timeout_seconds = 600\nfrom = "2026-01-01"')
        (hospital.directory / "his.url").write_text(f"postgresql://u@127.0.0.1:{server.port}/his")
        with running(hospital) as process:
            until(lambda: "agent chạy" in hospital.log and readers_of(process.pid))
            [reader] = readers_of(process.pid)
            process.send_signal(signal_)
            process.wait(10)
            until(lambda: ended(reader), 10)


def test_it_ends_soon_while_a_collector_keeps_it_waiting(hospital: Hospital, faulty: FaultyCollector) -> None:
    faulty.faults.append(hangs(30))
    with running(hospital) as process:
        until(lambda: faulty.pushes)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0


def test_killed_at_any_moment_it_loses_and_invents_nothing(hospital: Hospital, faulty: FaultyCollector) -> None:
    cases = 0
    for wait in (1.3, 1.7, 2.3):
        with running(hospital) as process:
            deadline = time.monotonic() + wait
            while time.monotonic() < deadline:
                hospital.come(TODAY, 1)
                cases += 1
                time.sleep(0.05)
            process.kill()
    with running(hospital):
        until(lambda: faulty.counts(TODAY) == {"cccd_qr": cases})
    assert len(faulty.stored) == 4


def test_faults_of_the_network_end_in_the_same_figures(hospital: Hospital, faulty: FaultyCollector) -> None:
    faulty.faults.extend([commits_and_dies, answer(500, {})])
    with running(hospital):
        for _ in range(10):
            hospital.come(TODAY, 1)
            time.sleep(0.1)
        until(lambda: not faulty.faults and faulty.counts(TODAY) == {"cccd_qr": 10}, 60)
        until(lambda: "hoạt động trở lại" in hospital.log)
    assert hospital.log.count("WARNING") == 2


def test_it_works_with_the_real_collector_and_both_are_killed(hospital: Hospital) -> None:
    port = free_port()
    collector = RealCollector(hospital.directory, port)
    hospital.collector = collector.url
    hospital.configure(agent=QUICK)
    try:
        assert hospital.run("enrol", "--code", collector.code("12001")).returncode == 0
        hospital.come(TODAY, 5)
        with running(hospital):
            until(lambda: collector.counts().get(TODAY) == {"cccd_qr": 5})
        collector.close()
        hospital.come(TODAY, 5)
        with running(hospital):
            until(lambda: "gửi" in hospital.log or "không tới được" in hospital.log)
        collector = RealCollector(hospital.directory, port)
        with running(hospital):
            until(lambda: collector.counts().get(TODAY) == {"cccd_qr": 10})
    finally:
        collector.close()


def test_retry_after_holds_back_every_push_also_those_after_a_poll(hospital: Hospital, faulty: FaultyCollector) -> None:
    faulty.faults.append(answer(429, {}, {"Retry-After": "4"}))
    with agent_of(hospital) as agent, serving(agent):
        until(lambda: len(faulty.pushes) >= 2)
    first, second = [moment for moment, path in faulty.asked if path.endswith("tallies")][:2]
    assert second - first >= 4


def test_a_source_that_is_away_does_not_hold_up_the_others(hospital: Hospital, faulty: FaultyCollector) -> None:
    with HungServer() as server:
        text = hospital.config.read_text()
        other = text.partition("[sources.his]")[2].replace("sources.his", "sources.slow").replace("his.url", "slow.url")
        other = other.replace("[sources.slow.queries.checkins]", "[sources.slow.queries.checkins]", 1)
        hospital.config.write_text(f'{text}\n[sources.slow]\nrole = "check"\n{other}')
        (hospital.directory / "slow.url").write_text(f"postgresql://u@127.0.0.1:{server.port}/his")
        with agent_of(hospital) as agent, serving(agent):
            for cases in (1, 2, 3):
                hospital.come(TODAY, 1)
                until(lambda cases=cases: faulty.counts(TODAY) == {"cccd_qr": cases})  # type: ignore[misc]


@pytest.mark.parametrize("years", [-2, 2])
def test_a_clock_that_is_set_right_does_not_stop_the_polls(
    hospital: Hospital, faulty: FaultyCollector, years: int
) -> None:
    hospital.configure(agent="poll_minutes = 60\ndeep_reread_days = 3")
    off = timedelta(days=365 * years)
    with agent_of(hospital) as agent, serving(agent, lambda: now() + off):
        time.sleep(1)
        hospital.come(TODAY, 7)
        off = timedelta()
        until(lambda: faulty.counts(TODAY) == {"cccd_qr": 7})


class Counted(Poller):
    """Notes what each poll was for."""

    def __init__(self, agent: Agent) -> None:
        super().__init__(agent.settings, agent.disk, agent.readers)
        self.wishes: list[Wish] = []

    def poll(
        self, source: Source, kind: Description, catalogue: Catalogue, moment: datetime, wish: Wish | None = None
    ) -> Health:
        self.wishes.append(wish or Wish())
        return super().poll(source, kind, catalogue, moment, wish)


class TestNight:
    def test_it_reads_deep_reconciles_and_remembers_that_it_did(
        self, hospital: Hospital, faulty: FaultyCollector
    ) -> None:
        hospital.come(TODAY - timedelta(days=20), 2)
        with agent_of(hospital) as agent:
            agent.round()
            agent.nightly(now())  # the first one only begins to count
            faulty.stored.clear()
            hospital.configure(agent="deep_reread_days = 30")
        with agent_of(hospital) as agent:
            agent.nightly(now())
            assert faulty.counts(TODAY - timedelta(days=20)) == {"cccd_qr": 2}
            assert len(faulty.stored) == 31
            asked = len(faulty.pushes)
            agent.nightly(now() - timedelta(hours=1))
            assert len(faulty.pushes) == asked

    def test_a_source_is_read_once_more_only_for_days_that_the_collector_knows_otherwise(
        self, hospital: Hospital, faulty: FaultyCollector
    ) -> None:
        with agent_of(hospital) as agent:
            agent.round()
            agent.nightly(now())
            agent.poller = counted = Counted(agent)
            agent.nightly(now())
            assert counted.wishes == [Wish(deep=True)]
            faulty.stored["12001", "his", "checkins", str(TODAY)] = (9, {"manual": 5})
            agent.nightly(now())
            assert counted.wishes[1:] == [Wish(deep=True), Wish()]

    def test_a_collector_that_is_away_at_night_does_not_make_the_source_read_again_and_again(
        self, hospital: Hospital, faulty: FaultyCollector
    ) -> None:
        with agent_of(hospital) as agent:
            agent.round()
            agent.nightly(now())
            due = now()
            faulty.faults.append(answer(500, {}))
            with suppress(Exception):
                agent.nightly(due)
            done = agent.disk.state("deep his", str)
            assert done is not None and datetime.fromisoformat(done) >= due
            agent.nightly(due)
            assert agent.disk.state("deep his", str) == done
            assert datetime.fromisoformat(agent.disk.state("nightly_at", str) or "") >= due

    def test_a_source_that_is_away_at_night_is_read_deep_when_it_is_back(self, hospital: Hospital) -> None:
        with agent_of(hospital) as agent:
            agent.round()
            agent.nightly(now())
            due = now()
            away = hospital.database.rename(hospital.directory / "away")
            agent.nightly(due)
            assert datetime.fromisoformat(agent.disk.state("deep his", str) or "") < due
            away.rename(hospital.database)
            agent.nightly(due)
            assert datetime.fromisoformat(agent.disk.state("deep his", str) or "") >= due

    def test_a_night_remembered_in_the_future_counts_for_nothing(self, hospital: Hospital) -> None:
        with agent_of(hospital) as agent:
            agent.round()
            for what in ("deep his", "nightly_at"):
                agent.disk.set_state(what, (now() + timedelta(days=700)).isoformat())
            agent.nightly(now() - timedelta(hours=1))
            for what in ("deep his", "nightly_at"):
                assert datetime.fromisoformat(agent.disk.state(what, str) or "") <= now()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "data"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", mount], check=True)
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_is_said_once_stops_the_reading_and_is_got_over(
    small_disk: Path, hospital: Hospital, faulty: FaultyCollector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with agent_of(hospital) as agent, serving(agent):
        until(lambda: faulty.counts(TODAY) == {})
        ballast = small_disk / "ballast"
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(1024))
        hospital.come(TODAY, 5)
        until(lambda: "đĩa đầy" in caplog.text)
        time.sleep(3)
        assert caplog.text.count("ngừng đọc nguồn") == 1
        ballast.unlink()
        until(lambda: faulty.counts(TODAY) == {"cccd_qr": 5})
    assert "ghi sổ: hoạt động trở lại" in caplog.text


def test_a_ledger_damaged_while_the_service_runs_is_replaced_without_a_restart(
    hospital: Hospital, faulty: FaultyCollector
) -> None:
    with running(hospital) as process:
        hospital.come(TODAY, 2)
        until(lambda: faulty.counts(TODAY) == {"cccd_qr": 2})
        with closing(sqlite3.connect(hospital.ledger)) as other:
            other.execute("UPDATE state SET value = value")
            other.commit()
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        hospital.ledger.write_bytes(bytes(hospital.ledger.stat().st_size))
        hospital.come(TODAY, 2)
        until(lambda: faulty.counts(TODAY) == {"cccd_qr": 4})
        assert process.poll() is None
    assert len(list(hospital.data.glob("*.damaged-*"))) == 1
