"""The pages that alerts link to: a facility's, and the runbook."""

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path

import httpx
import pytest

from collector.pages.rendering import LANGUAGE_COOKIE
from collector.people import SESSION_COOKIE
from collector.store import alerts
from collector.store.people import Person
from contract.days import local_day, now
from tests import browsing
from tests.office import Office, a_source, a_tally, serving

PLAN = """
issuer = "Sở Y tế"
title = "Kế hoạch"
short = "Kế hoạch thử"
first_day = 2020-01-01
last_day = 2099-12-31
[[targets]]
indicator = "cashless"
ratio = 0.9
section = "II.7"
words = "90 %"
"""


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """A hospital with a month of payments, one that never spoke."""
    one = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    his, today = one.speaker("12001"), local_day(now())
    days = [today - timedelta(days=n) for n in range(1, 31)]
    source = a_source(read_at=now().isoformat())
    one.push(his, [a_tally(day, counts={"qr": 7, "cash": 3, "unknown": 1}) for day in days], [source], at=now())
    one.register("12002", name="Bệnh viện <B>")
    yield one
    one.store.close()


@pytest.fixture
def http(office: Office, tmp_path: Path) -> Iterator[httpx.Client]:
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN, "utf-8")
    with serving(office.app(plan_files=(plan,))) as client:
        yield client


def enter(office: Office, http: httpx.Client, facility: str | None) -> None:
    """The client carries the session of a reader of this facility; None: of the Sở."""
    office.people.add(Person("an", "reader", facility), now())
    first = office.people.first_password("an", now())
    session = office.people.log_in("an", first, now())
    office.people.choose_password(session, first, "một câu dài dễ nhớ", now())
    http.cookies.set(SESSION_COOKIE, session.secret, http.base_url.host)


def test_a_facilitys_page_says_each_verdict_in_words_with_the_counts_behind_it(
    office: Office, http: httpx.Client
) -> None:
    enter(office, http, None)
    answer = http.get("/facilities/12001")
    assert answer.status_code == 200
    text = " ".join(re.sub(r"<[^>]+>", " ", unescape(answer.text.replace("</a>", ""))).split())
    assert "0 trong 1 chỉ số có chỉ tiêu đã đạt. Chưa đạt: Lần thu không dùng tiền mặt." in text
    assert "70,0 % 210 / 300 · chưa phân loại 30 Chưa đạt thiếu 60" in text.replace("\N{NO-BREAK SPACE}", " ")
    assert "≥ 90 % Kế hoạch thử, II.7" in text.replace("\N{NO-BREAK SPACE}", " ")
    assert 'id="cashless"' in answer.text  # what alerts link to
    assert "his (his.sql): đọc được" in text
    assert "Content-Security-Policy" in answer.headers


def test_a_period_is_named_where_figures_are_of_a_period(office: Office, http: httpx.Client) -> None:
    this_year = local_day(now()).year
    speaker = office.speaker("12003")
    source = a_source("survey", facilities=["12003"], measures=["satisfaction"], read_at=now().isoformat())
    sent = [
        a_tally(f"{year}-01-01", counts=counts, facility="12003", source="survey", measure="satisfaction")
        for year, counts in (
            (this_year - 1, {"satisfied": 30, "neutral": 40}),
            (this_year, {"satisfied": 60, "neutral": 40}),
        )
    ]
    office.push(speaker, sent, [source], at=now())
    enter(office, http, "12003")
    page, detail = (
        " ".join(re.sub(r"<[^>]+>", "", unescape(http.get(path).text)).replace("\N{NO-BREAK SPACE}", " ").split())
        for path in ("/facilities/12003", "/facilities/12003/indicators/satisfaction")
    )
    assert f"năm {this_year}: 60 / 100" in page
    assert f"42,9 %năm {this_year - 1}" in page
    assert "chỉ số tính theo tháng, quý, năm: kỳ gần nhất có số liệu" in page
    assert f"60 / 100 trong năm {this_year}." in detail
    assert f"Kỳ trước, năm {this_year - 1}: 42,9 %." in detail
    assert "30 ngày trước đó" not in detail


def test_a_facility_that_never_spoke_has_a_page_that_says_what_to_do(office: Office, http: httpx.Client) -> None:
    enter(office, http, "12002")
    answer = http.get("/facilities/12002")
    assert "Chưa có nguồn nào gửi số liệu" in answer.text
    assert "Chưa có số liệu" in answer.text
    assert "<B>" not in answer.text and "&lt;B&gt;" in answer.text


def test_the_page_of_another_facility_is_not_there(office: Office, http: httpx.Client) -> None:
    enter(office, http, "12002")
    other, nowhere = (http.get(f"/facilities/{one}", headers={"Accept": "text/html"}) for one in ("12001", "99999"))
    assert (other.status_code, nowhere.status_code) == (404, 404)
    assert re.sub("99999", "12001", nowhere.text) == other.text


def test_nobody_sees_a_facility_without_logging_in(http: httpx.Client) -> None:
    answer = http.get("/facilities/12001?x=1")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login?next=/facilities/12001%3Fx%3D1")


def test_the_page_is_there_in_english_too(office: Office, http: httpx.Client) -> None:
    enter(office, http, None)
    http.cookies.set(LANGUAGE_COOKIE, "en", http.base_url.host)
    text = http.get("/facilities/12001").text
    assert '<html lang="en">' in text
    assert "0 of the 1 indicators with a target are on target." in text
    assert "70.0" in text and "Below target" in text


def test_every_alert_has_its_heading_on_the_runbooks_page(http: httpx.Client) -> None:
    answer = http.get("/docs/runbook")
    assert answer.status_code == 200
    headings = re.findall(r"^## (\w+)$", (Path(__file__).parents[1] / "docs" / "runbook.md").read_text("utf-8"), re.M)
    assert len(headings) > 10
    assert [one for one in headings if f'<h2 id="{one.lower()}">' not in answer.text] == []


def alert(http: httpx.Client) -> int:
    """An alert of the hospital that Alertmanager has told; returns its id."""
    one = {
        "status": "firing",
        "fingerprint": "a1",
        "labels": {"alertname": "IndicatorBelowTarget", "facility": "12001", "indicator": "cashless"},
        "annotations": {"summary": "Chưa đạt chỉ tiêu", "description": "Tỷ lệ thấp."},
        "startsAt": now().isoformat(),
    }
    http.post("/api/v1/alerts", json={"version": "4", "alerts": [one]}).raise_for_status()
    return 1


def test_the_hospital_answers_its_alert_on_its_page(office: Office, http: httpx.Client) -> None:
    number = alert(http)
    office.people.add(Person("gd", "confirmer", "12001", "Lò Thị Hoa"), now())
    session = browsing.enter(office, http, "gd")
    form = {"form_token": session.form_token, "text": "Máy POS hỏng,\r\nngày mai thay."}
    sent = http.post(f"/facilities/12001/alerts/{number}/answer", data=form)
    assert (sent.status_code, sent.headers["location"]) == (303, f"/facilities/12001?answered={number}#alerts")
    page = http.get(sent.headers["location"]).text
    assert "Máy POS hỏng,\nngày mai thay." in unescape(page)
    assert "Đã lưu câu trả lời." in page


def test_an_answer_without_words_comes_back_with_what_is_wrong(office: Office, http: httpx.Client) -> None:
    number = alert(http)
    office.people.add(Person("gd", "confirmer", "12001"), now())
    session = browsing.enter(office, http, "gd")
    answer = http.post(
        f"/facilities/12001/alerts/{number}/answer", data={"form_token": session.form_token, "text": " "}
    )
    assert answer.status_code == 400
    assert "từ 1 đến 2.000 ký tự" in answer.text


def test_readers_and_people_of_other_facilities_answer_nothing(office: Office, http: httpx.Client) -> None:
    number = alert(http)
    for name, role, facility, status in (("doc", "reader", "12001", 403), ("khac", "confirmer", "12002", 404)):
        office.people.add(Person(name, role, facility), now())
        session = browsing.enter(office, http, name)
        form = {"form_token": session.form_token, "text": "…"}
        assert http.post(f"/facilities/12001/alerts/{number}/answer", data=form).status_code == status
    with office.store.read() as connection:
        assert [one.answer for one in alerts.alerts(connection, "12001", "all", 9)] == [None]


def test_what_nobody_mapped_is_shown_with_the_lines_to_add(office: Office, http: httpx.Client) -> None:
    his = office.speaker("12003")
    report = a_source(
        facilities=["12003"],
        unmapped={"12003": {"payments": {'VI "MỚI"': 12}}},
        unmapped_cases={"12003": {"payments": 12}},
        read_at=now().isoformat(),
    )
    office.push(his, [a_tally(facility="12003", day=local_day(now()))], [report], at=now(), sent_at=now().isoformat())
    enter(office, http, None)
    text = unescape(http.get("/facilities/12003").text)
    assert "[sources.his.queries.payments.categories]" in text
    assert '"VI \\"MỚI\\"" = "…"' in text
    assert "cash" in text


def test_a_figure_that_was_corrected_is_told_with_before_and_after(office: Office, http: httpx.Client) -> None:
    his, day = office.speaker("12004"), local_day(now()) - timedelta(days=3)
    sent_at = now().isoformat()
    for revision, counts in ((1, {"qr": 7, "cash": 3}), (2, {"qr": 5, "cash": 5})):
        tally = a_tally(day, revision, counts, facility="12004")
        office.push(his, [tally], [a_source(facilities=["12004"])], at=now(), sent_at=sent_at)
    enter(office, http, None)
    text = " ".join(re.sub(r"<[^>]+>", " ", unescape(http.get("/facilities/12004").text)).split())
    assert "Tiền mặt 3 → 5; Mã QR 7 → 5" in text
