"""Prometheus's alert rules: `prometheus/rules/nhipso.yml`, from the catalogue, the plans and the thresholds."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

import yaml

from contract import metrics
from dashboards import alerts_collector, alerts_facilities, alerts_indicators
from dashboards.alerts_figures import DESCRIPTION, PLAN_UNTIL, SUMMARY, told
from dashboards.alerts_shape import Alert, duration, held
from dashboards.alerts_words import BLIND, SEEING, complete, titled
from dashboards.settings import Settings

FILE = "prometheus/rules/nhipso.yml"
# contract.md and the runbook speak of these; each is one rule, IndicatorBelowTarget one for each severity.
ALERTS = (
    *("IndicatorBelowTarget", "IndicatorFalling", "OffTheRoad", "CategoriesUnmapped", "DataQualityFinding"),
    *("FacilitySilent", "SourceDown", "SourceStandsStill", "AgentWaitingGrows", "AgentClockSkewed"),
    *("ConfirmationOverdue", "CollectorDown", "LoopDead", "Watchdog"),
)
# A rule costs what the texts of its alerts cost: Prometheus writes each anew at every evaluation. The alerts on figures
# are by far the most, and say what a day, a week or thirty days have shown; those on months come by the hundred in one
# night.
_TIMES_RARER = {"indicators": 4, "confirmations": 4}
# Below five minutes: what cannot be scraped is held by what fired at the evaluation before (alerts_shape.held).
_RAREST_SECONDS = 240
_ANNOTATIONS = ("summary", "description", "runbook_url", "link")


def files(settings: Settings, today: date) -> Mapping[str, str]:
    """Path → text: the rules, the same on every day."""
    parts: dict[str, Iterable[Alert]] = {
        "indicators": alerts_indicators.alerts(settings.alerts, settings.catalogue),
        "facilities": alerts_facilities.alerts(settings.alerts),
        "confirmations": [alerts_facilities.overdue()],
        "collector": alerts_collector.alerts(settings.alerts),
    }
    groups = [
        {
            "name": f"nhipso-{part}",
            "interval": duration(min(settings.alerts.interval_seconds * _TIMES_RARER.get(part, 1), _RAREST_SECONDS)),
            "rules": [_rule(one, settings) for one in alerts],
        }
        for part, alerts in parts.items()
    ]
    return {FILE: yaml.dump({"groups": groups}, Dumper=_Readable, allow_unicode=True, sort_keys=False, width=10_000)}


def problems(settings: Settings, files: Mapping[str, str]) -> list[str]:
    """What is wrong with the rules among `files`, a sentence each."""
    if FILE not in files:
        return [f"thiếu tệp {FILE}"]
    rules = [rule for group in yaml.safe_load(files[FILE])["groups"] for rule in group["rules"]]
    found = Counter((rule["alert"], rule["labels"].get("severity")) for rule in rules)
    names = {rule["alert"] for rule in rules}
    return [
        *(f"{FILE}: thiếu cảnh báo {one}" for one in ALERTS if one not in names),
        *(f"{FILE}: cảnh báo {one} không có trong danh sách" for one in sorted(names - set(ALERTS))),
        *(f"{FILE}: cảnh báo {one} có hai lần với mức {severity}" for (one, severity), n in found.items() if n > 1),
        *(f"{FILE}: {rule['alert']}: {problem}" for rule in rules for problem in _problems_of(rule)),
    ]


def _rule(alert: Alert, settings: Settings) -> dict[str, Any]:
    portal = str(settings.general.portal_url).rstrip("/")
    runbook = str(settings.general.runbook_url or f"{portal}/docs/runbook")
    annotations = {
        **_texts(alert),
        "link": portal + alert.page,
        "runbook_url": f"{runbook}#{alert.name.lower()}",
    }
    return {
        "alert": alert.name,
        "expr": _expression(alert, settings),
        **({"for": duration(alert.hold_seconds)} if alert.hold_seconds else {}),
        # an empty label is no label
        "labels": {"severity": alert.severity, **dict.fromkeys(_dropped(alert), "")},
        "annotations": annotations,
    }


def _texts(alert: Alert) -> dict[str, str]:
    if alert.in_labels:
        further = SEEING.format(alert.further) if alert.further else ""
        # by plan_until a message says “Kế hoạch hết hiệu lực”, not “đã đạt”, when the alert ends after that day
        until = {"plan_until": PLAN_UNTIL} if alert.of_plan else {}
        return {"summary": SUMMARY, "description": DESCRIPTION + further, **until}
    description = BLIND + alert.description + "{{ end }}" if alert.labels else alert.description
    return {"summary": complete(alert.summary), "description": complete(description)}


def _expression(alert: Alert, settings: Settings) -> str:
    if not alert.labels:
        return alert.expression
    found = titled(held(alert), alert.labels, settings.catalogue)
    return told(found, (*alert.labels, "area"), alert.summary, alert.description) if alert.in_labels else found


def _dropped(alert: Alert) -> list[str]:
    if alert.in_labels or not alert.labels:
        return []
    return ["name", *(["title"] if "measure" in alert.labels else []), *alert.dropped]


def _problems_of(rule: Mapping[str, Any]) -> Iterator[str]:
    if rule["labels"].get("severity") not in ("warning", "critical", "none"):
        yield "severity phải là warning, critical hoặc none"
    yield from (f"thiếu chú thích {one}" for one in _ANNOTATIONS if not rule["annotations"].get(one))
    of_contract = {one.name for one in (*metrics.OF_FACILITY, *metrics.OF_SCOPE, *metrics.OF_AGENT)}
    texts = [rule["expr"], *rule["annotations"].values()]
    used = {name for text in texts for name in re.findall(r"\bnhipso_\w+", text)}
    yield from (f"không có metric {one}" for one in sorted(used - of_contract - alerts_collector.METRICS))


class _Readable(yaml.SafeDumper):
    """Texts of several lines as they are."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _text)
