"""An agent in this process, for faults that need another clock or another past; collector and ledger are the real ones.

Time is passed in. The line is a function call that may break before or after the collector has committed.
"""

import shutil
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, Literal, cast

from agent import reader
from agent.disk import Disk
from agent.ledger import Ledger
from agent.poll import Poller, Wish
from agent.pusher import Pusher
from agent.reader import Described, Description, Job
from agent.reads import Readers
from agent.settings import Settings, load
from collector import api, ingest
from collector.access import Speaker
from collector.store import tallies
from contract.catalogue import Catalogue
from contract.days import LOCAL, DayRange, local_day
from contract.errors import AwayError, CollectorUnavailableError
from contract.tally import Ack, Key, MonthDigest, Push
from tests.faults.hospital import Hospital
from tests.faults.oracle import Difference, Oracle, Stored
from tests.faults.truth import Truth
from tests.office import CATALOGUE, Office

Break = Literal["before", "after"]
"""The line breaks before the collector has committed, or after it, when the answer is lost."""


class InPlace(Readers):
    """Reads without starting a process."""

    def _messages(self, job: Job, seconds: float) -> Iterator[reader.Message]:
        return reader.work(job)


class Line:
    """What an agent has for a `Link`: a line to an Office. `breaks`: what befalls the next pushes, in order."""

    def __init__(self, office: Office, speaker: Speaker, moment: datetime) -> None:
        """`moment`: the collector's time."""
        self.certificate_until = None
        self.breaks: deque[Break | None] = deque()
        self.is_cut = False
        self.sent: list[list[Key]] = []
        """The keys of each push that the collector took."""
        self.bodies: list[bytes] = []
        self.moment = moment
        self._office = office
        self._speaker = speaker

    def push(self, body: bytes) -> Ack:
        """As `Link.push`."""
        fate = "before" if self.is_cut else self.breaks.popleft() if self.breaks else None
        if fate == "before":
            raise CollectorUnavailableError("không tới được")
        try:
            ack = self.deliver(body)
        except AwayError as error:
            raise CollectorUnavailableError("HTTP 503", error.retry_after) from None
        if fate == "after":
            raise CollectorUnavailableError("mất câu trả lời")
        return ack

    def deliver(self, body: bytes) -> Ack:
        """The collector takes a push, perhaps one that it has had before."""
        push = Push.model_validate_json(body)
        self.bodies.append(body)
        ack = ingest.take(self._office.store, self._speaker, push, self._office.catalogue, self.moment)
        self.sent.append(
            [Key(t["facility"], t["source"], t["measure"], date.fromisoformat(t["day"])) for t in push.tallies]
        )
        return ack

    def catalogue(self) -> Catalogue:
        """As `Link.catalogue`."""
        return self._office.catalogue

    def digests(self, first: date, last: date) -> list[MonthDigest]:
        """As `Link.digests`."""
        if self.is_cut:
            raise CollectorUnavailableError("không tới được")
        parts = cast(Any, SimpleNamespace(store=self._office.store))
        return api.get_digests(parts, self._speaker, first, last).months

    def close(self) -> None:
        """As `Link.close`."""


class Site:
    """A hospital with its agent, enrolled at `office`; `today`: the first day of its history is a week before."""

    def __init__(self, directory: Path, office: Office, today: date, facility: str = "12001") -> None:
        self.directory = directory
        self.office = office
        self.truth = Truth()
        self.oracle = Oracle(self.truth)
        self.random = Random(facility)
        self.hospital = Hospital(directory / facility, [facility], "http://127.0.0.1:9", self.truth, today)
        token = office.enrol(facility, at=self.at(today))
        self.hospital.token.write_text(token)
        self.line = Line(office, office.access.speaker(token, self.at(today)), self.at(today))
        self.settings: Settings = load(self.hospital.config)
        self.kinds = _kinds(self.settings)
        self.start()

    @staticmethod
    def at(day: date, hour: int = 12) -> datetime:
        """A moment of `day`."""
        return datetime(day.year, day.month, day.day, hour, tzinfo=LOCAL)

    def start(self) -> None:
        """The agent starts, on whatever ledger there is."""
        self.disk = Disk(self.hospital.ledger, self.line.moment)
        self.ledger = Ledger(self.disk)
        self.poller = Poller(self.settings, self.disk, InPlace())
        self.pusher = Pusher(self.settings, self.disk, cast(Any, self.line))

    def close(self) -> None:
        """The agent ends."""
        self.disk.close()

    def configure(self, old: str, new: str) -> None:
        """Somebody writes `new` for `old` in agent.toml and starts the agent again."""
        text = self.hospital.config.read_text("utf-8")
        assert old in text
        self.hospital.config.write_text(text.replace(old, new), "utf-8")
        self.close()
        self.settings = load(self.hospital.config)
        self.kinds = _kinds(self.settings)
        self.start()

    def keep_ledger(self, copy: Path) -> None:
        """Copy the ledger as a backup of the machine would, while the agent is off."""
        self.close()
        shutil.copy(self.hospital.ledger, copy)
        self.start()

    def put_ledger(self, copy: Path | None) -> None:
        """The machine is restored from a backup, or, for None, installed anew."""
        self.close()
        for file in self.hospital.ledger.parent.glob(f"{self.hospital.ledger.name}*"):
            file.unlink()
        if copy:
            shutil.copy(copy, self.hospital.ledger)
        self.start()

    def change(self, days: DayRange) -> None:
        """Something happens in each source on some of `days`."""
        self.hospital.change_all(self.random, days)

    def poll(self, moment: datetime, deep: bool = False) -> bool:
        """Read every source; whether all answered."""
        answers = [
            self.poller.poll(source, self.kinds[source.name], CATALOGUE, moment, Wish(deep=deep)).ok
            for source in self.settings.sources
        ]
        return all(answers)

    def push(self, moment: datetime) -> None:
        """Push all that waits; days that the collector knows otherwise are read and pushed. Raises PushError."""
        self.line.moment = moment
        self.pusher.push(self.kinds)
        if any(self.ledger.unsettled(source.name) for source in self.settings.sources):
            self.poll(moment)
            self.pusher.push(self.kinds)

    def night(self, moment: datetime) -> None:
        """What the agent does at night. Raises PushError."""
        self.poll(moment, deep=True)
        self.push(moment)
        self.pusher.reconcile(local_day(moment))
        self.poll(moment)
        self.push(moment)

    def stored(self) -> list[Stored]:
        """What the collector has of this hospital."""
        facility = self.settings.facilities
        with self.office.store.read() as connection:
            of = {one.id: one for one in tallies.sources(connection, facility)}
            rows = tallies.between(connection, of.values(), date.min, date.max)
        return [
            Stored(Key(of[r.source].facility, of[r.source].name, r.measure, r.day), r.revision, r.by_category)
            for r in rows
        ]

    def wrong(self) -> list[Difference]:
        """Where the collector does not say what the sources say."""
        return self.oracle.differences(self.stored())


def _kinds(settings: Settings) -> dict[str, Description]:
    job = Job("describe", tuple(source.config for source in settings.sources), CATALOGUE)
    [described] = reader.work(job)
    assert isinstance(described, Described)
    return {name: one for name, one in described.sources.items() if isinstance(one, Description)}


def roll_back(office: Office, copy: Path) -> None:
    """The collector's machine returns to a snapshot: the same store id, and nobody is told."""
    file = Path(office.url.removeprefix("sqlite:///"))
    office.store.close()
    for one in file.parent.glob(f"{file.name}-*"):
        one.unlink()
    shutil.copy(copy, file)


def snapshot(office: Office, copy: Path) -> None:
    """Copy the collector's file, whole."""
    with closing(office.store.engine.raw_connection()) as connection:
        connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(Path(office.url.removeprefix("sqlite:///")), copy)
