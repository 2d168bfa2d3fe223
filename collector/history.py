"""History with its true days: what /metrics says at the end of each day, by all that is known today.

For stores that keep metrics for years (docs/long-term.md); and the tallies as a table, for other programs.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from tempfile import TemporaryFile
from typing import Literal, get_args

from collector import samples, standings
from collector.figures import FacilityData, load
from collector.samples import Sample
from collector.store import Store, registry
from collector.yardstick import Yardstick
from contract import metrics
from contract.days import DayRange, midnight

Format = Literal["openmetrics", "csv"]
FORMATS: tuple[Format, ...] = get_args(Format)
_FAMILIES = (metrics.RATIO, metrics.NUMERATOR, metrics.DENOMINATOR, metrics.TALLY)
_LAST_SECOND = timedelta(days=1, seconds=-1)


@dataclass(frozen=True)
class History:
    """Of all facilities, over `days`; `windows`: those of the shares; `moment`: when today ends, as far as we know.

    A facility's years are held at once, never a province's.
    """

    store: Store
    yardstick: Yardstick
    windows: Sequence[str]
    days: DayRange
    moment: datetime

    def text(self, format: Format) -> Iterator[str]:
        """The file, a piece at a time. Raises AwayError."""
        return self._openmetrics() if format == "openmetrics" else self._csv()

    def _openmetrics(self) -> Iterator[str]:
        """Samples of one metric stand together, so each metric waits in a file of its own until all are there."""
        with ExitStack() as stack:
            files = {one: stack.enter_context(TemporaryFile("w+", encoding="ascii")) for one in _FAMILIES}
            for facility in self._ids():
                lines: dict[tuple[metrics.Family, Sequence[str]], list[str]] = defaultdict(list)
                for data, days in self._years(facility):
                    for day in days:
                        second = int(self._end(day).timestamp())
                        for family, values, value in self._said(data, day):
                            lines[family, values].append(f"{value} {second}")
                for (family, values), found in lines.items():
                    files[family].writelines(samples.line(family, values, one) for one in found)
            for family, file in files.items():
                yield samples.head(family)
                file.seek(0)
                yield from file
        yield "# EOF\n"

    def _csv(self) -> Iterator[str]:
        """One line a category of a day that has a tally."""
        yield "facility,measure,day,category,count\r\n"
        for facility in self._ids():
            for data, days in self._years(facility):
                text = io.StringIO(newline="")
                for day in days:
                    found = self._told(data, day)
                    csv.writer(text).writerows([one, code, day, category, n] for _, (one, code, category), n in found)
                yield text.getvalue()

    def _said(self, data: FacilityData, day: date) -> Iterator[Sample]:
        for one in standings.standings(data, self.yardstick, self._end(day), self.windows):
            yield from samples.of_window(one)
        yield from self._told(data, day)

    def _told(self, data: FacilityData, day: date) -> Iterator[Sample]:
        return samples.of_day(data, self.yardstick.catalogue, day)

    def _end(self, day: date) -> datetime:
        return min(midnight(day) + _LAST_SECOND, self.moment)

    def _ids(self) -> list[str]:
        with self.store.read() as connection:
            return [one.id for one in registry.facilities(connection)]

    def _years(self, facility: str) -> Iterator[tuple[FacilityData, DayRange]]:
        """The facility, and the days of a calendar year, with all that these look back on."""
        for year in range(self.days.first.year, self.days.last.year + 1):
            days = DayRange(max(self.days.first, date(year, 1, 1)), min(self.days.last, date(year, 12, 31)))
            since = standings.history(self.windows, self.yardstick.thresholds, days.first)
            with self.store.read() as connection:
                some = registry.facilities(connection, [facility])
                found = load(connection, self.yardstick.catalogue, some, since, days.last)
            yield from ((data, days) for data in found)
