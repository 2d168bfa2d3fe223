"""The days of one measure of a facility, ready to be summed over any window: lately day by day, before that by month.

A month is summed up once and kept (store/months.py), so that what a standing costs does not grow with the years.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from datetime import date
from itertools import accumulate
from typing import NamedTuple

from contract import daybits
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
    """`by_day`: of the days since some day, all that have a tally; `months`: the months before, by their first day.

    `there`: the days (daybits.py) that have a tally from every part that is to count them.
    """

    def __init__(self, by_day: Mapping[date, Mapping[str, int]], there: int, months: Mapping[date, Month]) -> None:
        self.there = there
        self._told = there if there.bit_count() == len(by_day) else daybits.bits(by_day)
        for first, one in months.items():
            self.there |= one.there << daybits.place(first)
            self._told |= one.told << daybits.place(first)
        entries: dict[date, Mapping[str, int]] = {first: one.counts for first, one in months.items()} | dict(by_day)
        self._order = sorted(entries)
        each = [entries[day] for day in self._order]
        self._sums = {
            category: list(accumulate([counts.get(category, 0) for counts in each], initial=0))
            for category in set().union(*each)
        }

    def counts(self, days: DayRange) -> Counts:
        """Counts by category over `days`, which begin with a month where they begin before the single days."""
        first, after = bisect_left(self._order, days.first), bisect_right(self._order, days.last)
        return Counts({category: sums[after] - sums[first] for category, sums in self._sums.items()})

    def newest(self, days: DayRange | None = None) -> date | None:
        """The last day that has a tally, of `days` if given."""
        return daybits.last(self._told if days is None else self._told & daybits.span(days))

    def month(self, days: DayRange) -> Month:
        """A calendar month of single days, summed up."""
        here, place = daybits.span(days), daybits.place(days.first)
        told, there = ((one & here) >> place for one in (self._told, self.there))
        return Month({category: n for category, n in self.counts(days).items() if n}, told, there)
