"""What truly happened: counts by facility, measure and day, kept beside the source systems and never read from them."""

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from contract.days import DayRange

Place = tuple[str, str, date]
"""Facility, measure, day."""
Truth = dict[Place, dict[str, int]]
"""Counts by category, zeros left out; a place that is absent has no tally at all, `{}` is a day without a case."""


class Sums:
    """Adds cases up by place and category; only days inside `days` are kept."""

    def __init__(self, days: DayRange) -> None:
        self.days = days
        self._sums: defaultdict[Place, defaultdict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))

    def expect(self, facilities: Iterable[str], measures: Iterable[str]) -> None:
        """Every day has a tally here, even an empty one: silence of a database means zero."""
        wanted = tuple(measures)
        for facility in facilities:
            for measure in wanted:
                for day in self.days:
                    self._sums[facility, measure, day]

    def add(self, facility: str, measure: str, day: date, category: str, count: int | Decimal = 1) -> None:
        """One more case (or `count` of them, or `count` đồng)."""
        if day in self.days:
            self._sums[facility, measure, day][category] += count

    def truth(self) -> Truth:
        """The sums, each rounded to a whole number."""
        whole = {
            place: {category: _whole(one) for category, one in found.items()} for place, found in self._sums.items()
        }
        return {place: {category: one for category, one in found.items() if one} for place, found in whole.items()}


def save(truth: Truth, file: Path) -> None:
    """Write `truth` as JSON, whole or not at all."""
    rows = [[facility, measure, str(day), counts] for (facility, measure, day), counts in sorted(truth.items())]
    part = file.with_suffix(".part")
    part.write_text(json.dumps(rows), "utf-8")
    part.replace(file)


def load(file: Path) -> Truth:
    """Read what `save` wrote."""
    rows = json.loads(file.read_text("utf-8"))
    return {(facility, measure, date.fromisoformat(day)): counts for facility, measure, day, counts in rows}


def _whole(sum_: Decimal) -> int:
    return int(sum_.quantize(Decimal(1), ROUND_HALF_UP))
