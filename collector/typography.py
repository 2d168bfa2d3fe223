"""How Vietnamese readers write figures and days, in documents and mails: `71,4 %`, `1.024`, `05/11/2026`.

Numbers and their units are held together by no-break spaces.
"""

import re
import unicodedata
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction

from contract.catalogue import Cadence
from contract.days import DayRange
from contract.plan import Operator

NBSP = "\N{NO-BREAK SPACE}"
DASH = "–"
_POINT_AND_COMMA = str.maketrans(",.", ".,")
# what neither XML nor a spreadsheet takes
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """Text of people as a document takes it: NFC, blanks folded (line ends too), no control characters."""
    return " ".join(_CONTROL.sub(" ", unicodedata.normalize("NFC", text)).split())


def tenths(share: Fraction) -> int:
    """A share (0 … 1) in tenths of a per cent, half up; what misses 100 % is never rounded up to it."""
    part, whole = share.numerator, share.denominator
    rounded = (2000 * part + whole) // (2 * whole)
    return min(rounded, 999) if part < whole else rounded


def percent(share: Fraction) -> str:
    """A share (0 … 1) to one decimal: `71,4 %`."""
    whole, rest = divmod(tenths(share), 10)
    return f"{number(whole)},{rest}{NBSP}%"


def threshold(ratio: Fraction | Decimal) -> str:
    """A share that is asked for, exact: `95 %`, `92,5 %`."""
    exact = Decimal(ratio.numerator) / Decimal(ratio.denominator) if isinstance(ratio, Fraction) else ratio
    return f"{number(exact * 100)}{NBSP}%"


def at_least(operator: Operator, ratio: Fraction | Decimal) -> str:
    """What a plan asks for: `≥ 95 %`, `> 40,5 %`, `100 %`."""
    sign = "" if ratio == 1 else f"{'≥' if operator == '>=' else '>'}{NBSP}"
    return f"{sign}{threshold(ratio)}"


def number(value: int | Decimal) -> str:
    """`1.024`, `20,5`; as many decimals as the number has."""
    text = f"{value.normalize():,f}" if isinstance(value, Decimal) else f"{value:,d}"
    return text.translate(_POINT_AND_COMMA)


def day(value: date) -> str:
    """`05/11/2026`."""
    return f"{value:%d/%m/%Y}"


def long_day(value: date) -> str:
    """As documents are dated: `ngày 05 tháng 11 năm 2026`."""
    return NBSP.join(("ngày", f"{value.day:02}", month(value)))


def month(value: date) -> str:
    """`tháng 9 năm 2026`, `tháng 02 năm 2026`: January and February have two digits (Nghị định 30/2020/NĐ-CP)."""
    digits = f"{value.month:02}" if value.month < 3 else str(value.month)
    return NBSP.join(("tháng", digits, "năm", str(value.year)))


def period(cadence: Cadence, days: DayRange) -> str:
    """`tháng 10/2026`, `quý III/2026`, `năm 2026`: the calendar period whose days these are; "" of a daily measure."""
    first = days.first
    match cadence:
        case "monthly":
            return f"tháng{NBSP}{first:%m/%Y}"
        case "quarterly":
            return f"quý{NBSP}{('I', 'II', 'III', 'IV')[first.month // 3]}/{first.year}"
        case "yearly":
            return f"năm{NBSP}{first.year}"
        case _:
            return ""


def listed(names: Sequence[str], most: int, what: str) -> str:
    """`A; B; C và 35 cơ sở khác`; `what` is the word for the rest."""
    shown = "; ".join(names[:most])
    rest = len(names) - most
    return shown if rest <= 0 else f"{shown} và {number(rest)}{NBSP}{what} khác"


def capitalised(text: str) -> str:
    """The first letter large, the others as they are."""
    return text[:1].upper() + text[1:]
