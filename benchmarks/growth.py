"""What years of history cost: ingest, a scrape, the overview and the monthly report of 600 facilities, after one month
and after five years of days. The month is its own peer; both stores are of this run.

Each is measured in turn on the two collectors, which run at the same time, so that a busy machine is unkind to both.
Ingest: every facility's agent sends seven days of its measures anew, with other counts. Scrape: /metrics as it is in
steady state. Report: the last 30 days of the whole province as a workbook, made by the command.
"""

import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from benchmarks.batches import Batch
from benchmarks.folders import row, seconds, show
from benchmarks.portal import READER, session
from benchmarks.province import fill, serving
from benchmarks.senders import send
from collector.people import SESSION_COOKIE
from collector.store import Store
from contract.days import DayRange, local_day, now

FACILITIES, SHORT, LONG = 600, 31, 5 * 365 + 1
GOAL = 1.2
_TURNS = 3
Actions = dict[str, Callable[[int], float]]


def run() -> list[dict[str, Any]]:
    """Measure. Takes about five minutes."""
    with TemporaryDirectory() as name, ExitStack() as stack:
        short, long = (_opened(stack, Path(name) / f"{days}", days) for days in (SHORT, LONG))
        rows = []
        for what, act in long.items():
            # the first turn warms both up
            pairs = [(act(turn), short[what](turn)) for turn in range(_TURNS + 1)][1:]
            ours, peer = (median(one) for one in zip(*pairs, strict=True))
            claim = f"growth: {what}, {FACILITIES} facilities, 5 years (peer: 1 month)"
            rows.append(row(claim, ours, peer, "s", f"≤ {GOAL} ×", ours / peer <= GOAL))
    return rows


def _opened(stack: ExitStack, directory: Path, days: int) -> Actions:
    """A collector over a store of so many days, and what can be done to it: each gives the seconds it took."""
    directory.mkdir()
    with closing(Store(f"sqlite:///{directory / 'collector.sqlite'}")) as store:
        store.migrate()
        tokens = fill(store, FACILITIES, days)
    address, _ = stack.enter_context(serving(directory, {"reader": READER}))
    cookies = {SESSION_COOKIE: session(directory)}
    http = stack.enter_context(httpx.Client(base_url=address, cookies=cookies, timeout=120, trust_env=False))
    port = int(address.rpartition(":")[2])

    def ingest(turn: int) -> float:
        batches = [Batch(one, 0, turn + 2).push(token) for one, token in tokens.items()]
        return send([port], batches)[0]

    def report(_: int) -> float:
        span = DayRange.ending(local_day(now()), 31)
        command = [sys.executable, "-m", "collector", "--config", str(directory / "collector.toml"), "report"]
        asked = [
            "--from",
            str(span.first),
            "--to",
            str(span.last),
            "--format",
            "xlsx",
            "--output",
            str(directory / "r.xlsx"),
        ]
        return seconds(lambda: subprocess.run([*command, *asked], check=True, capture_output=True))

    return {
        "a scrape": lambda _: seconds(lambda: http.get("/metrics").raise_for_status()),
        "overview page": lambda _: seconds(lambda: http.get("/").raise_for_status()),
        "report": report,
        "ingest": ingest,
    }


if __name__ == "__main__":
    show(run())
