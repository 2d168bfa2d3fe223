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
from collector.store.tallies import Claim, Row, Source
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
    rows: dict[tuple[int, str], dict[date, Row]] = field(default_factory=lambda: defaultdict(dict))
    """By (source id, measure)."""
    below: Mapping[str, datetime] = field(default_factory=dict)
    """By indicator: since when it is below its target."""
    baselines: Sequence[Baseline] = ()
    months: Mapping[date, Mapping[str, Month]] = field(default_factory=dict)
    """First day → measure: what was before the days that are loaded."""
    _by_day: dict[str, Mapping[date, Counts]] = field(default_factory=dict)
    _series: dict[str, Series] = field(default_factory=dict)
    _expected: dict[tuple[Cadence, DayRange], list[date]] = field(default_factory=dict)

    def counted(self, measure: str) -> list[Claim]:
        """The claims that count, the oldest first (a check source is compared, never added)."""
        return [claim for claim in self.claims.get(measure, []) if claim.source.role == "count"]

    def by_day(self, measure: str) -> Mapping[date, Counts]:
        """The counts of every day that has a tally: parts added; of rivals, those who came first."""
        if measure not in self._by_day:
            claims = self.counted(measure)
            if len(claims) == 1:
                rows = self.rows.get((claims[0].source.id, measure), {})
                # as below, and much faster: of most measures there is one source
                self._by_day[measure] = {
                    day: Counts(row.by_category) for day, row in rows.items() if not claims[0].is_retired(day)
                }
                return self._by_day[measure]
            days: dict[date, Counts] = {}
            counted: dict[date, list[Claim]] = defaultdict(list)
            for claim, day, row in self._in_order(measure):
                if all(one.adds_to(claim, day) for one in counted[day]):
                    counted[day].append(claim)
                    _add(days.setdefault(day, Counts()), row.by_category)
            self._by_day[measure] = days
        return self._by_day[measure]

    def _in_order(self, measure: str) -> Iterator[tuple[Claim, date, Row]]:
        """All tallies that may count. Days after the end of a claim come last: they fill what nobody else counted."""
        late = []
        for claim in self.counted(measure):
            for day, row in self.rows.get((claim.source.id, measure), {}).items():
                if claim.is_retired(day):
                    continue
                if claim.last_day is not None and day > claim.last_day:
                    late.append((claim, day, row))
                else:
                    yield claim, day, row
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

    def expected(self, cadence: Cadence, days: DayRange, calendar: Calendar) -> list[date]:
        """The days of `days` for which a tally is expected."""
        key = cadence, days
        if key not in self._expected:
            self._expected[key] = windows.expected(cadence, self.facility, self.pauses, days, calendar)
        return self._expected[key]

    def cadence(self, measure: str, least: Cadence) -> Cadence:
        """The longest cadence of the sources that count this measure, not shorter than the catalogue's."""
        counted = self.counted(measure)
        # of a facility that is merged or closed all have ended: its history keeps the cadence it had
        going_on = [claim for claim in counted if claim.source.last_day is None] or counted
        own = [claim.source.cadence for claim in going_on]
        return max([least, *(one for one in own if one)], key=windows.CADENCES.index)

    def last_read(self, measure: str, today: date) -> datetime | None:
        """When an owner of this measure was last read with success; None: never, or nobody has said."""
        owners: list[Claim] = []
        for claim in self.counted(measure):
            # a rival that waits behind an owner counts nothing: that it is read says nothing
            if claim.covers(today) and all(one.adds_to(claim, today) for one in owners):
                owners.append(claim)
        found = [
            one.source.failing[measure] or one.source.since if measure in one.source.failing else one.source.read_at
            for one in owners
        ]
        return max((one for one in found if one is not None), default=None)

    def _there(self, measure: str) -> set[date]:
        """The days that have a tally from every part that is to count them."""
        claims = self.counted(measure)
        days = {day for one in claims for day in self.rows.get((one.source.id, measure), ()) if not one.is_retired(day)}
        # of a single source, whatever is there is all there is
        return days if len(claims) == 1 else {day for day in days if self._is_there(measure, (day,), day, day)}

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
    long = [code for code, measure in catalogue.measures.items() if windows.is_long(measure.cadence)]
    short = [code for code in catalogue.measures if code not in long]
    long_ago = today - timedelta(days=_LONG_HISTORY_DAYS)
    slow = [source for source in sources if source.cadence and windows.is_long(source.cadence)]
    for some, measures, since in ((sources, short, first), (sources, long, long_ago), (slow, short, long_ago)):
        for row in tallies.between(connection, some, since, today, measures):
            for feed in place[row.source]:
                if feed.is_whole or feed.holds(row.day):
                    data[feed.facility].rows[row.source, row.measure][row.day] = row
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
