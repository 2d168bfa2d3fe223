"""What the report says, in the order and the words of an administrative report (Nghị định 30/2020/NĐ-CP)."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction

from collector import collation
from collector import manual as manual_targets
from collector.letterhead import Letterhead
from collector.manual import ManualState
from collector.reports import sentences
from collector.reports.blocks import Annex, Block, Cell, Column, Heading, Paragraph, Report, Table
from collector.reports.details import details, figures
from collector.reports.gathering import Followed, Gathered, Line, Mark, Row
from collector.typography import NBSP, capitalised, clean, day, listed, number, threshold
from contract.catalogue import UNKNOWN, Catalogue
from contract.days import local_day
from contract.plan import Manual, Plan
from contract.verdict import Verdict

_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")
_BEHIND = (Verdict.BELOW, Verdict.NEAR)
_MOST_NAMES = 10
_RESULTS = (
    Column("STT", 8, "centre"),
    Column("Chỉ tiêu", 26),
    Column("Kế hoạch", 12, "centre"),
    Column("Kết quả", 25, "centre", "page"),
    Column("Tỷ lệ", 10, "right", "sheet"),
    Column("Số đạt", 10, "right", "sheet"),
    Column("Tổng số", 10, "right", "sheet"),
    Column("Đơn vị", 10, "left", "sheet"),
    Column("Đạt/ chưa đạt", 12, "centre"),
    Column("So với kỳ trước", 17, "centre", "page"),
    Column("Tỷ lệ kỳ trước", 10, "right", "sheet"),
    Column("Xác nhận", 12, "left", "sheet"),
)
_CONFIRMED = {Mark.CONFIRMED: "Đã xác nhận", Mark.UNCONFIRMED: "Chưa xác nhận", Mark.DISPUTED: "Có ý kiến"}


def compose(found: Gathered, letterhead: Letterhead) -> Report:
    """The whole report."""
    about = f"của {clean(found.only.name)}" if found.only else ""
    days = f"(Số liệu từ ngày{NBSP}{day(found.days.first)} đến ngày{NBSP}{day(found.days.last)})"
    body = [*_opening(found, letterhead), *_overview(found), *_results(found), *_shortcomings(found)]
    body += [*_legend(found.lines), Paragraph(_closing(found, letterhead))]
    return Report(
        letterhead=letterhead,
        subject=[
            f"Kết quả thực hiện các chỉ tiêu chuyển đổi số, cải cách hành chính {about}".strip(),
            found.period.name,
            days,
        ],
        drawn_up=local_day(found.moment),
        body=body,
        annexes=_annexes(found),
        figures=figures(found, _manual_cells(found)),
        stem=f"bao-cao-{found.period.code}" + (f"-{found.only.id}" if found.only else ""),
    )


# --- opening and closing


def _opening(found: Gathered, letterhead: Letterhead) -> Iterator[Block]:
    about = f" của {clean(found.only.name)}" if found.only else ""
    running = f" (đến hết ngày{NBSP}{day(found.days.last)})" if found.days.last < found.period.whole.last else ""
    begin = f"Thực hiện {'; '.join(_cited(plan) for plan in found.plans)}, " if found.plans else ""
    yield Paragraph(f"{begin}{letterhead.issuer} báo cáo kết quả{about} {found.period.name}{running} như sau:")


def _cited(plan: Plan) -> str:
    """A plan as a document names it; most titles already say whose it is."""
    parts = [clean(plan.title)]
    if plan.number:
        parts.append(f"số {clean(plan.number)}")
    if plan.signed:
        parts.append(f"ngày{NBSP}{day(plan.signed)}")
    if " của " not in plan.title:
        parts.append(f"của {clean(plan.issuer)}")
    return " ".join(parts)


def _closing(found: Gathered, letterhead: Letterhead) -> str:
    about = f" của {clean(found.only.name)}" if found.only else ""
    return f"Trên đây là báo cáo kết quả{about} {found.period.name} của {letterhead.issuer}./."


def _overview(found: Gathered) -> Iterator[Block]:
    yield Heading(1, "I. ĐÁNH GIÁ CHUNG")
    if not found.facilities:
        yield Paragraph("Không có cơ sở nào hoạt động trong kỳ báo cáo.")
        return
    if found.only is None:
        yield Paragraph(_who_sent(found))
    yield Paragraph(_who_confirmed(found))
    if not found.plans:
        yield Paragraph("Không có kế hoạch nào đang có hiệu lực: các chỉ số dưới đây chưa có chỉ tiêu để so sánh.")
    asked = [row for row in found.rows if row.target is not None and row.target.ratio is not None]
    if asked:
        verdicts = Counter(_verdict(row, found.only is not None) for row in asked)
        words = [f"{number(verdicts[one])} {one.vi.lower()}" for one in reversed(Verdict) if verdicts[one]]
        whose = "áp dụng cho cơ sở" if found.only else "tính từ số liệu của các cơ sở"
        yield Paragraph(f"Trong {number(len(asked))} chỉ tiêu {whose}: {', '.join(words)}.")
    if found.manual:
        states = Counter(now.vi for now, _ in found.manual)
        order = (Verdict.MET.vi, Verdict.BELOW.vi, manual_targets.FOLLOWED, Verdict.NO_DATA.vi)
        words = [f"{number(states[text])} {text.lower()}" for text in order if states[text]]
        yield Paragraph(f"Trong {number(len(found.manual))} chỉ tiêu do Sở nhập kèm minh chứng: {', '.join(words)}.")


def _who_sent(found: Gathered) -> str:
    sent = {line.facility.id for line in found.lines if line.now.as_of is not None}
    silent = [clean(one.name) for one in found.facilities if one.id not in sent]
    text = f"Trong kỳ có {number(len(found.facilities))}{NBSP}cơ sở thuộc diện theo dõi"
    if not silent:
        return f"{text}; tất cả đều có số liệu."
    if not sent:
        return f"{text}; chưa cơ sở nào có số liệu."
    names = listed(sorted(silent, key=collation.key), _MOST_NAMES, "cơ sở")
    return (
        f"{text}; {number(len(sent))}{NBSP}cơ sở có số liệu, {number(len(silent))}{NBSP}cơ sở chưa có số liệu: {names}."
    )


def _who_confirmed(found: Gathered) -> str:
    marks: dict[str, set[Mark]] = {one.id: set() for one in found.facilities}
    for line in found.lines:
        marks[line.facility.id].add(line.mark)
    confirmed = sum(one == {Mark.CONFIRMED} for one in marks.values())
    disputed = sum(Mark.DISPUTED in one for one in marks.values())
    if found.only is not None:
        text = "Cơ sở đã xác nhận số liệu của kỳ báo cáo" if confirmed else "Cơ sở chưa xác nhận số liệu của kỳ báo cáo"
        return f"{text}{'; có ý kiến về số liệu' if disputed else ''}."
    text = f"Có {number(confirmed)}/{number(len(marks))}{NBSP}cơ sở đã xác nhận số liệu của kỳ báo cáo"
    return f"{text}; {number(disputed)}{NBSP}cơ sở có ý kiến về số liệu." if disputed else f"{text}."


# --- results


def _results(found: Gathered) -> Iterator[Block]:
    chapter = 1
    for plan in found.plans:
        chapter += 1
        yield Heading(1, f"{_ROMAN[chapter - 1]}. KẾT QUẢ THỰC HIỆN {clean(plan.short).upper()}")
        yield from _plan(found, plan)
    others = [row for row in found.rows if row.plan is None or row.plan not in found.plans]
    if others:
        chapter += 1
        yield Heading(1, f"{_ROMAN[chapter - 1]}. CÁC CHỈ SỐ {'KHÁC ' if found.plans else ''}ĐƯỢC THEO DÕI")
        told = [row for row in others if _has_data(row)]
        if told:
            yield from _group(found, "Ngoài kế hoạch", told, [], [])
        names = [clean(found.yardstick.catalogue.indicators[row.indicator].vi) for row in others if row not in told]
        if names:
            yield Paragraph(f"Chưa có số liệu: {'; '.join(names)}.")


def _has_data(row: Row) -> bool:
    return any(line.now.as_of is not None for line in row.lines)


def _plan(found: Gathered, plan: Plan) -> Iterator[Block]:
    rows = [row for row in found.rows if row.plan is plan and row.target and (row.lines or found.only is None)]
    followed = [one for one in found.followed if one.plan is plan]
    manual = [pair for pair in found.manual if pair[0].plan is plan]
    sections = [*(row.target.section for row in rows if row.target), *(one.follow.section for one in followed)]
    sections += [now.manual.section for now, _ in manual]
    groups = sorted({group_of(one) for one in sections}, key=section_key)
    if not groups:
        yield Paragraph("Không có chỉ tiêu nào của kế hoạch này áp dụng cho cơ sở.")
    for place, name in enumerate(groups, 1):
        yield Heading(2, f"{place}. Chỉ tiêu tại mục {clean(name)} của Kế hoạch")
        yield from _group(
            found,
            f"{clean(plan.short)}, mục {clean(name)}",
            sorted(
                (row for row in rows if row.target and group_of(row.target.section) == name),
                key=lambda row: section_key(row.target.section if row.target else ""),
            ),
            [one for one in followed if group_of(one.follow.section) == name],
            [pair for pair in manual if group_of(pair[0].manual.section) == name],
        )


def group_of(section: str) -> str:
    """The group of tasks of a section: `VII, Mục tiêu 4` → `VII`; `II.7` stays."""
    return section.partition(",")[0].strip()


def section_key(section: str) -> tuple[tuple[int, int, str], ...]:
    """The order of a document: Roman and other numbers as numbers."""
    parts = re.findall(r"\d+|[^\W\d_]+", section)
    return tuple((0, _number_of(part), "") if _number_of(part) else (1, 0, part) for part in parts)


def _number_of(part: str) -> int:
    if part.isdecimal():
        return int(part)
    values = [{"I": 1, "V": 5, "X": 10, "L": 50}.get(letter, 0) for letter in part]
    if not all(values):
        return 0
    following = [*values[1:], 0]
    return sum(-one if one < after else one for one, after in zip(values, following, strict=True))


def _group(
    found: Gathered,
    name: str,
    rows: Sequence[Row],
    followed: Sequence[Followed],
    manual: Sequence[tuple[ManualState, ManualState]],
) -> Iterator[Block]:
    catalogue = found.yardstick.catalogue
    alone = found.only is not None
    cells = [_row_cells(row, catalogue, alone) for row in rows]
    cells += [_followed_cells(one, catalogue) for one in followed]
    cells += [_state_cells(now, before) for now, before in manual]
    yield Table("Kết quả", _RESULTS, [(place, *one) for place, one in enumerate(cells, 1)], name)
    previous = found.period.previous().name
    for row in rows:
        yield from _told(row, catalogue, previous, alone)
    for one in followed:
        yield from _followed_sentence(one, catalogue)
    for now, _ in manual:
        if now.figure is not None:
            figure = f"{_amount(now.manual, now.figure.value)} (ngày{NBSP}{day(now.figure.day)}"
            yield Paragraph(f"{_vi(now)}: {figure}; minh chứng: {clean(now.figure.evidence)}).")
    missing = [_vi(now) for now, _ in manual if now.figure is None]
    if missing:
        yield Paragraph(f"Chưa có số liệu của {number(len(missing))} chỉ tiêu do Sở nhập: {'; '.join(missing)}.")


def _told(row: Row, catalogue: Catalogue, previous: str, alone: bool) -> Iterator[Paragraph]:
    unit, name = unit_of(row.indicator, catalogue), clean(catalogue.indicators[row.indicator].vi)
    if alone or len(row.lines) == 1:
        line = row.lines[0]
        who = "" if alone else f"{clean(line.facility.name)} "
        yield Paragraph(f"{name}: {who}{sentences.of_facility(line, unit, previous)}.")
        return
    yield Paragraph(f"{name}: {sentences.of_province(row, unit, previous)}")
    if row.target is not None and row.target.ratio is not None and _has_data(row):
        for text in sentences.behind(row.lines, unit):
            yield Paragraph(text)


def unit_of(indicator: str, catalogue: Catalogue) -> str:
    """What the counts of an indicator are counts of."""
    return catalogue.measures[catalogue.indicators[indicator].measure].noun_vi


def _verdict(row: Row, alone: bool) -> Verdict:
    """The verdict on a row: of the facility, or of the province by the unit in which the plan asks.

    Where nobody has data, “0 of 14 facilities” would be a figure made of nothing.
    """
    if row.lines and not _has_data(row):
        return Verdict.NO_DATA
    if alone:
        return row.lines[0].now.verdict if row.lines else Verdict.NOT_APPLICABLE
    held = row.now.facilities if row.target and row.target.unit == "facilities" else row.now.cases
    return held.verdict if held else Verdict.NOT_APPLICABLE


def _row_cells(row: Row, catalogue: Catalogue, alone: bool) -> list[Cell]:
    name, mark = clean(catalogue.indicators[row.indicator].vi), sentences.mark_of(row.lines)
    unit, verdict = unit_of(row.indicator, catalogue), _verdict(row, alone)
    plan = sentences.asked(row.target)
    now, before = row.now.cases, row.before.cases
    change = sentences.moved(sentences.points(now, before))
    if row.target is not None and row.target.unit == "facilities":
        if alone and row.lines:
            bound = row.lines[0].now.bound
            plan = f"≥{NBSP}{threshold(bound.ratio)}" if bound else plan
        else:
            now, before, unit = row.now.facilities, row.before.facilities, "cơ sở"
            change = sentences.moved(sentences.change_in_facilities(now, before), "cơ sở")
    if now is None or not _has_data(row):
        word = Verdict.NO_DATA.vi if row.lines else Verdict.NOT_APPLICABLE.vi
        return [name, plan, word, None, None, None, unit, verdict.vi, None, sentences.share_of(before), ""]
    shown = capitalised(sentences.result(now, unit, mark))
    said = [plan, shown, now.share, now.numerator, now.denominator, unit]
    return [name, *said, verdict.vi, capitalised(change), sentences.share_of(before), _CONFIRMED[mark]]


def _followed_cells(one: Followed, catalogue: Catalogue) -> list[Cell]:
    measure = catalogue.measures[one.follow.measure]
    unit = measure.noun_vi
    now, before = (None if found is None else found.total() for found in (one.now, one.before))
    said = Verdict.NO_DATA.vi if now is None else f"{number(now)}{NBSP}{unit}"
    past = "Kỳ trước chưa có số liệu" if before is None else f"Kỳ trước {number(before)}{NBSP}{unit}"
    return [clean(measure.vi), "Theo dõi", said, None, None, now, unit, Verdict.NO_TARGET.vi, past, None, ""]


def _followed_sentence(one: Followed, catalogue: Catalogue) -> Iterator[Paragraph]:
    """What the cases were: a total alone would count what was cancelled as done."""
    if one.now:
        measure = catalogue.measures[one.follow.measure]
        names = {**{code: category.vi for code, category in measure.categories.items()}, UNKNOWN: "chưa rõ"}
        parts = [f"{clean(name).lower()} {number(one.now[code])}" for code, name in names.items() if one.now[code]]
        yield Paragraph(f"{clean(measure.vi)}: {', '.join(parts)}.")


def _amount(manual: Manual, value: Decimal) -> str:
    """A figure that a person entered, held together with its unit."""
    return manual_targets.shown(manual, value).replace(" ", NBSP)


def _vi(state: ManualState) -> str:
    return clean(state.manual.vi)


def _state_cells(now: ManualState, before: ManualState) -> list[Cell]:
    manual, figure = now.manual, now.figure
    signs = {">=": f"≥{NBSP}", ">": f">{NBSP}", "<=": f"≤{NBSP}", "<": f"<{NBSP}"}
    sign = (
        "" if manual.unit == "percent" and manual.value == 100 and manual.operator == ">=" else signs[manual.operator]
    )
    asked = manual_targets.FOLLOWED if manual.value is None else f"{sign}{_amount(manual, manual.value)}"
    is_percent = manual.unit == "percent"
    said = now.vi if figure is None else _amount(manual, figure.value)
    past = "Kỳ trước chưa có số liệu" if before.figure is None else _past(now, before)
    share = Fraction(figure.value) / 100 if figure and is_percent else None
    amount = figure.value if figure and not is_percent else None
    shared_before = Fraction(before.figure.value) / 100 if before.figure and is_percent else None
    state = now.vi if figure is None else f"{now.vi}"
    unit = "%" if is_percent else ""
    return [_vi(now), asked, said, share, amount, None, unit, state, past, shared_before, "Sở nhập"]


def _past(now: ManualState, before: ManualState) -> str:
    assert before.figure is not None
    if now.figure is not None and now.figure.value == before.figure.value:
        return "Không đổi"
    return f"Kỳ trước {_amount(before.manual, before.figure.value)}"


def _manual_cells(found: Gathered) -> list[tuple[str, str, Decimal | None, str]]:
    """Name, plan, figure and verdict of each manual target, for the sheet of all figures."""
    return [
        (_vi(now), manual_targets.asked(now.manual), now.figure.value if now.figure else None, now.vi)
        for now, _ in found.manual
    ]


# --- what is behind


def _shortcomings(found: Gathered) -> Iterator[Block]:
    chapters = 2 + len(found.plans) + any(row.plan not in found.plans for row in found.rows)
    yield Heading(1, f"{_ROMAN[chapters - 1]}. TỒN TẠI, NGUYÊN NHÂN")
    held = _held_lines(found)
    late = [line for line in held if line.now.verdict in _BEHIND]
    absent = [line for line in held if line.now.verdict is Verdict.NO_DATA]
    if late:
        yield Paragraph(f"{_how_many(late, 'chưa đạt hoặc mới gần đạt ít nhất một chỉ tiêu', found)} (Phụ lục I).")
    if absent:
        yield Paragraph(f"{_how_many(absent, 'chưa có số liệu của ít nhất một chỉ tiêu', found)} (Phụ lục II).")
    missing = [
        f"{_vi(now)} ({now.plan.short}, mục {clean(now.manual.section)})" for now, _ in found.manual if not now.figure
    ]
    if missing:
        yield Paragraph(f"{number(len(missing))} chỉ tiêu do Sở nhập chưa có số liệu: {'; '.join(missing)}.")
    if not late and not absent and not missing:
        yield Paragraph("Không có chỉ tiêu nào chưa đạt hoặc chưa có số liệu.")


def _how_many(lines: Sequence[Line], what: str, found: Gathered) -> str:
    """`12 cơ sở chưa đạt …; 7 cơ sở đã nêu lý do`."""
    all_told = {line.facility.id for line in lines}
    explained = {line.facility.id for line in lines if line.reasons}
    if found.only is not None:
        return f"Cơ sở {what}, {'đã nêu' if explained else 'chưa nêu'} lý do"
    return f"{number(len(all_told))}{NBSP}cơ sở {what}; {number(len(explained))}{NBSP}cơ sở đã nêu lý do"


def _held_lines(found: Gathered) -> list[Line]:
    """Every facility against every target, in the order of the plans."""
    return [line for row in found.rows if row.target and row.target.ratio is not None for line in row.lines]


def _legend(lines: Iterable[Line]) -> Iterator[Paragraph]:
    marks = {line.mark for line in lines if line.now.as_of is not None}
    said = {
        Mark.UNCONFIRMED: "số liệu chưa được cơ sở xác nhận cho toàn bộ kỳ báo cáo",
        Mark.DISPUTED: "số liệu cơ sở cho là chưa đúng",
    }
    texts = [f"{mark.value} {text}" for mark, text in said.items() if mark in marks]
    if texts:
        yield Paragraph(f"Ghi chú: {'; '.join(texts)}.", is_note=True)


def _annexes(found: Gathered) -> list[Annex]:
    catalogue = found.yardstick.catalogue
    numbered = {(line.facility.id, id(line)): line for line in _held_lines(found)}
    ordered = sorted(numbered.values(), key=lambda one: (collation.key(one.facility.name), one.facility.id))
    late = [_late_cells(line, catalogue) for line in ordered if line.now.verdict in _BEHIND]
    absent = [_absent_cells(line, catalogue) for line in ordered if line.now.verdict is Verdict.NO_DATA]
    return [
        Annex(
            "Phụ lục I",
            "Cơ sở chưa đạt chỉ tiêu và lý do cơ sở nêu",
            [*_legend(found.lines), _list("Chưa đạt", _LATE, late, "Không có cơ sở nào chưa đạt chỉ tiêu.")],
        ),
        Annex(
            "Phụ lục II",
            "Cơ sở chưa có số liệu",
            [_list("Chưa có số liệu", _ABSENT, absent, "Cơ sở nào cũng có số liệu của các chỉ tiêu.")],
        ),
        Annex("Phụ lục III", "Số liệu chi tiết", [*_legend(found.lines), *details(found)]),
    ]


_LATE = (
    Column("STT", 5, "centre"),
    Column("Cơ sở", 22),
    Column("Chỉ tiêu", 21),
    Column("Mức phải đạt", 9, "centre"),
    Column("Kết quả", 10, "right"),
    Column("Còn thiếu", 9, "right"),
    Column("Kết luận", 9, "centre"),
    Column("Lý do cơ sở nêu", 24),
    Column("Xác nhận", 12, "left", "sheet"),
)
_ABSENT = (
    Column("STT", 6, "centre"),
    Column("Cơ sở", 26),
    Column("Chỉ tiêu", 24),
    Column("Tình trạng", 22),
    Column("Lý do cơ sở nêu", 22),
)


def _list(name: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], nothing: str) -> Block:
    """A table with its lines numbered, or one sentence."""
    if not rows:
        return Paragraph(nothing)
    return Table(name, columns, [(place, *row) for place, row in enumerate(rows, 1)])


def _late_cells(line: Line, catalogue: Catalogue) -> list[Cell]:
    bound = line.now.bound
    least = f"{'≥' if bound.operator == '>=' else '>'}{NBSP}{threshold(bound.ratio)}" if bound else ""
    reasons = clean(" ".join(_ended(text) for text in line.reasons)) or "Cơ sở chưa nêu lý do"
    name = f"{clean(line.facility.name)}{sentences.marked(line.mark)}"
    told = [least, line.now.share, line.now.missing, line.now.verdict.vi, reasons, _CONFIRMED[line.mark]]
    return [name, clean(catalogue.indicators[line.now.indicator].vi), *told]


def _absent_cells(line: Line, catalogue: Catalogue) -> list[Cell]:
    reasons = clean(" ".join(_ended(text) for text in line.reasons)) or "Cơ sở chưa nêu lý do"
    name = clean(catalogue.indicators[line.now.indicator].vi)
    return [clean(line.facility.name), name, capitalised(sentences.absence(line)), reasons]


def _ended(text: str) -> str:
    return text if text.rstrip().endswith((".", "!", "?", "…")) else f"{text.rstrip()}."
