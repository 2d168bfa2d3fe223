"""A report as the writers take it: headings, paragraphs and tables, no library and no format."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from collector.letterhead import Letterhead
from collector.typography import DASH, day, number, percent

Cell = str | int | Decimal | Fraction | date | None
"""Fraction: a share, shown as per cent; None: nothing to say."""
Where = Literal["both", "page", "sheet"]
"""Whether a column is for pages (DOCX, PDF), for sheets (XLSX, CSV), or for both."""


@dataclass(frozen=True, slots=True)
class Heading:
    """`level` 1: I, II …; 2: 1, 2 …"""

    level: Literal[1, 2]
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """`is_note`: smaller, in italics."""

    text: str
    is_note: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """`width`: a share of the page, in per cent."""

    title: str
    width: int
    align: Literal["left", "centre", "right"] = "left"
    where: Where = "both"


@dataclass(frozen=True, slots=True)
class Table:
    """Tables of the same `name` are one sheet of a workbook; `group` tells them apart there."""

    name: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    group: str = ""

    def page(self) -> tuple[list[Column], list[list[str]]]:
        """As pages show it."""
        places = [place for place, one in enumerate(self.columns) if one.where != "sheet"]
        rows = [[shown(row[place]) for place in places] for row in self.rows]
        return [self.columns[place] for place in places], rows

    def sheet(self) -> tuple[list[Column], list[list[Cell]]]:
        """As sheets hold it."""
        places = [place for place, one in enumerate(self.columns) if one.where != "page"]
        return [self.columns[place] for place in places], [[row[place] for place in places] for row in self.rows]


Block = Heading | Paragraph | Table


@dataclass(frozen=True, slots=True)
class Annex:
    """`number`: `Phụ lục I`."""

    number: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`subject`: the lines beneath `kind`; `figures`: all counts, for programs; `stem`: of a file's name."""

    letterhead: Letterhead
    subject: Sequence[str]
    drawn_up: date
    body: Sequence[Block]
    annexes: Sequence[Annex]
    figures: Table
    stem: str
    kind: str = "BÁO CÁO"
    """What the document is, as its title."""


def shown(cell: Cell) -> str:
    """A cell as people read it."""
    match cell:
        case None:
            return DASH
        case str():
            return cell
        case Fraction():
            return percent(cell)
        case date():
            return day(cell)
        case _:
            return number(cell)
