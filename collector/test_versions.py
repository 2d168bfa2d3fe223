"""What a version of a month's figures holds, its digest, and what two of them differ in (architecture.md, 7)."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from collector import sources
from collector.access import Speaker
from collector.store import registry
from collector.store.registry import Pause
from collector.store.tables import tally
from collector.versions import Change, Version, changes, percent, says_the_same, sentence, version
from contract.catalogue import Catalogue
from contract.days import LOCAL, DayRange, midnight
from contract.plan import Plan, Target
from contract.tally import digest
from tests.office import NOON, TODAY, Office, a_source, a_tally

OCTOBER = DayRange(date(2026, 10, 1), date(2026, 10, 31))


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """Versions are made in Python: one database is enough here."""
    return f"sqlite:///{tmp_path / 'collector.sqlite'}"


@pytest.fixture
def his(office: Office) -> Speaker:
    office.register("12001", indicators="cashless", at=datetime(2026, 9, 1, tzinfo=LOCAL))
    office.set_plans(a_plan("0.5"))
    agent = office.speaker("12001")
    send(office, agent, OCTOBER, cash=5, qr=5)
    return agent


def a_plan(ratio: str, **target: Any) -> Plan:
    held = Target.model_validate(
        {"indicator": "cashless", "ratio": Decimal(ratio), "section": "I", "words": "w", **target}
    )
    days = {"first_day": date(2026, 1, 1), "last_day": date(2026, 12, 31)}
    return Plan(id="p", issuer="Sở Y tế", title="t", short="s", targets=(held,), **days)


def send(office: Office, agent: Speaker, on: Iterable[date], revision: int = 1, **counts: int) -> None:
    push(office, agent, [a_tally(day, revision, counts) for day in on])


def push(office: Office, agent: Speaker, sent: Sequence[dict[str, Any]], named: Sequence[Any] = ()) -> None:
    newest = max((date.fromisoformat(one["day"]) for one in sent), default=TODAY)
    at = midnight(max(TODAY, newest))
    assert office.push(agent, list(sent), [*named] or None, at=at).accepted == len(sent)


def october(office: Office, facility: str = "12001") -> Version:
    return version(office.data(facility), office.yardstick, OCTOBER)


def with_indicator(known: Catalogue, code: str, **values: Any) -> Catalogue:
    changed = known.indicators[code].model_copy(update=values)
    return known.model_copy(update={"indicators": {**known.indicators, code: changed}})


def what(before: Version, after: Version) -> dict[str, tuple[str, ...]]:
    return {one.indicator: one.what for one in changes(before, after)}


# --- one version


def test_a_version_is_canonical_json_and_its_digest_is_the_sha256_of_the_text(office: Office, his: Speaker) -> None:
    found = october(office)
    lines = digest((day, {"cash": 5, "qr": 5}) for day in OCTOBER)
    assert json.loads(found.text) == {
        "cashless": {
            "measure": "payments",
            "adopted": ["card", "qr", "transfer", "wallet"],
            "excluded": [],
            "target": {"operator": ">=", "ratio": "0.5"},
            "first": "2026-10-01",
            "last": "2026-10-31",
            "numerator": 155,
            "denominator": 310,
            "unknown": 0,
            "expected": 31,
            "present": 31,
            "percent": "50.0",
            "verdict": "met",
            "tallies": lines,
        }
    }
    assert found.text == json.dumps(json.loads(found.text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert found.digest == "sha256:" + hashlib.sha256(found.text.encode()).hexdigest()
    assert Version(found.text).figures == found.figures


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (Fraction(412, 577), "71.4"),
        (Fraction(0), "0.0"),
        (Fraction(1), "100.0"),
        (Fraction(1, 2000), "0.1"),
        (Fraction(1, 2001), "0.0"),
        (Fraction(2, 3), "66.7"),
        # in floats 0.15 is a little less than it looks
        (Fraction(3, 2000), "0.2"),
        # as on all pages: what misses 100 % is not shown as 100 %
        (Fraction(1999, 2000), "99.9"),
    ],
)
def test_a_share_is_rounded_half_up_in_whole_numbers(share: Fraction, text: str) -> None:
    assert percent(share) == text


def test_only_days_of_the_month_count(office: Office, his: Speaker) -> None:
    before = october(office)
    send(office, his, [date(2026, 9, 30), date(2026, 11, 1)], qr=100)
    assert october(office) == before


def test_february_of_a_leap_year_has_29_days(office: Office, his: Speaker) -> None:
    data = office.data(today=date(2028, 3, 5))
    days = DayRange(date(2028, 2, 1), date(2028, 2, 29))
    assert version(data, office.yardstick, days).figures["cashless"].expected == 29


def test_a_day_without_cases_is_not_a_day_without_a_tally(office: Office, his: Speaker) -> None:
    send(office, his, [date(2026, 10, 31)], 2)
    empty = october(office)
    with office.store.write() as connection:
        connection.execute(tally.delete().where(tally.c.day == date(2026, 10, 31)))
    missing = october(office)
    assert (empty.figures["cashless"].present, missing.figures["cashless"].present) == (31, 30)
    assert empty.figures["cashless"].tallies != missing.figures["cashless"].tallies


def test_parts_are_added_and_a_check_source_is_not_part_of_the_version(office: Office, his: Speaker) -> None:
    before = october(office)
    push(office, his, [], [a_source(), a_source("check", role="check")])
    push(office, his, [a_tally(day, source="check", counts={"cash": 9}) for day in OCTOBER])
    assert october(office) == before
    push(office, his, [], [a_source(), a_source("check", role="check"), a_source("ward", part="ward")])
    push(office, his, [a_tally(day, source="ward", counts={"cash": 5}) for day in OCTOBER])
    assert october(office).figures["cashless"].denominator == 31 * 15


def test_the_name_of_a_source_is_not_part_of_the_version(office: Office, his: Speaker) -> None:
    before = october(office)
    sources.rename(office.store, "12001", "his", "his2", NOON)
    assert october(office) == before


def test_what_the_agent_does_after_the_month_does_not_move_its_verdict(office: Office, his: Speaker) -> None:
    """A standing of today would be silent, and soon without data."""
    for read_at in ("2026-10-20T10:00:00+07:00", "2026-08-01T10:00:00+07:00", "2026-12-24T10:00:00+07:00"):
        push(office, his, [], [a_source(read_at=read_at)])
        assert october(office).figures["cashless"].verdict == "met"
    for day in DayRange(date(2026, 11, 1), date(2026, 11, 19)):
        push(office, his, [a_tally(day)])
    # half the month is missing: no data, whether the agent was silent at its end or not
    office.register("12002", indicators="cashless")
    agent = office.speaker("12002")
    few = [a_tally(day, facility="12002", counts={"qr": 50}) for day in DayRange(date(2026, 10, 1), date(2026, 10, 9))]
    for read_at in ("2026-10-10T10:00:00+07:00", "2026-11-20T10:00:00+07:00"):
        push(office, agent, few, [a_source(facilities=["12002"], read_at=read_at)])
        assert october(office, "12002").figures["cashless"].verdict == "no_data"


def test_of_a_running_year_only_what_the_month_could_know_counts(office: Office) -> None:
    office.register("1", indicators="satisfaction")
    agent = office.speaker("1")
    named = [a_source(measures=["satisfaction"], facilities=["1"])]
    day = {"facility": "1", "measure": "satisfaction"}
    push(office, agent, [a_tally("2026-05-01", counts={"satisfied": 60, "neutral": 40}, **day)], named)
    before = october(office, "1")
    one = before.figures["satisfaction"]
    assert (one.first, one.last, one.percent, one.verdict) == ("2026-01-01", "2026-12-31", "60.0", "no_target")
    later, earlier = a_tally("2026-11-03", counts={"neutral": 40}, **day), a_tally("2025-12-31", counts={}, **day)
    push(office, agent, [later, earlier], named)
    assert october(office, "1") == before
    push(office, agent, [a_tally("2026-10-31", counts={"neutral": 100}, **day)], named)
    assert october(office, "1").figures["satisfaction"].percent == "30.0"


def test_a_month_without_any_data_says_so_for_its_own_days(office: Office) -> None:
    office.register("1", indicators="satisfaction,cashless")
    for one in october(office, "1").figures.values():
        assert (one.first, one.last) == ("2026-10-01", "2026-10-31")
        assert (one.percent, one.verdict, one.denominator) == (None, "no_data", 0)


def test_a_month_that_was_paused_whole_has_no_data_rather_than_few(office: Office) -> None:
    office.register("1", indicators="cashless")
    with office.store.write() as connection:
        registry.add_pause(connection, Pause("1", OCTOBER.first, OCTOBER.last, "lụt"))
    one = october(office, "1").figures["cashless"]
    assert (one.expected, one.verdict) == (0, "no_data")


# --- two versions


def test_a_correction_is_small_until_the_share_to_one_decimal_moves(office: Office, his: Speaker) -> None:
    before = october(office)
    send(office, his, [date(2026, 10, 9)], 2, cash=5, qr=5, unknown=1)
    small = october(office)
    assert what(before, small) == {"cashless": ("counts",)}
    assert says_the_same(before, small)
    assert small.digest != before.digest
    send(office, his, [date(2026, 10, 9)], 3, cash=6, qr=5)
    moved = october(office)
    assert (moved.figures["cashless"].percent, moved.figures["cashless"].verdict) == ("49.8", "near")
    assert what(before, moved) == {"cashless": ("share", "verdict", "counts")}
    assert not says_the_same(before, moved)


def test_cases_that_move_to_another_day_are_a_small_correction(office: Office, his: Speaker) -> None:
    before = october(office)
    send(office, his, [date(2026, 10, 9)], 2, cash=5, qr=4)
    send(office, his, [date(2026, 10, 10)], 2, cash=5, qr=6)
    assert what(before, october(office)) == {"cashless": ("counts",)}


def test_a_pause_noted_later_is_a_small_correction(office: Office, his: Speaker) -> None:
    before = october(office)
    with office.store.write() as connection:
        registry.add_pause(connection, Pause("12001", date(2026, 10, 3), date(2026, 10, 4), "bão"))
    assert what(before, october(office)) == {"cashless": ("counts",)}


@pytest.mark.parametrize("values", [{"excluded": ("mixed",)}, {"adopted": ("transfer", "card", "qr")}])
def test_a_changed_definition_reopens_even_where_no_count_moves(
    office: Office, his: Speaker, values: dict[str, Any]
) -> None:
    before = october(office)
    office.yardstick = replace(office.yardstick, catalogue=with_indicator(office.catalogue, "cashless", **values))
    assert what(before, october(office)) == {"cashless": ("definition",)}
    assert not says_the_same(before, october(office))


def test_the_order_of_a_definition_means_nothing(office: Office, his: Speaker) -> None:
    before = october(office)
    turned = with_indicator(office.catalogue, "cashless", adopted=("wallet", "qr", "card", "transfer"), vi="Tên mới")
    office.yardstick = replace(office.yardstick, catalogue=turned)
    assert october(office) == before


@pytest.mark.parametrize(
    ("plans", "expected"),
    [
        ([a_plan("0.40")], ("definition",)),
        ([a_plan("0.499", operator=">")], ("definition",)),
        ([a_plan("0.9")], ("verdict", "definition")),
        ([], ("verdict", "definition")),
        ([a_plan("0.5", overrides=[{"facility": "12001", "ratio": "0.3", "reason": "r"}])], ("definition",)),
        # of facilities: what the Sở calls using it binds the facility, however many facilities the plan asks for
        ([a_plan("1", unit="facilities", uses_at="0.6", uses_at_reason="r")], ("verdict", "definition")),
        ([a_plan("1", unit="facilities", uses_at="0.50", uses_at_reason="r")], None),
        ([a_plan("0.500")], None),
    ],
)
def test_the_target_that_binds_the_facility_is_part_of_the_definition(
    office: Office, his: Speaker, plans: list[Plan], expected: tuple[str, ...] | None
) -> None:
    before = october(office)
    office.set_plans(*plans)
    assert what(before, october(office)) == ({} if expected is None else {"cashless": expected})


def test_a_threshold_that_moves_only_the_verdict_reopens(office: Office, his: Speaker) -> None:
    office.set_plans(a_plan("0.51"))
    before = october(office)
    office.set_plans(a_plan("0.51"), near_percent=0)
    after = october(office)
    assert (before.figures["cashless"].verdict, after.figures["cashless"].verdict) == ("near", "below")
    assert what(before, after) == {"cashless": ("verdict",)}
    assert after.digest != before.digest
    assert not says_the_same(before, after)


def test_an_indicator_nobody_signed_does_not_undo_a_signature_but_a_signed_one_that_goes_does(
    office: Office, his: Speaker
) -> None:
    before = october(office)
    office.register("12001", indicators="cashless,kiosk")
    assert what(before, october(office)) == {"kiosk": ("definition",)}
    assert says_the_same(before, october(office))
    assert not says_the_same(october(office), before)


def test_a_change_is_told_as_people_write_figures(office: Office, his: Speaker) -> None:
    before = october(office)
    send(office, his, OCTOBER, 2, cash=500, qr=400)
    (one,) = changes(before, october(office))
    assert sentence(one) == "50,0 % (155/310, Đạt), nay là 44,4 % (12.400/27.900, Chưa đạt)"
    office.set_plans()
    (one,) = changes(before, october(office))
    assert sentence(one).endswith("Không có chỉ tiêu); định nghĩa hoặc chỉ tiêu đã thay đổi")
    figure = before.figures["cashless"]
    none = figure.model_copy(update={"percent": None, "numerator": 0, "denominator": 0, "verdict": "no_data"})
    assert sentence(Change("cashless", none, None, ("definition",))) == (
        "không có tỷ lệ (0/0, Chưa có số liệu), nay là không còn áp dụng"
    )
    assert sentence(Change("cashless", None, figure, ("definition",))).startswith("chưa có chỉ số này, nay là 50,0 %")


def test_data_that_reach_further_than_the_month_give_the_same_version(office: Office, his: Speaker) -> None:
    send(office, his, [OCTOBER.first - timedelta(days=n) for n in range(1, 40)], cash=1)
    far = version(office.data(today=date(2026, 12, 31)), office.yardstick, OCTOBER)
    near = version(office.data(today=OCTOBER.last), office.yardstick, OCTOBER)
    assert far == near
