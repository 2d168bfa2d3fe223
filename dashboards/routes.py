"""Alertmanager's configuration: who hears of which alert, when, and in which words (nhipso.tmpl).

Written for Alertmanager 0.25 (https://prometheus.io/docs/alerting/0.25/configuration/), which newer ones read too.
Alerts with the label `facility` go to the facility and to the Sở, all others to those who look after the collector.
The collector itself hears everything but the watchdog, each alert by itself.

What 0.25 cannot do: take Telegram's token or a webhook's address from a file, and tell that an alert ended while it
was inhibited or muted (https://github.com/prometheus/alertmanager/issues/2754; the collector copes, see its alerts.py).
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from importlib import resources
from typing import Any

import yaml

from contract.days import DayRange
from dashboards.alerts_shape import duration
from dashboards.settings import ADDRESS, Place, Settings

CONFIG = "alertmanager/alertmanager.yml"
TEMPLATES = "alertmanager/templates/nhipso.tmpl"
HOLIDAYS = "holidays"
# What a silent facility explains. Not its indicators: they stay below, whether or not anybody tells.
EXPLAINED_BY_SILENCE = ("SourceDown", "SourceStandsStill", "AgentWaitingGrows", "AgentClockSkewed")
# A year of holidays, and a month to build anew.
_HOLIDAYS_AHEAD = timedelta(days=396)
# The collector takes an alert that it has not heard of for three days as over (collector/alerts.py).
_COLLECTOR_REPEAT = "12h"
_OF_A_FACILITY = 'facility!=""'
_Node = dict[str, Any]


def files(settings: Settings, today: date) -> Mapping[str, str]:
    """Path → text. alertmanager.yml holds Telegram's token, if there is one."""
    last = today + _HOLIDAYS_AHEAD
    config = {
        **_server(settings),
        "templates": ["templates/*.tmpl"],
        "route": _route(settings),
        "inhibit_rules": _inhibitions(),
        "time_intervals": [{"name": HOLIDAYS, "time_intervals": list(_holidays(settings, DayRange(today, last)))}],
        "receivers": _receivers(settings),
    }
    delivery = settings.delivery
    # Alertmanager forgets what it has sent after this time, and would repeat it earlier than asked for.
    longest = max(delivery.warning_repeat_hours, delivery.critical_repeat_hours)
    head = (
        "# Do nhipso-dashboards build ghi ra; sửa dashboards.toml rồi ghi lại, đừng sửa ở đây.\n"
        f"# Ngày nghỉ lễ đã ghi đến {last:%d/%m/%Y}: ghi lại trước ngày đó.\n"
        f"# Chạy Alertmanager với --data.retention={max(120, round(longest * 2))}h hoặc dài hơn.\n"
    )
    text = yaml.dump(config, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return {CONFIG: head + text, TEMPLATES: resources.files("dashboards").joinpath("nhipso.tmpl").read_text("utf-8")}


def problems(settings: Settings, files: Mapping[str, str]) -> list[str]:
    """What is wrong with the list of facilities, the settings, or the files made from them."""
    config = yaml.safe_load(files[CONFIG])
    nodes = list(_nodes(config["route"]))
    named = Counter(one["name"] for one in config["receivers"])
    used = {node["receiver"] for node in nodes}
    found = [f"{CONFIG}: hai nơi nhận trùng tên “{name}”" for name, count in named.items() if count > 1]
    found += [f"{CONFIG}: không có nơi nhận “{name}”" for name in sorted(used - set(named))]
    found += [f"{CONFIG}: không đường gửi nào dẫn đến “{name}”" for name in sorted(set(named) - used)]
    found += [f"{CONFIG}: hai đường gửi trùng nhau: {text}" for text in _repeated(nodes)]
    intervals = {one["name"] for one in config["time_intervals"]}
    muted = {name for node in nodes for name in node.get("mute_time_intervals", ())}
    found += [f"{CONFIG}: không có khoảng thời gian “{name}”" for name in sorted(muted - intervals)]
    defined = set(re.findall(r'{{-? *define "([^"]+)"', files[TEMPLATES]))
    wanted = set(re.findall(r'template "([^"]+)"', files[CONFIG] + files[TEMPLATES]))
    found += [f"{TEMPLATES}: không có mẫu “{name}”" for name in sorted(wanted - defined)]
    return found + _problems_of_places(settings, nodes)


def _problems_of_places(settings: Settings, nodes: Sequence[_Node]) -> list[str]:
    counted = Counter(place.id for place in settings.places)
    found = [f"danh sách cơ sở: mã “{one}” có {count} lần" for one, count in counted.items() if count > 1]
    for place in settings.places:
        wrong = [one for one in _split(place.email) if not _is_address(one)]
        found += [f"danh sách cơ sở: {place.id}: email không đúng dạng" for _ in wrong[:1]]
        routes = sum(f"facility={_quoted(place.id)}" in node.get("matchers", ()) for node in nodes)
        if settings.mail and _split(place.email) and not wrong and routes != 2:
            found.append(f"{CONFIG}: {place.id} có email mà không có đường gửi")
    areas = {place.area for place in settings.places}
    if settings.mail:
        found += [
            f"[mail.areas]: không cơ sở nào thuộc địa bàn “{one}”" for one in settings.mail.areas if one not in areas
        ]
    names = Counter(one.name for one in settings.webhooks)
    return found + [f"[[webhooks]]: hai webhook trùng tên “{name}”" for name, count in names.items() if count > 1]


def _server(settings: Settings) -> dict[str, Any]:
    if settings.mail is None:
        return {}
    mail = settings.mail
    server = {
        "smtp_smarthost": mail.smarthost,
        "smtp_from": mail.sender,
        "smtp_hello": mail.hello,
        "smtp_require_tls": mail.require_tls,
        "smtp_auth_username": mail.auth_username or None,
        "smtp_auth_password_file": mail.auth_password_file,
    }
    return {"global": {name: value for name, value in server.items() if value is not None}}


def _route(settings: Settings) -> _Node:
    delivery = settings.delivery
    programs = [
        {
            "matchers": [_one_of("severity", one.severities)],
            "receiver": f"webhook {one.name}",
            "continue": True,
        }
        for one in settings.webhooks
        if not one.watchdog
    ]
    critical, rest = (
        ('severity="critical"', duration(delivery.critical_repeat_hours * 3600)),
        duration(delivery.warning_repeat_hours * 3600),
    )
    return {
        "receiver": "it",
        "group_by": ["facility", "alertname"],
        "group_wait": duration(delivery.group_wait_seconds),
        "group_interval": duration(delivery.group_interval_minutes * 60),
        "repeat_interval": rest,
        "routes": [
            {
                "matchers": ['alertname="Watchdog"'],
                "receiver": "watchdog",
                "group_wait": "0s",
                "group_interval": "1m",
                "repeat_interval": "5m",
            },
            {
                "receiver": "collector",
                "continue": True,
                "group_by": ["..."],
                "group_wait": "1s",
                "group_interval": duration(delivery.collector_interval_seconds),
                "repeat_interval": _COLLECTOR_REPEAT,
            },
            *programs,
            _of_facilities(settings, [critical[0]], critical[1]),
            _of_facilities(settings, [], rest),
            {"matchers": [critical[0]], "receiver": "it", "repeat_interval": critical[1]},
            # not left to the root, which is out of play as soon as one of its children has matched
            {"receiver": "it"},
        ],
    }


def _of_facilities(settings: Settings, matchers: Sequence[str], repeat: str) -> _Node:
    """Alerts of facilities: each to the facility, then to the Sở; never on a public holiday."""
    mute = {"mute_time_intervals": [HOLIDAYS]}
    # a line of 150 facilities that fails is not 150 letters to the Sở
    pooled = {"group_by": ["area", "alertname"], **mute}
    facilities = [
        {"matchers": [f"facility={_quoted(place.id)}"], "receiver": f"facility {place.id}", "continue": True, **mute}
        for place in _reachable(settings)
    ]
    areas = [
        {"matchers": [f"area={_quoted(area)}"], "receiver": f"area {area}", **pooled}
        for area in (settings.mail.areas if settings.mail else ())
    ]
    return {
        "matchers": [_OF_A_FACILITY, *matchers],
        "receiver": "province",
        "repeat_interval": repeat,
        "routes": [*facilities, *areas, {"receiver": "province", **pooled}],
    }


def _inhibitions() -> list[_Node]:
    return [
        {
            # what is known of everything else comes through the collector
            "source_matchers": ['alertname="CollectorDown"'],
            "target_matchers": ['alertname!~"CollectorDown|Watchdog"'],
        },
        {
            "source_matchers": ['alertname="FacilitySilent"'],
            "target_matchers": [_one_of("alertname", EXPLAINED_BY_SILENCE)],
            "equal": ["facility"],
        },
        {
            "source_matchers": ['severity="critical"'],
            "target_matchers": ['severity="warning"'],
            "equal": ["alertname", "facility", "indicator", "source", "agent"],
        },
    ]


def _holidays(settings: Settings, days: DayRange) -> Iterator[_Node]:
    """The public holidays among `days` as Alertmanager writes them: a range lies within one month."""
    run: list[date] = []
    for day in [*(one for one in days if settings.calendar.holiday(one)), date.max]:
        if run and (day != run[-1] + timedelta(days=1) or day.month != run[0].month):
            yield {
                "years": [f"{run[0].year}"],
                "months": [f"{run[0].month}"],
                "days_of_month": [f"{run[0].day}:{run[-1].day}"],
                "location": "Asia/Ho_Chi_Minh",
            }
            run = []
        run.append(day)


def _receivers(settings: Settings) -> list[_Node]:
    delivery, mail = settings.delivery, settings.mail
    url = str(delivery.collector_url or settings.general.portal_url).rstrip("/")
    told = [_hook(f"{url}/api/v1/alerts", delivery.collector_token_file)]
    watchdogs = [_hook(str(one.url), one.credentials_file, ends=False) for one in settings.webhooks if one.watchdog]
    found: list[_Node] = [
        {"name": "collector", "webhook_configs": told},
        {"name": "watchdog", **({"webhook_configs": watchdogs} if watchdogs else {})},
        {"name": "it", **_people(settings, (mail.it or mail.to) if mail else ()), **_chat(settings)},
        {"name": "province", **_people(settings, mail.to if mail else ()), **_chat(settings)},
    ]
    for one in settings.webhooks:
        if not one.watchdog:
            found.append(
                {"name": f"webhook {one.name}", "webhook_configs": [_hook(str(one.url), one.credentials_file)]}
            )
    for area, readers in (mail.areas if mail else {}).items():
        found.append({"name": f"area {area}", **_people(settings, readers), **_chat(settings)})
    for place in _reachable(settings):
        found.append({"name": f"facility {place.id}", **_people(settings, _split(place.email))})
    return found


def _hook(url: str, credentials_file: str | None, *, ends: bool = True) -> _Node:
    shown = {"authorization": {"type": "Bearer", "credentials_file": credentials_file}} if credentials_file else {}
    return {"url": url, "send_resolved": ends, **({"http_config": shown} if shown else {})}


def _people(settings: Settings, readers: Iterable[str]) -> _Node:
    to = ", ".join(readers)
    if not to:
        return {}
    parts = {"html": _template("html"), "text": _template("text"), "headers": {"Subject": _template("subject")}}
    return {"email_configs": [{"to": to, "send_resolved": True, **parts}]}


def _chat(settings: Settings) -> _Node:
    if settings.telegram is None:
        return {}
    chat = {
        "api_url": str(settings.telegram.api_url).rstrip("/"),
        "bot_token": settings.telegram_token,
        "chat_id": settings.telegram.chat_id,
        "send_resolved": True,
        "parse_mode": "",  # plain text
        "message": _template("chat"),
    }
    return {"telegram_configs": [chat]}


def _template(name: str) -> str:
    return f'{{{{ template "nhipso.{name}" . }}}}'


def _reachable(settings: Settings) -> list[Place]:
    """The facilities that can be written to, each once."""
    if settings.mail is None:
        return []
    able = {one.id: one for one in settings.places if one.email and all(map(_is_address, _split(one.email)))}
    return list(able.values())


def _split(addresses: str) -> list[str]:
    return [one for one in re.split(r"[,;\s]+", addresses) if one]


def _is_address(text: str) -> bool:
    return re.fullmatch(ADDRESS, text) is not None


def _one_of(label: str, values: Sequence[str]) -> str:
    return f"{label}=~{_quoted('|'.join(values))}"


def _quoted(value: str) -> str:
    r"""A value as Alertmanager's matchers write it: only \, " and line ends are escaped."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _nodes(node: _Node) -> Iterator[_Node]:
    yield node
    for child in node.get("routes", ()):
        yield from _nodes(child)


def _repeated(nodes: Iterable[_Node]) -> Iterator[str]:
    """Matchers that stand twice beneath one node: the second would never be reached, or tell twice."""
    for node in nodes:
        counted = Counter(tuple(child.get("matchers", ())) for child in node.get("routes", ()) if "matchers" in child)
        yield from (", ".join(matchers) for matchers, count in counted.items() if count > 1)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True
