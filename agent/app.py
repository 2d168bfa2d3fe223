"""Wiring: one agent put together from its settings, and the things its commands ask of it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from agent import reads
from agent.disk import Disk
from agent.ledger import Ledger
from agent.link import Link
from agent.poll import Poller, Wish
from agent.pusher import Pusher, known_catalogue
from agent.reader import Description
from agent.settings import Settings, Source, two_owners
from agent.sources import Health, Sources
from contract.catalogue import Catalogue
from contract.days import local_day, now
from contract.errors import ConfigError

LEDGER = "ledger.sqlite"
log = logging.getLogger(__name__)


@dataclass
class Agent:
    """An agent that is ready to poll and push."""

    settings: Settings
    disk: Disk
    ledger: Ledger
    sources: Sources
    kinds: dict[str, Description]
    poller: Poller
    pusher: Pusher

    def poll(self, source: Source, wish: Wish | None = None) -> Health:
        """One poll of one source, now. Raises StorageError."""
        return self.poller.poll(source, self.kinds[source.name], known_catalogue(self.settings), now(), wish)

    def round(self, wish: Wish | None = None) -> bool:
        """Poll every source and push; days that the collector knows otherwise are read once more and pushed.

        Returns whether every source answered. Raises PushError, StorageError.
        """
        answered = [self.poll(source, wish).ok for source in self.settings.sources]
        self.pusher.push(self.kinds)
        unsettled = [source for source in self.settings.sources if self.ledger.unsettled(source.name)]
        if unsettled:
            for source in unsettled:
                self.poll(source, wish)
            self.pusher.push(self.kinds)
        return all(answered)

    def nightly(self) -> None:
        """The deep re-read, the reconcile, the pruning. Raises PushError, StorageError."""
        for source in self.settings.sources:
            self.poll(source, Wish(deep=True))
        self.pusher.reconcile(local_day(now()))
        self.round()
        self.ledger.prune(local_day(now()))
        self.disk.set_state("nightly_at", now().isoformat())

    def close(self) -> None:
        """Release the file."""
        self.disk.close()


def describe(settings: Settings, catalogue: Catalogue) -> dict[str, Description]:
    """What each source's kind says of it. Raises ConfigError with every problem of every source."""
    described = reads.describe([source.config for source in settings.sources], catalogue)
    problems = [
        f"{settings.file}: {problem}"
        for one in described.values()
        if isinstance(one, ConfigError)
        for problem in one.problems
    ]
    kinds = {name: one for name, one in described.items() if isinstance(one, Description)}
    counted = {
        source.name: (source, kinds[source.name].measures) for source in settings.sources if source.name in kinds
    }
    problems += two_owners(counted, settings.file)
    if problems:
        raise ConfigError(problems)
    return kinds


def start(settings: Settings, moment: datetime, open_disk: Callable[[], Disk] | None = None) -> Agent:
    """Open the ledger and check the whole configuration. Raises ConfigError, StorageError.

    A kind, vendor or database that changed under a known source name is refused until `from` says since when.
    """
    kinds = describe(settings, known_catalogue(settings))
    disk = open_disk() if open_disk else Disk(settings.data_dir / LEDGER, moment)
    if disk.quarantined:
        log.error("sổ của agent bị hỏng, đã cất tại %s; bắt đầu sổ mới và đọc lại nguồn", disk.quarantined)
    sources = Sources(disk)
    problems = []
    for source in settings.sources:
        identity, first_day = sources.identity(source.name)
        new = kinds[source.name].identity
        if identity not in (None, new) and source.first_day in (None, first_day):
            problems.append(
                f"{settings.file}: [sources.{source.name}]: hệ thống nguồn đã đổi (trước đây: {identity}; nay: {new}): "
                'thêm from = "yyyy-mm-dd", ngày đầu tiên của hệ thống mới, hoặc dùng tên nguồn khác'
            )
    if problems:
        disk.close()
        raise ConfigError(problems)
    for source in settings.sources:
        sources.set_identity(source.name, kinds[source.name].identity, source.first_day)
    return Agent(
        settings=settings,
        disk=disk,
        ledger=Ledger(disk),
        sources=sources,
        kinds=kinds,
        poller=Poller(settings, disk),
        pusher=Pusher(settings, disk, Link(settings)),
    )
