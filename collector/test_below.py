"""Since when an indicator is below its target: what keeps it, and what ends it (architecture.md, "Silence")."""

import threading
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from collector.access import Speaker
from collector.exposition import Exposition
from collector.store import Store, backup
from contract.days import DayRange, midnight
from contract.plan import Plan
from contract.verdict import Verdict
from tests.office import NOON, TODAY, Office, a_plan, a_source, a_tally, exposition_of, samples

DAY = timedelta(days=1)
SINCE = 'nhipso_indicator_below_since_timestamp_seconds{facility="12001",indicator="cashless"}'
VERDICT = 'nhipso_indicator_verdict{facility="12001",indicator="cashless"}'
BELOW, MET = {"cash": 5, "qr": 5}, {"qr": 10}


@pytest.fixture
def his(office: Office) -> Speaker:
    office.set_plans(a_plan({}))
    return office.speaker("12001")


class Told:
    """The same counts on each of the days up to a moment, told at that moment; each time a newer revision."""

    def __init__(self, office: Office, agent: Speaker) -> None:
        self.office, self.agent, self.revision = office, agent, 0

    def __call__(self, counts: dict[str, int], at: datetime = NOON, days: int = 60, **source: Any) -> None:
        self.revision += 1
        every = DayRange.ending(at.date() - DAY, 60)
        sent = [a_tally(day, self.revision, counts if day > every.last - days * DAY else {}) for day in every]
        roster = [a_source(**{"read_at": at.isoformat(), **source})]
        assert self.office.push(self.agent, sent, roster, at=at, sent_at=at.isoformat()).accepted == 60


@pytest.fixture
def told(office: Office, his: Speaker) -> Told:
    return Told(office, his)


@pytest.fixture
def stores(office: Office) -> Iterator[list[Store]]:
    """Of further collectors over the same database."""
    found = [Store(office.url) for _ in range(3)]
    yield found
    for one in found:
        one.close()


def since(exposition: Exposition, at: datetime) -> float:
    exposition.refresh(at)
    return samples(exposition.body().decode())[SINCE]


def verdict(office: Office, at: datetime) -> Verdict:
    """As a collector would say that has just started."""
    return Verdict(int(samples(office.metrics(at))[VERDICT]))


def fresh(office: Office) -> Exposition:
    """A collector that has just started."""
    return exposition_of(office.store, office.yardstick)


def test_it_is_0_until_the_verdict_is_below_and_then_the_moment_when_that_was_seen(office: Office, told: Told) -> None:
    exposition = fresh(office)
    assert since(exposition, NOON) == 0
    told(MET)
    assert since(exposition, NOON) == 0
    told(BELOW)
    seen = NOON + timedelta(minutes=1)
    assert since(exposition, seen) == seen.timestamp()
    told(BELOW | {"cash": 6}, NOON + DAY)
    assert since(exposition, NOON + DAY) == seen.timestamp()


def test_a_collector_that_starts_again_knows_it(office: Office, told: Told) -> None:
    told(BELOW)
    assert since(fresh(office), NOON) == NOON.timestamp()
    assert since(fresh(office), NOON + DAY) == NOON.timestamp()


def test_silence_keeps_it_and_so_does_oblivion(office: Office, told: Told) -> None:
    told(BELOW)
    exposition = fresh(office)
    found = {since(exposition, NOON + n * DAY) for n in range(70)}
    assert found == {NOON.timestamp()}
    assert verdict(office, NOON + 69 * DAY) is Verdict.NO_DATA


@pytest.mark.parametrize(
    ("counts", "days", "now"),
    [
        ({"cash": 5, "qr": 5, "unknown": 90}, 60, Verdict.UNKNOWN),
        ({"cash": 1, "qr": 0}, 1, Verdict.INSUFFICIENT),
        ({}, 60, Verdict.INSUFFICIENT),
        ({"cash": 9}, 60, Verdict.BELOW),
    ],
)
def test_too_little_to_say_keeps_it(
    office: Office, told: Told, counts: dict[str, int], days: int, now: Verdict
) -> None:
    told(BELOW)
    exposition = fresh(office)
    since(exposition, NOON)
    told(counts, NOON + DAY, days)
    assert since(exposition, NOON + DAY) == NOON.timestamp()
    assert verdict(office, NOON + DAY) is now


def test_too_few_days_keep_it(office: Office, his: Speaker, told: Told) -> None:
    told(BELOW)
    exposition = fresh(office)
    since(exposition, NOON)
    later = NOON + 20 * DAY
    # the source is read, and has no rows for the days since
    office.push(his, [], [a_source(read_at=later.isoformat())], at=later, sent_at=later.isoformat())
    assert since(exposition, later) == NOON.timestamp()
    assert verdict(office, later) is Verdict.NO_DATA


@pytest.mark.parametrize(
    ("counts", "now"), [({"cash": 1, "qr": 9}, Verdict.MET), ({"cash": 11, "qr": 89}, Verdict.NEAR)]
)
def test_reaching_the_target_or_nearly_ends_it(
    office: Office, told: Told, counts: dict[str, int], now: Verdict
) -> None:
    told(BELOW)
    exposition = fresh(office)
    since(exposition, NOON)
    told(counts, NOON + DAY)
    assert since(exposition, NOON + DAY) == 0
    assert verdict(office, NOON + DAY) is now
    # and the next time is another time
    told(BELOW, NOON + 2 * DAY)
    assert since(exposition, NOON + 2 * DAY) == (NOON + 2 * DAY).timestamp()


def restarted(office: Office, at: datetime, *plans: Plan) -> float:
    """What a collector says that has been started again with other plans."""
    office.set_plans(*plans)
    return since(fresh(office), at)


def test_a_change_of_target_that_leaves_it_below_keeps_it_and_one_that_is_met_ends_it(
    office: Office, told: Told
) -> None:
    told(BELOW)
    assert since(fresh(office), NOON) == NOON.timestamp()
    harder, other = a_plan({"ratio": "0.99"}), a_plan({"ratio": "0.8"}, id="other")
    assert [restarted(office, NOON + n * DAY, one) for n, one in enumerate((harder, other))] == [NOON.timestamp()] * 2
    assert restarted(office, NOON + DAY, a_plan({"ratio": "0.5"})) == 0


def test_the_end_of_the_plan_ends_it(office: Office, told: Told) -> None:
    office.set_plans(a_plan({}, last_day="2026-11-20", in_force_until="2026-11-22"))
    exposition = fresh(office)
    told(BELOW)
    assert since(exposition, NOON + 2 * DAY) > 0
    told(BELOW, NOON + 2 * DAY)
    # the window that ends on the 22nd is that of the 23rd
    assert since(exposition, NOON + 3 * DAY) > 0
    assert since(exposition, midnight(date(2026, 11, 24))) == 0


@pytest.mark.parametrize("counts", [{"cash": 1}, {"cash": 1, "unknown": 9}, {}], ids=["few", "unknown", "no case"])
def test_the_end_of_the_plan_ends_it_also_where_there_is_too_little_to_say(
    office: Office, told: Told, counts: dict[str, int]
) -> None:
    office.set_plans(a_plan({}, last_day="2026-11-20", in_force_until="2026-11-22"))
    exposition = fresh(office)
    told(BELOW)
    assert since(exposition, NOON) > 0
    told(counts, NOON + 2 * DAY)
    assert since(exposition, NOON + 2 * DAY) > 0
    assert since(exposition, midnight(date(2026, 11, 24))) == 0


def test_a_new_quarter_and_a_new_year_with_a_new_plan_keep_it(office: Office, told: Told) -> None:
    new_year = a_plan({}, id="nam-2027", first_day="2027-01-01", last_day="2027-12-31")
    office.set_plans(a_plan({}), new_year)
    told(BELOW)
    exposition = fresh(office)
    since(exposition, NOON)
    for n in range(0, 60, 3):
        told(BELOW, NOON + n * DAY)
        assert since(exposition, NOON + n * DAY) == NOON.timestamp()
    assert office.standing(today=date(2027, 1, 15)).bound is not None


def test_an_indicator_that_no_longer_applies_ends_it(office: Office, told: Told) -> None:
    told(BELOW)
    exposition = fresh(office)
    assert since(exposition, NOON) > 0
    office.register("12001", indicators="emr")
    exposition.refresh(NOON + DAY)
    # of one that does not apply the verdict is all there is
    assert SINCE not in samples(exposition.body().decode())
    office.register("12001", indicators="cashless")
    assert since(exposition, NOON + 2 * DAY) == (NOON + 2 * DAY).timestamp()


def test_a_facility_that_becomes_of_another_level_takes_nothing_along(office: Office, told: Told) -> None:
    told(BELOW)
    exposition = fresh(office)
    assert since(exposition, NOON) > 0
    office.register("12001", level="department")
    exposition.refresh(NOON + DAY)
    office.register("12001", level="province")
    assert since(exposition, NOON + 2 * DAY) == (NOON + 2 * DAY).timestamp()


def test_closing_the_facility_ends_it_on_the_day_after_its_last(office: Office, told: Told) -> None:
    told(BELOW)
    exposition = fresh(office)
    assert since(exposition, NOON) > 0
    office.register("12001", active_to=str(TODAY + DAY))
    assert since(exposition, NOON + DAY) == NOON.timestamp()
    assert since(exposition, NOON + 2 * DAY) == 0
    assert since(fresh(office), NOON + 3 * DAY) == 0


def test_a_restored_copy_brings_back_what_it_knew(office: Office, told: Told) -> None:
    told(BELOW)
    assert since(fresh(office), NOON) == NOON.timestamp()
    copy = office.directory / "copy"
    backup.backup(office.store, copy)
    exposition = fresh(office)
    told(MET, NOON + DAY)
    assert since(exposition, NOON + DAY) == 0
    backup.restore(office.store, copy)
    assert since(exposition, NOON + DAY) == NOON.timestamp()


def test_two_collectors_over_one_database_say_the_same(office: Office, told: Told, stores: list[Store]) -> None:
    one, other = fresh(office), exposition_of(stores[0], office.yardstick)
    one.refresh(NOON)
    other.refresh(NOON)
    told(BELOW)
    first, second = NOON + timedelta(seconds=1), NOON + timedelta(seconds=3)
    # the second has seen it later, and takes over what the first has stored
    assert (since(one, first), since(other, second)) == (first.timestamp(), first.timestamp())
    told(MET, NOON + DAY)
    assert (since(other, NOON + DAY), since(one, NOON + DAY)) == (0, 0)


def test_two_collectors_that_see_it_at_the_same_moment_do_not_fail(
    office: Office, his: Speaker, stores: list[Store]
) -> None:
    """On an empty database both insert the same rows."""
    ids = [f"{number}" for number in range(60)]
    office.register(*ids)
    agent = office.speaker(*ids)
    for one in ids:
        days = DayRange.ending(TODAY - DAY, 16)
        office.push(agent, [a_tally(day, 1, BELOW, facility=one) for day in days], [a_source(facilities=ids)])
    collectors = [exposition_of(one, office.yardstick) for one in stores]
    failed: list[BaseException] = []
    start = threading.Barrier(len(collectors))

    def run(exposition: Exposition, at: datetime) -> None:
        try:
            start.wait()
            exposition.refresh(at)
        except BaseException as error:
            failed.append(error)

    threads = [
        threading.Thread(target=run, args=(one, NOON + timedelta(seconds=n))) for n, one in enumerate(collectors)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    said = [
        {k: v for k, v in samples(one.body().decode()).items() if k.startswith("nhipso_indicator_below_since") and v}
        for one in collectors
    ]
    assert len(said[0]) == 60
    assert said[0] == said[1] == said[2]
