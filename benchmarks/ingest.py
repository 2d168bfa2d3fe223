"""Pushes a second that a collector on SQLite takes, each answered when it is on disk, against three who do less.

All are sent the same counts, a facility's week a push, over the same number of connections, and run on this machine
together with who sends. Each facility has pushed a week before the clock runs. The collector is the real one, with its
loops, and re-works the province meanwhile. Pushgateway keeps in memory, and of each facility the last push only. It
looks through all that it holds at each push: so it is measured on that week of half of the facilities, which is kind to
it (of all 600 it takes eight minutes, 1.3 pushes a second), and, to inform, of the first hundred. VictoriaMetrics
writes to disk a few seconds after its answer, and is not asked to unpack.
The raw peer is `executemany` of the same rows, made ready beforehand, into the same table with the same pragmas in one
process without HTTP, tokens, JSON or rules: once with a commit for each batch, as the collector's answer promises it,
and once with a commit for twenty batches, which is as many as the collector may put into one.
"""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

from benchmarks.batches import TALLIES, Batch, enrol
from benchmarks.folders import row, show
from benchmarks.senders import SENDERS, answer, request, send
from collector.store import Store, as_text
from collector.store.tables import tally
from contract.days import now
from demo.running import reserve

FACILITIES, WEEKS, ROUNDS = 600, 2, 3
_GATEWAY, _FEW = 300, 100
_WARM_SECONDS = 60.0


def run() -> list[dict[str, Any]]:
    """Measure. Takes about five minutes."""
    first, *others = ([Batch(f"{40_000 + n}", week) for n in range(FACILITIES)] for week in range(WEEKS + 1))
    backlog = [one for week in others for one in week]
    gateway, few = (_pushgateway(first[:n]) for n in (_GATEWAY, _FEW))
    ours, newer, metrics, each, grouped = [], [], [], [], []
    for _ in range(ROUNDS):  # in turns, so that a busy machine is unkind to all
        rates = _collector(first, backlog)
        ours.append(rates[0])
        newer.append(rates[1])
        metrics.append(_victoria_metrics(first, backlog))
        each.append(_sqlite(backlog, 1))
        grouped.append(_sqlite(backlog, SENDERS))

    def claim(text: str, peer: float, goal: float | None) -> dict[str, Any]:
        rate, asked = median(ours), "informs" if goal is None else f"ratio >= {goal}"
        what = f"ingest, durable, on SQLite (peer: {text})"
        return row(what, rate, peer, f"pushes/s of {TALLIES} tallies", asked, goal is None or rate / peer >= goal)

    return [
        claim(f"Pushgateway, in memory, of {_GATEWAY} facilities", gateway, 25),
        claim(f"Pushgateway, in memory, of {_FEW} facilities", few, None),
        claim("VictoriaMetrics, answers before it is on disk", median(metrics), 0.2),
        claim("sqlite3 executemany, a commit a batch", median(each), 0.4),
        claim(f"sqlite3 executemany, a commit for {SENDERS} batches", median(grouped), 0.4),
        row(
            "ingest of newer revisions, the old ones logged (peer: of what is new)",
            median(newer),
            median(ours),
            "pushes/s",
            "informs",
            True,
        ),
    ]


def _collector(first: Sequence[Batch], backlog: Sequence[Batch]) -> tuple[float, float]:
    """Pushes a second of what is new to a collector, and of newer revisions of the same days."""
    again = [Batch(one.facility, one.week, 2) for one in backlog]
    with TemporaryDirectory() as name:
        with closing(Store(f"sqlite:///{name}/collector.sqlite")) as store:
            store.migrate()
            tokens = enrol(store, FACILITIES)
        with collecting(Path(name)) as port:
            _, new, newer = (
                len(batches) / send([port], [one.push(tokens[one.facility]) for one in batches])[0]
                for batches in (first, backlog, again)
            )
        with closing(sqlite3.connect(f"{name}/collector.sqlite")) as connection:
            stored = connection.execute("SELECT revision, count(*) FROM tally GROUP BY revision").fetchall()
        assert dict(stored) == {1: len(first) * TALLIES, 2: len(backlog) * TALLIES}, stored
    return new, newer


@contextmanager
def collecting(directory: Path, extra: str = "") -> Iterator[int]:
    """A collector as a process of its own over what is in `directory`; yields its port."""
    with closing(reserve(range(21_000, 31_000))) as held:
        port = int(held.getsockname()[1])
    config = directory / f"{port}.toml"
    config.write_text(f'[collector]\nlisten = "127.0.0.1:{port}"\ndata_dir = "."\n{extra}', "utf-8")
    command = [sys.executable, "-m", "collector", "--config", str(config), "serve"]
    with _program(command, port, "/metrics", directory):
        yield port


@contextmanager
def _program(command: Sequence[str], port: int, path: str, directory: Path) -> Iterator[None]:
    """A server as a process of its own, from its first good answer on."""
    with (directory / "log").open("wb") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _await(port, path, child)
        yield
    finally:
        child.terminate()
        child.wait(60)


def _await(port: int, path: str, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _WARM_SECONDS
    while time.monotonic() < deadline and child.poll() is None:
        try:
            answer(port, request("GET", path, b""))
        except (OSError, RuntimeError):
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("the server did not come up")


def _pushgateway(batches: Sequence[Batch]) -> float:
    requests = [request("PUT", f"/metrics/job/nhipso/facility/{one.facility}", one.samples(False)) for one in batches]
    return _served(
        lambda port, _: ["prometheus-pushgateway", f"--web.listen-address=127.0.0.1:{port}", "--persistence.file="],
        "/-/ready",
        [],
        requests,
    )


def _victoria_metrics(first: Sequence[Batch], backlog: Sequence[Batch]) -> float:
    path = "/api/v1/import/prometheus"
    known, requests = ([request("POST", path, one.samples(True)) for one in some] for some in (first, backlog))
    return _served(
        lambda port, directory: [
            "victoria-metrics", f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={directory}/data",
            "-retentionPeriod=10y",
        ],
        "/health",
        known,
        requests,
    )  # fmt: skip


def _served(
    command: Callable[[int, str], list[str]], ready: str, known: Sequence[bytes], requests: Sequence[bytes]
) -> float:
    """Pushes a second to another server that has had `known` before."""
    with TemporaryDirectory() as name:
        with closing(reserve(range(21_000, 31_000))) as held:
            port = int(held.getsockname()[1])
        with _program(command(port, name), port, ready, Path(name)):
            send([port], known)
            return len(requests) / send([port], requests)[0]


def _sqlite(batches: Sequence[Batch], together: int) -> float:
    """Batches a second into the same table by hand, a commit for each `together` of them."""
    at = str(now().replace(tzinfo=None))
    rows = [
        [(n % FACILITIES, measure, str(day), 1, as_text(counts), at) for measure, day, counts in one.tallies()]
        for n, one in enumerate(batches)
    ]
    statement = f"INSERT INTO tally VALUES ({', '.join('?' * 6)})"
    with TemporaryDirectory() as name, closing(sqlite3.connect(f"{name}/peer.sqlite", isolation_level=None)) as peer:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            peer.execute(f"PRAGMA {pragma}")
        peer.execute("CREATE TABLE source (id INTEGER PRIMARY KEY)")
        peer.executemany("INSERT INTO source VALUES (?)", [(n,) for n in range(FACILITIES)])
        peer.execute(str(sa.schema.CreateTable(tally).compile(dialect=sa.create_engine("sqlite://").dialect)))
        started = time.perf_counter()
        for first in range(0, len(rows), together):
            peer.execute("BEGIN IMMEDIATE")
            for one in rows[first : first + together]:
                peer.executemany(statement, one)
            peer.execute("COMMIT")
        return len(rows) / (time.perf_counter() - started)


if __name__ == "__main__":
    show(run())
