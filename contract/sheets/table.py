"""Finds the table in a sheet that a person keeps, and adds up its lines.

Two layouts are read: long (one line a day, facility and category, with a count) and wide (one line a day and facility,
with a column for each category). A line that cannot be read is named by its place and a reason, never by a cell.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from itertools import chain, islice
from typing import Literal, NamedTuple

from contract.catalogue import UNKNOWN, Cadence, Measure
from contract.errors import SourceChangedError
from contract.sheets.cells import (
    CellError,
    Period,
    Unit,
    Value,
    amount_of,
    heading,
    is_example,
    looks_like_tcvn3,
    period_of,
    plain,
)
from contract.sheets.xlsx import Line, Sheet
from contract.tally import FIRST_DAY

Role = Literal["day", "facility", "measure", "category", "count", "ignored"]

# How people head the columns; compared by `heading`.
HEADINGS: Mapping[Role, tuple[str, ...]] = {
    "day": (
        "ngày",
        "ngày tháng",
        "ngày tháng năm",
        "kỳ",
        "kỳ báo cáo",
        "tháng",
        "quý",
        "năm",
        "thời gian",
        "day",
        "date",
    ),
    "facility": ("cơ sở", "mã cơ sở", "tên cơ sở", "facility"),
    "measure": ("số đếm", "mã số đếm", "chỉ số", "chỉ tiêu", "measure"),
    "category": ("loại", "phân loại", "hình thức", "trạng thái", "tình trạng", "kết quả", "category"),
    "count": ("số lượng", "số lượt", "số ca", "số phiên", "số cuộc", "số hồ sơ", "số tiền", "count"),
    "ignored": (
        "stt",
        "tt",
        "số tt",
        "số thứ tự",
        "ghi chú",
        "chú thích",
        "note",
        "tổng",
        "tổng số",
        "tổng cộng",
        "cộng",
    ),
}
UNKNOWN_NAMES = ("Chưa phân loại", "chưa rõ", "không rõ", "unknown")

_UNITS: Mapping[Cadence, tuple[Unit, ...]] = {
    "daily": ("day",),
    "working": ("day",),
    "monthly": ("day", "month"),
    "quarterly": ("day", "month", "quarter"),
    "yearly": ("day", "month", "quarter", "year"),
}
_UNIT_NAMES: Mapping[Unit, str] = {"day": "ngày", "month": "tháng", "quarter": "quý", "year": "năm"}
_TOTALS = ("tong", "tong cong", "tong so", "cong", "cong don", "luy ke", "total", "sum", "grand total")
_SEARCHED_LINES = 30
_MOST_LINES = 100_000
_MOST_NAMED = 10
_MOST_RANGES = 20
TCVN3 = "; chữ có vẻ gõ bằng phông TCVN3 (.VnTime): cần gõ lại bằng phông Unicode"


class Key(NamedTuple):
    """What a line counts."""

    measure: str
    facility: str
    period: Period


@dataclass(frozen=True, slots=True)
class Words:
    """What the words of a sheet mean. All keys are as `plain` or `heading` gives them."""

    measures: Mapping[str, Measure]
    """The measures that the source counts."""
    measure_names: Mapping[str, str]
    headings: Mapping[str, Role]
    facilities: Mapping[str, str]
    categories: Mapping[str, Mapping[str, str]]
    """Measure → word → category code."""
    cadences: Mapping[str, Cadence]
    alone: str | None
    """The facility of a line that names none."""
    today: date


class Place(NamedTuple):
    """A line of a sheet; `sheet` is '' where the file has but one."""

    sheet: str
    line: int


class Remark(NamedTuple):
    """What is to be said of a place, in our own words: what is wrong and how to mend it.

    `column`: from 0; None: it is the line, or the table, as a whole. `is_left_out`: the line was not counted.
    """

    wrong: str
    mend: str
    column: int | None = None
    is_left_out: bool = False

    @property
    def sentence(self) -> str:
        """As it follows the place: `không tính vì cột B: …`."""
        where = "" if self.column is None else f"cột {letters(self.column)}: "
        return f"{'không tính vì ' if self.is_left_out else ''}{where}{self.wrong}"


_NO_MEASURE = Remark(
    "không rõ bảng này ghi số đếm nào, không đọc", "ghi tên số đếm ở một dòng phía trên bảng, như trong bảng mẫu"
)
_NO_CATEGORY = Remark("tiêu đề không phải tên một loại, cột này không đọc", "ghi tiêu đề như trong bảng mẫu")


class LineError(Exception):
    """A line cannot be counted."""

    def __init__(self, wrong: str, mend: str, column: int | None) -> None:
        self.remark = Remark(wrong, mend, column, is_left_out=True)
        super().__init__(wrong)


@dataclass(slots=True)
class Findings:
    """What was counted so far in a file, and what could not be."""

    counts: dict[Key, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    spoiled: set[Key] = field(default_factory=set)
    """Of these a line could not be counted: what `counts` has of them is not all."""
    repeated: dict[Key, list[Place]] = field(default_factory=dict)
    """Lines that were added up although each has a column for every category."""
    tables: int = 0
    is_tcvn3: bool = False
    """Whether a sheet in which no table was found seems to be typed in an old font."""
    lines: int = 0
    places: dict[Key, Place] = field(default_factory=dict)
    """Where each was said first."""
    _remarks: dict[Remark, list[Place]] = field(default_factory=lambda: defaultdict(list))

    def remark(self, remark: Remark, place: Place) -> None:
        """Name a line of a sheet, and what is to be said of it."""
        self._remarks[remark].append(place)

    def one_more_line(self) -> None:
        """Raises SourceChangedError when there are too many."""
        self.lines += 1
        if self.lines > _MOST_LINES:
            raise SourceChangedError(f"tệp có hơn {_MOST_LINES} dòng có nội dung, không phải bảng số liệu")

    def add(self, key: Key, counts: Counter[str], place: Place, is_wide: bool) -> None:
        """One more line that counts."""
        self.counts[key].update(counts)
        first = self.places.setdefault(key, place)
        if is_wide and first != place:
            self.repeated.setdefault(key, [first]).append(place)

    @property
    def remarks(self) -> Mapping[Remark, Sequence[Place]]:
        """All that was remarked, and where."""
        return self._remarks

    @property
    def problem(self) -> str | None:
        """All remarks in one sentence; None when there is none."""
        parts = []
        for remark, places in list(self._remarks.items())[:_MOST_NAMED]:
            by_sheet: dict[str, list[int]] = defaultdict(list)
            for sheet, line in places:
                by_sheet[sheet].append(line)
            where = [f"{sheet} dòng {_shown(spans(lines))}".strip() for sheet, lines in by_sheet.items()]
            more = "; …" if len(where) > _MOST_NAMED else ""
            parts.append(f"{'; '.join(where[:_MOST_NAMED])}{more}: {remark.sentence}")
        if len(self._remarks) > _MOST_NAMED:
            parts.append(f"và {len(self._remarks) - _MOST_NAMED} lý do khác")
        return ". ".join(parts) or None


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which column is what. `amounts`: measure → column → category code, or None where a column names it."""

    roles: Mapping[Role, int]
    amounts: Mapping[str, Mapping[int, str | None]]
    unread: tuple[int, ...]

    @property
    def is_wide(self) -> bool:
        """Whether each category has a column."""
        return all(None not in columns.values() for columns in self.amounts.values())


def take(sheet: Sheet, words: Words, findings: Findings) -> None:
    """Add the lines of `sheet` to `findings`; a sheet without a table adds nothing.

    Raises SourceChangedError when the file is no sheet that a person keeps.
    """
    lines = iter(sheet.lines)
    head = list(islice(lines, _SEARCHED_LINES))
    found = _find(head, words)
    if found is None:
        texts = (cell for line in head for cell in line.cells.values())
        findings.is_tcvn3 |= any(looks_like_tcvn3(cell) for cell in texts if isinstance(cell, str))
        return
    columns, after = found
    findings.tables += 1
    measures = _measures(columns, [sheet.title, *_texts(head[:after])], words)
    place = Place(sheet.place, head[after - 1].number)
    if measures is None:
        findings.remark(_NO_MEASURE, place)
        return
    table = _Columns(columns.roles, {one: columns.amounts[one] for one in measures}, columns.unread)
    _remark_unread(table, words, findings, place)
    for line in chain(head[after:], lines):
        findings.one_more_line()
        if not _is_beside(line, table):
            _take_line(line, table, words, findings, Place(sheet.place, line.number))


def _find(head: Sequence[Line], words: Words) -> tuple[_Columns, int] | None:
    """The columns, and how many lines come before the first of the table: headings stand on one line, or on two."""
    for height in (1, 2):
        for position in range(len(head) - height + 1):
            if columns := _columns(head[position : position + height], words):
                return columns, position + height
    return None


def _columns(lines: Sequence[Line], words: Words) -> _Columns | None:
    """The columns under these headings; None when they are no headings of a table."""
    roles: dict[Role, int] = {}
    amounts: dict[str, dict[int, str | None]] = {}
    unread = []
    categories = set().union(*words.categories.values())
    for column, candidates in _headings(lines):
        known = next((text for text in candidates if text in words.headings or text in categories), None)
        if known is None:
            unread.append(column)
        elif known in words.headings:
            roles.setdefault(words.headings[known], column)
        else:
            for measure, codes in words.categories.items():
                if known in codes:
                    amounts.setdefault(measure, {})[column] = codes[known]
    if "day" not in roles:
        return None
    if "category" in roles and "count" in roles:
        return _Columns(roles, {measure: {roles["count"]: None} for measure in words.measures}, ())
    return _Columns(roles, amounts, tuple(unread)) if amounts else None


def _headings(lines: Sequence[Line]) -> list[tuple[int, list[str]]]:
    """Column → its headings, the lowest first."""
    texts: dict[int, list[str]] = defaultdict(list)
    for line in reversed(lines):
        for column, value in {**line.spread, **line.cells}.items():
            if isinstance(value, str):
                texts[column].append(heading(value))
    return sorted(texts.items())


def _measures(columns: _Columns, texts: Iterable[str], words: Words) -> list[str] | None:
    """The measures that the table may hold; None when nothing tells.

    More than one only where a column says it on every line.
    """
    if "measure" in columns.roles:
        return list(columns.amounts)
    named = {words.measure_names[text] for text in map(plain, texts) if text in words.measure_names}
    if not named:
        named = set(words.measures) if len(words.measures) == 1 else set(columns.amounts)
    return list(named) if len(named) == 1 and named <= columns.amounts.keys() else None


def _remark_unread(table: _Columns, words: Words, findings: Findings, place: Place) -> None:
    """In a wide table a misspelt heading would lose a whole category in silence."""
    for measure, columns in table.amounts.items():
        is_wide = None not in columns.values()
        if is_wide and set(words.measures[measure].categories) - set(columns.values()):
            for column in table.unread:
                findings.remark(_NO_CATEGORY._replace(column=column), place)
            return


def _is_beside(line: Line, table: _Columns) -> bool:
    """Whether a line is no data: nothing filled in, the example, a total, a heading again, a signature."""
    amounts = {column for columns in table.amounts.values() for column in columns}
    stated = [line.cells[column] for column in amounts if column in line.cells]
    day = _key_cell(line, table.roles["day"])
    if not stated or is_example(day):
        return True
    beside = {column for role, column in table.roles.items() if role not in ("ignored", "count")}
    names = [plain(text) for text in _texts([line], [*beside, *range(min(amounts))])]
    if any(name in _TOTALS for name in names):
        return True
    try:
        period_of(day)
    except CellError:
        is_total = any(name.startswith(f"{word} ") for name in names for word in _TOTALS)
        return is_total or not any(_begins_a_number(cell) for cell in stated) or _is_numbering(line)
    return False


def _take_line(line: Line, table: _Columns, words: Words, findings: Findings, place: Place) -> None:
    key = None
    try:
        measure = _measure(line, table, words)
        period = _period(line, table, words.cadences[measure], words.today)
        key = Key(measure, _facility(line, table, words), period)
        counts, remark = _counts(line, table, words, measure)
    except LineError as error:
        findings.remark(error.remark, place)
        findings.spoiled |= {key} if key else set()
        return
    if remark:
        findings.remark(remark, place)
    findings.add(key, counts, place, table.is_wide)


def _measure(line: Line, table: _Columns, words: Words) -> str:
    column = table.roles.get("measure")
    if column is None:
        return next(iter(table.amounts))
    value = _key_cell(line, column)
    measure = words.measure_names.get(plain(value)) if isinstance(value, str) else None
    if measure is None or measure not in words.measures:
        raise LineError("tên số đếm không nhận ra", "ghi đúng tên hoặc mã của số đếm", column)
    if measure not in table.amounts:
        raise LineError("bảng không có cột nào của số đếm này", "ghi số đếm này ở một bảng riêng", column)
    return measure


def _period(line: Line, table: _Columns, cadence: Cadence, today: date) -> Period:
    column = table.roles["day"]
    try:
        period = period_of(_key_cell(line, column))
    except CellError as error:
        raise LineError(error.wrong, error.mend, column) from None
    if period.unit not in _UNITS[cadence]:
        wrong = f"ghi cả {_UNIT_NAMES[period.unit]}, mà số đếm này cần ghi từng kỳ ngắn hơn"
        raise LineError(wrong, f"ghi từng {' hoặc từng '.join(_UNIT_NAMES[one] for one in _UNITS[cadence])}", column)
    if not FIRST_DAY <= period.first <= today + timedelta(days=1):
        raise LineError("ngày trước năm 2020 hoặc sau ngày mai", "xem lại năm; ngày chưa đến thì xóa dòng", column)
    return period


def _facility(line: Line, table: _Columns, words: Words) -> str:
    column = table.roles.get("facility")
    value = None if column is None else _key_cell(line, column)
    if value is None:
        if words.alone is None:
            raise LineError("thiếu cơ sở", "ghi cơ sở của dòng này", column)
        return words.alone
    text = str(int(value)) if isinstance(value, Decimal) and value == int(value) else value
    facility = words.facilities.get(plain(text)) if isinstance(text, str) else None
    if facility is None:
        wrong = f"cơ sở không có trong những cơ sở mà bảng được ghi{_suspicion(value)}"
        raise LineError(wrong, "ghi đúng mã hoặc tên của cơ sở; dòng của cơ sở khác thì xóa", column)
    return facility


def _counts(line: Line, table: _Columns, words: Words, measure: str) -> tuple[Counter[str], Remark | None]:
    """The counts of a line by category code, and what is to be said of it."""
    counts: Counter[str] = Counter()
    remark = None
    for column, code in table.amounts[measure].items():
        try:
            amount = amount_of(line.cells.get(column), money=words.measures[measure].unit == "VND")
        except CellError as error:
            raise LineError(error.wrong, error.mend, column) from None
        if amount is None:
            continue
        if code is None:
            value = _key_cell(line, table.roles["category"])
            code = words.categories[measure].get(plain(value)) if isinstance(value, str) else None
        if code is None:
            wrong = f"loại không có trong danh mục, tính là chưa phân loại{_suspicion(value)}"
            code, remark = UNKNOWN, Remark(wrong, "ghi đúng tên loại như trong bảng mẫu", table.roles["category"])
        counts[code] += amount
    return counts, remark


def _key_cell(line: Line, column: int) -> Value:
    """Merged cells speak for every line that they span, except those with counts, which would count again."""
    return line.cells.get(column, line.spread.get(column))


def _texts(lines: Iterable[Line], columns: Iterable[int] | None = None) -> list[str]:
    wanted = None if columns is None else set(columns)
    return [
        cell
        for line in lines
        for column, cell in {**line.spread, **line.cells}.items()
        if isinstance(cell, str) and (wanted is None or column in wanted)
    ]


def _begins_a_number(value: Value) -> bool:
    return value[0].isdigit() if isinstance(value, str) else value is not None


def _is_numbering(line: Line) -> bool:
    """Whether it only numbers the columns: (1) (2) (3), or A B 1 2."""
    shown = [plain(str(cell)) for cell in line.cells.values()]
    numbers = [int(one) for one in shown if one.isascii() and one.isdecimal() and len(one) < 3]
    letters = [one for one in shown if len(one) == 1 and one.isalpha()]
    is_counting = numbers == list(range(numbers[0], numbers[0] + len(numbers))) if len(numbers) > 1 else False
    return is_counting and len(numbers) + len(letters) == len(shown)


def _suspicion(value: Value) -> str:
    return TCVN3 if isinstance(value, str) and looks_like_tcvn3(value) else ""


def spans(lines: Iterable[int]) -> list[str]:
    """Lines 3, 5, 6, 7 are `3`, `5–7`."""
    found: list[list[int]] = []
    for line in lines:
        if found and line <= found[-1][1] + 1:
            found[-1][1] = line
        else:
            found.append([line, line])
    return [f"{first}–{last}" if last > first else str(first) for first, last in found]


def _shown(found: Sequence[str]) -> str:
    return ", ".join(found[:_MOST_RANGES]) + (", …" if len(found) > _MOST_RANGES else "")


def letters(column: int) -> str:
    """Column 0 is A, as Excel shows it."""
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name
