"""A province made up for measuring: as many facilities and days as asked for, every measure of each told every day."""

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import date, timedelta
from pathlib import Path
from random import Random

import httpx

from benchmarks.batches import MEASURES, enrol
from benchmarks.processes import processor
from collector.__main__ import COLLECT
from collector.people import People
from collector.store import Connection, Store, as_text, tallies
from collector.store.people import Person
from collector.yardstick import Yardstick
from contract import catalogue, plan
from contract.days import local_day, now
from demo.running import reserve

PLANS = sorted((Path(__file__).resolve().parent.parent / "config" / "plans").glob("*.toml"))


_QUIET_SECONDS = 6.0


def as_served() -> None:
    """This process collects garbage from now on as a serving collector does."""
    gc.set_threshold(*COLLECT)


def measured_by() -> Yardstick:
    """What a collector of `serving` holds figures against: the shipped catalogue and the sample plans."""
    known = catalogue.load()
    return Yardstick(known, plan.load(PLANS, known))


def fill(
    store: Store, facilities: int, days: int, last: date | None = None, more: Mapping[int, int] | None = None
) -> dict[str, str]:
    """Register facilities in an SQLite store and give them `days` days of tallies up to `last` (today).

    `more`: number of a facility → so many days instead. Returns their ids, each with the token of its agent.
    """
    tokens, last = enrol(store, facilities), last or local_day(now())
    for number, one in enumerate(tokens):
        with store.write() as connection:  # each on disk by itself: a country does not fit into one transaction
            _tell(connection, one, (more or {}).get(number, days), last, number)
    return tokens


def _tell(connection: Connection, facility: str, days: int, last: date, seed: int) -> None:
    chance, moment = Random(seed), now()
    values = {"facility": facility, "name": "his", "agent": facility, "kind": "his.sql", "in_roster": True, "ok": True}
    source = tallies.add_source(connection, {**values, "read_at": moment, "newest_day": last})
    tallies.add_claims(connection, source, MEASURES)
    texts = {code: _days(chance, categories) for code, categories in MEASURES.items()}
    # as time goes, and as the driver has it: what is measured is not how the figures came here
    received = moment.replace(tzinfo=None).isoformat(" ")
    spoken = [str(last - timedelta(days=n)) for n in range(days)]
    rows = [
        (source.id, code, spoken[n], 1, texts[code][(n * 7 + seed) % 50], received)
        for code in sorted(MEASURES)
        for n in reversed(range(days))
    ]
    connection.exec_driver_sql("INSERT INTO tally VALUES (?, ?, ?, ?, ?, ?)", rows)


def _days(chance: Random, categories: list[str]) -> list[str]:
    """Fifty days of a measure: each category has its usual number of cases, and scatters around it."""
    usual = {one: chance.randint(1, 200) for one in categories}
    return [as_text({one: round(n * chance.uniform(0.9, 1.1)) for one, n in usual.items()}) for _ in range(50)]


@contextmanager
def serving(directory: Path, people: dict[str, Person]) -> Iterator[tuple[str, dict[str, str]]]:
    """The collector of `directory` as a process of its own; yields its address and the personal tokens of `people`."""
    held = reserve(range(21_000, 31_000))
    port = int(held.getsockname()[1])
    plans = json.dumps([str(one) for one in PLANS])
    config = directory / "collector.toml"
    config.write_text(f'[collector]\nlisten = "127.0.0.1:{port}"\ndata_dir = "."\nplan_files = {plans}\n', "utf-8")
    with closing(Store(f"sqlite:///{directory / 'collector.sqlite'}")) as store:
        tokens = {name: People(store).add(one, now()) for name, one in people.items()}
    held.close()
    command = [sys.executable, "-m", "collector", "--config", str(config), "serve"]
    with (directory / "collector.log").open("wb") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    address = f"http://127.0.0.1:{port}"
    try:
        _await(address)
        _await_quiet(child.pid)
        yield address, tokens
    finally:
        child.terminate()
        child.wait(60)


def _await(address: str) -> None:
    """Until all figures are ready. Raises TimeoutError."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{address}/metrics", timeout=60, trust_env=False).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise TimeoutError("the collector is not ready")


def _await_quiet(pid: int) -> None:
    """Until the work of a first start (roads, retention) is done, and shown: it rests for longer than a loop may rest.

    Raises TimeoutError.
    """
    for _ in range(100):
        before = processor(pid)
        time.sleep(_QUIET_SECONDS)
        if processor(pid) - before < 0.1 * _QUIET_SECONDS:
            return
    raise TimeoutError("the collector does not come to rest")
