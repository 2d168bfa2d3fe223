"""Writes the workbook that people fill in: wide (a column for each category), because there is least to mistype.

The only module of sheets that needs openpyxl: reading does without.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import IO

from openpyxl import Workbook
from openpyxl.formatting.rule import FormulaRule
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from contract.catalogue import Cadence, Catalogue, Measure
from contract.sheets.table import UNKNOWN_NAMES

_HEADING_ROW = 3
_EXAMPLE_ROW = 4
_LAST_ROW = {"daily": 400, "working": 400}
_SHORT = 60

_TEXT = Font(name="Calibri", size=11)
_TITLE = Font(name="Calibri", size=16, bold=True, color="1F3864")
_SUBTITLE = Font(name="Calibri", size=12, bold=True)
_HINT = Font(name="Calibri", size=11, italic=True, color="595959")
_ON_DARK = Font(name="Calibri", size=11, bold=True, color="FFFFFF")
_GREY = Font(name="Calibri", size=11, italic=True, color="7F7F7F")
_DARK, _DIM, _PALE = (PatternFill("solid", fgColor=colour) for colour in ("1F4E79", "7F7F7F", "F2F2F2"))
_RED = PatternFill("solid", bgColor="F8CBAD")
_LINE = Side(style="thin", color="D0D0D0")
_BOX = Border(left=_LINE, right=_LINE, top=_LINE, bottom=_LINE)
_CENTRE = Alignment(horizontal="center", vertical="center", wrap_text=True)
_WRAP = Alignment(vertical="top", wrap_text=True)
_COUNTED = Alignment(horizontal="center", vertical="center")
_WORDS = Alignment(horizontal="left", vertical="center", indent=1)
_MIDDLE = Alignment(vertical="center", wrap_text=True, indent=1)


def write(
    file: Path | IO[bytes],
    catalogue: Catalogue,
    cadences: Mapping[str, Cadence],
    facilities: Sequence[str],
    today: date,
) -> None:
    """Write the workbook: for each measure of `cadences`, how often it is written down, a sheet of its own.

    `facilities`: as the source's configuration writes them; a column for the facility when there are several.
    Raises OSError.
    """
    book = Workbook()
    book.remove(book.worksheets[0])
    titles = _titles([catalogue.measures[code] for code in cadences])
    sheets = [book.create_sheet(title) for title in titles]
    instructions, lists = book.create_sheet("Hướng dẫn"), book.create_sheet("Danh sách")
    lists.sheet_state = "hidden"
    row = 1
    for sheet, (code, cadence) in zip(sheets, cadences.items(), strict=True):
        _fill_sheet(sheet, lists, catalogue.measures[code], facilities, cadence, today)
        row = _fill_instructions(instructions, row, catalogue, code, cadence, len(facilities) > 1)
    _lay_out_instructions(instructions)
    book.properties.title = catalogue.measures[next(iter(cadences))].vi if len(cadences) == 1 else "Bảng ghi số liệu"
    book.properties.creator = "nhipso"
    book.save(file)


def _titles(measures: Sequence[Measure]) -> list[str]:
    """The names of the sheets, as Excel takes them: no more than 31 characters, each but once."""
    if len(measures) == 1:
        return ["Số liệu"]
    # the whole name stands in the first line of the sheet, and tells which measure it is
    return [f"{number}. {re.sub(r'[][*/?:]+', ' ', one.vi)}"[:31].strip() for number, one in enumerate(measures, 1)]


def _fill_sheet(
    sheet: Worksheet, lists: Worksheet, measure: Measure, facilities: Sequence[str], cadence: Cadence, today: date
) -> None:
    periods = _periods(cadence, today)
    _fill_data(sheet, measure, facilities, cadence, periods)
    last = _LAST_ROW.get(cadence, _SHORT)
    _check_periods(sheet, lists, periods, last)
    column = 2
    if len(facilities) > 1:
        _check_list(sheet, lists, 2, facilities, "Cơ sở", last)
        column = 3
    _check_counts(sheet, column, column + len(measure.categories), last)


def _fill_data(
    sheet: Worksheet, measure: Measure, facilities: Sequence[str], cadence: Cadence, periods: Sequence[str]
) -> None:
    several = len(facilities) > 1
    sheet["A1"] = measure.vi
    sheet["A1"].font = _TITLE
    sheet["A2"] = (
        f"{'Mỗi kỳ' if periods else 'Mỗi ngày'}{', mỗi cơ sở' if several else ''} ghi một dòng. "
        "Không có trường hợp nào thì ghi 0. Không ghi tên, mã hay thông tin của người bệnh. Xem trang “Hướng dẫn”."
    )
    sheet["A2"].font = _HINT
    headings = ["Kỳ" if periods else "Ngày (ngày/tháng/năm)", *(["Cơ sở"] if several else [])]
    headings += [one.vi for one in measure.categories.values()] + [UNKNOWN_NAMES[0], "Ghi chú"]
    numbers = [12 - 3 * place if place < 3 else 0 for place in range(len(measure.categories))]
    example: list[str | int] = [f"Ví dụ: {periods[0] if periods else '20/11/2026'}", *facilities[: int(several)]]
    example += [*numbers, 0, "Dòng ví dụ, không được tính"]
    width = len(headings)
    for column, name in enumerate(headings, 1):
        cell = sheet.cell(_HEADING_ROW, column, name)
        cell.font, cell.alignment, cell.border = _ON_DARK, _CENTRE, _BOX
        cell.fill = _DIM if name in (UNKNOWN_NAMES[0], "Ghi chú") else _DARK
    forms = [_form(column, width, several, not periods) for column in range(1, width + 1)]
    # whole columns: thousands of empty cells with a form of their own take seconds to write
    for column, (alignment, number_format) in enumerate(forms, 1):
        whole = sheet.column_dimensions[get_column_letter(column)]
        whole.font, whole.alignment, whole.number_format = _TEXT, alignment, number_format
    for shown, value, form in zip(sheet[_EXAMPLE_ROW], example, forms, strict=True):
        shown.value, shown.font, shown.fill, shown.border = value, _GREY, _PALE, _BOX
        shown.alignment, shown.number_format = form
    _lay_out(sheet, headings, several)


def _form(column: int, width: int, several: bool, is_daily: bool) -> tuple[Alignment, str]:
    """How the cells of a column look: the day, the facility, a count, the note."""
    if column == 1:
        return _COUNTED, "dd/mm/yyyy" if is_daily else "@"
    return (_WORDS, "@") if column == width or (several and column == 2) else (_COUNTED, "#,##0")


def _lay_out(sheet: Worksheet, headings: Sequence[str], several: bool) -> None:
    """Widths, frozen headings and print settings."""
    sheet.print_options.gridLines = True
    for column, name in enumerate(headings, 1):
        longest = max(map(len, name.split()))
        width = 20 if column == 1 else 30 if several and column == 2 else 32 if name == "Ghi chú" else 0
        sheet.column_dimensions[get_column_letter(column)].width = width or max(14, longest + 4, len(name) / 2 + 2)
    sheet.row_dimensions[1].height = 28
    sheet.row_dimensions[2].height = 20
    sheet.row_dimensions[_HEADING_ROW].height = 48
    sheet.freeze_panes = f"{'C' if several else 'B'}{_EXAMPLE_ROW}"
    sheet.sheet_format.defaultRowHeight, sheet.sheet_format.customHeight = 18, True
    sheet.print_title_rows = f"{_HEADING_ROW}:{_HEADING_ROW}"
    sheet.page_setup.orientation, sheet.page_setup.paperSize = "landscape", 9
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = 1, 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True  # type: ignore[union-attr]


def _check_periods(sheet: Worksheet, lists: Worksheet, periods: Sequence[str], last: int) -> None:
    if periods:
        _check_list(sheet, lists, 1, periods, "Kỳ", last)
        return
    rule = DataValidation(type="date", operator="between", formula1="DATE(2020,1,1)", formula2="TODAY()+1")
    rule.error = "Ghi ngày theo dạng ngày/tháng/năm, ví dụ 20/11/2026, không sau ngày mai."
    rule.errorTitle = "Ngày chưa đúng"
    _attach(sheet, rule, 1, 1, last)


def _check_list(sheet: Worksheet, lists: Worksheet, column: int, values: Sequence[str], title: str, last: int) -> None:
    """A drop-down; its values lie on a hidden sheet, because a rule of its own holds 255 characters only."""
    letter = get_column_letter(_listed(lists, values))
    rule = DataValidation(type="list", formula1=f"'{lists.title}'!${letter}$1:${letter}${len(values)}")
    rule.error, rule.errorTitle = f"{title}: chọn trong danh sách thả xuống.", f"{title} chưa đúng"
    _attach(sheet, rule, column, column, last)


def _listed(lists: Worksheet, values: Sequence[str]) -> int:
    """The column of the hidden sheet that holds these values."""
    column = 1
    while lists.cell(1, column).value not in (None, values[0]):
        column += 1
    for row, value in enumerate(values, 1):
        lists.cell(row, column, value).number_format = "@"
    return column


def _check_counts(sheet: Worksheet, first: int, after: int, last: int) -> None:
    rule = DataValidation(type="whole", operator="between", formula1="0", formula2="1000000000000000")
    rule.error = "Ghi số nguyên từ 0 trở lên, không ghi chữ, không ghi phần trăm."
    rule.errorTitle = "Số chưa đúng"
    _attach(sheet, rule, first, after, last)
    # a line with counts and no day would be left out
    area = f"A{_EXAMPLE_ROW + 1}:A{last}"
    counted = f"COUNT(${get_column_letter(first)}{_EXAMPLE_ROW + 1}:${get_column_letter(after)}{_EXAMPLE_ROW + 1})"
    missing = FormulaRule([f'AND($A{_EXAMPLE_ROW + 1}="",{counted}>0)'], fill=_RED)  # type: ignore[no-untyped-call]
    sheet.conditional_formatting.add(area, missing)


def _attach(sheet: Worksheet, rule: DataValidation, first: int, last_column: int, last: int) -> None:
    rule.allow_blank, rule.showErrorMessage = True, True
    rule.add(f"{get_column_letter(first)}{_EXAMPLE_ROW + 1}:{get_column_letter(last_column)}{last}")
    sheet.add_data_validation(rule)


def _periods(cadence: Cadence, today: date) -> list[str]:
    """What the drop-down for the period offers; nothing where people write days."""
    years = range(today.year - 1, today.year + 2)
    match cadence:
        case "monthly":
            return [f"Tháng {month}/{year}" for year in years for month in range(1, 13)]
        case "quarterly":
            return [f"Quý {quarter}/{year}" for year in years for quarter in ("I", "II", "III", "IV")]
        case "yearly":
            return [f"Năm {year}" for year in years]
        case _:
            return []


def _fill_instructions(
    sheet: Worksheet, row: int, catalogue: Catalogue, code: str, cadence: Cadence, several: bool
) -> int:
    """What people need to know of one measure, from `row` on; returns the row after it."""
    measure = catalogue.measures[code]
    for text, font in _sentences(measure, code, cadence, several):
        sheet.merge_cells(start_row=row, end_row=row, start_column=1, end_column=4)
        cell = sheet.cell(row, 1, text)
        cell.font, cell.alignment = font, _WRAP
        sheet.row_dimensions[row].height = 26 if font is _TITLE else 17 * (1 + len(text) // 150)
        row += 1
    for place, line in enumerate(_meanings(catalogue, code), row + 1):
        for column, text in enumerate(line, 1):
            cell = sheet.cell(place, column, text)
            cell.border, cell.alignment, cell.font = _BOX, _MIDDLE, _TEXT
            if place == row + 1:
                cell.font, cell.fill = _ON_DARK, _DARK
        sheet.row_dimensions[place].height = 20 + 15 * (len(line[3]) // 62)
    return place + 3


def _lay_out_instructions(sheet: Worksheet) -> None:
    sheet.sheet_view.showGridLines = False
    for letter, width in zip("ABCD", (34, 22, 34, 58), strict=True):
        sheet.column_dimensions[letter].width = width
    sheet.page_setup.orientation, sheet.page_setup.paperSize = "landscape", 9
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = 1, 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True  # type: ignore[union-attr]


def _sentences(measure: Measure, code: str, cadence: Cadence, several: bool) -> Iterable[tuple[str, Font]]:
    by_day = cadence in ("daily", "working")
    yield f"Hướng dẫn ghi: {measure.vi}", _TITLE
    yield " ".join(measure.meaning_vi.split()), _TEXT
    yield f"Ngày tính theo: {measure.day_vi[0].lower()}{measure.day_vi[1:]}. Mã số đếm: {code}.", _TEXT
    yield "", _TEXT
    yield "Cách ghi", _SUBTITLE
    first = (
        "Mỗi ngày một dòng; cột đầu ghi ngày theo dạng ngày/tháng/năm, ví dụ 20/11/2026."
        if by_day
        else "Mỗi kỳ một dòng; cột đầu chọn kỳ trong danh sách thả xuống. Kỳ đang chạy ghi số đến nay."
    )
    counted = "tiền (đồng)" if measure.unit == "VND" else "trường hợp"
    steps = [
        first,
        *(["Mỗi cơ sở một dòng riêng; chọn cơ sở trong danh sách thả xuống."] if several else []),
        f"Mỗi cột ghi số {counted} của loại đó; ô để trống là 0 nếu dòng có ô khác đã ghi.",
        "Không có trường hợp nào thì vẫn ghi dòng với số 0: dòng để trống nghĩa là chưa có số liệu.",
        "Ghi sai thì sửa thẳng vào ô; xóa dòng là xóa số liệu của dòng đó. Không đổi tên các cột.",
        "Không ghi họ tên, số thẻ, số điện thoại hay thông tin nào của người bệnh.",
    ]
    yield from ((f"{number}. {step}", _TEXT) for number, step in enumerate(steps, 1))
    yield "Dòng bắt đầu bằng “Ví dụ” và dòng “Tổng cộng” không được tính.", _TEXT


def _meanings(catalogue: Catalogue, code: str) -> Iterable[tuple[str, str, str, str]]:
    """For each category: heading, code, English, and what it does to the indicators."""
    yield "Cột", "Mã", "Tiếng Anh", "Ý nghĩa trong chỉ số"
    for category, name in catalogue.measures[code].categories.items():
        effects = []
        for _, indicator in catalogue.indicators_of(code):
            part = "tính là đạt" if category in indicator.adopted else "chưa đạt"
            part = "không nằm trong tỷ lệ" if category in indicator.excluded else part
            effects.append(f"{indicator.vi}: {part}")
        yield name.vi, category, name.en, "; ".join(effects) or "Chỉ theo dõi số lượng, không lập tỷ lệ"
    yield UNKNOWN_NAMES[0], "unknown", "Unknown", "Trường hợp không biết thuộc loại nào; không nằm trong tỷ lệ"
