"""The table of verdicts, line by line, and the cases missing (architecture.md, "Verdict")."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.access import Speaker
from collector.standings import Figures, held_against, judge
from collector.thresholds import Thresholds
from collector.yardstick import Bound, Yardstick
from contract.days import DayRange
from contract.verdict import Verdict
from tests.office import CATALOGUE, NOON, TODAY, YESTERDAY, Office, a_plan, a_source, a_tally

DEFAULTS = Thresholds()
OPERATORS = st.sampled_from([">=", ">"])
BASES = st.integers(1, 5_000)


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """Verdicts are found in Python: one database is enough here."""
    return f"sqlite:///{tmp_path / 'collector.sqlite'}"


@pytest.fixture
def his(office: Office) -> Speaker:
    return office.speaker("12001")


def bound(office: Office, ratio: str, operator: str = ">=") -> Bound:
    yardstick = Yardstick(CATALOGUE, (a_plan({"ratio": ratio, "operator": operator}),))
    office.register("12001")
    found = yardstick.bound("cashless", office.data().facility, YESTERDAY)
    assert found is not None
    return found


# Hypothesis draws many bounds: they differ from this one in two fields only.
@pytest.fixture(scope="module")
def ninety(tmp_path_factory: pytest.TempPathFactory) -> Bound:
    directory = tmp_path_factory.mktemp("office")
    office = Office(f"sqlite:///{directory / 'collector.sqlite'}", directory)
    found = bound(office, "0.9")
    office.store.close()
    return found


def figures(numerator: int = 90, base: int = 100, unknown: int = 0, expected: int = 30, present: int = 30) -> Figures:
    return Figures(numerator=numerator, denominator=base, unknown=unknown, expected=expected, present=present)


# The thresholds from both sides, and each line against those below it: the first that holds decides.
LINES: list[tuple[str, Figures, bool, bool, Verdict]] = [
    ("met", figures(), True, True, Verdict.MET),
    ("no part has data, whatever else", figures(), False, True, Verdict.NO_DATA),
    ("14 of 30 days", figures(present=14), True, True, Verdict.NO_DATA),
    ("half of the days is enough", figures(present=15), True, True, Verdict.MET),
    ("nothing is expected", figures(expected=0, present=0), True, True, Verdict.MET),
    ("incomplete before unknown", figures(unknown=900, present=14), True, True, Verdict.NO_DATA),
    ("80 % known is enough", figures(unknown=25), True, True, Verdict.MET),
    ("a case less than 80 % known", figures(unknown=26), True, True, Verdict.UNKNOWN),
    ("unknown before insufficient", figures(3, 4, unknown=2), True, True, Verdict.UNKNOWN),
    ("only unknown", figures(0, 0, unknown=1), True, True, Verdict.UNKNOWN),
    ("nothing happened: 0 of 0 is known", figures(0, 0), True, True, Verdict.INSUFFICIENT),
    ("29 cases", figures(29, 29), True, True, Verdict.INSUFFICIENT),
    ("30 cases", figures(30, 30), True, True, Verdict.MET),
    ("insufficient before no target", figures(29, 29), True, False, Verdict.INSUFFICIENT),
    ("no target", figures(0), True, False, Verdict.NO_TARGET),
    ("2 of 100 missing", figures(88), True, True, Verdict.NEAR),
    ("3 of 100 missing", figures(87), True, True, Verdict.BELOW),
    ("1 of 30 missing is more than 2 %", figures(26, 30), True, True, Verdict.NEAR),
    ("2 of 30 missing", figures(25, 30), True, True, Verdict.BELOW),
    ("2 of 99 missing is more than 2 %", figures(88, 99), True, True, Verdict.BELOW),
    ("1 of 99 missing", figures(89, 99), True, True, Verdict.NEAR),
    ("3 of 149 missing is more than 2 %", figures(132, 149), True, True, Verdict.BELOW),
    ("3 of 150 missing is 2 %", figures(132, 150), True, True, Verdict.NEAR),
    ("none of many", figures(0, 10**15), True, True, Verdict.BELOW),
]


@pytest.mark.parametrize(
    ("found", "has_data", "has_target", "verdict"), [one[1:] for one in LINES], ids=[o[0] for o in LINES]
)
def test_the_first_line_that_holds_is_the_verdict(
    ninety: Bound, found: Figures, has_data: bool, has_target: bool, verdict: Verdict
) -> None:
    assert judge(found, ninety if has_target else None, 30, DEFAULTS, has_data) is verdict


@pytest.mark.parametrize(
    ("setting", "found", "verdict"),
    [
        ({"complete_percent": 10}, figures(present=3), Verdict.MET),
        ({"complete_percent": 100}, figures(present=29), Verdict.NO_DATA),
        ({"known_percent": 90}, figures(unknown=25), Verdict.UNKNOWN),
        ({"known_percent": 0}, figures(unknown=10**6), Verdict.MET),
        ({"near_percent": 5}, figures(85), Verdict.NEAR),
        ({"near_percent": 0}, figures(88), Verdict.BELOW),
        ({"near_percent": 0}, figures(89), Verdict.NEAR),
    ],
)
def test_thresholds_are_settings(ninety: Bound, setting: dict[str, int], found: Figures, verdict: Verdict) -> None:
    assert judge(found, ninety, 30, Thresholds(**setting), True) is verdict


@pytest.mark.parametrize(
    ("ratio", "operator", "numerator", "base", "missing"),
    [
        ("0.9", ">=", 90, 100, 0),
        ("0.9", ">", 90, 100, 1),
        ("0.9", ">=", 0, 100, 90),
        ("1", ">=", 99, 100, 1),
        ("0.333", ">=", 333, 1000, 0),
        ("0.333", ">", 333, 1000, 1),
        # 0.07 × 100 is 7.000000000000001 in floats, and 0.29 × 100 is 28.999999999999996
        ("0.07", ">=", 7, 100, 0),
        ("0.29", ">", 29, 100, 1),
        ("0.1", ">=", 10**14, 10**15, 0),
        ("0.1", ">", 10**14, 10**15, 1),
        ("0.001", ">=", 0, 50, 1),
        ("0", ">", 0, 50, 1),
    ],
)
def test_cases_missing_are_counted_in_whole_numbers(
    office: Office, ratio: str, operator: str, numerator: int, base: int, missing: int
) -> None:
    assert bound(office, ratio, operator).missing(numerator, base) == missing
    assert bound(office, ratio, operator).is_met(numerator, base) is (missing == 0)


@given(st.integers(0, 1000), OPERATORS, BASES, st.data())
def test_missing_is_the_least_number_with_which_the_target_is_met(
    ninety: Bound, permille: int, operator: str, base: int, data: st.DataObject
) -> None:
    numerator = data.draw(st.integers(0, base))
    target = replace(ninety, operator=operator, ratio=Fraction(permille, 1000))  # type: ignore[arg-type]

    def meets(k: int) -> bool:
        share = Fraction(numerator + k, base)
        return share > target.ratio if operator == ">" else share >= target.ratio

    assert target.missing(numerator, base) == next(k for k in range(base + 2) if meets(k))


@given(st.integers(0, 1000), OPERATORS, BASES, st.data())
def test_one_more_adopted_case_never_makes_the_verdict_worse(
    ninety: Bound, permille: int, operator: str, base: int, data: st.DataObject
) -> None:
    target = replace(ninety, operator=operator, ratio=Fraction(permille, 1000))  # type: ignore[arg-type]
    numerator = data.draw(st.integers(0, base - 1))
    less, more = (held_against(target, one, base, DEFAULTS) for one in (numerator, numerator + 1))
    assert less <= more
    assert {less, more} <= {Verdict.BELOW, Verdict.NEAR, Verdict.MET}


@given(st.integers(0, 1000), OPERATORS, BASES, st.data())
def test_near_is_at_most_one_case_or_two_percent_of_the_base(
    ninety: Bound, permille: int, operator: str, base: int, data: st.DataObject
) -> None:
    target = replace(ninety, operator=operator, ratio=Fraction(permille, 1000))  # type: ignore[arg-type]
    numerator = data.draw(st.integers(0, base))
    missing = target.missing(numerator, base)
    is_near = 0 < missing <= max(Fraction(1), Fraction(2, 100) * base)
    assert (held_against(target, numerator, base, DEFAULTS) is Verdict.NEAR) is is_near


def send(office: Office, agent: Speaker, number: int = 30, measure: str = "payments", **counts: int) -> None:
    """The same counts on each of the last days."""
    days = DayRange.ending(YESTERDAY, number)
    sent = [a_tally(day, 1, counts, measure=measure) for day in days]
    assert office.push(agent, sent, [a_source(measures=[measure])]).accepted == number


def test_a_standing_has_the_verdict_and_the_cases_missing(office: Office, his: Speaker) -> None:
    office.set_plans(a_plan({}))
    send(office, his, cash=2, qr=8)
    one = office.standing()
    assert (one.verdict, one.missing, one.share) == (Verdict.BELOW, 30, Fraction(8, 10))
    assert one.bound is not None
    assert one.bound.plan.id == "ke-hoach-2026"


def test_without_a_target_nothing_is_missing(office: Office, his: Speaker) -> None:
    send(office, his, cash=2, qr=8)
    assert (office.standing().verdict, office.standing().missing) == (Verdict.NO_TARGET, None)


def test_excluded_cases_are_neither_known_nor_unknown(office: Office, his: Speaker) -> None:
    send(office, his, measure="checkins_insured", vneid=8, no_id=90, unknown=2)
    assert office.standing("digital_checkin").known == Fraction(8, 10)
    assert office.standing("digital_checkin").verdict is Verdict.NO_TARGET


def test_an_indicator_that_does_not_apply_says_so_whatever_is_sent(office: Office, his: Speaker) -> None:
    office.set_plans(a_plan({}))
    office.register("12001", indicators="emr")
    send(office, his, cash=2, qr=8)
    assert office.standing().verdict is Verdict.NOT_APPLICABLE
    assert office.standing("emr").verdict is Verdict.NO_DATA


def test_one_inspection_is_enough(office: Office) -> None:
    office.register("1", level="department")
    agent = office.speaker("1")
    digital = a_tally("2026-09-30", facility="1", measure="inspections", counts={"digital": 1})
    office.push(agent, [digital], [a_source(facilities=["1"], measures=["inspections"])])
    assert office.standing("inspection_digital", facility="1").verdict is Verdict.NO_TARGET


def test_a_day_of_one_of_several_parts_is_data_but_no_complete_day(office: Office, his: Speaker) -> None:
    office.push(his, [], [a_source("his"), a_source("ward", part="ward")])
    office.push(his, [a_tally(day, 1, {"qr": 9}) for day in DayRange.ending(YESTERDAY, 30)], [])
    one = office.standing()
    assert (one.verdict, one.as_of, one.present) == (Verdict.NO_DATA, YESTERDAY, 0)


def test_fifteen_of_thirty_days_are_enough_and_fourteen_are_not(office: Office, his: Speaker) -> None:
    send(office, his, 14, qr=9)
    assert office.standing().verdict is Verdict.NO_DATA
    office.push(his, [a_tally(TODAY.replace(month=10, day=30), counts={})], at=NOON)
    assert office.standing().verdict is Verdict.NO_TARGET
