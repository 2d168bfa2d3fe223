"""The counts behind every figure: the annex, a table an indicator, and one table of all for programs."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from collector import collation
from collector.reports import sentences
from collector.reports.blocks import Block, Cell, Column, Heading, Table
from collector.reports.gathering import Gathered, Line, Mark
from collector.typography import clean, threshold
from contract.verdict import Verdict

_ANNEX = (
    Column("STT", 5, "centre"),
    Column("Cơ sở", 26),
    Column("Số đạt", 9, "right"),
    Column("Tổng số", 9, "right"),
    Column("Chưa phân loại", 9, "right"),
    Column("Tỷ lệ", 8, "right"),
    Column("Tỷ lệ kỳ trước", 9, "right"),
    Column("Ngày có số liệu", 10, "centre"),
    Column("Kết luận", 15, "centre"),
)
_FIGURES = tuple(
    Column(title, 10, "left", "sheet")
    for title in (
        *("Phạm vi", "Mã cơ sở", "Cơ sở", "Mã chỉ số", "Chỉ tiêu", "Kế hoạch", "Mức phải đạt"),
        *("Số đạt", "Tổng số", "Chưa phân loại", "Tỷ lệ", "Tỷ lệ kỳ trước"),
        *("Số ngày có số liệu", "Số ngày phải có", "Số liệu đến ngày", "Kết luận", "Còn thiếu", "Xác nhận"),
    )
)
_CONFIRMED = {Mark.CONFIRMED: "Đã xác nhận", Mark.UNCONFIRMED: "Chưa xác nhận", Mark.DISPUTED: "Có ý kiến"}


def details(found: Gathered) -> Iterator[Block]:
    """A table an indicator, its facilities in Vietnamese order; none of what nobody counts or asks for."""
    catalogue, place = found.yardstick.catalogue, 0
    for code, indicator in catalogue.indicators.items():
        lines = _in_order([line for line in found.lines if line.now.indicator == code])
        asked = any(line.now.bound is not None for line in lines)
        if lines and (asked or any(line.now.as_of is not None for line in lines)):
            place += 1
            yield Heading(2, f"{place}. {clean(indicator.vi)}")
            rows = [(number, *_annex_cells(line)) for number, line in enumerate(lines, 1)]
            yield Table("Số liệu chi tiết", _ANNEX, rows, clean(indicator.vi))


def figures(found: Gathered, manual: Sequence[tuple[str, str, Decimal | None, str]]) -> Table:
    """Everything in one table: the province, the targets that people enter, each facility."""
    rows: list[list[Cell]] = []
    if found.only is None:
        for row in found.rows:
            one = row.now.cases
            held = row.now.facilities if row.target and row.target.unit == "facilities" else one
            if one is not None and held is not None:
                name = clean(found.yardstick.catalogue.indicators[row.indicator].vi)
                plan = clean(row.plan.short) if row.plan else ""
                told = [
                    one.numerator,
                    one.denominator,
                    one.unknown,
                    one.share,
                    sentences.share_of(row.before.cases),
                ]
                days = [one.present, one.expected, None, held.verdict.vi, held.missing]
                asked = sentences.asked(row.target)
                mark = _CONFIRMED[sentences.mark_of(row.lines)]
                rows.append(["Toàn tỉnh", "", "", row.indicator, name, plan, asked, *told, *days, mark])
        for name, asked, value, verdict in manual:
            rows.append(["Sở nhập", "", "", "", name, "", asked, value, *[None] * 7, verdict, None, ""])
    for line in _in_order(found.lines):
        rows.append(_figure_cells(line, found))
    return Table("Toàn bộ số liệu", _FIGURES, rows)


def _in_order(lines: Sequence[Line]) -> list[Line]:
    # stable: the indicators of a facility stay in the catalogue's order
    return sorted(lines, key=lambda one: (collation.key(one.facility.name), one.facility.id))


def _annex_cells(line: Line) -> list[Cell]:
    now = line.now
    name = f"{clean(line.facility.name)}{sentences.marked(line.mark) if now.as_of else ''}"
    if now.as_of is None:
        return [name, None, None, None, None, line.before.share, f"0/{now.expected}", Verdict.NO_DATA.vi]
    counts: list[Cell] = [now.numerator, now.denominator, now.unknown, now.share, line.before.share]
    return [name, *counts, f"{now.present}/{now.expected}", now.verdict.vi]


def _figure_cells(line: Line, found: Gathered) -> list[Cell]:
    now, one, bound = line.now, line.facility, line.now.bound
    name = clean(found.yardstick.catalogue.indicators[now.indicator].vi)
    plan, asked = (clean(bound.plan.short), threshold(bound.ratio)) if bound else ("", "")
    has = now.as_of is not None
    counts: list[Cell] = [now.numerator, now.denominator, now.unknown, now.share] if has else [None] * 4
    days: list[Cell] = [now.present, now.expected, now.as_of, now.verdict.vi, now.missing if has else None]
    place = ["Cơ sở", one.id, clean(one.name), now.indicator, name, plan, asked]
    return [*place, *counts, line.before.share, *days, _CONFIRMED[line.mark] if has else ""]
