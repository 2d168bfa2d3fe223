"""Debian's Prometheus and VictoriaMetrics, each over a directory of its own, asked as people's Grafana asks them."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from conftest import free_port, program

Place = tuple[tuple[str, str], ...]
"""The labels of a series, without the empty ones: to Prometheus an empty label is none."""


@contextmanager
def victoria(directory: Path) -> Iterator[httpx.Client]:
    """VictoriaMetrics that keeps for ever what it gets, and shows it as soon as Prometheus does."""
    port = free_port()
    # by default it hides the last 30 seconds, in which not all may have arrived
    options = ("-retentionPeriod=100y", "-search.latencyOffset=0s", "-search.disableCache", "-loggerLevel=ERROR")
    listening = (f"-storageDataPath={directory / 'victoria'}", f"-httpListenAddr=127.0.0.1:{port}")
    with _running([program("victoria-metrics"), *listening, *options], port, "/health") as client:
        yield client


@contextmanager
def prometheus(directory: Path, config: Mapping[str, Any]) -> Iterator[httpx.Client]:
    """Prometheus over the blocks in `directory`/tsdb."""
    directory.mkdir(exist_ok=True)
    (directory / "prometheus.yml").write_text(json.dumps(config), "utf-8")  # JSON is YAML
    port = free_port()
    keeping = (f"--storage.tsdb.path={directory / 'tsdb'}", "--storage.tsdb.retention.time=100y")
    reading = (f"--config.file={directory / 'prometheus.yml'}", f"--web.listen-address=127.0.0.1:{port}")
    with _running([program("prometheus"), *keeping, *reading], port, "/-/ready") as client:
        yield client


def create_blocks(text: Path, directory: Path) -> None:
    """Load a text of OpenMetrics into `directory`/tsdb. Raises CalledProcessError when promtool refuses it."""
    command = (program("promtool"), "tsdb", "create-blocks-from", "openmetrics", text, directory / "tsdb")
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def take(client: httpx.Client, text: Path) -> None:
    """Load a text of OpenMetrics into VictoriaMetrics."""
    client.post("/api/v1/import/prometheus", content=text.read_bytes()).raise_for_status()
    client.get("/internal/force_flush").raise_for_status()


def ask(client: httpx.Client, expression: str, moment: float) -> dict[Place, float]:
    """The answer of an instant query. AssertionError with the server's words when it refuses."""
    answer = client.post("/api/v1/query", data={"query": expression, "time": str(moment)}).json()
    assert answer["status"] == "success", f"{answer['error']}\n{expression}"
    return {_place(one["metric"]): float(one["value"][1]) for one in answer["data"]["result"]}


def ask_range(client: httpx.Client, expression: str, moment: float, seconds: int) -> dict[Place, dict[float, float]]:
    """The answer of a range query over the `seconds` before: series → moment → value, a point each second."""
    data = {"query": expression, "start": str(moment - seconds), "end": str(moment), "step": "1"}
    answer = client.post("/api/v1/query_range", data=data).json()
    assert answer["status"] == "success", f"{answer['error']}\n{expression}"
    found = answer["data"]["result"]
    return {_place(one["metric"]): {at: float(value) for at, value in one["values"]} for one in found}


def wait_for(holds: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Until it holds; AssertionError when it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def _place(labels: Mapping[str, str]) -> Place:
    return tuple(sorted((name, value) for name, value in labels.items() if value))


@contextmanager
def _running(command: list[str], port: int, ready: str) -> Iterator[httpx.Client]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            wait_for(lambda: _answers(client, ready), f"{command[0]} did not come up")
            yield client
    finally:
        process.terminate()
        process.wait(30)


def _answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).is_success
    except httpx.TransportError:
        return False
