"""The province as it stands: of every facility its standings, findings and months, brought up to date as data arrive.

Metrics, pages and lists read it and ask no tallies. A facility is worked out again when its change counter has moved,
when something in it falls silent, and all of them at local midnight.
"""

import threading
import time
from array import array
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import NamedTuple

from collector import confirm, samples, windows
from collector.confirm import Month
from collector.figures import FacilityData, load, recall
from collector.findings import Finding, findings
from collector.roads import road
from collector.scopes import Scopes, ScopeStanding
from collector.series import Month as SummedMonth
from collector.standings import Figures, Standing, below_since, history, next_silence, previous, standings
from collector.store import Connection, Store, lasting, registry, signatures, store_id_of
from collector.store import months as month_counts
from collector.store.registry import Facility
from collector.store.tallies import Source
from collector.thresholds import Confirmation
from collector.yardstick import Yardstick, applies
from contract.days import DayRange, local_day, midnight
from contract.errors import AwayError
from contract.metrics import Family
from contract.verdict import Verdict

_CHUNK = 50
DAILY = 30
# Pooled figures are put together again at most so often, however many facilities change.
_SCOPE_PERIOD = timedelta(seconds=5)
# A page waits no longer than this for what has just arrived, and then shows what stood before; after a start, longer.
_PATIENCE_SECONDS = 0.5
_FIRST_PATIENCE_SECONDS = 10.0


class Compared(NamedTuple):
    """Beside a standing in the 30 days. `before`: in the 30 before; `road`: where the share should be today."""

    before: Figures
    road: Fraction | None


@dataclass(frozen=True, slots=True)
class Place:
    """A facility as it stands. Of `sources` those that are still to count; `text`: its lines in /metrics.

    `standings`: by window and indicator, of all that its level knows; `compared`, `below` (since when), `daily`: by
    indicator. `daily`: numerator and denominator
    of each of the last DAILY days in turn, the oldest first, yesterday last; 0, 0: no case, or no tally.
    `silent_since`: the last read, when every indicator that was ever read is silent.
    """

    facility: Facility
    standings: Mapping[str, Mapping[str, Standing]]
    compared: Mapping[str, Compared]
    below: Mapping[str, datetime]
    daily: Mapping[str, Sequence[int]]
    findings: Sequence[Finding]
    months: Sequence[Month]
    sources: Sequence[Source]
    silent_since: datetime | None
    text: Mapping[Family, bytes]


@dataclass(frozen=True, slots=True)
class State:
    """The whole province at `moment`, places by facility id."""

    moment: datetime
    places: Mapping[str, Place]
    scopes: Sequence[ScopeStanding]


class Province:
    """Kept by `refresh`, read by `state`."""

    def __init__(
        self,
        store: Store,
        yardstick: Yardstick,
        rules: Confirmation,
        exported: Sequence[str] = ("today", "30d"),
        tally_limit: int = 1000,
    ) -> None:
        """`exported`: the windows in /metrics, 30d among them; above `tally_limit` facilities, no single tallies."""
        self._store = store
        self._yardstick = yardstick
        self._rules = rules
        self.exported = exported
        self._tally_limit = tally_limit
        self._refreshing = threading.Lock()
        self._known: tuple[str | None, date] | None = None
        self._sum: tuple[object, ...] = ()
        self._changes: Mapping[str, int] = {}
        self._until: dict[str, datetime] = {}
        """By facility: when it is to be looked at again though nothing arrives."""
        self._scopes = Scopes(yardstick)
        self._scoped_at: datetime | None = None
        self._have_scopes_moved = True
        self._state: State | None = None
        self.refresh_seconds = 0.0

    @property
    def state(self) -> State:
        """What stands. Raises AwayError before the first refresh: every facility would seem to be gone."""
        if self._state is None:
            raise AwayError("số liệu chưa được dựng xong sau khi khởi động")
        return self._state

    def at(self, moment: datetime) -> State:
        """What stands with all that has arrived; where that takes long, what stood before. Raises AwayError."""
        if self._refreshing.acquire(timeout=_PATIENCE_SECONDS if self._state else _FIRST_PATIENCE_SECONDS):
            try:
                self._refresh(moment)
            finally:
                self._refreshing.release()
        return self.state

    def refresh(self, moment: datetime) -> int:
        """Bring everything up to date with what is stored; returns how many facilities were looked at.

        Raises AwayError, and then what stood still stands.
        """
        with self._refreshing:
            return self._refresh(moment)

    def _refresh(self, moment: datetime) -> int:
        with self._store.read() as connection:
            started, today = time.perf_counter(), local_day(moment)
            known, total = (store_id_of(connection), today), registry.change_sum(connection)
            due = {one for one, until in self._until.items() if until <= moment}
            if (known, total) == (self._known, self._sum) and not due and not self._are_scopes_due(moment):
                return 0
            changes = registry.changes(connection)
            with_tallies = len(changes) <= self._tally_limit
            same = known == self._known and with_tallies == (len(self._changes) <= self._tally_limit)
            moved = [one for one, n in changes.items() if not same or self._changes.get(one) != n or one in due]
            places = dict(self._state.places) if self._state else {}
            for start in range(0, len(moved), _CHUNK):
                places |= self._looked(connection, moved[start : start + _CHUNK], changes, moment, with_tallies)
            for gone in self._until.keys() - changes.keys():
                self._scopes.drop(gone)
                del self._until[gone], places[gone]
        self._have_scopes_moved |= bool(moved)
        scopes = self._state.scopes if self._state else ()
        if self._are_scopes_due(moment):
            scopes, self._scoped_at, self._have_scopes_moved = list(self._scopes.standings()), moment, False
        self._state = State(moment, {one: places[one] for one in sorted(places)}, scopes)
        self._known, self._sum, self._changes = known, total, changes
        self.refresh_seconds = time.perf_counter() - started
        return len(moved)

    def _looked(
        self, connection: Connection, ids: Sequence[str], changes: Mapping[str, int], moment: datetime, told: bool
    ) -> dict[str, Place]:
        """These facilities, anew; what is remembered of their standings is brought up to date."""
        today = local_day(moment)
        near = history(("30d",), self._yardstick.thresholds, today).replace(day=1)
        far = history(windows.WINDOWS, self._yardstick.thresholds, today).replace(day=1)
        some = load(connection, self._yardstick.catalogue, registry.facilities(connection, ids), near, today)
        self._keep(recall(connection, self._yardstick.catalogue, some, far, near), changes)
        found = {data.facility.id: standings(data, self._yardstick, moment, windows.WINDOWS) for data in some}
        self._remember(some, found, moment)
        signed = signatures.of(connection, list(found), confirm.closed(moment))
        places = {}
        for data in some:
            one = data.facility.id
            months = confirm.recent(data, self._yardstick, self._rules, signed.get(one, []), moment)
            places[one] = self._place(data, found[one], months, moment, told)
            self._scopes.put(data.facility, found[one])
            silence = next_silence(data, self._yardstick, moment)
            self._until[one] = silence or midnight(today + timedelta(days=1))
        return places

    def _place(
        self, data: FacilityData, found: Sequence[Standing], months: Sequence[Month], moment: datetime, told: bool
    ) -> Place:
        yardstick, today = self._yardstick, local_day(moment)
        doubts = findings(data, yardstick.catalogue, yardstick.calendar, yardstick.limits, moment)
        told_of = [one for one in found if one.window in self.exported]
        compared = {
            one.indicator: Compared(
                previous(data, yardstick, one),
                None if one.bound is None else road(data, one.indicator, one.bound, today),
            )
            for one in found
            if one.window == "30d" and one.verdict is not Verdict.NOT_APPLICABLE
        }
        lines = samples.of_facility(data, yardstick, told_of, compared, months, doubts, moment, told)
        return Place(
            facility=data.facility,
            standings={
                window: {one.indicator: one for one in found if one.window == window} for window in windows.WINDOWS
            },
            compared=compared,
            below=data.below,
            daily={
                code: _daily(data, yardstick, code, today)
                for code, indicator in yardstick.catalogue.indicators.items()
                if applies(indicator, code, data.facility)
            },
            findings=doubts,
            months=months,
            sources=[one for one in data.sources if one.last_day is None or one.last_day >= today],
            silent_since=_silent_since(found),
            text=samples.text(lines),
        )

    def _remember(
        self, some: Sequence[FacilityData], found: Mapping[str, Sequence[Standing]], moment: datetime
    ) -> None:
        """Since when they are below target: store what has changed, and take over what another collector stored."""
        before = {data.facility.id: data.below for data in some}
        after = {data.facility.id: _below(data, found[data.facility.id], moment) for data in some}
        if before == after:
            return
        with self._store.write() as writing:
            registry.lock(writing, after)
            stored = lasting.save_below(writing, after, before)
        for data in some:
            data.below = stored.get(data.facility.id, {})

    def _keep(self, anew: Mapping[str, Mapping[date, Mapping[str, SummedMonth]]], changes: Mapping[str, int]) -> None:
        """Store months that had to be summed up, but for facilities that have changed since `changes` was read."""
        if anew:
            # it only saves work: while nothing can be written, figures are shown all the same
            with suppress(AwayError), self._store.write() as writing:
                registry.lock(writing, anew)
                now = registry.changes(writing)
                month_counts.save(
                    writing, {one: months for one, months in anew.items() if now.get(one) == changes[one]}
                )

    def _are_scopes_due(self, moment: datetime) -> bool:
        at = self._scoped_at
        return self._have_scopes_moved and (at is None or moment - at >= _SCOPE_PERIOD)


def _below(data: FacilityData, found: Sequence[Standing], moment: datetime) -> dict[str, datetime]:
    """Indicator → since when it is below its target."""
    since = {one.indicator: below_since(data, one, moment) for one in found if one.window == "30d"}
    return {code: at for code, at in since.items() if at is not None}


def _silent_since(found: Iterable[Standing]) -> datetime | None:
    read = [one for one in found if one.window == "30d" and one.verdict is not Verdict.NOT_APPLICABLE]
    since = [one.silent_since for one in read if one.silent_since is not None]
    told = [one for one in read if one.as_of is not None or one.silent_since is not None]
    return max(since) if since and len(since) == len(told) else None


def _daily(data: FacilityData, yardstick: Yardstick, code: str, today: date) -> Sequence[int]:
    indicator = yardstick.catalogue.indicators[code]
    adopted, by_day = indicator.adopted, data.by_day(indicator.measure)
    base = [one for one in yardstick.catalogue.measures[indicator.measure].categories if one not in indicator.excluded]
    found = array("q")
    for day in DayRange.ending(today - timedelta(days=1), DAILY):
        counts = by_day.get(day, {})
        found.append(sum([counts.get(one, 0) for one in adopted]))
        found.append(sum([counts.get(one, 0) for one in base]))
    return found
