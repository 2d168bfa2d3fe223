"""The reader: a child process that imports adapters and drivers, does a job, hands back what it read, and ends.

The agent starts `main` in a process of its own, writes a Job to its standard input and takes messages from its
standard output, up to an End; sources that are due together are read by one reader, a Job after the other, because
importing is most of the work. It ends when its standard input does.
Pickle is the wire because both ends are this program, started by itself, under one account.
Whatever a driver prints is thrown away: it may quote cell values.
"""

import gc
import importlib
import os
import pickle
import sqlite3
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO, Literal

from contract.adapter import Adapter, Reading, SourceConfig
from contract.catalogue import Catalogue
from contract.days import DayRange
from contract.errors import ConfigError, NhipsoError, SourceChangedError


@dataclass(frozen=True, slots=True)
class Slice:
    """Days to read in one go, and which measures."""

    days: DayRange
    measures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """What a reader is asked to do: describe every source, or read the only one; `check` probes it first."""

    task: Literal["describe", "check", "read"]
    sources: tuple[SourceConfig, ...]
    catalogue: Catalogue
    slices: tuple[Slice, ...] = ()
    ledger: Path | None = None
    """Where a folder kind's index is, to be read only."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a source's kind says of itself."""

    measures: tuple[str, ...]
    identity: str
    silence_is_zero: bool
    explanations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Described:
    """The answer to `describe`: source → description, or the problems of its table."""

    sources: Mapping[str, Description | ConfigError]


@dataclass(frozen=True, slots=True)
class Ready:
    """The driver is loaded; from now on only the source is waited for."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of slice number `slice`."""

    slice: int
    reading: Reading


@dataclass(frozen=True, slots=True)
class Done:
    """Slice number `slice` is read to its end."""

    slice: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The job ended with this error."""

    error: NhipsoError


@dataclass(frozen=True, slots=True)
class End:
    """Nothing more is said of this job."""


Message = Described | Ready | Step | Done | Failed | End


class IndexMemory:
    """What a folder kind knows from before, from the agent's ledger file."""

    def __init__(self, ledger: Path | None, source: str) -> None:
        self._ledger = ledger
        self._source = source

    @cached_property
    def _key(self) -> bytes:
        if self._ledger is None:
            return os.urandom(32)
        with closing(self._open()) as connection:
            return bytes.fromhex(connection.execute("SELECT value FROM state WHERE name = 'hide_key'").fetchone()[0])

    def hide(self, text: str) -> bytes:
        """Keyed BLAKE2b, 16 bytes: without the key of this install nothing leads back, not even by guessing."""
        return blake2b(text.encode(), key=self._key, digest_size=16).digest()

    def files(self) -> Mapping[bytes, str]:
        """Hidden path → identity of the files known and not put away."""
        if self._ledger is None:
            return {}
        with closing(self._open()) as connection:
            rows = connection.execute("SELECT path, identity FROM file WHERE source = ? AND NOT away", (self._source,))
            return dict(rows.fetchall())

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{Path(str(self._ledger)).absolute().as_uri()}?mode=ro", uri=True, timeout=30)


def work(job: Job) -> Iterator[Message]:
    """Do the job. Never raises: an unforeseen error becomes a SourceChangedError that names its class only."""
    try:
        if job.task == "describe":
            yield Described({config.name: _describe(config, job.catalogue) for config in job.sources})
            return
        [config] = job.sources
        adapter = open_source(config, job.catalogue)
        gc.enable()  # `agent.reads` starts a reader without
        yield Ready()
        if job.task == "check":
            adapter.probe()
        for number, piece in enumerate(job.slices):
            for reading in adapter.read(piece.days, piece.measures, IndexMemory(job.ledger, config.name)):
                yield Step(number, reading)
            yield Done(number)
    except NhipsoError as error:
        yield Failed(error)
    except Exception as error:
        # The text may quote a cell, so only the class and the place in our own code are passed on.
        yield Failed(SourceChangedError(f"bộ đọc gặp lỗi chưa lường trước ({type(error).__name__}, {_place(error)})"))


def open_source(config: SourceConfig, catalogue: Catalogue) -> Adapter:
    """The adapter of `config.kind`. Raises ConfigError."""
    try:
        module = importlib.import_module(f"adapters.{config.kind}")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("adapters"):
            raise ConfigError(f"{config.place}: kind: không có loại nguồn “{config.kind}”") from None
        raise ConfigError(f"{config.place}: kind: thiếu thư viện {error.name} cho “{config.kind}”") from None
    adapter: Adapter = module.adapter(config, catalogue)
    return adapter


def _describe(config: SourceConfig, catalogue: Catalogue) -> Description | ConfigError:
    try:
        adapter = open_source(config, catalogue)
    except ConfigError as error:
        return error
    explanations = {measure: adapter.explain(measure) for measure in adapter.measures}
    return Description(adapter.measures, adapter.identity, adapter.silence_is_zero, explanations)


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"


def _listen(agent: BinaryIO, jobs: SimpleQueue[Job]) -> None:
    """Take jobs until the agent goes away, or has no more: then nobody is left to take what this process reads.

    A driver's threads or finalisers must not keep a finished reader alive.
    """
    try:
        while True:
            jobs.put(pickle.load(agent))  # noqa: S301 (our own parent)  # nosec B301
    except (EOFError, pickle.UnpicklingError, OSError):
        os._exit(0)


def main() -> None:
    """Run jobs between standard input and output."""
    answers = os.fdopen(os.dup(1), "wb")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    jobs: SimpleQueue[Job] = SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, jobs), daemon=True).start()
    while True:
        for message in chain(work(jobs.get()), [End()]):
            pickle.dump(message, answers)
            answers.flush()
