"""What is stored of a facility, ready to be counted: the days of each measure, whose they are, what is missing."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from collector import windows
from collector.feeds import Feed, feeds
from collector.series import Counts, Month, Series
from collector.store import Connection, lasting, months, registry, tallies
from collector.store.lasting import Baseline
from collector.store.registry import Facility, Merger, Pause
from collector.store.tallies import Claim, Source
from contract import daybits
from contract.calendar import Calendar
from contract.catalogue import Cadence, Catalogue
from contract.days import DayRange

# Measures of a longer cadence look back over the last yearly period and the grace after it.
_LONG_HISTORY_DAYS = 830


@dataclass
class FacilityData:
    """All that standings of one facility are made from."""

    facility: Facility
    pauses: list[Pause]
    sources: list[Source]
    claims: dict[str, list[Claim]] = field(default_factory=lambda: defaultdict(list))
    """By measure."""
    rows: dict[tuple[int, str], Mapping[date, Mapping[str, int]]] = field(default_factory=dict)
    """By (source id, measure): the tallies, day → counts without zeros."""
    below: Mapping[str, datetime] = field(default_factory=dict)
    """By indicator: since when it is below its target."""
    baselines: Sequence[Baseline] = ()
    months: Mapping[date, Mapping[str, Month]] = field(default_factory=dict)
    """First day → measure: what was before the days that are loaded."""
    _by_day: dict[str, Mapping[date, Mapping[str, int]]] = field(default_factory=dict)
    _series: dict[str, Series] = field(default_factory=dict)
    _expected: dict[tuple[Cadence, DayRange], int] = field(default_factory=dict)
    _cadence: dict[tuple[str, Cadence], Cadence] = field(default_factory=dict)
    _last_read: dict[tuple[str, date], datetime | None] = field(default_factory=dict)
    _newest_period: dict[tuple[str, Cadence, date], DayRange | None] = field(default_factory=dict)

    def expected_sources(self, today: date) -> list[Source]:
        """Those that are not retired."""
        return [one for one in self.sources if not one.is_retired(today)]

    def counted(self, measure: str) -> list[Claim]:
        """The claims that count, the oldest first (a check source is compared, never added)."""
        return [claim for claim in self.claims.get(measure, []) if claim.source.role == "count"]

    def by_day(self, measure: str) -> Mapping[date, Mapping[str, int]]:
        """The counts of every day that has a tally: parts added; of rivals, those who came first."""
        if measure not in self._by_day:
            self._by_day[measure] = self._added(measure)
        return self._by_day[measure]

    def _added(self, measure: str) -> Mapping[date, Mapping[str, int]]:
        claims = self.counted(measure)
        if len(claims) == 1 and claims[0].source.last_day is None:
            # as below, and much faster: of most measures there is one source
            return self.rows.get((claims[0].source.id, measure), {})
        days: dict[date, dict[str, int]] = {}
        counted: dict[date, list[Claim]] = defaultdict(list)
        for claim, day, counts in self._in_order(measure):
            if all(one.adds_to(claim, day) for one in counted[day]):
                counted[day].append(claim)
                _add(days.setdefault(day, {}), counts)
        return days

    def _in_order(self, measure: str) -> Iterator[tuple[Claim, date, Mapping[str, int]]]:
        """All tallies that may count. Days after the end of a claim come last: they fill what nobody else counted."""
        late = []
        for claim in self.counted(measure):
            for day, counts in self.rows.get((claim.source.id, measure), {}).items():
                if claim.is_retired(day):
                    continue
                if claim.last_day is not None and day > claim.last_day:
                    late.append((claim, day, counts))
                else:
                    yield claim, day, counts
        yield from late

    def series(self, measure: str) -> Series:
        """The days of the measure, the months before them included where it is counted by the day."""
        if measure not in self._series:
            months = {first: of[measure] for first, of in self.months.items() if measure in of}
            self._series[measure] = Series(self.by_day(measure), self._there(measure), months)
        return self._series[measure]

    def counts(self, measure: str, days: Iterable[date]) -> Counts:
        """Counts by category over `days`."""
        if isinstance(days, DayRange):
            return self.series(measure).counts(days)
        total, found = Counts(), self.by_day(measure)
        for day in days:
            if day in found:
                _add(total, found[day])
        return total

    def expected(self, cadence: Cadence, days: DayRange, calendar: Calendar) -> int:
        """The days of `days` for which a tally is expected, as bits (daybits.py)."""
        key = cadence, days
        if key not in self._expected:
            self._expected[key] = windows.expected(cadence, self.facility, self.pauses, days, calendar)
        return self._expected[key]

    def cadence(self, measure: str, least: Cadence) -> Cadence:
        """The longest cadence of the sources that count this measure, not shorter than the catalogue's."""
        key = measure, least
        if key not in self._cadence:
            counted = self.counted(measure)
            # of a facility that is merged or closed all have ended: its history keeps the cadence it had
            going_on = [claim for claim in counted if claim.source.last_day is None] or counted
            own = [claim.source.cadence for claim in going_on]
            self._cadence[key] = max([least, *(one for one in own if one)], key=windows.CADENCES.index)
        return self._cadence[key]

    def last_read(self, measure: str, today: date) -> datetime | None:
        """When an owner of this measure was last read with success; None: never, or nobody has said."""
        key = measure, today
        if key not in self._last_read:
            self._last_read[key] = self._read(measure, today)
        return self._last_read[key]

    def _read(self, measure: str, today: date) -> datetime | None:
        owners: list[Claim] = []
        for claim in self.counted(measure):
            # a rival that waits behind an owner counts nothing: that it is read says nothing
            if claim.covers(today) and all(one.adds_to(claim, today) for one in owners):
                owners.append(claim)
        found = []
        for one in owners:
            failing = one.source.failing
            found.append(failing[measure] or one.source.since if measure in failing else one.source.read_at)
        return max((one for one in found if one is not None), default=None)

    def _there(self, measure: str) -> int:
        """The days (as bits) that have a tally from every part that is to count them."""
        days: Iterable[date] = self.by_day(measure)
        if len(self.counted(measure)) > 1:  # of a single source, whatever is there is all there is
            days = [day for day in days if self._is_there(measure, (day,), day, day)]
        return daybits.bits(days)

    def newest_period(self, measure: str, cadence: Cadence, today: date) -> DayRange | None:
        """Of a longer cadence the newest period, running or over, in which every part has a tally; not too old."""
        key = measure, cadence, today
        if key not in self._newest_period:
            periods = windows.recent_periods(cadence, self.by_day(measure), today)
            self._newest_period[key] = next((one for one in periods if self.is_complete(measure, one)), None)
        return self._newest_period[key]

    def is_complete(self, measure: str, days: DayRange) -> bool:
        """Whether every part that is to count this measure in `days` has a tally there."""
        return self._is_there(measure, days, days.first, days.last)

    def _is_there(self, measure: str, days: Iterable[date], first: date, last: date) -> bool:
        have: dict[str | None, bool] = {}
        for claim in self.counted(measure):
            rows = self.rows.get((claim.source.id, measure), {})
            if any(day in rows and not claim.is_retired(day) for day in days):
                have[claim.source.part] = True
            elif claim.covers(first, last):
                have.setdefault(claim.source.part, False)
        return bool(have) and all(have.values())


def _add(total: dict[str, int], counts: Mapping[str, int]) -> None:
    for category, count in counts.items():
        total[category] = total.get(category, 0) + count


def load(
    connection: Connection,
    catalogue: Catalogue,
    facilities: Sequence[Facility],
    first: date,
    today: date,
    mergers: Mapping[str, Merger] | None = None,
) -> list[FacilityData]:
    """What is stored of these facilities from `first` to `today` (of longer cadences: as far back as matters).

    `mergers`: as if these had been made; None: those that were.
    """
    ids = [one.id for one in facilities]
    pauses: dict[str, list[Pause]] = defaultdict(list)
    for pause in registry.pauses(connection, ids):
        pauses[pause.facility].append(pause)
    below, baselines = lasting.below_since(connection, ids), lasting.baselines(connection, ids)
    data = {
        one.id: FacilityData(one, pauses[one.id], [], below=below.get(one.id, {}), baselines=baselines.get(one.id, ()))
        for one in facilities
    }
    sources, place = _lay_out(connection, data, registry.mergers(connection) if mergers is None else mergers)
    claimed = {code for one in data.values() for code in one.claims} & catalogue.measures.keys()
    long = [code for code in claimed if windows.is_long(catalogue.measures[code].cadence)]
    short = [code for code in claimed if code not in long]
    long_ago = today - timedelta(days=_LONG_HISTORY_DAYS)
    slow = [source for source in sources if source.cadence and windows.is_long(source.cadence)]
    for some, measures, since in ((sources, short, first), (sources, long, long_ago), (slow, short, long_ago)):
        for (source, measure), days in tallies.by_day(connection, some, since, today, measures).items():
            for feed in place[source]:
                here = days if feed.is_whole else {day: counts for day, counts in days.items() if feed.holds(day)}
                rows = data[feed.facility].rows
                rows[source, measure] = {**rows[source, measure], **here} if (source, measure) in rows else here
    return list(data.values())


def recall(
    connection: Connection, catalogue: Catalogue, some: Sequence[FacilityData], first: date, before: date
) -> dict[str, dict[date, dict[str, Month]]]:
    """Give facilities their months from `first` until `before` (the days they have been loaded from), summed up.

    Both are first days of months. Returns those that had to be summed up anew, to be kept.
    """
    starts = [first]
    while starts[-1] < before:
        starts.append((starts[-1] + timedelta(days=31)).replace(day=1))
    wanted = starts[:-1]
    if not wanted:
        return {}
    known = months.of(connection, [data.facility.id for data in some], first, before)
    lacking = [data.facility for data in some if not known.get(data.facility.id, {}).keys() >= set(wanted)]
    anew = {
        data.facility.id: {
            start: _summed(data, catalogue, windows.period("monthly", start))
            for start in wanted
            if start not in known.get(data.facility.id, {})
        }
        for data in (load(connection, catalogue, lacking, first, before - timedelta(days=1)) if lacking else ())
    }
    for data in some:
        data.months = {**known.get(data.facility.id, {}), **anew.get(data.facility.id, {})}
    return anew


def _summed(data: FacilityData, catalogue: Catalogue, month: DayRange) -> dict[str, Month]:
    """What is counted by the day; a longer cadence has its periods."""
    codes = [
        code
        for code in data.claims
        if code in catalogue.measures and not windows.is_long(data.cadence(code, catalogue.measures[code].cadence))
    ]
    found = {code: data.series(code).month(month) for code in codes}
    return {code: one for code, one in found.items() if one.told}


def _lay_out(
    connection: Connection, data: Mapping[str, FacilityData], mergers: Mapping[str, Merger]
) -> tuple[list[Source], Mapping[int, list[Feed]]]:
    """Give each facility its sources and claims, also of what was merged into it; returns where rows belong."""
    fed_by: dict[str, list[Feed]] = defaultdict(list)
    for feed in feeds(mergers, data):
        fed_by[feed.giver].append(feed)
    sources = tallies.sources(connection, sorted(fed_by))
    claims: dict[int, list[Claim]] = defaultdict(list)
    for claim in tallies.claims(connection, sources):
        claims[claim.source.id].append(claim)
    place: dict[int, list[Feed]] = defaultdict(list)
    for source in sources:
        for feed in (one for one in fed_by[source.facility] if one.takes(source)):
            here, seen = data[feed.facility], feed.seen(source)
            here.sources.append(seen)
            place[source.id].append(feed)
            for claim in claims[source.id]:
                here.claims[claim.measure].append(claim if seen is source else replace(claim, source=seen))
    for here in data.values():
        for queue in here.claims.values():
            queue.sort(key=lambda one: one.id)
    return sources, place
