"""When the alerts fire, when they do not, and what they say: `promtool test rules` over the generated file."""

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from conftest import program
from contract import metrics
from contract.days import LOCAL
from contract.metrics import Family
from contract.plan import Override
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
        usual |= {"level": "province", "ownership": "public", "area": "Thành phố", "version": "1.0.0"}
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


FIGURES: dict[Family, float | str] = {
    metrics.RATIO: 0.4724,
    metrics.NUMERATOR: 1234,
    metrics.DENOMINATOR: 2612,
    metrics.MISSING: 334,
    metrics.AS_OF: 17 * _HOUR,  # the midnight with which 02/01/1970 begins
    metrics.VERDICT: Verdict.BELOW.value,
    metrics.TARGET: 0.6,
}
SAID = (
    f"{HOSPITAL}, “Lần thu không dùng tiền mặt”: "
    "đạt 47,2 % (1.234/2.612 ca trong 30 ngày, số liệu đến ngày 02/01/1970).\n"
    "Chỉ tiêu ≥ 60 % theo Kế hoạch cải cách hành chính 2026, hạn {deadline}; còn thiếu 334 ca.\n"
    "Chưa đạt từ {since}."
)
SUMMARY = f"{HOSPITAL}: “Lần thu không dùng tiền mặt” chưa đạt chỉ tiêu"
LATE = f"{HOSPITAL}: “Lần thu không dùng tiền mặt” đã quá hạn mà chưa đạt chỉ tiêu"


def below(since: float | str = 3600, deadline: float = 30 * _DAY - 7 * _HOUR) -> Scene:
    """Below target since one hour after the start, the deadline in a month."""
    scene = Scene().is_registered().stands(FIGURES)
    return scene.has(metrics.BELOW_SINCE, since).has(metrics.DEADLINE, deadline)


def test_below_target_for_a_day_fires_a_warning_before_the_deadline(check: Check) -> None:
    text = SAID.format(deadline="30/01/1970", since=moment(3600))
    quiet, loud = 24 * _HOUR, 26 * _HOUR
    scene = below().is_quiet("IndicatorBelowTarget", quiet)
    check(scene.fires("IndicatorBelowTarget", loud, SUMMARY, text, "2027-01-31", indicator="cashless"))


def test_past_the_deadline_a_critical_one_fires_beside_the_warning(check: Check) -> None:
    text = SAID.format(deadline="02/01/1970", since=moment(3600))
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
    text = SAID.format(deadline="30/01/1970", since=moment(3600))
    scene = below(since=steps((3600, 30), (0, 9)))
    scene.fires("IndicatorBelowTarget", 29 * _HOUR, SUMMARY, text, "2027-01-31", indicator="cashless")
    check(scene.is_quiet("IndicatorBelowTarget", 30 * _HOUR))


def test_an_end_is_seen_at_once_though_the_alert_stood_at_the_evaluation_before(check: Check) -> None:
    # evaluated as often as in production: at whole hours nothing of the evaluation before is to be seen any more
    at = 26 * 15
    scene = Scene(step=4 * _MINUTE).is_registered().stands(FIGURES).has(metrics.DEADLINE, 30 * _DAY - 7 * _HOUR)
    scene.has(metrics.BELOW_SINCE, steps((3600, at), (0, 9)))
    text = SAID.format(deadline="30/01/1970", since=moment(3600))
    scene.fires("IndicatorBelowTarget", (at - 1) * 240, SUMMARY, text, "2027-01-31", indicator="cashless")
    check(scene.is_quiet("IndicatorBelowTarget", at * 240, (at + 4) * 240))


def test_a_new_plan_with_a_new_quarter_is_the_same_alert(check: Check) -> None:
    figures = {family: value for family, value in FIGURES.items() if family is not metrics.TARGET}
    scene = Scene().is_registered().stands(figures).has(metrics.BELOW_SINCE, 3600)
    scene.has(metrics.TARGET, steps((0.6, 30), ("stale", 1)))
    scene.has(metrics.TARGET, steps(("_", 30), (0.8, 9)), plan="ke-hoach-2027")
    text = SAID.format(deadline="", since=moment(3600)).replace(", hạn ;", ";")
    scene.fires("IndicatorBelowTarget", 29 * _HOUR, SUMMARY, text, "2027-01-31", indicator="cashless")
    text = text.replace("60 %", "80 %").replace("Kế hoạch cải cách hành chính 2026", "ke-hoach-2027")
    check(scene.fires("IndicatorBelowTarget", 30 * _HOUR, SUMMARY, text, "", indicator="cashless"))


def test_what_cannot_be_judged_stays_and_says_so(check: Check) -> None:
    scene = Scene().is_registered().stands({**FIGURES, metrics.VERDICT: Verdict.INSUFFICIENT.value})
    scene.has(metrics.BELOW_SINCE, 3600).has(metrics.DEADLINE, 30 * _DAY - 7 * _HOUR)
    held = "\nHiện ít số liệu: cảnh báo được giữ đến khi đủ số liệu để kết luận."
    text = SAID.format(deadline="30/01/1970", since=moment(3600)).replace("\nChưa đạt từ", f"{held}\nChưa đạt từ")
    check(scene.fires("IndicatorBelowTarget", 26 * _HOUR, SUMMARY, text, "2027-01-31", indicator="cashless"))


def with_gap(value: float | str, before: int, gap: int) -> str:
    """Scraped, not scraped, and scraped again."""
    return steps((value, before), ("stale", 1), ("_", gap - 1), (value, 5))


def test_a_scrape_gap_of_days_ends_no_alert(check: Check) -> None:
    before, gap = 26 * 15, 26 * 15
    scene = Scene(step=4 * _MINUTE).is_registered(with_gap(1, before, gap))
    scene.stands({one: with_gap(value, before, gap) for one, value in FIGURES.items()})
    scene.has(metrics.BELOW_SINCE, with_gap(3600, before, gap))
    scene.has(metrics.DEADLINE, with_gap(40 * _DAY - 7 * _HOUR, before, gap))
    text = SAID.format(deadline="09/02/1970", since=moment(3600))
    for step in (before - 1, before + gap):
        scene.fires("IndicatorBelowTarget", step * 240, SUMMARY, text, "2027-01-31", indicator="cashless")
    blind = "Cơ sở 12001: đang mất liên lạc với máy chủ thu thập, cảnh báo được giữ như trước."
    summary = SUMMARY.replace(HOSPITAL, "Cơ sở 12001")
    for step in (before, before + gap - 1):
        scene.fires("IndicatorBelowTarget", step * 240, summary, blind, "", indicator="cashless")
    check(scene)


def judged(indicator: str, figures: Mapping[Family, float | str] | None = None, plan: str = _PLAN) -> Scene:
    """Below since an hour after the start; the figures are the usual but for some, None being none."""
    scene = Scene().is_registered()
    for family, value in {**FIGURES, metrics.BELOW_SINCE: 3600, **(figures or {})}.items():
        if value != "none":
            scene.has(family, value, indicator=indicator, plan=plan) if "plan" in family.labels else scene.has(
                family, value, indicator=indicator
            )
    return scene.has(metrics.DEADLINE, 30 * _DAY - 7 * _HOUR, indicator=indicator, plan=plan)


def says(scene: Scene, indicator: str, name: str, text: str, until: str = "2027-01-31") -> Scene:
    """The warning fires with this text."""
    summary = f"{HOSPITAL}: “{name}” chưa đạt chỉ tiêu"
    said = f"{HOSPITAL}, “{name}”: {text}\nChưa đạt từ {moment(3600)}."
    return scene.fires("IndicatorBelowTarget", 26 * _HOUR, summary, said, until, indicator=indicator)


_DUE = "theo Kế hoạch cải cách hành chính 2026, hạn 30/01/1970"


def test_a_period_is_named_where_the_window_is_one_and_what_is_counted_has_its_word(check: Check) -> None:
    year, quarter = ("satisfaction", "Hài lòng về dịch vụ y tế công lập"), "procedure_satisfaction"
    counts = {metrics.NUMERATOR: 100, metrics.DENOMINATOR: 200, metrics.RATIO: 0.5, metrics.MISSING: 72}
    satisfied = judged(year[0], {**counts, metrics.TARGET: 0.86})
    opinions = judged(quarter, {**counts, metrics.TARGET: 0.95, metrics.AS_OF: 89 * _DAY - 7 * _HOUR})
    amount = {metrics.NUMERATOR: 1234567890, metrics.DENOMINATOR: 9876543210, metrics.MISSING: 1e9, metrics.TARGET: 0.5}
    check(
        says(
            satisfied,
            *year,
            "đạt 50,0 % (100/200 ý kiến trong năm 1970, số liệu đến ngày 02/01/1970).\n"
            f"Chỉ tiêu ≥ 86 % {_DUE}; còn thiếu 72 ý kiến.",
        ),
        says(
            opinions,
            quarter,
            "Hài lòng về giải quyết TTHC",
            "đạt 50,0 % (100/200 ý kiến trong quý I/1970, số liệu đến ngày 31/03/1970).\n"
            f"Chỉ tiêu ≥ 95 % {_DUE}; còn thiếu 72 ý kiến.",
        ),
        says(
            judged("cashless_amount", amount),
            "cashless_amount",
            "Số tiền thu không dùng tiền mặt",
            "đạt 47,2 % (1.234.567.890/9.876.543.210 đồng trong 30 ngày, số liệu đến ngày 02/01/1970).\n"
            f"Chỉ tiêu ≥ 50 % {_DUE}; còn thiếu 1.000.000.000 đồng.",
        ),
    )


def test_what_the_plan_asks_and_what_the_so_has_set_are_told_apart(check: Check) -> None:
    settings = some_settings()
    (plan,) = settings.plans
    named = {one.indicator: one for one in plan.targets}
    own = Override(facility="12001", ratio=Decimal("0.7"), reason="mới mở")
    targets = (
        named["emr"],
        named["health_record"].model_copy(update={"overrides": (own,)}),
        named["document_signed"].model_copy(update={"operator": ">", "ratio": Decimal("0.405")}),
        named["work_record"],
    )
    plans = (plan.model_copy(update={"targets": targets, "short": 'KH "2026" $1'}),)
    text = rules.files(replace(settings, plans=plans), TODAY)[rules.FILE]
    counts = "đạt 47,2 % (1.234/2.612 {} trong 30 ngày, số liệu đến ngày 02/01/1970).\n"
    due = ", hạn 30/01/1970; còn thiếu 334 {}."

    def scene(indicator: str, target: float, words: str, noun: str) -> Scene:
        name = settings.catalogue.indicators[indicator].vi
        said = counts.format(noun) + words + due.format(noun)
        return says(judged(indicator, {metrics.TARGET: target}), indicator, name, said)

    check(
        scene(
            "emr",
            0.95,
            'Mức được tính là có sử dụng (Sở quy định): từ 95 %; KH "2026" $1: 100 % cơ sở',
            "bệnh án",
        ),
        scene("health_record", 0.7, 'Mức riêng của cơ sở (Sở quy định): ≥ 70 %; KH "2026" $1: ≥ 90 %', "lượt"),
        scene("health_record", 0.9, 'Chỉ tiêu ≥ 90 % theo KH "2026" $1', "lượt"),
        scene("document_signed", 0.405, 'Chỉ tiêu > 40,5 % theo KH "2026" $1', "văn bản"),
        scene("work_record", 1, 'Chỉ tiêu 100 % theo KH "2026" $1', "hồ sơ"),
        # of a target that came after the rules were built
        scene("claim", 0.855, 'Chỉ tiêu ≥ 85,5 % theo KH "2026" $1', "lượt"),
        text=text,
    )


def test_after_a_month_of_silence_the_text_says_until_when_there_was_data(check: Check) -> None:
    gone: dict[Family, float | str] = dict.fromkeys((metrics.RATIO, metrics.NUMERATOR, metrics.DENOMINATOR), "none")
    gone |= {metrics.MISSING: "none", metrics.VERDICT: Verdict.NO_DATA.value}
    held = "\nHiện chưa đủ số liệu: cảnh báo được giữ đến khi đủ số liệu để kết luận."
    target, name = f".\nChỉ tiêu ≥ 90 % {_DUE}.{held}", "Lượt khám có hồ sơ sức khỏe điện tử liên thông"
    last = ", số liệu cuối cùng đến hết ngày 02/01/1970"
    yearly = f"không có số liệu của kỳ gần đây{last}.\nChỉ tiêu ≥ 86 % {_DUE}.{held}"
    record = {**gone, metrics.TARGET: 0.9}
    nothing: dict[Family, float | str] = {
        metrics.RATIO: "none",
        metrics.NUMERATOR: 0,
        metrics.DENOMINATOR: 0,
        metrics.TARGET: 0.9,
    }
    empty = "không có trường hợp nào để tính tỷ lệ (trong 30 ngày, số liệu đến ngày 02/01/1970)"
    check(
        says(
            judged("health_record", record), "health_record", name, f"không có số liệu trong 30 ngày qua{last}{target}"
        ),
        says(
            judged("health_record", {**record, metrics.AS_OF: "none"}),
            "health_record",
            name,
            f"chưa có số liệu{target}",
        ),
        says(
            judged("satisfaction", {**gone, metrics.TARGET: 0.86}),
            "satisfaction",
            "Hài lòng về dịch vụ y tế công lập",
            yearly,
        ),
        says(
            judged("health_record", {**nothing, metrics.MISSING: 0}),
            "health_record",
            name,
            f"{empty}.\nChỉ tiêu ≥ 90 % {_DUE}.",
        ),
    )
