"""Any interleaving of changes, pushes, losses, retries, restarts and restores ends with what the source said last."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.store.backup import backup, restore
from contract.days import local_day, now
from contract.errors import CollectorUnavailableError
from tests.faults import MEMORY
from tests.faults.hospital import changing
from tests.faults.site import Break, Site, roll_back, snapshot
from tests.office import Office

TODAY = local_day(now())
NOON = Site.at(TODAY)
ACTIONS: dict[str, Callable[["Life"], object]] = {
    "the source changes": lambda life: life.change(),
    "all goes well for a while": lambda life: life.work(),
    "the agent reads": lambda life: life.site.poll(NOON),
    "the agent reads deep": lambda life: life.site.poll(NOON, deep=True),
    "it pushes": lambda life: life.push(),
    "it pushes, the request is lost": lambda life: life.push("before"),
    "it pushes, the answer is lost": lambda life: life.push("after"),
    "an old push arrives once more": lambda life: life.replay(),
    "the agent starts again": lambda life: life.restart(),
    "night": lambda life: life.night(),
    "the ledger is backed up": lambda life: life.keep_ledger(),
    "the ledger is restored": lambda life: life.site.put_ledger(life.ledger_copy),
    "the agent is installed anew": lambda life: life.site.put_ledger(None),
    "the collector is backed up": lambda life: life.keep_store(),
    "the collector is restored": lambda life: life.restore(),
    "the collector's machine is rolled back": lambda life: life.roll_back(),
}
# Those in which nobody forgets anything: they must end well without a night.
HARMLESS = list(ACTIONS)[:9]


class Life:
    """What a list of actions is done to."""

    site: Site

    def __init__(self, directory: Path) -> None:
        self._office = Office(f"sqlite:///{directory / 'store.sqlite'}", directory)
        self.site = Site(directory, self._office, TODAY)
        self.ledger_copy: Path | None = None
        self._backups: list[Path] = []
        self._snapshot: Path | None = None
        self._names = (directory / f"copy{number}" for number in itertools.count())

    def change(self) -> None:
        for _ in range(4):
            self.site.change(changing(TODAY))

    def work(self) -> None:
        self.change()
        self.site.poll(NOON)
        self.push()

    def push(self, fate: Break | None = None) -> None:
        self.site.line.breaks.append(fate)
        with suppress(CollectorUnavailableError):
            self.site.push(NOON)
        self.site.line.breaks.clear()

    def replay(self) -> None:
        if self.site.line.bodies:
            self.site.line.deliver(self.site.line.bodies[len(self.site.line.bodies) // 2])

    def restart(self) -> None:
        self.site.close()
        self.site.start()

    def night(self) -> None:
        self.site.night(NOON)

    def keep_ledger(self) -> None:
        self.ledger_copy = next(self._names)
        self.site.keep_ledger(self.ledger_copy)

    def keep_store(self) -> None:
        self._backups.append(next(self._names))
        backup(self._office.store, self._backups[-1])
        self._snapshot = next(self._names)
        snapshot(self._office, self._snapshot)

    def restore(self) -> None:
        if self._backups:
            restore(self._office.store, self._backups[-1])

    def roll_back(self) -> None:
        if self._snapshot:
            roll_back(self._office, self._snapshot)

    def close(self) -> None:
        self.site.close()
        self._office.store.close()


@contextmanager
def lived(actions: list[str]) -> Iterator[Site]:
    with TemporaryDirectory(prefix="nhipso-life-", dir=MEMORY) as directory, closing(Life(Path(directory))) as life:
        for action in actions:
            ACTIONS[action](life)
            assert life.site.oracle.invented(life.site.stored()) == 0
        yield life.site


def some(actions: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(actions), min_size=6, max_size=20)


@pytest.mark.slow
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(actions=some(HARMLESS))
def test_changes_losses_retries_and_restarts_end_with_what_the_source_said_last(actions: list[str]) -> None:
    with lived(actions) as site:
        site.poll(NOON)
        site.push(NOON)
        assert site.wrong() == []


@pytest.mark.slow
@settings(max_examples=35, deadline=None, suppress_health_check=list(HealthCheck))
@given(actions=some(list(ACTIONS)))
def test_machines_that_return_to_an_older_state_agree_again_after_a_night(actions: list[str]) -> None:
    with lived(actions) as site:
        site.night(NOON)
        assert site.wrong() == []
        assert site.ledger.size() == (0, 0)
