"""The programs that the demo starts: each in a process group of its own, its words in a file, and none left behind."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

_HERE = Path(__file__).resolve().parent.parent
_PATIENCE_SECONDS = 10
_RUN_SECONDS = 120


class ChildDiedError(Exception):
    """A program ended that should have gone on, or could not do what it was asked."""


class Children:
    """A context in which programs run; at its end they have all ended, whatever happened."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._commands: dict[str, tuple[str, ...]] = {}
        self.killed = 0
        """How often a program was killed from outside and started again."""
        logs.mkdir(exist_ok=True)

    def __enter__(self) -> "Children":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def run(self, *arguments: str) -> str:
        """Run `python -m …` to its end and give what it printed. Raises ChildDiedError with its own words."""
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            env=_environment(),
            capture_output=True,
            text=True,
            start_new_session=True,
            timeout=_RUN_SECONDS,
        )
        if done.returncode:
            raise ChildDiedError(
                f"{' '.join(arguments)}: mã thoát {done.returncode}\n{done.stdout}{done.stderr}".strip()
            )
        return done.stdout.strip()

    def start(self, name: str, *arguments: str) -> int:
        """Start `python -m …`, let it run, and give its process id; what it says goes to the log `name`."""
        return self.launch(name, sys.executable, "-m", *arguments)

    def launch(self, name: str, *command: str) -> int:
        """The same for any program."""
        self._commands[name] = command
        with self._log(name).open("ab") as log:
            child = self._running[name] = subprocess.Popen(
                command,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return child.pid

    def stop(self, name: str) -> None:
        """End one program, as a person would who shuts the machine down; `resume` starts it again."""
        child = self._running.pop(name)
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(_PATIENCE_SECONDS)
        _kill_group(child)

    def resume(self, name: str) -> int:
        """Start again what was stopped, and give its process id."""
        return self.launch(name, *self._commands[name])

    def check(self) -> None:
        """Start again what somebody has killed, as systemd would.

        Raises ChildDiedError, with the tail of its log, if one has ended by itself.
        """
        for name, child in list(self._running.items()):
            if (code := child.poll()) is not None and code < 0:
                self.killed += 1
                self.resume(name)
            elif code is not None:
                tail = self._log(name).read_text("utf-8", "replace").splitlines()[-20:]
                raise ChildDiedError("\n".join([f"{name} đã dừng, mã thoát {child.returncode}:", *tail]))

    def end(self) -> None:
        """End all: politely first, then whatever is left of each group."""
        try:
            for child in self._running.values():
                if child.poll() is None:
                    child.terminate()
            deadline = time.monotonic() + _PATIENCE_SECONDS
            while time.monotonic() < deadline and any(child.poll() is None for child in self._running.values()):
                time.sleep(0.05)
        finally:
            # Also when somebody loses patience and presses Ctrl-C once more.
            for child in self._running.values():
                _kill_group(child)
            self._running.clear()

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    # The leader may have ended and left children (an agent's reader): the group outlives it.
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        # A checkout that is not installed works from any directory.
        "PYTHONPATH": _joined(os.pathsep, str(_HERE), os.environ.get("PYTHONPATH")),
        "PYTHONUNBUFFERED": "1",
        # A proxy of this machine's is not asked for what is on this machine.
        "NO_PROXY": _joined(",", "127.0.0.1", os.environ.get("NO_PROXY")),
        "no_proxy": _joined(",", "127.0.0.1", os.environ.get("no_proxy")),
    }


def _joined(separator: str, first: str, others: str | None) -> str:
    return separator.join(filter(None, (first, others)))
