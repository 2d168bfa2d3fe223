"""What a scrape costs: the text of /metrics for a province and for the country, put together again after a change.

600 facilities with a year of days, the default windows. Ours: the body joined anew after one facility has changed, as
at every scrape in steady state. The peer: `prometheus_client.generate_latest` of the very same samples, held as its
own objects, as an exporter that keeps everything in gauges would write them.

13,000 facilities: those that change have a year of days too, the others one month (they are not looked at in what is
measured, and a year of all would take twenty minutes to make). From the moment at which 1 % of them have changed until
the body is ready, agents and pools included; one collector, one process. They change as facilities do all day, in the
counts of the running day; beside it, for information, in other days. Memory is what the process has in use at most,
after that.

Real Prometheus scrapes the 600 from a real collector, and one of 20 shards of the country from a bare server that
holds the body; it says itself how long a scrape took (`scrape_duration_seconds`).
"""

import json
import resource
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from benchmarks.folders import row, seconds, show
from benchmarks.province import as_served, fill, measured_by, serving
from collector.exposition import Exposition
from collector.province import POOL_PERIOD, Province
from collector.store import Store, registry
from collector.thresholds import Confirmation
from contract.days import now
from demo.running import reserve

PROVINCE, COUNTRY, SHARDS = 600, 13_000, 20
_YEAR, _MONTH, _TIMES = 366, 31, 10
MB = 1_000_000


def run() -> list[dict[str, Any]]:
    """Measure. Takes about six minutes, most of them to make a country."""
    as_served()
    return [*_province(), *_country()]


def _province() -> Iterator[dict[str, Any]]:
    with TemporaryDirectory() as name:
        directory = Path(name)
        with closing(_filled(directory, PROVINCE, _YEAR)) as store:
            exposition = _exposition(store)
            exposition.refresh(now())
            body = exposition.body()
            ours = median(_joined(store, exposition, f"{40_000 + n}") for n in range(_TIMES))
        samples = _count(body)
        peer = median(_written_by_the_library(body))
        what = f"{PROVINCE} facilities, {samples:,} series, {len(body) / MB:.1f} MB"
        yield row(
            f"/metrics joined after a change, {what} (peer: generate_latest)",
            samples / ours / MB, samples / peer / MB, "million samples/s", "≥ 25 ×", peer / ours >= 25,
        )  # fmt: skip
        with serving(directory, {}) as (address, _):
            first, taken = _scraped(directory, address.removeprefix("http://"), "/metrics")
        yield row(f"real Prometheus scrapes {what} (its own word)", taken, None, "s", "< 1 s", taken < 1)
        yield row("the same, its first scrape, which makes all series", first, None, "s", "(informs)", True)


def _country() -> Iterator[dict[str, Any]]:
    with TemporaryDirectory() as name:
        directory, changed = Path(name), COUNTRY // 100
        with closing(_filled(directory, COUNTRY, _MONTH, {n: _YEAR for n in range(changed)})) as store:
            exposition = _exposition(store)
            exposition.refresh(now())
            joined = seconds(exposition.body)
            ids = [f"{40_000 + n}" for n in range(changed)]
            ready, of_other_days = (_ready(store, exposition, ids, is_past) for is_past in (False, True))
            body, shard = exposition.body(), exposition.body(f"1/{SHARDS}")
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB
        what = f"{COUNTRY:,} facilities, {_count(body):,} series, {len(body) / MB:.0f} MB, {used:,.0f} MB of memory"
        claim = f"/metrics ready after 1 % have changed, {what} (peer: the joining alone)"
        yield row(claim, ready, joined, "s", "< 1 s", ready < 1)
        yield row("the same, changed in other days than the running one", of_other_days, joined, "s", "(informs)", True)
        with _static(shard) as target:
            _, taken = _scraped(directory, target, "/metrics")
        told = f"shard 1/{SHARDS} of the country, {_count(shard):,} series, {len(shard) / MB:.1f} MB"
        yield row(f"real Prometheus scrapes {told} (its own word)", taken, None, "s", "< 10 s", taken < 10)


def _filled(directory: Path, facilities: int, days: int, more: dict[int, int] | None = None) -> Store:
    store = Store(f"sqlite:///{directory / 'collector.sqlite'}")
    store.migrate()
    fill(store, facilities, days, more=more)
    return store


def _exposition(store: Store) -> Exposition:
    yardstick = measured_by()
    return Exposition(store, yardstick, Province(store, yardstick, Confirmation()))


def _joined(store: Store, exposition: Exposition, facility: str) -> float:
    """Seconds to join the body when this facility has changed."""
    with store.write() as connection:
        registry.touch(connection, {facility})
    exposition.refresh(now())
    return seconds(exposition.body)


def _ready(store: Store, exposition: Exposition, ids: Iterable[str], is_past: bool) -> float:
    """Seconds until the body is ready, when agents have told of these facilities."""
    time.sleep(POOL_PERIOD.total_seconds())  # so that nothing is put off
    with store.write() as connection:
        registry.hear(connection, ids, now(), is_past)
    return seconds(lambda: exposition.refresh(now())) + seconds(exposition.body)


class _Held(Collector):
    """The same samples as the library's own objects."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> list[Metric]:
        """All of them."""
        return self._metrics


def _written_by_the_library(body: bytes) -> Iterator[float]:
    library = CollectorRegistry(auto_describe=False)
    library.register(_Held(text_string_to_metric_families(body.decode())))
    for _ in range(3):
        yield seconds(lambda: generate_latest(library))


def _count(body: bytes) -> int:
    return sum(not line.startswith(b"#") for line in body.splitlines())


@contextmanager
def _static(body: bytes) -> Iterator[str]:
    """A server that answers everything with `body`; yields its address without a scheme."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def _scraped(directory: Path, target: str, path: str) -> tuple[float, float]:
    """Seconds of the first scrape, and the median of the five after it, as Debian's Prometheus itself says."""
    with prometheus(directory, target, path) as ask:
        first, *others = (ask("scrape_duration_seconds") for _ in range(6))
        return first, median(others)


@contextmanager
def prometheus(directory: Path, target: str, path: str) -> Iterator[Callable[[str], float]]:
    """Debian's Prometheus over one target; yields a way to ask an expression after a further scrape."""
    job = {"job_name": "nhipso", "scrape_interval": "3s", "scrape_timeout": "3s", "metrics_path": path}
    config = {"scrape_configs": [{**job, "static_configs": [{"targets": [target]}]}]}
    (directory / "prometheus.yml").write_text(json.dumps(config), "utf-8")  # JSON is YAML
    held = reserve(range(31_000, 32_000))
    port = int(held.getsockname()[1])
    held.close()
    files = [f"--config.file={directory / 'prometheus.yml'}", f"--storage.tsdb.path={directory / 'tsdb'}"]
    child = subprocess.Popen(
        ["prometheus", *files, f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    seen = [0.0]

    def value(expression: str) -> float | None:
        answer = http.get("/api/v1/query", params={"query": expression}).raise_for_status()
        found = answer.json()["data"]["result"]
        return float(found[0]["value"][1]) if found else None

    def ask(expression: str) -> float:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                # of the plain series: of an expression it would be the moment of the question
                stamp = value("timestamp(up)")
                if stamp is not None and stamp > seen[0] and value("up") == 1:
                    seen[0], found = stamp, value(expression)
                    if found is not None:
                        return found
            except httpx.HTTPError:
                pass
            time.sleep(0.2)
        raise TimeoutError("Prometheus has not scraped")

    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as http:
            yield ask
    finally:
        child.terminate()
        child.wait(30)


if __name__ == "__main__":
    show(list(run()))
