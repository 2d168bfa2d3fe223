"""Confirming a month in the portal, over a real socket: what people of a hospital and of the Sở see and send."""

import csv
import io
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from html import unescape
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from babel.messages.pofile import read_po
from docx import Document
from openxml_audit import OpenXmlValidator

from collector import confirm, deputies
from collector.access import Speaker
from collector.letterhead import Letterhead
from collector.pages import confirmation, confirmation_list
from collector.pages.rendering import LANGUAGE_COOKIE
from collector.people import Session
from collector.store import people as stored_people
from collector.store.people import Person
from collector.thresholds import Confirmation
from collector.typography import month, number
from collector.versions import Version
from conftest import program
from contract.days import local_day, now
from tests.browsing import Page, enter
from tests.office import Office, a_source, a_tally, serving

NOW = now()
BEFORE, MONTH = confirm.closed(NOW)
DAYS, DAYS_BEFORE = confirm.days_of(MONTH), confirm.days_of(BEFORE)
NAMED = f"{MONTH[5:]}/{MONTH[:4]}"
TODAY = local_day(NOW)
ALL_BUT_ONE = {"decision": "confirm", "answer_of_kiosk": "right"}
_numbers = count(12101)


def plain(text: str) -> str:
    """What a page says, without its tags, with plain blanks."""
    said = unescape(re.sub(r"<[^>]+>", " ", text)).replace("\N{NO-BREAK SPACE}", " ")
    return re.sub(r"\s+([.,;:])", r"\1", " ".join(said.split()))


@dataclass
class Hospital:
    """A facility of its own, whose people are named after their part: `ký 12101`, `đọc 12101`."""

    office: Office
    http: httpx.Client
    id: str
    agent: Speaker
    revision: int = 1
    session: Session | None = None
    sent: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return f"/facilities/{self.id}/confirmations/{MONTH}"

    def send(self, *days: date, **counts: int) -> None:
        push = [a_tally(day, self.revision, counts, facility=self.id) for day in days]
        self.revision += 1
        source = a_source(facilities=[self.id], read_at=NOW.isoformat())
        assert self.office.push(self.agent, push, [source], at=NOW).accepted == len(push)

    def correct(self, **counts: int) -> None:
        self.send(DAYS.first, **counts)

    def person(self, part: str, role: str = "confirmer", **other: Any) -> str:
        name = f"{part} {self.id}"
        self.office.people.add(Person(name, role, self.id, **other), NOW)
        return name

    def enter(self, name: str) -> None:
        self.session = enter(self.office, self.http, name)

    def get(self, path: str = "", **query: str) -> httpx.Response:
        return self.http.get(path or self.path, params=query)

    def shown(self) -> dict[str, str]:
        """What the form on the page sends when nothing is filled in."""
        page = Page(self.get())
        fields = {one["name"]: one["value"] for one in page.every("input") if one.get("type") == "hidden"}
        return {name: fields[name] for name in ("form_token", "digest", "figures")}

    def post(self, fields: dict[str, str] | None = None, **other: str) -> httpx.Response:
        """Send the form as it is shown now, or as it was (`fields`); underlined names stand for the form's own."""
        filled = {name.replace("_of_", "-"): value for name, value in other.items()}
        return self.http.post(self.path, data={**(fields or self.shown()), **filled})

    def confirm(self, fields: dict[str, str] | None = None) -> httpx.Response:
        return self.post(fields, decision="confirm", answer_of_cashless="right", answer_of_kiosk="right")

    def dispute(self, reason: str = "Thiếu quầy thu số 3", fields: dict[str, str] | None = None) -> httpx.Response:
        return self.post(fields, decision="dispute", answer_of_cashless="wrong", reason_of_cashless=reason)

    def text(self) -> str:
        answer = self.get()
        assert answer.status_code == 200
        return plain(answer.text)

    def shown_digest(self) -> str:
        """Of the figures on the page."""
        (found,) = re.findall(r'<code class="digest">(.*?)</code>', self.get().text)
        return str(found)

    def state(self) -> str:
        with self.office.store.read() as connection:
            return confirm.look(connection, self.office.yardstick, Confirmation(), self.id, MONTH, now())[0].state


@dataclass
class Portal:
    """A collector that listens; `people`: of the Sở."""

    office: Office
    http: httpx.Client

    def hospital(self, **other: Any) -> Hospital:
        """Half of its payments cashless."""
        one = str(next(_numbers))
        self.office.register(one, at=NOW - timedelta(days=100), indicators="cashless,kiosk", **other)
        found = Hospital(self.office, self.http, one, self.office.speaker(one))
        found.send(*DAYS, cash=5, qr=5)
        found.enter(found.person("ký", full_name=f"Người Ký {one}"))
        return found

    def enter(self, name: str) -> None:
        enter(self.office, self.http, name)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    directory: Path = tmp_path_factory.mktemp("portal")
    one = Office(f"sqlite:///{directory / 'collector.sqlite'}", directory)
    for name, role in (("quản trị", "admin"), ("người đọc", "reader")):
        one.people.add(Person(name, role, None), NOW)
    yield one
    one.store.close()


@pytest.fixture(scope="module")
def served(office: Office) -> Iterator[httpx.Client]:
    with serving(office.app(report=Letterhead(issuer="Sở Y tế", place="Sông Đà"))) as http:
        yield http


@pytest.fixture
def portal(office: Office, served: httpx.Client) -> Portal:
    served.cookies.clear()
    return Portal(office, served)


@pytest.fixture
def hospital(portal: Portal) -> Hospital:
    return portal.hospital()


@pytest.fixture
def older(hospital: Hospital) -> Hospital:
    """The same, with the month before."""
    hospital.send(*DAYS_BEFORE, cash=6, qr=4)
    return hospital


# --- confirming


def test_the_month_is_shown_with_its_counts_the_month_before_and_the_date(older: Hospital) -> None:
    hospital = older
    text = hospital.text()
    assert f"Xác nhận số liệu tháng {NAMED} · Cơ sở {hospital.id}" in text
    assert f"Số liệu tháng {NAMED} chưa được xác nhận. Hạn xác nhận" in text
    until = confirm.due(MONTH, 5)
    assert f"{until:%d/%m/%Y}" in text
    left = (until.date() - local_day(now())).days
    assert (f"còn {left} ngày" if left > 0 else f"đã quá {-left} ngày" if left < 0 else "hết hôm nay") in text
    assert f"50,0 % {5 * len(DAYS)} / {10 * len(DAYS)} 40,0 % {4 * len(DAYS_BEFORE)} / {10 * len(DAYS_BEFORE)}" in text
    assert "Không có chỉ tiêu" in text
    assert f"Mã của bản số liệu trên trang này: {hospital.shown()['digest']}" in text


def test_who_confirms_is_led_back_to_a_locked_page_that_names_them(hospital: Hospital) -> None:
    seen = hospital.shown()["digest"]
    answer = hospital.confirm()
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{hospital.path}?done=confirmed")
    page = hospital.http.get(answer.headers["Location"])
    text = plain(page.text)
    assert "Đã ghi nhận: số liệu được xác nhận và khóa." in text
    assert re.search(rf"Đã xác nhận lúc \d\d:\d\d \d\d/\d\d/\d{{4}}; .* Người ký: Người Ký {hospital.id}\.", text)
    assert "decision" not in page.text  # no form
    history = text.partition("Các lần ký")[2]
    assert f"Người Ký {hospital.id}" in history and "Xác nhận" in history
    assert seen.removeprefix("sha256:")[:12] in history
    assert hospital.state() == "confirmed"


def test_every_figure_has_to_be_answered_before_all_are_confirmed(hospital: Hospital) -> None:
    answer = hospital.post(decision="confirm", answer_of_kiosk="right")
    assert (answer.status_code, hospital.state()) == (400, "open")
    assert confirmation.NOT_SAID[1:] in plain(answer.text)
    kept = {one["id"] for one in Page(answer).every("input") if "checked" in one}
    assert kept == {"right-kiosk"}
    assert '<a href="#cashless">' in answer.text and 'id="cashless"' in answer.text


def test_what_does_not_fit_together_is_said_and_nothing_is_lost(hospital: Hospital) -> None:
    shown = hospital.shown()
    for said, fields in (
        (confirmation.NO_REASON, {"decision": "dispute", "answer_of_cashless": "wrong"}),
        (confirmation.NO_REASON, {"decision": "dispute", "answer_of_cashless": "wrong", "reason_of_cashless": " \n"}),
        (confirmation.NOTHING_WRONG, {"decision": "dispute", "answer_of_cashless": "right"}),
        (confirmation.NOT_SAID, {"decision": "dispute", "reason_of_cashless": "Thiếu"}),
        (confirmation.SOME_WRONG, {**ALL_BUT_ONE, "answer_of_cashless": "wrong", "reason_of_cashless": "Thừa"}),
        (confirmation.REASON_BUT_RIGHT, {**ALL_BUT_ONE, "answer_of_cashless": "right", "reason_of_cashless": "Thừa"}),
    ):
        answer = hospital.post(shown, **fields)
        assert answer.status_code == 400
        assert said[1:] in plain(answer.text)
        assert fields.get("reason_of_cashless", "").strip() in answer.text
        assert answer.text.count('role="alert"') == 1
    assert hospital.state() == "open"


def test_a_dispute_carries_its_reason_to_everybody_who_may_see_it(hospital: Hospital) -> None:
    answer = hospital.dispute("Thiếu quầy <3>\r\ntừ ngày 9")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{hospital.path}?done=disputed")
    assert "Đã gửi ý kiến đến Sở." in plain(hospital.http.get(answer.headers["Location"]).text)
    hospital.enter("người đọc")
    text = hospital.text()
    assert "Cơ sở có ý kiến về 1 chỉ số" in text
    assert "Chưa đúng: Thiếu quầy <3> từ ngày 9" in text
    assert "<3>" not in hospital.get().text


def test_a_reason_that_is_too_long_is_said_with_the_form(hospital: Hospital) -> None:
    answer = hospital.dispute("x" * 2001)
    assert (answer.status_code, hospital.state()) == (400, "open")
    assert "1 đến 2.000 ký tự" in answer.text


# --- figures that move


def test_what_changed_while_somebody_looked_is_marked_and_what_they_entered_is_kept(hospital: Hospital) -> None:
    shown = hospital.shown()
    hospital.correct(cash=50)
    answer = hospital.post(
        shown, decision="dispute", answer_of_cashless="wrong", reason_of_cashless="Thiếu", answer_of_kiosk="right"
    )
    text = plain(answer.text)
    assert (answer.status_code, hospital.state()) == (409, "open")
    assert confirmation.CHANGED[1:] in text
    assert f"vừa thay đổi lúc anh/chị xem: 50,0 % {5 * len(DAYS)} / {10 * len(DAYS)}" in text
    # the reason stays; the answer on a figure that has changed has to be given again
    assert {one["id"] for one in Page(answer).every("input") if "checked" in one} == {"right-kiosk"}
    assert ">Thiếu</textarea>" in answer.text
    (digest,) = {one["value"] for one in Page(answer).every("input") if one.get("name") == "digest"}
    assert digest == hospital.shown()["digest"] != shown["digest"]
    assert hospital.confirm().status_code == 303


def test_a_form_whose_figures_are_not_ours_is_still_only_stale(hospital: Hospital) -> None:
    shown = hospital.shown()
    for figures in ("", "{}", "[]", "null", "{", '{"cashless": 1}'):
        answer = hospital.confirm({**shown, "figures": figures, "digest": Version(figures).digest})
        assert answer.status_code == 409
    assert hospital.state() == "open"


def test_data_that_arrive_later_reopen_and_show_before_and_after_beside_each_other(hospital: Hospital) -> None:
    hospital.confirm()
    hospital.send(*DAYS, cash=8, qr=2)
    text = hospital.text()
    assert "Xác nhận được mở lại: số liệu gửi sau làm thay đổi 1 kết quả đã ký" in text
    changed = text.partition("Thay đổi từ khi ký")[2]
    both = f"50,0 % {5 * len(DAYS)} / {10 * len(DAYS)} Không có chỉ tiêu 20,0 % {2 * len(DAYS)} / {10 * len(DAYS)}"
    assert both in changed
    assert "tỷ lệ, số đếm" in changed
    assert hospital.confirm().status_code == 303
    assert hospital.state() == "confirmed"
    assert hospital.text().partition("Các lần ký")[2].count(f"Người Ký {hospital.id} ") == 2


def test_a_small_correction_leaves_the_signed_figures_on_the_page_and_is_told_beneath(hospital: Hospital) -> None:
    hospital.confirm()
    signed = hospital.shown_digest()
    hospital.correct(cash=5, qr=5, unknown=1)
    text = hospital.text()
    assert "Thay đổi nhỏ từ khi ký, không làm mở lại" in text
    assert hospital.shown_digest() == signed


def test_who_comes_too_late_is_told_that_the_month_is_locked(hospital: Hospital) -> None:
    shown = hospital.shown()
    hospital.confirm()
    hospital.enter(hospital.person("hai"))
    assert hospital.session is not None
    answer = hospital.dispute(fields={**shown, "form_token": hospital.session.form_token})
    assert (answer.status_code, hospital.state()) == (409, "confirmed")
    assert f"Số liệu tháng {NAMED} đã được xác nhận và khóa" in plain(answer.text)


# --- two people


def test_with_two_the_first_waits_for_the_second(office: Office, tmp_path: Path) -> None:
    with serving(office.app(confirmation=Confirmation(confirm_by=2))) as http:
        hospital = Portal(office, http).hospital()
        assert hospital.confirm().headers["Location"].endswith("?done=first")
        text = plain(hospital.get(done="first").text)
        assert f"Còn chờ một người nữa của cơ sở cùng ký. Đã ký: Người Ký {hospital.id}." in text
        assert "Đã ghi nhận chữ ký thứ nhất" in text
        # who has signed can only say that something is wrong after all
        assert {one.get("value") for one in Page(hospital.get()).every("button")} >= {"dispute"}
        assert "confirm" not in {one.get("value") for one in Page(hospital.get()).every("button")}
        hospital.enter(hospital.person("hai", full_name="Người Hai"))
        assert hospital.confirm().headers["Location"].endswith("?done=confirmed")
        assert f"Người ký: Người Ký {hospital.id} và Người Hai." in hospital.text()


# --- who may


def test_everybody_of_the_facility_and_of_the_department_reads_and_only_confirmers_have_a_form(
    portal: Portal, hospital: Hospital
) -> None:
    shown = hospital.shown()
    for name in (hospital.person("đọc", "reader"), "quản trị", "người đọc"):
        hospital.enter(name)
        assert hospital.session is not None
        page = hospital.get()
        assert (page.status_code, 'name="decision"' in page.text) == (200, False)
        answer = hospital.confirm({**shown, "form_token": hospital.session.form_token})
        assert answer.status_code == 403
        assert "người được cử ký thay" in answer.text
    other = portal.hospital()
    other.enter(f"ký {other.id}")
    nowhere = hospital.path.replace(hospital.id, "99999")
    for path in ("", "/sheet.pdf", "/sheet.docx"):
        answers = [hospital.http.get(one + path) for one in (hospital.path, nowhere)]
        assert [one.status_code for one in answers] == [404, 404]
        assert answers[0].text == answers[1].text
    assert other.session is not None
    assert hospital.confirm({**shown, "form_token": other.session.form_token}).status_code == 404
    assert hospital.state() == "open"


def test_a_form_without_its_token_changes_nothing(hospital: Hospital) -> None:
    assert hospital.confirm({**hospital.shown(), "form_token": "x"}).status_code == 403
    assert hospital.state() == "open"


def test_what_is_no_month_or_not_over_is_said(hospital: Hospital) -> None:
    for period in ("2026-13", "2019-01", "x", f"{NOW:%Y-%m}"):
        answer = hospital.http.get(f"/facilities/{hospital.id}/confirmations/{period}")
        assert answer.status_code == 400
        assert "tháng" in plain(answer.text).lower()


# --- deputies


def test_a_deputy_signs_on_the_days_for_which_they_are_named_and_it_shows(portal: Portal, hospital: Hospital) -> None:
    who = hospital.person("đọc", "reader", full_name="Phó Giám Đốc")
    assert hospital.session is not None
    form = {"form_token": hospital.session.form_token, "facility": hospital.id, "who": who}
    days = {"first": str(TODAY), "last": f"{TODAY + timedelta(days=1):%d/%m/%Y}"}
    answer = hospital.http.post("/confirmations/deputies", data={**form, **days})
    assert (answer.status_code, answer.headers["Location"]) == (
        303,
        f"/confirmations?facility={hospital.id}&done=named#deputies",
    )
    own = plain(hospital.http.get(answer.headers["Location"]).text)
    assert "Đã cử người ký thay." in own
    last = f"{TODAY + timedelta(days=1):%d/%m/%Y}"
    assert f"Phó Giám Đốc {TODAY:%d/%m/%Y} {last} Người Ký {hospital.id}" in own
    hospital.enter(who)
    assert hospital.confirm().status_code == 303
    text = hospital.text()
    assert "Phó Giám Đốc (ký thay)" in text
    with portal.office.store.read() as connection:
        (note,) = (one for one in stored_people.changes(connection, hospital.id) if one.action == "deputy_named")
    assert (note.person, note.subject, str(TODAY) in str(note.after)) == (f"ký {hospital.id}", who, True)


def test_the_administrator_names_deputies_too_and_ends_them_at_once(portal: Portal, hospital: Hospital) -> None:
    who = hospital.person("đọc", "reader")
    hospital.enter("quản trị")
    assert hospital.session is not None
    form = {"form_token": hospital.session.form_token, "facility": hospital.id}
    days = {"who": who, "first": str(TODAY), "last": str(TODAY)}
    assert hospital.http.post("/confirmations/deputies", data={**form, **days}).status_code == 303
    page = Page(hospital.get("/confirmations", facility=hospital.id))
    (action,) = {one["action"] for one in page.every("form") if one["action"].endswith("/end")}
    assert hospital.http.post(action, data=form).status_code == 303
    hospital.enter(who)
    assert 'name="decision"' not in hospital.get().text
    # ended twice is ended
    hospital.enter("quản trị")
    assert hospital.session is not None
    form["form_token"] = hospital.session.form_token
    assert hospital.http.post(action, data=form).status_code == 303
    with portal.office.store.read() as connection:
        actions = [one.action for one in stored_people.changes(connection, hospital.id)]
    assert actions.count("deputy_ended") == 1


def test_nobody_else_names_or_ends_deputies(portal: Portal, hospital: Hospital) -> None:
    who = hospital.person("đọc", "reader")
    deputies.name(portal.office.store, Person("quản trị", "admin", None), hospital.id, who, (TODAY, TODAY), NOW)
    other = portal.hospital()
    for name, status in ((who, 403), ("người đọc", 403), (f"ký {other.id}", 404)):
        hospital.enter(name)
        assert hospital.session is not None
        form = {"form_token": hospital.session.form_token, "facility": hospital.id, "who": who}
        form |= {"first": str(TODAY), "last": str(TODAY)}
        for path in ("/confirmations/deputies", "/confirmations/deputies/1/end"):
            assert (name, hospital.http.post(path, data=form).status_code) == (name, status)
    assert hospital.http.get("/confirmations", params={"facility": hospital.id}).status_code == 404


def test_a_deputy_who_cannot_be_named_is_said_with_the_form(hospital: Hospital) -> None:
    who = hospital.person("đọc", "reader")
    assert hospital.session is not None
    form = {"form_token": hospital.session.form_token, "facility": hospital.id, "who": who}
    form |= {"first": str(TODAY), "last": str(TODAY)}
    for said, fields in (
        ("ngày phải viết theo dạng 31/12/2026", {"first": "hôm nay"}),
        ("không được ở trong quá khứ", {"first": str(TODAY - timedelta(days=1))}),
        ("phải từ ngày bắt đầu trở đi", {"last": str(TODAY - timedelta(days=1))}),
        ("không quá một năm", {"last": str(TODAY + timedelta(days=400))}),
        ("hãy chọn một người của cơ sở", {"who": "quản trị"}),
    ):
        answer = hospital.http.post("/confirmations/deputies", data={**form, **fields})
        assert answer.status_code == 400
        assert said[1:] in plain(answer.text)
        assert fields.get("last", form["last"]) in answer.text


# --- the sheet


def words(text: str) -> str:
    return " ".join(text.replace("\N{NO-BREAK SPACE}", " ").split())


def test_the_sheet_is_a_document_of_the_hospital_with_the_digest_in_full(older: Hospital, tmp_path: Path) -> None:
    hospital = older
    hospital.confirm()
    digest = hospital.shown_digest()
    hospital.correct(cash=5, qr=5, unknown=1)  # what was signed is what is printed
    answer = hospital.get(f"{hospital.path}/sheet.docx")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="phieu-xac-nhan-{MONTH}-{hospital.id}.docx"'
    (tmp_path / "sheet.docx").write_bytes(answer.content)
    assert OpenXmlValidator().validate(tmp_path / "sheet.docx").is_valid
    document = Document(io.BytesIO(answer.content))
    head, figures, signed, foot = document.tables
    cells = [words(cell.text) for row in head.rows for cell in row.cells]
    assert cells[:3] == [
        f"SỞ Y TẾ CƠ SỞ {hospital.id}",
        "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM Độc lập - Tự do - Hạnh phúc",
        "Số: …/…",
    ]
    assert cells[3].startswith("Sông Đà, ngày ")
    said = [words(one.text) for one in document.paragraphs if one.text]
    assert said[0] == "PHIẾU XÁC NHẬN SỐ LIỆU"
    assert said[1] == words(month(DAYS.first))
    assert digest in said
    lines = [[words(cell.text) for cell in row.cells] for row in figures.rows]
    assert lines[0][1:] == ["Chỉ số", "Kết quả", "Tháng trước", "Chỉ tiêu", "Kết luận", "Ý kiến của cơ sở"]
    (cashless,) = (one for one in lines if one[2].startswith("50,0 %"))
    counts = f"50,0 % ({number(5 * len(DAYS))}/{number(10 * len(DAYS))})"
    assert cashless[2:] == [counts, "40,0 %", "–", "Không có chỉ tiêu", "Đúng"]
    assert words(signed.rows[1].cells[0].text) == f"Người Ký {hospital.id}"
    assert words(signed.rows[1].cells[3].text) == digest.removeprefix("sha256:")[:12]
    assert words(foot.cell(0, 1).text) == "THỦ TRƯỞNG ĐƠN VỊ"
    assert "Sở Y tế (b/c)" in foot.cell(0, 0).text
    assert any("đã được xác nhận và khóa" in one for one in said)


def test_the_pdf_says_the_same_and_what_is_disputed_is_on_it(hospital: Hospital, tmp_path: Path) -> None:
    hospital.dispute("Thiếu quầy thu <số 3>")
    hospital.enter("người đọc")
    answer = hospital.get(f"{hospital.path}/sheet.pdf")
    assert (answer.headers["Content-Type"], answer.content[:5]) == ("application/pdf", b"%PDF-")
    (tmp_path / "sheet.pdf").write_bytes(answer.content)
    command = [program("pdftotext"), "-layout", str(tmp_path / "sheet.pdf"), "-"]
    text = words(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout.decode())
    assert "PHIẾU XÁC NHẬN SỐ LIỆU" in text
    assert "Chưa đúng:" in text
    assert hospital.shown_digest() in text
    assert "Cơ sở đã có ý kiến về số liệu trên cổng" in text
    assert hospital.get(f"{hospital.path}/sheet.xlsx").status_code == 422


# --- lists


@pytest.fixture
def province(tmp_path: Path) -> Iterator[Portal]:
    """Five facilities in a Sở of their own: open, confirmed, disputed, reopened, and one without anything to sign."""
    one = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    for name, role in (("quản trị", "admin"), ("người đọc", "reader")):
        one.people.add(Person(name, role, None), NOW)
    with serving(one.app(confirmation=Confirmation(due_day=1))) as http:
        yield Portal(one, http)
    one.store.close()


def rows(answer: httpx.Response) -> list[list[str]]:
    """The cells of a page's first table, line by line."""
    body = answer.text.partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        [plain(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line, re.S)]
        for line in re.findall(r"<tr>(.*?)</tr>", body, re.S)
    ]


def test_the_department_sees_who_has_not_answered_first_and_filters(province: Portal) -> None:
    ready, disputed, _, reopened = (
        province.hospital(name=name, area=area)
        for name, area in (("A", "Đông"), ("Ba Vì", "Đông"), ("Đà Bắc", "Tây"), ("Cao Lộc", ""))
    )
    province.office.register("12999", indicators="inspection_digital", at=NOW - timedelta(days=100))
    province.office.register("12998", name="An", indicators="cashless", at=NOW)  # not due: it came after the month
    for one, decide in ((ready, ready.confirm), (disputed, disputed.dispute), (reopened, reopened.confirm)):
        one.enter(f"ký {one.id}")
        assert decide().status_code == 303
    reopened.send(*DAYS, cash=8, qr=2)
    province.enter("người đọc")
    page = province.http.get("/confirmations", params={"month": MONTH})
    text = plain(page.text)
    assert "1 trong 5 cơ sở đã xác nhận. 1 cơ sở có ý kiến. 1 cơ sở phải ký lại vì số liệu đã thay đổi." in text
    is_late = local_day(now()).day > 1
    assert ("2 cơ sở quá hạn." in text) == is_late
    found = rows(page)
    not_yet = ["Đà Bắc", "An"] if is_late else ["An", "Đà Bắc"]
    assert [one[0] for one in found] == ["Cao Lộc", *not_yet, "Ba Vì", "A"]
    words = ("Mở lại", "Chưa xác nhận", "Chưa xác nhận", "Có ý kiến", "Đã xác nhận")
    assert all(one[2].startswith(word) for one, word in zip(found, words, strict=True))
    assert found[4][3] == f"Người Ký {ready.id}"
    asked: dict[str, list[str]] = {
        "state=confirmed": ["A"],
        "state=reopened": ["Cao Lộc"],
        "area=Đông": ["Ba Vì", "A"],
        "area=Đông&state=open": [],
        "state=overdue": ["Cao Lộc", "Đà Bắc"] if is_late else [],
    }
    for query, names in asked.items():
        assert [one[0] for one in rows(province.http.get(f"/confirmations?month={MONTH}&{query}"))] == names
        lines = province.http.get(f"/confirmations.csv?month={MONTH}&{query}").content.decode("utf-8-sig")
        assert [line["Cơ sở"] for line in csv.DictReader(io.StringIO(lines), delimiter=";")] == names
    assert province.http.get("/confirmations?state=x").status_code == 422
    older = f"{(DAYS_BEFORE.first - timedelta(days=1)).replace(day=1):%Y-%m}"
    for period in (BEFORE, older):  # as the province keeps it, and worked out on demand
        assert "0 trong" in plain(province.http.get("/confirmations", params={"month": period}).text)


def test_the_list_of_an_older_month_holds_signatures_against_figures(province: Portal) -> None:
    hospital = province.hospital()
    older = f"{(DAYS_BEFORE.first - timedelta(days=1)).replace(day=1):%Y-%m}"
    hospital.send(*confirm.days_of(older), cash=5, qr=5)
    path = f"/facilities/{hospital.id}/confirmations/{older}"
    fields = {one["name"]: one["value"] for one in Page(hospital.get(path)).every("input") if one.get("name")}
    shown = {name: fields[name] for name in ("form_token", "digest", "figures")}
    decisions = {
        "Có ý kiến": {"decision": "dispute", "answer-cashless": "wrong", "reason-cashless": "Thiếu"},
        "Đã xác nhận": {"decision": "confirm", "answer-cashless": "right", "answer-kiosk": "right"},
    }
    for word, answers in decisions.items():
        hospital.enter(f"ký {hospital.id}")
        assert hospital.session is not None
        shown["form_token"] = hospital.session.form_token
        assert hospital.http.post(path, data={**shown, **answers}).status_code == 303
        province.enter("người đọc")
        for _ in range(2):  # worked out, then remembered
            assert rows(province.http.get("/confirmations", params={"month": older}))[0][2] == word


def test_a_facility_sees_its_own_months_newest_first(portal: Portal, hospital: Hospital) -> None:
    hospital.confirm()
    page = hospital.get("/confirmations")
    found = rows(page)
    assert [one[0] for one in found][:2] == [NAMED, f"{BEFORE[5:]}/{BEFORE[:4]}"]
    assert found[0][1] == "Đã xác nhận"
    assert "còn chờ cơ sở xác nhận" in plain(page.text)
    assert hospital.path in Page(page).links()
    other = portal.hospital()
    assert other.get("/confirmations", facility=hospital.id).status_code == 404
    lines = other.get("/confirmations.csv", month=MONTH).content.decode("utf-8-sig")
    assert hospital.id not in lines and other.id in lines
    hospital.enter("người đọc")
    assert rows(hospital.get("/confirmations", facility=hospital.id)) == found
    assert hospital.get("/confirmations", facility="99999").status_code == 404


def test_a_facility_of_last_week_has_no_month_yet(portal: Portal) -> None:
    one = str(next(_numbers))
    portal.office.register(one, at=NOW, indicators="cashless")
    portal.enter("quản trị")
    text = plain(portal.http.get("/confirmations", params={"facility": one}).text)
    assert "Chưa có tháng nào kết thúc kể từ khi cơ sở được đăng ký." in text
    page = portal.http.get(f"/facilities/{one}/confirmations/{MONTH}")
    assert "Cơ sở được đăng ký sau tháng này nên không có hạn xác nhận." in plain(page.text)


# --- the pages themselves


def test_the_pages_are_there_in_english_and_every_sentence_of_a_mistake_has_its_english(hospital: Hospital) -> None:
    hospital.http.cookies.set(LANGUAGE_COOKIE, "en", hospital.http.base_url.host)
    assert f"The figures of {NAMED} have not been confirmed." in hospital.text()
    assert "50.0%" in hospital.text()
    assert "Confirm the figures of each month" in plain(hospital.get("/confirmations").text)
    with Path(confirmation.__file__).parents[1].joinpath("translations/en/confirmation.po").open("rb") as file:
        english = {str(one.id) for one in read_po(file)}
    said = {value for name, value in vars(confirmation).items() if name.isupper() and isinstance(value, str)}
    assert {one for one in said if " " in one} | {confirmation_list.NO_DAY} <= english


def test_every_page_works_without_script_and_names_its_fields(hospital: Hospital) -> None:
    hospital.person("đọc", "reader")
    for path in (hospital.path, "/confirmations"):
        answer = hospital.get(path)
        page = Page(answer)
        assert len(page.every("h1")) == 1
        assert "<script" not in answer.text and not re.search(r"\s(style|on\w+)=", answer.text)
        named = {one.get("for") for one in page.every("label")}
        text_fields = [one["id"] for one in page.every("textarea")] + [
            one["id"] for one in page.every("input") if one.get("type") not in ("hidden", "radio")
        ]
        assert set(text_fields) <= named
        assert len({one["id"] for _, one in page.tags if "id" in one}) == sum("id" in one for _, one in page.tags)
