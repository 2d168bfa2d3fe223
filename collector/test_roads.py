"""Roads: where they begin, how they run, where they end (architecture.md, "Road")."""

import threading
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
import sqlalchemy as sa

from collector.access import Speaker
from collector.roads import freeze, road
from collector.store import Store, registry
from collector.store.registry import Pause
from collector.store.tables import baseline
from contract.days import DayRange, midnight
from tests.office import NOON, Office, a_plan, a_source, a_tally, exposition_of, samples

DAY = timedelta(days=1)
FIRST, DEADLINE = date(2026, 1, 1), date(2026, 12, 31)
BEGIN = DayRange(FIRST, FIRST + 29 * DAY)
FIVE_YEARS = {"first_day": "2026-01-01", "last_day": "2030-12-31"}
SERIES = 'nhipso_road_ratio{facility="12001",indicator="cashless",plan="ke-hoach-2026"}'
HALF = {"cash": 5, "qr": 5}


@pytest.fixture
def his(office: Office) -> Speaker:
    office.set_plans(a_plan({}))
    return office.speaker("12001")


def noon(day: date) -> datetime:
    return datetime.combine(day, NOON.timetz())


def tell(
    office: Office, agent: Speaker, days: Iterable[date], counts: dict[str, int] | None = None, revision: int = 1
) -> None:
    """Five of ten payments without cash, on each of these days."""
    sent = [a_tally(day, revision, HALF if counts is None else counts) for day in days]
    at = noon(max(date.fromisoformat(one["day"]) for one in sent) + DAY)
    assert office.push(agent, sent, [a_source(read_at=at.isoformat())], at=at, sent_at=at.isoformat()).refused == []


def frozen(office: Office) -> list[tuple[str, str, date, date, int, int]]:
    names = ("indicator", "plan", "first_day", "day", "numerator", "denominator")
    with office.store.read() as connection:
        query = sa.select(*(baseline.c[name] for name in names)).order_by(baseline.c.first_day, baseline.c.indicator)
        return [tuple(row) for row in connection.execute(query)]


def on(office: Office, day: date) -> Fraction | None:
    """Where the road is on a day, for what is binding then."""
    bound = office.standing(today=day).bound
    return None if bound is None else road(office.data(today=day), "cashless", bound, day)


def test_a_road_begins_with_the_share_over_the_first_30_complete_days(office: Office, his: Speaker) -> None:
    tell(office, his, BEGIN)
    tell(office, his, [BEGIN.last + DAY], {"cash": 1000})
    assert freeze(office.store, office.yardstick, noon(BEGIN.last + 2 * DAY)) == 1
    assert frozen(office) == [("cashless", "ke-hoach-2026", FIRST, BEGIN.last, 150, 300)]


def test_it_is_not_there_before_30_days_are_complete_and_over(office: Office, his: Speaker) -> None:
    tell(office, his, DayRange(FIRST, BEGIN.last - DAY))
    assert freeze(office.store, office.yardstick, noon(BEGIN.last)) == 0
    tell(office, his, [BEGIN.last])
    # the thirtieth day still runs
    assert freeze(office.store, office.yardstick, noon(BEGIN.last)) == 0
    assert on(office, BEGIN.last) is None
    assert freeze(office.store, office.yardstick, midnight(BEGIN.last + DAY)) == 1


def test_days_that_are_incomplete_or_paused_or_before_the_plan_are_left_out(office: Office, his: Speaker) -> None:
    with office.store.write() as connection:
        registry.add_pause(connection, Pause("12001", date(2026, 1, 10), date(2026, 1, 19), "lụt"))
    days = DayRange(date(2025, 12, 1), date(2026, 2, 14))
    tell(office, his, (day for day in days if day.day != 5))
    freeze(office.store, office.yardstick, noon(date(2026, 2, 15)))
    # of 1 January to 11 February: without the 5th of each, and without ten days of pause
    assert frozen(office) == [("cashless", "ke-hoach-2026", FIRST, date(2026, 2, 11), 150, 300)]


def test_days_on_which_one_of_two_parts_has_told_nothing_are_left_out(office: Office, his: Speaker) -> None:
    parts = [a_source("his"), a_source("ward", part="ward")]
    days = DayRange(FIRST, FIRST + 39 * DAY)
    office.push(his, [a_tally(day, 1, HALF) for day in days], parts)
    office.push(his, [a_tally(day, 1, HALF, source="ward") for day in days if day > FIRST + 4 * DAY], parts)
    freeze(office.store, office.yardstick, noon(days.last + DAY))
    assert [(one[3], one[5]) for one in frozen(office)] == [(FIRST + 34 * DAY, 600)]


def test_it_is_frozen_against_what_is_corrected_or_sent_later(office: Office, his: Speaker) -> None:
    tell(office, his, DayRange(FIRST + 10 * DAY, FIRST + 45 * DAY))
    freeze(office.store, office.yardstick, noon(FIRST + 46 * DAY))
    before = frozen(office)
    tell(office, his, DayRange(FIRST, FIRST + 45 * DAY), {"qr": 10}, revision=2)
    assert freeze(office.store, office.yardstick, noon(FIRST + 47 * DAY)) == 0
    assert frozen(office) == before
    assert before[0][3:] == (FIRST + 39 * DAY, 150, 300)


def test_freezing_again_freezes_nothing_more(office: Office, his: Speaker) -> None:
    tell(office, his, BEGIN)
    moment = noon(BEGIN.last + DAY)
    assert [freeze(office.store, office.yardstick, moment) for _ in range(3)] == [1, 0, 0]
    assert len(frozen(office)) == 1


def test_two_collectors_that_freeze_at_once_freeze_once(office: Office, his: Speaker) -> None:
    tell(office, his, BEGIN)
    failed: list[BaseException] = []
    start = threading.Barrier(3)

    def run() -> None:
        store = Store(office.url)
        try:
            start.wait()
            freeze(store, office.yardstick, noon(BEGIN.last + DAY))
        except BaseException as error:
            failed.append(error)
        finally:
            store.close()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert failed == []
    assert len(frozen(office)) == 1


def test_too_few_cases_are_no_beginning(office: Office, his: Speaker) -> None:
    tell(office, his, BEGIN, {})
    tell(office, his, [FIRST], {"qr": 29}, revision=2)
    assert freeze(office.store, office.yardstick, noon(BEGIN.last + DAY)) == 0
    tell(office, his, [FIRST], {"qr": 30}, revision=3)
    assert freeze(office.store, office.yardstick, noon(BEGIN.last + DAY)) == 1


def test_the_road_is_a_straight_line_to_the_target_on_its_deadline(office: Office, his: Speaker) -> None:
    tell(office, his, BEGIN)
    freeze(office.store, office.yardstick, noon(BEGIN.last + DAY))
    begin, way = BEGIN.last, (DEADLINE - BEGIN.last).days
    assert on(office, begin) == Fraction(1, 2)
    assert on(office, DEADLINE) == Fraction(9, 10)
    for n in (1, 100, way - 1):
        assert on(office, begin + n * DAY) == Fraction(1, 2) + Fraction(4, 10) * Fraction(n, way)
    assert on(office, begin - DAY) is None


def test_there_is_no_road_after_the_deadline_though_the_plan_is_still_in_force(office: Office, his: Speaker) -> None:
    tell(office, his, BEGIN)
    freeze(office.store, office.yardstick, noon(BEGIN.last + DAY))
    assert on(office, DEADLINE + DAY) is None
    assert office.standing(today=DEADLINE + 10 * DAY).bound is not None
    office.set_plans(a_plan({"deadline": "2026-06-30"}))
    assert on(office, date(2026, 6, 30)) == Fraction(9, 10)
    assert on(office, date(2026, 7, 1)) is None


def test_nothing_is_frozen_for_a_target_whose_deadline_came_before_30_days(office: Office, his: Speaker) -> None:
    office.set_plans(a_plan({"deadline": "2026-01-20"}))
    tell(office, his, DayRange(FIRST, FIRST + 60 * DAY))
    assert freeze(office.store, office.yardstick, noon(FIRST + 61 * DAY)) == 0


@pytest.mark.parametrize(("counts", "share"), [({"qr": 10}, "0.9"), ({"cash": 1, "qr": 9}, "0.9")])
def test_the_road_is_flat_at_the_target_when_it_begins_above_it(
    office: Office, his: Speaker, counts: dict[str, int], share: str
) -> None:
    tell(office, his, BEGIN, counts)
    freeze(office.store, office.yardstick, noon(BEGIN.last + DAY))
    assert {on(office, BEGIN.last + n * DAY) for n in (0, 1, 200)} == {Fraction(share)}


def hand(day: str, ratio: str = "0.2", facility: str = "12001") -> dict[str, Any]:
    return {"baselines": [{"facility": facility, "day": day, "ratio": ratio, "reason": "khảo sát"}]}


def test_a_beginning_set_by_hand_goes_before_the_one_that_was_counted(office: Office, his: Speaker) -> None:
    office.set_plans(a_plan(hand("2026-03-01")))
    tell(office, his, BEGIN)
    assert freeze(office.store, office.yardstick, noon(BEGIN.last + DAY)) == 0
    assert on(office, date(2026, 2, 28)) is None
    assert on(office, date(2026, 3, 1)) == Fraction(1, 5)
    assert on(office, DEADLINE) == Fraction(9, 10)


def test_a_beginning_set_by_hand_may_lie_before_the_plan(office: Office, his: Speaker) -> None:
    office.set_plans(a_plan(hand("2025-12-31")))
    assert on(office, date(2026, 7, 2)) == Fraction(1, 5) + Fraction(7, 10) * Fraction(183, 365)


def test_a_beginning_set_by_hand_is_of_its_facility_only(office: Office, his: Speaker) -> None:
    office.set_plans(a_plan(hand("2026-03-01", facility="12002")))
    tell(office, his, BEGIN)
    assert freeze(office.store, office.yardstick, noon(BEGIN.last + DAY)) == 1


def test_each_year_of_a_yearly_target_has_a_road_of_its_own(office: Office, his: Speaker) -> None:
    office.set_plans(a_plan({"every": "year"}, **FIVE_YEARS))
    tell(office, his, BEGIN)
    freeze(office.store, office.yardstick, noon(BEGIN.last + DAY))
    next_year = DayRange(date(2027, 1, 1), date(2027, 1, 30))
    tell(office, his, next_year, {"cash": 4, "qr": 6})
    # in January the target is still that of the year before
    assert freeze(office.store, office.yardstick, noon(date(2027, 1, 31))) == 0
    assert [on(office, date(2027, 1, day)) for day in (1, 31)] == [None, None]
    assert freeze(office.store, office.yardstick, noon(date(2027, 2, 2))) == 1
    assert [(one[2], one[4]) for one in frozen(office)] == [(FIRST, 150), (date(2027, 1, 1), 180)]
    assert on(office, date(2026, 12, 31)) == Fraction(9, 10)
    way = Fraction((date(2027, 6, 1) - next_year.last).days, (date(2027, 12, 31) - next_year.last).days)
    assert on(office, date(2027, 6, 1)) == Fraction(6, 10) + Fraction(3, 10) * way


@pytest.mark.parametrize("day", ["2025-12-31", "2027-03-01"])
def test_a_beginning_set_by_hand_for_one_year_is_none_of_another(office: Office, his: Speaker, day: str) -> None:
    office.set_plans(a_plan({"every": "year", **hand(day)}, **{**FIVE_YEARS, "first_day": "2025-01-01"}))
    tell(office, his, BEGIN)
    assert freeze(office.store, office.yardstick, noon(date(2026, 2, 2))) == 1
    assert on(office, date(2026, 6, 1)) is not None
    assert on(office, DEADLINE) == Fraction(9, 10)


def test_a_plan_of_several_years_has_one_road(office: Office, his: Speaker) -> None:
    office.set_plans(a_plan({}, **FIVE_YEARS))
    tell(office, his, BEGIN)
    freeze(office.store, office.yardstick, noon(BEGIN.last + DAY))
    way = Fraction((date(2028, 7, 1) - BEGIN.last).days, (date(2030, 12, 31) - BEGIN.last).days)
    assert on(office, date(2028, 7, 1)) == Fraction(1, 2) + Fraction(4, 10) * way


@pytest.mark.parametrize("other", [{"indicators": "emr"}, {"ownership": "private"}])
def test_what_has_no_target_has_no_road(office: Office, his: Speaker, other: dict[str, Any]) -> None:
    office.set_plans(a_plan({"applies_to": {"ownership": ["public"]}}))
    office.register("12001", **other)
    tell(office, his, BEGIN)
    assert freeze(office.store, office.yardstick, noon(BEGIN.last + DAY)) == 0


def test_what_is_counted_by_the_month_has_no_road(office: Office, his: Speaker) -> None:
    tell(office, his, BEGIN)
    office.push(his, [], [a_source(cadence="monthly")], at=noon(BEGIN.last + DAY))
    assert freeze(office.store, office.yardstick, noon(BEGIN.last + DAY)) == 0


def test_metrics_show_where_the_road_is_today_as_soon_as_it_is_frozen(office: Office, his: Speaker) -> None:
    tell(office, his, BEGIN)
    exposition, moment = exposition_of(office.store, office.yardstick), noon(BEGIN.last + DAY)
    exposition.refresh(moment)
    assert SERIES not in samples(exposition.body().decode())
    freeze(office.store, office.yardstick, moment)
    assert exposition.refresh(moment) == 1
    way = Fraction(1, (DEADLINE - BEGIN.last).days)
    assert samples(exposition.body().decode())[SERIES] == float(Fraction(1, 2) + Fraction(4, 10) * way)
    exposition.refresh(midnight(DEADLINE + DAY))
    assert SERIES not in samples(exposition.body().decode())
