"""When the alerts fire, when they do not, and what they say: `promtool test rules` over the generated file."""

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml

from conftest import program
from contract import metrics
from contract.days import LOCAL
from contract.metrics import Family
from contract.verdict import Verdict
from dashboards import rules
from dashboards.test_rules import TODAY, some_settings

pytestmark = pytest.mark.slow

# promtool's clock begins at 1970-01-01 00:00 UTC, 07:00 here: moments are given from there.
_START = datetime(1970, 1, 1, 7, tzinfo=LOCAL)
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
HOSPITAL = "Bệnh viện Đa khoa tỉnh"
_PLAN = "so-y-te-2026"
_PORTAL = "https://nhipso.example.gov.vn"


@dataclass
class Scene:
    """Series of one hospital from the start on, and the alerts expected at moments.

    Both are scraped and evaluated every `step` seconds.
    """

    step: int = _HOUR
    series: list[dict[str, str]] = field(default_factory=list)
    expected: list[dict[str, object]] = field(default_factory=list)

    def has(self, family: Family, value: float | str, **labels: str) -> "Scene":
        """`family` at a value, or with values in promtool's notation; the labels that are not given are the usual."""
        usual = {"facility": "12001", "indicator": "cashless", "plan": _PLAN, "window": "30d", "source": "his"}
        usual |= {"kind": "his.sql", "agent": "a3f1", "measure": "payments", "period": "2026-10", "name": HOSPITAL}
        usual |= {**CLAUSES, "level": "province", "ownership": "public", "area": "Thành phố", "version": "1.0.0"}
        given = {
            "job": "nhipso",
            "instance": "collector",
            **{one: usual.get(one, "") for one in family.labels},
            **labels,
        }
        text = ",".join(f"{name}={json.dumps(label, ensure_ascii=False)}" for name, label in given.items())
        values = value if isinstance(value, str) else f"{value}x{{for ever}}"
        self.series.append({"series": f"{family.name}{{{text}}}", "values": values})
        return self

    def test(self) -> dict[str, object]:
        """As promtool reads it."""
        last = max(-(-int(str(one["eval_time"])[:-1]) // self.step) for one in self.expected)
        series = [{**one, "values": one["values"].replace("{for ever}", str(last))} for one in self.series]
        return {"interval": f"{self.step}s", "input_series": series, "alert_rule_test": self.expected}

    def is_registered(self, values: float | str = 1, expected: float | str = -9e6) -> "Scene":
        """Known to the collector, which has expected data for months."""
        return self.has(metrics.FACILITY_INFO, values).has(metrics.FACILITY_EXPECTED, expected)

    def speaks(self) -> "Scene":
        """Its agent pushes all the time."""
        return self.has(metrics.FACILITY_PUSH, f"0+{self.step}x{{for ever}}")

    def stands(self, values: Mapping[Family, float | str]) -> "Scene":
        """Several families at once."""
        for family, value in values.items():
            self.has(family, value)
        return self

    def fires(self, alert: str, after: int, *texts: str, severity: str = "warning", **labels: str) -> "Scene":
        """`alert` fires `after` seconds; `texts`: the summary, the description, and plan_until where there is one."""
        facility = (
            {} if alert in ("CollectorDown", "LoopDead", "Watchdog") else {"facility": "12001", "area": "Thành phố"}
        )
        found = {"exp_labels": {"severity": severity, **facility, **labels}, "exp_annotations": {}}
        names = ("summary", "description", "plan_until")
        annotations = dict(zip(names, texts, strict=False))
        page = f"/facilities/12001{'#' + labels['indicator'] if 'indicator' in labels else ''}" if facility else ""
        annotations |= {"link": _PORTAL + page, "runbook_url": f"{_PORTAL}/docs/runbook#{alert.lower()}"}
        found["exp_annotations"] = annotations
        self._at(after, alert).append(found)
        return self

    def is_quiet(self, alert: str, *after: int) -> "Scene":
        """No `alert` at these moments."""
        for one in after:
            self._at(one, alert)
        return self

    def _at(self, after: int, alert: str) -> list[object]:
        same = [one for one in self.expected if (one["eval_time"], one["alertname"]) == (f"{after}s", alert)]
        if not same:
            same = [{"eval_time": f"{after}s", "alertname": alert, "exp_alerts": []}]
            self.expected += same
        alerts = same[0]["exp_alerts"]
        assert isinstance(alerts, list)
        return alerts


Check = Callable[..., None]


def only(text: str, alerts: set[object]) -> str:
    """The rules of these alerts: promtool need not evaluate the others at every step."""
    content = yaml.safe_load(text)
    for group in content["groups"]:
        group["rules"] = [rule for rule in group["rules"] if rule["alert"] in alerts]
    return yaml.dump(content, allow_unicode=True)


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Holds scenes against promtool."""
    usual = rules.files(some_settings(), TODAY)[rules.FILE]

    def run(*scenes: Scene, text: str = usual) -> None:
        alerts = {one["alertname"] for scene in scenes for one in scene.expected}
        (tmp_path / "rules.yml").write_text(only(text, alerts), "utf-8")
        content = {
            "rule_files": ["rules.yml"],
            "evaluation_interval": f"{scenes[0].step}s",
            "tests": [one.test() for one in scenes],
        }
        (tmp_path / "test.yml").write_text(yaml.dump(content, allow_unicode=True), "utf-8")
        command = [program("promtool"), "test", "rules", "test.yml"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr

    return run


def moment(seconds: float) -> str:
    """As people read it."""
    return f"{_START + timedelta(seconds=seconds):%d/%m/%Y %H:%M}"


def day(seconds: float) -> str:
    return f"{_START + timedelta(seconds=seconds):%d/%m/%Y}"


def steps(*pieces: tuple[float | str, int]) -> str:
    """Values one after another: (value, how many times); `_` is nothing scraped, `stale` a series that went."""
    # `_x3` is three of them, `1x3` is four
    return " ".join(f"{value}x{times - (value != '_')}" if times > 1 else f"{value}" for value, times in pieces)


CLAUSES = {
    "share": "đạt 47,2 % (1.234/2.612 ca trong 30 ngày, số liệu đến ngày 02/01/1970)",
    "target": "Chỉ tiêu ≥ 60 % theo Kế hoạch cải cách hành chính 2026, hạn 30/01/1970; còn thiếu 334 ca",
    "held": "",
    "than": "30 ngày trước đó",
    "before": "",
    "road": "",
    "plan_until": "2027-01-31",
}
FIGURES: dict[Family, float | str] = {
    metrics.RATIO: 0.4724,
    metrics.NUMERATOR: 1234,
    metrics.DENOMINATOR: 2612,
    metrics.VERDICT: Verdict.BELOW.value,
    metrics.TARGET: 0.6,
    metrics.SAID: 1,
}
SAID = f"{HOSPITAL}, “Lần thu không dùng tiền mặt”: {CLAUSES['share']}.\n{CLAUSES['target']}.\nChưa đạt từ {{since}}."
SUMMARY = f"{HOSPITAL}: “Lần thu không dùng tiền mặt” chưa đạt chỉ tiêu"
LATE = f"{HOSPITAL}: “Lần thu không dùng tiền mặt” đã quá hạn mà chưa đạt chỉ tiêu"


def below(since: float | str = 3600, deadline: float = 30 * _DAY - 7 * _HOUR) -> Scene:
    """Below target since one hour after the start, the deadline in a month."""
    scene = Scene().is_registered().stands(FIGURES)
    return scene.has(metrics.BELOW_SINCE, since).has(metrics.DEADLINE, deadline)


def test_below_target_for_a_day_fires_a_warning_before_the_deadline(check: Check) -> None:
    text = SAID.format(since=moment(3600))
    quiet, loud = 24 * _HOUR, 26 * _HOUR
    scene = below().is_quiet("IndicatorBelowTarget", quiet)
    check(scene.fires("IndicatorBelowTarget", loud, SUMMARY, text, "2027-01-31", indicator="cashless"))


def test_past_the_deadline_a_critical_one_fires_beside_the_warning(check: Check) -> None:
    text = SAID.format(since=moment(3600))
    scene = below(deadline=2 * _DAY - 7 * _HOUR)
    scene.fires("IndicatorBelowTarget", 40 * _HOUR, SUMMARY, text, "2027-01-31", indicator="cashless")
    for severity, summary in (("critical", LATE), ("warning", SUMMARY)):
        scene.fires(
            "IndicatorBelowTarget", 48 * _HOUR, summary, text, "2027-01-31", severity=severity, indicator="cashless"
        )
    check(scene)


def test_not_below_or_not_applicable_fire_nothing(check: Check) -> None:
    # The collector says 0 for met, near, too few cases from the start, not applicable, and when no plan is in force.
    plain = Scene().is_registered().has(metrics.VERDICT, Verdict.NOT_APPLICABLE.value)
    check(
        below(since=0).is_quiet("IndicatorBelowTarget", 26 * _HOUR), plain.is_quiet("IndicatorBelowTarget", 26 * _HOUR)
    )


def test_a_plan_that_has_ended_ends_the_alert_which_said_until_when(check: Check) -> None:
    text = SAID.format(since=moment(3600))
    scene = below(since=steps((3600, 30), (0, 9)))
    scene.fires("IndicatorBelowTarget", 29 * _HOUR, SUMMARY, text, "2027-01-31", indicator="cashless")
    check(scene.is_quiet("IndicatorBelowTarget", 30 * _HOUR))


def test_an_end_is_seen_at_once_though_the_alert_stood_at_the_evaluation_before(check: Check) -> None:
    # evaluated as often as in production: at whole hours nothing of the evaluation before is to be seen any more
    at = 26 * 15
    scene = Scene(step=4 * _MINUTE).is_registered().stands(FIGURES).has(metrics.DEADLINE, 30 * _DAY - 7 * _HOUR)
    scene.has(metrics.BELOW_SINCE, steps((3600, at), (0, 9)))
    text = SAID.format(since=moment(3600))
    scene.fires("IndicatorBelowTarget", (at - 1) * 240, SUMMARY, text, "2027-01-31", indicator="cashless")
    check(scene.is_quiet("IndicatorBelowTarget", at * 240, (at + 4) * 240))


def without_words() -> dict[Family, float | str]:
    return {family: value for family, value in FIGURES.items() if family is not metrics.SAID}


def test_other_figures_another_plan_and_too_little_to_judge_are_the_same_alert_with_other_words(check: Check) -> None:
    scene = Scene().is_registered().stands(without_words()).has(metrics.BELOW_SINCE, 3600)
    scene.has(metrics.SAID, steps((1, 30), ("stale", 1)))
    target, held = (
        'Chỉ tiêu ≥ 80 % theo KH "2027" $1',
        "Hiện ít số liệu: cảnh báo được giữ đến khi đủ số liệu để kết luận",
    )
    words = {"target": target, "held": held, "plan": "ke-hoach-2027", "plan_until": "2028-01-31"}
    scene.has(metrics.SAID, steps(("_", 30), (1, 9)), **words)
    text = SAID.format(since=moment(3600))
    scene.fires("IndicatorBelowTarget", 29 * _HOUR, SUMMARY, text, "2027-01-31", indicator="cashless")
    text = text.replace(CLAUSES["target"], f"{target}.\n{held}")
    check(scene.fires("IndicatorBelowTarget", 30 * _HOUR, SUMMARY, text, "2028-01-31", indicator="cashless"))


def test_an_alert_for_which_the_collector_has_no_words_fires_all_the_same(check: Check) -> None:
    scene = Scene().is_registered().stands(without_words()).has(metrics.BELOW_SINCE, 3600)
    text = SAID.format(since=moment(3600)).replace(
        f"{CLAUSES['share']}.\n{CLAUSES['target']}", "số liệu ở trang của cơ sở"
    )
    check(scene.fires("IndicatorBelowTarget", 26 * _HOUR, SUMMARY, text, "", indicator="cashless"))


def with_gap(value: float | str, before: int, gap: int) -> str:
    """Scraped, not scraped, and scraped again."""
    return steps((value, before), ("stale", 1), ("_", gap - 1), (value, 5))


def test_a_scrape_gap_of_days_ends_no_alert(check: Check) -> None:
    before, gap = 26 * 15, 26 * 15
    scene = Scene(step=4 * _MINUTE).is_registered(with_gap(1, before, gap))
    scene.stands({one: with_gap(value, before, gap) for one, value in FIGURES.items()})
    scene.has(metrics.BELOW_SINCE, with_gap(3600, before, gap))
    scene.has(metrics.DEADLINE, with_gap(40 * _DAY - 7 * _HOUR, before, gap))
    text = SAID.format(since=moment(3600))
    for step in (before - 1, before + gap):
        scene.fires("IndicatorBelowTarget", step * 240, SUMMARY, text, "2027-01-31", indicator="cashless")
    blind = "Cơ sở 12001: đang mất liên lạc với máy chủ thu thập, cảnh báo được giữ như trước."
    summary = SUMMARY.replace(HOSPITAL, "Cơ sở 12001")
    for step in (before, before + gap - 1):
        scene.fires("IndicatorBelowTarget", step * 240, summary, blind, "", indicator="cashless")
    check(scene)
