"""The door of the portal over a real socket: who is let in, what a browser is answered, how a page reads."""

import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any

import httpx
import pytest
from babel.messages.pofile import read_po
from jinja2 import Environment

from collector import people
from collector.pages import rendering
from collector.people import SESSION_COOKIE, Session
from collector.store import people as stored
from collector.store.people import Person
from contract.days import now
from tests.browsing import BROWSER, Page
from tests.office import Office, bearer, serving

AN = Person("an", "confirmer", "12001", "Nguyễn Văn An")
OWN = "trời hôm nay có mây"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """On SQLite alone: test_people.py holds the databases against each other."""
    one = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    one.register("12001", "12002")
    one.people.add(AN, now())
    yield one
    one.store.close()


@pytest.fixture
def http(office: Office) -> Iterator[httpx.Client]:
    with serving(office.app()) as client:
        client.headers.update(BROWSER)
        yield client


def session_of(office: Office, must_change: bool = False) -> Session:
    """Somebody who is logged in."""
    first = office.people.first_password("an", now())
    session = office.people.log_in("an", first, now())
    if not must_change:
        office.people.choose_password(session, first, OWN, now())
    return session


def carry(http: httpx.Client, name: str, value: str) -> None:
    """As if the server had set this cookie."""
    http.cookies.set(name, value, http.base_url.host)


def enter(office: Office, http: httpx.Client, must_change: bool = False) -> Session:
    """The client carries the session of somebody who is logged in."""
    session = session_of(office, must_change)
    carry(http, SESSION_COOKIE, session.secret)
    return session


# --- in and out


def test_from_a_first_password_to_the_front_page_and_out_again(office: Office, http: httpx.Client) -> None:
    first = office.people.first_password("an", now())
    asked = http.get("/")
    assert (asked.status_code, asked.headers["Location"]) == (303, "/login")
    assert http.get("/login").status_code == 200
    answer = http.post("/login", data={"name": "an", "password": first, "next": "/"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/password")
    for path in ("/", "/nothing?x=1"):  # no other page until then
        assert http.get(path).headers.get("Location") == ("/password" if path == "/" else None)
    (token,) = {one["value"] for one in Page(http.get("/password")).every("input") if one["name"] == "form_token"}
    form = {"form_token": token, "old": first, "new": OWN, "again": OWN}
    assert http.post("/password", data=form).headers["Location"] == "/password?done=1"
    assert "Đã đổi mật khẩu" in http.get("/password?done=1").text
    assert http.get("/").headers["Location"] == "/facilities/12001"
    assert "Nguyễn Văn An" in http.get("/facilities/12001").text
    kept = http.cookies[SESSION_COOKIE]
    assert http.post("/logout", data={"form_token": token}).headers["Location"] == "/login"
    assert SESSION_COOKIE not in http.cookies
    assert http.get("/", headers={"Cookie": f"{SESSION_COOKIE}={kept}"}).headers["Location"] == "/login"


def test_who_must_change_the_password_may_log_out(office: Office, http: httpx.Client) -> None:
    session = enter(office, http, must_change=True)
    assert http.get("/password?done=1").text.count("<form") == 3
    assert http.post("/logout", data={"form_token": session.form_token}).headers["Location"] == "/login"
    assert office.people.session(session.secret, now()) is None


def test_a_wrong_password_is_said_on_the_page_and_what_was_typed_is_not_repeated(http: httpx.Client) -> None:
    answer = http.post("/login", data={"name": '"><b>an', "password": "bí mật của tôi"})
    assert answer.status_code == 401
    assert "Tên đăng nhập hoặc mật khẩu không đúng;" in answer.text
    assert "<title>Lỗi: Đăng nhập" in answer.text
    assert "bí mật" not in answer.text
    assert "<b>" not in answer.text
    (alert,) = (one for one in Page(answer).tags if one[1].get("role") == "alert")
    fields = [one for one in Page(answer).every("input") if one["name"] in ("name", "password")]
    assert [one["aria-describedby"] for one in fields] == [alert[1]["id"]] * 2


def test_an_empty_form_is_a_wrong_password(http: httpx.Client) -> None:
    assert http.post("/login").status_code == 401
    assert http.post("/login", data={"name": "", "password": ""}).status_code == 401
    assert http.post("/login", data={"name": "\x00", "password": "\x00"}).status_code == 401


def test_a_new_password_that_is_refused_is_said_on_the_page(office: Office, http: httpx.Client) -> None:
    session = enter(office, http)
    for old, new, again, words in (
        (OWN, "mười hai chữ cái", "mười hai chữ cai", "Hai lần nhập"),
        ("sai", "mười hai chữ cái", "mười hai chữ cái", "Mật khẩu hiện tại không đúng"),
        (OWN, "ngắn", "ngắn", "ít nhất 12 ký tự"),
    ):
        form = {"form_token": session.form_token, "old": old, "new": new, "again": again}
        answer = http.post("/password", data=form)
        assert (answer.status_code, words in answer.text, new in answer.text) == (400, True, False)


def test_a_second_log_in_ends_the_session_before(office: Office, http: httpx.Client) -> None:
    before = enter(office, http)
    assert http.get("/login?next=/password").headers["Location"] == "/password"
    assert http.post("/login", data={"name": "an", "password": OWN}).status_code == 303
    assert http.cookies[SESSION_COOKIE] != before.secret
    assert office.people.session(before.secret, now()) is None


def test_20_wrong_passwords_in_a_minute_are_enough_for_one_address(
    office: Office, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.people._matches", lambda *_: False)
    answers = [http.post("/login", data={"name": f"x{n}", "password": "x"}) for n in range(41)]
    limited = [one for one in answers if one.status_code == 429]
    assert limited  # a new minute may begin meanwhile, but only one
    assert {one.status_code for one in answers} == {401, 429}
    assert 0 < int(limited[0].headers["Retry-After"]) <= 60
    assert "hãy đợi một phút" in limited[0].text


@pytest.mark.parametrize(
    ("settings", "secure"), [({}, False), ({"public_url": "https://nhipso.example.gov.vn/"}, True)]
)
def test_the_cookie_of_a_session_is_for_the_server_only(office: Office, settings: Any, secure: bool) -> None:
    first = office.people.first_password("an", now())
    with serving(office.app(**settings)) as http:
        answer = http.post("/login", data={"name": "an", "password": first})
        forwarded = {"X-Forwarded-Proto": "https"}  # by a proxy on this machine
        proxied = http.post("/login", data={"name": "an", "password": first}, headers=forwarded)
    found = [part.strip().lower() for part in answer.headers["Set-Cookie"].split(";")[1:]]
    assert sorted(found) == sorted(["httponly", "path=/", "samesite=lax", *(["secure"] if secure else [])])
    assert "secure" in proxied.headers["Set-Cookie"].lower()


# --- what another site may not do


def test_a_form_that_was_not_shown_to_this_session_changes_nothing(office: Office, http: httpx.Client) -> None:
    session, other = enter(office, http), session_of(office)
    carry(http, SESSION_COOKIE, other.secret)
    for path in ("/logout", "/password"):
        for token in ({}, {"form_token": ""}, {"form_token": "x"}, {"form_token": session.form_token}):
            form = {**token, "old": OWN, "new": "một câu khác hẳn", "again": "một câu khác hẳn"}
            answer = http.post(path, data=form)
            assert (answer.status_code, "đã cũ" in answer.text) == (403, True)
    assert office.people.session(other.secret, now()) is not None
    assert office.people.log_in("an", OWN, now())


@pytest.mark.parametrize("path", ["/login", "/logout", "/password", "/language", "/api/v1/manual", "/api/v1/tallies"])
def test_what_another_site_makes_a_browser_send_is_refused(office: Office, http: httpx.Client, path: str) -> None:
    session = enter(office, http)
    first = office.people.first_password("an", now())
    form = {"form_token": session.form_token, "name": "an", "password": first, "language": "en"}
    for where in ("cross-site", "same-site"):
        answer = http.post(path, data=form, headers={"Sec-Fetch-Site": where})
        assert (answer.status_code, "trang web khác" in answer.text) == (403, True)
        assert "Set-Cookie" not in answer.headers
    assert http.post("/login", data=form, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 303
    assert http.get("/login", headers={"Sec-Fetch-Site": "cross-site"}).status_code in (200, 303)  # a link may come


ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "\\\\evil.example",
    "/\t/evil.example/",
    "/\n/evil.example/",
    "/ /evil.example",
    " //evil.example",
    "\t//evil.example",
    "javascript:alert(1)",
    "https:evil.example",
    "evil.example",
    "",
    "/x\r\nSet-Cookie: a=b",
    "/\x00",
]


def test_nobody_is_led_to_another_site(office: Office, http: httpx.Client) -> None:
    session = session_of(office)
    for where in ELSEWHERE:
        assert http.post("/language", data={"language": "en", "next": where}).headers["Location"] == "/"
        page = Page(http.get("/login", params={"next": where}))
        assert {one["value"] for one in page.every("input") if one["name"] == "next"} == {"/"} | (
            {f"/login?{httpx.QueryParams(next=where)}"}
        )
        cookie = {"Cookie": f"{SESSION_COOKIE}={session.secret}"}
        assert http.get("/login", params={"next": where}, headers=cookie).headers["Location"] == "/"
    answer = http.post("/login", data={"name": "an", "password": OWN, "next": "//evil.example"})
    assert answer.headers["Location"] == "/"


def test_who_logs_in_comes_back_to_where_they_were_led_from(office: Office, http: httpx.Client) -> None:
    session_of(office)
    led = http.get("/?period=2026-10&x=đ").headers["Location"]
    (where,) = {one["value"] for one in Page(http.get(led)).every("input") if one.get("type") == "hidden"} - {led}
    answer = http.post("/login", data={"name": "an", "password": OWN, "next": where})
    assert http.get(answer.headers["Location"]).status_code == 303
    assert answer.headers["Location"] == "/?period=2026-10&x=%C4%91"


# --- pages


def pages(office: Office, http: httpx.Client) -> Iterator[httpx.Response]:
    """Every page there is, each to whom it is shown, in both languages."""
    for language in ("vi", "en"):
        http.cookies.clear()
        carry(http, rendering.LANGUAGE_COOKIE, language)
        yield http.get("/login")
        yield http.post("/login", data={"name": "x"})
        yield http.get("/nothing/here")
        yield http.post("/")
        enter(office, http, must_change=True)
        yield http.get("/password")
        enter(office, http)
        yield http.get("/password")
        yield http.get("/password?done=1")
        yield http.get("/facilities/12001")
        yield http.post("/logout")
        yield http.post("/language", data={"language": "xx"})


def test_every_page_has_its_headers_one_heading_a_language_and_a_name_for_each_field(
    office: Office, http: httpx.Client
) -> None:
    for answer in pages(office, http):
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        found = Page(answer)
        assert len(found.every("h1")) == 1
        assert found.every("html")[0]["lang"] == http.cookies[rendering.LANGUAGE_COOKIE]
        assert found.every("a")[0] == {"class": "skip", "href": "#main"}
        assert found.every("main")[0]["id"] == "main"
        named = {one["for"] for one in found.every("label")}
        shown = [one for one in found.every("input") if one.get("type") != "hidden" and "hidden" not in one]
        assert {one["id"] for one in shown} == named
        assert not [one for one in found.every("script") if "src" not in one]
        assert not re.search(r"""\s(style|on\w+)=["']""", answer.text)
        assert not re.search(r"https?://", answer.text)  # nothing from another host


def test_no_link_is_dead(office: Office, http: httpx.Client) -> None:
    links = {one for answer in pages(office, http) for one in Page(answer).links()}
    enter(office, http)
    assert {"/", "/password", "/confirmations", "/reports", "/docs/runbook"} <= links
    found = {link: http.get(link, follow_redirects=True).status_code for link in links}
    assert found == dict.fromkeys(links, 200)
    sheets = {one["href"] for answer in pages(office, http) for one in Page(answer).every("link")}
    for sheet in sheets:
        assert http.get(sheet).status_code == 200
    for font in re.findall(r'url\("([^"]+)"\)', http.get("/static/portal.css").text):
        assert http.get(font).status_code == 200


def test_the_language_is_remembered_and_the_page_is_the_same(http: httpx.Client) -> None:
    assert "Log in" not in http.get("/login").text
    answer = http.post("/language", data={"language": "en", "next": "/login?next=/password"})
    assert answer.headers["Location"] == "/login?next=/password"
    assert "<h1>Log in</h1>" in http.get("/login").text
    assert "The user name or the password is wrong" in http.post("/login").text
    assert "There is nothing at this address; please check it." in http.get("/nothing").text
    http.post("/language", data={"language": "vi"})
    assert "<h1>Đăng nhập</h1>" in http.get("/login").text


def test_a_browser_gets_a_page_and_a_program_json(office: Office, http: httpx.Client) -> None:
    enter(office, http)
    asked = [
        ("GET", "/nothing/<b>here", 404),
        ("GET", "/api/v1/tallies/x", 404),
        ("GET", "/static/nothing.css", 404),
        ("DELETE", "/login", 405),
        ("GET", "/api/v1/standings?window=t%3Cb%3Eomorrow", 422),
        ("GET", "/api/v1/standings?facility=12002", 404),
        ("POST", "/api/v1/manual", 401),
        ("POST", "/language", 422),
        ("POST", "/logout", 403),
    ]
    for method, path, status in asked:
        page = http.request(method, path)
        assert (path, page.status_code, page.headers["Content-Type"]) == (path, status, "text/html; charset=utf-8")
        assert "<h1>" in page.text
        assert "Nguyễn Văn An" in page.text or path != "/logout"  # still the same reader
        program = http.request(method, path, headers={"Accept": "*/*"})
        assert (path, program.status_code, set(program.json())) == (path, status, {"error", "detail"})
        assert not [word for word in ("<b>", "omorrow", "12002") if word in page.text + program.text]
    assert http.delete("/login").headers["Allow"] == "GET"


def test_a_mistake_of_ours_is_said_without_its_words(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("bí mật")

    with serving(office.app()) as http:
        monkeypatch.setattr(people.People, "session", broken)
        # the server ends the connection afterwards
        asked = {"Cookie": f"{SESSION_COOKIE}=x", "Connection": "close"}
        page, program = http.get("/", headers={**BROWSER, **asked}), http.get("/", headers=asked)
    assert (page.status_code, program.status_code) == (500, 500)
    assert "<h1>Máy chủ gặp lỗi</h1>" in page.text
    assert set(program.json()) == {"error", "detail"}
    assert "bí mật" not in page.text + program.text


def test_a_form_without_end_is_not_kept(http: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        yield b"name="
        for _ in range(40):
            yield b"x" * 2**19 + b"&name="

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert http.post("/login", content=endless(), headers=headers).status_code == 413
    assert http.get("/healthz").status_code == 200


# --- the API


def test_a_session_reads_the_api_with_the_rights_of_its_person(office: Office, http: httpx.Client) -> None:
    enter(office, http)
    assert [one["id"] for one in http.get("/api/v1/facilities").json()["facilities"]] == ["12001"]
    assert http.get("/api/v1/standings?facility=12002").status_code == 404
    assert http.get("/api/v1/alerts").json() == {"alerts": []}


def test_a_session_that_must_change_its_password_or_is_over_reads_nothing(office: Office, http: httpx.Client) -> None:
    session = enter(office, http, must_change=True)
    assert http.get("/api/v1/facilities").status_code == 401
    session = enter(office, http)
    assert http.get("/api/v1/facilities").status_code == 200
    office.people.log_out(session)
    assert http.get("/api/v1/facilities").status_code == 401


def test_a_session_alone_changes_nothing_through_the_api(office: Office, http: httpx.Client) -> None:
    office.people.add(Person("sở", "admin", None), now())
    session = enter(office, http)
    for path in ("/api/v1/confirmations", "/api/v1/manual", "/api/v1/alerts/1/answer"):
        for headers in ({}, {"X-Form-Token": session.form_token}):
            assert http.post(path, json={}, headers=headers).status_code == 401
    token = office.people.add(AN, now())
    assert http.post("/api/v1/confirmations", json={}, headers=bearer(token)).status_code == 422


def test_a_token_that_is_shown_counts_even_beside_a_session(office: Office, http: httpx.Client) -> None:
    enter(office, http)
    assert http.get("/api/v1/facilities", headers=bearer("x")).status_code == 401
    department = office.people.add(Person("sở", "reader", None), now())
    assert len(http.get("/api/v1/facilities", headers=bearer(department)).json()["facilities"]) == 2


# --- words and figures


def test_every_text_of_the_templates_and_of_problems_has_its_english() -> None:
    environment = Environment(extensions=["jinja2.ext.i18n"])
    folder = resources.files("collector")
    texts = {*rendering.PROBLEMS.values(), rendering.NOT_DONE, people.WRONG, people.WRONG_OLD, people.WEAK}
    for file in folder.joinpath("templates").iterdir():
        for _, _, text in environment.extract_translations(file.read_text("utf-8")):  # type: ignore[attr-defined]
            texts |= {text} if isinstance(text, str) else set(text or ())
    english: dict[str, str] = {}
    for file in folder.joinpath("translations", "en").iterdir():
        with file.open("rb") as file_of_words:
            english |= {str(one.id): str(one.string) for one in read_po(file_of_words) if one.id}
    assert {text for text in texts if text and not english.get(text)} == set()
    for vietnamese, words in english.items():
        assert sorted(re.findall(r"%\(\w+\)s", vietnamese)) == sorted(re.findall(r"%\(\w+\)s", words))


def test_figures_read_as_vietnamese_and_english_readers_write_them() -> None:
    nbsp = "\N{NO-BREAK SPACE}"
    assert rendering.percent(Fraction(714, 1000)) == f"71,4{nbsp}%"
    assert rendering.percent(Fraction(714, 1000), "en") == "71.4%"
    assert rendering.percent(Fraction(99999, 100000)) == f"99,9{nbsp}%"
    assert rendering.percent(Fraction(1)) == f"100,0{nbsp}%"
    assert rendering.percent(None) == ""
    assert (rendering.number(1024), rendering.number(1024, "en")) == ("1.024", "1,024")
    assert (rendering.number(Decimal("20.50")), rendering.number(Decimal("1020.5"), "en")) == ("20,5", "1,020.5")
    assert rendering.clock(datetime(2026, 11, 21, 17, 5, tzinfo=UTC)) == "00:05 22/11/2026"


def test_a_sentence_of_an_error_begins_large_keeps_its_names_and_ends_with_a_stop() -> None:
    assert rendering.sentence("chỉ dành cho người của Sở") == "Chỉ dành cho người của Sở."
    assert rendering.sentence("HIS không trả lời.") == "HIS không trả lời."


def test_sessions_that_have_run_out_are_forgotten_by_a_loop(office: Office) -> None:
    with office.store.write() as connection:
        stored.open_session(connection, "x" * 64, stored.named(connection, "an").person.id, now() - 2 * people.IDLE)
    with serving(office.app()):
        for _ in range(500):
            with office.store.read() as connection:
                if stored.session_of(connection, "x" * 64) is None:
                    break
            threading.Event().wait(0.02)
        else:
            raise AssertionError("still there")
