"""Which target binds a facility in a window, and by when (architecture.md, "Targets")."""

from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from collector.yardstick import Bound, Yardstick, applies, of_scope
from contract.days import DayRange
from contract.plan import Plan
from contract.verdict import Verdict
from tests.office import CATALOGUE, NOON, TODAY, YESTERDAY, Office, a_plan, a_source, a_tally, samples

OVERRIDE = {"facility": "12001", "ratio": "0.7", "reason": "đang sửa nhà"}
USES = {"unit": "facilities", "ratio": "0.6", "uses_at": "0.5", "uses_at_reason": "mức của cả nước"}


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """Targets are found in Python: one database is enough here."""
    return f"sqlite:///{tmp_path / 'collector.sqlite'}"


def year(number: int, *targets: dict[str, Any], **other: Any) -> Plan:
    """The plan of one year."""
    period = {"first_day": f"{number}-01-01", "last_day": f"{number}-12-31"}
    return a_plan(*(targets or ({},)), id=f"nam-{number}", **{**period, **other})


def binding(office: Office, plans: tuple[Plan, ...], day: date | str, indicator: str = "cashless") -> list[str]:
    """The plans in force on a window that ends on `day`, the binding one first."""
    return [one.plan.id for one in all_bound(office, plans, day, indicator)]


def all_bound(
    office: Office, plans: tuple[Plan, ...], day: date | str = YESTERDAY, indicator: str = "cashless", **facility: Any
) -> list[Bound]:
    office.register("12001", **facility)
    last = date.fromisoformat(str(day))
    return list(Yardstick(CATALOGUE, plans).all_bound(indicator, office.data().facility, last))


def test_without_plans_nothing_binds(office: Office) -> None:
    assert binding(office, (), TODAY) == []


def test_plans_bind_in_the_order_in_which_they_are_listed(office: Office) -> None:
    a, b = a_plan({"ratio": "0.8"}, id="a"), a_plan({"ratio": "0.9"}, id="b")
    assert binding(office, (a, b), TODAY) == ["a", "b"]
    assert binding(office, (b, a), TODAY) == ["b", "a"]


def test_the_first_plan_that_has_a_figure_for_this_facility_and_indicator_binds(office: Office) -> None:
    plans = (
        a_plan({"indicator": "emr"}, id="other-indicator"),
        a_plan({"applies_to": {"facilities": ["12002"]}}, id="other-facility"),
        a_plan({"ratio": None}, id="without-a-figure"),
        a_plan({}, id="this"),
        a_plan({"applies_to": {"facilities": ["12001"]}}, id="also"),
    )
    assert binding(office, plans, TODAY) == ["this", "also"]


@pytest.mark.parametrize(
    ("applies_to", "facility", "binds"),
    [
        ({}, {}, True),
        ({"levels": ["province", "clinic"]}, {}, True),
        ({"levels": ["clinic"]}, {}, False),
        ({"ownership": ["public"]}, {"ownership": "public"}, True),
        ({"ownership": ["public"]}, {"ownership": "private"}, False),
        ({"facilities": ["12001"]}, {}, True),
        ({"facilities": ["12002"]}, {}, False),
        ({"levels": ["province"], "ownership": ["private"]}, {"ownership": "public"}, False),
        ({"levels": ["province"], "ownership": ["public"], "facilities": ["12001"]}, {}, True),
    ],
)
def test_applies_to_narrows_by_level_ownership_or_facility(
    office: Office, applies_to: dict[str, Any], facility: dict[str, str], binds: bool
) -> None:
    assert bool(all_bound(office, (a_plan({"applies_to": applies_to}),), **facility)) is binds


def test_of_targets_of_one_plan_the_first_that_applies_binds(office: Office) -> None:
    plan = a_plan({"applies_to": {"ownership": ["public"]}, "ratio": "0.9"}, {"ratio": "0.5"})
    assert [one.ratio for one in all_bound(office, (plan,))] == [Fraction(9, 10), Fraction(1, 2)]
    assert [one.ratio for one in all_bound(office, (plan,), ownership="private")] == [Fraction(1, 2)]


@pytest.mark.parametrize(
    ("day", "found"),
    [
        ("2025-12-31", []),
        ("2026-01-01", ["nam-2026"]),
        ("2026-12-31", ["nam-2026"]),
        ("2027-01-31", ["nam-2026"]),
        ("2027-02-01", []),
    ],
)
def test_a_plan_is_in_force_from_its_first_day_to_31_days_after_its_last(
    office: Office, day: str, found: list[str]
) -> None:
    assert binding(office, (year(2026),), day) == found


def test_how_long_a_plan_is_in_force_after_its_last_day_may_be_said(office: Office) -> None:
    plans = (year(2026, in_force_until="2027-03-15"),)
    assert [binding(office, plans, day) for day in ("2027-03-15", "2027-03-16")] == [["nam-2026"], []]
    plans = (year(2026, in_force_until="2026-12-31"),)
    assert binding(office, plans, "2027-01-01") == []


@pytest.mark.parametrize("turn", [1, -1])
def test_a_later_plan_takes_over_on_its_first_day_wherever_it_is_listed(office: Office, turn: int) -> None:
    plans = (year(2026), year(2027))[::turn]
    assert binding(office, plans, "2026-12-31") == ["nam-2026"]
    assert binding(office, plans, "2027-01-01") == ["nam-2027"]


def test_a_later_plan_without_a_target_for_it_takes_nothing_over(office: Office) -> None:
    later = year(2027, {"indicator": "emr"}, {"ratio": None}, {"applies_to": {"levels": ["clinic"]}})
    assert binding(office, (year(2026), later), "2027-01-20") == ["nam-2026"]


def test_a_plan_that_was_taken_over_does_not_come_back_when_its_successor_ends(office: Office) -> None:
    plans = (year(2026, in_force_until="2027-12-31"), year(2027, last_day="2027-02-28"))
    assert binding(office, plans, "2027-02-28") == ["nam-2027"]
    assert binding(office, plans, "2027-03-10") == ["nam-2027"]


def test_a_plan_of_years_beside_a_yearly_one_is_shown_and_binds_when_that_has_ended(office: Office) -> None:
    plans = (year(2026), year(2026, first_day="2025-06-01", last_day="2030-12-31").model_copy(update={"id": "long"}))
    assert binding(office, plans, "2026-06-01") == ["nam-2026", "long"]
    assert binding(office, plans, "2027-02-01") == ["long"]


def test_a_plan_that_is_over_is_held_against_nobody(office: Office) -> None:
    office.set_plans(year(2025, {"ratio": "1"}))
    agent = office.speaker("12001")
    office.push(agent, [a_tally(day, 1, {"cash": 9, "qr": 1}) for day in DayRange.ending(YESTERDAY, 30)])
    assert office.standing().verdict is Verdict.NO_TARGET
    assert not [name for name in samples(office.metrics()) if name.startswith("nhipso_target")]


def test_an_override_is_the_threshold_of_that_facility_only(office: Office) -> None:
    office.register("12001", "12002")
    yardstick = Yardstick(CATALOGUE, (a_plan({"ratio": "0.9", "overrides": [OVERRIDE]}),))
    found = [yardstick.bound("cashless", office.data(one).facility, YESTERDAY) for one in ("12001", "12002")]
    assert [one and one.ratio for one in found] == [Fraction(7, 10), Fraction(9, 10)]
    # a scope is held against the plan's own figure
    assert [one and of_scope(one).ratio for one in found] == [Fraction(9, 10)] * 2


@pytest.mark.parametrize("operator", [">=", ">"])
def test_a_facility_is_held_against_uses_at_and_the_province_against_the_plans_share(
    office: Office, operator: str
) -> None:
    (one,) = all_bound(office, (a_plan({**USES, "operator": operator}),))
    # "uses it" is from that share on, whatever the plan says of how many facilities do
    assert (one.operator, one.ratio) == (">=", Fraction(1, 2))
    assert (of_scope(one).operator, of_scope(one).ratio) == (operator, Fraction(3, 5))
    assert one.is_met(1, 2)


def test_an_override_of_a_facilities_target_is_the_facilitys_own_uses_at(office: Office) -> None:
    (one,) = all_bound(office, (a_plan({**USES, "overrides": [OVERRIDE]}),))
    assert (one.ratio, of_scope(one).ratio) == (Fraction(7, 10), Fraction(3, 5))


def test_a_ratio_is_the_number_that_was_written(office: Office) -> None:
    assert all_bound(office, (a_plan({"ratio": "0.1"}),))[0].ratio == Fraction(1, 10)


FIVE_YEARS = {"first_day": "2026-01-01", "last_day": "2030-12-31"}


@pytest.mark.parametrize(
    ("target", "period", "day", "deadline"),
    [
        ({}, {}, "2026-06-30", "2026-12-31"),
        ({"deadline": "2026-09-30"}, {}, "2026-06-30", "2026-09-30"),
        ({"deadline": "2026-09-30"}, {}, "2026-11-30", "2026-09-30"),
        ({}, FIVE_YEARS, "2027-06-30", "2030-12-31"),
        ({"every": "year"}, FIVE_YEARS, "2026-01-01", "2026-12-31"),
        ({"every": "year"}, FIVE_YEARS, "2026-01-31", "2026-12-31"),
        ({"every": "year"}, FIVE_YEARS, "2026-12-31", "2026-12-31"),
        ({"every": "year"}, FIVE_YEARS, "2027-01-01", "2026-12-31"),
        ({"every": "year"}, FIVE_YEARS, "2027-01-31", "2026-12-31"),
        ({"every": "year"}, FIVE_YEARS, "2027-02-01", "2027-12-31"),
        ({"every": "year"}, FIVE_YEARS, "2031-01-31", "2030-12-31"),
        ({"every": "year"}, {"first_day": "2026-07-01", "last_day": "2028-06-30"}, "2028-05-01", "2028-06-30"),
    ],
)
def test_the_deadline_is_the_targets_else_the_end_of_the_period_or_of_the_year(
    office: Office, target: dict[str, Any], period: dict[str, Any], day: str, deadline: str
) -> None:
    (one,) = all_bound(office, (a_plan(target, **period),), day)
    assert one.deadline == date.fromisoformat(deadline)


@pytest.mark.parametrize(
    ("facility", "indicator", "found"),
    [
        ({}, "cashless", True),
        ({"level": "department"}, "cashless", False),
        ({"level": "department"}, "procedure_online", True),
        ({"indicators": "emr"}, "cashless", False),
        ({"indicators": "emr cashless"}, "cashless", True),
        # the registry's list narrows, and widens nothing
        ({"indicators": "procedure_online"}, "procedure_online", False),
    ],
)
def test_an_indicator_applies_by_level_and_by_the_registrys_list(
    office: Office, facility: dict[str, Any], indicator: str, found: bool
) -> None:
    office.register("12001", **facility)
    assert applies(CATALOGUE.indicators[indicator], indicator, office.data().facility) is found


def test_today_and_the_30_days_may_be_held_against_two_plans(office: Office) -> None:
    office.register("12001")
    office.set_plans(year(2026), year(2027))
    new_year = date(2027, 1, 1)
    found = [office.standing(window=name, today=new_year).bound for name in ("30d", "today")]
    assert [one and one.plan.id for one in found] == ["nam-2026", "nam-2027"]


def test_a_silent_facility_is_no_longer_held_against_a_plan_that_has_ended(office: Office) -> None:
    office.set_plans(year(2026, in_force_until="2026-12-31"))
    agent = office.speaker("12001")
    moment = NOON + timedelta(days=30)
    sent = [a_tally(day, 1, {"cash": 9, "qr": 1}) for day in DayRange.ending(moment.date(), 60)]
    office.push(agent, sent, [a_source(read_at=moment.isoformat())], at=moment, sent_at=moment.isoformat())
    assert office.standing(today=date(2027, 1, 1)).verdict is Verdict.BELOW
    assert office.standing(today=date(2027, 1, 2)).verdict is Verdict.NO_TARGET
