"""The province as it stands: of every facility its standings, findings and months, brought up to date as data arrive.

Metrics, pages and lists read it and ask no tallies. A facility is worked out again when its change counter has moved,
when something in it falls silent, and all of them at local midnight.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import inf

from collector import confirm, windows
from collector.figures import FacilityData, load, recall
from collector.places import Place, Places
from collector.scopes import Scopes, ScopeStanding
from collector.series import Month as SummedMonth
from collector.standings import Standing, below_since, history, standings
from collector.store import Connection, Store, lasting, registry, signatures, store_id_of
from collector.store import months as month_counts
from collector.store.registry import Change, ChangeSum
from collector.thresholds import Confirmation
from collector.yardstick import Yardstick
from contract.days import local_day
from contract.errors import AwayError

_CHUNK = 25
POOL_PERIOD = timedelta(seconds=5)
"""Pooled figures are put together again at most so often, however many facilities change."""
# A page waits no longer than this for what has just arrived, and then shows what stood before; after a start, longer.
_PATIENCE_SECONDS = 0.5
_FIRST_PATIENCE_SECONDS = 10.0


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
        self._known: tuple[object, ...] = ()
        self._sum: ChangeSum | None = None
        self._changes: dict[str, Change] = {}
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
                self._refresh(moment, _PATIENCE_SECONDS if self._state else inf)
            finally:
                self._refreshing.release()
        return self.state

    def refresh(self, moment: datetime, patience: float = inf) -> int:
        """Bring everything up to date with what is stored; returns how many facilities were looked at.

        Of what has changed meanwhile no more than `patience` seconds can see to, those looked at longest ago first;
        after a start and at midnight all. Raises AwayError, and then what stood still stands.
        """
        with self._refreshing:
            return self._refresh(moment, patience)

    def _refresh(self, moment: datetime, patience: float) -> int:
        with self._store.read() as connection:
            started, total = time.perf_counter(), registry.change_sum(connection)
            with_tallies = total.facilities <= self._tally_limit
            known = store_id_of(connection), local_day(moment), with_tallies
            places = dict(self._state.places) if self._state else {}
            due = {one for one, place in places.items() if place.until <= moment}
            if (known, total) == (self._known, self._sum) and not due and not self._are_scopes_due(moment):
                return 0
            if known != self._known:
                self._changes, patience = {}, inf
            changes = registry.changes(connection)
            moved = [one for one, change in changes.items() if self._changes.get(one) != change or one in due]
            moved.sort(key=lambda one: (one in places, places[one].made_at if one in places else moment))
            making = Places(self._yardstick, self.exported, with_tallies)
            looked = 0
            while looked < len(moved) and (not looked or time.perf_counter() - started < patience):
                some = moved[looked : looked + _CHUNK]
                light = [one for one in some if one not in due and self._is_of_today(one, changes)]
                found = self._with_today(connection, light, places, making, moment)
                found |= self._whole(connection, [one for one in some if one not in found], changes, making, moment)
                places |= found
                looked += len(some)
            for gone in places.keys() - changes.keys():
                self._scopes.drop(gone)
                del places[gone]
                self._changes.pop(gone, None)
                self._have_scopes_moved = True
        self._have_scopes_moved |= looked > 0
        scopes = self._state.scopes if self._state else ()
        if self._are_scopes_due(moment):
            scopes, self._scoped_at, self._have_scopes_moved = list(self._scopes.standings()), moment, False
        self._state = State(moment, {one: places[one] for one in sorted(places)}, scopes)
        self._changes |= {one: changes[one] for one in moved[:looked]}
        self._known, self._sum = known, total if looked == len(moved) else None
        self.refresh_seconds = time.perf_counter() - started
        return looked

    def _is_of_today(self, one: str, changes: Mapping[str, Change]) -> bool:
        """Whether no more than its running day has changed."""
        return one in self._changes and self._changes[one].past == changes[one].past

    def _with_today(
        self, connection: Connection, ids: Sequence[str], places: Mapping[str, Place], making: Places, moment: datetime
    ) -> dict[str, Place]:
        """Those of these facilities, with their running day anew, for which that is all that has changed."""
        if not ids:
            return {}
        today, found = local_day(moment), {}
        for data in load(connection, self._yardstick.catalogue, registry.facilities(connection, ids), today, today):
            place = making.with_today(places[data.facility.id], data, moment)
            if place is not None:
                found[data.facility.id] = place
                self._scopes.put(data.facility, place.all_standings())
        return found

    def _whole(
        self,
        connection: Connection,
        ids: Sequence[str],
        changes: Mapping[str, Change],
        making: Places,
        moment: datetime,
    ) -> dict[str, Place]:
        """These facilities, anew; what is remembered of their standings is brought up to date."""
        if not ids:
            return {}
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
            places[one] = making.whole(data, found[one], months, moment)
            self._scopes.put(data.facility, found[one])
        return places

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

    def _keep(
        self, anew: Mapping[str, Mapping[date, Mapping[str, SummedMonth]]], changes: Mapping[str, Change]
    ) -> None:
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
        return self._have_scopes_moved and (at is None or moment - at >= POOL_PERIOD)


def _below(data: FacilityData, found: Sequence[Standing], moment: datetime) -> dict[str, datetime]:
    """Indicator → since when it is below its target."""
    since = {one.indicator: below_since(data, one, moment) for one in found if one.window == "30d"}
    return {code: at for code, at in since.items() if at is not None}
