"""The agent's side of the reader: start it, take its messages, kill it when one is overdue."""

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from agent import reader
from agent.reader import Described, Description, Done, Failed, Job, Message, Slice, Step
from contract.adapter import SourceConfig
from contract.catalogue import Catalogue
from contract.errors import ConfigError, NhipsoError, SourceChangedError, SourceUnavailableError

# A reader first imports its driver: on an old office PC that alone may take seconds.
START_SECONDS = 15.0


_running: set["subprocess.Popen[bytes]"] = set()
_stopping = threading.Event()


class StoppedError(NhipsoError):
    """The read was cut off because the agent itself is ending: says nothing about the source."""


def stop_all() -> None:
    """Kill every running reader: the agent is about to end."""
    _stopping.set()
    for process in list(_running):
        process.kill()


def describe(sources: Sequence[SourceConfig], catalogue: Catalogue) -> dict[str, Description | ConfigError]:
    """What each source's kind says of it. Raises SourceUnavailableError when the reader itself does not work."""
    for message in _messages(Job("describe", tuple(sources), catalogue), START_SECONDS):
        if isinstance(message, Described):
            return dict(message.sources)
        if isinstance(message, Failed):
            raise message.error
    raise SourceUnavailableError("bộ đọc kết thúc mà không trả lời")


def probe(source: SourceConfig, catalogue: Catalogue) -> None:
    """Ask one source whether a read would work. Raises SourceError."""
    for message in _messages(Job("probe", (source,), catalogue), source.timeout_seconds):
        if isinstance(message, Failed):
            raise message.error


def read(
    source: SourceConfig, catalogue: Catalogue, slices: Sequence[Slice], ledger: Path | None
) -> Iterator[Step | Done]:
    """The steps of a read as they come. Raises SourceError at the first that does not; earlier ones stand."""
    job = Job("read", (source,), catalogue, tuple(slices), ledger)
    for message in _messages(job, source.timeout_seconds):
        if isinstance(message, Failed):
            raise message.error
        if isinstance(message, Step | Done):
            yield message


def _messages(job: Job, seconds: float) -> Iterator[Message]:
    """Run a reader; each message must come within `seconds` of the one before (the first: and the start)."""
    process = subprocess.Popen(
        # not `-m`: messages must be pickled as classes of agent.reader, not of __main__
        [sys.executable, "-c", f"from {reader.__name__} import main; main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=Path(reader.__file__).parent.parent,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdin and process.stdout
    _running.add(process)
    overdue = threading.Event()

    def kill() -> None:
        overdue.set()
        process.kill()

    wait = START_SECONDS + seconds
    try:
        pickle.dump(job, process.stdin)
        process.stdin.flush()  # and stays open: its end tells the reader that the agent is gone
        while True:
            timer = threading.Timer(wait, kill)
            timer.daemon = True
            timer.start()
            try:
                message: Message = pickle.load(process.stdout)  # noqa: S301 (our own child)
            finally:
                timer.cancel()
            yield message
            wait = seconds + 2  # the adapter's own time limit comes first and says more
    except (EOFError, pickle.UnpicklingError, BrokenPipeError):
        if _stopping.is_set():
            raise StoppedError("agent đang dừng") from None
        if overdue.is_set():
            raise SourceUnavailableError(f"nguồn không trả lời trong {seconds:g} giây") from None
        if process.wait() != 0:
            raise SourceChangedError("bộ đọc bị dừng giữa chừng (trình điều khiển lỗi?)") from None
    finally:
        _running.discard(process)
        process.kill()
        process.stdin.close()
        process.stdout.close()
        process.wait()
