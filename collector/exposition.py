"""`/metrics`: the text that Prometheus scrapes, put together from pieces (family × facility).

A piece is rendered again when the facility's change counter has moved, when something in it falls silent, and all of
them at local midnight; a scrape only joins what is ready.
"""

import hashlib
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from collector import confirm, samples
from collector.figures import FacilityData, load
from collector.scopes import Scopes
from collector.standings import Standing, below_since, history, next_silence, standings
from collector.store import Connection, Store, access, lasting, registry, signatures, store_id_of
from collector.thresholds import Confirmation
from collector.yardstick import Yardstick
from contract import metrics
from contract.days import local_day, midnight
from contract.errors import AwayError, BadRequestError
from contract.metrics import Family

_CHUNK = 50
# Bodies kept between two changes: the shards that one province or country asks for.
_MOST_BODIES = 64
# Pooled figures are put together again at most so often, however many facilities change.
_SCOPE_PERIOD = timedelta(seconds=5)


class Exposition:
    """The pieces, brought up to date by `refresh`, joined by `body`."""

    def __init__(
        self,
        store: Store,
        yardstick: Yardstick,
        tally_limit: int = 1000,
        windows: Sequence[str] = ("today", "30d"),
        rules: Confirmation | None = None,
    ) -> None:
        """`tally_limit`: above this number of facilities, nhipso_tally is left out. `windows` hold 30d."""
        self._store = store
        self._yardstick = yardstick
        self._tally_limit = tally_limit
        self._windows = windows
        self._rules = rules or Confirmation()
        self._refreshing = threading.Lock()
        self._lock = threading.Lock()
        """Held only while the pieces are exchanged or joined: a scrape never waits for the database."""
        self._state: tuple[str | None, date] | None = None
        self._sum: tuple[object, ...] = ()
        self._changes: dict[str, int] = {}
        self._until: dict[str, datetime] = {}
        """By facility: when its piece is to be rendered again though nothing arrives."""
        self._scopes = Scopes(yardstick)
        self._scope_text: dict[Family, str] = {}
        self._scoped_at: datetime | None = None
        self._have_scopes_moved = True
        self._pieces: dict[str, dict[Family, str]] = {}
        self._others: dict[Family, str] = {}
        self._bodies: dict[tuple[int, int], bytes] = {}
        self.render_seconds = 0.0

    def refresh(self, moment: datetime) -> int:
        """Bring the pieces up to date with what is stored; returns of how many facilities they were rendered.

        Raises AwayError, and then the old ones stand.
        """
        with self._refreshing, self._store.read() as connection:
            started, today = time.perf_counter(), local_day(moment)
            state, total = (store_id_of(connection), today), registry.change_sum(connection)
            due = {one for one, until in self._until.items() if until <= moment}
            if (state, total) == (self._state, self._sum) and not due and not self._are_scopes_due(moment):
                return 0
            changes = registry.changes(connection)
            with_tallies = len(changes) <= self._tally_limit
            same = state == self._state and with_tallies == (len(self._changes) <= self._tally_limit)
            moved = [one for one, n in changes.items() if not same or self._changes.get(one) != n or one in due]
            pieces = dict(self._pieces) | self._rendered(connection, moved, moment, with_tallies)
            for gone in self._until.keys() - changes.keys():
                self._scopes.drop(gone)
                del self._until[gone]
            others = self._of_province(connection, moment)
        with self._lock:
            self._pieces = {one: pieces[one] for one in sorted(changes) if one in pieces}
            self._others, self._bodies = others, {}
            self._state, self._sum, self._changes = state, total, changes
            self.render_seconds = time.perf_counter() - started
        return len(moved)

    def _rendered(
        self, connection: Connection, ids: Sequence[str], moment: datetime, with_tallies: bool
    ) -> dict[str, dict[Family, str]]:
        """The pieces of these facilities, anew; what is remembered of their standings is brought up to date."""
        pieces = {}
        first = history(self._windows, self._yardstick.thresholds, local_day(moment))
        for start in range(0, len(ids), _CHUNK):
            facilities = registry.facilities(connection, ids[start : start + _CHUNK])
            some = load(connection, self._yardstick.catalogue, facilities, first, local_day(moment))
            found = {data.facility.id: standings(data, self._yardstick, moment, self._windows) for data in some}
            self._remember(some, found, moment)
            signed = signatures.of(connection, list(found), confirm.closed(moment))
            for data in some:
                one = data.facility.id
                months = confirm.recent(data, self._yardstick, self._rules, signed.get(one, []), moment)
                about = samples.of_facility(data, self._yardstick, found[one], months, moment, with_tallies)
                pieces[one] = samples.text(about)
                self._scopes.put(data.facility, found[one])
                self._have_scopes_moved = True
                silence = next_silence(data, self._yardstick, moment)
                self._until[one] = silence or midnight(local_day(moment) + timedelta(days=1))
        return pieces

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

    def _of_province(self, connection: Connection, moment: datetime) -> dict[Family, str]:
        """What belongs to no facility: agents, plans, scopes."""
        agents = samples.text(samples.of_agents(access.agents(connection), access.all_facilities(connection)))
        plans = samples.text(samples.of_plans(self._yardstick, local_day(moment)))
        if self._are_scopes_due(moment):
            self._scope_text = samples.text(samples.of_scopes(self._scopes.standings()))
            self._scoped_at, self._have_scopes_moved = moment, False
        return agents | plans | self._scope_text

    def _are_scopes_due(self, moment: datetime) -> bool:
        at = self._scoped_at
        return self._have_scopes_moved and (at is None or moment - at >= _SCOPE_PERIOD)

    def body(self, shard: str | None = None) -> bytes:
        """The text of all facilities, or of shard `i/n` (i = 1 … n, by a stable hash of the facility id).

        Raises AwayError before the first refresh: a scrape then would show every facility as gone.
        """
        number, of = _shard(shard)
        with self._lock:
            if self._state is None:
                raise AwayError("số liệu chưa được dựng xong sau khi khởi động")
            if (number, of) not in self._bodies:
                if len(self._bodies) >= _MOST_BODIES:
                    self._bodies = {}
                self._bodies[number, of] = self._render(number, of).encode()
            return self._bodies[number, of]

    def _render(self, number: int, of: int) -> str:
        here = [pieces for one, pieces in self._pieces.items() if of == 1 or _bucket(one, of) == number - 1]
        parts = []
        for family in metrics.OF_FACILITY:
            parts += [samples.head(family), *(pieces[family] for pieces in here if family in pieces)]
        if number == 1:
            for family in (*metrics.OF_SCOPE, *metrics.OF_AGENT):
                parts += [samples.head(family), self._others.get(family, "")]
        return "".join(parts)


def _shard(text: str | None) -> tuple[int, int]:
    if text is None:
        return 1, 1
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of) <= 1000):
        raise BadRequestError("shard phải có dạng i/n, i từ 1 đến n")
    return int(number), int(of)


def _below(data: FacilityData, found: Sequence[Standing], moment: datetime) -> dict[str, datetime]:
    """Indicator → since when it is below its target."""
    since = {one.indicator: below_since(data, one, moment) for one in found if one.window == "30d"}
    return {code: at for code, at in since.items() if at is not None}


def _bucket(facility: str, of: int) -> int:
    return int.from_bytes(hashlib.sha256(facility.encode()).digest()[:8], "big") % of
