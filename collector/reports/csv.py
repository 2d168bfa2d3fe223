"""All figures of the report, or a table alone, for programs and for Excel in Vietnamese.

UTF-8 with its mark, semicolons, decimal comma.
"""

import csv
import io
from decimal import Decimal
from fractions import Fraction

from collector.reports.blocks import Cell, Report, Table
from collector.typography import day


def write(report: Report) -> bytes:
    """The file: one head, one line a figure; what is not known is empty, never 0."""
    return lines(report.figures)


def lines(table: Table) -> bytes:
    """A table alone, as a file."""
    columns, rows = table.sheet()
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow([column.title for column in columns])
    writer.writerows([_plain(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8-sig")


def _plain(cell: Cell) -> str:
    """Numbers without marks between thousands; shares in per cent, cut rather than rounded up to 100."""
    match cell:
        case None:
            return ""
        case str():
            # Excel would calculate what begins so
            return f"'{cell}" if cell.startswith(("=", "+", "-", "@")) else cell
        case Fraction():
            return (
                f"{Decimal((cell * 10_000_000).__floor__()) / 100_000:.5f}".replace(".", ",").rstrip("0").rstrip(",")
                + "%"
            )
        case Decimal():
            return f"{cell.normalize():f}".replace(".", ",")
        case int():
            return str(cell)
        case _:
            return day(cell)
