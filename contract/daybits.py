"""Sets of days as the bits of a whole number.

Which days are expected, which are there, how many are both: asked of hundreds of thousands of windows, so it must cost
an AND and a count. Days before FIRST_DAY are in no set: no tally has one.
"""

from collections.abc import Iterable, Iterator
from datetime import date

from contract.days import DayRange
from contract.tally import FIRST_DAY

_ZERO = FIRST_DAY.toordinal()
ALL = -1
"""Every day, without end."""


def place(day: date) -> int:
    """The place of the bit of `day`; days before FIRST_DAY have none, and are taken for it."""
    return max(day.toordinal() - _ZERO, 0)


def bits(days: Iterable[date]) -> int:
    """The set of these days, none before FIRST_DAY."""
    places = [one.toordinal() for one in days]
    first, found = min(places, default=_ZERO), 0
    for one in places:  # near to each other: short numbers are added up faster than long ones
        found |= 1 << one - first
    return found << first - _ZERO


def span(days: DayRange) -> int:
    """The set of all days of a range."""
    return since(days.first) & until(days.last)


def since(day: date) -> int:
    """The set of `day` and all after it."""
    return ALL << place(day)


def until(day: date) -> int:
    """The set of `day` and all before it."""
    return ~(ALL << max(day.toordinal() - _ZERO + 1, 0))


def last(found: int) -> date | None:
    """The last day of a finite set."""
    return date.fromordinal(_ZERO + found.bit_length() - 1) if found else None


def days(found: int) -> Iterator[date]:
    """The days of a finite set, the first first."""
    while found:
        lowest = found & -found
        yield date.fromordinal(_ZERO + lowest.bit_length() - 1)
        found ^= lowest
