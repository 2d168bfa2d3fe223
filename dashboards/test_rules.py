"""The generated rules: complete, lint-free, the same for the same settings; and the runbook that they lead to."""

import re
import subprocess
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import program
from contract import catalogue, plan
from contract.calendar import Calendar
from dashboards import rules
from dashboards.alerts_shape import duration
from dashboards.settings import Alerts, General, Settings

ROOT = Path(__file__).parent.parent
TODAY = date(2026, 11, 21)
CATALOGUE = catalogue.load()


def some_settings(**thresholds: Any) -> Settings:
    """Of a Sở with the sample plans."""
    return Settings(
        general=General.model_validate({"portal_url": "https://nhipso.example.gov.vn/"}),
        alerts=Alerts(**thresholds),
        catalogue=CATALOGUE,
        calendar=Calendar(),
        plans=plan.load([ROOT / "config" / "plans" / "so-y-te-2026.toml"], CATALOGUE),
        places=(),
        directory=ROOT,
    )


def parsed(settings: Settings, today: date = TODAY) -> list[dict[str, Any]]:
    """The rules of all groups."""
    content = yaml.safe_load(rules.files(settings, today)[rules.FILE])
    return [rule for group in content["groups"] for rule in group["rules"]]


def test_every_alert_of_the_contract_is_there_and_lint_finds_nothing() -> None:
    settings = some_settings()
    assert rules.problems(settings, rules.files(settings, TODAY)) == []
    assert {one["alert"] for one in parsed(settings)} == set(rules.ALERTS)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("alert: OffTheRoad", "alert: OffTheRails", "thiếu cảnh báo OffTheRoad"),
        ("alert: OffTheRoad", "alert: OffTheRails", "OffTheRails không có trong danh sách"),
        ("alert: SourceDown", "alert: FacilitySilent", "FacilitySilent có hai lần"),
        ("severity: none", "severity: high", "Watchdog: severity"),
        ("nhipso_road_ratio", "nhipso_rode_ratio", "không có metric nhipso_rode_ratio"),
        ("summary: Đường", "headline: Đường", "Watchdog: thiếu chú thích summary"),
    ],
)
def test_lint_names_what_is_wrong(old: str, new: str, problem: str) -> None:
    settings = some_settings()
    text = rules.files(settings, TODAY)[rules.FILE]
    assert old in text
    assert any(problem in one for one in rules.problems(settings, {rules.FILE: text.replace(old, new)}))


def test_lint_names_a_file_that_is_missing() -> None:
    assert rules.problems(some_settings(), {}) == [f"thiếu tệp {rules.FILE}"]


def test_thresholds_come_from_the_settings() -> None:
    by_name = {one["alert"]: one for one in parsed(some_settings(below_hours=1, silent_hours=0.01, settle_minutes=0))}
    assert "time() - 3600" in by_name["IndicatorBelowTarget"]["expr"]
    assert "time() - 36\n" in by_name["FacilitySilent"]["expr"]
    assert "for" not in by_name["FacilitySilent"]


@pytest.mark.parametrize(("asked", "figures"), [(60, "4m"), (1, "4s"), (240, "4m")])
def test_alerts_on_figures_and_months_are_looked_at_less_often_but_before_prometheus_forgets(
    asked: float, figures: str
) -> None:
    content = yaml.safe_load(rules.files(some_settings(interval_seconds=asked), TODAY)[rules.FILE])
    found = {group["name"]: group["interval"] for group in content["groups"]}
    others = duration(asked)
    rare, often = ("nhipso-indicators", "nhipso-confirmations"), ("nhipso-facilities", "nhipso-collector")
    assert found == {**dict.fromkeys(rare, figures), **dict.fromkeys(often, others)}


def test_the_runbook_may_stand_elsewhere() -> None:
    settings = some_settings()
    general = settings.general.model_copy(update={"runbook_url": "https://docs.example.vn/so-tay"})
    urls = {one["annotations"]["runbook_url"] for one in parsed(replace(settings, general=general))}
    assert "https://docs.example.vn/so-tay#watchdog" in urls


def test_every_alert_has_its_heading_in_the_runbook_and_every_heading_its_alert() -> None:
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text("utf-8"), re.M)
    assert sorted(headings) == sorted(rules.ALERTS)


def test_a_name_in_the_catalogue_cannot_break_out_of_its_text() -> None:
    settings = some_settings()
    strange = CATALOGUE.model_copy(
        update={
            "indicators": {
                **CATALOGUE.indicators,
                "emr": CATALOGUE.indicators["emr"].model_copy(update={"vi": 'a"\\$1'}),
            }
        }
    )
    expression = parsed(replace(settings, catalogue=strange))[0]["expr"]
    assert '"title", "a\\"\\\\$$1", "indicator", "emr"' in expression


@pytest.mark.slow
@pytest.mark.parametrize("thresholds", [{}, {"off_road_days": 0.001, "waiting_hours": 0.001, "interval_seconds": 0.5}])
def test_promtool_accepts_the_file(tmp_path: Path, thresholds: dict[str, Any]) -> None:
    (tmp_path / "rules.yml").write_text(rules.files(some_settings(**thresholds), TODAY)[rules.FILE], "utf-8")
    done = subprocess.run(
        [program("promtool"), "check", "rules", "--lint-fatal", str(tmp_path / "rules.yml")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
