"""How the rows of a declared query become counts: the forms of `day` and `count`, facilities, categories."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal

from adapters.sql import Time
from contract.adapter import SourceConfig
from contract.catalogue import UNKNOWN
from contract.days import DayRange, local_day
from contract.errors import SourceChangedError
from contract.tally import MAX_COUNT

# A category column with more values than this is no category (a patient code, a free text): refuse it whole.
MAX_VALUES = 1_000


@dataclass(frozen=True, slots=True)
class Query:
    """A query ready to run. `categories` maps folded raw values to category codes."""

    name: str
    measure: str
    time: Time
    sql: str
    categories: Mapping[str, str]
    branches: bool
    note: str


def fold(value: object) -> str:
    """How raw values are compared: NFC, casefold, runs of space as one; whole numbers without a fraction."""
    return " ".join(unicodedata.normalize("NFC", _text(value)).casefold().split())


class Rows:
    """The rows of one measure's queries, added up."""

    def __init__(self, config: SourceConfig, facilities: Mapping[str, str], days: DayRange, money: bool) -> None:
        """`money`: what is counted are đồng, whose fractions are added before the day's sum is rounded."""
        self._serves = config.serves
        self._own_ids = {fold(facility): facility for facility in config.serves}
        self._facilities = facilities
        self._days = days
        self._money = money
        self._sums: dict[tuple[str, date], Counter[str]] = defaultdict(Counter)
        self.unmapped: Counter[tuple[str, date, str]] = Counter()
        self.strangers: Counter[str] = Counter()
        self._values: set[str] = set()

    def take(self, query: Query, rows: Iterable[Mapping[str, object]]) -> None:
        """Add `rows`. Raises SourceChangedError, naming the column, never a value."""
        for row in rows:
            missing = [name for name in ("day", "count") if name not in row]
            if missing:
                raise SourceChangedError(f"câu truy vấn “{query.name}” không trả về cột {', '.join(missing)}")
            day = _day(row["day"], query.name)
            if day not in self._days:
                raise SourceChangedError(f"câu truy vấn “{query.name}”: cột day nằm ngoài những ngày được hỏi")
            count = _amount(row["count"], query.name) if self._money else _whole(row["count"], query.name)
            facility = self._facility(query, row)
            if count == 0:
                continue
            if facility is None:
                self.strangers[_shown(row["facility"])] += 1 if self._money else int(count)
                self._bounded(query, fold(row["facility"]))
            else:
                self._add(query, facility, day, row, count)

    def _add(self, query: Query, facility: str, day: date, row: Mapping[str, object], count: Decimal) -> None:
        if "category" not in row:
            if len(set(query.categories.values()) - {UNKNOWN}) != 1:
                raise SourceChangedError(f"câu truy vấn “{query.name}” không trả về cột category")
            category: str | None = next(iter(set(query.categories.values()) - {UNKNOWN}))
        else:
            raw = row["category"]
            category = UNKNOWN if raw is None else query.categories.get(fold(raw))
            if category is None:
                self._bounded(query, fold(raw))
                # of a sum of money the number of cases is not known, only that there was one
                self.unmapped[facility, day, _shown(raw)] += 1 if self._money else int(count)
        # Counter is typed for whole numbers only; it adds decimals all the same
        self._sums[facility, day][category or UNKNOWN] += count  # type: ignore[assignment]

    def counts(self, facility: str, day: date) -> dict[str, int]:
        """Whole numbers by category; halves of a đồng are rounded up, as Oracle's and PostgreSQL's ROUND do."""
        sums: Mapping[str, int | Decimal] = self._sums.get((facility, day), Counter())
        rounded = {code: int(Decimal(sum_).quantize(Decimal(1), ROUND_HALF_UP)) for code, sum_ in sums.items()}
        return {code: count for code, count in rounded.items() if count}

    def _facility(self, query: Query, row: Mapping[str, object]) -> str | None:
        alone = self._serves[0] if len(self._serves) == 1 else None
        if query.branches and not self._facilities:
            return alone
        if "facility" not in row:
            if alone is None:
                raise SourceChangedError(
                    f"câu truy vấn “{query.name}” không trả về cột facility, mà nguồn phục vụ nhiều cơ sở"
                )
            return alone
        value = fold(row["facility"])
        if self._facilities:
            return self._facilities.get(value)
        return self._own_ids.get(value)

    def _bounded(self, query: Query, value: str) -> None:
        self._values.add(value)
        if len(self._values) > MAX_VALUES:
            raise SourceChangedError(
                f"câu truy vấn “{query.name}”: hơn {MAX_VALUES} giá trị lạ; cột category hoặc facility chọn nhầm?"
            )


def _day(value: object, query: str) -> date:
    """A date, a datetime, yyyyMMdd as text or as a whole number in any numeric type, or ISO text (SQLite's form)."""
    text = _text(value).strip()
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d([ T].+)?", text):
            value = datetime.fromisoformat(text)
        elif re.fullmatch(r"\d{8}", text):
            value = date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        pass
    if isinstance(value, datetime):
        # an aware one is a moment, whatever zone the driver shows it in
        return local_day(value) if value.tzinfo else value.date()
    if isinstance(value, date):
        return value
    raise SourceChangedError(f"câu truy vấn “{query}”: cột day không phải là một ngày")


def _whole(value: object, query: str) -> Decimal:
    number = _number(value)
    if number is None or not 0 <= number <= MAX_COUNT:
        raise SourceChangedError(f"câu truy vấn “{query}”: cột count không phải là số nguyên từ 0 đến 10^15")
    return Decimal(number)


def _amount(value: object, query: str) -> Decimal:
    """An amount of money; a binary float is cut to a millionth, below which it holds only noise."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        amount = Decimal(value)
        if amount.is_finite() and 0 <= amount <= MAX_COUNT:
            return amount.quantize(Decimal("0.000001"))
    raise SourceChangedError(f"câu truy vấn “{query}”: cột count không phải là số tiền từ 0 đến 10^15")


def _number(value: object) -> int | None:
    """A whole number in any numeric type, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        return int(value) if value == int(value) else None
    except (ValueError, OverflowError, ArithmeticError):
        return None


def _text(value: object) -> str:
    """A raw value as text; a byte that is no UTF-8 (an old TCVN3 font) costs one character, not the read."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace")
    whole = _number(value)
    return str(value if whole is None else whole)


def _shown(value: object) -> str:
    """A raw value as people may see it inside the hospital: one line, not long."""
    text = "NULL" if value is None else unicodedata.normalize("NFC", _text(value))
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:60]
