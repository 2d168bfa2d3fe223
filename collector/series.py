"""The days of one measure of a facility, ready to be summed over any window: lately day by day, before that by month.

A month is summed up once and kept (store/months.py), so that what a standing costs does not grow with the years.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from itertools import accumulate
from typing import NamedTuple

from contract.days import DayRange


class Counts(dict[str, int]):
    """Cases by category; an absent category is 0."""

    def __missing__(self, category: str) -> int:
        return 0


class Month(NamedTuple):
    """A calendar month summed up.

    `told`, `there`: its days as bits, the 1st the lowest: which have a tally, and which have one from every part.
    """

    counts: Mapping[str, int]
    told: int
    there: int


class Series:
    """`by_day`: of the days since some day, all that have a tally; `months`: the months before, by their first day."""

    def __init__(self, by_day: Mapping[date, Counts], there: set[date], months: Mapping[date, Month]) -> None:
        self.there = there.union(*(_days(first, one.there) for first, one in months.items()))
        """The days that have a tally from every part that is to count them."""
        entries: dict[date, Mapping[str, int]] = {first: one.counts for first, one in months.items()}
        entries |= by_day
        self._order = sorted(entries)
        self._told = sorted({*by_day, *(day for first, one in months.items() for day in _days(first, one.told))})
        self._sums: dict[str, list[int]] = {}
        for category in {category for counts in entries.values() for category in counts}:
            each = (entries[day].get(category, 0) for day in self._order)
            self._sums[category] = list(accumulate(each, initial=0))

    def counts(self, days: DayRange) -> Counts:
        """Counts by category over `days`, which begin with a month where they begin before the single days."""
        first, after = bisect_left(self._order, days.first), bisect_right(self._order, days.last)
        return Counts({category: sums[after] - sums[first] for category, sums in self._sums.items()})

    def newest(self, days: DayRange) -> date | None:
        """The last of `days` that has a tally."""
        after = bisect_right(self._told, days.last)
        return self._told[after - 1] if after and self._told[after - 1] >= days.first else None

    def present(self, days: Iterable[date]) -> int:
        """How many of `days` have a tally from every part."""
        return sum(map(self.there.__contains__, days))

    def month(self, days: DayRange) -> Month:
        """A calendar month of single days, summed up."""
        first, after = bisect_left(self._told, days.first), bisect_right(self._told, days.last)
        told = sum(1 << (day.day - 1) for day in self._told[first:after])
        there = sum(1 << (day.day - 1) for day in days if day in self.there)
        return Month({category: n for category, n in self.counts(days).items() if n}, told, there)


def _days(first: date, bits: int) -> Iterable[date]:
    return (first + timedelta(days=n) for n in range(31) if bits >> n & 1)
