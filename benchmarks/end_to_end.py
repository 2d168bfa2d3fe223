"""From the end of the poll that sees a row until a scrape would show it, with 600 facilities that all report.

The clock starts when an agent has what it read and begins to push; it stops when /metrics shows the new figure, asked
for without a pause (the whole province, as Prometheus asks). Meanwhile the other facilities push as agents do that poll
every five minutes: two pushes a second of what has changed since the last, which is the running day of fifteen
measures, and at every tenth poll the days before it too. The peer is the push alone: until the answer is there, the
counts on disk.

What comes before is the poll interval of the agent, what comes after the scrape interval of Prometheus; so from a row
committed in the HIS until Prometheus can be asked for it: poll interval + scrape interval + this.
"""

import re
import threading
import time
from contextlib import closing
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from benchmarks import batches
from benchmarks.batches import Batch
from benchmarks.folders import row, show
from benchmarks.province import fill, serving
from benchmarks.senders import send
from collector.store import Store

FACILITIES, DAYS, TIMES = 600, 92, 100
_EVERY_SECONDS = 0.5
_LATE = 10
"""Of so many polls one finds that the last days have changed too."""
_MEASURE = "payments"


def run() -> list[dict[str, Any]]:
    """Measure. Takes about two minutes."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        with closing(Store(f"sqlite:///{directory / 'collector.sqlite'}")) as store:
            store.migrate()
            tokens = list(fill(store, FACILITIES, DAYS).items())
        with serving(directory, {}) as (address, _), httpx.Client(base_url=address, trust_env=False) as http:
            port, done = int(address.rpartition(":")[2]), threading.Event()
            others = threading.Thread(target=_report, args=(port, tokens[TIMES:], done))
            others.start()
            try:
                found = [_seen(port, http, *one, _days(n)) for n, one in enumerate(tokens[:TIMES])]
            finally:
                done.set()
                others.join()
    shown, answered = ([one[place] for one in found] for place in (0, 1))
    late = quantiles(shown, n=100)[98]
    claim = f"from the end of a poll to /metrics, p99 of {TIMES}, {FACILITIES} facilities"
    return [
        row(f"{claim} (peer: median answer to the push)", late, median(answered), "s", "< 1 s", late < 1),
        row("the same, median", median(shown), median(answered), "s", "informs", True),
    ]


def _days(poll: int) -> int:
    return 1 if poll % _LATE else batches.DAYS


def _seen(port: int, http: httpx.Client, facility: str, token: str, days: int) -> tuple[float, float]:
    """Seconds until /metrics shows what this facility has pushed, and until the push was answered."""
    batch = Batch(facility, 0, revision=2, days=days)
    counts = next(counts for measure, _, counts in batch.tallies() if measure == _MEASURE)
    lines = [
        re.compile(rf'nhipso_tally{{facility="{facility}",measure="{_MEASURE}",category="{code}"}} {n}\n'.encode())
        for code, n in counts.items()
    ]
    request = batch.push(token)
    started = time.perf_counter()
    answered, _ = send([port], [request], senders=1)
    while True:
        body = http.get("/metrics").raise_for_status().content
        seconds = time.perf_counter() - started
        if all(line.search(body) for line in lines):
            return seconds, answered
        if seconds > 60:
            raise TimeoutError(f"{facility} is not shown")


def _report(port: int, tokens: list[tuple[str, str]], done: threading.Event) -> None:
    """The others, one after the other and then again, until it is done."""
    turn = 1
    while not done.is_set():
        turn += 1
        for n, (facility, token) in enumerate(tokens):
            send([port], [Batch(facility, 0, turn, _days(n)).push(token)], senders=1)
            if done.wait(_EVERY_SECONDS):
                return


if __name__ == "__main__":
    show(run())
