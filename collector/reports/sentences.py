"""The sentences that an officer would write from the figures. Pure: standings in, Vietnamese out."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction

from collector import collation
from collector.reports.gathering import Line, Mark, Row
from collector.scopes import ScopeStanding
from collector.standings import Figures
from collector.typography import NBSP, at_least, clean, day, listed, number, percent, tenths, threshold
from contract.plan import Target
from contract.verdict import Verdict

_ASKED = {">=": "từ {} trở lên", ">": "trên {}"}
_MOST_NAMES = 10


def asked(target: Target | None) -> str:
    """What a plan asks for, in a cell: `≥ 95 %`, `100 % cơ sở`, `Theo dõi`."""
    if target is None or target.ratio is None:
        return "Theo dõi"
    return f"{at_least(target.operator, target.ratio)}{' cơ sở' if target.unit == 'facilities' else ''}"


def counts(one: Figures, unit: str) -> str:
    """`412/577 ca`."""
    return f"{number(one.numerator)}/{number(one.denominator)}{NBSP}{unit}"


def result(one: Figures, unit: str, mark: Mark = Mark.CONFIRMED) -> str:
    """`71,4 % (*) (412/577 ca)`; without a case there is no share."""
    if one.share is None:
        return f"không phát sinh {unit} nào{marked(mark)}"
    return f"{percent(one.share)}{marked(mark)} ({counts(one, unit)})"


def share_of(one: Figures | None) -> Fraction | None:
    """The share, if there are figures at all."""
    return None if one is None else one.share


def points(now: Figures | None, before: Figures | None) -> Decimal | None:
    """The change in points, of the shares as they are shown, so that everybody can check it; None: not comparable."""
    if now is None or before is None or now.share is None or before.share is None:
        return None
    return Decimal(tenths(now.share) - tenths(before.share)) / 10


def moved(change: Decimal | int | None, unit: str = f"điểm{NBSP}%") -> str:
    """`tăng 2,0 điểm %`, `giảm 2 cơ sở`."""
    if change is None:
        return "kỳ trước chưa có số liệu"
    if change == 0:
        return "không đổi"
    amount = number(abs(change)) if isinstance(change, int) else f"{abs(change):.1f}".replace(".", ",")
    return f"{'tăng' if change > 0 else 'giảm'} {amount}{NBSP}{unit}"


def against(change: Decimal | None, previous: str) -> str:
    """The same, in a sentence: `tăng 2,0 điểm phần trăm so với tháng 10 năm 2026`."""
    if change is None:
        return f"{previous} chưa có số liệu để so sánh"
    if change == 0:
        return f"không đổi so với {previous}"
    return f"{moved(change, 'điểm phần trăm')} so với {previous}"


# --- one facility


def of_facility(line: Line, unit: str, previous: str) -> str:
    """Where one facility stands: what it has reached, the change, what is missing."""
    now = line.now
    if now.verdict is Verdict.NO_DATA:
        return f"chưa có số liệu ({absence(line)})"
    parts = [result(now, unit, line.mark)]
    if now.share is not None:
        parts.append(against(points(now, line.before), previous))
    if now.unknown:
        parts.append(unclassified(now, unit))
    if now.bound is not None:
        parts.append(f"mức phải đạt {_ASKED[now.bound.operator].format(threshold(now.bound.ratio))}")
    if now.verdict in (Verdict.BELOW, Verdict.NEAR):
        parts.append(f"còn thiếu {number(now.missing or 0)}{NBSP}{unit}")
    return f"{', '.join(parts)}: {now.verdict.vi.lower()}"


def absence(line: Line) -> str:
    """Why there is no data: since when, or how many days there are."""
    now = line.now
    if line.facility.last_push_at is None:
        return "chưa từng gửi số liệu"
    if now.as_of is None:
        if line.seen is None:
            return "chưa có ngày nào có số liệu"
        return f"không có số liệu sau ngày{NBSP}{day(line.seen)}"
    return f"mới có {number(now.present)}/{number(now.expected)}{NBSP}ngày, đến ngày{NBSP}{day(now.as_of)}"


def unclassified(one: Figures, unit: str) -> str:
    """`120 ca (2,6 %) chưa phân loại, không tính vào tỷ lệ`."""
    # of the rest, so that what is shown known and unknown makes 100
    share = percent(1 - one.known)
    return f"{number(one.unknown)}{NBSP}{unit} ({share}) chưa phân loại được, không tính vào tỷ lệ"


def marked(mark: Mark) -> str:
    """What stands behind a figure or a name: nothing when it is confirmed."""
    return f"{NBSP}{mark.value}" if mark.value else ""


def _named(line: Line, detail: str) -> str:
    return f"{clean(line.facility.name)} ({detail}){marked(line.mark) if line.now.as_of else ''}"


# --- many


def of_province(row: Row, unit: str, previous: str) -> str:
    """Where the facilities of a row stand: how many are on target, the pooled share, the change."""
    cases = row.now.cases
    if cases is None:
        return "không có cơ sở nào thuộc phạm vi áp dụng."
    if all(line.now.as_of is None for line in row.lines):
        return f"chưa có số liệu của cơ sở nào trong {number(len(row.lines))}{NBSP}cơ sở thuộc phạm vi áp dụng."
    before = row.before.cases
    parts = [f"tỷ lệ chung {result(cases, unit, mark_of(row.lines))}"]
    if cases.share is not None:
        parts.append(against(points(cases, before), previous))
    if cases.unknown:
        parts.append(f"{unclassified(cases, unit)}")
    text = "; ".join(parts)
    return f"{text}. {of_facilities(row)}."


def of_facilities(row: Row) -> str:
    """How many facilities have which verdict: `11/14 cơ sở đạt từ 95 % trở lên, 1 gần đạt, 2 chưa có số liệu`."""
    verdicts = (row.now.cases or row.now.facilities).verdicts  # type: ignore[union-attr]
    total = number(sum(verdicts.values()))
    if row.target is None or row.target.ratio is None:
        has = sum(line.now.as_of is not None for line in row.lines)
        return f"{number(has)}/{total}{NBSP}cơ sở có số liệu"
    # of facilities targets the Sở says from where on a facility uses it
    least = row.target.ratio if row.target.uses_at is None else row.target.uses_at
    operator = row.target.operator if row.target.uses_at is None else ">="
    words = [
        f"{number(verdicts.get(Verdict.MET, 0))}/{total}{NBSP}cơ sở đạt {_ASKED[operator].format(threshold(least))}"
    ]
    others = (Verdict.NEAR, Verdict.BELOW, Verdict.INSUFFICIENT, Verdict.UNKNOWN, Verdict.NO_DATA)
    words += [f"{number(verdicts[one])} {one.vi.lower()}" for one in others if verdicts.get(one)]
    return ", ".join(words)


def behind(lines: Iterable[Line], unit: str) -> list[str]:
    """A sentence for each verdict that asks for an explanation, the furthest behind first."""
    found: dict[Verdict, list[str]] = {}
    for line in worst_first(lines):
        now = line.now
        if now.verdict in (Verdict.BELOW, Verdict.NEAR) and now.share is not None:
            detail = f"{percent(now.share)}, thiếu {number(now.missing or 0)}{NBSP}{unit}"
        elif now.verdict is Verdict.NO_DATA:
            detail = absence(line)
        elif now.verdict is Verdict.UNKNOWN:
            detail = f"{percent(1 - now.known)} chưa rõ"
        elif now.verdict is Verdict.INSUFFICIENT:
            detail = counts(now, unit) if now.denominator else f"không phát sinh {unit} nào"
        else:
            continue
        found.setdefault(now.verdict, []).append(_named(line, detail))
    order = (Verdict.BELOW, Verdict.NEAR, Verdict.INSUFFICIENT, Verdict.UNKNOWN, Verdict.NO_DATA)
    return [f"{one.vi}: {listed(found[one], _MOST_NAMES, 'cơ sở')}." for one in order if one in found]


def worst_first(lines: Iterable[Line]) -> list[Line]:
    """By share, the lowest first; those without one at the end; then by name."""
    return sorted(lines, key=lambda one: (one.now.share is None, one.now.share or 0, collation.key(one.facility.name)))


def mark_of(lines: Sequence[Line]) -> Mark:
    """Of figures put together: as doubtful as the most doubtful of them that has data."""
    marks = {line.mark for line in lines if line.now.as_of is not None}
    return next((one for one in (Mark.DISPUTED, Mark.UNCONFIRMED) if one in marks), Mark.CONFIRMED)


def change_in_facilities(now: ScopeStanding | None, before: ScopeStanding | None) -> int | None:
    """How many facilities more are on target than before; None: nobody had data."""
    if now is None or before is None or before.present == 0:
        return None
    return now.numerator - before.numerator
