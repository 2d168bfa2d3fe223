"""A facility as it stands, ready for metrics, pages and lists. Pure: made from what is stored of it.

Whole by `whole`, from all its days. Most changes are of the running day alone, and `with_today` makes that anew, from
its counts alone, and keeps the rest.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from itertools import chain
from typing import NamedTuple

from collector import samples, windows
from collector.confirm import Month
from collector.figures import FacilityData
from collector.findings import Finding, findings
from collector.roads import road
from collector.standings import Figures, Standing, next_silence, previous, standings
from collector.store.registry import Facility
from collector.store.tallies import Source
from collector.windows import Window
from collector.yardstick import Yardstick, applies
from contract.days import DayRange, local_day, midnight
from contract.metrics import Family
from contract.verdict import Verdict

DAILY = 30
_DAY = timedelta(days=1)
_TODAY: tuple[Window] = ("today",)


class Compared(NamedTuple):
    """Beside a standing in the 30 days. `before`: in the 30 before; `road`: where the share should be today."""

    before: Figures
    road: Fraction | None


@dataclass(frozen=True, slots=True)
class Place:
    """A facility as it stood at `made_at`; from `until` on it stands otherwise though nothing arrives.

    Of `sources` those that are still to count; `text`: its lines in /metrics, `past`: of these what the running day
    does not change. `standings`: by window and indicator, of all that its level knows; `compared`, `below` (since
    when), `daily`: by indicator. `daily`: numerator and denominator of each of the last DAILY days in turn, the oldest
    first, yesterday last; 0, 0: no case, or no tally. `silent_since`: the last read, when every indicator that was
    ever read is silent.
    """

    made_at: datetime
    until: datetime
    facility: Facility
    standings: Mapping[str, Mapping[str, Standing]]
    compared: Mapping[str, Compared]
    below: Mapping[str, datetime]
    daily: Mapping[str, Sequence[int]]
    findings: Sequence[Finding]
    months: Sequence[Month]
    sources: Sequence[Source]
    silent_since: datetime | None
    past: Mapping[Family, bytes]
    text: Mapping[Family, bytes]

    def all_standings(self) -> Iterable[Standing]:
        """In all windows."""
        return chain.from_iterable(of_window.values() for of_window in self.standings.values())


@dataclass(frozen=True, slots=True)
class Places:
    """Made by one yardstick. `exported`: the windows in /metrics; `with_tallies`: single tallies too."""

    yardstick: Yardstick
    exported: Sequence[str]
    with_tallies: bool

    def whole(self, data: FacilityData, found: Sequence[Standing], months: Sequence[Month], moment: datetime) -> Place:
        """From all days; `found`: its standings in all windows, `months`: its last closed ones."""
        yardstick, today = self.yardstick, local_day(moment)
        doubts = findings(data, yardstick.catalogue, yardstick.calendar, yardstick.limits, moment)
        by_window: dict[str, dict[str, Standing]] = {window: {} for window in windows.WINDOWS}
        for one in found:
            by_window[one.window][one.indicator] = one
        compared = {
            code: Compared(
                previous(data, yardstick, one), None if one.bound is None else road(data, code, one.bound, today)
            )
            for code, one in by_window["30d"].items()
            if one.verdict is not Verdict.NOT_APPLICABLE
        }
        told = [one for one in found if one.window in self.exported and one.window not in _TODAY]
        past = samples.text(samples.of_past(data, yardstick, told, compared, months, doubts, moment))
        return Place(
            made_at=moment,
            until=self._until(data, moment),
            facility=data.facility,
            standings=by_window,
            compared=compared,
            below=data.below,
            daily={
                code: _daily(data, yardstick, code, today)
                for code, indicator in yardstick.catalogue.indicators.items()
                if applies(indicator, code, data.facility)
            },
            findings=doubts,
            months=months,
            sources=data.expected_sources(today),
            silent_since=_silent_since(by_window["30d"].values()),
            past=past,
            text=self._text(past, data, by_window["today"], today),
        )

    def with_today(self, before: Place, data: FacilityData, moment: datetime) -> Place | None:
        """`before`, with the running day as it is in `data`, which needs no other day.

        None: some measure has fallen silent since or is read again, and that changes all windows.
        """
        today = local_day(moment)
        found = {one.indicator: one for one in standings(data, self.yardstick, moment, _TODAY)}
        known = before.standings["today"]
        if [one.silent_since for one in found.values()] != [one.silent_since for one in known.values()]:
            return None
        return replace(
            before,
            made_at=moment,
            until=self._until(data, moment),
            facility=data.facility,
            standings={**before.standings, "today": found},
            sources=data.expected_sources(today),
            text=self._text(before.past, data, found, today),
        )

    def _until(self, data: FacilityData, moment: datetime) -> datetime:
        silence = next_silence(data, self.yardstick, moment)
        return silence or midnight(local_day(moment) + _DAY)

    def _text(
        self, past: Mapping[Family, bytes], data: FacilityData, found: Mapping[str, Standing], today: date
    ) -> Mapping[Family, bytes]:
        told = found.values() if "today" in self.exported else ()
        now = samples.text(samples.of_today(data, self.yardstick, told, today, self.with_tallies))
        return {**past, **{family: past.get(family, b"") + lines for family, lines in now.items()}}


def _silent_since(found: Iterable[Standing]) -> datetime | None:
    read = [one for one in found if one.verdict is not Verdict.NOT_APPLICABLE]
    since = [one.silent_since for one in read if one.silent_since is not None]
    told = [one for one in read if one.as_of is not None or one.silent_since is not None]
    return max(since) if since and len(since) == len(told) else None


def _daily(data: FacilityData, yardstick: Yardstick, code: str, today: date) -> Sequence[int]:
    indicator = yardstick.catalogue.indicators[code]
    adopted, by_day = indicator.adopted, data.by_day(indicator.measure)
    base = [one for one in yardstick.catalogue.measures[indicator.measure].categories if one not in indicator.excluded]
    found = array("q")
    for day in DayRange.ending(today - _DAY, DAILY):
        counts = by_day.get(day, {})
        found.append(sum([counts.get(one, 0) for one in adopted]))
        found.append(sum([counts.get(one, 0) for one in base]))
    return found
