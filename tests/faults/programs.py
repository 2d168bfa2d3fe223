"""The programs under test: real processes that are killed with SIGKILL and started again, as systemd would."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

_HERE = Path(__file__).resolve().parent.parent.parent
_RESTART_SECONDS = 0.5


class _Program(NamedTuple):
    command: tuple[str, ...]
    user: str | None


class Programs:
    """A context in which programs run; at its end they have all ended. A program that ended is down until `tend`."""

    def __init__(self, logs: Path, zone: str | None = None) -> None:
        """`zone`: the time zone of the hosts of all programs; else this one's."""
        self._logs = logs
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1"} | ({"TZ": zone} if zone else {})
        # what starts hundreds of times must not be compiled each time
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._programs: dict[str, _Program] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._due: dict[str, float] = {}
        self.kills: Counter[str] = Counter()
        """How often a living process was killed, by program; `reader` and `backend` are children of theirs."""
        self.exits: Counter[str] = Counter()
        """How often a program ended by itself, and with which code."""
        logs.mkdir()

    def __enter__(self) -> "Programs":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for name in list(self._running):
            self.stop(name)

    def start(self, name: str, module: str, *arguments: str) -> None:
        """Start `python -m module …`; its words go to the log `name`."""
        self.launch(name, (sys.executable, "-m", module, *arguments))

    def launch(self, name: str, command: Sequence[str], user: str | None = None) -> None:
        """The same for any program, as another user where that is given."""
        self._programs[name] = _Program(tuple(command), user)
        self._run(name)

    def stop(self, name: str) -> None:
        """End a program and its children for good."""
        child = self._running.pop(name, None)
        if child is not None:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()

    def kill(self, name: str, down_seconds: float) -> bool:
        """Kill the program itself, none of its children; it stays down for so long. False: it was not running."""
        if not self._is_running(name):
            return False
        child = self._running[name]
        child.kill()
        child.wait()
        self.kills[name] += 1
        self._due[name] = time.monotonic() + down_seconds
        return True

    def kill_child(self, name: str, called: str, position: float, kind: str) -> bool:
        """Kill one child of a program whose command line holds `called`; `position` in 0…1 says which."""
        found = self._children(name, called) if self._is_running(name) else []
        if not found:
            return False
        try:
            os.kill(found[int(position * len(found))], signal.SIGKILL)
        except ProcessLookupError:
            return False
        self.kills[kind] += 1
        return True

    def tend(self) -> None:
        """Start again what is down and due."""
        for name, child in self._running.items():
            if child.poll() is not None and name not in self._due:
                self.exits[f"{name} ({child.returncode})"] += 1
                self._due[name] = time.monotonic() + _RESTART_SECONDS
        for name, due in list(self._due.items()):
            if time.monotonic() >= due:
                del self._due[name]
                self._run(name)

    def all_up(self) -> None:
        """Whatever is down is started now."""
        self._due = dict.fromkeys(self._due, 0.0)
        self.tend()

    def tracebacks(self) -> list[str]:
        """The last line of each traceback in the logs: the programs foresee what the harness does to them."""
        found = []
        for log in sorted(self._logs.iterdir()):
            inside = False
            for line in log.read_text("utf-8", "replace").splitlines():
                if line.startswith("Traceback"):
                    inside = True
                elif inside and line and not line.startswith((" ", "  +")):
                    inside = False
                    found.append(f"{log.name}: {line}")
        return found

    def _is_running(self, name: str) -> bool:
        return name not in self._due and self._running[name].poll() is None

    def _children(self, name: str, called: str) -> list[int]:
        parent, found = self._running[name].pid, []
        for entry in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                is_child = int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent
                if is_child and called.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
        return sorted(found)

    def _run(self, name: str) -> None:
        command, user = self._programs[name]
        with (self._logs / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                command,
                cwd=_HERE,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user,
            )
