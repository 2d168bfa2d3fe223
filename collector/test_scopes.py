"""The province, areas and levels: pools of facilities (architecture.md, "Scopes")."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.scopes import PROVINCE, Scope, Scopes, ScopeStanding
from collector.standings import Standing
from collector.store import registry
from collector.store.registry import Facility, Pause
from collector.yardstick import Yardstick
from contract.days import DayRange
from contract.plan import Plan
from contract.verdict import Verdict
from tests.office import CATALOGUE, NOON, TODAY, YESTERDAY, Office, a_plan, a_source, a_tally

MONTH = DayRange.ending(YESTERDAY, 30)
CASES = a_plan({"ratio": "0.9"})
USE = {"unit": "facilities", "ratio": "0.6", "uses_at": "0.5", "uses_at_reason": "…"}
FACILITIES = a_plan(USE)
NORTH, SOUTH, STATIONS = Scope("area", "Bắc"), Scope("area", "Nam"), Scope("level", "commune_station")


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """Pools are kept in Python: one database is enough here."""
    return f"sqlite:///{tmp_path / 'collector.sqlite'}"


def a_facility(one: str = "1", level: str = "province", area: str = "Bắc", **other: Any) -> Facility:
    plain: dict[str, Any] = {"name": one, "ownership": "public", "email": "", "active_from": None, "active_to": None}
    return Facility(
        **{"id": one, "level": level, "area": area, "indicators": None, "registered_at": NOON, **plain, **other}
    )


def a_standing(
    facility: Facility, plans: tuple[Plan, ...] = (CASES,), verdict: Verdict = Verdict.MET, **other: Any
) -> Standing:
    plain = {"numerator": 90, "denominator": 100, "unknown": 0, "expected": 30, "present": 30, "missing": 0}
    bound = Yardstick(CATALOGUE, plans).bound("cashless", facility, YESTERDAY)
    place: dict[str, Any] = {"facility": facility.id, "indicator": "cashless", "window": "30d", "days": MONTH}
    told: dict[str, Any] = {"as_of": YESTERDAY, "silent_since": None}
    return Standing(**{**plain, **place, **told, "bound": bound, "verdict": verdict, **other})


def pooled(found: Iterable[tuple[Facility, Standing]], plans: tuple[Plan, ...] = (CASES,)) -> Scopes:
    scopes = Scopes(Yardstick(CATALOGUE, plans))
    for facility, one in found:
        scopes.put(facility, [one])
    return scopes


def of(scopes: Scopes, scope: Scope = PROVINCE, unit: str = "cases") -> ScopeStanding:
    (found,) = (one for one in scopes.standings() if (one.scope, one.unit) == (scope, unit))
    return found


def many(verdicts: dict[Verdict, int], plan: Plan = FACILITIES) -> ScopeStanding:
    """The province, in facilities, when so many have such a verdict."""
    found = []
    for number, verdict in enumerate(Counter(verdicts).elements()):
        facility = a_facility(str(number))
        found.append((facility, a_standing(facility, (plan,), verdict)))
    return of(pooled(found, (plan,)), unit="facilities")


def test_a_pooled_share_is_the_sum_of_the_counts_and_no_mean_of_shares() -> None:
    small, large = a_facility("1"), a_facility("2", area="Nam")
    counted = (a_standing(small, numerator=10, denominator=10), a_standing(large, numerator=100, denominator=990))
    one = of(pooled(zip((small, large), counted, strict=True)))
    assert (one.numerator, one.denominator, one.share) == (110, 1000, Fraction(11, 100))
    assert (one.verdict, one.missing) == (Verdict.BELOW, 790)


def test_completeness_and_known_ratio_are_ratios_of_sums() -> None:
    first = a_standing(a_facility("1"), unknown=100, present=30)
    second = a_standing(a_facility("2"), unknown=0, denominator=200, expected=10, present=2)
    one = of(pooled([(a_facility("1"), first), (a_facility("2"), second)]))
    assert (one.known, one.completeness) == (Fraction(300, 400), Fraction(32, 40))
    assert one.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ({}, Verdict.MET),
        ({"numerator": 88}, Verdict.NEAR),
        ({"numerator": 87}, Verdict.BELOW),
        ({"numerator": 20, "denominator": 29}, Verdict.INSUFFICIENT),
        ({"unknown": 30}, Verdict.UNKNOWN),
        ({"present": 14}, Verdict.NO_DATA),
        ({"present": 0, "numerator": 0, "denominator": 0, "as_of": None}, Verdict.NO_DATA),
    ],
)
def test_a_scope_is_judged_by_the_same_table(counts: dict[str, Any], verdict: Verdict) -> None:
    assert of(pooled([(a_facility(), a_standing(a_facility(), **counts))])).verdict is verdict


def test_a_facility_is_in_the_pools_of_the_province_of_its_area_and_of_its_level() -> None:
    facilities = [
        a_facility("1", "province", "Bắc"),
        a_facility("2", "commune_station", "Bắc"),
        a_facility("3", "commune_station", "Nam"),
        a_facility("4", "commune_station", ""),
    ]
    scopes = pooled((one, a_standing(one)) for one in facilities)
    found = {one.scope: one.denominator for one in scopes.standings() if one.unit == "cases"}
    hospitals = Scope("level", "province")
    assert found == {PROVINCE: 400, NORTH: 200, SOUTH: 100, STATIONS: 300, hospitals: 100}
    assert PROVINCE == ("province", "all")


def test_an_indicator_that_does_not_apply_is_in_no_pool() -> None:
    assert list(pooled([(a_facility(), a_standing(a_facility(), verdict=Verdict.NOT_APPLICABLE))]).standings()) == []


def test_the_pool_is_of_the_facilities_that_the_target_applies_to() -> None:
    plan = a_plan({"applies_to": {"ownership": ["public"]}})
    public, private = a_facility("1"), a_facility("2", ownership="private")
    found = [(public, a_standing(public, (plan,))), (private, a_standing(private, (plan,), Verdict.NO_TARGET))]
    one = of(pooled(found, (plan,)))
    assert (one.denominator, one.bound is not None) == (100, True)
    # yet both are counted where facilities are counted by verdict
    assert one.verdicts == {Verdict.MET: 1, Verdict.NO_TARGET: 1}


def test_without_any_target_all_are_pooled() -> None:
    facilities = [a_facility("1"), a_facility("2")]
    scopes = pooled(((one, a_standing(one, (), Verdict.NO_TARGET)) for one in facilities), ())
    assert [(one.unit, one.denominator, one.verdict) for one in scopes.standings() if one.scope == PROVINCE] == [
        ("cases", 200, Verdict.NO_TARGET)
    ]


def test_one_hospitals_own_plan_is_not_what_the_province_is_held_against() -> None:
    own = a_plan({"ratio": "0.5", "applies_to": {"facilities": ["1"]}}, id="own")
    facilities = [a_facility(str(number)) for number in range(1, 5)]
    one = of(pooled(((one, a_standing(one, (own, CASES))) for one in facilities), (own, CASES)))
    assert one.bound is not None
    assert (one.bound.plan.id, one.denominator) == (CASES.id, 300)


def test_nor_is_it_where_the_others_have_no_target_at_all() -> None:
    own = a_plan({"ratio": "0.5", "applies_to": {"facilities": ["1"]}}, id="own")
    first, second = a_facility("1"), a_facility("2")
    found = [(first, a_standing(first, (own,))), (second, a_standing(second, (own,), Verdict.NO_TARGET))]
    one = of(pooled(found, (own,)))
    assert (one.bound, one.denominator) == (None, 100)
    # of those that it is for it is the target
    assert of(pooled(found[:1], (own,))).bound is not None


def test_a_scope_is_held_against_the_plans_figure_whatever_a_facility_may_do() -> None:
    plan = a_plan({"overrides": [{"facility": "1", "ratio": "0.5", "reason": "…"}]})
    facility = a_facility()
    one = of(pooled([(facility, a_standing(facility, (plan,), numerator=60))], (plan,)))
    assert one.bound is not None
    assert (one.bound.ratio, one.verdict) == (Fraction(9, 10), Verdict.BELOW)


MET, NEAR, BELOW = Verdict.MET, Verdict.NEAR, Verdict.BELOW
NO_DATA, UNKNOWN, INSUFFICIENT = Verdict.NO_DATA, Verdict.UNKNOWN, Verdict.INSUFFICIENT


@pytest.mark.parametrize(
    ("verdicts", "numerator", "denominator", "verdict"),
    [
        ({MET: 3, BELOW: 2}, 3, 5, MET),
        ({MET: 2, BELOW: 3}, 2, 5, NEAR),
        ({MET: 1, BELOW: 4}, 1, 5, BELOW),
        # near is not on target; nor is one of whom nothing, or nothing clear, is known
        ({MET: 2, NEAR: 3}, 2, 5, NEAR),
        ({MET: 2, NO_DATA: 3}, 2, 5, NEAR),
        ({MET: 2, UNKNOWN: 3}, 2, 5, NEAR),
        ({MET: 3, INSUFFICIENT: 20}, 3, 3, MET),
        ({NO_DATA: 4}, 0, 4, BELOW),
        ({INSUFFICIENT: 4}, 0, 0, NO_DATA),
        # min_base does not apply
        ({MET: 1}, 1, 1, MET),
        # near: 2 % of 200 are 4, and 60 % of them 120
        ({MET: 116, BELOW: 84}, 116, 200, NEAR),
        ({MET: 115, BELOW: 85}, 115, 200, BELOW),
    ],
)
def test_a_facilities_target_counts_those_that_are_on_target(
    verdicts: dict[Verdict, int], numerator: int, denominator: int, verdict: Verdict
) -> None:
    one = many(verdicts)
    assert (one.numerator, one.denominator, one.verdict) == (numerator, denominator, verdict)
    assert one.verdicts == verdicts


@pytest.mark.parametrize(("operator", "verdict"), [(">=", MET), (">", NEAR)])
def test_the_province_keeps_the_plans_operator(operator: str, verdict: Verdict) -> None:
    assert many({MET: 3, BELOW: 2}, a_plan({**USE, "operator": operator})).verdict is verdict


def test_a_facilities_target_is_not_held_against_cases_nor_the_reverse() -> None:
    facility = a_facility()
    scopes = pooled([(facility, a_standing(facility, (FACILITIES,), numerator=10, verdict=BELOW))], (FACILITIES,))
    assert (of(scopes).verdict, of(scopes).bound, of(scopes).missing) == (Verdict.NO_TARGET, None, None)
    assert of(pooled([(facility, a_standing(facility))]), unit="facilities").verdict is Verdict.NO_TARGET


def test_a_facility_that_has_closed_before_the_window_is_not_for_ever_one_without_data() -> None:
    there, closed = a_facility("1"), a_facility("2", active_to=MONTH.first - timedelta(days=1))
    future, closing = a_facility("3", active_from=TODAY), a_facility("4", active_to=MONTH.first)
    found = [(one, a_standing(one, (FACILITIES,), NO_DATA)) for one in (there, closed, future, closing)]
    assert of(pooled(found, (FACILITIES,)), unit="facilities").denominator == 2


def test_a_facility_that_moves_leaves_the_pools_of_its_old_area_and_level() -> None:
    before, after = a_facility("1", "clinic", "Bắc"), a_facility("1", "commune_station", "Nam")
    scopes = pooled([(before, a_standing(before)), (after, a_standing(after))])
    assert {one.scope for one in scopes.standings()} == {PROVINCE, SOUTH, STATIONS}
    assert of(scopes).denominator == 100


VERDICTS = st.sampled_from([NO_DATA, UNKNOWN, INSUFFICIENT, Verdict.NOT_APPLICABLE, BELOW, NEAR, MET])
COUNTS = st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 30), st.integers(0, 30))
STEP = st.tuples(
    st.sampled_from("1234"),
    st.none()
    | st.tuples(st.sampled_from(["Bắc", "Nam", ""]), st.sampled_from(["public", "private"]), VERDICTS, COUNTS),
)
PLANS = (a_plan({"applies_to": {"ownership": ["public"]}}, USE), a_plan({}, id="later"))


@given(st.lists(STEP, max_size=25))
def test_pools_brought_up_to_date_are_those_put_together_from_scratch(steps: list[Any]) -> None:
    scopes = Scopes(Yardstick(CATALOGUE, PLANS))
    now: dict[str, tuple[Facility, list[Standing]]] = {}
    for one, told in steps:
        if told is None:
            scopes.drop(one)
            now.pop(one, None)
            continue
        area, ownership, verdict, (numerator, base, expected, present) = told
        facility = a_facility(one, area=area, ownership=ownership)
        counts = {"numerator": numerator, "denominator": numerator + base, "expected": expected, "present": present}
        found = [a_standing(facility, PLANS, verdict, window=name, **counts) for name in ("today", "30d")]
        scopes.put(facility, found)
        now[one] = facility, found
    afresh = Scopes(Yardstick(CATALOGUE, PLANS))
    for facility, found in now.values():
        afresh.put(facility, found)

    def whole(of_all: Scopes) -> list[Any]:
        # a verdict that nobody has any more is left at 0
        return [(one, +Counter(one.verdicts)) for one in of_all.standings()]

    assert [(o.scope, o.numerator, o.denominator, o.verdict, o.bound, v) for o, v in whole(scopes)] == [
        (o.scope, o.numerator, o.denominator, o.verdict, o.bound, v) for o, v in whole(afresh)
    ]
    assert [(o.unit, o.window, o.expected, o.present, o.unknown) for o in scopes.standings()] == [
        (o.unit, o.window, o.expected, o.present, o.unknown) for o in afresh.standings()
    ]


def test_a_province_of_stored_facilities_is_what_its_facilities_add_up_to(office: Office) -> None:
    office.set_plans(FACILITIES)
    for one, area, cash in (("1", "Bắc", 1), ("2", "Nam", 9), ("3", "Nam", 5)):
        office.register(one, area=area)
        sent = [a_tally(day, 1, {"cash": cash, "qr": 5}, facility=one) for day in MONTH]
        office.push(office.speaker(one), sent, [a_source(facilities=[one])])
    office.register("4", area="Nam")
    with office.store.write() as connection:
        registry.add_pause(connection, Pause("4", date(2026, 1, 1), date(2026, 12, 31), "xây mới"))
    scopes = Scopes(office.yardstick)
    for one in "1234":
        scopes.put(office.data(one).facility, [office.standing(facility=one)])
    assert (of(scopes).numerator, of(scopes).denominator) == (450, 900)
    # 1 and 3 use it, 2 does not, of 4 nothing is known
    assert (of(scopes, unit="facilities").numerator, of(scopes, unit="facilities").denominator) == (2, 4)
    assert of(scopes, SOUTH, "facilities").verdicts == {MET: 1, BELOW: 1, NO_DATA: 1}
