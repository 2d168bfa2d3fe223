"""What figures are held against: the catalogue, the plans, the calendar, and the thresholds of the Sở."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from functools import cache

from collector.store.registry import Facility
from collector.thresholds import Limits, Thresholds
from contract.calendar import Calendar
from contract.catalogue import Catalogue, Indicator
from contract.plan import Operator, Plan, Target


@dataclass(frozen=True, slots=True)
class Bound:
    """A target as it binds one facility (`ratio`: its own threshold), or a scope (`ratio`: the plan's)."""

    plan: Plan
    target: Target
    operator: Operator
    ratio: Fraction
    deadline: date
    rank: tuple[int, int]
    """Place of the plan among the plans and of the target in it: the lowest binds."""

    def is_met(self, numerator: int, denominator: int) -> bool:
        """Whether numerator ÷ denominator meets the target, in whole numbers."""
        have, want = numerator * self.ratio.denominator, self.ratio.numerator * denominator
        return have > want if self.operator == ">" else have >= want

    def missing(self, numerator: int, denominator: int) -> int:
        """The least k with (numerator + k) ÷ denominator meeting the target, at unchanged denominator; else 0."""
        # in whole numbers, of which `want` is so many parts of a case
        want = self.ratio.numerator * denominator - numerator * self.ratio.denominator
        least = want // self.ratio.denominator + 1 if self.operator == ">" else -(-want // self.ratio.denominator)
        return max(least, 0)


# plan, target, rank, deadline
_InForce = tuple[Plan, Target, tuple[int, int], date]
# Of indicators and days; an hour of people who ask for other days must not fill the memory.
_MOST_KNOWN = 2000


@dataclass(frozen=True)
class Yardstick:
    """One for a collector; the order of the plans is that in which they bind."""

    catalogue: Catalogue
    plans: tuple[Plan, ...] = ()
    calendar: Calendar = field(default_factory=Calendar)
    thresholds: Thresholds = field(default_factory=Thresholds)
    limits: Limits = field(default_factory=Limits)
    _known: dict[tuple[str, date], Sequence[_InForce]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def bound(self, indicator: str, facility: Facility, day: date) -> Bound | None:
        """The target that binds a facility in a window that ends on `day`: the first in force that has a figure."""
        return next(self.all_bound(indicator, facility, day), None)

    def all_bound(self, indicator: str, facility: Facility, day: date) -> Iterator[Bound]:
        """All targets in force, the binding one first; the others are only shown."""
        found = [
            one
            for one in self._in_force(indicator, day)
            if one[1].applies_to.includes(facility.id, facility.level, facility.ownership)
        ]
        for plan, target, rank, deadline in found:
            if day <= plan.last_day or not any(
                o.first_day > plan.first_day and o.last_day > plan.last_day for o, *_ in found
            ):
                operator, ratio = _threshold(target, facility.id)
                yield Bound(plan, target, operator, ratio, deadline, rank)

    def _in_force(self, indicator: str, day: date) -> Sequence[_InForce]:
        """The targets for somebody, in the order in which they bind; asked anew for each facility and window."""
        key = indicator, day
        if key not in self._known:
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            self._known[key] = [
                (plan, target, (number, place), plan.deadline(target, day))
                for number, plan in enumerate(self.plans)
                for place, target in enumerate(plan.targets)
                if target.indicator == indicator and target.ratio is not None and plan.first_day <= day <= plan.until
            ]
        return self._known[key]


def applies(indicator: Indicator, code: str, facility: Facility) -> bool:
    """Whether an indicator applies to a facility: by its level, and by the registry's own list when it has one."""
    return facility.level in indicator.levels and (facility.indicators is None or code in facility.indicators)


def of_scope(bound: Bound) -> Bound:
    """The same target as the whole province, an area or a level is held against it: by the plan's own figure."""
    assert bound.target.ratio is not None
    return replace(bound, operator=bound.target.operator, ratio=_fraction(str(bound.target.ratio)))


def _threshold(target: Target, facility: str) -> tuple[Operator, Fraction]:
    own = next((one.ratio for one in target.overrides if one.facility == facility), None)
    # what "uses it" means is the Sở's "from … on", whatever operator the plan has for its share of facilities
    operator: Operator = target.operator if target.uses_at is None else ">="
    ratio = own if own is not None else target.uses_at if target.uses_at is not None else target.ratio
    return operator, _fraction(str(ratio))


@cache
def _fraction(text: str) -> Fraction:
    return Fraction(text)
