"""The report as a workbook: real numbers, a frozen head, no formulas. A door to openpyxl."""

import io
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.packaging.core import DocumentProperties
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter
from openpyxl.xml.functions import tostring

from collector.reports.blocks import Block, Cell, Column, Paragraph, Report, Table
from collector.reports.parcel import packed
from collector.typography import day

_HEAD = Font(name="Times New Roman", size=12, bold=True)
_FONT = Font(name="Times New Roman", size=12)
_WRAPPED = Alignment(wrap_text=True, vertical="top")
_GROUP = Column("Nhóm", 24)


def write(report: Report) -> bytes:
    """The file: what it is about, then a sheet for each kind of table."""
    book = Workbook(write_only=True)
    _about(book, report)
    blocks: list[Block] = [*report.body, *(block for annex in report.annexes for block in annex.blocks), report.figures]
    tables = sorted((one for one in blocks if isinstance(one, Table)), key=lambda one: one.name)
    order = list(dict.fromkeys(one.name for one in blocks if isinstance(one, Table)))
    sheets = {name: list(found) for name, found in groupby(tables, key=lambda one: one.name)}
    for name in order:
        _sheet(book, name, sheets[name])
    return _packed(book, report.letterhead.issuer, report.drawn_up)


def lines(table: Table, drawn_up: date) -> bytes:
    """A table alone, as a file."""
    book = Workbook(write_only=True)
    _sheet(book, table.name, [table])
    return _packed(book, "", drawn_up)


def _packed(book: Workbook, creator: str, drawn_up: date) -> bytes:
    target = io.BytesIO()
    book.save(target)
    properties = DocumentProperties(creator=creator, created=datetime.combine(drawn_up, time()))
    properties.modified = properties.created
    core: Any = tostring(properties.to_tree())  # openpyxl writes the time of saving there
    return packed(target.getvalue(), {"docProps/core.xml": core})


def _about(book: Workbook, report: Report) -> None:
    sheet = book.create_sheet("Báo cáo")
    sheet.column_dimensions["A"].width = 110
    lines = [report.letterhead.issuer.upper(), report.kind, *report.subject, f"Lập ngày {day(report.drawn_up)}"]
    notes = [one.text for one in report.body if isinstance(one, Paragraph) and one.is_note]
    cells = _Cells(sheet)
    for text in (*lines, *notes):
        sheet.append([cells.cell(text, text == report.kind)])


def _sheet(book: Workbook, name: str, tables: Sequence[Table]) -> None:
    sheet = book.create_sheet(name)
    is_grouped = any(one.group for one in tables)
    columns = [*([_GROUP] if is_grouped else []), *tables[0].sheet()[0]]
    for place, column in enumerate(columns, 1):
        sheet.column_dimensions[get_column_letter(place)].width = max(12, column.width * 1.4)
    count = sum(len(one.rows) for one in tables)
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(columns))}{count + 1}"
    sheet.print_title_rows = "1:1"
    cells = _Cells(sheet)
    sheet.append([cells.cell(column.title, is_head=True) for column in columns])
    for row in _rows(tables, is_grouped):
        sheet.append([None if value is None else cells.cell(value) for value in row])


def _rows(tables: Sequence[Table], is_grouped: bool) -> Iterator[list[Cell]]:
    for table in tables:
        for row in table.sheet()[1]:
            yield [table.group, *row] if is_grouped else row


class _Cells:
    """Makes cells; the style of a kind of cell is put together once, for that is what takes the time."""

    def __init__(self, sheet: Any) -> None:
        self._sheet = sheet
        self._styles: dict[tuple[str, bool], Any] = {}

    def cell(self, value: Cell, is_head: bool = False) -> Any:
        """A cell with the value itself: a share is a number."""
        held: Any = float(value) if isinstance(value, Fraction) else value
        cell: Any = WriteOnlyCell(self._sheet, held)
        if isinstance(value, str):
            cell.data_type = "s"  # a name that begins with = is a name
        key = _format(value), is_head
        if key not in self._styles:
            self._styles[key] = model = WriteOnlyCell(self._sheet)
            model.font, model.alignment, model.number_format = _HEAD if is_head else _FONT, _WRAPPED, key[0]
        cell._style = self._styles[key]._style
        return cell


def _format(value: Cell) -> str:
    match value:
        case Fraction():
            return _percent(value)
        case int():
            return "#,##0"
        case Decimal():
            return "#,##0.##" if value % 1 else "#,##0"
        case date():
            return "dd/mm/yyyy"
        case _:
            return "General"


def _percent(share: Fraction) -> str:
    """As many decimals as keep what misses 100 % from being shown as 100 %."""
    decimals = 1
    while share < 1 and share * 100 >= 100 - Fraction(1, 2 * 10**decimals):
        decimals += 1
    return f"0.{'0' * decimals}%"
