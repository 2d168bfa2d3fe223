"""What evaluating all generated rules costs Debian's Prometheus, of each minute, at the intervals that are shipped.

The metrics are those of a real collector over a made-up province, scraped by the Prometheus that evaluates. Every
facility is a hospital with all 14 indicators, which is harder than a province of commune stations. `hard`: as the dice
fall, more than half of all pairs (facility, indicator) are below their target; `calm`: one facility in ten is left to
the dice. Whoever is below fires at once (`below_hours = 0`); nothing else of the rules differs from the shipped.

The past: Prometheus begins with blocks (promtool) of ten days in which the figures were as they are, at the moments at
which the rules look back: at midnight what OffTheRoad compares, every minute of the last hours what SourceDown and
AgentWaitingGrows do. A Prometheus that has scraped each minute of nine days reads more for OffTheRoad: measured apart,
with a week by the minute, 50 ms of processor time for 20 hospitals, so 1.5 s for 600, once in its four minutes. Alerts
that wait (`for`) are worked out like those that fire.

Measured is what Prometheus says of itself: prometheus_rule_group_last_duration_seconds of each group, the median of
several evaluations when all alerts stand. The groups are evaluated more often here, so that nobody waits; the time is
set against the interval that the group has in the shipped config, and added up to seconds in each minute.
"""

import json
import re
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
import yaml

from benchmarks.folders import row, show
from benchmarks.province import PLANS, fill, serving
from collector.store import Store
from collector.store.tables import agent, facility, source, tally
from contract import catalogue, metrics, plan
from contract.calendar import Calendar
from contract.days import local_day, now
from dashboards import rules
from dashboards.settings import Alerts, General, Settings
from demo.running import reserve

MINUTE, _DAY = 60, 86400
DAYS = 62
EVALUATIONS = 3
_HASTE = 8
"""How many times as often as shipped groups are evaluated here; none may become shorter than its evaluation."""
_DAILY = (metrics.ROAD, metrics.RATIO, metrics.VERDICT)
_BY_MINUTE = (metrics.SOURCE_UP, metrics.AGENT_WAITING)
_HOURS = 13
# A shard of the country, if twenty Prometheus servers share its 13,000 facilities.
_SHARD = 650


@dataclass(frozen=True)
class Case:
    """What is measured: so many facilities, of which one in ten (calm) or all are left to the dice."""

    name: str
    facilities: int
    calm: bool
    share: float
    """Of a minute: the goal."""


CASES = (
    Case("a province of 600, hard", 600, False, 0.1),
    Case("a province of 600, calm", 600, True, 0.1),
    Case(f"one of 20 shards of the country ({_SHARD}), hard", _SHARD, False, 0.5),
)


def run(cases: tuple[Case, ...] = CASES) -> list[dict[str, Any]]:
    """Measure. Takes some minutes for each case: a province is made, and evaluations are waited for."""
    return [_measured(one) for one in cases]


def _measured(case: Case) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        _make(directory, case)
        with serving(directory, {}) as (collector, _):
            text = _told(collector)
            _write_past(directory, text)
            with prometheus(directory, collector) as client:
                groups, firing = _evaluations(client)
    pairs = sum(line.startswith(metrics.VERDICT.name + "{") for line in text.splitlines())
    shipped = _intervals(Alerts())
    ours = sum(seconds * MINUTE / shipped[group] for group, seconds in groups.items())
    longest = max(groups, key=groups.__getitem__)
    detail = f"{firing} alerts, {pairs} pairs; {longest}: {groups[longest]:.1f} s every {shipped[longest]} s"
    goal = f"ratio < {case.share}"
    return row(f"rules, {case.name} ({detail})", ours, MINUTE, "s of each minute", goal, ours < case.share * MINUTE)


def _make(directory: Path, case: Case) -> None:
    with closing(Store(f"sqlite:///{directory / 'collector.sqlite'}")) as store:
        store.migrate()
        ids = fill(store, case.facilities, DAYS)
        with store.write() as connection:
            connection.execute(agent.update().values(waiting=0, parked=0, skew_seconds=0, last_push_at=now()))
            # of whom nothing is expected yet, or nothing was heard, less is told
            long_ago = now() - timedelta(days=DAYS)
            connection.execute(facility.update().values(registered_at=long_ago, last_push_at=now()))
            if case.calm:
                _calm(connection, [one for n, one in enumerate(ids) if n % 10])


def _calm(connection: sa.Connection, ids: list[str]) -> None:
    """Of a hundred cases these facilities have done 99 as the indicators want them; all of them would be a finding."""
    known = catalogue.load()
    sources = sa.select(source.c.id).where(source.c.facility.in_(ids))
    for code, measure in known.measures.items():
        indicators = [one for _, one in known.indicators_of(code)]
        wanted = [one for indicator in indicators for one in indicator.adopted]
        rest = [one for one in measure.categories if not any(one in (*i.adopted, *i.excluded) for i in indicators)]
        if wanted and rest:
            cases = sa.func.sum(sa.func.json_each(tally.c.counts).table_valued("value").c.value)
            counts = sa.func.json_object(wanted[0], cases - cases // 100, rest[0], cases // 100)
            change = tally.update().where(tally.c.measure == code, tally.c.source.in_(sources))
            connection.execute(change.values(counts=sa.select(counts).scalar_subquery()))


def _told(collector: str) -> str:
    """The collector's metrics, when all roads have been begun, too: no more of them in several seconds."""
    deadline, before = time.monotonic() + 300, 0
    while True:
        text = httpx.get(f"{collector}/metrics", timeout=60, trust_env=False).text
        roads = text.count(f"\n{metrics.ROAD.name}{{")
        if roads and roads == before:
            return text
        if time.monotonic() > deadline:
            raise TimeoutError("no road has begun")
        before = roads
        time.sleep(5)


def _write_past(directory: Path, text: str) -> None:
    """Blocks of Prometheus in which the figures were always as they are.

    A file for each block of two hours: promtool reads a file as often as it has blocks.
    """
    moment = time.time()
    minutes = [moment - n * MINUTE for n in range(_HOURS * 60)]
    midnights = [moment // _DAY * _DAY - n * _DAY for n in range(10)]  # of UTC: where steps of a day lie
    blocks: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for families, moments in ((_DAILY, midnights), (_BY_MINUTE, minutes)):
        for one in sorted(moments):
            for family in families:
                blocks[int(one // 7200)][family.name].append(one)
    command = ("promtool", "tsdb", "create-blocks-from", "openmetrics", directory / "past", directory / "tsdb")
    lines = [line.rpartition("} ") for line in text.splitlines() if 'window="today"' not in line]
    for of in blocks.values():
        with (directory / "past").open("w", encoding="utf-8") as file:
            for name, moments in of.items():
                file.write(f"# TYPE {name} gauge\n")
                for series, _, value in lines:
                    if series.startswith(name + "{"):
                        labels = f'{series},job="nhipso",instance="c"}}'
                        file.writelines(f"{labels} {value} {one:.0f}\n" for one in moments)
            file.write("# EOF\n")
        subprocess.run(command, check=True, capture_output=True)


@contextmanager
def prometheus(directory: Path, collector: str) -> Iterator[httpx.Client]:
    """Debian's Prometheus with the generated rules, which scrapes the collector."""
    hasty = Alerts(below_hours=0, interval_seconds=Alerts().interval_seconds / _HASTE)
    (directory / "rules.yml").write_text(_rules(hasty), "utf-8")
    target = {"targets": [collector.removeprefix("http://")], "labels": {"instance": "c"}}
    content = {
        "global": {"scrape_interval": "20s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [{"job_name": "nhipso", "static_configs": [target]}],
    }
    (directory / "prometheus.yml").write_text(json.dumps(content), "utf-8")  # JSON is YAML
    held = reserve([0])
    address = f"127.0.0.1:{held.getsockname()[1]}"
    held.close()
    command = [
        *("prometheus", f"--config.file={directory / 'prometheus.yml'}", f"--web.listen-address={address}"),
        f"--storage.tsdb.path={directory / 'tsdb'}",
    ]
    with (directory / "prometheus.log").open("wb") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://{address}", timeout=60, trust_env=False) as client:
            yield client
    finally:
        child.terminate()
        child.wait(60)


def _rules(alerts: Alerts) -> str:
    known = catalogue.load()
    settings = Settings(
        general=General.model_validate({"portal_url": "https://nhipso.example.gov.vn"}),
        alerts=alerts,
        catalogue=known,
        calendar=Calendar(),
        plans=plan.load(PLANS, known),
        places=(),
        directory=Path(),
    )
    return rules.files(settings, local_day(now()))[rules.FILE]


def _intervals(alerts: Alerts) -> dict[str, int]:
    """Group → seconds between its evaluations."""
    seconds = {"s": 1, "m": MINUTE}
    found = yaml.safe_load(_rules(alerts))["groups"]
    return {one["name"]: int(one["interval"][:-1]) * seconds[one["interval"][-1]] for one in found}


def _evaluations(client: httpx.Client) -> tuple[dict[str, float], int]:
    """Group → the median time of an evaluation when all alerts stand; and how many these are."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    most, deadline = 0, time.monotonic() + 600
    while min((len(of) for of in found.values()), default=0) < EVALUATIONS:
        if time.monotonic() > deadline:
            raise TimeoutError("Prometheus evaluates nothing")
        time.sleep(1)
        with suppress(httpx.TransportError):  # it is starting
            firing = _firing(client)
            if firing > most:
                most = firing
                found.clear()
            moments = _own(client, "prometheus_rule_group_last_evaluation_timestamp_seconds")
            durations = _own(client, "prometheus_rule_group_last_duration_seconds")
            if most > 1:  # the watchdog is there from the beginning
                for group, seconds in durations.items():
                    found[group][moments[group]] = float(seconds)
    return {group: statistics.median(of.values()) for group, of in found.items()}, most


def _own(client: httpx.Client, name: str) -> dict[str, str]:
    """What Prometheus says of its groups: name → value of a metric."""
    return dict(re.findall(rf'^{name}{{rule_group="[^"]*;([^"]*)"}} (.*)$', client.get("/metrics").text, re.M))


def _firing(client: httpx.Client) -> int:
    query = {"query": 'count(ALERTS{alertstate="firing"})'}
    found = client.get("/api/v1/query", params=query).json()["data"]["result"]
    return int(found[0]["value"][1]) if found else 0


if __name__ == "__main__":
    show(run())
