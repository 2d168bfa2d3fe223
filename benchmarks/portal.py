"""The portal with 600 facilities and five years of figures: twenty users, each of whom opens a page every two seconds.

Overview, a facility, an indicator of it with its chart, and the month to be confirmed, in turn; from the request to
the last byte, over loopback. There is no peer that shows these pages, and the goal is absolute;
so the same pages of a province with one month of figures stand beside them: what grows is said by the ratio.
"""

import threading
import time
from collections import defaultdict
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from benchmarks.folders import show
from benchmarks.province import fill, serving
from collector.people import SESSION_COOKIE, People
from collector.store import Store
from collector.store import people as stored
from collector.store.people import Person
from contract.days import local_day, now

FACILITIES, YEARS, USERS, THINK_SECONDS, SECONDS = 600, 5, 20, 2.0, 40
GOAL_MS = 100.0
READER = Person("bench", "reader", None)


def run() -> list[dict[str, Any]]:
    """Measure. Takes about six minutes, most of them to make the figures."""
    short, long = (_measured(days) for days in (31, YEARS * 365 + 1))
    return [
        {
            "claim": f"portal, p95 of {name}, {FACILITIES} facilities, {YEARS} years (peer: one month)",
            "ours": round(long[name], 1),
            "peer": round(short[name], 1),
            "unit": "ms",
            "ratio": round(long[name] / short[name], 2),
            "goal": GOAL_MS,
            "met": long[name] < GOAL_MS,
        }
        for name in long
    ]


def _measured(days: int) -> dict[str, float]:
    """p95 in milliseconds by kind of page."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        with closing(Store(f"sqlite:///{directory / 'collector.sqlite'}")) as store:
            store.migrate()
            ids = list(fill(store, FACILITIES, days))
        with serving(directory, {"reader": READER}) as (address, _):
            return _used(address, session(directory), ids)


def session(directory: Path) -> str:
    """The secret of a session of READER, who is known to the collector of `directory`."""
    with closing(Store(f"sqlite:///{directory / 'collector.sqlite'}")) as store:
        with store.write() as connection:
            account = stored.named(connection, READER.name)
            stored.change(connection, account.person.id, must_change=False)
        return People(store).open(account, now()).secret


def _used(address: str, secret: str, ids: list[str]) -> dict[str, float]:
    times: dict[str, list[float]] = defaultdict(list)
    month = f"{local_day(now()).replace(day=1) - timedelta(days=1):%Y-%m}"
    with ExitStack() as stack:
        # made before anything is measured: a client takes longer to make than a page
        options: dict[str, Any] = {
            "cookies": {SESSION_COOKIE: secret},
            "timeout": 30,
            "trust_env": False,
        }
        clients = [stack.enter_context(httpx.Client(base_url=address, **options)) for _ in range(USERS)]
        # the first visitor after a start waits for templates to be compiled; that is no part of a day's work
        _visit(clients[0], ids[0], month, time.monotonic(), defaultdict(list))
        end = time.monotonic() + SECONDS
        users = [
            threading.Thread(target=_visit, args=(http, ids[n * 29 % len(ids)], month, end, times))
            for n, http in enumerate(clients)
        ]
        for n, one in enumerate(users):
            one.start()
            time.sleep(THINK_SECONDS / USERS * (n % 2 + 0.5))
        for one in users:
            one.join()
    return {name: quantiles(found, n=20)[-1] * 1000 for name, found in sorted(times.items())}


def _visit(http: httpx.Client, facility: str, month: str, end: float, times: dict[str, list[float]]) -> None:
    """Open all pages in turn, and then again until `end`."""
    pages = {
        "overview": "/",
        "facility": f"/facilities/{facility}",
        "indicator of a facility": f"/facilities/{facility}/indicators/cashless",
        "chart": f"/facilities/{facility}/indicators/cashless/share.svg",
        "month to confirm": f"/facilities/{facility}/confirmations/{month}",
    }
    while True:
        for name, path in pages.items():
            started = time.perf_counter()
            http.get(path).raise_for_status()
            times[name].append(time.perf_counter() - started)
            time.sleep(THINK_SECONDS)
        if time.monotonic() >= end:
            return


if __name__ == "__main__":
    show(run())
