"""The pages of manual targets: who sees and enters, the evidence file, what is refused."""

import io
import re
import zipfile
from collections.abc import Iterator
from html import unescape

import httpx
import pytest

from collector.evidence import LARGEST_BYTES
from collector.store import people as persons
from collector.store.people import Person
from contract.days import local_day, now
from tests.browsing import BROWSER, Page, enter
from tests.office import Office, serving

TODAY = local_day(now())
PLAN = f"""
issuer = "Sở Y tế"
title = "Kế hoạch chuyển đổi số"
short = "Kế hoạch thử"
first_day = {TODAY.year - 1}-01-01
last_day = {TODAY.year + 1}-12-31
[[manual]]
code = "inspected"
vi = "Đơn vị được kiểm tra"
en = "Units inspected"
value = 20
section = "II.1"
words = "kiểm tra tối thiểu 20 % đơn vị"
[[manual]]
code = "trained"
vi = "Người được tập huấn"
en = "People trained"
unit = "count"
value = 1200
section = "II.2"
words = "tập huấn 1.200 lượt người"
[[manual]]
code = "anywhere"
vi = "TTHC không phụ thuộc địa giới"
en = "Procedures anywhere"
applies_to = {{ levels = ["commune_station"], facilities = ["12001"] }}
section = "II.3"
words = "theo chỉ tiêu của Chính phủ giao"
"""
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 50
PDF = b"%PDF-1.7\n" + b"x" * 50
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 50


def package(*parts: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in ("[Content_Types].xml", *parts):
            archive.writestr(name, "<x/>")
    return content.getvalue()


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    directory = tmp_path_factory.mktemp("manual")
    one = Office(f"sqlite:///{directory / 'collector.sqlite'}", directory)
    one.register("12001")
    for person in (Person("so", "admin", None), Person("doc", "reader", None), Person("bv", "confirmer", "12001")):
        one.people.add(person, now())
    yield one
    one.store.close()


@pytest.fixture(scope="module")
def server(office: Office) -> Iterator[httpx.Client]:
    (office.directory / "thu.toml").write_text(PLAN, "utf-8")
    with serving(office.app(plan_files=(office.directory / "thu.toml",))) as client:
        yield client


@pytest.fixture
def http(server: httpx.Client) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.base_url, trust_env=False, timeout=60) as client:
        yield client


def post(
    office: Office, http: httpx.Client, code: str, file: tuple[str, bytes] | None = None, /, **entered: str
) -> httpx.Response:
    session = office.people.session(http.cookies["nhipso"], now())
    assert session is not None
    form = {"value": "20,5", "day": f"{TODAY:%d/%m/%Y}", "evidence": "Biên bản số 1", **entered}
    files = {} if file is None else {"file": file}
    return http.post(f"/manual/thu/{code}", data={"form_token": session.form_token, **form}, files=files)


def text_of(answer: httpx.Response) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text.partition("<main")[2])).split())


def test_a_figure_is_entered_with_its_file_and_the_file_comes_back_as_it_was(
    office: Office, http: httpx.Client
) -> None:
    enter(office, http, "so")
    before = text_of(http.get("/manual"))
    assert "0 trong 3 chỉ tiêu đã đạt; 3 chỉ tiêu chưa có số liệu." in before
    assert "kiểm tra tối thiểu 20 % đơn vị" in before
    answer = post(office, http, "inspected", ("C:\\Hồ sơ\\Biên bản số 1.PDF", PDF))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/manual/thu/inspected?done=1")
    page = http.get(answer.headers["Location"])
    assert "Số mới nhất: 20,5 %, ngày" in text_of(page)
    assert "Đã ghi số liệu." in text_of(page)
    [link] = {one for one in Page(page).links() if one.startswith("/evidence/")}
    file = http.get(link)
    assert file.content == PDF
    assert file.headers["Content-Type"] == "application/pdf"
    assert file.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in file.headers["Content-Security-Policy"]
    assert file.headers["Content-Disposition"] == (
        "attachment; filename*=utf-8''Bi%C3%AAn%20b%E1%BA%A3n%20s%E1%BB%91%201.pdf"
    )
    listed = text_of(http.get("/manual"))
    assert "1 trong 3 chỉ tiêu đã đạt; 2 chỉ tiêu chưa có số liệu." in listed
    assert "Biên bản số 1 Biên bản số 1.pdf so nhập" in listed
    with office.store.read() as connection:
        line = next(one for one in persons.changes(connection) if one.action == "manual_figure_entered")
    assert (line.person, line.subject) == ("so", "thu inspected")
    assert "Biên bản số 1.pdf" in str(line.after)


def test_a_target_without_a_figure_is_followed_and_says_whose_it_is(office: Office, http: httpx.Client) -> None:
    enter(office, http, "so")
    whose = "Áp dụng cho: Trạm y tế; Cơ sở 12001"
    assert post(office, http, "anywhere", value="12").status_code == 303
    for address in ("/manual", "/manual/thu/anywhere"):
        text = text_of(http.get(address))
        assert (whose in text, "chỉ theo dõi, văn bản không nêu con số" in text) == (True, True)
        assert text.count("Áp dụng cho") == 1
    assert "ngày" in text and "Theo dõi Yêu cầu:" in text


def test_history_keeps_every_figure_and_the_same_file_is_kept_once(office: Office, http: httpx.Client) -> None:
    enter(office, http, "so")
    for value in ("100", "1100", "1300"):
        assert post(office, http, "trained", (f"{value}.png", PNG), value=value).status_code == 303
    page = http.get("/manual/thu/trained")
    text = text_of(page)
    assert "Số mới nhất: 1.300, ngày" in text
    assert text.index("1.300 Biên bản") < text.index("1.100 Biên bản") < text.index(" 100 Biên bản")
    links = sorted(one for one in Page(page).links() if one.startswith("/evidence/"))
    assert len(links) == 3
    assert {http.get(one).content for one in links} == {PNG}
    with office.store.read() as connection:
        kept = connection.exec_driver_sql("SELECT count(*) FROM evidence WHERE kind = 'png'").scalar()
    assert kept == 1


@pytest.mark.parametrize(
    ("file", "status", "reason"),
    [
        (("anh.pdf", PNG), 400, "nội dung là ảnh PNG nên tên phải có đuôi .png"),
        (("a.exe", PDF), 400, "nội dung là PDF nên tên phải có đuôi .pdf"),
        (("a.pdf", b"MZ" + PDF), 400, "phải là PDF, ảnh PNG hoặc JPEG, DOCX hoặc XLSX"),
        (("a.html", b"<script>"), 400, "phải là PDF, ảnh PNG hoặc JPEG, DOCX hoặc XLSX"),
        (("a.svg", b"<svg/>"), 400, "phải là PDF, ảnh PNG hoặc JPEG, DOCX hoặc XLSX"),
        (("a.docx", package("word/document.xml", "word/vbaProject.bin")), 400, "không macro"),
        (("a.docx", package("x")), 400, "phải là PDF, ảnh PNG hoặc JPEG, DOCX hoặc XLSX"),
        (("a.docx", b"PK\x03\x04" + b"x" * 90), 400, "phải là PDF, ảnh PNG hoặc JPEG, DOCX hoặc XLSX"),
        (("a.pdf", b""), 400, "tệp minh chứng rỗng"),
        (("a.pdf", PDF + b"x" * LARGEST_BYTES), 413, "lớn hơn 10 MB"),
    ],
    ids=["wrong-name", "exe", "not-pdf", "html", "svg", "macro", "zip", "cut", "empty", "large"],
)
def test_a_file_that_is_not_what_it_says_is_refused_and_nothing_is_entered(
    file: tuple[str, bytes], status: int, reason: str, office: Office, http: httpx.Client
) -> None:
    enter(office, http, "so")
    before = len(Page(http.get("/manual/thu/trained")).every("tr"))
    answer = post(office, http, "trained", file, value="5", evidence="Chữ đã gõ")
    assert answer.status_code == status
    assert reason.lower() in text_of(answer).lower()
    assert "Chữ đã gõ" in answer.text and 'value="5"' in answer.text
    assert len(Page(http.get("/manual/thu/trained")).every("tr")) == before


@pytest.mark.parametrize(
    "file",
    [
        ("a.jpg", JPEG),
        ("a.JPEG", JPEG),
        ("a.docx", package("word/document.xml")),
        ("a.xlsx", package("xl/workbook.xml")),
    ],
)
def test_images_and_office_files_are_taken(file: tuple[str, bytes], office: Office, http: httpx.Client) -> None:
    enter(office, http, "so")
    assert post(office, http, "trained", file, value="7").status_code == 303


@pytest.mark.parametrize(
    ("entered", "reason"),
    [
        ({"value": "20%"}, "Con số viết bằng chữ số"),
        ({"day": "hôm nay"}, "ngày viết theo dạng"),
        ({"day": "20/13/2026"}, "ngày viết theo dạng"),
        ({"day": "01/01/2001"}, "nằm ngoài kế hoạch"),
        ({"evidence": " "}, "hãy ghi minh chứng"),
        ({"value": "", "day": "", "evidence": ""}, "hãy ghi minh chứng"),
    ],
)
def test_what_cannot_be_taken_is_said_beside_what_was_entered(
    entered: dict[str, str], reason: str, office: Office, http: httpx.Client
) -> None:
    enter(office, http, "so")
    answer = post(office, http, "inspected", None, **entered)
    assert answer.status_code == 400
    assert reason.lower() in text_of(answer).lower()


def test_readers_of_the_department_see_all_and_change_nothing(office: Office, http: httpx.Client) -> None:
    enter(office, http, "so")
    post(office, http, "inspected", ("a.pdf", PDF))
    enter(office, http, "doc")
    page = http.get("/manual/thu/inspected")
    assert page.status_code == 200
    assert [one for one in Page(page).every("form") if one["action"].startswith("/manual")] == []
    link = next(one for one in Page(page).links() if one.startswith("/evidence/"))
    assert http.get(link).status_code == 200
    assert post(office, http, "inspected").status_code == 403


def test_people_of_a_facility_see_none_of_it(office: Office, http: httpx.Client) -> None:
    enter(office, http, "so")
    post(office, http, "inspected", ("a.pdf", PDF))
    link = next(one for one in Page(http.get("/manual/thu/inspected")).links() if one.startswith("/evidence/"))
    enter(office, http, "bv")
    for path in ("/manual", "/manual/thu/inspected", link, "/evidence/99999", "/evidence/99999999999999"):
        assert http.get(path).status_code == 404, path
    assert post(office, http, "inspected").status_code == 404
    http.cookies.clear()
    assert http.get(link, headers=BROWSER).status_code == 303


def test_what_is_not_there_is_not_found(office: Office, http: httpx.Client) -> None:
    enter(office, http, "so")
    for path in ("/manual?plan=x", "/manual/x/inspected", "/manual/thu/x", "/evidence/99999"):
        assert http.get(path).status_code == 404, path
    assert post(office, http, "x").status_code == 404
