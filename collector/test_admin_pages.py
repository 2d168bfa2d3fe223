"""Administration over a real socket: who may, every form right and wrong, what is shown once, mergers."""

import csv
import io
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from html import unescape
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from collector.pages.admin import audit, calendar, plans
from collector.pages.rendering import LANGUAGE_COOKIE
from collector.people import SESSION_COOKIE
from collector.store import people as stored
from collector.store import registry
from collector.store.people import Change, Person
from collector.yardstick import applies
from contract.calendar import Calendar
from contract.days import local_day, now
from tests.browsing import BROWSER, Page, enter
from tests.office import Office, a_plan, a_source, a_tally, serving

TODAY = local_day(now())
YESTERDAY = TODAY - timedelta(days=1)
DAYS = [TODAY - timedelta(days=n) for n in range(1, 31)]
CUT = TODAY - timedelta(days=10)
PEOPLE = [
    Person("sep", "admin", None, "Sếp"),
    Person("doc", "reader", None),
    Person("an", "confirmer", "12001", "Nguyễn Văn An"),
    Person("xem", "reader", "12001"),
]
PLAN = """
issuer = "Sở Y tế"
title = "Kế hoạch <thử>"
short = "Kế hoạch 2026"
first_day = 2020-01-01
last_day = 2099-12-31
[[targets]]
indicator = "cashless"
ratio = 0.9
section = "II.7"
words = "90 % số lần thu"
[[targets.overrides]]
facility = "12002"
ratio = 0.5
reason = "mới mở"
"""
CALENDAR = f"""
[[off]]
first_day = {TODAY.year}-07-06
last_day = {TODAY.year}-07-07
name = "Ngày hội của tỉnh"
"""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Two hospitals with a month of payments each; an agent that was never heard of; the four kinds of people."""
    directory = tmp_path_factory.mktemp("admin")
    one = Office(f"sqlite:///{directory / 'collector.sqlite'}", directory)
    one.register("12001", "12002", "12003", at=now() - timedelta(days=100))
    for facility, counts in (("12001", {"cash": 10}), ("12002", {"qr": 1})):
        fill(one, facility, counts)
    for person in PEOPLE:
        one.people.enter(person, now())
    yield one
    one.store.close()


def fill(office: Office, facility: str, counts: dict[str, int]) -> str:
    """A month of payments; the agent that told them."""
    agent = office.speaker(facility)
    sent = [a_tally(day, facility=facility, counts=counts) for day in DAYS]
    office.push(agent, sent, [a_source(facilities=[facility], read_at=now().isoformat())], at=now())
    return agent.agent


@pytest.fixture(scope="module")
def server(office: Office) -> Iterator[httpx.Client]:
    (office.directory / "ke-hoach.toml").write_text(PLAN, "utf-8")
    (office.directory / "calendar.toml").write_text(CALENDAR, "utf-8")
    files = {"plan_files": (office.directory / "ke-hoach.toml",), "calendar_file": office.directory / "calendar.toml"}
    with serving(office.app(public_url="https://nhipso.example.gov.vn/", **files)) as client:
        yield client


@pytest.fixture(scope="module")
def client_of(office: Office, server: httpx.Client) -> Iterator[Callable[[str], httpx.Client]]:
    """Each person with a browser of their own, logged in once."""
    clients: dict[str, httpx.Client] = {}

    def of(name: str) -> httpx.Client:
        if name not in clients:
            client = clients[name] = httpx.Client(base_url=server.base_url, trust_env=False, timeout=60, verify=False)
            enter(office, client, name.partition(" ")[0])
        return clients[name]

    yield of
    for client in clients.values():
        client.close()


@pytest.fixture
def sep(client_of: Callable[[str], httpx.Client]) -> httpx.Client:
    """An administrator."""
    return client_of("sep")


def text_of(answer: httpx.Response) -> str:
    main = answer.text.partition("<main")[2].partition("</main>")[0]
    main = re.sub(r"<datalist.*?</datalist>", "", main, flags=re.S)
    plain = unescape(re.sub(r"<[^>]+>", " ", main)).replace("\N{NO-BREAK SPACE}", " ")
    return re.sub(r" ([.,;:])", r"\1", " ".join(plain.split()))


def send(office: Office, http: httpx.Client, path: str, files: Any = None, **fields: str) -> httpx.Response:
    """Send a form of this path as whoever has entered."""
    session = office.people.session(http.cookies[SESSION_COOKIE], now())
    assert session is not None
    return http.post(path, data={"form_token": session.form_token, **fields}, files=files)


def newest(office: Office) -> Change:
    with office.store.read() as connection:
        return stored.changes(connection, most=1)[0]


def person_id(office: Office, name: str) -> int:
    with office.store.read() as connection:
        return stored.named(connection, name).person.id


def count(office: Office) -> int:
    with office.store.read() as connection:
        return len(stored.changes(connection, most=10_000))


# --- rights

GETS = [
    "/admin", "/admin/facilities", "/admin/facilities/new", "/admin/facilities/import", "/admin/facilities/12001",
    "/admin/facilities/12001/change", "/admin/facilities/12001/days", "/admin/facilities/12001/code",
    "/admin/facilities/12001/pauses", "/admin/facilities/12001/merge", "/admin/people", "/admin/people/new",
    "/admin/people/1", "/admin/people/1/change", "/admin/people/1/disable", "/admin/people/1/password",
    "/admin/people/1/token", "/admin/agents", "/admin/agents/code", "/admin/sources", "/admin/sources/1",
    "/admin/sources/1/retire", "/admin/sources/1/rename", "/admin/sources/1/move", "/admin/plans", "/admin/calendar",
    "/admin/audit", "/admin/audit.csv",
]  # fmt: skip


PAGES = [one for one in GETS if not one.endswith(".csv")]
MARKED = "ăâđêôơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ"


def routes(found: list[Any]) -> Iterator[tuple[str, str]]:
    """(method, path) of all that is served under /admin, with something in place of its parameters."""
    for one in found:
        inner = getattr(one, "original_router", None)
        if inner is not None:
            yield from routes(inner.routes)
        elif isinstance(one, APIRoute) and one.path.startswith("/admin"):
            path = re.sub(r"\{(person_id|source|pause)\}", "1", one.path).replace("{facility}", "12001")
            yield from ((method, re.sub(r"\{\w+\}", "x", path)) for method in one.methods or ())


@pytest.mark.parametrize(("who", "status"), [("doc", 403), ("an", 404), ("xem", 404)])
def test_only_administrators_come_in_by_any_address_and_method(
    office: Office, client_of: Callable[[str], httpx.Client], who: str, status: int
) -> None:
    http = client_of(who)
    found = set(routes(office.app().routes))
    assert len(found) >= 45
    before = count(office)
    for method, path in found:
        answer = http.get(path) if method == "GET" else send(office, http, path, files={"file": ("x.csv", b"")})
        assert (path, answer.status_code) == (path, status)
    assert count(office) == before


def test_nobody_comes_in_without_logging_in(server: httpx.Client) -> None:
    for path in GETS:
        answer = server.get(path, headers=BROWSER)
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/login?next={path}"), path
        assert server.post(path, headers=BROWSER).status_code in (303, 405)


def test_a_form_of_another_session_changes_nothing(office: Office, sep: httpx.Client) -> None:
    before = count(office)
    for method, path in set(routes(office.app().routes)):
        if method == "POST":
            answer = sep.post(path, data={"form_token": "x"}, files={"file": ("x.csv", b"")})
            assert (path, answer.status_code) == (path, 403)
    assert count(office) == before


# --- every page


def test_a_page_has_one_heading_named_fields_and_nothing_from_elsewhere(sep: httpx.Client) -> None:
    for path in PAGES:
        answer = sep.get(path)
        assert answer.status_code == 200, path
        found = Page(answer)
        assert len(found.every("h1")) == 1, path
        labels = {one.get("for") for one in found.every("label")}
        wrapped = set(re.findall(r'<label>[^<]*<(?:input|select)[^>]* name="(\w+)"', answer.text))
        fields = [one for tag in ("input", "select") for one in found.every(tag) if one.get("type") != "hidden"]
        assert [one for one in fields if one.get("id") not in labels and one["name"] not in wrapped] == [], path
        assert found.every("script") == [] and "style=" not in answer.text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_in_english_only_what_people_have_written_is_vietnamese(client_of: Callable[[str], httpx.Client]) -> None:
    sep = client_of("sep at another desk")
    sep.cookies.set(LANGUAGE_COOKIE, "en", sep.base_url.host)
    for path in PAGES:
        answer = sep.get(path).text.partition("<main")[2].partition("</main>")[0]
        answer = re.sub(r"<datalist.*?</datalist>", "", answer, flags=re.S)
        own = re.sub(r'<(\w+)[^>]* lang="vi"[^>]*>.*?</\1>', "", answer, flags=re.S)
        own = re.sub(r'value="[^"]*"|Cơ sở \d+|<code>.*?</code>', "", own, flags=re.S)
        assert re.findall(f"[^<>]*[{MARKED}][^<>]*", own.lower()) == [], path


def test_the_signpost_says_what_needs_doing(sep: httpx.Client) -> None:
    answer = sep.get("/admin")
    text = text_of(answer)
    assert "1 cơ sở chưa gửi số liệu lần nào" in text
    assert "4 người dùng chưa có mật khẩu" in text
    assert {"/admin/facilities?state=silent", "/admin/people", "/admin/audit"} <= Page(answer).links()


# --- facilities


def test_the_list_is_searched_without_accents_filtered_and_paged(office: Office, sep: httpx.Client) -> None:
    office.register(*(f"9{n:04}" for n in range(70)), area="Đồng Mỏ", level="commune_station")
    assert len(Page(sep.get("/admin/facilities")).every("tr")) == 51
    second = sep.get("/admin/facilities?q=dong mo&start=50")
    assert len(Page(second).every("tr")) == 21
    assert "51 đến 70 trong 70" in text_of(second)
    assert "/admin/facilities?q=dong%20mo&state=&start=0" in Page(second).links()
    assert "0 trong" not in text_of(sep.get("/admin/facilities?state=silent&q=12003"))
    assert "Không có cơ sở nào như vậy" in text_of(sep.get("/admin/facilities?state=silent&q=12001"))
    assert sep.get("/admin/facilities?state=nonsense").status_code == 422
    assert sep.get("/admin/facilities?start=-5").status_code == 200


def test_a_facility_is_added_and_changed_one_thing_at_a_time(office: Office, sep: httpx.Client) -> None:
    fields = {"id": "12010", "name": "Bệnh viện  Mắt", "level": "province", "bhxh_code": "12910"}
    answer = send(office, sep, "/admin/facilities/new", **fields)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/facilities/12010?done=1")
    line = newest(office)
    assert (line.person, line.action, line.facility) == ("sep", "facility_added", "12010")
    send(office, sep, "/admin/facilities/12010/change", name="Bệnh viện Mắt", level="clinic", indicators="emr")
    line = newest(office)
    assert line.before == '{"indicators":null,"level":"province"}'
    assert line.after == '{"indicators":["emr"],"level":"clinic"}'
    send(office, sep, "/admin/facilities/12010/days", active_from="01/01/2026", active_to=str(YESTERDAY))
    send(office, sep, "/admin/facilities/12010/code", bhxh_code="12911", bhxh_from="2026-03-01")
    text = text_of(sep.get("/admin/facilities/12010?done=1"))
    assert "Đã ghi." in text
    assert f"Đã ngừng hoạt động sau ngày {YESTERDAY:%d/%m/%Y}" in text
    assert "12911: từ 01/03/2026" in text
    send(office, sep, "/admin/facilities/12010/days", active_from="", active_to="")
    with office.store.read() as connection:
        (one,) = registry.facilities(connection, ["12010"])
    assert (one.name, one.level, one.indicators, one.active_from, one.active_to) == (
        "Bệnh viện Mắt", "clinic", ("emr",), None, None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "fields", "words"),
    [
        ("new", {"id": "12001", "name": "X", "level": "clinic"}, "mã cơ sở “12001” đã có"),
        ("new", {"id": "mã", "name": "X", "level": "clinic"}, "id: không đúng dạng"),
        ("new", {"id": "1", "name": " ", "level": "?"}, "name: không được để trống"),
        ("12001/change", {"name": "X", "level": "clinic", "indicators": "nothing"}, "không có chỉ số “nothing”"),
        (
            "12001/days",
            {"active_from": "2026-02-01", "active_to": "2026-01-01"},
            "active_from phải không sau active_to",
        ),
        ("12001/days", {"active_to": "32/01/2026"}, "active_to: phải là một ngày"),
        ("12001/code", {"bhxh_code": ""}, "mã BHXH: chưa nhập"),
        ("12001/code", {"bhxh_code": "1"}, "bhxh_code: không đúng dạng"),
    ],
)
def test_a_wrong_form_is_shown_again_with_what_was_typed_and_changes_nothing(
    office: Office, sep: httpx.Client, path: str, fields: dict[str, str], words: str
) -> None:
    before = count(office)
    answer = send(office, sep, f"/admin/facilities/{path}", **fields)
    assert answer.status_code == 400
    assert words.lower() in text_of(answer).lower()
    assert "<title>Lỗi:" in answer.text
    typed = {one["name"]: one.get("value", "") for one in Page(answer).every("input")}
    assert {name: value for name, value in fields.items() if name in typed} == {
        name: typed[name] for name in fields if name in typed
    }
    assert count(office) == before


def test_what_is_not_there_is_not_there(sep: httpx.Client) -> None:
    for path in (
        "/admin/facilities/x", "/admin/facilities/x/change", "/admin/facilities/12001/x", "/admin/facilities/x/merge",
        "/admin/facilities/12001/unmerge", "/admin/facilities/12001/pauses/99/remove", "/admin/people/999",
        "/admin/people/99999999999", "/admin/agents/x", "/admin/agents/x/revoke", "/admin/sources/999",
        "/admin/sources/999/retire",
    ):  # fmt: skip
        assert sep.get(path).status_code in (404, 422), path


def test_a_file_is_imported_whole_or_every_bad_row_is_named(office: Office, sep: httpx.Client) -> None:
    before = count(office)
    bad = "id,name,level\n12020,Một,clinic\n12021,,clinic\n12 022,Ba,palace\n"
    answer = send(office, sep, "/admin/facilities/import", files={"file": ("ds.csv", bad.encode())})
    assert answer.status_code == 400
    text = text_of(answer)
    assert "Ds.csv: dòng 3: name: không được để trống" in text
    assert "Ds.csv: dòng 4: id: không đúng dạng" in text
    assert "Ds.csv: dòng 4: level:" in text
    assert count(office) == before
    good = bad.replace("12021,,", "12021,Hai,").replace("12 022", "12022").replace("palace", "phòng khám")
    answer = send(office, sep, "/admin/facilities/import", files={"file": ("ds.csv", good.encode())})
    assert answer.headers["Location"] == "/admin/facilities?done=3"
    assert "Đã ghi 3 cơ sở từ tệp" in text_of(sep.get("/admin/facilities?done=3"))
    assert count(office) == before + 3
    for name, content in (("x.xlsx", b"not a workbook"), ("x.csv", b"\xff\xfe"), ("x.csv", b"x" * (4 * 2**20 + 1))):
        assert send(office, sep, "/admin/facilities/import", files={"file": (name, content)}).status_code == 400


def test_a_pause_is_added_and_removed_after_a_page_that_says_what_it_means(office: Office, sep: httpx.Client) -> None:
    path = "/admin/facilities/12003/pauses"
    wrong = send(office, sep, path, first="2026-12-25", last="2026-12-20", reason="")
    assert wrong.status_code == 400
    assert "Ngày đầu phải không sau ngày cuối" in text_of(wrong) and "Lý do phải có" in text_of(wrong)
    assert "Ngày cuối: chưa nhập" in text_of(send(office, sep, path, first="2026-12-20", reason="lụt"))
    assert send(office, sep, path, first="2026-12-20", last="25/12/2026", reason="lụt").status_code == 303
    assert "20/12/2026 – 25/12/2026 lụt" in text_of(sep.get(path))
    (link,) = {one for one in Page(sep.get(path)).links() if one.endswith("/remove")}
    assert "lại được chờ số liệu" in text_of(sep.get(link))
    assert send(office, sep, link).status_code == 303
    assert (newest(office).action, newest(office).person) == ("pause_removed", "sep")
    assert send(office, sep, link).status_code == 404


# --- merging


def test_a_merger_is_looked_at_then_done_then_undone(office: Office, sep: httpx.Client) -> None:
    office.register("13001", "13002", at=now() - timedelta(days=100))
    for facility, counts in (("13001", {"cash": 10}), ("13002", {"qr": 5})):
        fill(office, facility, counts)
    office.people.enter(Person("binh", "confirmer", "13002", "Bình"), now())
    path = "/admin/facilities/13002/merge"
    refused = sep.get(path, params={"into": "13001", "day": str(CUT)})
    assert refused.status_code == 400
    assert "cùng đếm" in text_of(refused)
    look = sep.get(path, params={"into": "13001", "day": str(CUT), "part": "cơ sở 2"})
    text = text_of(look)
    assert "Chưa có gì được ghi" in text
    assert "đếm cho cơ sở nhận; 10 ngày đã có số liệu được tính sang" in text
    assert "0,0 % 0 / 300" in text and "14,3 % 50 / 350" in text
    assert "Bình" in text
    assert office.data("13001", TODAY).counts("payments", DAYS) == {"cash": 300}
    hidden = {one["name"]: one["value"] for one in Page(look).every("input") if one.get("type") == "hidden"}
    form = {name: hidden[name] for name in ("into", "day", "part")}
    assert send(office, sep, path, **form).headers["Location"] == "/admin/facilities/13002?done=1"
    assert office.data("13001", TODAY).counts("payments", DAYS) == {"cash": 300, "qr": 50}
    assert office.data("13002", TODAY).counts("payments", DAYS) == {"qr": 100}
    assert f"Đã sáp nhập vào Cơ sở 13001; từ {CUT:%d/%m/%Y}" in text_of(sep.get("/admin/facilities/13002"))
    assert "Đã nhận: Cơ sở 13002" in text_of(sep.get("/admin/facilities/13001"))
    again = send(office, sep, path, **form)
    assert (again.status_code, "đã sáp nhập vào 13001" in text_of(again)) == (400, True)
    assert sep.get("/facilities/13002").status_code == 200  # its history can be read
    assert "như chưa từng sáp nhập" in text_of(sep.get("/admin/facilities/13002/unmerge"))
    assert send(office, sep, "/admin/facilities/13002/unmerge").status_code == 303
    assert office.data("13001", TODAY).counts("payments", DAYS) == {"cash": 300}
    assert send(office, sep, "/admin/facilities/13002/unmerge").status_code == 404


def test_a_merger_that_makes_no_sense_is_said_on_the_form(sep: httpx.Client) -> None:
    for params, words in (
        ({"into": "12001", "day": ""}, "Ngày sáp nhập: chưa nhập"),
        ({"into": "nowhere", "day": str(CUT)}, "Chưa đăng ký cơ sở “nowhere”"),
        ({"into": "12001", "day": "hôm qua"}, "không đúng dạng ngày"),
        ({"into": "12001", "day": str(CUT)}, "chính nó"),
    ):
        answer = sep.get("/admin/facilities/12001/merge", params=params)
        assert (answer.status_code, words in text_of(answer)) == (400, True), text_of(answer)


# --- people


def test_somebody_is_added_given_a_password_once_changed_disabled_and_opened_again(
    office: Office, sep: httpx.Client
) -> None:
    fields = {"name": "lan.anh", "kind": "confirmer", "facility": "12001", "full_name": "Lan Anh"}
    answer = send(office, sep, "/admin/people/new", **fields)
    path = answer.headers["Location"].partition("?")[0]
    assert "chưa có mật khẩu" in text_of(sep.get(path))
    shown = send(office, sep, f"{path}/password")
    (secret,) = re.findall(r'class="secret">([^<]+)<', shown.text)
    assert "Chỉ hiện một lần" in text_of(shown)
    assert secret not in sep.get(path).text
    session = office.people.log_in("lan.anh", secret, now())
    assert session.must_change
    token = re.findall(r'class="secret">([^<]+)<', send(office, sep, f"{path}/token").text)[0]
    assert office.people.by_token(token).name == "lan.anh"
    change = {"kind": "facility_reader", "facility": "12001", "full_name": "Lan Anh", "email": "lan@example.org"}
    assert send(office, sep, f"{path}/change", **change).status_code == 303
    assert office.people.by_token(token).role == "reader"  # the token stays
    assert send(office, sep, f"{path}/disable").status_code == 303
    assert (newest(office).action, newest(office).person, newest(office).subject) == (
        "person_disabled", "sep", "lan.anh",
    )  # fmt: skip
    assert office.people.session(session.secret, now()) is None
    for what in ("password", "token"):
        refused = send(office, sep, f"{path}/{what}")
        assert (refused.status_code, "đã ngừng" in text_of(refused)) == (400, True)
    assert send(office, sep, f"{path}/change", **change).status_code == 303  # opens it again
    assert "chưa có mật khẩu" in text_of(sep.get(path))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "an", "kind": "reader"}, "đã có người dùng"),
        ({"name": "moi", "kind": ""}, "vai trò: hãy chọn"),
        ({"name": "moi", "kind": "boss"}, "vai trò: hãy chọn"),
        ({"name": "moi", "kind": "confirmer"}, "phải kèm cơ sở"),
        ({"name": "moi", "kind": "admin", "facility": "12001"}, "để trống với người của Sở"),
        ({"name": "moi", "kind": "confirmer", "facility": "x"}, "chưa đăng ký cơ sở “x”"),
        ({"name": "", "kind": "reader"}, "tên đăng nhập phải có"),
        ({"name": "moi", "kind": "reader", "email": "x"}, "email không đúng"),
    ],
)
def test_somebody_who_cannot_be_is_refused(
    office: Office, sep: httpx.Client, fields: dict[str, str], words: str
) -> None:
    before = count(office)
    answer = send(office, sep, "/admin/people/new", **fields)
    assert (answer.status_code, words.lower() in text_of(answer).lower()) == (400, True)
    assert count(office) == before


def test_nobody_takes_their_own_rights_away(office: Office, sep: httpx.Client) -> None:
    path = f"/admin/people/{person_id(office, 'sep')}"
    for answer in (send(office, sep, f"{path}/disable"), send(office, sep, f"{path}/change", kind="reader")):
        assert (answer.status_code, "chính mình" in text_of(answer)) == (400, True)
    assert send(office, sep, f"{path}/change", kind="admin", full_name="Sếp lớn").status_code == 303


# --- agents, sources


def test_an_enrolment_code_is_shown_once_with_the_command_to_type(office: Office, sep: httpx.Client) -> None:
    answer = send(office, sep, "/admin/agents/code", facilities="12001, 12002")
    (code,) = re.findall(r'class="secret">([^<]+)<', answer.text)
    command = f"nhipso-agent enrol --collector https://nhipso.example.gov.vn --code {code}"
    assert f"<pre>{command}</pre>" in answer.text
    assert newest(office).after is not None and code not in str(newest(office).after)
    listed = sep.get("/admin/agents")
    assert code not in listed.text
    assert "Mã ghi danh chưa dùng" in text_of(listed)
    agent, token, facilities = office.access.enrol(code, now())
    assert facilities == ["12001", "12002"]
    # replacing the token: the form comes with the agent's own facilities
    form = Page(sep.get(f"/admin/agents/code?agent={agent}"))
    assert {one["name"]: one["value"] for one in form.every("input") if one["name"] in ("facilities", "agent")} == {
        "facilities": "12001 12002", "agent": agent,
    }  # fmt: skip
    wrong = send(office, sep, "/admin/agents/code", facilities="x", agent="y")
    assert "chưa đăng ký cơ sở “x”" in text_of(wrong).lower() and "không có agent “y”" in text_of(wrong).lower()
    assert send(office, sep, "/admin/agents/code").status_code == 400
    assert "Việc này không hủy được" in text_of(sep.get(f"/admin/agents/{agent}/revoke"))
    assert send(office, sep, f"/admin/agents/{agent}/revoke").headers["Location"] == f"/admin/agents?done=1#{agent}"
    with pytest.raises(Exception, match="thu hồi"):
        office.access.speaker(token, now())
    assert "đã thu hồi" in text_of(sep.get(f"/admin/agents/{agent}"))


def test_an_orphan_is_found_moved_renamed_and_retired(office: Office, sep: httpx.Client) -> None:
    office.register("14001")
    first, second = office.speaker("14001"), office.speaker("14001")
    sent = [a_tally(day, facility="14001") for day in DAYS]
    office.push(first, sent, [a_source(facilities=["14001"], read_at=now().isoformat())], at=now())
    office.push(first, [], [], at=now())
    listed = sep.get("/admin/sources?state=orphaned&q=14001")
    assert "không agent nào khai báo" in text_of(listed)
    (path,) = {one for one in Page(listed).links() if re.fullmatch(r"/admin/sources/\d+", one)}
    assert send(office, sep, f"{path}/move", agent=second.agent).headers["Location"] == f"{path}?done=1"
    assert office.source("14001").agent == second.agent
    assert send(office, sep, f"{path}/move", agent="nobody").status_code == 400
    assert send(office, sep, f"{path}/rename", name="hai từ").status_code == 400
    assert send(office, sep, f"{path}/rename", name="his2").status_code == 303
    assert send(office, sep, f"{path}/retire", last_day="").status_code == 400
    look = sep.get(f"{path}/retire?last_day={CUT}")
    assert "9 ngày sau đó đã có số liệu của nguồn này" in text_of(look)
    assert office.source("14001", "his2").last_day is None
    assert send(office, sep, f"{path}/retire", last_day=str(CUT)).status_code == 303
    assert office.source("14001", "his2").last_day == CUT
    assert (newest(office).action, newest(office).facility, newest(office).after) == (
        "source_retired", "14001", f'{{"last_day":"{CUT}"}}',
    )  # fmt: skip
    assert "his2" in text_of(sep.get("/admin/sources?state=retired"))


# --- plans, calendar


def test_plans_are_read_with_their_words_what_binds_and_where_to_change_them(office: Office, sep: httpx.Client) -> None:
    text = text_of(sep.get("/admin/plans"))
    assert "1 trong 1 kế hoạch đang có hiệu lực" in text
    assert "Kế hoạch <thử>" in text and "II.7: “90 % số lần thu”" in text
    assert "Cơ sở 12002: 50 %, mới mở" in text
    assert "ke-hoach.toml" in text and "nhipso-collector plan check" in text


def test_what_binds_is_counted_by_facility_whatever_they_are_grouped_by(office: Office) -> None:
    own = {"facility": "12002", "ratio": "0.5", "reason": "mới mở"}
    first = a_plan({"overrides": [own], "applies_to": {"levels": ["province"]}}, id="mot")
    second = a_plan({"indicator": "cashless"}, {"indicator": "emr"}, id="hai")
    office.set_plans(first, second)
    day = first.first_day + timedelta(days=100)
    with office.store.read() as connection:
        known = registry.facilities(connection)
    expected: dict[tuple[int, int], int] = {}
    for one in known:
        for code, indicator in office.catalogue.indicators.items():
            bound = office.yardstick.bound(code, one, day) if applies(indicator, code, one) else None
            if bound is not None:
                expected[bound.rank] = expected.get(bound.rank, 0) + 1
    assert len(expected) == 3
    assert plans.binding(office.yardstick, known, day) == expected


def test_the_calendar_names_days_off_and_whose_they_are(sep: httpx.Client) -> None:
    text = text_of(sep.get("/admin/calendar"))
    assert f"06/07/{TODAY.year} – 07/07/{TODAY.year} Ngày hội của tỉnh ngày nghỉ tệp của Sở" in text
    assert f"01/01/{TODAY.year + 1} Tết Dương lịch ngày nghỉ thư viện ngày lễ" in text


def test_days_worked_instead_are_entries_too() -> None:
    own = {local_day(now()).replace(month=8, day=9): "Làm bù"}
    found = [one for one in calendar.entries(Calendar(work=own), TODAY.year) if not one.is_off]
    assert ("Làm bù", True) in {(one.name, one.is_own) for one in found}
    weekend = [one.days.first.weekday() >= 5 for one in found if not one.is_own]
    assert all(weekend)


# --- audit


def test_the_audit_is_filtered_paged_and_taken_away_as_csv(office: Office, sep: httpx.Client) -> None:
    fields = {"id": "12030", "name": "=1+1", "level": "clinic"}
    send(office, sep, "/admin/facilities/new", **fields)
    mine = sep.get("/admin/audit", params={"person": "sep", "facility": "12030"})
    assert len(Page(mine).every("tr")) == 2
    assert "Thêm cơ sở" in text_of(mine) and "tên: =1+1" in text_of(mine)
    assert audit.read('{"day":"2026-11-01","until":"2026-11-27T12:00:00+07:00"}', False) == [
        ("day", "01/11/2026"), ("until", "12:00 27/11/2026"),
    ]  # fmt: skip
    assert len(Page(sep.get("/admin/audit?action=facility_added")).every("tr")) == 51
    link = next(
        one for one in Page(sep.get("/admin/audit?action=facility_added")).every("a") if one.get("rel") == "next"
    )
    assert len(Page(sep.get(link["href"])).every("tr")) > 5
    none = sep.get("/admin/audit", params={"first": "2020-01-01", "last": "31/12/2020"})
    assert "Không có dòng nào như vậy" in text_of(none)
    assert sep.get("/admin/audit?first=x").status_code == 400
    assert sep.get("/admin/audit.csv?first=x").status_code == 400
    taken = sep.get("/admin/audit.csv", params={"person": "sep", "facility": "12030"})
    assert taken.content.startswith(b"\xef\xbb\xbf")
    head, line = csv.reader(io.StringIO(taken.content.decode("utf-8-sig")), delimiter=";")
    assert head[:3] == ["lúc", "ai", "việc"]
    assert line[1:6] == ["sep", "Thêm cơ sở", "facility_added", "12030", "12030"]
    with office.store.write() as connection:
        stored.note(connection, now(), "=HYPERLINK", "log_in", "x")
    assert "'=HYPERLINK" in sep.get("/admin/audit.csv", params={"action": "log_in"}).content.decode()
