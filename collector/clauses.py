"""What alerts on figures say of a facility and an indicator: clauses, which the rules put together (dashboards/).

They are labels of a metric: Prometheus can neither write a figure nor a day as Vietnamese readers do, and what it does
to a text it does anew for every pair and at every evaluation (DECISIONS 92).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from collector import windows
from collector.standings import NOT_BELOW, Figures, Standing
from collector.typography import NBSP, at_least, capitalised, day, number, percent, period, tenths, threshold
from collector.yardstick import Bound
from contract.catalogue import Cadence
from contract.verdict import Verdict

_AGO: dict[Cadence, str] = {"monthly": "tháng trước đó", "quarterly": "quý trước đó", "yearly": "năm trước đó"}
_HELD = {
    Verdict.NO_DATA: "chưa đủ số liệu",
    Verdict.UNKNOWN: Verdict.UNKNOWN.vi.lower(),
    Verdict.INSUFFICIENT: Verdict.INSUFFICIENT.vi.lower(),
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What is spoken of: a standing in the 30 days and what is beside it.

    `cadence`: of the sources that count; `unit`: what they count; `told`: the last day that anybody has told of;
    `before`: the figures of the 30 days (or the period) before, if they are some; `road`: where the share should be.
    """

    now: Standing
    cadence: Cadence
    unit: str
    told: date | None
    before: Figures | None
    road: Fraction | None

    @property
    def has_fallen(self) -> bool:
        """Whether the share is less than before."""
        before = None if self.before is None else self.before.share
        return self.now.share is not None and before is not None and self.now.share < before

    @property
    def is_quiet(self) -> bool:
        """Whether no alert on the share can be due: nobody has ever told, or it is judged, not below target, on the
        road, and has not fallen.
        """
        is_behind = self.road is not None and (self.now.share is None or self.now.share < self.road)
        return self.told is None or (self.now.verdict in NOT_BELOW and not is_behind and not self.has_fallen)

    @property
    def ago(self) -> str:
        """What the share is compared with."""
        return _AGO.get(self.cadence, f"30{NBSP}ngày trước đó")


def clauses(one: Subject) -> Iterator[str]:
    """In the order of the metric's labels: plan, its last day, share, target, held, than, before, road.

    An empty one is nothing to say. None ends with a full stop.
    """
    bound = one.now.bound
    yield "" if bound is None else bound.plan.id
    yield "" if bound is None else bound.plan.until.isoformat()
    yield _share(one)
    yield "" if bound is None else _target(one, bound)
    yield _held(one.now.verdict)
    yield one.ago
    yield _before(one)
    yield "" if one.road is None else percent(one.road)


def _share(one: Subject) -> str:
    now = one.now
    until = "" if one.told is None else f", số liệu đến ngày{NBSP}{day(one.told)}"
    if now.as_of is None:
        if one.told is None:
            return "chưa có số liệu"
        when = "của kỳ gần đây" if windows.is_long(one.cadence) else f"trong 30{NBSP}ngày qua"
        return f"không có số liệu {when}, số liệu cuối cùng đến hết ngày{NBSP}{day(one.told)}"
    when = f"trong {period(one.cadence, now.days) or f'30{NBSP}ngày'}{until}"
    counted = f"{number(now.numerator)}/{number(now.denominator)}{NBSP}{one.unit}"
    if now.share is not None:
        return f"đạt {percent(now.share)} ({counted} {when})"
    if now.denominator:
        return f"không tính được tỷ lệ ({counted} {when})"
    return f"không có trường hợp nào để tính tỷ lệ ({when})"


def _target(one: Subject, bound: Bound) -> str:
    missing = one.now.missing if one.now.as_of is not None else 0
    short = f"; còn thiếu {number(missing)}{NBSP}{one.unit}" if missing else ""
    return f"{_asked(bound, one.now.facility)}, hạn {day(bound.deadline)}{short}"


def _asked(bound: Bound, facility: str) -> str:
    """The plan's own words, and the Sở's beside them where it has set another figure."""
    target, plan = bound.target, bound.plan.short
    assert target.ratio is not None
    of_plan, set_here = at_least(target.operator, target.ratio), "(Sở quy định)"
    is_own = any(each.facility == facility for each in target.overrides)
    if target.uses_at is None:
        if not is_own:
            return f"Chỉ tiêu {of_plan} theo {plan}"
        return f"Mức riêng của cơ sở {set_here}: {at_least(bound.operator, bound.ratio)}; {plan}: {of_plan}"
    uses = f"từ {threshold(bound.ratio)}" if bound.ratio < 1 else threshold(bound.ratio)
    level = "Mức riêng của cơ sở để được tính là có sử dụng" if is_own else "Mức được tính là có sử dụng"
    return f"{level} {set_here}: {uses}; {plan}: {of_plan} cơ sở"


def _held(verdict: Verdict) -> str:
    """Below target is kept while no verdict can be given."""
    now = _HELD.get(verdict)
    return "" if now is None else f"Hiện {now}: cảnh báo được giữ đến khi đủ số liệu để kết luận"


def _before(one: Subject) -> str:
    now, before = one.now.share, one.before
    if now is None or before is None or before.share is None or not one.has_fallen:
        return ""
    base = f"{number(before.denominator)}{NBSP}{one.unit}"
    # of the shares as they are shown, so that everybody can check it
    fall = number(Decimal(tenths(before.share) - tenths(now)) / 10)
    return f"{capitalised(one.ago)} đạt {percent(before.share)} trên {base}: giảm {fall}{NBSP}điểm phần trăm"
