"""A real Prometheus scrapes a served collector and answers with the pushed figures."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from conftest import free_port, program
from contract.days import local_day, midnight, now
from tests.office import Office, a_source, a_tally, serving

pytestmark = pytest.mark.slow


@contextmanager
def prometheus(directory: Path, target: str, job: dict[str, object]) -> Iterator[httpx.Client]:
    """Debian's Prometheus, scraping `target` every second."""
    scraped = {"job_name": "nhipso", "scrape_interval": "1s", "scrape_timeout": "1s", **job}
    scraped["static_configs"] = [{"targets": [target]}]
    (directory / "prometheus.yml").write_text(json.dumps({"scrape_configs": [scraped]}))  # JSON is YAML
    port = free_port()
    process = subprocess.Popen(
        [
            *(program("prometheus"), f"--config.file={directory / 'prometheus.yml'}"),
            *(f"--storage.tsdb.path={directory / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            yield client
    finally:
        process.terminate()
        process.wait(30)


def ask(client: httpx.Client, expression: str) -> dict[str, float]:
    """The answer of an instant query by its labels' values; empty while there is none."""
    try:
        answer = client.get("/api/v1/query", params={"query": expression})
    except httpx.TransportError:
        return {}
    found = answer.json()["data"]["result"] if answer.is_success else []
    return {_place(one["metric"]): float(one["value"][1]) for one in found}


def _place(labels: dict[str, str]) -> str:
    return " ".join(value for name, value in sorted(labels.items()) if name not in ("__name__", "instance", "job"))


def wait_for(client: httpx.Client, expression: str, expected: dict[str, float]) -> None:
    deadline = time.monotonic() + 30
    while (found := ask(client, expression)) != expected:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


@pytest.mark.parametrize("token", [None, "metrics-token"])
def test_prometheus_answers_with_the_pushed_figures(tmp_path: Path, token: str | None) -> None:
    today = local_day(now())
    office = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    office.register("12002", area='Xã "Sìn Hồ"')
    agent = office.speaker("12001")
    office.push(
        agent,
        [a_tally(today - timedelta(days=1), counts={"cash": 1, "qr": 3}), a_tally(today, counts={"card": 7})],
        [a_source(newest_day={"12001": str(today)})],
        at=now(),
    )
    job: dict[str, object] = {} if token is None else {"authorization": {"credentials": token}}
    with serving(office.app(metrics_token=token)) as collector:
        target = f"127.0.0.1:{collector.base_url.port}"
        with prometheus(tmp_path, target, job) as client:
            shares = {"12001 cashless 30d": 0.75, "12001 cashless today": 1.0}
            wait_for(client, 'nhipso_indicator_ratio{indicator="cashless"}', shares)
            assert ask(client, "up") == {"": 1}
            assert ask(client, 'nhipso_indicator_denominator{window="30d"} > 0') == {"12001 cashless 30d": 4}
            assert ask(client, 'nhipso_tally{category="card"}') == {"card 12001 payments": 7}
            newest = {"12001 his.sql his": midnight(today).timestamp()}
            assert ask(client, "nhipso_source_newest_day_timestamp_seconds") == newest
            assert ask(client, "count(nhipso_facility_info)") == {"": 2}
            silent = "(nhipso_facility_last_push_timestamp_seconds == 0) * on (facility) group_left (area) "
            assert ask(client, silent + "nhipso_facility_info") == {'Xã "Sìn Hồ" 12002': 0}
            office.push(agent, [a_tally(today, 2, {"card": 8})], at=now())
            wait_for(client, 'nhipso_tally{category="card"}', {"card 12001 payments": 8})
    office.store.close()


def test_prometheus_without_the_token_sees_a_target_that_is_down(tmp_path: Path) -> None:
    office = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    office.register("12001")
    with (
        serving(office.app(metrics_token="x")) as collector,
        prometheus(tmp_path, f"127.0.0.1:{collector.base_url.port}", {}) as client,
    ):
        wait_for(client, "up", {"": 0})
        assert ask(client, "nhipso_facility_info") == {}
    office.store.close()
