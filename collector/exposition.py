"""`/metrics`: the text that Prometheus scrapes, put together from pieces (family × facility) that the province holds.

A scrape only joins what is ready.
"""

import hashlib
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from math import inf

from collector import samples
from collector.places import Place
from collector.province import POOL_PERIOD, Province, State
from collector.store import Store, access
from collector.yardstick import Yardstick
from contract import metrics
from contract.days import local_day
from contract.errors import AwayError, BadRequestError
from contract.metrics import Family

# Bodies kept between two changes: the shards that one province or country asks for.
_MOST_BODIES = 64


class Exposition:
    """Bodies of a province, brought up to date by `refresh`."""

    def __init__(self, store: Store, yardstick: Yardstick, province: Province) -> None:
        self._store = store
        self._yardstick = yardstick
        self._province = province
        self._lock = threading.Lock()
        """Held only while pieces are exchanged or joined: a scrape never waits for the database."""
        self._state: State | None = None
        self._others: Mapping[Family, bytes] = {}
        self._agents: Mapping[tuple[object, ...], Mapping[Family, bytes]] = {}
        """The lines of each agent, by what they were made from."""
        self._told: tuple[State, datetime] | None = None
        """What `_others` were made from, and when."""
        self._bodies: dict[tuple[int, int], bytes] = {}

    def refresh(self, moment: datetime, patience: float = inf) -> int:
        """Bring the province up to date (in about `patience` seconds what it can); returns how many facilities were
        looked at. Raises AwayError.
        """
        looked = self._province.refresh(moment, patience)
        state, others = self._province.state, self._others
        if self._are_others_due(state, moment):
            others, self._told = self._of_province(state), (state, moment)
        if state is not self._state or others is not self._others:
            with self._lock:
                self._state, self._others, self._bodies = state, others, {}
        return looked

    def _are_others_due(self, state: State, moment: datetime) -> bool:
        """With new pools; hundreds of agents, of which one has pushed, are told of no more often than those."""
        if self._told is None:
            return True
        known, at = self._told
        return state.scopes is not known.scopes or (state is not known and moment - at >= POOL_PERIOD)

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
                self._bodies[number, of] = self._render(self._state.places, number, of)
            return self._bodies[number, of]

    def _of_province(self, state: State) -> Mapping[Family, bytes]:
        """What belongs to no facility: agents, plans, scopes."""
        with self._store.read() as connection:
            agents, facilities = access.agents(connection), access.all_facilities(connection)
        texts: dict[tuple[object, ...], Mapping[Family, bytes]] = {}
        for one in agents:
            places = tuple(facilities.get(one["id"], ()))
            key = (*one.values(), places)
            # most have said nothing since
            texts[key] = self._agents.get(key) or samples.text(samples.of_agent(one, places))
        self._agents = texts
        plans = samples.of_plans(self._yardstick, local_day(state.moment))
        scopes = samples.of_scopes(one for one in state.scopes if one.window in self._province.exported)
        return _joined(self._agents.values()) | samples.text(plans) | samples.text(scopes)

    def _render(self, places: Mapping[str, Place], number: int, of: int) -> bytes:
        here = _pieces(place.text for one, place in places.items() if of == 1 or _bucket(one, of) == number - 1)
        parts = []
        for family in metrics.OF_FACILITY:
            parts += [samples.head(family).encode(), *here[family]]
        if number == 1:
            for family in (*metrics.OF_SCOPE, *metrics.OF_AGENT):
                parts += [samples.head(family).encode(), self._others.get(family, b"")]
        return b"".join(parts)


def _pieces(texts: Iterable[Mapping[Family, bytes]]) -> Mapping[Family, list[bytes]]:
    found: dict[Family, list[bytes]] = defaultdict(list)
    for text in texts:
        for family, lines in text.items():
            found[family].append(lines)
    return found


def _joined(texts: Iterable[Mapping[Family, bytes]]) -> dict[Family, bytes]:
    return {family: b"".join(pieces) for family, pieces in _pieces(texts).items()}


def _shard(text: str | None) -> tuple[int, int]:
    if text is None:
        return 1, 1
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of) <= 1000):
        raise BadRequestError("shard phải có dạng i/n, i từ 1 đến n")
    return int(number), int(of)


def _bucket(facility: str, of: int) -> int:
    return int.from_bytes(hashlib.sha256(facility.encode()).digest()[:8], "big") % of
