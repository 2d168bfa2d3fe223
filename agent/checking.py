"""`check` and `status`: what would be sent, and how things stand, for hospital IT people and for scripts."""

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.app import LEDGER, Agent, start
from agent.disk import Disk
from agent.ledger import Ledger
from agent.link import warnings
from agent.poll import Wish
from agent.settings import Settings, Source
from agent.sources import Sources
from contract.days import DayRange, local_day, now
from contract.errors import ConfigError, StorageError
from contract.tally import Tally


def check(settings: Settings, directory: Path) -> list[dict[str, Any]]:
    """Probe every source and read its last days into a copy of the ledger in `directory`; leaves no trace elsewhere.

    Returns the `sources` of contract.md ("check"). Raises ConfigError.
    """
    ledger = directory / LEDGER
    agent = start(settings, now(), lambda: _copy(settings.data_dir / LEDGER, ledger) or Disk(ledger, now()))
    try:
        return [_check_one(agent, source) for source in settings.sources]
    finally:
        agent.close()


def _check_one(agent: Agent, source: Source) -> dict[str, Any]:
    today = local_day(now())
    span = DayRange.ending(today, agent.settings.reread_days + 1)
    started = now()
    health = agent.poll(source, Wish(span=span, check=True))
    unmapped: dict[str, dict[str, int]] = {}
    for measures in agent.sources.unmapped(source.name, today).values():
        for measure, values in measures.items():
            for value, cases in values.items():
                of_measure = unmapped.setdefault(measure, {})
                of_measure[value] = of_measure.get(value, 0) + cases
    return {
        "name": source.name,
        "kind": source.config.kind,
        "ok": health.ok,
        "error": health.error,
        "seconds": round((now() - started).total_seconds(), 3),
        "tallies": [_plain(tally) for tally in agent.ledger.tallies(source.name, span)],
        "unmapped": unmapped,
        "strangers": dict(health.strangers),
        "problems": agent.sources.problems(source.name),
        "query_seconds": {measure: round(seconds, 3) for measure, seconds in health.seconds.items()},
    }


def status(settings: Settings, directory: Path) -> dict[str, Any]:
    """Ledger, sources, last ack, refused tallies, unmapped values, from a copy of the ledger in `directory`.

    Raises ConfigError when there is no ledger yet, StorageError when it is damaged.
    """
    ledger_file = settings.data_dir / LEDGER
    if not ledger_file.exists():
        raise ConfigError(f"{ledger_file}: chưa có sổ; agent chưa chạy lần nào")
    disk = _copy(ledger_file, directory / LEDGER)
    if disk is None:
        raise StorageError(f"{ledger_file}: sổ bị hỏng; khi chạy, agent sẽ cất nó đi và đọc lại nguồn từ đầu")
    ledger, sources, today = Ledger(disk), Sources(disk), local_day(now())
    waiting, parked = ledger.size()
    report = {
        "waiting": waiting,
        "parked": parked,
        **{name: disk.state(name, str) for name in ("last_ack", "store_id", "nightly_at")},
        "push_failure": disk.state("push_failure", json.loads),
        "warnings": warnings(settings, disk.state("certificate_until", datetime.fromisoformat), now()),
        "differing": disk.state("differing", json.loads) or {},
        "damaged_ledgers": sorted(str(file) for file in settings.data_dir.glob(f"{LEDGER}.damaged-*")),
        "sources": [_source_status(ledger, sources, source) for source in settings.sources],
        "refused": [
            {**one.key._asdict(), "day": str(one.key.day), "code": one.code, "reason": one.reason}
            for one in ledger.parked()
        ],
        "unmapped": {source.name: sources.unmapped(source.name, today) for source in settings.sources},
    }
    disk.close()
    return report


def _source_status(ledger: Ledger, sources: Sources, source: Source) -> dict[str, Any]:
    health = sources.health(source.name)
    return {
        "name": source.name,
        "kind": source.config.kind,
        "ok": health.ok,
        "read_at": health.read_at and health.read_at.isoformat(),
        "since": health.since and health.since.isoformat(),
        "error": health.error,
        "failed": dict(health.failed),
        "strangers": dict(health.strangers),
        "problems": sources.problems(source.name),
        "newest_day": {place: str(day) for place, day in ledger.newest_days(source.name).items()},
    }


def _plain(tally: Tally) -> dict[str, Any]:
    return {
        "facility": tally.key.facility,
        "measure": tally.key.measure,
        "day": str(tally.key.day),
        "counts": dict(tally.counts),
    }


def _copy(ledger: Path, target: Path) -> Disk | None:
    """A copy to work on, also while the service writes to the original, with nothing left beside it; None: damaged."""
    if ledger.with_name(f"{ledger.name}-wal").exists():
        try:
            with (
                closing(sqlite3.connect(f"{ledger.absolute().as_uri()}?mode=ro", uri=True, timeout=10)) as original,
                closing(sqlite3.connect(target)) as copy,
            ):
                original.backup(copy)
        except sqlite3.Error:
            target.unlink(missing_ok=True)
            return None
    elif ledger.exists():
        # Nobody has it open, and SQLite itself would leave its own files beside one that it opens to read only.
        shutil.copyfile(ledger, target)
    disk = Disk(target, now())
    if disk.quarantined:
        disk.close()
        target.unlink()
        return None
    return disk
