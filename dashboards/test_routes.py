"""Who hears of which alert, when, and in which words: asked of Debian's amtool and of a real Alertmanager."""

import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from collector.store import alerts as lives
from conftest import free_port, program
from contract.days import LOCAL, local_day, now
from dashboards import routes
from dashboards.settings import Place, Settings, load
from tests.office import Office, serving

TODAY = date(2026, 11, 20)
SIN_HO = 'Xã "Sìn Hồ" \\, a=b'
MAIL = """
[mail]
smarthost = "127.0.0.1:{smtp}"
from = "nhipso@so.example.vn"
to = ["nghiepvu@so.example.vn", "lanhdao@so.example.vn"]
it = ["cntt@so.example.vn"]
require_tls = false
[mail.areas]
'{area}' = ["dia-ban@so.example.vn"]
"""
PLACES = [
    ("12001", "BVĐK tỉnh", "Phường 1", "cntt@bv.example.vn; giamdoc@bv.example.vn"),
    ("12002", "TTYT khu vực A", SIN_HO, "ttyt@a.example.vn"),
    ("12003", "Trạm không có email", "Phường 1", ""),
]
PROVINCE, OF_HOSPITAL = (
    ["nghiepvu@so.example.vn", "lanhdao@so.example.vn"],
    ["cntt@bv.example.vn", "giamdoc@bv.example.vn"],
)
QUICK = "[delivery]\ngroup_wait_seconds = 1\ngroup_interval_minutes = 0.02\ncollector_interval_seconds = 1\n"


def settings_of(directory: Path, text: str = "", smtp: int = 25, calendar: str = "", **general: str) -> Settings:
    """What dashboards.toml with three facilities and this text says."""
    lines = [
        "id,name,area,email",
        *(",".join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row) for row in PLACES),
    ]
    (directory / "facilities.csv").write_text("\n".join(lines), "utf-8")
    (directory / "calendar.toml").write_text(calendar, "utf-8")
    known = {
        "portal_url": "https://nhipso.example.vn",
        "facilities_file": "facilities.csv",
        "calendar_file": "calendar.toml",
    }
    head = "".join(f'{key} = "{value}"\n' for key, value in (known | general).items())
    file = directory / "dashboards.toml"
    file.write_text(f"[dashboards]\n{head}{text.replace('{smtp}', str(smtp)).replace('{area}', SIN_HO)}", "utf-8")
    return load(file)


def written(directory: Path, settings: Settings, today: date = TODAY) -> Path:
    """The configuration on disk; nothing is wrong with it."""
    files = routes.files(settings, today)
    assert routes.problems(settings, files) == []
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text, "utf-8")
    return directory / routes.CONFIG


def amtool(*arguments: str | Path) -> str:
    found = subprocess.run([program("amtool"), *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


TELEGRAM = '[telegram]\nbot_token_file = "bot.token"\nchat_id = -100123\n'
HOOKS = """
[[webhooks]]
name = "zalo"
url = "https://zalo.example.vn/hook?a=b&c='d'"
credentials_file = "/etc/nhipso/zalo.token"
severities = ["critical"]
[[webhooks]]
name = "dead-man"
url = "https://watch.example.vn/"
watchdog = true
"""


# --- the configuration


@pytest.mark.parametrize("text", ["", MAIL, TELEGRAM, HOOKS, MAIL + TELEGRAM + HOOKS, QUICK])
def test_amtool_accepts_what_is_written(tmp_path: Path, text: str) -> None:
    (tmp_path / "bot.token").write_text("110201543:AAH\n")
    told = amtool("check-config", written(tmp_path, settings_of(tmp_path, text)))
    assert "3 inhibit rules" in told
    assert "1 templates" in told


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    (tmp_path / "bot.token").write_text("110201543:AAH\n")
    return written(tmp_path, settings_of(tmp_path, MAIL + TELEGRAM + HOOKS))


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ({"alertname": "IndicatorBelowTarget", "facility": "12001", "area": "Phường 1"}, "facility 12001,province"),
        ({"alertname": "SourceDown", "facility": "12002", "area": SIN_HO}, f"facility 12002,area {SIN_HO}"),
        ({"alertname": "FacilitySilent", "facility": "12003", "area": "Phường 1"}, "province"),
        ({"alertname": "FacilitySilent", "facility": "1200", "area": "Sìn Hồ"}, "province"),
        ({"alertname": "FacilitySilent", "facility": "12001"}, "facility 12001,province"),
        ({"alertname": "LoopDead"}, "it"),
        ({"alertname": "CollectorDown", "area": SIN_HO}, "it"),
    ],
)
def test_a_facilitys_alerts_go_to_it_and_to_the_so_all_others_to_those_who_look_after_the_collector(
    whole: Path, labels: dict[str, str], receivers: str
) -> None:
    for severity in ("warning", "critical"):
        programs = "collector,webhook zalo" if severity == "critical" else "collector"
        given = [f"{name}={routes._quoted(value)}" for name, value in {**labels, "severity": severity}.items()]
        assert amtool("config", "routes", "test", "--config.file", whole, *given).strip() == f"{programs},{receivers}"


def test_the_watchdog_goes_to_the_dead_man_switch_only(whole: Path) -> None:
    asked = ("config", "routes", "test", "--config.file", whole, "alertname=Watchdog", "severity=none")
    assert amtool(*asked).strip() == "watchdog"
    receivers = {one["name"]: one for one in yaml.safe_load(whole.read_text("utf-8"))["receivers"]}
    assert receivers["watchdog"] == {
        "name": "watchdog",
        "webhook_configs": [{"url": "https://watch.example.vn/", "send_resolved": False}],
    }


def test_without_mail_the_collector_still_hears_everything(tmp_path: Path) -> None:
    config = written(tmp_path, settings_of(tmp_path))
    asked = ("config", "routes", "test", "--config.file", config, "facility=12001", "severity=critical")
    assert amtool(*asked).strip() == "collector,province"
    assert "email_configs" not in config.read_text("utf-8")


def test_repeats_waits_and_addresses_are_those_of_the_settings(tmp_path: Path) -> None:
    delivery = (
        '[delivery]\ncollector_url = "http://10.0.0.5:8080/"\ncollector_token_file = "/etc/nhipso/alerts.token"\n'
        "group_wait_seconds = 1.5\ngroup_interval_minutes = 5\n"
        "warning_repeat_hours = 240\ncritical_repeat_hours = 0.5\n"
    )
    text = written(tmp_path, settings_of(tmp_path, delivery + MAIL)).read_text("utf-8")
    config = yaml.safe_load(text)
    route = config["route"]
    assert (route["group_wait"], route["group_interval"], route["repeat_interval"]) == ("1500ms", "5m", "10d")
    critical = [one for one in routes._nodes(route) if 'severity="critical"' in one.get("matchers", ())]
    assert [one["repeat_interval"] for one in critical] == ["30m", "30m"]
    (told,) = next(one for one in config["receivers"] if one["name"] == "collector")["webhook_configs"]
    shown = {"authorization": {"type": "Bearer", "credentials_file": "/etc/nhipso/alerts.token"}}
    assert told == {"url": "http://10.0.0.5:8080/api/v1/alerts", "send_resolved": True, "http_config": shown}
    # else Alertmanager forgets that it has told, and repeats too early
    assert "--data.retention=480h" in text


def test_holidays_are_those_of_the_calendar_for_a_year_ahead(tmp_path: Path) -> None:
    calendar = (
        '[[off]]\nfirst_day = 2026-12-30\nlast_day = 2027-01-03\nname = "Nghỉ thêm"\n'
        '[[work]]\nday = 2026-11-24\nname = "Làm bù"\n'
    )
    config = yaml.safe_load(written(tmp_path, settings_of(tmp_path, MAIL, calendar=calendar)).read_text("utf-8"))
    (interval,) = config["time_intervals"]
    found = [(*one["years"], *one["months"], *one["days_of_month"]) for one in interval["time_intervals"]]
    assert {one["location"] for one in interval["time_intervals"]} == {"Asia/Ho_Chi_Minh"}
    assert found[:2] == [("2026", "12", "30:31"), ("2027", "1", "1:3")]
    assert ("2027", "9", "2:3") in found
    assert found[-1] == ("2027", "11", "24:24")
    mails = {"province", f"area {SIN_HO}", "facility 12001", "facility 12002"}
    leaves = [one for one in routes._nodes(config["route"]) if "routes" not in one]
    assert {one["receiver"] for one in leaves if "mute_time_intervals" in one} == mails
    assert all("mute_time_intervals" in one for one in leaves if one["receiver"] in mails)


def test_no_secret_but_telegrams_stands_in_what_is_written(tmp_path: Path) -> None:
    (tmp_path / "bot.token").write_text(" 110201543:AAH \n")
    auth = 'auth_username = "nhipso"\nauth_password_file = "/etc/nhipso/smtp.password"\n[mail.areas]'
    text = MAIL.replace("[mail.areas]", auth) + TELEGRAM + HOOKS
    settings = settings_of(tmp_path, text)
    config = yaml.safe_load(written(tmp_path, settings).read_text("utf-8"))
    assert config["global"]["smtp_auth_password_file"] == "/etc/nhipso/smtp.password"
    chats = [one for receiver in config["receivers"] for one in receiver.get("telegram_configs", ())]
    assert {one["bot_token"] for one in chats} == {"110201543:AAH"}
    assert "110201543" not in repr(settings)


# --- the lint


def broken(tmp_path: Path, change: Callable[[dict[str, Any]], object], text: str = MAIL) -> list[str]:
    settings = settings_of(tmp_path, text)
    files = dict(routes.files(settings, TODAY))
    config = yaml.safe_load(files[routes.CONFIG])
    change(config)
    return routes.problems(settings, {**files, routes.CONFIG: yaml.safe_dump(config)})


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    def facilities(config: dict[str, Any]) -> Any:
        return next(one for one in config["route"]["routes"] if 'severity="critical"' in one.get("matchers", ()))[
            "routes"
        ]

    gone = f"{routes.CONFIG}: không có nơi nhận “facility 12001”"
    assert broken(tmp_path, lambda config: config["receivers"].pop(-2)) == [gone]
    assert broken(tmp_path, lambda config: facilities(config).pop(0)) == [
        f"{routes.CONFIG}: 12001 có email mà không có đường gửi"
    ]
    twice = broken(tmp_path, lambda config: facilities(config).insert(0, facilities(config)[0]))
    assert f'{routes.CONFIG}: hai đường gửi trùng nhau: facility="12001"' in twice
    assert broken(tmp_path, lambda config: config["receivers"].append({"name": "x"})) == [
        f"{routes.CONFIG}: không đường gửi nào dẫn đến “x”"
    ]
    assert broken(tmp_path, lambda config: config["receivers"].append({"name": "it"})) == [
        f"{routes.CONFIG}: hai nơi nhận trùng tên “it”"
    ]
    assert broken(tmp_path, lambda config: config.update(time_intervals=[])) == [
        f"{routes.CONFIG}: không có khoảng thời gian “holidays”"
    ]
    settings = settings_of(tmp_path, MAIL)
    files = dict(routes.files(settings, TODAY))
    files[routes.TEMPLATES] = files[routes.TEMPLATES].replace('define "nhipso.html"', 'define "nhipso.htm"')
    assert routes.problems(settings, files) == [f"{routes.TEMPLATES}: không có mẫu “nhipso.html”"]


def test_mistakes_in_the_list_and_the_settings_are_named(tmp_path: Path) -> None:
    text = MAIL.replace("{area}", "Xã không có") + HOOKS + HOOKS
    settings = settings_of(tmp_path, text)
    wrong = (Place("12004", "X", "Phường 1", "không phải email"), Place("12005", "X", "Phường 1", "a@b, {{x}}@c"))
    settings = replace(settings, places=(*settings.places, *wrong, settings.places[0]))
    assert routes.problems(settings, routes.files(settings, TODAY)) == [
        f"{routes.CONFIG}: hai nơi nhận trùng tên “webhook zalo”",
        f'{routes.CONFIG}: hai đường gửi trùng nhau: severity=~"critical"',
        "danh sách cơ sở: mã “12001” có 2 lần",
        "danh sách cơ sở: 12004: email không đúng dạng",
        "danh sách cơ sở: 12005: email không đúng dạng",
        "[mail.areas]: không cơ sở nào thuộc địa bàn “Xã không có”",
        "[[webhooks]]: hai webhook trùng tên “zalo”",
        "[[webhooks]]: hai webhook trùng tên “dead-man”",
    ]


# --- the words

BEGAN, LINK = "2026-11-20T01:15:00Z", "https://nhipso.example.vn/co-so/12001"


def an_alert(name: str = "IndicatorBelowTarget", **other: Any) -> dict[str, Any]:
    """An alert as our rules make it."""
    labels = {
        "alertname": name,
        "severity": "warning",
        "facility": "12001",
        "area": "Phường 1",
        "indicator": "cashless",
    }
    annotations = {
        "summary": "BVĐK tỉnh: Thanh toán không dùng tiền mặt chưa đạt chỉ tiêu",
        "description": "31,2 % < 50 %.\nThiếu 12 lần thu.",
        "link": LINK,
        "runbook_url": f"https://nhipso.example.vn/docs/runbook#{name.lower()}",
    }
    labels |= other.pop("labels", {})
    annotations |= other.pop("annotations", {})
    return {"labels": labels, "annotations": annotations, "startsAt": BEGAN, **other}


def said(directory: Path, name: str, *alerts: dict[str, Any], kind: str = "text") -> str:
    """What a template makes of these alerts."""
    written(directory, settings_of(directory))
    data: dict[str, Any] = {
        "receiver": "province",
        "status": "firing" if any("endsAt" not in one for one in alerts) else "resolved",
        "alerts": [{"status": "resolved" if "endsAt" in one else "firing", **one} for one in alerts],
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "",
    }
    (directory / "data.json").write_text(json.dumps(data))
    glob = f"--template.glob={directory / routes.TEMPLATES}"
    text = f'--template.text={{{{ template "nhipso.{name}" . }}}}'
    return amtool(
        "template", "render", glob, text, f"--template.type={kind}", f"--template.data={directory / 'data.json'}"
    )


def test_a_mail_says_what_since_when_where_to_look_and_what_to_do(tmp_path: Path) -> None:
    emr = an_alert(annotations={"summary": "BVĐK tỉnh: Bệnh án điện tử chưa đạt chỉ tiêu"})
    assert said(tmp_path, "text", an_alert()).strip() == (
        "BVĐK tỉnh: Thanh toán không dùng tiền mặt chưa đạt chỉ tiêu\n"
        "31,2 % < 50 %.\nThiếu 12 lần thu.\n"
        "Cảnh báo từ 20/11/2026 08:15.\n"
        f"Xem số liệu: {LINK}\n"
        "Việc cần làm: https://nhipso.example.vn/docs/runbook#indicatorbelowtarget\n\n"
        "Thư tự động của nhịp số, xin không trả lời thư này."
    )
    subject = "[nhịp số] Cảnh báo: BVĐK tỉnh: Thanh toán không dùng tiền mặt chưa đạt chỉ tiêu"
    assert said(tmp_path, "subject", an_alert()).strip() == subject
    assert said(tmp_path, "subject", an_alert(), emr, emr).strip() == f"{subject} (và 2 cảnh báo khác)"
    worse = an_alert(labels={"severity": "critical"})
    assert said(tmp_path, "subject", worse).strip() == subject.replace("Cảnh báo", "Nghiêm trọng")
    over = {**emr, "endsAt": BEGAN}
    assert said(tmp_path, "subject", an_alert(), over).strip() == subject
    ended = "[nhịp số] Hết cảnh báo: BVĐK tỉnh: Bệnh án điện tử chưa đạt chỉ tiêu"
    assert said(tmp_path, "subject", over).strip() == ended
    assert said(tmp_path, "subject", over, over).strip() == f"{ended} (và 1 cảnh báo khác)"


@pytest.mark.parametrize(
    ("plan_until", "ends_at", "words"),
    [
        ("2026-12-31", "2026-11-20T20:00:00Z", "Kết thúc lúc 21/11/2026 03:00: không còn dưới ngưỡng."),
        # the last evening of the plan, and the first minute after it, in Vietnam
        ("2026-11-20", "2026-11-20T16:59:00Z", "Kết thúc lúc 20/11/2026 23:59: không còn dưới ngưỡng."),
        ("2026-11-20", "2026-11-21T00:00:00+07:00", "21/11/2026 00:00: Kế hoạch hết hiệu lực sau ngày 20/11/2026."),
        ("", "2026-11-20T20:00:00Z", "Kết thúc lúc 21/11/2026 03:00: tình trạng trên không còn."),
    ],
)
def test_an_end_is_told_without_ever_claiming_that_a_target_was_met(
    tmp_path: Path, plan_until: str, ends_at: str, words: str
) -> None:
    over = an_alert(endsAt=ends_at, annotations={"plan_until": plan_until} if plan_until else {})
    texts = [said(tmp_path, name, over) for name in ("text", "chat")] + [said(tmp_path, "html", over, kind="html")]
    for text in texts:
        assert words in text
        assert "Hết cảnh báo: BVĐK tỉnh" in text
        assert "đã đạt" not in text.lower()
    assert "Việc cần làm" not in texts[0]


def test_html_shows_what_was_said_as_it_was_said(tmp_path: Path) -> None:
    strange = an_alert(annotations={"summary": "<b>A & B</b>", "link": "javascript:alert(1)"})
    page = said(tmp_path, "html", strange, kind="html")
    assert "&lt;b&gt;A &amp; B&lt;/b&gt;" in page
    assert "31,2 % &lt; 50 %.\nThiếu 12 lần thu." in page
    assert "javascript:" not in page
    assert said(tmp_path, "html", an_alert(), kind="html").count(f'<a href="{LINK}">') == 1


# --- a real Alertmanager


@dataclass
class Letters:
    """A mail server that keeps what it gets; with `password`, only from those who show it."""

    password: str | None = None
    got: list[tuple[list[str], EmailMessage]] = field(default_factory=list)

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.password and not session.authenticated:
            return "530 who are you?"
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.got.append((envelope.rcpt_tos, message))
        return "250 OK"

    def __call__(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, shown: Any) -> AuthResult:
        right = isinstance(shown, LoginPassword) and shown.password.decode() == self.password
        return AuthResult(success=right)

    def to(self, *readers: str) -> list[EmailMessage]:
        return [message for rcpt, message in self.got if rcpt == list(readers)]


@contextmanager
def smtp(password: str | None = None) -> Iterator[tuple[Letters, int]]:
    letters, port = Letters(password), free_port()
    shown: dict[str, Any] = (
        {"authenticator": letters, "auth_require_tls": False, "auth_exclude_mechanism": ["LOGIN"]} if password else {}
    )
    server = Controller(letters, hostname="127.0.0.1", port=port, **shown)
    server.start()
    try:
        yield letters, port
    finally:
        server.stop()


@contextmanager
def alertmanager(directory: Path, config: Path) -> Iterator[httpx.Client]:
    """Debian's Alertmanager with this configuration."""
    port = free_port()
    with (directory / "alertmanager.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(program("prometheus-alertmanager"), f"--config.file={config}"),
                *(f"--storage.path={directory / 'am'}", f"--web.listen-address=127.0.0.1:{port}"),
                "--cluster.listen-address=",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            wait_until(lambda: process.poll() is None and is_ready(client))
            yield client
    finally:
        process.terminate()
        process.wait(30)


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").is_success
    except httpx.TransportError:
        return False


def wait_until(holds: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def fire(client: httpx.Client, began: datetime, *alerts: dict[str, Any]) -> None:
    """As Prometheus does when they begin to fire; for one that began long ago Alertmanager would wait for no other."""
    body = [{**one, "startsAt": began.isoformat()} for one in alerts]
    client.post("/api/v2/alerts", json=body).raise_for_status()


def spoken(moment: datetime) -> str:
    return moment.astimezone(LOCAL).strftime("%d/%m/%Y %H:%M")


def plain(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def suppressed(client: httpx.Client) -> set[str]:
    found = client.get("/api/v2/alerts").raise_for_status().json()
    held = (one["labels"] for one in found if one["status"]["state"] == "suppressed")
    return {" ".join(one.get(name, "") for name in ("alertname", "facility", "severity")) for one in held}


def ended(alert: dict[str, Any], at: datetime) -> dict[str, Any]:
    return {**alert, "endsAt": at.astimezone(UTC).isoformat()}


EMR: dict[str, Any] = {
    "labels": {"indicator": "emr"},
    "annotations": {"summary": "BVĐK tỉnh: Bệnh án điện tử chưa đạt chỉ tiêu"},
}


@pytest.mark.slow
def test_one_hospitals_indicators_come_in_one_vietnamese_mail_and_their_end_in_another(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("mat-khau")
    auth = f'auth_username = "nhipso"\nauth_password_file = "{tmp_path / "password"}"\n[mail.areas]'
    with smtp("mat-khau") as (letters, port):
        text = QUICK + MAIL.replace("[mail.areas]", auth)
        with alertmanager(tmp_path, written(tmp_path, settings_of(tmp_path, text, port))) as client:
            at = now()
            until: dict[str, Any] = {"annotations": {"plan_until": "2020-12-31"}}
            loop = an_alert("LoopDead", labels={"facility": "", "indicator": ""})
            fire(client, at, an_alert(**until), an_alert(**EMR), loop)
            wait_until(lambda: len(letters.got) == 3)
            (hospital,), (province,) = letters.to(*OF_HOSPITAL), letters.to(*PROVINCE)
            (of_the_collector,) = letters.to("cntt@so.example.vn")
            assert plain(hospital) == plain(province)
            assert hospital["Subject"].startswith("[nhịp số] Cảnh báo: BVĐK tỉnh: ")
            assert hospital["Subject"].endswith(" (và 1 cảnh báo khác)")
            assert hospital["From"] == "nhipso@so.example.vn"
            for words in ("Thanh toán không dùng tiền mặt", "Bệnh án điện tử", f"Cảnh báo từ {spoken(at)}.", LINK):
                assert words in plain(hospital)
            html = hospital.get_body(("html",))
            assert html is not None
            assert f'<a href="{LINK}">Xem số liệu</a>' in html.get_content()
            assert "runbook#loopdead" in plain(of_the_collector)
            letters.got.clear()
            end = now()
            fire(client, at, ended(an_alert(**until), end), ended(an_alert(**EMR), end))
            wait_until(lambda: len(letters.got) == 2)
            (hospital,), (province,) = letters.to(*OF_HOSPITAL), letters.to(*PROVINCE)
            assert hospital["Subject"].startswith("[nhịp số] Hết cảnh báo: BVĐK tỉnh: ")
            assert f"Kết thúc lúc {spoken(end)}: Kế hoạch hết hiệu lực sau ngày 31/12/2020." in plain(hospital)
            assert f"Kết thúc lúc {spoken(end)}: tình trạng trên không còn." in plain(hospital)


@pytest.mark.slow
def test_when_a_line_fails_each_facility_gets_its_letter_and_the_so_one_for_each_area(tmp_path: Path) -> None:
    silent = [
        an_alert("FacilitySilent", labels={"facility": one, "area": area, "indicator": ""})
        for one, _, area, _ in PLACES
    ]
    with smtp() as (letters, port):
        text = QUICK + MAIL.replace("[mail.areas]\n'{area}' = [\"dia-ban@so.example.vn\"]\n", "")
        with alertmanager(tmp_path, written(tmp_path, settings_of(tmp_path, text, port))) as client:
            fire(client, now(), *silent)
            wait_until(lambda: len(letters.got) == 4)
            to_so = letters.to(*PROVINCE)
            assert len(letters.to(*OF_HOSPITAL)) == len(letters.to("ttyt@a.example.vn")) == 1
            # two facilities of one area, one of another; the third has no address of its own
            assert sorted(plain(one).count("Cảnh báo từ") for one in to_so) == [1, 2]
            assert sorted(one["Subject"].endswith("(và 1 cảnh báo khác)") for one in to_so) == [False, True]


@pytest.mark.slow
def test_silence_holds_back_what_it_explains_and_the_collectors_absence_all_but_the_watchdog(tmp_path: Path) -> None:
    silent, below = an_alert("FacilitySilent", labels={"indicator": ""}), an_alert()
    explained = [an_alert(name, labels={"source": "his", "agent": "a1"}) for name in routes.EXPLAINED_BY_SILENCE]
    elsewhere = an_alert("SourceDown", labels={"facility": "12002", "area": SIN_HO})
    critical, loop = an_alert(labels={"severity": "critical"}), an_alert("LoopDead", labels={"facility": ""})
    watchdog = an_alert("Watchdog", labels={"facility": "", "severity": "none"})
    with smtp() as (letters, port):
        config = written(tmp_path, settings_of(tmp_path, QUICK + MAIL, port))
        with alertmanager(tmp_path, config) as client:
            at = now()
            fire(client, at, silent, below, *explained, elsewhere, watchdog)
            wait_until(lambda: len(letters.got) == 6)  # three alerts, each to the facility and to the Sở
            told = {name for _, message in letters.got for name in re.findall(r"runbook#(\w+)", plain(message))}
            assert told == {"facilitysilent", "indicatorbelowtarget", "sourcedown"}
            assert letters.to("ttyt@a.example.vn")
            assert suppressed(client) == {f"{name} 12001 warning" for name in routes.EXPLAINED_BY_SILENCE}
            fire(client, at, critical)
            wait_until(lambda: "IndicatorBelowTarget 12001 warning" in suppressed(client))
            assert "IndicatorBelowTarget 12001 critical" not in suppressed(client)
            fire(client, at, an_alert("CollectorDown", labels={"facility": "", "severity": "critical"}), loop)
            wait_until(lambda: letters.to("cntt@so.example.vn"))
            everything = client.get("/api/v2/alerts").json()
            assert len(suppressed(client)) == len(everything) - 2
            assert not suppressed(client) & {"CollectorDown  critical", "Watchdog  none"}


@pytest.mark.slow
def test_on_a_holiday_only_the_collector_is_mailed_about_and_the_collector_hears_all(tmp_path: Path) -> None:
    today = local_day(now())
    calendar = f'[[off]]\nfirst_day = {today}\nlast_day = {today + timedelta(days=1)}\nname = "Nghỉ"\n'
    office = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    with smtp() as (letters, port), serving(office.app()) as collector:
        text = QUICK.replace("[delivery]", f'[delivery]\ncollector_url = "{collector.base_url}"') + MAIL
        config = written(tmp_path, settings_of(tmp_path, text, port, calendar), today)
        with alertmanager(tmp_path, config) as client:
            at = now()
            fire(client, at, an_alert(), an_alert(labels={"severity": "critical", "indicator": "emr"}))
            wait_until(lambda: len(stored(office)) == 2)
            fire(client, at, an_alert("LoopDead", labels={"facility": "", "indicator": ""}))
            wait_until(lambda: letters.to("cntt@so.example.vn"))
            assert len(letters.got) == 1
    office.store.close()


def stored(office: Office) -> list[lives.Alert]:
    with office.store.read() as connection:
        return lives.alerts(connection, None, "all", 500)


@pytest.mark.slow
def test_the_collector_hears_of_an_alerts_beginning_and_end(tmp_path: Path) -> None:
    (tmp_path / "alerts.token").write_text("s3cret\n")
    office = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    with serving(office.app(alerts_token="s3cret")) as collector:
        told = (
            f'[delivery]\ncollector_url = "{collector.base_url}"\ncollector_token_file = "{tmp_path / "alerts.token"}"'
        )
        config = written(tmp_path, settings_of(tmp_path, QUICK.replace("[delivery]", told)))
        with alertmanager(tmp_path, config) as client:
            watchdog = an_alert("Watchdog", labels={"facility": "", "severity": "none"})
            at = now()
            fire(client, at, an_alert(), an_alert(**EMR), watchdog)
            wait_until(lambda: len(stored(office)) == 2)
            cashless = next(one for one in stored(office) if one.indicator == "cashless")
            assert (cashless.name, cashless.severity, cashless.facility) == ("IndicatorBelowTarget", "warning", "12001")
            assert cashless.summary == "BVĐK tỉnh: Thanh toán không dùng tiền mặt chưa đạt chỉ tiêu"
            assert cashless.starts_at == at
            end = now()
            fire(client, at, ended(an_alert(), end))
            wait_until(lambda: any(one.ends_at for one in stored(office)))
            (over,) = (one for one in stored(office) if one.ends_at)
            assert (over.id, over.ends_at) == (cashless.id, end)
            # its warning becomes critical: inhibited, it is never told again, and the collector ends it
            fire(client, now(), an_alert(labels={"indicator": "emr", "severity": "critical"}))
            wait_until(lambda: len(stored(office)) == 3)
            found = {one.severity: one.ended for one in stored(office) if one.indicator == "emr"}
            assert found == {"critical": None, "warning": "replaced"}
    office.store.close()


@contextmanager
def program_that_hears() -> Iterator[tuple[list[tuple[str, str | None, dict[str, Any]]], int]]:
    """An HTTP server that keeps (path, Authorization, body) and answers as Telegram does."""
    heard: list[tuple[str, str | None, dict[str, Any]]] = []

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append((self.path, self.headers["Authorization"], json.loads(body)))
            message = {"message_id": 1, "date": 0, "chat": {"id": -100123, "type": "group"}}
            answer = json.dumps({"ok": True, "result": message}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield heard, server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.slow
def test_telegram_webhooks_and_the_dead_man_switch_hear_what_is_theirs(tmp_path: Path) -> None:
    (tmp_path / "bot.token").write_text("110201543:AAH\n")
    (tmp_path / "zalo.token").write_text("z4lo\n")
    with program_that_hears() as (heard, port):
        here = f"http://127.0.0.1:{port}"
        hooks = HOOKS.replace("https://zalo.example.vn", here).replace("https://watch.example.vn/", f"{here}/dead-man")
        hooks = hooks.replace("/etc/nhipso/zalo.token", str(tmp_path / "zalo.token"))
        settings = settings_of(tmp_path, QUICK + TELEGRAM + f'api_url = "{here}"\n' + hooks)
        with alertmanager(tmp_path, written(tmp_path, settings)) as client:
            critical = an_alert(labels={"severity": "critical", "indicator": "emr"})
            at = now()
            fire(client, at, critical, an_alert(), an_alert("Watchdog", labels={"facility": "", "severity": "none"}))
            wait_until(lambda: len([one for one in heard if "api/v1/alerts" not in one[0]]) >= 4)
    to = {path.partition("?")[0]: (shown, body) for path, shown, body in heard}
    assert set(to) == {"/hook", "/dead-man", "/bot110201543:AAH/sendMessage"}
    shown, body = to["/hook"]
    assert (shown, [one["labels"]["severity"] for one in body["alerts"]]) == ("Bearer z4lo", ["critical"])
    assert [one["labels"]["alertname"] for one in to["/dead-man"][1]["alerts"]] == ["Watchdog"]
    chats = sorted(body["text"].strip() for path, _, body in heard if path.endswith("/sendMessage"))
    words = f"BVĐK tỉnh: Thanh toán không dùng tiền mặt chưa đạt chỉ tiêu\n{LINK}"
    assert chats == [f"Cảnh báo: {words}", f"Nghiêm trọng: {words}"]
