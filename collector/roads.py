"""The road from where a facility began to its target: a straight line over time (architecture.md, "Road").

It begins at the share over the first 30 complete days in the plan's period (of each year where the plan says so),
frozen when there are so many, or set by hand in the plan file.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from fractions import Fraction
from itertools import islice

from collector import windows
from collector.figures import FacilityData, load
from collector.standings import figures_of
from collector.store import Store, lasting, registry
from collector.store.lasting import Baseline
from collector.yardstick import Bound, Yardstick, applies
from contract import daybits
from contract.days import DayRange, local_day

_CHUNK = 50
_DAYS = 30


def road(data: FacilityData, indicator: str, bound: Bound, day: date) -> Fraction | None:
    """Where the share should be on `day`; None without a beginning, or when the deadline is past."""
    first_day, deadline = bound.plan.period(bound.target, day)
    begin = _beginning(data, indicator, bound, DayRange(first_day, deadline))
    if begin is None or not begin[0] <= day <= deadline or begin[0] >= deadline:
        return None
    since, share = begin
    if share >= bound.ratio:
        return bound.ratio
    return share + (bound.ratio - share) * Fraction((day - since).days, (deadline - since).days)


def _beginning(data: FacilityData, indicator: str, bound: Bound, period: DayRange) -> tuple[date, Fraction] | None:
    for hand in bound.target.baselines:
        # where the plan runs once, what a facility had before it is a beginning too
        if hand.facility == data.facility.id and (hand.day in period or bound.target.every is None):
            return hand.day, Fraction(hand.ratio)
    for one in data.baselines:
        if (one.indicator, one.plan, one.first_day) == (indicator, bound.plan.id, period.first):
            return one.day, Fraction(one.numerator, one.denominator)
    return None


def freeze(store: Store, yardstick: Yardstick, moment: datetime) -> int:
    """Freeze the baselines that have become complete; returns how many. Again on the same day freezes nothing more."""
    today, count = local_day(moment), 0
    first = min((one.first_day for one in yardstick.plans if not one.is_over(today)), default=today)
    with store.read() as connection:
        facilities = registry.facilities(connection)
    for start in range(0, len(facilities), _CHUNK):
        with store.read() as connection:
            # first without history, to see who has no beginning yet: most have one
            some = load(connection, yardstick.catalogue, facilities[start : start + _CHUNK], today, today)
            lacking = [data.facility for data in some if any(_lacking(data, yardstick, today))]
            found = [
                one
                for data in load(connection, yardstick.catalogue, lacking, first, today)
                for one in _complete(data, yardstick, today)
            ]
        if found:
            with store.write() as connection:
                registry.lock(connection, {one.facility for one in found})
                lasting.add_baselines(connection, found)
                registry.touch(connection, {one.facility for one in found})
        count += len(found)
    return count


def _lacking(data: FacilityData, yardstick: Yardstick, today: date) -> Iterator[tuple[str, Bound, DayRange]]:
    """The indicators whose road has no beginning yet, and the days of the period that are over."""
    yesterday = today - timedelta(days=1)
    for code, indicator in yardstick.catalogue.indicators.items():
        bound = yardstick.bound(code, data.facility, yesterday)
        if bound is None or not applies(indicator, code, data.facility):
            continue
        first_day, deadline = bound.plan.period(bound.target, yesterday)
        last = min(yesterday, deadline)
        too_early = (last - first_day).days + 1 < _DAYS
        if not too_early and _beginning(data, code, bound, DayRange(first_day, deadline)) is None:
            yield code, bound, DayRange(first_day, last)


def _complete(data: FacilityData, yardstick: Yardstick, today: date) -> Iterator[Baseline]:
    for code, bound, days in _lacking(data, yardstick, today):
        indicator = yardstick.catalogue.indicators[code]
        measure = yardstick.catalogue.measures[indicator.measure]
        cadence = data.cadence(indicator.measure, measure.cadence)
        if windows.is_long(cadence):
            continue
        complete = data.series(indicator.measure).there & data.expected(cadence, days, yardstick.calendar)
        there = list(islice(daybits.days(complete), _DAYS))
        found = figures_of(data, yardstick.catalogue, indicator, there)
        if len(there) == _DAYS and found.denominator >= measure.min_base:
            where = (data.facility.id, code, bound.plan.id, days.first)
            yield Baseline(*where, there[-1], found.numerator, found.denominator)
