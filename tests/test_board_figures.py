"""The boards over the demo: every expression that Grafana asks returns series, and tiles show what the API says."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import pytest

from conftest import free_port, program
from contract.days import now
from contract.verdict import Verdict
from demo.__main__ import places
from demo.children import Children
from demo.compare import differences
from demo.province import Province
from demo.running import Running
from demo.watch import Watch
from tests.grafana import ALL, expressions, query, substitute

pytestmark = pytest.mark.slow
PATIENCE_SECONDS = 180
PROVINCE, FACILITY = "nhipso-tinh", "nhipso-co-so"
SOON = """
[alerts]
below_hours = 0
settle_minutes = 0
interval_seconds = 1
"""
# Of the queries of such a tile one answers: that of the verdict which the indicator has.
ONE_ANSWERS = ("${indicator:text}", "Toàn tỉnh")
# What an expression holds that need not have series in a healthy demo, and why.
EXCUSED = {
    "offset 7d": "this Prometheus has only just begun",
    "nhipso_indicator_previous_ratio": "the demo has lived five weeks: the 30 days before are not whole",
    'nhipso_finding{facility="$facility"}': "nothing is wrong with the figures of the demo",
    "nhipso_source_check_difference_ratio": "no hospital of the demo has a second source to check the first",
}


class Shown:
    """The demo with the boards that were built for it, and the Prometheus that they would ask."""

    def __init__(self, running: Running, watch: Watch, children: Children) -> None:
        self.running = running
        self.watch = watch
        self._children = children
        folder = watch.directory / "grafana" / "dashboards"
        self.boards = {file.stem: json.loads(file.read_text("utf-8")) for file in sorted(folder.glob("*.json"))}

    def ask(self, expression: str, **chosen: str) -> list[dict[str, Any]]:
        """The series of an expression with the variables as chosen, "All" where nothing is."""
        everything = dict.fromkeys(("area", "level", "facility", "indicator"), ALL)
        assert self.watch.prometheus is not None
        return query(self.watch.prometheus, substitute(expression, everything | chosen, interval="10s"))

    def value(self, expression: str, **chosen: str) -> float | None:
        """The figure of an expression that has one series, None when it has none."""
        found = self.ask(expression, **chosen)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    def panel(self, board: str, title: str) -> dict[str, Any]:
        """The panel with this title."""
        (found,) = (one for one in self.boards[board]["panels"] if one["title"] == title)
        return dict(found)

    def wait(self, wrong: Callable[[], list[Any]]) -> None:
        """Until nothing is wrong any more: the next scrape may tell what this one did not."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while found := wrong():
            assert time.monotonic() < deadline, found
            self._children.check()
            time.sleep(1)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """Everything that has happened in the province has arrived."""
    program("prometheus")  # the demo would go on without
    home, port = tmp_path_factory.mktemp("province"), free_port()
    address = f"http://127.0.0.1:{port}"
    with (
        closing(Province(home, now(), size=0.5, collector=address, poll_minutes=0.1)) as province,
        Children(home / "logs") as children,
        closing(Running(province, children, port)) as running,
        closing(Watch(running, children, SOON, scrape_seconds=1)) as watch,
    ):
        found = Shown(running, watch, children)
        days = province.days(now())
        found.wait(lambda: differences(province.truth(days), running.arrived(days), days))
        # What it does once a day (roads begin, data is looked over), it does when it starts, too.
        children.stop("collector")
        children.resume("collector")
        running.await_ready()
        yield found


def test_every_expression_of_every_panel_and_variable_returns_series(shown: Shown) -> None:
    asked = [
        {"indicator": indicator, "facility": facility}
        for indicator, facility in product(indicators(shown), ("12001", ALL))
    ]

    def answers(expression: str) -> bool:
        return any(shown.ask(expression, **one) for one in asked)

    wanted = [(board, *one) for board, content in shown.boards.items() for one in expressions(content)]
    excused = {piece: [one for *_, one in wanted if piece in one] for piece in EXCUSED}
    left = [one for one in wanted if not any(one[2] in found for found in excused.values())]

    def without() -> list[tuple[str, str, str]]:
        there = [one for one in left if answers(one[2])]
        tiles = {one[:2] for one in there if one[1] in ONE_ANSWERS}
        left[:] = [one for one in left if one not in there and one[:2] not in tiles]
        return left

    shown.wait(without)
    assert [piece for piece, found in excused.items() if not found] == []


def test_the_demo_says_where_everything_is(shown: Shown) -> None:
    said = dict(places(shown.running, shown.watch))
    assert said["Prometheus"] == f"{shown.watch.prometheus}/alerts"
    for address in (said["Alertmanager"], shown.watch.prometheus):
        with build_opener(ProxyHandler({})).open(f"{address}/-/healthy", timeout=30) as answer:
            assert answer.status == 200
    [line] = re.findall(r"^GF_PATHS_PROVISIONING=(\S+) grafana server$", said["Các bảng, khi có Grafana"])
    assert sorted(one.name for one in Path(line).iterdir()) == ["dashboards", "datasources"]
    # the datasource of the boards is this very Prometheus
    assert f"url: {shown.watch.prometheus}\n" in (Path(line) / "datasources" / "nhipso.yml").read_text("utf-8")


def test_a_tile_of_the_province_shows_what_the_api_says(shown: Shown) -> None:
    targets = shown.panel(PROVINCE, ONE_ANSWERS[0])["targets"]

    def wrong() -> list[Any]:
        rows = [one for one in shown.running.ask("/api/v1/scopes")["scopes"] if one["scope"] == "province"]
        rows = [one for one in rows if one["target"] is not None or one["unit"] == "cases"]
        # the unit that the target is in, where there is one
        wanted = {one["indicator"]: one for one in sorted(rows, key=lambda one: one["target"] is not None)}
        assert {"below", "no_target"} <= {one["verdict"] for one in wanted.values()}
        found = []
        for indicator, row in wanted.items():
            tiles = {}
            for one in targets:
                if (value := shown.value(one["expr"], indicator=indicator)) is not None:
                    tiles[one["legendFormat"].partition(" · ")[0]] = value
            word = Verdict[row["verdict"].upper()].vi
            expected = {} if row["ratio"] is None else {word: row["ratio"]}
            found += [(indicator, tiles, expected)] if tiles != expected else []
        return found

    shown.wait(wrong)


def test_the_board_of_a_facility_shows_what_the_api_says(shown: Shown) -> None:
    (line,) = (
        one["expr"]
        for one in shown.panel(FACILITY, "Tỷ lệ so với lộ trình và chỉ tiêu")["targets"]
        if one["legendFormat"] == "Tỷ lệ 30 ngày"
    )
    table = {one["refId"]: one["expr"] for one in shown.panel(FACILITY, "Các chỉ số của cơ sở")["targets"]}

    def wrong() -> list[Any]:
        rows = shown.running.ask("/api/v1/standings")["standings"]
        assert {"12001", "12002", "12003", "12004", "12005"} == {one["facility"] for one in rows}
        found: list[Any] = []
        for row in rows:
            place = {"facility": row["facility"], "indicator": row["indicator"]}
            share = shown.value(line, **place)
            found += [(place, share, row["ratio"])] if share != row["ratio"] else []
        for facility in {one["facility"] for one in rows}:
            own = [one for one in rows if one["facility"] == facility and one["verdict"] != "not_applicable"]
            expected = {
                "A": {one["indicator"]: float(Verdict[one["verdict"].upper()]) for one in own},
                "B": {one["indicator"]: one["ratio"] for one in own if one["ratio"] is not None},
                "C": {one["indicator"]: one["target"]["ratio"] for one in own if one["target"] is not None},
                "F": {one["indicator"]: one["numerator"] for one in own if one["as_of"] is not None},
                "G": {one["indicator"]: one["denominator"] for one in own if one["as_of"] is not None},
            }
            for letter, values in expected.items():
                series = shown.ask(table[letter], facility=facility)
                cells = {one["metric"]["indicator"]: float(one["value"][1]) for one in series}
                found += [(facility, letter, cells, values)] if cells != values else []
        return found

    shown.wait(wrong)


def indicators(shown: Shown) -> list[str]:
    """All at once, and each that somebody has a figure of."""
    rows = shown.running.ask("/api/v1/standings")["standings"]
    return [ALL, *sorted({one["indicator"] for one in rows if one["ratio"] is not None})]
