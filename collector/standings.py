"""Where a facility stands on an indicator in a window: the one function that metrics, API, pages and alerts use.

Silence, windows and the order of the verdicts are those of architecture.md, "Verdict", "Silence" and "Windows".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction

from collector import windows
from collector.figures import FacilityData
from collector.yardstick import Bound, Thresholds, Yardstick, applies
from contract.catalogue import UNKNOWN, Cadence, Catalogue, Indicator
from contract.days import DayRange, local_day
from contract.verdict import Verdict

# How long the owner of a measure may stay unread: its cadence says (daily and working days: a setting).
_CADENCE_DAYS = {"monthly": 31, "quarterly": 92, "yearly": 366}
_NOT_BELOW = (Verdict.MET, Verdict.NEAR, Verdict.NO_TARGET, Verdict.NOT_APPLICABLE)
HISTORY = timedelta(days=92)
"""What a standing in the 30 days, the 30 before, and up to a month of silence look back on."""


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


def standing(data: FacilityData, yardstick: Yardstick, code: str, window: str, moment: datetime) -> Standing:
    """Where the facility stands at `moment` on indicator `code` in `window` (one of windows.WINDOWS)."""
    return standing_over(data, yardstick, code, windows.window(window, local_day(moment)), window, moment)


def standing_over(
    data: FacilityData, yardstick: Yardstick, code: str, days: DayRange, name: str, moment: datetime
) -> Standing:
    """The same over any days; `name` is only carried along."""
    indicator = yardstick.catalogue.indicators[code]
    measure = yardstick.catalogue.measures[indicator.measure]
    cadence = data.cadence(indicator.measure, measure.cadence)
    read = data.last_read(indicator.measure, local_day(moment))
    silent = read is not None and moment >= _silent_at(read, cadence, yardstick)
    counted, expected, present = _days(data, yardstick, indicator.measure, cadence, days, moment)
    if silent and read is not None and name in windows.WINDOWS[1:]:
        # what was shown when the silence began; the days without data since then show in the completeness
        before = windows.window(name, local_day(read))
        counted, *_ = _days(data, yardstick, indicator.measure, cadence, before, read)
    figures = figures_of(data, yardstick.catalogue, indicator, counted, expected, present)
    as_of = max((day for day in data.by_day(indicator.measure) if day in counted), default=None)
    bound = yardstick.bound(code, data.facility, days.last)
    gone = silent and read is not None and moment > read + timedelta(days=yardstick.thresholds.forgotten_days)
    verdict = Verdict.NOT_APPLICABLE
    if applies(indicator, code, data.facility):
        has_data = as_of is not None and not gone
        verdict = judge(figures, bound, measure.min_base, yardstick.thresholds, has_data, silent)
    return Standing(
        numerator=figures.numerator,
        denominator=figures.denominator,
        unknown=figures.unknown,
        expected=expected,
        present=present,
        facility=data.facility.id,
        indicator=code,
        window=name,
        days=counted,
        as_of=as_of,
        silent_since=read if silent else None,
        bound=bound,
        verdict=verdict,
        missing=None if bound is None else bound.missing(figures.numerator, figures.denominator),
    )


def judge(
    figures: Figures, bound: Bound | None, min_base: int, thresholds: Thresholds, has_data: bool, silent: bool = False
) -> Verdict:
    """The first line of the table that holds, for one facility or for many pooled."""
    complete = figures.completeness
    if not has_data or (not silent and complete is not None and complete < Fraction(thresholds.complete_percent, 100)):
        return Verdict.NO_DATA
    if figures.known < Fraction(thresholds.known_percent, 100):
        return Verdict.UNKNOWN
    if figures.denominator < min_base:
        return Verdict.INSUFFICIENT
    if bound is None:
        return Verdict.NO_TARGET
    return held_against(bound, figures.numerator, figures.denominator, thresholds)


def held_against(bound: Bound, numerator: int, denominator: int, thresholds: Thresholds) -> Verdict:
    """`met`, `near` or `below`."""
    missing = bound.missing(numerator, denominator)
    if missing == 0:
        return Verdict.MET
    near = missing <= 1 or missing * 100 <= thresholds.near_percent * denominator
    return Verdict.NEAR if near else Verdict.BELOW


def standings(
    data: FacilityData, yardstick: Yardstick, moment: datetime, names: Sequence[str], only: str | None = None
) -> list[Standing]:
    """The standings of a facility in the windows `names` (of one indicator: `only`); none that its level excludes."""
    return [
        standing(data, yardstick, code, window, moment)
        for code, indicator in yardstick.catalogue.indicators.items()
        if data.facility.level in indicator.levels and only in (None, code)
        for window in names
    ]


def previous(data: FacilityData, yardstick: Yardstick, now: Standing) -> Figures:
    """The figures of as many days before the window of `now`."""
    indicator = yardstick.catalogue.indicators[now.indicator]
    before = DayRange.ending(now.days.first - timedelta(days=1), len(now.days))
    return figures_of(data, yardstick.catalogue, indicator, before)


def below_since(data: FacilityData, now: Standing, moment: datetime) -> datetime | None:
    """Since when the indicator is below its target, by its standing in the 30 days; None: it is not.

    Silence, too little data and a change of target that leaves it below keep what was; only a better verdict, the end
    of the plan, or of the facility, ends it.
    """
    closed = data.facility.active_to is not None and data.facility.active_to < local_day(moment)
    if closed or now.verdict in _NOT_BELOW:
        return None
    known = data.below.get(now.indicator)
    return moment if known is None and now.verdict is Verdict.BELOW else known


def next_silence(data: FacilityData, yardstick: Yardstick, moment: datetime) -> datetime | None:
    """When the next measure of the facility falls silent, if no further read arrives."""
    found = []
    for code in data.claims:
        measure = yardstick.catalogue.measures.get(code)
        read = data.last_read(code, local_day(moment))
        if measure is not None and read is not None:
            found.append(_silent_at(read, data.cadence(code, measure.cadence), yardstick))
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


def _silent_at(read: datetime, cadence: Cadence, yardstick: Yardstick) -> datetime:
    """From when on a measure is silent that was last read at `read`."""
    if cadence in _CADENCE_DAYS:
        return read + timedelta(days=_CADENCE_DAYS[cadence])
    silent = read + timedelta(hours=yardstick.thresholds.silent_hours)
    while cadence == "working" and not yardstick.calendar.is_working(local_day(silent)):
        silent += timedelta(days=1)
    return silent


def _days(
    data: FacilityData, yardstick: Yardstick, measure: str, cadence: Cadence, days: DayRange, moment: datetime
) -> tuple[DayRange, int, int]:
    """The days to count, how many of them are expected, and how many are there."""
    if windows.is_long(cadence):
        today = min(local_day(moment), days.last + timedelta(days=1))
        periods = windows.recent_periods(cadence, data.by_day(measure), today)
        found = next((one for one in periods if data.is_complete(measure, one)), None)
        return found or windows.period(cadence, today), 1, int(found is not None)
    wanted = windows.expected(cadence, data.facility, data.pauses, days, yardstick.calendar)
    return days, len(wanted), sum(data.is_complete(measure, DayRange(day, day)) for day in wanted)
