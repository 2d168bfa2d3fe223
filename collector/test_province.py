"""The province held in memory against what is worked out from all tallies: the same, whatever was changed since."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from random import Random

import pytest

from collector import merging, sources, windows
from collector.access import Speaker
from collector.figures import load
from collector.province import Province
from collector.series import Month
from collector.standings import history, standings
from collector.store import registry
from collector.store.registry import Change, Merger
from collector.thresholds import Confirmation
from contract.errors import AwayError
from tests.office import NOON, TODAY, Office, a_plan, a_source, a_tally

PLACES = ("12001", "12002")


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Office]:
    """On SQLite alone: the statements about months are few, and tried on both databases below."""
    one = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    one.set_plans(a_plan())
    yield one
    one.store.close()


def province_of(office: Office) -> Province:
    return Province(office.store, office.yardstick, Confirmation())


def from_all_tallies(office: Office) -> dict[tuple[str, str, str], object]:
    """Facility, indicator, window → the standing, from every single day."""
    first = history(windows.WINDOWS, office.yardstick.thresholds, TODAY).replace(day=1)
    with office.store.read() as connection:
        some = load(connection, office.catalogue, registry.facilities(connection), first, TODAY)
    return {
        (one.facility, one.indicator, one.window): one
        for data in some
        for one in standings(data, office.yardstick, NOON, windows.WINDOWS)
    }


def as_held(province: Province) -> dict[tuple[str, str, str], object]:
    return {
        (facility, code, window): one
        for facility, place in province.state.places.items()
        for window, of_window in place.standings.items()
        for code, one in of_window.items()
    }


def kept_months(office: Office) -> int:
    """How many months are kept."""
    with office.store.read() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM month_count").scalar_one())


def history_of(office: Office, speaker: Speaker, facility: str, chance: Random) -> None:
    """Two years of most days."""
    days = [TODAY - timedelta(days=n) for n in range(1, 700) if chance.random() < 0.95]
    tell(office, speaker, facility, days, chance, 1)


def tell(
    office: Office, speaker: Speaker, facility: str, days: list[date], chance: Random, revision: int, name: str = "his"
) -> None:
    counts = [{"cash": chance.randint(0, 9), "qr": chance.randint(0, 9), "unknown": chance.randint(0, 1)} for _ in days]
    sent = [a_tally(day, revision, one, facility=facility, source=name) for day, one in zip(days, counts, strict=True)]
    office.push(speaker, sent, [a_source(name, facilities=[facility])])


def test_whatever_is_corrected_added_or_retired_it_says_what_all_tallies_say(lone: Office) -> None:
    chance = Random(7)
    speakers = {one: lone.speaker(one) for one in PLACES}
    for one, speaker in speakers.items():
        history_of(lone, speaker, one, chance)
    province = province_of(lone)
    province.refresh(NOON)
    assert kept_months(lone) > 10
    assert as_held(province) == from_all_tallies(lone)
    for step in range(2, 22):
        place = chance.choice(PLACES)
        days = sorted({TODAY - timedelta(days=chance.randint(1, 650)) for _ in range(chance.randint(1, 4))})
        if step % 7 == 0:
            tell(lone, speakers[place], place, days, chance, step, f"his{step}")  # a rival, or a day nobody had
        else:
            tell(lone, speakers[place], place, days, chance, step)
        if step == 15:
            sources.retire(lone.store, place, "his", TODAY - timedelta(days=400), NOON)
        province.refresh(NOON)
        assert as_held(province) == from_all_tallies(lone), step


def test_a_second_collector_finds_the_months_of_the_first_and_says_the_same(lone: Office) -> None:
    history_of(lone, lone.speaker("12001"), "12001", Random(3))
    first, second = province_of(lone), province_of(lone)
    first.refresh(NOON)
    kept = kept_months(lone)
    second.refresh(NOON)
    assert kept_months(lone) == kept
    assert as_held(second) == as_held(first)


def test_a_correction_of_an_old_month_forgets_that_month_alone(lone: Office) -> None:
    speaker = lone.speaker("12001")
    history_of(lone, speaker, "12001", Random(3))
    province_of(lone).refresh(NOON)
    kept = kept_months(lone)
    tell(lone, speaker, "12001", [TODAY - timedelta(days=200)], Random(1), 2)
    assert kept_months(lone) == kept - 1
    tell(lone, speaker, "12001", [TODAY - timedelta(days=1)], Random(1), 2)
    assert kept_months(lone) == kept - 1


class Interrupted(Province):
    """Something arrives after months were summed up, and before they are kept."""

    def __init__(self, office: Office, arrives: Callable[[], None]) -> None:
        super().__init__(office.store, office.yardstick, Confirmation())
        self._arriving = [arrives]

    def _keep(self, anew: Mapping[str, Mapping[date, Mapping[str, Month]]], changes: Mapping[str, Change]) -> None:
        if self._arriving:
            self._arriving.pop()()
        super()._keep(anew, changes)


def test_a_day_that_was_told_while_months_were_summed_up_is_not_lost(lone: Office) -> None:
    speaker = lone.speaker("12001")
    history_of(lone, speaker, "12001", Random(3))
    old = [TODAY - timedelta(days=200)]
    province = Interrupted(lone, lambda: tell(lone, speaker, "12001", old, Random(1), 2))
    province.refresh(NOON)
    assert kept_months(lone) == 0
    province.refresh(NOON)
    assert kept_months(lone) > 5
    assert as_held(province) == from_all_tallies(lone)


def test_a_merger_and_its_undoing_are_seen_in_every_window(lone: Office) -> None:
    chance = Random(5)
    for one in PLACES:
        history_of(lone, lone.speaker(one), one, chance)
    province = province_of(lone)
    province.refresh(NOON)
    day = TODAY - timedelta(days=200)
    with lone.store.write() as connection:
        registry.set_merger(connection, "12002", Merger("12001", day, "B"), day - timedelta(days=1))
        registry.touch(connection, PLACES)
    province.refresh(NOON)
    assert as_held(province) == from_all_tallies(lone)
    merging.undo(lone.store, "12002", NOON)
    province.refresh(NOON)
    assert as_held(province) == from_all_tallies(lone)


def test_months_are_kept_and_forgotten_on_either_database(office: Office) -> None:
    speaker = office.speaker("12001")
    history_of(office, speaker, "12001", Random(3))
    province = province_of(office)
    province.refresh(NOON)
    kept = kept_months(office)
    assert kept > 5
    tell(office, speaker, "12001", [TODAY - timedelta(days=200)], Random(1), 2)
    assert kept_months(office) == kept - 1
    province.refresh(NOON)
    assert kept_months(office) == kept
    assert as_held(province) == from_all_tallies(office)


def test_before_the_first_refresh_there_is_no_state_rather_than_an_empty_province(lone: Office) -> None:
    with pytest.raises(AwayError):
        _ = province_of(lone).state


def test_a_page_sees_what_was_pushed_the_moment_before(lone: Office) -> None:
    speaker = lone.speaker("12001")
    province = province_of(lone)
    assert province.at(NOON).places["12001"].standings["30d"]["cashless"].denominator == 0
    lone.push(speaker, [a_tally(counts={"cash": 3, "qr": 1})])
    assert province.at(NOON).places["12001"].standings["30d"]["cashless"].denominator == 4


def test_the_daily_figures_end_yesterday_and_a_day_without_a_tally_is_empty(lone: Office) -> None:
    lone.push(lone.speaker("12001"), [a_tally(TODAY - timedelta(days=2), counts={"cash": 3, "qr": 1})])
    daily = list(province_of(lone).at(NOON).places["12001"].daily["cashless"])
    assert daily[-4:] == [1, 4, 0, 0]
    assert sum(daily) == 5
