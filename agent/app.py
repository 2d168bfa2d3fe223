"""Wiring: one agent put together from its settings, and the things its commands ask of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from agent.disk import Disk
from agent.ledger import Ledger
from agent.link import Link, warnings
from agent.poll import Poller, Wish
from agent.pusher import Pusher, known_catalogue
from agent.reader import Description
from agent.reads import Readers
from agent.settings import Settings, Source, two_owners
from agent.sources import Health, Sources
from contract.catalogue import Catalogue
from contract.catalogue import load as shipped_catalogue
from contract.days import local_day, now
from contract.errors import ConfigError

LEDGER = "ledger.sqlite"


@dataclass
class Agent:
    """An agent that is ready to poll and push."""

    settings: Settings
    disk: Disk
    ledger: Ledger
    sources: Sources
    kinds: dict[str, Description]
    readers: Readers
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
        self._deliver(wish)
        return all(answered)

    def _deliver(self, wish: Wish | None = None) -> None:
        self.pusher.push(self.kinds)
        unsettled = [source for source in self.settings.sources if self.ledger.unsettled(source.name)]
        if unsettled:
            for source in unsettled:
                self.poll(source, replace(wish or Wish(), deep=False))
            self.pusher.push(self.kinds)

    def nightly(self, due: datetime) -> None:
        """The deep re-read, the reconcile, the pruning: what of it was not yet done since `due`.

        A source or a collector that is away is asked again at the next call; the others are not read again with it.
        Raises PushError, StorageError.
        """
        for source in self.settings.sources:
            deep, moment = f"deep {source.name}", now()
            if self._is_due(deep, due):
                health = self.poll(source, Wish(deep=True))
                if health.read_at and health.read_at >= moment:
                    self.disk.set_state(deep, moment.isoformat())
        if self._is_due("nightly_at", due):
            self.pusher.push(self.kinds)
            self.pusher.reconcile(local_day(now()))
            self._deliver()
            self.ledger.prune(local_day(now()))
            self.sources.prune(local_day(now()))
            self.disk.set_state("nightly_at", now().isoformat())

    def _is_due(self, what: str, due: datetime) -> bool:
        done = self.disk.state(what, datetime.fromisoformat)
        if done is None:
            self.disk.set_state(what, now().isoformat())  # the first read is deep already
            return False
        # A moment in the future was written under a wrong clock.
        return not due <= done <= now()

    def warnings(self) -> list[str]:
        """What hospital IT must be told before it hurts: no TLS, certificates that run out. Raises StorageError."""
        return warnings(self.settings, self.disk.state("certificate_until", datetime.fromisoformat), now())

    def close(self) -> None:
        """Release the connection to the collector and the file."""
        self.pusher.close()
        self.disk.close()


def describe(settings: Settings, catalogue: Catalogue) -> dict[str, Description]:
    """What each source's kind says of it. Raises ConfigError with every problem of every source."""
    kinds, problems = _described(settings.sources, catalogue, settings.file)
    if problems:
        raise ConfigError(problems)
    return kinds


def problems_of_kinds(sources: Sequence[Source], file: Path) -> list[str]:
    """What the kinds of these sources say against `file`."""
    return _described(sources, shipped_catalogue(), file)[1]


def _described(sources: Sequence[Source], catalogue: Catalogue, file: Path) -> tuple[dict[str, Description], list[str]]:
    described = Readers().describe([source.config for source in sources], catalogue)
    problems = [
        f"{file}: {problem}" for one in described.values() if isinstance(one, ConfigError) for problem in one.problems
    ]
    kinds = {name: one for name, one in described.items() if isinstance(one, Description)}
    counted = {source.name: (source, kinds[source.name].measures) for source in sources if source.name in kinds}
    return kinds, problems + two_owners(counted, file)


def start(settings: Settings, moment: datetime, open_disk: Callable[[], Disk] | None = None) -> Agent:
    """Open the ledger and check the whole configuration. Raises ConfigError, StorageError.

    A kind, vendor or database that changed under a known source name is refused until `from` says since when.
    """
    kinds = describe(settings, known_catalogue(settings))
    disk = open_disk() if open_disk else Disk(settings.data_dir / LEDGER, moment)
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
    readers = Readers()
    return Agent(
        settings=settings,
        disk=disk,
        ledger=Ledger(disk),
        sources=sources,
        kinds=kinds,
        readers=readers,
        poller=Poller(settings, disk, readers),
        pusher=Pusher(settings, disk, Link(settings)),
    )
