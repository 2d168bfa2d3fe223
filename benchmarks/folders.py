"""What the benchmarks of folder kinds share: a source over a folder, a read of it, throughput, memory, the next poll.

Run as a program (`python -m benchmarks.folders KIND FOLDER LEDGER`) it reads the folder as the agent's reader does and
prints, as JSON, the most memory that took, the processor's seconds and how many files of the folder it opened; with
`bare` for KIND it parses every file with lxml alone. `-` for LEDGER: no file is known.
"""

import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from base64 import b64decode
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from lxml import etree
from rich.console import Console
from rich.table import Table

from agent import index
from agent.disk import Disk
from agent.reader import Job, Slice, Step, open_source, work
from contract import catalogue
from contract.adapter import SourceConfig
from contract.days import DayRange, now

# The files are older than the two seconds for which a file is left to settle.
AGE_SECONDS = 3600
DAYS = DayRange(date(2025, 11, 1), date(2025, 11, 30))
MB = 1_000_000


def source(kind: str, folder: Path) -> SourceConfig:
    """`[sources.bench]` over `folder`, for one facility."""
    return SourceConfig("bench", kind, ("12001",), {}, None, 600, {"folder": str(folder)}, folder.parent)


def put(path: Path, content: bytes) -> None:
    """Write a file that is no longer new."""
    path.write_bytes(content)
    moment = time.time() - AGE_SECONDS
    os.utime(path, (moment, moment))


def seconds(action: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """How long it took."""
    start = clock()
    action()
    return clock() - start


def throughput(claim: str, kind: str, folder: Path, content: str | None) -> dict[str, Any]:
    """MB a second of our reader over all files of `folder`, and of a bare lxml parse of the same files.

    `content`: the element whose text the peer decodes from base64, too.
    """
    job = _job(kind, folder, None)
    size = sum(path.stat().st_size for path in folder.iterdir()) / MB
    # In turns, and in time of the processor, so that a busy machine is unkind to both. All files fit into its memory.
    clock = time.process_time
    pairs = [(seconds(lambda: _read(job), clock), seconds(lambda: _parse(folder, content), clock)) for _ in range(15)]
    ours, peer = (size / median(times) for times in zip(*pairs, strict=True))
    return row(claim, ours, peer, "MB/s", "ratio >= 0.5", ours / peer >= 0.5)


def memory(claim: str, kind: str, folder: Path) -> dict[str, Any]:
    """The reader's peak memory for the files of `folder`, and that of a bare lxml parse; each in its own process."""
    ours, peer = (_reader(one, folder)["megabytes"] for one in (kind, "bare"))
    return row(claim, ours, peer, "MB", "< 200 MB", ours < 200)


def next_poll(claim: str, kind: str, write: Callable[[Path, int], None], files: int = 100_000) -> dict[str, Any]:
    """A poll of `files` files that the agent knows; the peer lists the folder and asks each file's status.

    `write`: given a path and a number, writes that file. What is measured is the time of the processor, that for the
    start of the reader's process included; on a local disk that others leave alone it is the time that passes.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, ledger = Path(name) / "in", Path(name) / "ledger.sqlite"
        for number in range(files):
            part = folder / f"{number // 1000}"
            part.mkdir(parents=True, exist_ok=True)
            write(part / f"{number}.xml", number)
        _learn(kind, folder, ledger)
        polls = [_reader(kind, folder, ledger) for _ in range(3)]
        peer = min(seconds(lambda: _walk(folder), time.process_time) for _ in range(3))
    ours, opened = min(poll["seconds"] for poll in polls), max(poll["opened"] for poll in polls)
    return row(f"{claim} ({opened} opened)", ours, peer, "s", "< 2 s, opens none", ours < 2 and opened == 0)


def row(claim: str, ours: float, peer: float | None, unit: str, goal: str, met: bool) -> dict[str, Any]:
    """One line of the table; `peer` None: nobody else does this."""
    ratio = round(ours / peer, 2) if peer else None
    return {
        "claim": claim,
        "ours": round(ours, 3),
        "peer": None if peer is None else round(peer, 3),
        "unit": unit,
        "ratio": ratio,
        "goal": goal,
        "met": met,
    }


def show(rows: list[dict[str, Any]]) -> None:
    """Print the rows as a table."""
    table = Table(*rows[0])
    for one in rows:
        table.add_row(*(str(value) for value in one.values()))
    Console(width=160).print(table)


def _read(job: Job) -> None:
    problems = [
        file.problem
        for message in work(job)
        if isinstance(message, Step)
        for file in message.reading.files
        if file.problem
    ]
    assert not problems, problems[:3]


def _parse(folder: Path, content: str | None) -> None:
    for path in folder.iterdir():
        root = etree.parse(str(path)).getroot()
        for element in root.iter(content) if content else ():
            b64decode(element.text or "")


def _job(kind: str, folder: Path, ledger: Path | None) -> Job:
    config, known = source(kind, folder), catalogue.load()
    return Job("read", (config,), known, (Slice(DAYS, open_source(config, known).measures),), ledger)


def _learn(kind: str, folder: Path, ledger: Path) -> None:
    disk = Disk(ledger, now())
    for message in work(_job(kind, folder, ledger)):
        if isinstance(message, Step):
            with disk.transaction() as connection:
                index.take(connection, "bench", message.reading, date(2020, 1, 1))
    disk.close()


def _walk(folder: Path) -> None:
    waiting = [str(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    entry.stat()


def _reader(kind: str, folder: Path, ledger: Path | None = None) -> dict[str, float]:
    """What a read in a process of its own said of itself."""
    command = [sys.executable, "-m", "benchmarks.folders", kind, str(folder), str(ledger or "-")]
    said: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return said


def _main(kind: str, folder: Path, ledger: Path | None) -> None:
    opened: list[str] = []
    beginning = str(folder) + os.sep

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and str(arguments[0]).startswith(beginning):
            opened.append(str(arguments[0]))

    sys.addaudithook(watch)
    if kind == "bare":
        for path in folder.iterdir():
            etree.parse(str(path), etree.XMLParser(huge_tree=True))
    else:
        with Path(os.devnull).open("wb") as answers:
            for message in work(_job(kind, folder, ledger)):
                pickle.dump(message, answers)
    [peak] = [line for line in Path("/proc/self/status").read_text("ascii").splitlines() if line.startswith("VmHWM")]
    said = {"megabytes": int(peak.split()[1]) * 1024 / MB, "seconds": time.process_time(), "opened": len(opened)}
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]), None if sys.argv[3] == "-" else Path(sys.argv[3]))
