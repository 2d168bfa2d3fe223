"""Where a facility stands on an indicator in a window: the one function that metrics, API and pages use."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction

from collector import windows
from collector.store import Connection, registry, tallies
from collector.store.registry import Facility, Pause
from collector.store.tallies import Claim, Row, Source
from contract.catalogue import UNKNOWN, Cadence, Catalogue, Indicator
from contract.days import DayRange

# Measures of a longer cadence look back over the last yearly period and the grace after it.
_LONG_HISTORY_DAYS = 830


@dataclass(frozen=True, slots=True)
class Standing:
    """Counts are whole numbers. `as_of`: the last day in the figures; None: nothing was ever sent for the window.

    `expected` and `present` are days for which a tally is expected, and those on which every part has one.
    """

    facility: str
    indicator: str
    window: str
    days: DayRange
    numerator: int
    denominator: int
    unknown: int
    expected: int
    present: int
    as_of: date | None

    @property
    def share(self) -> Fraction | None:
        """Numerator ÷ denominator, exact; None when there is none."""
        return Fraction(self.numerator, self.denominator) if 0 < self.denominator >= self.numerator else None

    @property
    def known(self) -> Fraction:
        """Base ÷ (base + unknown); nothing at all is fully known."""
        total = self.denominator + self.unknown
        return Fraction(self.denominator, total) if total else Fraction(1)

    @property
    def completeness(self) -> Fraction | None:
        """Days present ÷ days expected; None when nothing is expected."""
        return Fraction(self.present, self.expected) if self.expected else None


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
    _by_day: dict[str, Mapping[date, Counter[str]]] = field(default_factory=dict)

    def counted(self, measure: str) -> list[Claim]:
        """The claims that count, the oldest first (a check source is compared, never added)."""
        return [claim for claim in self.claims.get(measure, []) if claim.source.role == "count"]

    def by_day(self, measure: str) -> Mapping[date, Counter[str]]:
        """The counts of every day that has a tally: parts added; of rivals, those who came first."""
        if measure not in self._by_day:
            days: dict[date, Counter[str]] = defaultdict(Counter)
            counted: dict[date, list[Claim]] = defaultdict(list)
            for claim, day, row in self._in_order(measure):
                if all(one.adds_to(claim, day) for one in counted[day]):
                    counted[day].append(claim)
                    days[day].update(row.by_category)
            self._by_day[measure] = dict(days)
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

    def counts(self, measure: str, days: Iterable[date]) -> Counter[str]:
        """Counts by category over `days`."""
        total: Counter[str] = Counter()
        found = self.by_day(measure)
        for day in days:
            total.update(found.get(day, {}))
        return total

    def cadence(self, measure: str, least: Cadence) -> Cadence:
        """The longest cadence of the sources that count this measure, not shorter than the catalogue's."""
        own = [claim.source.cadence for claim in self.counted(measure) if claim.source.last_day is None]
        return max([least, *(one for one in own if one)], key=windows.CADENCES.index)

    def is_complete(self, measure: str, days: DayRange) -> bool:
        """Whether every part that is to count this measure in `days` has a tally there."""
        have: dict[str | None, bool] = {}
        for claim in self.counted(measure):
            rows = self.rows.get((claim.source.id, measure), {})
            if any(day in rows and not claim.is_retired(day) for day in days):
                have[claim.source.part] = True
            elif claim.covers(days.first, days.last):
                have.setdefault(claim.source.part, False)
        return bool(have) and all(have.values())


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
    data = {one.id: FacilityData(one, pauses[one.id], of[one.id]) for one in facilities}
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


def applies(indicator: Indicator, code: str, facility: Facility) -> bool:
    """Whether an indicator applies to a facility: by its level, and by the registry's own list when it has one."""
    return facility.level in indicator.levels and (facility.indicators is None or code in facility.indicators)


def standing(data: FacilityData, catalogue: Catalogue, code: str, window: str, today: date) -> Standing:
    """Where the facility stands on indicator `code` in `window` (one of windows.WINDOWS)."""
    indicator = catalogue.indicators[code]
    measure = catalogue.measures[indicator.measure]
    days = windows.window(window, today)
    have = data.by_day(indicator.measure)
    cadence = data.cadence(indicator.measure, measure.cadence)
    if windows.is_long(cadence):
        periods = windows.recent_periods(cadence, have, today)
        found = next((one for one in periods if data.is_complete(indicator.measure, one)), None)
        days = found or windows.period(cadence, today)
        expected, present = (1, 1) if found else (1, 0)
    else:
        wanted = windows.expected(cadence, data.facility, data.pauses, days)
        expected, present = len(wanted), sum(data.is_complete(indicator.measure, DayRange(d, d)) for d in wanted)
    inside = [day for day in have if day in days]
    counts = data.counts(indicator.measure, days)
    base = {one: counts[one] for one in measure.categories if one not in indicator.excluded}
    return Standing(
        facility=data.facility.id,
        indicator=code,
        window=window,
        days=days,
        numerator=sum(base[one] for one in indicator.adopted),
        denominator=sum(base.values()),
        unknown=counts[UNKNOWN],
        expected=expected,
        present=present,
        as_of=max(inside, default=None),
    )


def standings(
    data: FacilityData, catalogue: Catalogue, today: date, names: Sequence[str], only: str | None = None
) -> list[Standing]:
    """All standings of a facility in the windows `names` (of one indicator: `only`), those that apply."""
    return [
        standing(data, catalogue, code, window, today)
        for code, indicator in catalogue.indicators.items()
        if applies(indicator, code, data.facility) and only in (None, code)
        for window in names
    ]
