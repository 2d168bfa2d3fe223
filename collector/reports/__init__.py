"""The official report: what it says (`content`), and how it is written (`docx`, `xlsx`, `pdf`, `csv`).

periods → gathering (from the store) → content (blocks, no library) → one writer a format.
"""

from collections.abc import Callable
from datetime import date, datetime
from importlib import import_module
from typing import Literal, get_args

from collector.letterhead import Letterhead
from collector.reports.blocks import Report, Table
from collector.reports.content import compose
from collector.reports.gathering import gather
from collector.reports.periods import Period
from collector.store import Connection
from collector.thresholds import Confirmation
from collector.yardstick import Yardstick

Format = Literal["docx", "xlsx", "pdf", "csv"]
FORMATS: tuple[Format, ...] = get_args(Format)
MEDIA_TYPES: dict[Format, str] = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
    "csv": "text/csv; charset=utf-8",
}


def draw_up(
    connection: Connection,
    yardstick: Yardstick,
    rules: Confirmation,
    letterhead: Letterhead,
    period: Period,
    facility: str | None,
    moment: datetime,
) -> Report:
    """The report on a period at `moment`; `facility`: the id of the only one it is about.

    Raises NotFoundError (no such facility), BadRequestError (no day of the period is over).
    """
    return compose(gather(connection, yardstick, rules, period, facility, moment), letterhead)


def write(report: Report, format: Format) -> bytes:
    """The file of a report. A format's library is loaded when it is first asked for."""
    writer: Callable[[Report], bytes] = import_module(f"collector.reports.{format}").write
    return writer(report)


def lines(table: Table, format: Literal["csv", "xlsx"], drawn_up: date) -> bytes:
    """One table as a file for programs."""
    writer = import_module(f"collector.reports.{format}")
    written: bytes = writer.lines(table) if format == "csv" else writer.lines(table, drawn_up)
    return written


def file_name(report: Report, format: Format) -> str:
    """`bao-cao-2026-11.docx`: plain letters, for every mail program."""
    return f"{report.stem}.{format}"
