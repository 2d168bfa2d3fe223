"""What a process of this machine takes (Linux), a way to wait for it, and a new one for a benchmark."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any

MIB = 1024 * 1024


def pss(pid: int) -> int:
    """Bytes of memory, what is shared with others in parts (proc(5): smaps_rollup); 0 for one that has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def peak(pid: int) -> int:
    """The most bytes of memory that it has had in use so far, what is shared with others too. Raises OSError."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def processor(pid: int) -> float:
    """Seconds of the processor that it and its children that have ended took (proc(5): utime … cstime)."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> set[int]:
    """The processes that it has started and that have not been waited for."""
    found: set[int] = set()
    for one in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found |= set(map(int, one.read_text("ascii").split()))
    return found


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for it. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not come to that")
        time.sleep(0.05)


def rows_of(program: str) -> list[dict[str, Any]]:
    """What a benchmark says, run in a new process: its memory is its own. Raises what it raises."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_run, program).result()


def _run(program: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = import_module(f"benchmarks.{program}").run()
    return found
