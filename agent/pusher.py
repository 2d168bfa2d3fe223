"""Brings what waits in the ledger to the collector, and takes its verdicts."""

import json
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from agent.disk import Disk
from agent.ledger import Ledger
from agent.link import Link, TooMuchError, read_token
from agent.reader import Description
from agent.settings import Settings, Source
from agent.sources import Sources
from contract import __version__, catalogue
from contract.catalogue import Catalogue
from contract.days import DayRange, local_day, now
from contract.errors import PushError, StorageError
from contract.tally import MAX_BYTES, Ack, AgentReport, MonthDigest, Push, SourceReport, Tally

BATCH = 1_000
MAX_ERROR = 2_000
log = logging.getLogger(__name__)


class Pusher:
    """Speaks with the collector for the whole agent, one call at a time."""

    def __init__(self, settings: Settings, disk: Disk, link: Link) -> None:
        self._settings = settings
        self._disk = disk
        self._ledger = Ledger(disk)
        self._sources = Sources(disk)
        self._link = link
        self._lock = threading.Lock()
        self._batch = BATCH

    def close(self) -> None:
        """End the connection to the collector."""
        self._link.close()

    def push(self, kinds: Mapping[str, Description]) -> None:
        """Send the state of all sources and everything that waits. Raises PushError, StorageError.

        May be repeated at any time: what was stored before is simply accepted again.
        """
        with self._lock:
            try:
                ack = self._drain(kinds)
                if ack.catalogue != _known(self._settings).digest:
                    self._fetch_catalogue(ack.catalogue)
                    if self._ledger.size()[0]:
                        self._drain(kinds)
            except PushError as error:
                self._remember_failure(str(error))
                raise
            if self._disk.state("push_failure", json.loads):
                self._disk.set_state("push_failure", "null")

    def _remember_failure(self, error: str) -> None:
        """For `status`: since when nothing is taken, and why it was not at the last try."""
        before = self._disk.state("push_failure", json.loads) or {}
        since = before.get("since", now().isoformat())
        self._disk.set_state("push_failure", json.dumps({"since": since, "error": error}))

    def _drain(self, kinds: Mapping[str, Description]) -> Ack:
        waiting = self._ledger.waiting(self._batch)
        while True:
            try:
                ack = self._send(kinds, waiting)
            except TooMuchError:
                if len(waiting) <= 1:
                    raise
                self._batch = len(waiting) // 2
                waiting = waiting[: self._batch]
                continue
            before, waiting = waiting, self._ledger.waiting(self._batch)
            # A collector that leaves the same tallies waiting must not be asked without end.
            if not waiting or waiting == before:
                return ack

    def _send(self, kinds: Mapping[str, Description], sent: list[Tally]) -> Ack:
        ack = self._link.push(self._body(kinds, sent))
        self._ledger.settle(sent, ack)
        self._note(ack)
        for one in ack.refused:
            log.warning("máy chủ Sở không nhận %s: %s (%s)", _name(sent, one.index), one.reason, one.code)
        return ack

    def _body(self, kinds: Mapping[str, Description], sent: list[Tally]) -> bytes:
        """The batch as JSON; `sent` is cut to what fits."""
        waiting, parked = self._ledger.size()
        today = local_day(now())
        agent = AgentReport(
            id=agent_id(self._settings.token_file),
            version=__version__,
            sent_at=now(),
            waiting=waiting,
            parked=parked,
        )
        sources = [self._report(source, kinds[source.name], today) for source in self._settings.sources]
        head = Push(agent=agent, sources=sources, tallies=[]).model_dump(mode="json", by_alias=True)
        room = MAX_BYTES - len(json.dumps(head, ensure_ascii=False).encode()) - 1024
        rows: list[dict[str, Any]] = []
        for tally in sent:
            row = {**tally.key._asdict(), "day": str(tally.key.day), "revision": tally.revision, "counts": tally.counts}
            room -= len(json.dumps(row)) + 2
            if room < 0 and rows:
                break
            rows.append(row)
        del sent[len(rows) :]
        return json.dumps({**head, "tallies": rows}, ensure_ascii=False).encode()

    def _report(self, source: Source, kind: Description, today: date) -> SourceReport:
        health = self._sources.health(source.name)
        unmapped = self._sources.unmapped(source.name, today)
        return SourceReport(
            name=source.name,
            kind=source.config.kind,
            role=source.role,
            part=source.part,
            cadence=source.config.cadence,
            from_=source.first_day,
            facilities=list(source.config.serves),
            measures=list(kind.measures),
            ok=health.ok,
            read_at=health.read_at,
            newest_day=self._ledger.newest_days(source.name),
            since=health.since,
            error=health.error and health.error[:MAX_ERROR],
            failed=sorted(health.failed),
            unmapped=self._sources.unmapped_to_tell(source.name, today),
            unmapped_cases={
                facility: {measure: sum(values.values()) for measure, values in measures.items()}
                for facility, measures in unmapped.items()
            },
        )

    def _note(self, ack: Ack) -> None:
        """Follow a store that is another than before."""
        before = self._disk.state("store_id", str)
        if before != ack.store_id:
            if before is not None:
                log.warning("kho của máy chủ Sở đã được phục hồi: gửi lại toàn bộ sổ")
                self._ledger.offer_all()
                self._ledger.retry_refused()
            self._disk.set_state("store_id", ack.store_id)
        self._disk.set_state("last_ack", now().isoformat())
        if self._link.certificate_until:
            self._disk.set_state("certificate_until", self._link.certificate_until.isoformat())

    def _fetch_catalogue(self, digest: str) -> None:
        fetched = _Fetched(digest=digest, catalogue=self._link.catalogue())
        target = _catalogue_file(self._settings)
        fresh = target.with_suffix(".new")
        try:
            fresh.write_text(fetched.model_dump_json(), "utf-8")
            fresh.replace(target)
        except OSError:
            raise StorageError(f"không ghi được {target}: hết chỗ, hoặc không có quyền ghi") from None
        self._ledger.retry_refused()
        log.info("đã nhận danh mục mới từ máy chủ Sở")

    def reconcile(self, today: date) -> None:
        """Compare digests month by month and offer again what differs; two nights in a row are reported."""
        self._ledger.retry_refused()
        nights: dict[str, int] = self._disk.state("differing", json.loads) or {}
        still: dict[str, int] = {}
        with self._lock:
            differing = list(self._differing(today))
        self._ledger.offer_months((one.source, one.facility, one.measure, one.month) for one in differing)
        for one in differing:
            name = f"{one.facility} {one.source} {one.measure} {one.month}"
            still[name] = nights.get(name, 0) + 1
            if still[name] >= 2:
                log.warning("số liệu lệch với máy chủ Sở %d đêm liền: %s", still[name], name)
        self._disk.set_state("differing", json.dumps(still))

    def _differing(self, today: date) -> Iterator[MonthDigest]:
        """The months whose days held here are not the same at the collector."""
        ours = [month for source in self._settings.sources for month in self._ledger.digests(source.name)]
        if not ours:
            return
        theirs = set(self._link.digests(min(days.first for _, days in ours), today))
        asked: dict[DayRange, set[MonthDigest]] = {}
        for month, days in ours:
            if month in theirs:
                continue
            # The collector may hold more days of that month than this ledger: only the days held here are compared.
            if days not in asked:
                asked[days] = set(self._link.digests(days.first, days.last))
            if month not in asked[days]:
                yield month


def agent_id(token_file: Path) -> str:
    """The id that the collector gave this agent: the part of the token before its first dot."""
    return read_token(token_file).partition(".")[0]


class _Fetched(BaseModel):
    """A catalogue under the digest by which the collector names it: a newer one may hold more than is kept here."""

    digest: str
    catalogue: Catalogue


def known_catalogue(settings: Settings) -> Catalogue:
    """The catalogue last fetched from the collector, else the one that was installed."""
    return _known(settings).catalogue


def _known(settings: Settings) -> _Fetched:
    file = _catalogue_file(settings)
    try:
        found = file.stat()
        return _read(file, (found.st_ino, found.st_mtime_ns, found.st_size))
    except OSError:
        return _read(file, None)


@lru_cache(maxsize=1)
def _read(file: Path, version: tuple[int, ...] | None) -> _Fetched:
    """`file` as it is in this `version`: asked for with every poll and push, and read once."""
    try:
        return _Fetched.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        shipped = catalogue.load()  # none, or half a file: it is fetched with the next ack that names another
        return _Fetched(digest=shipped.digest, catalogue=shipped)


def _catalogue_file(settings: Settings) -> Path:
    return settings.data_dir / "catalogue.json"


def _name(sent: Sequence[Tally], position: int) -> str:
    if position >= len(sent):
        return "?"
    key = sent[position].key
    return f"{key.facility} {key.source} {key.measure} {key.day}"
