"""Beyond one Prometheus: history with its true days, VictoriaMetrics behind by remote write, a country in shards."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from click.testing import CliRunner
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from collector.__main__ import main
from contract import metrics
from contract.days import local_day, midnight, now
from dashboards import boards, rules
from dashboards.settings import load
from dashboards.test_boards import settings
from dashboards.test_boards_prometheus import PROVINCE, a_week_ago, exporter
from tests.grafana import ALL, expressions, substitute
from tests.long_term import ask, ask_range, create_blocks, prometheus, take, victoria, wait_for
from tests.office import Office, a_source, a_tally, serving

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent
TODAY = local_day(now())
# the third day is empty, of the fourth nothing is known
COUNTS: dict[date, dict[str, int]] = {
    TODAY - timedelta(days=5): {"cash": 60, "qr": 40},
    TODAY - timedelta(days=4): {"cash": 10, "card": 20, "unknown": 1},
    TODAY - timedelta(days=3): {},
    TODAY - timedelta(days=1): {"cash": 1, "transfer": 3},
}
CASHLESS = ("transfer", "card", "qr", "wallet")
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], dict[int, float]]
"""Name and labels → second → value."""


def end_of(day: date) -> int:
    return int(midnight(day + timedelta(days=1)).timestamp()) - 1


# --- history


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    found = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    agent = found.speaker("12001")
    found.register("12002")
    tallies = [a_tally(day, counts=counts) for day, counts in COUNTS.items()]
    found.push(agent, tallies, [a_source(read_at=now().isoformat())], at=now())
    yield found
    found.store.close()


def export(directory: Path, *arguments: str) -> Path:
    """What the command writes, from six days ago to yesterday if nothing else is asked for."""
    config, file = directory / "collector.toml", directory / "history"
    config.write_text('[collector]\ndata_dir = "."\n')
    days = ("--from", str(TODAY - timedelta(days=6)), "--to", str(TODAY - timedelta(days=1)))
    command = ["--config", str(config), "export", *days, "--output", str(file), *arguments]
    done = CliRunner().invoke(main, command)
    assert (done.exit_code, done.output) == (0, ""), (done.output, done.exception)
    return file


def told(text: str) -> Samples:
    """The samples of a text, read by the strict parser of prometheus_client."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
        for one in family.samples:
            at = found.setdefault((one.name, tuple(sorted(one.labels.items()))), {})
            at[int(float(one.timestamp))] = one.value
    return found


def of_payments(category: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return "nhipso_tally", (("category", category), ("facility", "12001"), ("measure", "payments"))


def of_cashless(name: str, window: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    labels = (("facility", "12001"), ("indicator", "cashless"), ("window", window))
    return f"nhipso_indicator_{name}", labels


def test_the_history_has_every_day_s_counts_at_the_end_of_that_day(office: Office, tmp_path: Path) -> None:
    found = told(export(tmp_path, "--format", "openmetrics").read_text())
    for category in ("cash", *CASHLESS, "mixed", "other", "unknown"):
        if of_payments(category) in found:
            assert found[of_payments(category)] == {end_of(day): n.get(category, 0) for day, n in COUNTS.items()}
    assert {of_payments("cash"), of_payments("unknown")} <= found.keys()
    assert found[of_cashless("numerator", "today")] == {
        end_of(day): sum(n.get(one, 0) for one in CASHLESS) for day, n in COUNTS.items()
    }
    # an empty day has counts, but no share
    assert found[of_cashless("ratio", "today")] == pytest.approx(
        {end_of(day): value for day, value in zip(COUNTS, (0.4, 2 / 3, None, 0.75), strict=True) if value is not None}
    )
    # on each day the thirty days that ended the day before
    assert found[of_cashless("denominator", "30d")] == {
        end_of(TODAY - timedelta(days=ago)): value for ago, value in ((4, 100), (3, 130), (2, 130), (1, 130))
    }
    assert {labels for name, labels in found if ("facility", "12002") in labels} == set()


def test_a_day_that_still_runs_ends_now_and_days_to_come_are_refused(office: Office, tmp_path: Path) -> None:
    office.push(office.access.speaker(office.enrol("12001"), now()), [], [], at=now())
    before = time.time()
    found = told(export(tmp_path, "--format", "openmetrics", "--to", str(TODAY)).read_text())
    [*_, last] = found[of_cashless("denominator", "30d")]
    assert before - 1 <= last <= time.time()
    config = str(tmp_path / "collector.toml")
    days = ("--from", str(TODAY), "--to", str(TODAY + timedelta(days=1)))
    done = CliRunner().invoke(main, ["--config", config, "export", "--format", "csv", *days])
    assert (done.exit_code, done.output) == (2, "--to phải không sau hôm nay\n")


def test_the_table_has_a_line_for_each_category_of_a_day_and_only_this_account_reads_it(
    office: Office, tmp_path: Path
) -> None:
    file = export(tmp_path, "--format", "csv")
    lines = file.read_text().splitlines()
    assert lines[0] == "facility,measure,day,category,count"
    first, empty = (TODAY - timedelta(days=ago) for ago in (5, 3))
    assert f"12001,payments,{first},qr,40" in lines
    assert f"12001,payments,{empty},qr,0" in lines
    assert {line.split(",")[2] for line in lines[1:]} == {str(day) for day in COUNTS}
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_range_of_two_years_is_as_that_of_each_year(office: Office, tmp_path: Path) -> None:
    agent, year = office.speaker("12001"), TODAY.year
    old = [date(year - 1, 12, 31), date(year, 1, 1)]
    sources = [a_source("emr", measures=["records"], read_at=now().isoformat())]
    office.push(agent, [a_tally(day, source="emr", measure="records", counts={"paper": 7}) for day in old], sources)

    def over(first: date, last: date) -> Samples:
        days = ("--from", str(first), "--to", str(last))
        return told(export(tmp_path, "--format", "openmetrics", *days).read_text())

    both = over(old[0], old[1])
    each = [over(day, day) for day in old]
    assert set(both) == set(each[0]) | set(each[1])
    for key, values in both.items():
        assert values == {**each[0].get(key, {}), **each[1].get(key, {})}


def test_prometheus_and_victoriametrics_give_the_day_figures_of_the_history_back(
    office: Office, tmp_path: Path
) -> None:
    file = export(tmp_path, "--format", "openmetrics")
    wanted = told(file.read_text())
    create_blocks(file, tmp_path / "prometheus")
    with prometheus(tmp_path / "prometheus", {}) as one, victoria(tmp_path) as other:
        take(other, file)
        assert raw(one) == wanted
        wait_for(lambda: raw(other).keys() == wanted.keys(), "VictoriaMetrics has other series")
        # it keeps twelve digits
        assert raw(other) == {key: pytest.approx(values, rel=1e-11) for key, values in wanted.items()}
        # what was loaded has no job: it can be taken out, and loaded again when figures were corrected
        loaded = {"match[]": '{__name__=~"nhipso_.*",job=""}'}
        other.get("/api/v1/admin/tsdb/delete_series", params=loaded).raise_for_status()
        assert raw(other) == {}
        take(other, file)
        wait_for(lambda: raw(other).keys() == wanted.keys(), "VictoriaMetrics does not take it again")
        for day, counts in COUNTS.items():
            query = 'sum(last_over_time(nhipso_tally{measure="payments"}[1d]))'
            for client in (one, other):
                assert ask(client, query, end_of(day)) == {(): sum(counts.values())}


def raw(client: httpx.Client) -> Samples:
    """All samples of the collector's that a server holds, at the moments at which it holds them."""
    query = {"query": '{__name__=~"nhipso_.*"}[90d]', "time": str(time.time())}
    found = client.get("/api/v1/query", params=query).json()["data"]["result"]
    return {
        (one["metric"].pop("__name__"), tuple(sorted(one["metric"].items()))): {
            int(at): float(value) for at, value in one["values"]
        }
        for one in found
    }


# --- the boards' queries


@contextmanager
def both(directory: Path) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """The small province in a Prometheus with the real rules, and in the VictoriaMetrics to which it writes."""
    (directory / "history").write_text(a_week_ago(time.time()), "utf-8")
    create_blocks(directory / "history", directory / "prometheus")
    found = settings(directory)
    soon = replace(found, alerts=found.alerts.model_copy(update={"interval_seconds": 0.5}))
    (directory / "rules.yml").write_text(rules.files(soon, TODAY)[rules.FILE], "utf-8")
    with exporter() as port, victoria(directory) as other:
        take(other, directory / "history")
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(directory / "rules.yml")],
            "scrape_configs": [{"job_name": "nhipso", "static_configs": [a_target(port, instance="x")]}],
            "remote_write": [
                {"url": f"{other.base_url}/api/v1/write", "queue_config": {"batch_send_deadline": "500ms"}}
            ],
        }
        with prometheus(directory / "prometheus", config) as one:
            yield one, other


def a_target(port: int, **labels: str) -> dict[str, Any]:
    return {"targets": [f"127.0.0.1:{port}"], "labels": labels}


def queries(directory: Path) -> set[str]:
    """All that the boards ask, with everything chosen, and with one indicator."""
    found = set()
    for name, text in boards.files(settings(directory), TODAY).items():
        if name.endswith(".json"):
            facility = "12002" if name.endswith("nhipso-co-so.json") else ALL
            for indicator in (ALL, *PROVINCE):
                chosen = {"area": ALL, "level": ALL, "facility": facility, "indicator": indicator}
                found |= {substitute(one, chosen, interval="5s") for _, one in expressions(json.loads(text))}
    return found


def test_victoriametrics_answers_every_query_of_the_boards_as_prometheus_does(tmp_path: Path) -> None:
    """At one moment, and over the seconds before it, as a chart asks.

    `rate` is the one function that the two define differently (docs/long-term.md): of a counter that grows evenly and
    is older than the window they say the same.
    """
    asked = queries(tmp_path)
    assert len(asked) > 200
    settled = (
        "min(count_over_time(up[1m])) > 10 and on () ALERTS{alertstate='firing', alertname='IndicatorBelowTarget'}"
    )
    with both(tmp_path) as (one, other):
        wait_for(lambda: bool(ask(one, settled, time.time())), "the counters are too young, or nothing fires")
        moment = round(time.time(), 3)
        wait_for(lambda: ask(other, f"timestamp(up) > {moment}", time.time()) != {}, "nothing is written any more")
        answers = {query: (ask(one, query, moment), ask(other, query, moment)) for query in asked}
        charts = {query: (ask_range(one, query, moment, 4), ask_range(other, query, moment, 4)) for query in asked}
    assert sum(bool(found) for found, _ in answers.values()) > 100
    for found in (answers, charts):
        # a scrape that comes a moment late makes a counter grow a little unevenly
        close = {query: 0.02 if "rate(" in query else 1e-9 for query in found}
        assert {query: pair for query, pair in found.items() if not is_same(*pair, rel=close[query])} == {}


def is_same(one: Mapping[Any, Any], other: Mapping[Any, Any], *, rel: float) -> bool:
    """The same series, the same moments, and the same figures but for the digits that VictoriaMetrics does not keep."""
    return one.keys() == other.keys() and all(
        other[key] == pytest.approx(one[key], rel=rel, nan_ok=True) for key in one
    )


# --- shards


FACILITIES = [f"{12001 + n}" for n in range(6)]
# of the collector's process, not of the province
PROCESS = "nhipso_(http|ingest|exposition|loop)_.*"
LATE = """
issuer = "Sở Y tế"
title = "Kế hoạch"
short = "Kế hoạch"
first_day = {first}
last_day = {last}

[[targets]]
indicator = "cashless"
ratio = 0.9
section = "I"
words = "90% số lần thu không dùng tiền mặt"
"""


def a_late_province(office: Office) -> Path:
    """Hospitals that have not done by yesterday what a plan asks for, with agents whose clocks are off; the plan."""
    plan, yesterday = office.directory / "ke-hoach.toml", TODAY - timedelta(days=1)
    plan.write_text(LATE.format(first=TODAY - timedelta(days=90), last=yesterday), "utf-8")
    office.register(*FACILITIES, at=now() - timedelta(days=30))
    for one in FACILITIES:
        tallies = [
            a_tally(TODAY - timedelta(days=n), facility=one, counts={"cash": 60 + n * n % 41}) for n in range(30)
        ]
        source = a_source(facilities=[one], read_at=now().isoformat(), newest_day={one: str(TODAY)})
        ahead = (now() + timedelta(minutes=10)).isoformat()
        office.push(office.speaker(one), tallies, [source], at=now(), sent_at=ahead)
    return plan


def write_rules(plan: Path, directory: Path) -> None:
    """Rules for a Sở with this plan, whose alerts fire at once."""
    (directory / "dashboards.toml").write_text(
        f'[dashboards]\nportal_url = "https://nhipso.example.gov.vn/"\nplan_files = [{json.dumps(str(plan))}]\n'
        "[alerts]\nbelow_hours = 0\ninterval_seconds = 0.5\n",
        "utf-8",
    )
    text = rules.files(load(directory / "dashboards.toml"), TODAY)[rules.FILE]
    (directory / "rules.yml").write_text(text, "utf-8")


def of_the_page(directory: Path, collector: httpx.Client, shard: int, store: httpx.Client) -> dict[str, Any]:
    """The config of docs/long-term.md for the Prometheus of a shard of two, with addresses and the haste of a test."""
    page = (ROOT / "docs" / "long-term.md").read_text("utf-8")
    [block] = [one for one in re.findall(r"(?:^    .*\n|^\n)+", page, re.M) if "nhipso-shared" in one]
    config: dict[str, Any] = yaml.safe_load(block)
    if shard == 1:  # as the page says
        config["scrape_configs"] = config["scrape_configs"][:1]
        config["scrape_configs"][0]["params"] = {"shard": ["1/2"]}
        del config["remote_write"][0]["write_relabel_configs"][0]
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(directory / "rules.yml")]
    config["remote_write"][0] |= {
        "url": f"{store.base_url}/api/v1/write",
        "queue_config": {"batch_send_deadline": "500ms"},
    }
    for job in config["scrape_configs"]:
        job["static_configs"] = [a_target(collector.base_url.port or 0)]
    return config


def alerts(client: httpx.Client) -> set[str]:
    """All that fires of facilities, with every word."""
    found = client.get("/api/v1/alerts").json()["data"]["alerts"]
    texts = ({"labels": one["labels"], "annotations": one["annotations"]} for one in found if one["state"] == "firing")
    return {json.dumps(one, sort_keys=True) for one in texts if "facility" in one["labels"]}


def series(client: httpx.Client) -> list[str]:
    """What is known of the province, wherever it was scraped, but for what the page does not send on."""
    found = ask(client, f'{{__name__=~"nhipso_.*",__name__!~"{PROCESS}|{metrics.SAID.name}"}}', time.time())
    return sorted(str([one for one in place if one[0] not in ("job", "instance")]) for place in found)


def test_two_shards_are_together_the_whole_and_fire_the_same_alerts(tmp_path: Path) -> None:
    """Each by a Prometheus and a collector of its own, with the config of the page; both write to one store."""
    office = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    plan = a_late_province(office)
    write_rules(plan, tmp_path)
    with (
        victoria(tmp_path) as store,
        serving(office.app(plan_files=(plan,))) as first,
        serving(office.app(plan_files=(plan,))) as second,
    ):
        whole_config = of_the_page(tmp_path, first, 1, store)
        del whole_config["remote_write"], whole_config["scrape_configs"][0]["params"]
        with (
            prometheus(tmp_path / "whole", whole_config) as whole,
            prometheus(tmp_path / "1", of_the_page(tmp_path, first, 1, store)) as one,
            prometheus(tmp_path / "2", of_the_page(tmp_path, second, 2, store)) as two,
        ):
            # below target, the same past the deadline, and a clock
            wait_for(lambda: len(alerts(whole)) >= 3 * len(FACILITIES), "the whole does not fire")
            wait_for(lambda: alerts(one) | alerts(two) == alerts(whole), "the shards fire something else")
            assert alerts(one) and alerts(two)
            assert alerts(one) & alerts(two) == set()
            wait_for(lambda: series(store) == series(whole), "the store has not each series once")
    office.store.close()
