"""Background work: it goes on whatever happens to a turn, one collector does it, and a loop that died shows."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from collector.loops import Loops
from collector.parts import Meters
from collector.store import Store, lasting, leases
from conftest import free_port
from contract.days import local_day, midnight, now
from contract.errors import AwayError
from tests.office import NOON, TODAY, Office, a_tally, samples, serving

SOON = timedelta(milliseconds=5)
MINUTE = timedelta(minutes=1)
LENGTH = timedelta(minutes=15)


class Machine:
    """One of the Sở's machines: a clock that the test sets, loops, and what Prometheus would read of them."""

    def __init__(self, store: Store, at: datetime = NOON) -> None:
        self.at = at
        self.meters = Meters()
        self.loops = Loops(store, self.meters, lambda: self.at)
        self.turns = 0

    def turn(self, _: datetime) -> None:
        """Work that only counts."""
        self.turns += 1

    def meter(self, name: str, loop: str = "x") -> float | None:
        return self.meters.registry.get_sample_value(f"nhipso_loop_{name}_seconds", {"loop": loop})

    @property
    def beat(self) -> float | None:
        return self.meter("heartbeat_timestamp")

    @contextmanager
    def running(self) -> Iterator["Machine"]:
        self.loops.start()
        try:
            yield self
        finally:
            self.loops.stop()

    def see_the_loop_turn(self) -> None:
        """Wait for two heartbeats of later moments: a whole turn lies between them."""
        for _ in range(2):
            self.at += timedelta(milliseconds=1)
            until(lambda: self.beat == self.at.timestamp())


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Office]:
    """A Sở on SQLite alone: for what no database has a part in."""
    office = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    yield office
    office.store.close()


@pytest.fixture
def second(office: Office) -> Iterator[Store]:
    """The same database as another collector has it open."""
    store = Store(office.url)
    yield store
    store.close()


def holds(store: Store, holder: str, moment: datetime, name: str = "roads") -> bool:
    with store.write() as connection:
        return leases.take(connection, name, holder, moment, LENGTH)


# --- any loop


def test_a_loop_turns_again_and_again_and_its_heart_and_period_show(lone: Office) -> None:
    machine = Machine(lone.store)
    machine.loops.add("x", SOON, machine.turn)
    with machine.running():
        machine.see_the_loop_turn()
        until(lambda: machine.turns >= 3)
    assert machine.meter("period") == SOON.total_seconds()


def test_a_turn_is_told_the_moment_of_the_clock(lone: Office) -> None:
    seen: list[datetime] = []
    machine = Machine(lone.store)
    machine.loops.add("x", SOON, seen.append)
    with machine.running():
        machine.at += MINUTE
        until(lambda: NOON + MINUTE in seen)
    assert set(seen) <= {NOON, NOON + MINUTE}


def test_a_loop_that_raises_goes_on_and_says_so_once_until_it_works_again(
    lone: Office, caplog: pytest.LogCaptureFixture
) -> None:
    machine, is_broken = Machine(lone.store), True

    def turn(moment: datetime) -> None:
        machine.turn(moment)
        if is_broken:
            raise RuntimeError("boom")

    machine.loops.add("x", SOON, turn)
    with caplog.at_level(logging.WARNING, "collector.loops"), machine.running():
        machine.at += MINUTE
        until(lambda: machine.turns >= 5)
        assert machine.beat == NOON.timestamp(), "a loop whose turns fail must look dead"
        assert [one.levelname for one in caplog.records] == ["ERROR"]
        assert "việc nền x gặp lỗi" in caplog.text and "boom" in caplog.text
        is_broken = False
        until(lambda: machine.beat == machine.at.timestamp())
        assert [one.getMessage() for one in caplog.records[1:]] == ["việc nền x làm lại được"]
        is_broken = True
        until(lambda: len(caplog.records) == 3)


def test_a_database_that_is_away_is_not_said_again_and_the_heart_stands_still(
    lone: Office, caplog: pytest.LogCaptureFixture
) -> None:
    machine, is_away = Machine(lone.store), True

    def turn(moment: datetime) -> None:
        machine.turn(moment)
        if is_away:
            raise AwayError("away")

    machine.loops.add("x", SOON, turn)
    with caplog.at_level(logging.INFO, "collector.loops"), machine.running():
        machine.at += MINUTE
        until(lambda: machine.turns >= 3)
        assert machine.beat == NOON.timestamp()
        is_away = False
        until(lambda: machine.beat == machine.at.timestamp())
    assert caplog.records == []


def test_a_loop_whose_first_turn_hangs_has_a_heartbeat_that_grows_old(lone: Office) -> None:
    machine, hung = Machine(lone.store), threading.Event()
    machine.loops.add("x", SOON, lambda _: hung.wait(30))
    with machine.running():
        assert machine.beat == NOON.timestamp()
        hung.set()


def test_a_loop_that_hangs_leaves_the_others_alone(lone: Office) -> None:
    machine, hung = Machine(lone.store), threading.Event()
    machine.loops.add("hung", SOON, lambda _: hung.wait(30))
    machine.loops.add("x", SOON, machine.turn)
    with machine.running():
        machine.see_the_loop_turn()
        assert machine.meter("heartbeat_timestamp", "hung") == NOON.timestamp()
        hung.set()


def test_a_loop_has_the_processor_a_quarter_of_its_time_at_most(lone: Office) -> None:
    machine, spans = Machine(lone.store), list[tuple[float, float]]()

    def work(_: datetime) -> None:
        began, enough = time.monotonic(), time.thread_time() + 0.1
        while time.thread_time() < enough:
            pass
        spans.append((began, time.monotonic()))

    machine.loops.add("x", timedelta(milliseconds=1), work)
    with machine.running():
        until(lambda: len(spans) >= 3)
    for (_, ended), (next_began, _) in pairwise(spans):
        assert next_began - ended >= 2.9 * 0.1


def test_a_loop_that_waits_for_others_keeps_its_period(lone: Office) -> None:
    machine, began = Machine(lone.store), list[float]()

    def wait(_: datetime) -> None:
        began.append(time.monotonic())
        time.sleep(0.3)

    machine.loops.add("x", timedelta(milliseconds=1), wait)
    with machine.running():
        until(lambda: len(began) >= 4)
    assert began[3] - began[0] < 2 * 3 * 0.3


def test_stopping_does_not_wait_for_the_period(lone: Office) -> None:
    machine = Machine(lone.store)
    machine.loops.add("x", timedelta(hours=1), machine.turn)
    machine.loops.add_daily("y", machine.turn)
    with machine.running():
        until(lambda: machine.turns == 2)
        began = time.monotonic()
    assert time.monotonic() - began < 2
    assert machine.turns == 2


# --- work of the day, by one of several collectors


def test_daily_work_is_done_after_the_start_and_after_each_midnight(office: Office) -> None:
    machine = Machine(office.store)
    machine.loops.add_daily("x", machine.turn, SOON)
    with machine.running():
        machine.see_the_loop_turn()
        assert machine.turns == 1
        machine.at = midnight(TODAY + timedelta(days=1)) - timedelta(seconds=10)
        machine.see_the_loop_turn()
        assert machine.turns == 1
        machine.at = midnight(TODAY + timedelta(days=1))
        machine.see_the_loop_turn()
        assert machine.turns == 2


def test_daily_work_that_failed_is_done_again_on_the_same_day(lone: Office) -> None:
    machine = Machine(lone.store)

    def turn(moment: datetime) -> None:
        machine.turn(moment)
        if machine.turns < 3:
            raise RuntimeError

    machine.loops.add_daily("x", turn, SOON)
    with machine.running():
        until(lambda: machine.turns == 3)
        machine.see_the_loop_turn()
        assert machine.turns == 3


def test_of_two_collectors_one_works_and_neither_looks_dead(office: Office, second: Store) -> None:
    one, other = Machine(office.store), Machine(second)
    for machine in (one, other):
        machine.loops.add_daily("x", machine.turn, MINUTE / 1000)
    with one.running(), other.running():
        for machine in (one, other):
            machine.see_the_loop_turn()
        assert one.turns + other.turns == 1


def test_a_collector_that_ends_leaves_its_work_to_the_other_at_once(office: Office, second: Store) -> None:
    one, other = Machine(office.store), Machine(second)
    for machine in (one, other):
        # the lease is far longer than the test
        machine.loops.add_daily("x", machine.turn, MINUTE)
    with one.running():
        until(lambda: one.turns == 1)
    with other.running():
        until(lambda: other.turns == 1)


def test_a_collector_that_is_killed_loses_its_work_to_the_other_after_a_time(office: Office) -> None:
    machine = Machine(office.store)
    machine.loops.add_daily("x", machine.turn, SOON)
    with office.store.write() as connection:
        # of one that was killed: nobody renews it
        leases.take(connection, "x", "killed", NOON, 3 * SOON)
    with machine.running():
        machine.see_the_loop_turn()
        assert machine.turns == 0
        machine.at = NOON + 3 * SOON
        until(lambda: machine.turns == 1)


def test_a_lease_is_kept_by_renewing_and_lost_by_not(office: Office) -> None:
    assert holds(office.store, "one", NOON)
    assert not holds(office.store, "other", NOON + LENGTH - SOON)
    assert holds(office.store, "one", NOON + LENGTH - SOON)
    assert not holds(office.store, "other", NOON + LENGTH)
    assert holds(office.store, "other", NOON + 2 * LENGTH - SOON)
    assert not holds(office.store, "one", NOON + 2 * LENGTH)


def test_leases_of_other_names_are_others(office: Office) -> None:
    assert holds(office.store, "one", NOON, "roads")
    assert holds(office.store, "other", NOON, "mail")
    with office.store.write() as connection:
        leases.release(connection, "one")
    assert holds(office.store, "other", NOON, "roads")
    assert not holds(office.store, "one", NOON, "mail")


def test_a_lease_that_a_wrong_clock_wrote_does_not_hold_for_years(office: Office) -> None:
    assert holds(office.store, "wrong", NOON + timedelta(days=3650))
    assert holds(office.store, "one", NOON)


def test_of_many_that_come_at_once_one_gets_the_lease(office: Office) -> None:
    start = threading.Barrier(8)

    def come(holder: str) -> bool:
        start.wait()
        return holds(office.store, holder, NOON)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(come, "abcdefgh")) == [False] * 7 + [True]


def test_a_database_that_is_away_at_the_end_does_not_keep_the_loops_from_stopping() -> None:
    store = Store(f"postgresql://x@127.0.0.1:{free_port()}/x?connect_timeout=2")
    machine = Machine(store)
    machine.loops.add_daily("x", machine.turn, SOON)
    with machine.running():
        pass
    assert machine.turns == 0


# --- the collector's own


def test_the_collector_shows_its_loops_to_prometheus(lone: Office) -> None:
    with serving(lone.app()) as client:
        deadline = time.monotonic() + 10
        while not (answer := client.get("/metrics")).is_success:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        found = samples(answer.text)
        periods = {loop: found[f'nhipso_loop_period_seconds{{loop="{loop}"}}'] for loop in ("exposition", "roads")}
        assert periods == {"exposition": 0.25, "roads": 300}
        assert all(found[f'nhipso_loop_heartbeat_timestamp_seconds{{loop="{loop}"}}'] > 1e9 for loop in periods)


def test_the_collector_freezes_the_beginnings_of_roads_by_itself(lone: Office, tmp_path: Path) -> None:
    today = local_day(now())
    plan = tmp_path / "ke-hoach.toml"
    plan.write_text(
        f"""
        issuer = "Sở Y tế"
        title = "Kế hoạch"
        short = "Kế hoạch"
        first_day = {today - timedelta(days=40)}
        last_day = {today + timedelta(days=40)}
        [[targets]]
        indicator = "cashless"
        ratio = 0.9
        section = "I"
        words = "90 %"
        """
    )
    days = [today - timedelta(days=n) for n in range(1, 41)]
    lone.push(lone.speaker("12001"), [a_tally(day, counts={"qr": 1, "cash": 3}) for day in days], at=now())
    with serving(lone.app(plan_files=(plan,))):
        until(lambda: beginnings(lone) == [(days[-30], Fraction(1, 4))])


def beginnings(office: Office) -> list[tuple[date, Fraction]]:
    with office.store.read() as connection:
        found = lasting.baselines(connection, ["12001"])["12001"]
    return [(one.day, Fraction(one.numerator, one.denominator)) for one in found]
