"""`/metrics`: the text that Prometheus scrapes, put together from pieces (family × facility).

A piece is rendered again when the facility's change counter has moved, and all of them at local midnight; a scrape
only joins what is ready. prometheus_client's generate_latest takes about 15 µs a sample: too long for a province.
"""

import hashlib
import json
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta

from collector.standings import FacilityData, Standing, load, standings
from collector.store import Store, access, registry, store_id_of
from collector.store.registry import Facility
from contract import metrics
from contract.catalogue import Catalogue
from contract.days import DayRange, local_day, midnight
from contract.errors import AwayError, BadRequestError
from contract.metrics import Family

# What a newly registered facility has to install its agent.
GRACE = timedelta(days=7)
_WINDOW = 30
_CHUNK = 50
# Bodies kept between two changes: the shards that one province or country asks for.
_MOST_BODIES = 64
log = logging.getLogger(__name__)


class Exposition:
    """The pieces, brought up to date by `refresh`, joined by `body`."""

    def __init__(self, store: Store, catalogue: Catalogue, tally_limit: int) -> None:
        """`tally_limit`: above this number of facilities, nhipso_tally is left out."""
        self._store = store
        self._catalogue = catalogue
        self._tally_limit = tally_limit
        self._refreshing = threading.Lock()
        self._lock = threading.Lock()
        """Held only while the pieces are exchanged or joined: a scrape never waits for the database."""
        self._state: tuple[str | None, date] | None = None
        self._sum: tuple[object, ...] = ()
        self._changes: dict[str, int] = {}
        self._pieces: dict[str, dict[Family, str]] = {}
        self._agents: dict[Family, str] = {}
        self._bodies: dict[tuple[int, int], bytes] = {}
        self.render_seconds = 0.0

    def refresh(self, moment: datetime) -> int:
        """Bring the pieces up to date with what is stored; returns of how many facilities they were rendered.

        Raises AwayError, and then the old ones stand.
        """
        with self._refreshing, self._store.read() as connection:
            started, today = time.perf_counter(), local_day(moment)
            state, total = (store_id_of(connection), today), registry.change_sum(connection)
            if (state, total) == (self._state, self._sum):
                return 0
            changes = registry.changes(connection)
            with_tallies = len(changes) <= self._tally_limit
            same = state == self._state and with_tallies == (len(self._changes) <= self._tally_limit)
            moved = [one for one, change in changes.items() if not same or self._changes.get(one) != change]
            pieces = dict(self._pieces)
            for start in range(0, len(moved), _CHUNK):
                facilities = registry.facilities(connection, moved[start : start + _CHUNK])
                first = today - timedelta(days=_WINDOW)
                for data in load(connection, self._catalogue, facilities, first, today):
                    pieces[data.facility.id] = _pieces(data, self._catalogue, today, with_tallies)
            agents = _joined(_agent_samples(access.agents(connection)))
        with self._lock:
            self._pieces = {one: pieces[one] for one in sorted(changes) if one in pieces}
            self._agents, self._bodies = agents, {}
            self._state, self._sum, self._changes = state, total, changes
            self.render_seconds = time.perf_counter() - started
        return len(moved)

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
            parts += [_head(family), *(pieces[family] for pieces in here if family in pieces)]
        if number == 1:
            for family in metrics.OF_AGENT:
                parts += [_head(family), self._agents.get(family, "")]
        return "".join(parts)


def _shard(text: str | None) -> tuple[int, int]:
    if text is None:
        return 1, 1
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of) <= 1000):
        raise BadRequestError("shard phải có dạng i/n, i từ 1 đến n")
    return int(number), int(of)


def _bucket(facility: str, of: int) -> int:
    return int.from_bytes(hashlib.sha256(facility.encode()).digest()[:8], "big") % of


def _head(family: Family) -> str:
    return f"# HELP {family.name} {family.help}\n# TYPE {family.name} gauge\n"


Sample = tuple[Family, Sequence[str], float | int]


def _joined(samples: Iterator[Sample]) -> dict[Family, str]:
    lines: dict[Family, list[str]] = defaultdict(list)
    for family, values, value in samples:
        labels = ",".join(f'{name}="{_escaped(text)}"' for name, text in zip(family.labels, values, strict=True))
        lines[family].append(f"{family.name}{{{labels}}} {value}\n")
    return {family: "".join(texts) for family, texts in lines.items()}


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _pieces(data: FacilityData, catalogue: Catalogue, today: date, with_tallies: bool) -> dict[Family, str]:
    def all_samples() -> Iterator[Sample]:
        yield from _facility_samples(data.facility, data, today)
        yield from _source_samples(data, today)
        for one in standings(data, catalogue, today, ("today", "30d")):
            yield from _standing_samples(one)
        if with_tallies:
            yield from _tally_samples(data, catalogue, today)

    return _joined(all_samples())


def _standing_samples(one: Standing) -> Iterator[Sample]:
    place = (one.facility, one.indicator)
    if one.as_of is not None:
        yield metrics.NUMERATOR, (*place, one.window), one.numerator
        yield metrics.DENOMINATOR, (*place, one.window), one.denominator
    if one.share is not None:
        yield metrics.RATIO, (*place, one.window), float(one.share)
    if one.window == "30d":
        if one.as_of is not None:
            yield metrics.KNOWN, place, float(one.known)
            yield metrics.AS_OF, place, _timestamp(one.as_of)
        if one.completeness is not None:
            yield metrics.COMPLETENESS, place, float(one.completeness)


def _tally_samples(data: FacilityData, catalogue: Catalogue, today: date) -> Iterator[Sample]:
    for code, measure in catalogue.measures.items():
        if today in data.by_day(code):
            counts = data.counts(code, [today])
            for category in (*measure.categories, "unknown"):
                yield metrics.TALLY, (data.facility.id, code, category), counts[category]


def _source_samples(data: FacilityData, today: date) -> Iterator[Sample]:
    for source in data.sources:
        if source.last_day is not None and source.last_day < today:
            continue  # retired: nothing more is expected of it
        place = (source.facility, source.name, source.kind)
        if source.ok is not None:
            yield metrics.SOURCE_UP, place, int(source.ok)
        if source.read_at is not None:
            yield metrics.SOURCE_READ, place, source.read_at.timestamp()
        if source.newest_day is not None:
            yield metrics.SOURCE_NEWEST, place, _timestamp(source.newest_day)
        cases: Mapping[str, int] = json.loads(source.unmapped_cases)
        for measure, count in cases.items():
            yield metrics.SOURCE_UNMAPPED, (source.facility, source.name, measure), count
    days = DayRange.ending(today - timedelta(days=1), _WINDOW)
    for measure, claims in data.claims.items():
        owned_days = data.by_day(measure)
        for claim in claims:
            # only days that both have told: a day that one has not is no difference
            rows = data.rows.get((claim.source.id, measure), {})
            both = [day for day in days if day in rows and day in owned_days and not claim.is_retired(day)]
            owned = sum(data.counts(measure, both).values())
            if claim.source.role == "check" and owned:
                seen = sum(sum(rows[day].by_category.values()) for day in both)
                place = (data.facility.id, claim.source.name, measure)
                yield metrics.SOURCE_DIFFERENCE, place, (seen - owned) / owned


def _facility_samples(one: Facility, data: FacilityData, today: date) -> Iterator[Sample]:
    yield metrics.FACILITY_INFO, (one.id, one.name, one.level, one.ownership, one.area), 1
    since = _expected_since(one, data, today)
    if since is not None:
        yield metrics.FACILITY_EXPECTED, (one.id,), since.timestamp()
    yield metrics.FACILITY_PUSH, (one.id,), one.last_push_at.timestamp() if one.last_push_at else 0


def _expected_since(one: Facility, data: FacilityData, today: date) -> datetime | None:
    """Registration + 7 days, the first day of activity, or the end of the last pause; None while not expected."""
    if any(pause.first_day <= today <= pause.last_day for pause in data.pauses):
        return None
    if (one.active_from and today < one.active_from) or (one.active_to and today > one.active_to):
        return None
    ends = [midnight(pause.last_day + timedelta(days=1)) for pause in data.pauses if pause.last_day < today]
    begin = [midnight(one.active_from)] if one.active_from else []
    since = max([one.registered_at + GRACE, *begin, *ends])
    return since if local_day(since) <= today else None


def _agent_samples(agents: Sequence[Mapping[str, object]]) -> Iterator[Sample]:
    for one in agents:
        name, pushed = (str(one["id"]),), one["last_push_at"]
        yield metrics.AGENT_INFO, (*name, str(one["version"] or "")), 1
        yield metrics.AGENT_PUSH, name, pushed.timestamp() if isinstance(pushed, datetime) else 0
        for family, column in (
            (metrics.AGENT_WAITING, "waiting"),
            (metrics.AGENT_PARKED, "parked"),
            (metrics.AGENT_SKEW, "skew_seconds"),
        ):
            value = one[column]
            if isinstance(value, int | float):
                yield family, name, value


def _timestamp(day: date) -> float:
    return midnight(day).timestamp()


class Refresher(threading.Thread):
    """Keeps an exposition up to date in the background; `heartbeat` shows that it is alive."""

    def __init__(self, exposition: Exposition, now: Callable[[], datetime], seconds: float = 0.25) -> None:
        super().__init__(name="exposition", daemon=True)
        self._exposition = exposition
        self._now = now
        self._seconds = seconds
        self._stopped = threading.Event()
        self.heartbeat = 0.0

    def run(self) -> None:
        """Refresh until `stop`."""
        broken = False
        while not self._stopped.is_set():
            try:
                self._exposition.refresh(self._now())
                self.heartbeat = time.time()
                broken = False
            except AwayError:
                pass  # the store has said so
            except Exception:
                if not broken:
                    log.exception("chưa cập nhật được /metrics")
                broken = True
            self._stopped.wait(self._seconds)

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self.join(timeout=10)
