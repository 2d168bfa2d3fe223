"""A share drops in a hospital's database, and people read of it: a real agent, collector, Prometheus, Alertmanager.

All waits are shortened by settings. Each step waits for what the one before must bring about, however busy the machine.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from collector.typography import NBSP
from conftest import free_port, program
from contract.days import local_day, now
from demo.children import Children
from demo.province import Province
from demo.running import Running
from demo.watch import Watch

pytestmark = pytest.mark.slow
T = TypeVar("T")
HOSPITAL, AGENT = "12001", "agent-12001"
TO_HOSPITAL, TO_PROVINCE = "cntt-12001@example.vn", "syt@example.vn"
BELOW = "Bệnh viện Đa khoa tỉnh: “Lần thu không dùng tiền mặt” chưa đạt chỉ tiêu"
SILENT = "Bệnh viện Đa khoa tỉnh: không gửi số liệu về Sở"
SILENT_SECONDS, PATIENCE_SECONDS = 30, 180

PLAN = """
issuer = "Sở Y tế"
title = "Kế hoạch để thử"
short = "Kế hoạch để thử"
first_day = {first}
last_day = {last}

[[targets]]
indicator = "cashless"
ratio = 0.53
applies_to = {{ facilities = ["12001"] }}
section = "I"
words = "53% số lần thu không dùng tiền mặt"
"""
SETTINGS = """
calendar_file = {calendar}

[alerts]
below_hours = 0
silent_hours = {silent_hours}
settle_minutes = 0
interval_seconds = 1

[delivery]
group_wait_seconds = 0
group_interval_minutes = 0.02
collector_interval_seconds = 1

[mail]
smarthost = "127.0.0.1:{port}"
from = "nhipso@example.vn"
to = ["syt@example.vn"]
require_tls = false
"""


class Mailbox:
    """What the SMTP server took: (to whom, mail), in order."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], EmailMessage]] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append((list(envelope.rcpt_tos), message_from_bytes(content, policy=policy.default)))
        return "250 OK"

    def of(self, subject: str, to: str = TO_HOSPITAL) -> list[str]:
        """The texts of the mails with this subject to this reader."""
        found = [
            mail.get_body(("plain",)) for readers, mail in self.mails if readers == [to] and mail["Subject"] == subject
        ]
        return [part.get_content() for part in found if part is not None]


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    """An SMTP server, and its port."""
    box, port = Mailbox(), free_port()
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    yield box, port
    server.stop()


class Sought:
    """The demo's province with its alerts on, looked at as people do."""

    def __init__(self, running: Running, children: Children, box: Mailbox) -> None:
        self.running = running
        self.children = children
        self.box = box

    def wait(self, what: str, look: Callable[[], T | None]) -> T:
        """What `look` finds, when it finds something."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := look()):
            assert time.monotonic() < deadline, f"{what}: nothing after {PATIENCE_SECONDS} s"
            self.children.check()
            time.sleep(0.1)
        return found

    def standing(self) -> dict[str, Any]:
        answer = self.running.ask("/api/v1/standings", {"facility": HOSPITAL, "indicator": "cashless"})
        (found,) = answer["standings"]
        return dict(found)

    def lives(self, name: str) -> list[dict[str, Any]]:
        """The alerts of this name that the collector has heard of, the newest first."""
        found = self.running.ask("/api/v1/alerts", {"facility": HOSPITAL})["alerts"]
        return [one for one in found if one["name"] == name]

    def is_open(self, name: str, count: int) -> dict[str, Any] | None:
        """The newest of `count` alerts of this name, if it has not ended."""
        found = self.lives(name)
        return found[0] if len(found) == count and found[0]["ends_at"] is None else None

    def has_been_silent(self) -> bool:
        """Whether nothing has come for as long as an alert waits, and one is open (a busy machine may make others)."""
        facilities = self.running.ask("/api/v1/facilities")["facilities"]
        (pushed,) = (datetime.fromisoformat(one["last_push_at"]) for one in facilities if one["id"] == HOSPITAL)
        is_open = any(one["ends_at"] is None for one in self.lives("FacilitySilent"))
        return is_open and now() - pushed > timedelta(seconds=SILENT_SECONDS)

    def mails(self, subject: str, count: int, to: str = TO_HOSPITAL) -> list[str] | None:
        """The texts of these mails, when there are `count`."""
        found = self.box.of(subject, to)
        return found if len(found) == count else None


@pytest.fixture
def sought(tmp_path: Path, mailbox: tuple[Mailbox, int]) -> Iterator[tuple[Province, Sought]]:
    for one in ("prometheus", "prometheus-alertmanager"):
        program(one)  # the demo would go on without
    today = local_day(now())
    plan, calendar = tmp_path / "thu.toml", tmp_path / "calendar.toml"
    plan.write_text(PLAN.format(first=today - timedelta(days=60), last=today + timedelta(days=60)), "utf-8")
    # On a public holiday no mail would come.
    days = (f"[[work]]\nday = {today + timedelta(days=one)}\nname = 'thử'\n" for one in range(2))
    calendar.write_text("".join(days), "utf-8")
    settings = SETTINGS.format(calendar=json.dumps(str(calendar)), port=mailbox[1], silent_hours=SILENT_SECONDS / 3600)
    home, port = tmp_path / "province", free_port()
    address = f"http://127.0.0.1:{port}"
    home.mkdir()
    with (
        closing(Province(home, now(), collector=address, hospitals=[HOSPITAL])) as province,
        Children(home / "logs") as children,
        closing(Running(province, children, port, plans=[plan], standings="silent_hours = 0.005")) as running,
        closing(Watch(running, children, settings, scrape_seconds=1)),
    ):
        yield province, Sought(running, children, mailbox[0])


def vietnamese(ratio: float) -> str:
    """In per cent, with one decimal."""
    return f"{Decimal(f'{ratio:.3f}') * 100:.1f}".replace(".", ",")


def grouped(count: int) -> str:
    return f"{count:,}".replace(",", ".")


def test_a_drop_is_told_to_people_until_it_is_over_and_silence_ends_nothing(
    sought: tuple[Province, Sought],
) -> None:
    province, look = sought
    hispro = province.hispro(HOSPITAL)
    look.wait("the figures", lambda: look.standing()["verdict"] == "met")
    assert look.lives("IndicatorBelowTarget") == []

    hispro.drop_cashless(now())
    told = look.wait("the alert in the collector", lambda: look.is_open("IndicatorBelowTarget", 1))
    assert (told["indicator"], told["severity"], told["summary"]) == ("cashless", "warning", BELOW)
    (text,) = look.wait("the mail to the hospital", lambda: look.mails(f"[nhịp số] Cảnh báo: {BELOW}", 1))
    look.wait("the mail to the Sở", lambda: look.mails(f"[nhịp số] Cảnh báo: {BELOW}", 1, TO_PROVINCE))
    held = look.standing()
    assert held["verdict"] == "below"
    text = text.replace(NBSP, " ")
    counts = f"{grouped(held['numerator'])}/{grouped(held['denominator'])} ca trong 30 ngày"
    deadline = f"{local_day(now()) + timedelta(days=60):%d/%m/%Y}"
    assert f"đạt {vietnamese(held['ratio'])} % ({counts}, số liệu đến ngày" in text
    assert f"Chỉ tiêu ≥ 53 % theo Kế hoạch để thử, hạn {deadline}; còn thiếu {grouped(held['missing'])} ca." in text
    assert f"Xem số liệu: {look.running.address}/facilities/{HOSPITAL}#cashless" in text

    hispro.restore_cashless()
    ended = look.wait(
        "the end in the collector",
        lambda: next((one for one in look.lives("IndicatorBelowTarget") if one["ends_at"] is not None), None),
    )
    assert (ended["id"], ended["ended"]) == (told["id"], "met")
    (over,) = look.wait("the mail of the end", lambda: look.mails(f"[nhịp số] Hết cảnh báo: {BELOW}", 1))
    assert "không còn dưới ngưỡng" in over
    assert "đã đạt" not in over.lower()

    hispro.drop_cashless(now())
    again = look.wait("the alert once more", lambda: look.is_open("IndicatorBelowTarget", 2))
    look.children.stop(AGENT)
    look.wait("the silence in the collector", look.has_been_silent)
    look.wait("the mail of the silence", lambda: look.box.of(f"[nhịp số] Cảnh báo: {SILENT}"))
    look.wait("the silence of the figures", lambda: look.standing()["silent_since"])
    assert look.standing()["verdict"] == "below"

    look.children.resume(AGENT)
    look.wait("the end of the silence", lambda: look.lives("FacilitySilent")[0]["ends_at"])
    still = look.is_open("IndicatorBelowTarget", 2)
    assert still is not None
    assert still["id"] == again["id"]
    assert look.mails(f"[nhịp số] Hết cảnh báo: {BELOW}", 1) is not None
