"""The agent's side of the reader: start it, take its messages, kill it when one is overdue."""

import math
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from agent import reader
from agent.reader import Described, Description, Done, End, Failed, Job, Message, Slice, Step
from contract.adapter import SourceConfig
from contract.catalogue import Catalogue
from contract.errors import ConfigError, NhipsoError, SourceChangedError, SourceUnavailableError

# A reader first imports its driver: on an old office PC that alone may take seconds.
START_SECONDS = 15.0
# So long a source waits for the reader of another, rather than have one started for itself alone.
PATIENCE = 10.0


class StoppedError(NhipsoError):
    """The read was cut off because the agent itself is ending: says nothing about the source."""


class Readers:
    """The readers of one agent; `stop` ends those that run and lets no other begin.

    A reader that is done goes on to the next source that waits. One that is stuck, or slow, keeps nobody: others begin
    with one of their own when their patience is at its end.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        """`patience`: seconds that a source waits for the reader of another."""
        self._patience = patience
        self._turn = threading.Condition()
        self._waiting = 0
        self._running: dict[subprocess.Popen[bytes], list[object]] = {}
        """Each with what its driver has been told."""
        self._free: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def stop(self) -> None:
        """Kill every running reader: the agent is about to end."""
        with self._turn:
            self._stopping = True
            for process in self._running:
                process.kill()
            self._turn.notify_all()

    def describe(self, sources: Sequence[SourceConfig], catalogue: Catalogue) -> dict[str, Description | ConfigError]:
        """What each source's kind says of it. Raises SourceUnavailableError when the reader itself does not work."""
        for message in self._messages(Job("describe", tuple(sources), catalogue), START_SECONDS):
            if isinstance(message, Described):
                return dict(message.sources)
            if isinstance(message, Failed):
                raise message.error
        raise SourceUnavailableError("bộ đọc kết thúc mà không trả lời")

    def read(
        self,
        source: SourceConfig,
        catalogue: Catalogue,
        slices: Sequence[Slice],
        ledger: Path | None,
        check: bool = False,
    ) -> Iterator[Step | Done]:
        """The steps of a read as they come; earlier ones stand when a later one does not come.

        `check`: probe first, so that a person hears soon and clearly what is wrong.

        Raises SourceError, ConfigError when a file that agent.toml names has changed, StoppedError.
        """
        job = Job("check" if check else "read", (source,), catalogue, tuple(slices), ledger)
        error = None
        for message in self._messages(job, source.timeout_seconds):
            if isinstance(message, Failed):
                error = message.error  # the last that it says; raised when its reader is free for another source
            elif isinstance(message, Step | Done):
                yield message
        if error:
            raise error

    def _messages(self, job: Job, seconds: float) -> Iterator[Message]:
        """Run a job; each message must come within `seconds` of the one before (the first: and the start)."""
        process = self._take([source.driver for source in job.sources])
        assert process.stdin and process.stdout
        limit, is_whole = _Limit(process, START_SECONDS + seconds), False
        try:
            pickle.dump(job, process.stdin)
            process.stdin.flush()  # and stays open: its end tells the reader that the agent is gone
            while not is_whole:
                message: Message = pickle.load(process.stdout)  # noqa: S301 (our own child)  # nosec B301
                limit.lift()
                if not (is_whole := isinstance(message, End)):
                    yield message
                    limit.set(seconds + 2)  # the adapter's own time limit comes first and says more
        except (EOFError, pickle.UnpicklingError, OSError):
            if self._stopping:
                raise StoppedError("agent đang dừng") from None
            if limit.overdue:
                raise SourceUnavailableError(f"nguồn không trả lời trong {seconds:g} giây") from None
            raise SourceChangedError("bộ đọc bị dừng giữa chừng (trình điều khiển lỗi?)") from None
        finally:
            limit.end()
            self._leave(process, is_whole)

    def _take(self, driver: list[object]) -> "subprocess.Popen[bytes]":
        """A reader: the one that another source leaves within our patience, else a new one. Raises StoppedError."""
        with self._turn:
            self._waiting += 1
            self._turn.wait_for(lambda: self._free or not self._running or self._stopping, self._patience)
            self._waiting -= 1
            if self._stopping:
                raise StoppedError("agent đang dừng")
            process, self._free = self._free, None
            if process and self._running[process] != driver:
                self._end(process)
                process = None
            process = process or _start()
            self._running[process] = driver
        return process

    def _leave(self, process: "subprocess.Popen[bytes]", is_whole: bool) -> None:
        """Leave a reader to a source that waits; without one, or with its job not done (`is_whole`), end it."""
        with self._turn:
            if is_whole and self._waiting and not self._stopping:
                self._free = process
            else:
                self._end(process)
            self._turn.notify()

    def _end(self, process: "subprocess.Popen[bytes]") -> None:
        del self._running[process]
        process.kill()
        _close(process)


class _Limit:
    """Kills a reader whose next message is overdue."""

    def __init__(self, process: "subprocess.Popen[bytes]", seconds: float) -> None:
        self.overdue = False
        self._process = process
        self._ended = threading.Event()
        self.set(seconds)
        threading.Thread(target=self._watch, daemon=True).start()

    def set(self, seconds: float) -> None:
        """The next message must come within `seconds`."""
        self._due = time.monotonic() + seconds

    def lift(self) -> None:
        """No message is awaited now."""
        self._due = math.inf

    def end(self) -> None:
        """Watch no more."""
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(min(1.0, max(0.0, self._due - time.monotonic()))):
            if time.monotonic() >= self._due:
                self.overdue = True
                self._process.kill()
                return


def _start() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        # Not `-m`: messages must be pickled as classes of agent.reader, not of __main__.
        # Without garbage collection, since what an import makes stays: a tenth of a reader's time.
        [sys.executable, "-c", f"import gc; gc.disable(); from {reader.__name__} import main; main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=Path(reader.__file__).parent.parent,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def _close(process: "subprocess.Popen[bytes]") -> None:
    for pipe in (process.stdin, process.stdout):
        try:
            if pipe:
                pipe.close()
        except OSError:
            pass  # what could not be written to a reader that is gone
    process.wait()
