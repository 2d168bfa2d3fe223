"""What alerts on figures say: every clause, with and without what it speaks of."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from collector.clauses import Subject, clauses
from collector.standings import Figures, Standing
from collector.store.registry import Facility
from collector.typography import NBSP
from collector.yardstick import Bound, Yardstick
from contract import metrics
from contract.calendar import Calendar
from contract.days import DayRange
from contract.verdict import Verdict
from tests.office import CATALOGUE, NOON, YESTERDAY, a_plan

LABELS = metrics.SAID.labels[2:]
MONTH = DayRange.ending(YESTERDAY, 30)


def bound(target: Mapping[str, Any], **plan: Any) -> Bound:
    """Of facility 12001, by a plan with this target for cashless payments."""
    facility = Facility("12001", "Bệnh viện", "province", "public", "", "", None, None, None, NOON, None)
    found = Yardstick(CATALOGUE, (a_plan(target, **plan),), Calendar()).bound("cashless", facility, YESTERDAY)
    assert found is not None
    return found


def figures(numerator: int, denominator: int) -> Figures:
    return Figures(numerator=numerator, denominator=denominator, unknown=0, expected=30, present=30)


def subject(of: Bound | None = None, **changed: Any) -> Subject:
    """1,234 of 2,612 payments; `changed`: fields of the standing, or of what is beside it."""
    now = Standing(
        numerator=1234, denominator=2612, unknown=0, expected=30, present=30, facility="12001", indicator="cashless",
        window="30d", days=MONTH, as_of=YESTERDAY, silent_since=None, bound=of, verdict=Verdict.BELOW, missing=334,
    )  # fmt: skip
    beside = Subject(now, "daily", "ca", YESTERDAY, None, None)
    of_now = {name: changed.pop(name) for name in [*changed] if name in Standing.__dataclass_fields__}
    return replace(beside, now=replace(now, **of_now), **changed)


def said(one: Subject) -> dict[str, str]:
    """Label → clause, with plain blanks."""
    return {name: text.replace(NBSP, " ") for name, text in zip(LABELS, clauses(one), strict=True)}


def test_a_clause_for_every_label_each_empty_where_there_is_nothing_to_say() -> None:
    nothing = subject(as_of=None, told=None, missing=None)
    usual = {"share": "chưa có số liệu", "than": "30 ngày trước đó"}
    assert said(nothing) == {**dict.fromkeys(LABELS, ""), **usual}
    held = bound({"ratio": "0.6"}, last_day="2026-12-31")
    full = subject(held, before=figures(90, 100), road=Fraction("0.555"), verdict=Verdict.INSUFFICIENT)
    assert said(full) == {
        "plan": "ke-hoach-2026",
        "plan_until": held.plan.until.isoformat(),
        "share": f"đạt 47,2 % (1.234/2.612 ca trong 30 ngày, số liệu đến ngày {YESTERDAY:%d/%m/%Y})",
        "target": f"Chỉ tiêu ≥ 60 % theo ke-hoach-2026, hạn {held.deadline:%d/%m/%Y}; còn thiếu 334 ca",
        "held": "Hiện ít số liệu: cảnh báo được giữ đến khi đủ số liệu để kết luận",
        "than": "30 ngày trước đó",
        "before": "30 ngày trước đó đạt 90,0 % trên 100 ca: giảm 42,8 điểm phần trăm",
        "road": "55,5 %",
    }


_LAST = f"số liệu cuối cùng đến hết ngày {YESTERDAY:%d/%m/%Y}"
_UNTIL = f"số liệu đến ngày {YESTERDAY:%d/%m/%Y}"


@pytest.mark.parametrize(
    ("changed", "clause"),
    [
        ({"as_of": None}, f"không có số liệu trong 30 ngày qua, {_LAST}"),
        ({"as_of": None, "cadence": "yearly"}, f"không có số liệu của kỳ gần đây, {_LAST}"),
        ({"numerator": 0, "denominator": 0}, f"không có trường hợp nào để tính tỷ lệ (trong 30 ngày, {_UNTIL})"),
        ({"numerator": 3, "denominator": 2}, f"không tính được tỷ lệ (3/2 ca trong 30 ngày, {_UNTIL})"),
        (
            {"numerator": 10**9, "denominator": 2 * 10**9, "unit": "đồng"},
            f"đạt 50,0 % (1.000.000.000/2.000.000.000 đồng trong 30 ngày, {_UNTIL})",
        ),
        # not 100 %
        ({"numerator": 9999, "denominator": 10000}, f"đạt 99,9 % (9.999/10.000 ca trong 30 ngày, {_UNTIL})"),
    ],
)
def test_the_share_says_what_it_is_of_or_why_there_is_none(changed: dict[str, Any], clause: str) -> None:
    assert said(subject(**changed))["share"] == clause


@pytest.mark.parametrize(
    ("cadence", "first", "last", "when", "ago"),
    [
        ("monthly", date(2026, 10, 1), date(2026, 10, 31), "trong tháng 10/2026", "Tháng trước đó"),
        ("quarterly", date(2026, 7, 1), date(2026, 9, 30), "trong quý III/2026", "Quý trước đó"),
        ("yearly", date(2026, 1, 1), date(2026, 12, 31), "trong năm 2026", "Năm trước đó"),
        ("working", MONTH.first, MONTH.last, "trong 30 ngày", "30 ngày trước đó"),
    ],
)
def test_a_period_is_named_where_the_window_is_one(cadence: str, first: date, last: date, when: str, ago: str) -> None:
    found = said(subject(cadence=cadence, days=DayRange(first, last), before=figures(1, 2)))
    assert found["share"].startswith(f"đạt 47,2 % (1.234/2.612 ca {when}, ")
    assert found["before"] == f"{ago} đạt 50,0 % trên 2 ca: giảm 2,8 điểm phần trăm"
    assert found["than"] == ago[0].lower() + ago[1:]


_OWN = {"overrides": [{"facility": "12001", "ratio": "0.7", "reason": "mới mở"}]}
_USES = {"unit": "facilities", "uses_at": "0.95", "uses_at_reason": "…"}


@pytest.mark.parametrize(
    ("target", "clause"),
    [
        ({"ratio": "0.9"}, 'Chỉ tiêu ≥ 90 % theo KH "2026" $1'),
        ({"ratio": "1"}, 'Chỉ tiêu 100 % theo KH "2026" $1'),
        ({"ratio": "0.405", "operator": ">"}, 'Chỉ tiêu > 40,5 % theo KH "2026" $1'),
        ({"ratio": "0.9", **_OWN}, 'Mức riêng của cơ sở (Sở quy định): ≥ 70 %; KH "2026" $1: ≥ 90 %'),
        (
            {"ratio": "1", **_USES},
            'Mức được tính là có sử dụng (Sở quy định): từ 95 %; KH "2026" $1: 100 % cơ sở',
        ),
        (
            {"ratio": "0.8", **_USES, **_OWN},
            'Mức riêng của cơ sở để được tính là có sử dụng (Sở quy định): từ 70 %; KH "2026" $1: ≥ 80 % cơ sở',
        ),
    ],
)
def test_what_the_plan_asks_and_what_the_so_has_set_are_told_apart(target: dict[str, Any], clause: str) -> None:
    found = said(subject(bound(target, short='KH "2026" $1')))["target"]
    assert found.partition(", hạn ")[0] == clause


def test_nothing_is_said_to_be_missing_of_what_nobody_has_told_or_is_reached() -> None:
    held = bound({"ratio": "0.6"})
    assert "còn thiếu" not in said(subject(held, as_of=None))["target"]
    assert "còn thiếu" not in said(subject(held, missing=0))["target"]


def test_only_what_an_alert_may_be_due_for_is_told() -> None:
    well = subject(bound({"ratio": "0.4"}), verdict=Verdict.MET)
    assert well.is_quiet
    assert not replace(well, now=replace(well.now, verdict=Verdict.BELOW)).is_quiet
    # an alert that stands is kept while nothing can be concluded
    assert not replace(well, now=replace(well.now, verdict=Verdict.NO_DATA)).is_quiet
    assert replace(well, now=replace(well.now, verdict=Verdict.NO_DATA), told=None).is_quiet
    assert not replace(well, before=figures(1, 2)).is_quiet
    assert replace(well, before=figures(1, 3)).is_quiet
    assert not replace(well, road=Fraction(Decimal("0.5"))).is_quiet
    assert replace(well, road=Fraction(Decimal("0.45"))).is_quiet
