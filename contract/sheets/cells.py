"""What people write into a cell, as words, days and whole numbers.

Reasons are our own sentences and never hold what stood in the cell.
"""

import re
import unicodedata
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Literal, NamedTuple

from contract.tally import MAX_COUNT

Unit = Literal["day", "month", "quarter", "year"]


class Dated(NamedTuple):
    """A number that the workbook shows as a date; `unit` is what is shown of it."""

    day: date
    unit: Unit


class Fault(NamedTuple):
    """A cell that holds no value: what is wrong, and how to mend it."""

    wrong: str
    mend: str


class CellError(Exception):
    """A cell says nothing that could be counted."""

    def __init__(self, wrong: str, mend: str) -> None:
        self.wrong = wrong
        self.mend = mend
        super().__init__(wrong)


Value = str | Decimal | Dated | Fault | None


class Period(NamedTuple):
    """A day, or a month, quarter or year whole."""

    unit: Unit
    first: date
    last: date

    def counted_on(self, today: date) -> date:
        """The day that a tally of it carries: its last, or `today` while it runs (a day to come is taken by nobody)."""
        return self.last if self.unit == "day" else min(self.last, today)


def bare(text: str) -> str:
    """`text` without diacritics and capitals, runs of space as one."""
    folded = unicodedata.normalize("NFKD", text.casefold().replace("đ", "d"))
    return " ".join("".join(char for char in folded if not unicodedata.combining(char)).split())


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """How words are compared: `bare`, with everything but letters and digits taken for space."""
    return " ".join(re.sub(r"[\W_]+", " ", bare(text)).split())


def heading(text: str) -> str:
    """How headings are compared: `plain`, without what stands in brackets."""
    return plain(re.sub(r"\(.*?\)|\[.*?\]", " ", text))


# ---- days

_SEPARATED = r"\s*[/.\-]\s*"
_TIME = r"(?:[ t]\d{1,2}:\d{2}.*)?"
_DAY = re.compile(
    rf"(?:ngay )?(?P<d>\d{{1,2}}){_SEPARATED}(?P<m>\d{{1,2}}){_SEPARATED}(?P<y>\d{{4}}|\d{{2}}){_TIME}"
    r"|ngay (?P<d2>\d{1,2}) thang (?P<m2>\d{1,2}) nam (?P<y2>\d{4})"
    rf"|(?P<y3>\d{{4}})-(?P<m3>\d{{1,2}})-(?P<d3>\d{{1,2}}){_TIME}"
    r"|(?P<y4>\d{4})(?P<m4>\d{2})(?P<d4>\d{2})"
)
_MONTH = re.compile(
    rf"(?:thang |t)?(?P<m>\d{{1,2}})(?:{_SEPARATED}| nam )(?P<y>\d{{4}})|(?P<y2>\d{{4}})-(?P<m2>\d{{1,2}})"
)
_QUARTER = re.compile(
    rf"(?:(?:quy |q) ?(?P<q>iii|ii|iv|i|[1-4])|(?P<q2>iii|ii|iv|i))(?:{_SEPARATED}| nam )(?P<y>\d{{4}})"
    r"|(?P<y3>\d{4})-q(?P<q3>[1-4])"
)
_YEAR = re.compile(r"(?:nam )?(?P<y>\d{4})")
_ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4}
_NO_DAY = "ngày không đọc được (cần dạng ngày/tháng/năm, ví dụ 20/11/2026)"
_WRITE_DAY = "ghi lại ngày theo dạng ngày/tháng/năm; cả tháng thì ghi 11/2026, cả quý thì ghi Quý IV/2026"


def is_example(value: Value) -> bool:
    """Whether the day's cell says that this line only shows how to fill the sheet in."""
    return isinstance(value, str) and plain(value).startswith("vi du")


@lru_cache(maxsize=4096)
def period_of(value: Value) -> Period:
    """The period that a cell names. Raises CellError."""
    if value is None:
        raise CellError("thiếu ngày", "ghi ngày của dòng này, ví dụ 20/11/2026; dòng thừa thì xóa")
    if isinstance(value, Fault):
        raise CellError(f"ô ngày {value.wrong}", value.mend)
    try:
        if isinstance(value, Dated):
            return whole(value.unit, value.day)
        found = _numbered(value) if isinstance(value, Decimal) else _written(bare(value))
    except ValueError:
        found = None
    if found is None:
        raise CellError(_NO_DAY, _WRITE_DAY)
    return found


def whole(unit: Unit, day: date) -> Period:
    """The `unit` in which `day` lies."""
    if unit == "day":
        return Period(unit, day, day)
    months = {"month": 1, "quarter": 3, "year": 12}[unit]
    first = date(day.year, (day.month - 1) // months * months + 1, 1)
    after = first.month + months
    return Period(unit, first, date(day.year + (after > 12), (after - 1) % 12 + 1, 1) - timedelta(days=1))


def serial_day(number: Decimal, is_1904: bool) -> date | None:
    """The day that Excel keeps as this number; None when it keeps none so."""
    days = int(number) + (1462 if is_1904 else 0)
    # below 61 Excel counts a 29/02/1900 that never was
    return date(1899, 12, 30) + timedelta(days=days) if 61 <= days <= 2_958_465 else None


def _numbered(number: Decimal) -> Period | None:
    """A number in a cell that is not shown as a date: a year, yyyyMMdd, or Excel's own number of a day."""
    if number == int(number):
        text = str(int(number))
        if len(text) == 8:
            return _written(text)
        if len(text) == 4 and text.startswith("20"):
            return whole("year", date(int(text), 1, 1))
    day = serial_day(number, is_1904=False)
    return whole("day", day) if day else None


def _written(text: str) -> Period | None:
    if found := _DAY.fullmatch(text):
        year = int(_group(found, "y"))
        day = date(year + 2000 if year < 100 else year, int(_group(found, "m")), int(_group(found, "d")))
        return whole("day", day)
    if found := _QUARTER.fullmatch(text):
        quarter = _group(found, "q")
        return whole("quarter", date(int(_group(found, "y")), 3 * (_ROMAN.get(quarter) or int(quarter)), 1))
    if found := _MONTH.fullmatch(text):
        return whole("month", date(int(_group(found, "y")), int(_group(found, "m")), 1))
    if found := _YEAR.fullmatch(text):
        return whole("year", date(int(_group(found, "y")), 1, 1))
    return None


def _group(found: re.Match[str], name: str) -> str:
    """Of the groups `name`, `name2`, … the one that matched."""
    return next(text for key, text in found.groupdict().items() if key.rstrip("234") == name and text)


# ---- counts

_PLAIN_NUMBER = re.compile(r"\d+(?:[.,]0{1,2})?")
_VIETNAMESE = re.compile(r"\d{1,3}(?:\.\d{3})+(?:,0+)?")
_ENGLISH = re.compile(r"\d{1,3}(?:,\d{3}){2,}(?:\.0+)?|\d{1,3}(?:,\d{3})+\.0+")
_AMBIGUOUS = re.compile(r"\d{1,3},\d{3}")
_CURRENCY = re.compile(r"(?:vnd|dong|d)\.?$")
_OUT_OF_RANGE = "phải từ 0 đến 10^15"
_WRITE_NUMBER = "ghi một số nguyên từ 0 trở lên, không chữ, không phần trăm; không biết thì để trống"


def amount_of(value: Value, money: bool) -> int | None:
    """The whole number in a cell, None in an empty one; a dash is 0. Raises CellError.

    `money`: it counts đồng, so that a sign of the currency may follow, and fractions are rounded.
    """
    if value is None:
        return None
    if isinstance(value, Fault):
        raise CellError(value.wrong, value.mend)
    if isinstance(value, Dated):
        raise CellError("là ngày, không phải số", "đổi định dạng của ô thành số rồi ghi lại số")
    number = value if isinstance(value, Decimal) else _read_number(value, money)
    if not 0 <= number <= MAX_COUNT:
        raise CellError(_OUT_OF_RANGE, _WRITE_NUMBER)
    rounded = int(number.to_integral_value())
    # what formulas leave behind: 411.99999999999994
    if abs(number - rounded) > Decimal("0.000001") and not money:
        raise CellError(
            "không phải số nguyên (1.234 trong Excel tiếng Anh là 1,234)", "ghi số liền, không dấu ngăn: 1234"
        )
    return rounded


def _read_number(text: str, money: bool) -> Decimal:
    written = re.sub(r"\s", "", bare(text))
    if money:
        written = _CURRENCY.sub("", written)
    if written in {"-", "–", "—"}:
        return Decimal(0)
    if _AMBIGUOUS.fullmatch(written):
        raise CellError("viết dấu phẩy không rõ là phần nghìn hay phần lẻ", "ghi số liền, không dấu ngăn: 1234")
    if _VIETNAMESE.fullmatch(written):
        written = written.partition(",")[0].replace(".", "")
    elif _ENGLISH.fullmatch(written):
        written = written.partition(".")[0].replace(",", "")
    elif _PLAIN_NUMBER.fullmatch(written):
        written = re.split("[.,]", written)[0]
    else:
        raise CellError("không phải là số nguyên từ 0 trở lên", _WRITE_NUMBER)
    if len(written) > 20:
        raise CellError(_OUT_OF_RANGE, _WRITE_NUMBER)
    return Decimal(written)


# ---- old fonts

# Bytes that TCVN3 (ABC) fonts use for Vietnamese letters, as they show in any other font beside a plain letter.
_TCVN3 = re.compile("(?:[a-z][µ¶·¸¹»¼½¾¨©ª«¬®Æ\xad]|[µ¶·¸¹»¼½¾¨©ª«¬®Æ\xad][a-z])", re.IGNORECASE)


def looks_like_tcvn3(text: str) -> bool:
    """Whether `text` was probably typed in an old Vietnamese font."""
    return bool(_TCVN3.search(text))
