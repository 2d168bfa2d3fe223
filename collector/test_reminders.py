"""Mail that reminds of a month to confirm: to whom, when, once, and what happens when the mail server fails."""

import asyncio
import logging
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from aiosmtpd.smtp import Session as Smtp

from collector import confirm, deputies, mail, reminders
from collector.confirmations import Confirmations
from collector.loops import Loops
from collector.mail import MailError, MailServer
from collector.parts import Meters
from collector.province import Province
from collector.settings import load
from collector.store import Store, signatures
from collector.store.people import Person
from collector.store.signatures import Signature
from collector.thresholds import Confirmation
from conftest import free_port
from contract.days import LOCAL
from contract.errors import ConfigError
from tests.office import Office, a_tally

MONTH = "2026-10"
URL = "https://nhipso.example.vn/"
RULES = Confirmation(due_day=5, remind_days=(3, 1))
REGISTERED = datetime(2026, 10, 1, tzinfo=LOCAL)


def morning(day: int, month: int = 11) -> datetime:
    return datetime(2026, month, day, 9, tzinfo=LOCAL)


class Postman:
    """What the mail server does with each letter."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.answers: dict[str, str] = {}
        """Address → the answer to RCPT."""
        self.answer_to_data = "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Smtp, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.answers:
            return self.answers[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Smtp, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        if self.answer_to_data.startswith("250"):
            letter = message_from_bytes(envelope.content, policy=policy.default)
            assert [letter["To"].addresses[0].addr_spec] == envelope.rcpt_tos
            self.letters.append(letter)
        if self.answer_to_data == "250 then gone":
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        return self.answer_to_data

    def to(self) -> list[str]:
        return sorted(one["To"].addresses[0].addr_spec for one in self.letters)


@contextmanager
def listening(postman: Postman, **options: Any) -> Iterator[MailServer]:
    """A mail server on loopback."""
    controller = Controller(postman, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield MailServer("127.0.0.1", controller.port, "nhipso@soyte.example.vn", starttls=False)
    finally:
        controller.stop()


@pytest.fixture
def postman() -> Postman:
    return Postman()


@pytest.fixture
def server(postman: Postman) -> Iterator[MailServer]:
    with listening(postman) as one:
        yield one


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """A hospital with a contact, a confirmer, and somebody who only reads."""
    one = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    add_hospital(one, "12001", "Cntt@bv.example.vn; GiamDoc@bv.example.vn")
    one.people.add(Person("an", "confirmer", "12001", "An", "an@bv.example.vn"), REGISTERED)
    one.people.add(Person("đọc", "reader", "12001", "Đọc", "doc@bv.example.vn"), REGISTERED)
    yield one
    one.store.close()


def add_hospital(office: Office, id_: str, email: str = "", **other: Any) -> None:
    office.register(id_, at=REGISTERED, indicators="cashless", email=email, **other)


def remind(
    office: Office, server: MailServer, moment: datetime, rules: Confirmation = RULES, store: Store | None = None
) -> int:
    """As a collector that has just started does."""
    store = store or office.store
    confirmations = Confirmations(store, office.yardstick, rules, Province(store, office.yardstick, rules))
    return reminders.remind(store, confirmations, rules, server, URL, moment)


def sign(office: Office, decision: str, at: datetime, by: str = "an", rules: Confirmation = RULES) -> None:
    with office.store.read() as connection:
        _, now = confirm.look(connection, office.yardstick, rules, "12001", MONTH, at)
    reasons = {"cashless": "Thiếu"} if decision == "disputed" else {}
    with office.store.write() as connection:
        signatures.add(connection, Signature("12001", MONTH, decision, now.digest, now.text, reasons, by, at))


EVERYBODY = ["an@bv.example.vn", "cntt@bv.example.vn", "giamdoc@bv.example.vn"]


# --- to whom, and when


def test_the_contact_and_the_confirmers_are_reminded_with_the_date_and_a_link(
    office: Office, server: MailServer, postman: Postman
) -> None:
    assert remind(office, server, morning(2)) == 3
    assert postman.to() == EVERYBODY
    letter = postman.letters[0]
    assert letter["Subject"] == "Nhắc xác nhận số liệu tháng 10/2026: còn 3 ngày"
    assert letter["From"].addresses[0].display_name == "nhịp số"
    assert letter["Auto-Submitted"] == "auto-generated"
    text = letter.get_content().replace("\r\n", "\n")
    assert "Cơ sở 12001: số liệu tháng 10/2026 chưa được xác nhận." in text
    assert "Hạn xác nhận: hết ngày 05/11/2026, còn 3 ngày." in text
    assert "\nhttps://nhipso.example.vn/facilities/12001/confirmations/2026-10\n" in text


@pytest.mark.parametrize(
    ("moment", "subject"),
    [
        (morning(1), None),
        (morning(2), "còn 3 ngày"),
        (morning(3), "còn 2 ngày"),
        (morning(4), "còn 1 ngày"),
        (morning(5), "hôm nay là ngày cuối"),
        (morning(6), "Quá hạn xác nhận số liệu tháng 10/2026"),
        (morning(30), "Quá hạn xác nhận số liệu tháng 10/2026"),
    ],
)
def test_the_days_of_the_reminders_are_a_setting(
    office: Office, server: MailServer, postman: Postman, moment: datetime, subject: str | None
) -> None:
    remind(office, server, moment)
    told = [one["Subject"] for one in postman.letters if MONTH[5:] + "/2026" in one["Subject"]]
    assert len(told) == (3 if subject else 0)
    assert all(subject in one for one in told if subject)


def test_each_stage_reminds_once_whoever_runs_however_often(
    office: Office, server: MailServer, postman: Postman
) -> None:
    sent = [remind(office, server, morning(day)) for day in (1, 2, 2, 3, 4, 4, 5, 6, 7, 20)]
    assert sent == [0, 3, 0, 0, 3, 0, 0, 3, 0, 0]
    assert len({one["Message-ID"] for one in postman.letters}) == 9
    assert remind(office, server, morning(2), Confirmation(due_day=5, remind_days=())) == 0


def test_of_two_collectors_at_once_each_mail_is_sent_by_one(
    office: Office, server: MailServer, postman: Postman
) -> None:
    for number in range(20):
        add_hospital(office, f"13{number:03}", f"a{number}@bv.example.vn")
    together = threading.Barrier(3)

    def run(_: int) -> int:
        store = Store(office.url)
        together.wait()
        try:
            return remind(office, server, morning(4), store=store)
        finally:
            store.close()

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(run, range(3))) == 23
    assert postman.to() == sorted({*postman.to()})
    assert len(postman.letters) == 23


def test_who_has_answered_is_left_alone_and_who_must_sign_again_is_not(
    office: Office, server: MailServer, postman: Postman
) -> None:
    sign(office, "disputed", morning(2))
    assert remind(office, server, morning(4)) == 0
    sign(office, "confirmed", morning(4))
    assert remind(office, server, morning(6)) == 0
    agent = office.speaker("12001")
    days = confirm.days_of(MONTH)
    assert office.push(agent, [a_tally(day, counts={"cash": 50}) for day in days]).accepted == len(days)
    assert remind(office, server, morning(20)) == 3
    assert "được mở lại" in postman.letters[0].get_content()


def test_with_two_only_who_has_not_signed_is_reminded(office: Office, server: MailServer, postman: Postman) -> None:
    rules = Confirmation(confirm_by=2, remind_days=(3,))
    office.people.add(Person("bình", "confirmer", "12001", "Bình", "binh@bv.example.vn"), REGISTERED)
    sign(office, "confirmed", morning(2), rules=rules)
    remind(office, server, morning(3), rules)
    assert postman.to() == ["binh@bv.example.vn", *EVERYBODY[1:]]
    assert "còn chờ một người nữa của cơ sở cùng ký" in postman.letters[0].get_content()


def test_deputies_are_reminded_while_they_may_sign_and_closed_accounts_are_not(
    office: Office, server: MailServer, postman: Postman
) -> None:
    by = Person("an", "confirmer", "12001")
    deputies.name(office.store, by, "12001", "đọc", (date(2026, 11, 4), date(2026, 11, 5)), morning(2))
    office.people.disable("an", morning(2))
    remind(office, server, morning(2))
    assert postman.to() == EVERYBODY[1:]
    postman.letters.clear()
    remind(office, server, morning(4))
    assert postman.to() == [*EVERYBODY[1:2], "doc@bv.example.vn", *EVERYBODY[2:]]


def test_who_keeps_the_figures_of_many_gets_one_mail(office: Office, server: MailServer, postman: Postman) -> None:
    for number in range(3):
        add_hospital(office, f"1310{number}", "cntt@bv.example.vn", name=f"Trạm {number}")
    assert remind(office, server, morning(2)) == 3
    (letter,) = (one for one in postman.letters if one["To"].addresses[0].addr_spec == "cntt@bv.example.vn")
    assert letter["Subject"] == "Nhắc xác nhận số liệu tháng 10/2026: còn 3 ngày (4 cơ sở)"
    assert re.findall(r"facilities/(\d+)/", letter.get_content()) == ["12001", "13100", "13101", "13102"]


def test_nobody_is_reminded_of_a_month_before_the_facility_was_registered(
    office: Office, server: MailServer, postman: Postman
) -> None:
    office.register("12002", at=datetime(2026, 11, 1, tzinfo=LOCAL), indicators="cashless", email="x@bv.example.vn")
    office.register("12003", at=REGISTERED, indicators="inspection_digital", email="y@bv.example.vn")
    remind(office, server, morning(20))
    assert not {"x@bv.example.vn", "y@bv.example.vn"} & {*postman.to()}


# --- when the server fails


def test_a_server_that_is_away_is_tried_again_and_nobody_is_forgotten(
    office: Office, server: MailServer, postman: Postman
) -> None:
    away = MailServer("127.0.0.1", free_port(), server.sender, starttls=False)
    with pytest.raises(MailError, match=r"không gửi được thư qua 127\.0\.0\.1:\d+ \(ConnectionRefusedError\)"):
        remind(office, away, morning(2))
    postman.answer_to_data = "451 later"
    with pytest.raises(MailError, match="451"):
        remind(office, server, morning(2))
    postman.answer_to_data = "250 OK"
    assert remind(office, server, morning(2)) == 3


def test_an_address_that_is_refused_stops_nobody_else(
    office: Office, server: MailServer, postman: Postman, caplog: pytest.LogCaptureFixture
) -> None:
    add_hospital(office, "13000", "không phải địa chỉ, đ@bv.example.vn, a@b@c")
    postman.answers = {"an@bv.example.vn": "550 unknown", "cntt@bv.example.vn": "450 later"}
    with caplog.at_level(logging.WARNING):
        assert remind(office, server, morning(2)) == 1
    assert "một địa chỉ của 12001: máy chủ thư trả lời 550" in caplog.text
    assert "một địa chỉ của 13000" in caplog.text
    assert "@" not in caplog.text
    postman.answers = {}
    assert remind(office, server, morning(2)) == 1  # the one that was told to come later
    assert postman.to() == EVERYBODY[1:]


def test_a_mail_that_may_have_been_taken_is_not_sent_again(
    office: Office, server: MailServer, postman: Postman
) -> None:
    postman.answer_to_data = "250 then gone"
    with pytest.raises(MailError):  # the others find the line cut
        remind(office, server, morning(2))
    assert len(postman.letters) == 1
    postman.answer_to_data = "250 OK"
    assert remind(office, server, morning(2)) == 2
    assert postman.to() == EVERYBODY


def test_a_server_that_says_nothing_is_given_up(
    office: Office, monkeypatch: pytest.MonkeyPatch, postman: Postman
) -> None:
    monkeypatch.setattr(mail, "_PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        deaf = MailServer("127.0.0.1", silent.getsockname()[1], "a@b.vn", starttls=False)
        with pytest.raises(MailError, match="không gửi được thư"):
            remind(office, deaf, morning(2))


def test_a_server_without_tls_is_not_given_the_password(office: Office, postman: Postman) -> None:
    seen: list[str] = []

    def check(server: SMTP, session: Smtp, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        seen.append(data.password.decode())
        return AuthResult(success=True)

    with listening(postman, authenticator=check, auth_require_tls=False) as plain:
        login = {"user": "nhipso", "password": "bi-mat"}
        with pytest.raises(MailError, match="SMTPNotSupportedError"):
            remind(office, MailServer(plain.host, plain.port, plain.sender, True, **login), morning(2))
        assert seen == []
        assert remind(office, MailServer(plain.host, plain.port, plain.sender, False, **login), morning(2)) == 3
    assert seen == ["bi-mat"]
    assert "bi-mat" not in repr(MailServer("h", 1, "a@b.vn", True, **login))


def test_the_loop_mails_in_the_morning_and_its_heart_stands_still_while_mail_fails(
    office: Office, server: MailServer, postman: Postman
) -> None:
    at = [morning(2).replace(hour=7)]
    meters, done, refused = Meters(), threading.Event(), threading.Event()
    loops = Loops(office.store, meters, lambda: at[0])

    def turn(moment: datetime) -> None:
        try:
            remind(office, server, moment)
        except MailError:
            refused.set()
            raise
        done.set()

    postman.answer_to_data = "451 later"
    loops.add_daily("reminders", turn, timedelta(milliseconds=5), reminders.HOUR)
    loops.start()
    try:
        at[0] += timedelta(seconds=1)
        assert not done.wait(0.1)  # before eight
        at[0] = morning(2)
        assert refused.wait(20)
        at[0] += timedelta(minutes=1)
        assert not done.wait(0.2)
        beat = meters.registry.get_sample_value("nhipso_loop_heartbeat_timestamp_seconds", {"loop": "reminders"})
        assert beat is not None and beat <= morning(2).timestamp()
        postman.answer_to_data = "250 OK"
        assert done.wait(20)
    finally:
        loops.stop()
    assert postman.to() == EVERYBODY


# --- settings


def settings_of(directory: Path, table: str, public_url: str = URL) -> Any:
    file = directory / "collector.toml"
    named = f'public_url = "{public_url}"\n' if public_url else ""
    file.write_text(f'[collector]\ndata_dir = "data"\n{named}{table}', "utf-8")
    return load(file)


def test_without_a_table_nobody_is_reminded_and_with_it_the_loop_is_there(office: Office, tmp_path: Path) -> None:
    assert settings_of(tmp_path, "").mail is None
    (tmp_path / "secret").write_text("bi-mat\n", "utf-8")
    table = '[mail]\nhost = "mail.example.vn"\nsender = "a@b.vn"\nuser = "a"\npassword_file = "secret"\n'
    server = settings_of(tmp_path, table).mail
    assert server == MailServer("mail.example.vn", 587, "a@b.vn", True, "a", "bi-mat")
    for one, has in ((None, False), (server, True)):
        app = office.app(mail=one, public_url=URL)
        assert ('loop="reminders"' in str(samples_of(app.state.parts.meters))) == has


def samples_of(meters: Meters) -> list[str]:
    return [f'loop="{one.labels.get("loop")}"' for family in meters.registry.collect() for one in family.samples]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('host = "m"\nsender = "a"', "sender"),
        ('host = "m"\nsender = "a@b.vn"\nport = 0', "port"),
        ('host = "m"\nsender = "a@b.vn"\nuser = "a"', "user và password_file phải đi với nhau"),
        ('host = "m"\nsender = "a@b.vn"\nuser = "a"\npassword_file = "nowhere"', "password_file: không đọc được"),
        ('host = "m"\nsender = "a@b.vn"\nuser = "a"\npassword_file = "secret"\nstarttls = false', "starttls = true"),
        ('host = "m"\nsender = "a@b.vn"\nuser = "a"\npassword_file = "secret"', "không dấu"),
    ],
)
def test_what_is_wrong_with_the_table_is_named(tmp_path: Path, table: str, said: str) -> None:
    (tmp_path / "secret").write_text("mật khẩu", "utf-8")
    with pytest.raises(ConfigError, match=said):
        settings_of(tmp_path, f"[mail]\n{table}\n")
    with pytest.raises(ConfigError, match="cần có public_url"):
        settings_of(tmp_path, '[mail]\nhost = "m"\nsender = "a@b.vn"\n', public_url="")
