"""Merging one facility into another: what counts for whom afterwards, held against an oracle, and what is refused."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector import confirm, merging, sources
from collector.access import Speaker
from collector.store import people as stored
from collector.store import registry, tallies
from collector.store.people import Person
from collector.store.registry import Merger
from collector.thresholds import Confirmation
from contract.days import DayRange
from contract.errors import ConfigError, NotFoundError
from tests.office import CATALOGUE, NOON, TODAY, YESTERDAY, Office, a_source, a_tally

DAYS = [TODAY - timedelta(days=n) for n in range(30, 0, -1)]
"""The window of 30 days."""
CUT = TODAY - timedelta(days=10)
BEFORE, AFTER = [day for day in DAYS if day < CUT], [day for day in DAYS if day >= CUT]


def of(facility: str, day: date, name: str = "his", **counts: int) -> dict[str, Any]:
    return a_tally(day, facility=facility, source=name, counts=counts or {"cash": 3, "qr": 1})


def named(facility: str, name: str = "his", **other: Any) -> dict[str, Any]:
    return a_source(name, facilities=[facility], **other)


def merge(office: Office, merged: str = "2", into: str = "1", day: date = CUT, part: str | None = "co-so-2") -> None:
    merging.merge(office.store, CATALOGUE, merged, Merger(into, day, part), NOON)


def payments(office: Office, facility: str, days: list[date]) -> dict[str, int]:
    return dict(office.data(facility).counts("payments", days))


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """On SQLite; one test goes the whole way on both databases."""
    one = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    yield one
    one.store.close()


@pytest.fixture
def two(office: Office) -> tuple[Speaker, Speaker]:
    """Hospitals 1 and 2 with their own systems and 30 days of payments each."""
    first, second = office.speaker("1"), office.speaker("2")
    office.push(first, [of("1", day, cash=10) for day in DAYS], [named("1")])
    office.push(second, [of("2", day, qr=1) for day in DAYS], [named("2")])
    return first, second


def test_days_before_the_merger_stay_where_they_were_and_those_from_it_on_count_elsewhere(
    office: Office, two: tuple[Speaker, Speaker]
) -> None:
    before = {one: payments(office, one, DAYS) for one in ("1", "2")}
    merge(office)
    assert payments(office, "2", BEFORE) == {"qr": 20}
    assert payments(office, "2", AFTER) == {}
    assert payments(office, "1", BEFORE) == {"cash": 200}
    assert payments(office, "1", AFTER) == {"cash": 100, "qr": 10}
    total = Counter(payments(office, "1", DAYS)) + Counter(payments(office, "2", DAYS))
    assert total == Counter(before["1"]) + Counter(before["2"])


def test_the_agent_goes_on_under_the_old_id_and_corrections_reach_the_right_facility(
    office: Office, two: tuple[Speaker, Speaker]
) -> None:
    merge(office)
    old, new = of("2", BEFORE[-1], qr=5), of("2", YESTERDAY, qr=7)
    today = of("2", TODAY, qr=9)
    sent = [{**old, "revision": 2}, {**new, "revision": 2}, today]
    assert office.push(two[1], sent, [named("2")]).accepted == 3
    assert payments(office, "2", [BEFORE[-1]]) == {"qr": 5}
    assert payments(office, "1", [YESTERDAY, TODAY]) == {"cash": 10, "qr": 16}


def test_there_and_back_on_both_databases(store_url: str, tmp_path: Path) -> None:
    office = Office(store_url, tmp_path)
    first, second = office.speaker("1"), office.speaker("2")
    office.push(first, [of("1", day, cash=10) for day in DAYS], [named("1")])
    office.push(second, [of("2", day, qr=1) for day in DAYS], [named("2")])
    with pytest.raises(ConfigError, match="cùng đếm"):
        merge(office, part=None)
    merge(office)
    assert office.push(second, [{**of("2", YESTERDAY, qr=7), "revision": 2}], [named("2")]).accepted == 1
    assert payments(office, "1", AFTER) == {"cash": 100, "qr": 16}
    merging.undo(office.store, "2", NOON)
    assert (payments(office, "1", DAYS), payments(office, "2", DAYS)) == ({"cash": 300}, {"qr": 36})
    office.store.close()


def test_the_merged_facility_is_closed_and_judged_by_its_own_days(office: Office, two: tuple[Speaker, Speaker]) -> None:
    merge(office)
    with office.store.read() as connection:
        (one,) = registry.facilities(connection, ["2"])
    assert (one.active_to, one.merger) == (BEFORE[-1], Merger("1", CUT, "co-so-2"))
    standing = office.standing(facility="2")
    assert (standing.expected, standing.present, standing.denominator) == (20, 20, 20)
    assert office.standing(facility="1").present == 30
    assert 'nhipso_facility_expected_since_timestamp_seconds{facility="2"}' not in office.metrics()


def test_a_part_that_falls_silent_after_the_merger_is_missed_at_the_other_facility(
    office: Office, two: tuple[Speaker, Speaker]
) -> None:
    merge(office)
    assert office.push(two[0], [of("1", TODAY, cash=1)], [named("1")]).accepted == 1
    data = office.data("1", TODAY + timedelta(days=1))
    assert not data.is_complete("payments", DayRange(TODAY, TODAY))
    assert data.is_complete("payments", DayRange(YESTERDAY, YESTERDAY))


def test_two_systems_that_count_the_same_are_refused_until_somebody_says_that_they_add(
    office: Office, two: tuple[Speaker, Speaker]
) -> None:
    with pytest.raises(ConfigError, match=r"payments.*“his” của 1.*“his” của 2.*cùng đếm") as caught:
        merge(office, part=None)
    assert len(caught.value.problems) == 1
    with office.store.read() as connection:
        assert registry.mergers(connection) == {}
    assert payments(office, "2", DAYS) == {"qr": 30}


@pytest.mark.parametrize(("facility", "adds"), [("1", {"cash": 200, "qr": 10}), ("2", {"cash": 300})])
def test_a_source_that_is_retired_before_the_day_is_no_overlap(
    office: Office, two: tuple[Speaker, Speaker], facility: str, adds: dict[str, int]
) -> None:
    sources.retire(office.store, facility, "his", BEFORE[-1], NOON)
    merge(office, part=None)
    assert payments(office, "1", DAYS) == adds


def test_other_measures_are_no_overlap(office: Office, two: tuple[Speaker, Speaker]) -> None:
    emr = office.speaker("3")
    records = [a_tally(day, facility="3", source="emr", measure="records", counts={"paper": 4}) for day in DAYS]
    office.push(emr, records, [named("3", "emr", measures=["records"])])
    merge(office, "3", part=None)
    assert office.data("1").counts("records", AFTER) == {"paper": 40}


def test_a_check_source_holds_only_its_own_facility_to_account(office: Office, two: tuple[Speaker, Speaker]) -> None:
    roster = [named("2"), named("2", "bank", role="check")]
    office.push(two[1], [of("2", day, "bank", qr=1) for day in DAYS], roster)
    merge(office)
    assert payments(office, "1", AFTER) == {"cash": 100, "qr": 10}
    assert [one.name for one in office.data("1").sources] == ["his", "2/his"]
    assert 'difference_ratio{facility="1"' not in office.metrics()


def test_a_new_facility_of_two_old_ones_counts_both_from_its_day_on(
    office: Office, two: tuple[Speaker, Speaker]
) -> None:
    office.register("9", active_from=str(CUT))
    merge(office, "1", "9", part=None)
    merge(office, "2", "9", part="b")
    assert payments(office, "9", DAYS) == {"cash": 100, "qr": 10}
    standing = office.standing(facility="9")
    assert (standing.expected, standing.present) == (10, 10)
    office.push(two[0], [of("1", TODAY)], [named("1")])
    with office.store.read() as connection:
        assert registry.facilities(connection, ["9"])[0].last_push_at == NOON


def test_what_was_merged_goes_along_when_its_heir_is_merged(office: Office, two: tuple[Speaker, Speaker]) -> None:
    office.register("3")
    last = AFTER[5]
    merge(office)
    merge(office, "1", "3", last, part=None)
    assert payments(office, "2", DAYS) == {"qr": 20}
    assert payments(office, "1", DAYS) == {"cash": 250, "qr": 5}
    assert payments(office, "3", DAYS) == {"cash": 50, "qr": 5}
    office.push(two[1], [of("2", TODAY, qr=4)], [named("2")])
    assert payments(office, "3", [TODAY]) == {"qr": 4}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_merged_into_whatever_every_case_counts_once_where_its_line_leads(
    tmp_path: Path, data: st.DataObject
) -> None:
    """The oracle: each facility's own tallies, walked along the line of mergers day by day."""
    from collector.feeds import feeds

    ids = ["1", "2", "3", "4"]
    mergers: dict[str, Merger] = {}
    for one in data.draw(st.permutations(ids))[1:]:
        into = data.draw(st.sampled_from([other for other in ids if other != one]))
        end = into
        while end in mergers:
            end = mergers[end].into
        if end != one and data.draw(st.booleans()):
            mergers[one] = Merger(into, data.draw(st.sampled_from(DAYS)), one)
    for day in DAYS:
        counted: dict[str, list[str]] = {one: [] for one in ids}
        for feed in feeds(mergers, ids):
            assert feed.first is None or feed.last is None or feed.first <= feed.last
            if feed.holds(day):
                counted[feed.facility].append(feed.giver)
        expected: dict[str, list[str]] = {one: [] for one in ids}
        for one in ids:
            place = one
            while place in mergers and mergers[place].day <= day:
                place = mergers[place].into
            expected[place].append(one)
        assert {one: sorted(givers) for one, givers in counted.items()} == expected


def test_a_correction_in_the_signed_time_reopens_the_month_of_the_facility_that_took_over(
    office: Office, two: tuple[Speaker, Speaker]
) -> None:
    office.people.add(Person("an", "confirmer", "1"), NOON)
    rules = Confirmation()
    october = [date(2026, 10, 1) + timedelta(days=n) for n in range(31)]
    office.push(two[0], [{**of("1", day, cash=10), "revision": 2} for day in october], [named("1")])
    office.push(two[1], [{**of("2", day, qr=10), "revision": 2} for day in october], [named("2")])
    with office.store.read() as connection:
        _, seen = confirm.look(connection, office.yardstick, rules, "1", "2026-10", NOON)
    asked = confirm.Asked(facility="1", period="2026-10", digest=seen.digest, decision="confirm")
    confirm.sign(office.store, office.yardstick, rules, Person("an", "confirmer", "1"), asked, NOON)
    merge(office, day=date(2026, 10, 16))
    with office.store.read() as connection:
        month, now = confirm.look(connection, office.yardstick, rules, "1", "2026-10", NOON)
        own, _ = confirm.look(connection, office.yardstick, rules, "2", "2026-10", NOON)
    assert month.state == "reopened"
    assert (now.figures["cashless"].numerator, now.figures["cashless"].denominator) == (160, 470)
    assert own.state == "open"  # its days of October are still its own people's to sign


# --- what is refused


def test_a_second_time_is_refused_and_says_what_stands(office: Office, two: tuple[Speaker, Speaker]) -> None:
    merge(office)
    office.register("3")
    for into, day in (("1", CUT), ("3", CUT), ("1", YESTERDAY)):
        with pytest.raises(ConfigError, match=f"đã sáp nhập vào 1 từ ngày {CUT:%d/%m/%Y}"):
            merge(office, into=into, day=day)
    with pytest.raises(ConfigError, match="hãy sáp nhập vào 1"):
        merge(office, "3", "2")
    assert payments(office, "1", AFTER) == {"cash": 100, "qr": 10}


@pytest.mark.parametrize(
    ("merged", "into", "day", "part", "words"),
    [
        ("2", "2", CUT, None, "chính nó"),
        ("2", "1", date(2020, 1, 1), None, "ngày sáp nhập"),
        ("2", "1", TODAY + timedelta(days=400), None, "ngày sáp nhập"),
        ("2", "8", CUT, None, "8 không hoạt động"),
        ("7", "1", CUT, None, "7 hoạt động từ"),
        ("8", "1", TODAY, None, "8 đã ngừng hoạt động"),
        ("2", "1", CUT, "a/b", "tên phần"),
        ("2", "1", CUT, "", "tên phần"),
    ],
)
def test_a_merger_that_cannot_be_is_refused_with_its_reason(
    lone: Office, merged: str, into: str, day: date, part: str | None, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        merge(lone, merged, into, day, part)
    with lone.store.read() as connection:
        assert registry.mergers(connection) == {}


def test_facilities_that_are_not_there_are_named(lone: Office) -> None:
    with pytest.raises(NotFoundError, match="“5”; chưa đăng ký cơ sở “6”"):
        merge(lone, "5", "6")
    with pytest.raises(NotFoundError, match="“5”"):
        merging.undo(lone.store, "5", NOON)


def test_the_days_of_a_merged_facility_cannot_be_changed_behind_its_back(lone: Office) -> None:
    merge(lone, part=None)
    with pytest.raises(ConfigError, match="đã sáp nhập vào 1"):
        lone.register("2", active_to=str(TODAY))
    lone.register("2", area="Khu vực 2")  # anything else can


# --- the way back, and what is written down


def test_a_merger_that_is_undone_leaves_everything_as_it_was(office: Office, two: tuple[Speaker, Speaker]) -> None:
    before = {one: payments(office, one, DAYS) for one in ("1", "2")}
    was = office.metrics()
    merge(office)
    assert office.metrics() != was
    merging.undo(office.store, "2", NOON)
    assert {one: payments(office, one, DAYS) for one in ("1", "2")} == before
    assert office.metrics() == was
    with pytest.raises(ConfigError, match="không sáp nhập"):
        merging.undo(office.store, "2", NOON)


def test_both_facilities_have_it_in_their_audit(lone: Office) -> None:
    merge(lone, part=None)
    merging.undo(lone.store, "2", NOON, by="quan.tri")
    with lone.store.read() as connection:
        for one in ("1", "2"):
            undone, done = stored.changes(connection, one)[:2]
            assert (done.action, done.person, done.subject) == ("facility_merged", stored.OPERATOR, "2")
            assert done.after == f'{{"day":"{CUT}","into":"1","part":null}}'
            assert (undone.action, undone.person, undone.before) == ("merger_undone", "quan.tri", done.after)


def test_the_outlook_says_what_will_happen(office: Office, two: tuple[Speaker, Speaker]) -> None:
    office.people.add(Person("an", "confirmer", "2"), NOON)
    with office.store.read() as connection:
        found = merging.look(connection, office.yardstick, "2", "1", Merger("1", CUT, "b"), NOON)
    assert found.problems == []
    assert [(one.source.name, one.measures, one.days) for one in found.arriving] == [("his", ("payments",), 10)]
    (shown,) = [one for one in found.figures if one.indicator == "cashless"]
    assert (shown.now.numerator, shown.now.denominator) == (0, 300)
    assert (shown.then.numerator, shown.then.denominator) == (10, 310)
    assert [one.person.name for one in found.people] == ["an"]
    merge(office, part="b")
    assert (office.standing(facility="1").numerator, office.standing(facility="1").denominator) == (10, 310)


def test_the_numbers_of_tallies_are_the_same_before_and_after(office: Office, two: tuple[Speaker, Speaker]) -> None:
    before = office.stored()
    merge(office)
    assert office.stored() == before
    with office.store.read() as connection:
        assert {one.facility for one in tallies.sources(connection)} == {"1", "2"}


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Office]:
    """On SQLite: two facilities without figures, one that begins later, one that is closed."""
    one = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    one.register("1", "2")
    one.register("7", active_from=str(TODAY))
    one.register("8", active_to=str(TODAY - timedelta(days=60)))
    yield one
    one.store.close()
