"""The periods of official reports: a month, a quarter, half a year, a year, or any two days."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta

from collector.typography import NBSP, day, month
from contract.days import DayRange
from contract.errors import BadRequestError
from contract.tally import FIRST_DAY

_CODE = re.compile(r"(20[0-9]{2})(?:-(?:(0[1-9]|1[0-2])|Q([1-4])|H([12])))?")
_QUARTERS = ("I", "II", "III", "IV")
_LONGEST = 366
_ONE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Period:
    """`code`: as in commands and file names; `name`: as in a sentence; `whole`: also days that are still to come."""

    code: str
    name: str
    whole: DayRange

    def days(self, today: date) -> DayRange:
        """The days that can be reported: up to yesterday. Raises BadRequestError when there are none."""
        if self.whole.first >= today:
            raise BadRequestError(f"kỳ báo cáo chưa có ngày nào đã qua: {self.name}")
        return DayRange(self.whole.first, min(self.whole.last, today - _ONE))

    def is_over(self, today: date) -> bool:
        """Whether all its days are."""
        return self.whole.last < today

    def previous(self) -> "Period":
        """The period of equal kind just before; of two days: as many months if they are whole ones, else days.

        15 October to 14 November is a month: before it lies 15 September to 14 October.
        """
        first, after = self.whole.first, self.whole.last + _ONE
        months = (after.year - first.year) * 12 + after.month - first.month
        if "_" not in self.code:
            return _calendar(_shifted(first, -months), months)
        is_whole = first.day == after.day and months > 0
        begin = _shifted(first, -months) if is_whole else first - timedelta(days=len(self.whole))
        return _two_days(DayRange(begin, first - _ONE))


def parse(text: str) -> Period:
    """`2026-11`, `2026-Q4`, `2026-H2`, `2026`. Raises BadRequestError."""
    found = _CODE.fullmatch(text)
    if found is None or int(found[1]) < FIRST_DAY.year:
        raise BadRequestError(f"kỳ báo cáo viết theo dạng 2026-11, 2026-Q4, 2026-H2 hoặc 2026, không phải “{text}”")
    year, of_month, quarter, half = int(found[1]), *(int(found[place] or 0) for place in (2, 3, 4))
    if of_month:
        return _calendar(date(year, of_month, 1), 1)
    if quarter:
        return _calendar(date(year, quarter * 3 - 2, 1), 3)
    return _calendar(date(year, half * 6 - 5, 1), 6) if half else _calendar(date(year, 1, 1), 12)


def named(code: str) -> Period:
    """The period of this code, of two days too. Raises BadRequestError."""
    first, divided, last = code.partition("_")
    if not divided:
        return parse(code)
    try:
        return between(date.fromisoformat(first), date.fromisoformat(last))
    except ValueError:
        raise BadRequestError("ngày đầu và ngày cuối của kỳ báo cáo phải là ngày có thật") from None


def between(first: date, last: date) -> Period:
    """Two days, both included. Raises BadRequestError."""
    if first < FIRST_DAY or first > last or (last - first).days >= _LONGEST:
        raise BadRequestError(
            f"ngày đầu phải không sau ngày cuối, từ {day(FIRST_DAY)} trở đi, và kỳ dài không quá {_LONGEST} ngày"
        )
    return _two_days(DayRange(first, last))


def _two_days(days: DayRange) -> Period:
    name = f"từ ngày{NBSP}{day(days.first)} đến ngày{NBSP}{day(days.last)}"
    return Period(f"{days.first}_{days.last}", name, days)


def _calendar(first: date, months: int) -> Period:
    """A month, a quarter, half a year or a year."""
    days, year = DayRange(first, _shifted(first, months) - _ONE), f"năm{NBSP}{first.year}"
    match months:
        case 1:
            return Period(f"{first:%Y-%m}", month(first), days)
        case 3:
            number = first.month // 3 + 1
            return Period(f"{first.year}-Q{number}", f"quý{NBSP}{_QUARTERS[number - 1]} {year}", days)
        case 6:
            number = first.month // 6 + 1
            return Period(f"{first.year}-H{number}", f"6{NBSP}tháng {('đầu', 'cuối')[number - 1]} {year}", days)
        case _:
            return Period(str(first.year), year, days)


def _shifted(first: date, months: int) -> date:
    """The same day of the month so many months later, or the last day of a month that is too short for it."""
    year, rest = divmod(first.year * 12 + first.month - 1 + months, 12)
    return date(year, rest + 1, min(first.day, monthrange(year, rest + 1)[1]))
