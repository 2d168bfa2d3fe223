"""The running day made anew against everything made anew: the same, whatever agents say."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from collector.access import Speaker
from collector.places import Place
from collector.province import Province
from collector.thresholds import Confirmation
from contract.days import local_day
from contract.metrics import Family
from tests.office import NOON, TODAY, Office, a_plan, a_source, a_tally

MORNING = NOON.replace(hour=0, minute=10)


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Office]:
    one = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    one.set_plans(a_plan())
    yield one
    one.store.close()


def province_of(office: Office) -> Province:
    return Province(office.store, office.yardstick, Confirmation())


def lines(text: Mapping[Family, bytes]) -> dict[str, list[bytes]]:
    """By family, in an order of their own."""
    return {family.name: sorted(found.splitlines()) for family, found in text.items()}


def plain(place: Place) -> dict[str, Any]:
    held = {one.name: getattr(place, one.name) for one in fields(place)}
    return held | {name: lines(held[name]) for name in ("text", "past")}


def random_sources(chance: Random, moment: datetime) -> list[dict[str, Any]]:
    """What an agent may say of its sources; where it says nothing new, only when they were read will differ."""
    failed = ["payments"] if chance.random() < 0.2 else []
    newest: dict[str, Any] = {"newest_day": {"12001": str(local_day(moment))}} if chance.random() < 0.7 else {}
    role = "check" if chance.random() < 0.9 else "count"
    return [
        a_source(measures=["payments", "work_records"], ok=not failed, failed=failed, **newest),
        a_source("survey", measures=["satisfaction"], cadence="quarterly"),
        a_source("hddt", kind="einvoice.xml", role=role),
    ]


def random_tallies(chance: Random, moment: datetime, revision: int) -> list[dict[str, Any]]:
    """Mostly of the running day."""
    today = local_day(moment)
    days = [today] if chance.random() < 0.8 else [today, today - timedelta(days=chance.randint(1, 60))]
    sent = [
        a_tally(day, revision, {"cash": chance.randint(0, 9), "qr": chance.randint(0, 1), "unknown": 1}) for day in days
    ]
    sent += [a_tally(today, revision, {"online": chance.randint(1, 9), "paper": 1}, measure="work_records")]
    if chance.random() < 0.3:
        sent += [a_tally(today, revision, {"cash": chance.randint(0, 9)}, source="hddt")]
    if chance.random() < 0.05:
        sent += [a_tally(today, revision, {}), a_tally(today, revision, {"satisfied": 1}, measure="satisfaction")]
    return sent


@pytest.mark.parametrize("seed", range(4))
def test_a_province_kept_up_to_date_is_one_that_was_made_at_once(lone: Office, seed: int) -> None:
    chance, speaker = Random(seed), lone.speaker("12001")
    province, moment = province_of(lone), MORNING - timedelta(days=2)
    province.refresh(moment)
    sources, kept = random_sources(chance, moment), 0
    for step in range(1, 50):
        if chance.random() < 0.3:
            sources = random_sources(chance, moment)
        read_at = moment - timedelta(minutes=chance.choice((1, 1, 1, 1, 1, 300, 2000)))
        told = [
            {**one, "read_at": read_at.isoformat(), "unmapped": {"12001": {"payments": {"VÍ": step}}}}
            for one in sources
        ]
        sent = random_tallies(chance, moment, step)
        lone.push(speaker, sent, told, at=moment, sent_at=moment.isoformat())
        past = province.state.places["12001"].past
        province.refresh(moment)
        kept += province.state.places["12001"].past is past
        anew = province_of(lone)
        anew.refresh(moment)
        assert plain(province.state.places["12001"]) == plain(anew.state.places["12001"]), (step, moment)
        moment += timedelta(minutes=chance.choice((5, 5, 5, 5, 60, 400, 1500)))
    assert kept > 5  # else it has shown nothing of the running day made anew


def poll(office: Office, speaker: Speaker, revision: int, at: datetime = NOON, **counts: int) -> None:
    source = a_source(read_at=at.isoformat())
    office.push(speaker, [a_tally(TODAY, revision, counts)], [source], at=at, sent_at=at.isoformat())


def forge(office: Office, day: datetime) -> None:
    """A count of that day that the collector is not told of."""
    with office.store.write() as connection:
        connection.exec_driver_sql("""UPDATE tally SET counts = '{"cash":1000}' WHERE day = ?""", (str(day.date()),))


def sums(province: Province) -> tuple[int, int]:
    """Cases of the running day, and of the 30 before."""
    held = province.state.places["12001"].standings
    return held["today"]["cashless"].denominator, held["30d"]["cashless"].denominator


def test_what_tells_of_the_running_day_alone_reads_no_other_day(lone: Office) -> None:
    province, speaker = province_of(lone), lone.speaker("12001")
    lone.push(speaker, [a_tally(counts={"cash": 3})], [a_source(read_at=NOON.isoformat())])
    poll(lone, speaker, 1, cash=1)
    province.refresh(NOON)
    assert sums(province) == (1, 3)
    forge(lone, NOON - timedelta(days=1))
    poll(lone, speaker, 2, NOON + timedelta(minutes=5), cash=2)
    assert province.refresh(NOON + timedelta(minutes=5)) == 1
    assert sums(province) == (2, 3)


@pytest.mark.parametrize(
    "told",
    [
        pytest.param({"counts": {}}, id="the last case of the day is gone"),
        pytest.param({"day": TODAY - timedelta(days=2)}, id="another day"),
        pytest.param({"at": MORNING.replace(minute=2)}, id="midnight is near, and clocks differ"),
    ],
)
def test_what_may_tell_of_more_than_the_running_day_reads_all_days(lone: Office, told: dict[str, Any]) -> None:
    at = told.pop("at", NOON)
    province, speaker = province_of(lone), lone.speaker("12001")
    lone.push(speaker, [a_tally(counts={"cash": 3})], [a_source(read_at=at.isoformat())], at=at)
    poll(lone, speaker, 1, at, cash=1)
    province.refresh(at)
    forge(lone, NOON - timedelta(days=1))
    lone.push(speaker, [a_tally(**{"day": TODAY, **told}, revision=2)], [a_source(read_at=at.isoformat())], at=at)
    province.refresh(at)
    assert sums(province)[1] >= 1000


def test_in_a_hurry_those_looked_at_longest_ago_come_first_and_none_is_forgotten(lone: Office) -> None:
    ids = [f"{12_000 + n}" for n in range(60)]
    speakers = {one: lone.speaker(one) for one in ids}
    province = province_of(lone)
    province.refresh(NOON)

    def tell(some: list[str], revision: int) -> None:
        for one in some:
            counts = {"cash": revision}
            source = a_source(facilities=[one])
            lone.push(speakers[one], [a_tally(TODAY, revision, counts, facility=one)], [source])

    def behind(revision: int) -> set[str]:
        held = province.state.places
        return {one for one in ids if held[one].standings["today"]["cashless"].denominator != revision}

    tell(ids, 1)
    hurried = province.refresh(NOON, patience=1e-9)
    assert 0 < hurried < len(ids)
    late = behind(1)
    tell(sorted(set(ids) - late), 2)
    while behind(1) & late:
        assert province.refresh(NOON, patience=1e-9)
    assert province.refresh(NOON) + hurried >= len(ids) - len(late)
    assert behind(2) == late
    assert province.refresh(NOON) == 0
