"""Every expression of every panel and variable, in a real Prometheus that scrapes a small province."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from conftest import free_port, program
from contract import metrics
from contract.metrics import Family
from contract.verdict import Verdict
from dashboards import boards
from dashboards.boards.lint import OWN
from dashboards.test_boards import settings
from tests.grafana import ALL, expressions, query, substitute

pytestmark = pytest.mark.slow

DAY = 86400
# id, name, level, ownership, area
FACILITIES = [
    ("12001", 'BVĐK tỉnh "Hữu nghị"', "province", "public", "Tân Phong"),
    ("12002", "TTYT khu vực A", "regional", "public", "Sìn Hồ"),
    ("12003", "Trạm y tế Pa Tần", "commune_station", "public", "Sìn Hồ"),
    ("12004", "Phòng khám Bình An", "clinic", "private", "Tân Phong"),
]
# indicator → share of the province, its target, in what unit, verdict
PROVINCE = {
    "emr": (0.71, 0.975, "cases", Verdict.BELOW),
    "einvoice": (0.949, 0.95, "cases", Verdict.NEAR),
    "cashless": (0.75, 0.75, "facilities", Verdict.MET),
    "kiosk": (0.2, None, "cases", Verdict.NO_TARGET),
    "claim": (0.3, 0.9, "cases", Verdict.INSUFFICIENT),
    "health_record": (0.4, 0.9, "cases", Verdict.UNKNOWN),
    "work_record": (0.5, 0.9, "cases", Verdict.NO_DATA),
}
# facility, indicator → share a week ago and now, verdict
SHARES = {
    ("12001", "emr"): (0.60, 0.80, Verdict.BELOW),
    ("12002", "emr"): (0.90, 0.55, Verdict.BELOW),
    ("12001", "cashless"): (0.50, 0.52, Verdict.MET),
    ("12002", "einvoice"): (0.95, 0.94, Verdict.NEAR),
    ("12004", "kiosk"): (0.20, 0.20, Verdict.NO_TARGET),
}
Sample = tuple[Family, tuple[str, ...], float]
Boards = dict[str, dict[str, Any]]


def province(moment: float) -> Iterator[Sample]:
    """What the collector would say of the small province at `moment` (seconds)."""
    yield from _of_indicators(moment)
    yield from _of_scopes()
    for place, facility in enumerate(FACILITIES):
        one = (facility[0],)
        yield metrics.FACILITY_INFO, facility, 1
        yield metrics.FACILITY_EXPECTED, one, moment - 90 * DAY
        yield metrics.FACILITY_PUSH, one, [moment - 60, moment - 3 * DAY, 0, moment - 60][place]
        yield metrics.CONFIRMATION, (*one, "2026-10", "open" if place else "confirmed"), 1
        yield Family("nhipso_confirmation_due_timestamp_seconds", ("facility", "period"), ""), (*one, "2026-10"), moment
        source = (*one, "his", "his.sql")
        yield metrics.SOURCE_UP, source, place % 2
        yield metrics.SOURCE_READ, source, moment - 600
        yield metrics.SOURCE_NEWEST, source, moment - DAY
        yield Family("nhipso_source_behind", ("facility", "source", "kind"), ""), source, place * 2
        yield metrics.SOURCE_UNMAPPED, (*one, "his", "payments"), place
        yield metrics.SOURCE_DIFFERENCE, (*one, "check", "payments"), 0.02
        yield metrics.FINDING, (*one, "emr", "frozen"), 1
        for measure, category in (("payments", "qr"), ("payments", "unknown"), ("payment_amount", "qr")):
            yield metrics.TALLY, (*one, measure, category), 12
    for agent, facilities in {"a3f1": ("12001", "12002"), "b7c2": ("12003", "12004")}.items():
        yield metrics.AGENT_INFO, (agent, "1.0.0"), 1
        yield metrics.AGENT_PUSH, (agent,), moment - 60
        yield metrics.AGENT_WAITING, (agent,), 3
        yield metrics.AGENT_PARKED, (agent,), 1
        yield metrics.AGENT_SKEW, (agent,), -2.5
        for one_facility in facilities:
            yield metrics.AGENT_FACILITY, (agent, one_facility), 1


def _of_indicators(moment: float) -> Iterator[Sample]:
    for (facility, indicator), (_, share, verdict) in SHARES.items():
        place = (facility, indicator)
        for window in ("30d", "today"):
            yield metrics.RATIO, (*place, window), share
            yield metrics.NUMERATOR, (*place, window), round(share * 200)
            yield metrics.DENOMINATOR, (*place, window), 200
        yield metrics.KNOWN, place, 0.98
        yield metrics.COMPLETENESS, place, 0.9
        yield metrics.AS_OF, place, moment - DAY
        yield metrics.VERDICT, place, verdict
        yield metrics.PREVIOUS, place, share - 0.1
        yield metrics.PREVIOUS_DENOMINATOR, place, 180
        yield metrics.BELOW_SINCE, place, moment - 9 * DAY if verdict is Verdict.BELOW else 0
        yield metrics.SAID, (*place, *("…" for _ in metrics.SAID.labels[2:])), 1
        if verdict is not Verdict.NO_TARGET:
            yield metrics.MISSING, place, 12
            yield metrics.TARGET, (*place, "lai-chau-2026-2030"), 0.95
            yield metrics.ROAD, (*place, "lai-chau-2026-2030"), 0.7
            yield metrics.DEADLINE, (indicator, "lai-chau-2026-2030"), moment + 90 * DAY


def _of_scopes() -> Iterator[Sample]:
    scopes = [("province", "all"), ("area", "Sìn Hồ"), ("level", "regional")]
    for indicator, (share, target, unit, verdict) in PROVINCE.items():
        for scope in scopes:
            for counted in ("cases", "facilities"):
                place = (*scope, indicator, "30d", counted)
                # of an indicator that is held against a share of facilities, another figure than that of its cases
                share_of_unit = share if counted == unit else share / 2
                yield metrics.SCOPE_RATIO, place, share_of_unit
                yield metrics.SCOPE_NUMERATOR, place, round(share_of_unit * 1000)
                yield metrics.SCOPE_DENOMINATOR, place, 1000
                held = counted == unit and target is not None
                if held:
                    yield metrics.SCOPE_TARGET, place, target or 0
                yield metrics.SCOPE_VERDICT, (*scope, indicator, counted), verdict if held else Verdict.NO_TARGET
            for one in Verdict:
                if one is not Verdict.NOT_APPLICABLE:
                    yield metrics.SCOPE_FACILITIES, (*scope, indicator, one.code), int(one)


def exposition(moment: float, turn: int) -> str:
    """The text of a scrape; `turn` makes the collector's own counters grow."""
    lines = [_line(family, values, value) for family, values, value in province(moment)]
    route = 'method="POST",route="/api/v1/tallies",status='
    lines += [f'nhipso_http_requests_total{{{route}"{status}"}} {turn * 10}' for status in (200, 500)]
    for le, share in (("0.1", 0.5), ("1", 0.9), ("+Inf", 1)):
        lines.append(f'nhipso_http_request_duration_seconds_bucket{{{route}"200",le="{le}"}} {turn * 100 * share}')
    lines += [f'nhipso_ingest_tallies_total{{result="{one}"}} {turn * 5}' for one in ("accepted", "stale", "refused")]
    lines += ["nhipso_exposition_render_seconds 0.2", 'nhipso_loop_period_seconds{loop="refresh"} 60']
    lines.append(f'nhipso_loop_heartbeat_timestamp_seconds{{loop="refresh"}} {moment - 5}')
    return "\n".join(lines) + "\n"


def a_week_ago(moment: float) -> str:
    """OpenMetrics of the shares around seven days before `moment`."""
    lines = ["# TYPE nhipso_indicator_ratio gauge"]
    for (facility, indicator), (share, *_) in SHARES.items():
        labels = dict(job="nhipso", instance="x", facility=facility, indicator=indicator, window="30d")
        text = ",".join(f'{name}="{value}"' for name, value in labels.items())
        for minute in range(-5, 30):
            lines.append(f"nhipso_indicator_ratio{{{text}}} {share} {moment - 7 * DAY + minute * 60:.0f}")
    return "\n".join([*lines, "# EOF"]) + "\n"


def _line(family: Family, values: tuple[str, ...], value: float) -> str:
    escaped = (one.replace("\\", r"\\").replace('"', r"\"") for one in values)
    labels = ",".join(f'{name}="{one}"' for name, one in zip(family.labels, escaped, strict=True))
    return f"{family.name}{{{labels}}} {value}"


@contextmanager
def exporter() -> Iterator[int]:
    """Serves the small province; yields its port."""
    turns = count(1)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.end_headers()
            self.wfile.write(exposition(time.time(), next(turns)).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def prometheus_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("prometheus")
    (directory / "history").write_text(a_week_ago(time.time()), "utf-8")
    blocks = [program("promtool"), "tsdb", "create-blocks-from", "openmetrics"]
    subprocess.run([*blocks, directory / "history", directory / "tsdb"], check=True, capture_output=True, timeout=60)
    with exporter() as port:
        _configure(directory, port)
        with _prometheus(directory) as url:
            _wait(url, "count_over_time(up[1m]) > 3", 'ALERTS{alertstate="firing"}')
            yield url


@contextmanager
def _prometheus(directory: Path) -> Iterator[str]:
    """Runs by the prometheus.yml in `directory`; yields its address, at which it may not answer yet."""
    listening = free_port()
    process = subprocess.Popen(
        [
            *(program("prometheus"), f"--config.file={directory / 'prometheus.yml'}"),
            *(f"--storage.tsdb.path={directory / 'tsdb'}", f"--web.listen-address=127.0.0.1:{listening}"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{listening}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def empty_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that reads nothing and evaluates nothing."""
    directory = tmp_path_factory.mktemp("empty")
    (directory / "prometheus.yml").write_text("{}")
    with _prometheus(directory) as url:
        _wait(url, "vector(1)")
        yield url


def _configure(directory: Path, port: int) -> None:
    rules = [
        {"alert": "IndicatorBelowTarget", "expr": "nhipso_indicator_verdict == 5", "labels": {"severity": "warning"}},
        {"alert": "LoopDead", "expr": "vector(1)", "labels": {"severity": "critical"}},
        {"alert": "Watchdog", "expr": "vector(1)"},
    ]
    (directory / "rules.yml").write_text(json.dumps({"groups": [{"name": "x", "interval": "1s", "rules": rules}]}))
    scraped = {
        "job_name": "nhipso",
        "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": {"instance": "x"}}],
    }
    settled = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    content = {"global": settled, "rule_files": ["rules.yml"], "scrape_configs": [scraped]}
    (directory / "prometheus.yml").write_text(json.dumps(content))  # JSON is YAML


def _wait(url: str, *expressions: str) -> None:
    """Until each of `expressions` has series."""
    deadline = time.monotonic() + 60
    while True:
        try:
            if all(query(url, one) for one in expressions):
                return
        except (OSError, AssertionError):
            pass  # it is starting
        assert time.monotonic() < deadline, "Prometheus did not come up"
        time.sleep(0.2)


def _choice(uid: str, indicator: str) -> dict[str, str]:
    """All of everything, but of `indicator`; the board of one facility needs one."""
    facility = "12002" if uid == "nhipso-co-so" else ALL
    return {"area": ALL, "level": ALL, "facility": facility, "indicator": indicator}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Boards:
    files = boards.files(settings(tmp_path_factory.mktemp("dashboards")), date(2026, 11, 22))
    return {Path(name).stem: json.loads(text) for name, text in files.items() if name.endswith(".json")}


def test_every_metric_of_the_contract_and_of_the_boards_is_in_the_small_province() -> None:
    there = {line.partition("{")[0].partition(" ")[0] for line in exposition(0.0, 1).splitlines()}
    wanted = {one.name for one in vars(metrics).values() if isinstance(one, Family)} | OWN
    by_prometheus = {"up", "scrape_duration_seconds", "scrape_samples_scraped", "ALERTS", "ALERTS_FOR_STATE"}
    assert wanted - there == by_prometheus


def test_every_expression_of_every_panel_and_variable_returns_series(prometheus_url: str, built: Boards) -> None:
    """Some queries of a tile are for one verdict each, so each may ask for any of the indicators."""
    nothing = []
    for uid, board in built.items():
        for title, expression in expressions(board):
            asked = (substitute(expression, _choice(uid, indicator), interval="10s") for indicator in (ALL, *PROVINCE))
            if not any(query(prometheus_url, one) for one in asked):
                nothing.append(f"{uid}: {title}: {expression}")
    assert nothing == []


def test_every_panel_shows_something_for_the_first_indicator(prometheus_url: str, built: Boards) -> None:
    empty = {(uid, title) for uid, board in built.items() for title, _ in expressions(board)}
    for uid, board in built.items():
        for title, expression in expressions(board):
            if query(prometheus_url, substitute(expression, _choice(uid, "emr"), interval="10s")):
                empty.discard((uid, title))
    assert empty == set()


def test_a_metric_that_nobody_exports_returns_nothing_and_a_broken_expression_is_named(prometheus_url: str) -> None:
    assert query(prometheus_url, "nhipso_nobody") == []
    with pytest.raises(AssertionError, match="parse error"):
        query(prometheus_url, "count(")


@pytest.mark.parametrize(
    ("indicator", "said"),
    [
        ("emr", {"A": ("0.71", "97,5", "")}),
        ("einvoice", {"B": ("0.949", "95", "")}),
        ("cashless", {"C": ("0.75", "75", " số cơ sở")}),
        ("kiosk", {"D": ("0.2", None, None)}),
        ("claim", {"E": ("0.3", None, None)}),
        ("health_record", {"F": ("0.4", None, None)}),
        ("work_record", {"G": ("0.5", None, None)}),
    ],
)
def test_a_tile_shows_the_share_with_its_target_in_the_colour_of_its_verdict(
    prometheus_url: str, built: Boards, indicator: str, said: dict[str, tuple[str, str | None, str | None]]
) -> None:
    found = {}
    for letter, expression in zip("ABCDEFG", _asked(built, "nhipso-tinh", "${indicator:text}"), strict=True):
        for one in query(prometheus_url, substitute(expression, _choice("nhipso-tinh", indicator))):
            target = one["metric"].get("target")
            found[letter] = (one["value"][1], target, target and one["metric"].get("of", ""))
    assert found == said


@pytest.mark.parametrize(
    ("uid", "title", "expected"),
    [
        ("nhipso-tinh", "Cơ sở đã đăng ký", {"": 4}),
        ("nhipso-tinh", "Không gửi số liệu quá 24 giờ", {"": 2}),
        ("nhipso-tinh", "Cơ sở có chỉ số chưa đạt", {"": 2}),
        ("nhipso-tinh", "Cảnh báo đang phát", {"": 3}),
        ("nhipso-tinh", "Tháng chờ xác nhận", {"": 3}),
        ("nhipso-tinh", "Tăng nhiều nhất", {"12001 cashless": 2, "12001 emr": 20}),
        ("nhipso-tinh", "Giảm nhiều nhất", {"12002 einvoice": -1, "12002 emr": -35}),
        ("nhipso-co-so", "Chỉ số chưa đạt", {"": 1}),
        ("nhipso-thu-thap", "Nguồn đứng yên", {"": 2}),
        ("nhipso-thu-thap", "Nguồn không đọc được", {"": 2}),
        ("nhipso-thu-thap", "Đồng hồ sai", {"": 0}),
        ("nhipso-he-thong", "Máy chủ thu thập", {"": 1}),
        ("nhipso-he-thong", "Các việc nền", {"refresh": 1}),
    ],
)
def test_the_first_query_of_a_panel_counts_what_its_title_says(
    prometheus_url: str, built: Boards, uid: str, title: str, expected: dict[str, float]
) -> None:
    found = query(prometheus_url, substitute(_asked(built, uid, title)[0], _choice(uid, ALL)))
    shown = {_place(one["metric"]): round(float(one["value"][1]), 6) for one in found}
    assert shown == expected


@pytest.mark.parametrize(
    ("indicator", "unit", "share", "target"),
    [("cashless", "facilities", "0.75", "0.75"), ("emr", "cases", "0.71", "0.975")],
)
def test_an_area_and_the_trend_are_in_the_unit_of_the_target(
    prometheus_url: str, built: Boards, indicator: str, unit: str, share: str, target: str
) -> None:
    def shown(title: str) -> list[list[tuple[str, str, str]]]:
        asked = (substitute(one, _choice("nhipso-chi-so", indicator)) for one in _asked(built, "nhipso-chi-so", title))
        labels = ("name", "unit")
        return [
            [
                (*(one["metric"].get(label, "") for label in labels), one["value"][1])
                for one in query(prometheus_url, each)
            ]
            for each in asked
        ]

    verdict, ratio, bound, numerator, denominator, *_ = shown("Từng địa bàn")
    assert verdict == [("Sìn Hồ", unit, str(int(PROVINCE[indicator][3])))]
    assert (ratio, bound) == ([("Sìn Hồ", unit, share)], [("Sìn Hồ", unit, target)])
    assert (numerator, denominator) == ([("Sìn Hồ", unit, f"{float(share) * 1000:g}")], [("Sìn Hồ", unit, "1000")])
    cases, facilities, bounds, levels = shown("Diễn biến")
    assert cases == [("", "", share if unit == "cases" else "0.375")]
    assert facilities == ([("", "", share)] if unit == "facilities" else [])
    assert bounds == [("", unit, target)]
    assert levels == [("regional", "", share)]


def test_a_facility_narrows_what_is_shown(prometheus_url: str, built: Boards) -> None:
    for uid, title in (("nhipso-tinh", "Kết quả của từng cơ sở"), ("nhipso-chi-so", "Các cơ sở, từ cao đến thấp")):
        expression = _asked(built, uid, title)[0]
        found = query(prometheus_url, substitute(expression, _choice(uid, "emr") | {"facility": "12001|12004"}))
        assert {one["metric"]["facility"] for one in found} == {"12001"}


def test_where_prometheus_has_nothing_no_tile_says_zero(empty_url: str, built: Boards) -> None:
    """Not even that nothing fires: no rule is evaluated there."""
    shown = {
        (uid, panel["title"])
        for uid, board in built.items()
        for panel in board["panels"]
        for one in panel.get("targets", [])
        if query(empty_url, substitute(one["expr"], _choice(uid, ALL)))
    }
    assert shown == set()
    there = [(uid, one["title"]) for uid, board in built.items() for one in board["panels"] if one["type"] == "stat"]
    assert len(there) > 15


def test_an_area_narrows_what_is_shown(prometheus_url: str, built: Boards) -> None:
    [expression] = _asked(built, "nhipso-tinh", "Kết quả của từng cơ sở")
    chosen = _choice("nhipso-tinh", ALL) | {"area": "Sìn Hồ"}
    found = query(prometheus_url, substitute(expression, chosen))
    assert {one["metric"]["name"] for one in found} == {"TTYT khu vực A"}


def _asked(built: Boards, uid: str, title: str) -> list[str]:
    return [expression for name, expression in expressions(built[uid]) if name == title]


def _place(labels: dict[str, str]) -> str:
    return " ".join(labels[name] for name in ("facility", "indicator", "loop") if name in labels)
