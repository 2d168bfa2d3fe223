"""Sources that are due together share a reader, and none of them waits for one that is stuck."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from agent.reader import Done, Slice
from agent.reads import Readers, StoppedError
from agent.settings import load
from contract.adapter import SourceConfig
from contract.catalogue import load as shipped
from contract.days import DayRange
from contract.errors import ConfigError, NhipsoError, SourceUnavailableError
from tests.hospital import Hospital, HungServer, readers_of

pytestmark = pytest.mark.slow
DAY = date(2026, 11, 20)
SLICES = (Slice(DayRange(DAY, DAY), ("checkins",)),)
CATALOGUE = shipped()


@pytest.fixture
def hung() -> Iterator[HungServer]:
    with HungServer() as server:
        yield server


@pytest.fixture
def source(tmp_path: Path) -> SourceConfig:
    return load(Hospital(tmp_path).config).sources[0].config


def stuck(source: SourceConfig, server: HungServer, seconds: float = 60) -> SourceConfig:
    """A source of a server that never says a word."""
    file = source.directory / "hung.url"
    file.write_text(f"postgresql://u@127.0.0.1:{server.port}/his")
    return replace(source, timeout_seconds=seconds, options={**source.options, "database_file": str(file)})


class Reading(threading.Thread):
    """A read in a thread of its own, as the schedule does it."""

    def __init__(self, readers: Readers, source: SourceConfig) -> None:
        super().__init__()
        self._readers, self._source = readers, source
        self.done = False
        self.error: NhipsoError | None = None
        self.start()

    def run(self) -> None:
        try:
            self.done = any(
                [isinstance(one, Done) for one in self._readers.read(self._source, CATALOGUE, SLICES, None)]
            )
        except NhipsoError as error:
            self.error = error


def seen_until_done(*readings: Reading) -> set[int]:
    """The readers that ran meanwhile."""
    seen = set()
    while any(one.is_alive() for one in readings):
        seen |= set(readers_of(os.getpid()))
    return seen


def until(condition: Callable[[], object]) -> None:
    while not condition():
        time.sleep(0.01)


def test_a_reader_goes_on_to_the_sources_that_wait_and_ends_when_none_does(source: SourceConfig) -> None:
    readers = Readers(patience=60)
    first = readers.read(source, CATALOGUE, SLICES, None)
    next(first)
    [reader] = readers_of(os.getpid())
    others = [Reading(readers, source) for _ in range(2)]
    until(lambda: readers._waiting == 2)
    list(first)
    assert seen_until_done(*others) <= {reader}
    assert [one.done for one in others] == [True, True]
    assert readers_of(os.getpid()) == []


def test_sources_whose_driver_is_told_otherwise_share_no_reader(source: SourceConfig) -> None:
    readers = Readers(patience=60)
    first = readers.read(source, CATALOGUE, SLICES, None)
    next(first)
    [reader] = readers_of(os.getpid())
    other = Reading(readers, replace(source, options={**source.options, "oracle_client": "instantclient"}))
    until(lambda: readers._waiting)
    list(first)
    seen = seen_until_done(other) - {reader}
    assert seen
    assert isinstance(other.error, ConfigError)  # its database is none of Oracle's


def test_a_source_that_is_away_leaves_its_reader_to_the_next(source: SourceConfig, hung: HungServer) -> None:
    readers = Readers(patience=60)
    away = Reading(readers, stuck(source, hung, seconds=1))
    until(lambda: readers_of(os.getpid()))
    other = Reading(readers, source)
    assert len(seen_until_done(away, other)) == 1
    assert isinstance(away.error, SourceUnavailableError)
    assert other.done


def test_a_source_does_not_wait_for_a_reader_that_is_stuck(source: SourceConfig, hung: HungServer) -> None:
    readers = Readers(patience=0.5)
    first = Reading(readers, stuck(source, hung))
    until(lambda: readers_of(os.getpid()))
    other = Reading(readers, source)
    other.join()
    assert other.done
    assert first.is_alive()
    readers.stop()
    first.join()


def test_a_reader_whose_read_is_broken_off_is_left_to_nobody(source: SourceConfig) -> None:
    readers = Readers(patience=60)
    first = readers.read(source, CATALOGUE, SLICES, None)
    next(first)
    [reader] = readers_of(os.getpid())
    other = Reading(readers, source)
    until(lambda: readers._waiting)
    del first  # what was read could not be recorded
    seen = seen_until_done(other)
    assert seen and reader not in seen
    assert other.done


def test_those_who_wait_for_a_reader_are_told_when_the_agent_stops(source: SourceConfig, hung: HungServer) -> None:
    readers = Readers(patience=60)
    both = [Reading(readers, stuck(source, hung)) for _ in range(2)]
    until(lambda: readers._waiting and readers_of(os.getpid()))
    readers.stop()
    for one in both:
        one.join(5)
    assert [one.is_alive() for one in both] == [False, False]
    assert [type(one.error) for one in both] == [StoppedError, StoppedError]
