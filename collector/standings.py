"""Where a facility stands on an indicator in a window: the one function that metrics, API, pages and alerts use.

Silence, windows and the order of the verdicts are those of architecture.md, "Verdict", "Silence" and "Windows".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from collector import windows
from collector.figures import FacilityData
from collector.thresholds import Thresholds
from collector.yardstick import Bound, Yardstick, applies
from contract.catalogue import UNKNOWN, Cadence, Catalogue, Indicator, Measure
from contract.days import DayRange, local_day
from contract.verdict import Verdict

# How long the owner of a measure may stay unread: its cadence says (daily and working days: a setting).
_CADENCE_DAYS = {"monthly": 31, "quarterly": 92, "yearly": 366}
NOT_BELOW = (Verdict.MET, Verdict.NEAR, Verdict.NO_TARGET, Verdict.NOT_APPLICABLE)
HISTORY = timedelta(days=92)
"""What a standing in the 30 days, the 30 before, and up to a month of silence look back on."""


def history(names: Iterable[str], thresholds: Thresholds, today: date) -> date:
    """The first day that standings in the windows `names`, and the 30 days before the 30, may look back on.

    While silent, a window is the one of the day on which the silence began.
    """
    silent = today - timedelta(days=ceil(thresholds.forgotten_days) + 1)
    return min([today - HISTORY, silent - timedelta(days=60), *(windows.window(name, silent).first for name in names)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Counts over days, of a facility or pooled: whole numbers. `expected`, `present`: days."""

    numerator: int
    denominator: int
    unknown: int
    expected: int
    present: int

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing(Figures):
    """A facility, an indicator, a window.

    `days` are those counted: while silent, of the last window before the silence. `as_of`: the last day in the
    figures; None: nothing was ever sent for the window. `silent_since`: the last read with success, while silent.
    `missing`: cases missing to the target; None without a target.
    """

    facility: str
    indicator: str
    window: str
    days: DayRange
    as_of: date | None
    silent_since: datetime | None
    bound: Bound | None
    verdict: Verdict
    missing: int | None


def standing_over(
    data: FacilityData, yardstick: Yardstick, code: str, days: DayRange, name: str, moment: datetime
) -> Standing:
    """Where the facility stands at `moment` on indicator `code` over any days; `name` is only carried along."""
    return _stand(_look(data, yardstick, code, moment), days, name)


def standings(
    data: FacilityData, yardstick: Yardstick, moment: datetime, names: Sequence[str], only: str | None = None
) -> list[Standing]:
    """The standings of a facility in the windows `names` (of one indicator: `only`); none that its level excludes."""
    today = local_day(moment)
    spans = [(name, windows.window(name, today)) for name in names]
    return [
        _stand(one, days, name)
        for one in (
            _look(data, yardstick, code, moment)
            for code, indicator in yardstick.catalogue.indicators.items()
            if data.facility.level in indicator.levels and only in (None, code)
        )
        for name, days in spans
    ]


@dataclass(slots=True)
class _Look:
    """What the standings of a facility on one indicator share, whatever their window.

    `silent`: the silence that has begun, `read` the last read before it.
    """

    data: FacilityData
    yardstick: Yardstick
    code: str
    indicator: Indicator
    measure: Measure
    cadence: Cadence
    moment: datetime
    read: datetime | None
    silent: "_Silence | None"
    applies: bool
    bounds: dict[date, Bound | None]

    def bound(self, day: date) -> Bound | None:
        """The target that binds in a window that ends on `day`."""
        if day not in self.bounds:
            self.bounds[day] = self.yardstick.bound(self.code, self.data.facility, day)
        return self.bounds[day]


def _look(data: FacilityData, yardstick: Yardstick, code: str, moment: datetime) -> _Look:
    indicator = yardstick.catalogue.indicators[code]
    measure = yardstick.catalogue.measures[indicator.measure]
    cadence = data.cadence(indicator.measure, measure.cadence)
    read = data.last_read(indicator.measure, local_day(moment))
    silent = _silence(read, cadence, yardstick) if read is not None else None
    if silent is not None and moment < silent.begin:
        silent = None
    there = applies(indicator, code, data.facility)
    return _Look(data, yardstick, code, indicator, measure, cadence, moment, read, silent, there, {})


def _stand(one: _Look, days: DayRange, name: str) -> Standing:
    counted, expected, present = _days(one, days, one.moment)
    shown, wanted, there = counted, expected, present
    is_gone = one.silent is not None and one.moment >= one.silent.end
    if one.silent is not None and not is_gone and name in windows.WINDOWS[1:]:
        # what was shown when the silence began; the days without data since then show in the completeness only
        before = windows.window(name, local_day(one.silent.begin))
        shown, wanted, there = _days(one, before, one.silent.begin)
    figures = figures_of(one.data, one.yardstick.catalogue, one.indicator, shown, wanted, there)
    as_of = one.data.series(one.indicator.measure).newest(shown)
    bound = one.bound(days.last)
    verdict = Verdict.NOT_APPLICABLE
    if one.applies:
        has_data = as_of is not None and not is_gone
        verdict = judge(figures, bound, one.measure.min_base, one.yardstick.thresholds, has_data)
    return Standing(
        numerator=figures.numerator,
        denominator=figures.denominator,
        unknown=figures.unknown,
        expected=expected,
        present=present,
        facility=one.data.facility.id,
        indicator=one.code,
        window=name,
        days=shown,
        as_of=as_of,
        silent_since=None if one.silent is None else one.read,
        bound=bound,
        verdict=verdict,
        missing=None if bound is None else bound.missing(figures.numerator, figures.denominator),
    )


def judge(figures: Figures, bound: Bound | None, min_base: int, thresholds: Thresholds, has_data: bool) -> Verdict:
    """The first line of the table that holds, for one facility or for many pooled.

    Of a silent facility, `figures` have the completeness with which the silence began: what is missing since then
    changes no verdict.
    """
    if not has_data or not is_complete(figures, thresholds):
        return Verdict.NO_DATA
    # in whole numbers: Figures.known < known_percent
    if figures.denominator * 100 < thresholds.known_percent * (figures.denominator + figures.unknown):
        return Verdict.UNKNOWN
    if figures.denominator < min_base:
        return Verdict.INSUFFICIENT
    if bound is None:
        return Verdict.NO_TARGET
    return held_against(bound, figures.numerator, figures.denominator, thresholds)


def is_complete(figures: Figures, thresholds: Thresholds) -> bool:
    """Whether enough of the expected days are there for the figures to be some."""
    return figures.present * 100 >= thresholds.complete_percent * figures.expected


def held_against(bound: Bound, numerator: int, denominator: int, thresholds: Thresholds) -> Verdict:
    """`met`, `near` or `below`."""
    missing = bound.missing(numerator, denominator)
    if missing == 0:
        return Verdict.MET
    near = missing <= 1 or missing * 100 <= thresholds.near_percent * denominator
    return Verdict.NEAR if near else Verdict.BELOW


def previous(data: FacilityData, yardstick: Yardstick, now: Standing) -> Figures:
    """The figures of as many days before the window of `now`; of the period before where that is a period."""
    indicator = yardstick.catalogue.indicators[now.indicator]
    cadence = data.cadence(indicator.measure, yardstick.catalogue.measures[indicator.measure].cadence)
    last = now.days.first - timedelta(days=1)
    if windows.is_long(cadence):
        before = windows.period(cadence, last)
        return figures_of(data, yardstick.catalogue, indicator, before, 1, data.is_complete(indicator.measure, before))
    before = DayRange.ending(last, len(now.days))
    wanted = data.expected(cadence, before, yardstick.calendar)
    there = wanted & data.series(indicator.measure).there
    return figures_of(data, yardstick.catalogue, indicator, before, wanted.bit_count(), there.bit_count())


def below_since(data: FacilityData, now: Standing, moment: datetime) -> datetime | None:
    """Since when the indicator is below its target, by its standing in the 30 days; None: it is not.

    Silence, too little data and a change of target that leaves it below keep what was; only a better verdict, the end
    of the plan, or of the facility, ends it.
    """
    closed = data.facility.active_to is not None and data.facility.active_to < local_day(moment)
    if closed or now.bound is None or now.verdict in NOT_BELOW:
        return None
    known = data.below.get(now.indicator)
    return moment if known is None and now.verdict is Verdict.BELOW else known


def next_silence(data: FacilityData, yardstick: Yardstick, moment: datetime) -> datetime | None:
    """When the next measure of the facility falls silent, or into oblivion, if no further read arrives."""
    found: list[datetime] = []
    for code in data.claims:
        measure = yardstick.catalogue.measures.get(code)
        read = data.last_read(code, local_day(moment))
        if measure is not None and read is not None:
            found += _silence(read, data.cadence(code, measure.cadence), yardstick)
    return min((one for one in found if one > moment), default=None)


def figures_of(
    data: FacilityData,
    catalogue: Catalogue,
    indicator: Indicator,
    days: Iterable[date],
    expected: int = 0,
    present: int = 0,
) -> Figures:
    """The counts of an indicator over `days`."""
    counts = data.counts(indicator.measure, days)
    categories = catalogue.measures[indicator.measure].categories
    return Figures(
        numerator=sum(counts[one] for one in indicator.adopted),
        denominator=sum(counts[one] for one in categories if one not in indicator.excluded),
        unknown=counts[UNKNOWN],
        expected=expected,
        present=present,
    )


class _Silence(NamedTuple):
    """From `begin` on a measure is silent; from `end` on there is no data any more."""

    begin: datetime
    end: datetime


def _silence(read: datetime, cadence: Cadence, yardstick: Yardstick) -> _Silence:
    """The silence of a measure that was last read at `read`."""
    if cadence in _CADENCE_DAYS:
        begin = read + timedelta(days=_CADENCE_DAYS[cadence])
    else:
        begin = read + timedelta(hours=yardstick.thresholds.silent_hours)
        while cadence == "working" and not yardstick.calendar.is_working(local_day(begin)):
            begin += timedelta(days=1)
    return _Silence(begin, begin + timedelta(days=yardstick.thresholds.forgotten_days))


def _days(one: _Look, days: DayRange, moment: datetime) -> tuple[DayRange, int, int]:
    """The days to count, how many of them are expected, and how many are there."""
    code = one.indicator.measure
    if windows.is_long(one.cadence):
        today = min(local_day(moment), days.last + timedelta(days=1))
        found = one.data.newest_period(code, one.cadence, today)
        return found or windows.period(one.cadence, today), 1, int(found is not None)
    wanted = one.data.expected(one.cadence, days, one.yardstick.calendar)
    return days, wanted.bit_count(), (wanted & one.data.series(code).there).bit_count()
