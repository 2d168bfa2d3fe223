"""The province, its areas and its levels: many facilities pooled (architecture.md, "Scopes").

Shares are sums of numerators over sums of denominators, never means. What a facility adds is added to the pools it
belongs to, and taken out again when it changes, so that one change never asks for all the others.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from collector.standings import Figures, Standing, held_against, judge
from collector.store.registry import Facility
from collector.yardstick import Bound, Yardstick, of_scope
from contract.verdict import Verdict

Unit = Literal["cases", "facilities"]


class Scope(NamedTuple):
    """`kind`: province, area, level; the province's name is `all`."""

    kind: str
    name: str


PROVINCE = Scope("province", "all")


class _Key(NamedTuple):
    scope: Scope
    indicator: str
    window: str
    rank: tuple[int, int] | None
    """Of the binding target: facilities bound by different targets are not held against the same figure."""


class _Share(NamedTuple):
    """What one facility adds to the pools of one indicator and window."""

    indicator: str
    window: str
    rank: tuple[int, int] | None
    numerator: int
    denominator: int
    unknown: int
    expected: int
    present: int
    verdict: Verdict


@dataclass(slots=True)
class _Pool:
    """Sums over facilities of one key."""

    numerator: int = 0
    denominator: int = 0
    unknown: int = 0
    expected: int = 0
    present: int = 0
    verdicts: Counter[Verdict] = field(default_factory=Counter)

    def add(self, one: _Share, sign: int) -> None:
        self.numerator += sign * one.numerator
        self.denominator += sign * one.denominator
        self.unknown += sign * one.unknown
        self.expected += sign * one.expected
        self.present += sign * one.present
        self.verdicts[one.verdict] += sign


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeStanding(Figures):
    """As a Standing, of a scope. `unit`: whether cases or facilities are counted; `verdicts`: facilities of each."""

    scope: Scope
    indicator: str
    window: str
    unit: Unit
    bound: Bound | None
    verdict: Verdict
    missing: int | None
    verdicts: Mapping[Verdict, int]


class Scopes:
    """The pools of a province, brought up to date a facility at a time."""

    def __init__(self, yardstick: Yardstick) -> None:
        self._yardstick = yardstick
        self._pools: dict[_Key, _Pool] = defaultdict(_Pool)
        self._bounds: dict[tuple[int, int], Bound] = {}
        """By rank."""
        self._added: dict[str, tuple[list[Scope], set[_Share]]] = {}

    def put(self, facility: Facility, found: Iterable[Standing]) -> None:
        """These are the standings of the facility now."""
        places = [PROVINCE, Scope("level", facility.level)]
        if facility.area:
            places.append(Scope("area", facility.area))
        shares = set()
        for one in found:
            # a facility that has closed is not for ever one without data
            if one.verdict is Verdict.NOT_APPLICABLE or not facility.was_active(one.days):
                continue
            rank = None
            if one.bound is not None:
                rank = one.bound.rank
                known = self._bounds.get(rank)
                if known is None or known.deadline != one.bound.deadline:
                    self._bounds[rank] = of_scope(one.bound)
            counts = one.numerator, one.denominator, one.unknown, one.expected, one.present
            shares.add(_Share(one.indicator, one.window, rank, *counts, one.verdict))
        self._change(facility.id, places, shares)

    def drop(self, facility: str) -> None:
        """The facility is no longer registered."""
        self._change(facility, [], set())
        self._added.pop(facility, None)

    def standings(self) -> Iterator[ScopeStanding]:
        """Where every scope stands, in cases; and in facilities where a target is in force."""
        keys: dict[tuple[Scope, str, str], list[_Key]] = defaultdict(list)
        for key, pool in self._pools.items():
            if pool.verdicts.total():
                keys[key.scope, key.indicator, key.window].append(key)
        for (scope, indicator, window), found in sorted(keys.items()):
            all_verdicts = sum((self._pools[key].verdicts for key in found), Counter[Verdict]())
            # what most facilities are held against: one hospital's own plan is not the province's
            key = min(found, key=lambda one: (self._is_own(one), one.rank is None, -self._size(one), one.rank or ()))
            bound = None if key.rank is None else self._bounds[key.rank]
            pool = self._pools[key]
            yield self._in_cases(scope, indicator, window, pool, bound, all_verdicts)
            if bound is not None:
                yield self._in_facilities(scope, indicator, window, pool, bound, all_verdicts)

    def _is_own(self, key: _Key) -> bool:
        """Whether the target is for a single facility."""
        named = None if key.rank is None else self._bounds[key.rank].target.applies_to.facilities
        return named is not None and len(named) == 1

    def _size(self, key: _Key) -> int:
        return self._pools[key].verdicts.total()

    def _change(self, facility: str, places: list[Scope], shares: set[_Share]) -> None:
        """Most of what a facility adds is the same after a push: only the rest is taken out and added."""
        known, before = self._added.get(facility, ([], set()))
        kept = before & shares if known == places else set()
        for scopes, some, sign in ((known, before - kept, -1), (places, shares - kept, 1)):
            for one in some:
                for scope in scopes:
                    self._pools[_Key(scope, one.indicator, one.window, one.rank)].add(one, sign)
        self._added[facility] = places, shares

    def _in_cases(
        self, scope: Scope, indicator: str, window: str, pool: _Pool, bound: Bound | None, verdicts: Counter[Verdict]
    ) -> ScopeStanding:
        held = bound if bound is not None and bound.target.unit == "cases" else None
        catalogue = self._yardstick.catalogue
        least = catalogue.measures[catalogue.indicators[indicator].measure].min_base
        figures = Figures(
            numerator=pool.numerator,
            denominator=pool.denominator,
            unknown=pool.unknown,
            expected=pool.expected,
            present=pool.present,
        )
        verdict = judge(figures, held, least, self._yardstick.thresholds, has_data=pool.present + pool.denominator > 0)
        return _standing(scope, indicator, window, "cases", figures, held, verdict, verdicts)

    def _in_facilities(
        self, scope: Scope, indicator: str, window: str, pool: _Pool, bound: Bound, verdicts: Counter[Verdict]
    ) -> ScopeStanding:
        met, all_told = pool.verdicts[Verdict.MET], pool.verdicts.total() - pool.verdicts[Verdict.INSUFFICIENT]
        figures = Figures(numerator=met, denominator=all_told, unknown=0, expected=pool.expected, present=pool.present)
        held = bound if bound.target.unit == "facilities" else None
        verdict = Verdict.NO_DATA if not all_told else Verdict.NO_TARGET
        if held is not None and all_told:
            verdict = held_against(held, met, all_told, self._yardstick.thresholds)
        return _standing(scope, indicator, window, "facilities", figures, held, verdict, verdicts)


def _standing(
    scope: Scope,
    indicator: str,
    window: str,
    unit: Unit,
    figures: Figures,
    bound: Bound | None,
    verdict: Verdict,
    verdicts: Mapping[Verdict, int],
) -> ScopeStanding:
    return ScopeStanding(
        numerator=figures.numerator,
        denominator=figures.denominator,
        unknown=figures.unknown,
        expected=figures.expected,
        present=figures.present,
        scope=scope,
        indicator=indicator,
        window=window,
        unit=unit,
        bound=bound,
        verdict=verdict,
        missing=None if bound is None else bound.missing(figures.numerator, figures.denominator),
        verdicts=verdicts,
    )
