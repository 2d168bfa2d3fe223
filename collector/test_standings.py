"""Windows, days expected, and the share (architecture.md, "Windows", "Unknown is not zero")."""

from collections.abc import Iterable
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from collector import sources, windows
from collector.access import Speaker
from collector.standings import standings
from collector.store import registry
from collector.store.registry import Pause
from contract.catalogue import Cadence
from contract.days import DayRange, midnight
from contract.verdict import Verdict
from tests.office import NOON, TODAY, YESTERDAY, Office, a_source, a_tally


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """Standings are made in Python: one database is enough here."""
    return f"sqlite:///{tmp_path / 'collector.sqlite'}"


@pytest.fixture
def his(office: Office) -> Speaker:
    return office.speaker("12001")


def days(first: str, last: str) -> DayRange:
    return DayRange(date.fromisoformat(first), date.fromisoformat(last))


def send(
    office: Office, agent: Speaker, on: Iterable[date], measure: str = "payments", name: str = "his", **counts: int
) -> None:
    """The same counts on each day, as of the newest of them."""
    sent = [a_tally(day, 1, counts, measure=measure, source=name) for day in on]
    newest = max(date.fromisoformat(one["day"]) for one in sent)
    at = max(NOON, midnight(newest))
    assert office.push(agent, sent, [], at=at).accepted == len(sent)


@pytest.mark.parametrize(
    ("today", "name", "first", "last"),
    [
        ("2026-11-20", "today", "2026-11-20", "2026-11-20"),
        ("2026-11-20", "7d", "2026-11-13", "2026-11-19"),
        ("2026-11-20", "30d", "2026-10-21", "2026-11-19"),
        ("2026-11-20", "month", "2026-11-01", "2026-11-19"),
        ("2026-11-20", "quarter", "2026-10-01", "2026-11-19"),
        ("2026-11-20", "year", "2026-01-01", "2026-11-19"),
        ("2026-12-01", "month", "2026-11-01", "2026-11-30"),
        ("2026-12-02", "month", "2026-12-01", "2026-12-01"),
        ("2026-10-01", "quarter", "2026-07-01", "2026-09-30"),
        ("2026-01-01", "year", "2025-01-01", "2025-12-31"),
        ("2026-01-02", "quarter", "2026-01-01", "2026-01-01"),
        ("2028-03-01", "month", "2028-02-01", "2028-02-29"),
        ("2028-03-01", "30d", "2028-01-31", "2028-02-29"),
    ],
)
def test_windows_end_yesterday_but_the_running_day(today: str, name: str, first: str, last: str) -> None:
    assert windows.window(name, date.fromisoformat(today)) == days(first, last)


@pytest.mark.parametrize(
    ("cadence", "day", "first", "last"),
    [
        ("monthly", "2028-02-29", "2028-02-01", "2028-02-29"),
        ("monthly", "2026-12-31", "2026-12-01", "2026-12-31"),
        ("quarterly", "2026-03-31", "2026-01-01", "2026-03-31"),
        ("quarterly", "2026-12-01", "2026-10-01", "2026-12-31"),
        ("yearly", "2028-02-29", "2028-01-01", "2028-12-31"),
    ],
)
def test_periods_are_those_of_the_calendar(cadence: Cadence, day: str, first: str, last: str) -> None:
    assert windows.period(cadence, date.fromisoformat(day)) == days(first, last)


def test_the_share_is_adopted_over_base_and_unknown_stays_out_of_it(office: Office, his: Speaker) -> None:
    send(office, his, [YESTERDAY], cash=2, qr=3, wallet=1, mixed=4, unknown=10)
    one = office.standing()
    assert (one.numerator, one.denominator, one.unknown) == (4, 10, 10)
    assert (one.share, one.known) == (Fraction(2, 5), Fraction(1, 2))


def test_excluded_categories_are_in_neither(office: Office, his: Speaker) -> None:
    send(office, his, [YESTERDAY], measure="checkins_insured", vneid=3, manual=1, no_id=96)
    one = office.standing("digital_checkin")
    assert (one.numerator, one.denominator, one.unknown, one.share) == (3, 4, 0, Fraction(3, 4))


def test_nothing_sent_is_not_zero(office: Office, his: Speaker) -> None:
    never = office.standing()
    assert (never.share, never.as_of, never.completeness) == (None, None, Fraction(0))
    send(office, his, [YESTERDAY])
    empty = office.standing()
    assert (empty.share, empty.numerator, empty.denominator, empty.known) == (None, 0, 0, Fraction(1))
    assert (empty.as_of, empty.present) == (YESTERDAY, 1)


def test_only_unknown_is_no_share_and_nothing_known(office: Office, his: Speaker) -> None:
    send(office, his, [YESTERDAY], unknown=5)
    assert (office.standing().share, office.standing().known) == (None, Fraction(0))


def test_a_window_counts_its_own_days_only(office: Office, his: Speaker) -> None:
    send(office, his, [TODAY - timedelta(days=n) for n in range(40)], qr=1)
    counted = {name: office.standing(window=name).denominator for name in windows.WINDOWS}
    assert counted == {"today": 1, "7d": 7, "30d": 30, "month": 19, "quarter": 39, "year": 39}
    assert office.standing(window="today").as_of == TODAY
    assert office.standing().as_of == YESTERDAY


def test_a_day_that_the_agents_clock_puts_into_tomorrow_waits_until_it_comes(office: Office, his: Speaker) -> None:
    send(office, his, [TODAY + timedelta(days=1)], qr=1)
    assert office.standing(window="today").denominator == 0
    assert office.standing(window="today", today=TODAY + timedelta(days=1)).denominator == 1


def test_completeness_is_days_with_a_tally_over_days_expected(office: Office, his: Speaker) -> None:
    send(office, his, [YESTERDAY - timedelta(days=n) for n in (0, 1, 5)])
    assert (office.standing().present, office.standing().expected) == (3, 30)
    assert office.standing(window="month").completeness == Fraction(3, 19)


def test_a_day_is_complete_when_every_part_has_told(office: Office, his: Speaker) -> None:
    office.push(his, [], [a_source("his"), a_source("ward", part="ward"), a_source("check", role="check")])
    send(office, his, [YESTERDAY, YESTERDAY - timedelta(days=1)])
    send(office, his, [YESTERDAY], name="ward")
    assert office.standing().present == 1


def test_a_part_is_expected_from_its_first_day_to_its_last(office: Office, his: Speaker) -> None:
    parts = [a_source("old", part="a"), a_source("his"), a_source("new", part="b", **{"from": str(YESTERDAY)})]
    office.push(his, [], parts)
    send(office, his, [YESTERDAY - timedelta(days=n) for n in range(4)])
    send(office, his, [YESTERDAY - timedelta(days=3)], name="old")
    sources.retire(office.store, "12001", "old", YESTERDAY - timedelta(days=2), NOON)
    # 3 days ago: old and his told; 2 days ago: old is missing; then his alone; yesterday: new is missing
    assert office.standing().present == 2


def test_nothing_is_expected_while_paused_or_closed(office: Office, his: Speaker) -> None:
    office.register("12001", active_from="2026-11-01", active_to="2026-11-17")
    with office.store.write() as connection:
        registry.add_pause(connection, Pause("12001", date(2026, 10, 1), date(2026, 11, 3), "lụt"))
        registry.add_pause(connection, Pause("12001", date(2026, 11, 3), date(2026, 11, 5), "lụt"))
    assert office.standing().expected == 12  # 6 to 17 November
    assert office.standing(window="today").completeness is None


def test_working_days_are_expected_of_offices_and_sundays_still_count(office: Office, his: Speaker) -> None:
    sunday, friday = date(2026, 11, 15), date(2026, 11, 13)
    send(office, his, [sunday, friday], measure="documents", digitally_signed=1)
    one = office.standing("document_signed", "7d")
    assert (one.expected, one.present, one.denominator) == (5, 1, 2)


def test_a_yearly_measure_shows_the_newest_year_that_has_a_tally_in_every_window(office: Office, his: Speaker) -> None:
    send(office, his, [date(2024, 12, 31), date(2025, 12, 31)], measure="satisfaction", satisfied=9, neutral=1)
    for name in windows.WINDOWS:
        one = office.standing("satisfaction", name)
        assert (one.days, one.denominator, one.completeness) == (days("2025-01-01", "2025-12-31"), 10, Fraction(1))
        assert one.as_of == date(2025, 12, 31)


def test_a_survey_that_sends_days_is_shown_in_the_running_year(office: Office, his: Speaker) -> None:
    send(office, his, [date(2025, 12, 31)], measure="satisfaction", satisfied=1)
    send(office, his, [date(2026, 3, 1), TODAY], measure="satisfaction", neutral=1)
    one = office.standing("satisfaction")
    assert (one.days.first, one.numerator, one.denominator) == (date(2026, 1, 1), 0, 2)


@pytest.mark.parametrize(("today", "there"), [("2026-06-30", True), ("2026-10-14", True), ("2026-10-15", False)])
def test_a_quarter_that_ended_more_than_a_quarter_and_fifteen_days_ago_is_no_data(
    office: Office, today: str, there: bool
) -> None:
    office.register("1", level="department")
    agent = office.speaker("1")
    office.push(agent, [a_tally("2026-04-30", facility="1", measure="inspections", counts={"digital": 2})], [])
    # the second quarter ends on 30 June and has 91 days; 91 + 15 days later is 14 October
    one = office.standing("inspection_digital", today=date.fromisoformat(today), facility="1")
    assert (one.present == 1, one.as_of is not None) == (there, there)


def test_a_period_counts_when_every_part_has_a_tally_in_it(office: Office, his: Speaker) -> None:
    parts = [a_source(name, part=name, measures=["satisfaction"]) for name in ("web", "paper")]
    office.push(his, [], parts)
    for name in ("web", "paper"):
        send(office, his, [date(2025, 12, 31)], measure="satisfaction", name=name, satisfied=1)
    send(office, his, [TODAY], measure="satisfaction", name="web", satisfied=5)
    assert office.standing("satisfaction").denominator == 2
    send(office, his, [TODAY], measure="satisfaction", name="paper", satisfied=1)
    assert office.standing("satisfaction").denominator == 6


def test_a_part_that_was_retired_before_a_period_is_not_waited_for_in_it(office: Office, his: Speaker) -> None:
    parts = [a_source(name, part=name, measures=["satisfaction"]) for name in ("web", "paper")]
    office.push(his, [], parts)
    for name in ("web", "paper"):
        send(office, his, [date(2025, 12, 31)], measure="satisfaction", name=name, satisfied=1)
    sources.retire(office.store, "12001", "paper", date(2025, 12, 31), NOON)
    send(office, his, [TODAY], measure="satisfaction", name="web", satisfied=5)
    assert office.standing("satisfaction").denominator == 5


def codes(office: Office, facility: str) -> set[str]:
    found = standings(office.data(facility), office.yardstick, NOON, ("30d",))
    return {one.indicator for one in found if one.verdict is not Verdict.NOT_APPLICABLE}


def test_indicators_apply_by_level_and_by_the_registrys_own_list(office: Office) -> None:
    office.register("1", level="department")
    office.register("2", level="commune_station")
    office.register("3", level="clinic", indicators="emr procedure_online")
    assert {"procedure_online", "inspection_digital", "work_record"} <= codes(office, "1")
    assert not {"emr", "cashless"} & codes(office, "1")
    assert {"emr", "cashless", "work_record"} <= codes(office, "2")
    assert not {"procedure_online"} & codes(office, "2")
    assert codes(office, "3") == {"emr"}


def test_one_indicator_may_be_asked_for_in_several_windows(office: Office, his: Speaker) -> None:
    found = standings(office.data(), office.yardstick, NOON, ("today", "30d"), "emr")
    assert [(one.indicator, one.window) for one in found] == [("emr", "today"), ("emr", "30d")]


def test_a_source_that_has_figures_by_the_month_is_complete_with_one_a_month(office: Office, his: Speaker) -> None:
    month_end = date(2026, 10, 31)
    office.push(his, [a_tally(month_end, 1, {"cash": 30, "qr": 10})], [a_source(cadence="monthly")])
    one = office.standing("cashless", "30d")
    assert (one.days, one.share, one.completeness) == (days("2026-10-01", "2026-10-31"), Fraction(1, 4), Fraction(1))
    assert one.as_of == month_end


def test_figures_by_the_month_are_found_though_they_are_older_than_the_window(office: Office, his: Speaker) -> None:
    office.push(his, [a_tally(date(2026, 10, 31), 1, {"qr": 1})], [a_source(cadence="monthly")])
    assert office.standing("cashless", "today").denominator == 1
    office.push(his, [], [a_source()])
    assert office.standing("cashless", "today").denominator == 0
