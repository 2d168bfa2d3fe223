"""What is stored of a facility, ready to be counted: the days of each measure, whose they are, what is missing."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from collector import windows
from collector.store import Connection, lasting, registry, tallies
from collector.store.lasting import Baseline
from collector.store.registry import Facility, Pause
from collector.store.tallies import Claim, Row, Source
from contract.catalogue import Cadence, Catalogue
from contract.days import DayRange

# Measures of a longer cadence look back over the last yearly period and the grace after it.
_LONG_HISTORY_DAYS = 830


class Counts(dict[str, int]):
    """Cases by category; an absent category is 0."""

    def __missing__(self, category: str) -> int:
        return 0


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
    _by_day: dict[str, Mapping[date, Counts]] = field(default_factory=dict)
    _sums: dict[tuple[str, DayRange], Counts] = field(default_factory=dict)

    def counted(self, measure: str) -> list[Claim]:
        """The claims that count, the oldest first (a check source is compared, never added)."""
        return [claim for claim in self.claims.get(measure, []) if claim.source.role == "count"]

    def by_day(self, measure: str) -> Mapping[date, Counts]:
        """The counts of every day that has a tally: parts added; of rivals, those who came first."""
        if measure not in self._by_day:
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

    def counts(self, measure: str, days: Iterable[date]) -> Counts:
        """Counts by category over `days`; not to be changed by the caller."""
        if isinstance(days, DayRange):
            key = measure, days
            if key not in self._sums:
                self._sums[key] = self._sum(measure, days)
            return self._sums[key]
        return self._sum(measure, days)

    def _sum(self, measure: str, days: Iterable[date]) -> Counts:
        total, found = Counts(), self.by_day(measure)
        for day in days:
            if day in found:
                _add(total, found[day])
        return total

    def cadence(self, measure: str, least: Cadence) -> Cadence:
        """The longest cadence of the sources that count this measure, not shorter than the catalogue's."""
        own = [claim.source.cadence for claim in self.counted(measure) if claim.source.last_day is None]
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

    def has_day(self, measure: str, day: date) -> bool:
        """Whether every part that is to count this measure on `day` has a tally for it."""
        return self._is_there(measure, (day,), day, day)

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
    connection: Connection, catalogue: Catalogue, facilities: Sequence[Facility], first: date, today: date
) -> list[FacilityData]:
    """What is stored of these facilities from `first` to `today` (of longer cadences: as far back as matters)."""
    ids = [one.id for one in facilities]
    pauses: dict[str, list[Pause]] = defaultdict(list)
    for pause in registry.pauses(connection, ids):
        pauses[pause.facility].append(pause)
    sources = tallies.sources(connection, ids)
    of: dict[str, list[Source]] = defaultdict(list)
    for source in sources:
        of[source.facility].append(source)
    below, baselines = lasting.below_since(connection, ids), lasting.baselines(connection, ids)
    data = {
        one.id: FacilityData(
            one, pauses[one.id], of[one.id], below=below.get(one.id, {}), baselines=baselines.get(one.id, ())
        )
        for one in facilities
    }
    for claim in tallies.claims(connection, sources):
        data[claim.source.facility].claims[claim.measure].append(claim)
    place = {source.id: data[source.facility] for source in sources}
    long = [code for code, measure in catalogue.measures.items() if windows.is_long(measure.cadence)]
    short = [code for code in catalogue.measures if code not in long]
    long_ago = today - timedelta(days=_LONG_HISTORY_DAYS)
    slow = [source for source in sources if source.cadence and windows.is_long(source.cadence)]
    for some, measures, since in ((sources, short, first), (sources, long, long_ago), (slow, short, long_ago)):
        for row in tallies.between(connection, some, since, today, measures):
            place[row.source].rows[row.source, row.measure][row.day] = row
    return list(data.values())
