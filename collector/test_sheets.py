"""Sheets that people upload: who may, what they are shown, what is stored, and what hostile files do."""

import io
import re
import threading
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import openpyxl
import pytest
from alembic import command

from collector import sheets
from collector.store import Store, _alembic, registry, uploads
from collector.store import people as persons
from collector.store.people import Person
from contract.days import local_day, now
from contract.verdict import Verdict
from tests.browsing import Page, enter
from tests.office import NOON, Office, a_source, a_tally, samples, serving

TODAY = local_day(now())
YESTERDAY = TODAY - timedelta(days=1)
PEOPLE = [
    Person("confirmer", "confirmer", "12001"),
    Person("reader", "reader", "12001"),
    Person("other", "confirmer", "12002"),
    Person("so", "admin", None),
    Person("so-reader", "reader", None),
]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    directory = tmp_path_factory.mktemp("sheets")
    one = Office(f"sqlite:///{directory / 'collector.sqlite'}", directory)
    one.register("12001", "12002", at=now() - timedelta(days=100))
    for person in PEOPLE:
        one.people.add(person, now())
    yield one
    one.store.close()


@pytest.fixture(scope="module")
def server(office: Office) -> Iterator[httpx.Client]:
    with serving(office.app()) as client:
        yield client


@pytest.fixture
def http(server: httpx.Client) -> Iterator[httpx.Client]:
    """The served office, nobody logged in."""
    with httpx.Client(base_url=server.base_url, trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture
def place(office: Office) -> str:
    """A facility of its own, and its confirmer, of the same name."""
    number = len(list(office.directory.glob("place-*")))
    (office.directory / f"place-{number}").touch()
    name = f"cs{number}"
    office.register(name, at=now() - timedelta(days=100))
    office.people.add(Person(name, "confirmer", name), now())
    return name


def csv(*lines: str, title: str = "Lần nộp tiền của người bệnh") -> bytes:
    return "\n".join([title, "Ngày;Tiền mặt;Mã QR", *lines]).encode()


def send(office: Office, http: httpx.Client, facility: str, content: bytes, name: str = "bang.csv") -> httpx.Response:
    """Somebody who has entered uploads a file."""
    token = office.people.session(http.cookies["nhipso"], now())
    assert token is not None
    form, file = {"form_token": token.form_token}, {"file": (name, content)}
    return http.post(f"/facilities/{facility}/sheets", data=form, files=file)


def previewed(
    office: Office, http: httpx.Client, facility: str, content: bytes, name: str = "bang.csv"
) -> httpx.Response:
    answer = send(office, http, facility, content, name)
    assert answer.status_code == 303, text_of(answer)
    return http.get(answer.headers["Location"])


def take(http: httpx.Client, preview: httpx.Response, **other: str) -> httpx.Response:
    """Accept what the page shows."""
    hidden = {one["name"]: one["value"] for one in Page(preview).every("input") if one.get("type") == "hidden"}
    form = {name: hidden[name] for name in ("form_token", "digest")} | other
    return http.post(preview.url.path, data=form)


def taken(office: Office, facility: str, content: bytes, moment: datetime) -> None:
    """Read, looked at and stored, without the pages."""
    with office.store.read() as connection:
        [one] = registry.facilities(connection, [facility])
    said = sheets.read(one, (), content, office.catalogue, "an", moment)
    with office.store.write() as connection:
        kept = uploads.add(connection, said)
        digest = sheets.look(connection, facility, kept, office.catalogue, moment).digest
        sheets.accept(connection, facility, kept, digest, office.catalogue, "an", moment)


def text_of(answer: httpx.Response) -> str:
    main = answer.text.partition("<main")[2]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", main)).split())


def stored(office: Office, facility: str, measure: str = "payments") -> dict[date, tuple[int, dict[str, int]]]:
    return {
        day: (row.revision, row.by_category)
        for (place, _, day), row in office.stored(measure).items()
        if place == facility
    }


def day(one: date) -> str:
    return f"{one:%d/%m/%Y}"


# --- the whole way


def test_a_sheet_is_looked_at_then_taken_and_counts(office: Office, http: httpx.Client, place: str) -> None:
    enter(office, http, place)
    preview = previewed(
        office, http, place, csv(f"{day(YESTERDAY)};30;70", f"{day(YESTERDAY - timedelta(days=1))};20;0")
    )
    text = text_of(preview)
    assert "2 số liệu mới, 0 thay đổi, 0 giữ nguyên" in text
    assert f"{day(YESTERDAY)} chưa có Tiền mặt 30, Mã QR 70" in text
    assert stored(office, place) == {}, "nothing is stored before it is taken"
    answer = take(http, preview)
    assert (answer.status_code, answer.headers["Location"]) == (303, preview.url.path)
    assert stored(office, place) == {
        YESTERDAY: (1, {"cash": 30, "qr": 70}),
        YESTERDAY - timedelta(days=1): (1, {"cash": 20}),
    }
    done = text_of(http.get(answer.headers["Location"]))
    assert f"{place} nhận lúc" in done and "2 số liệu mới" in done
    earlier = text_of(http.get(f"/facilities/{place}/sheets"))
    assert re.search(rf"Lần gửi gần nhất: \S+ \S+, do {place}", earlier)
    with office.store.read() as connection:
        [line] = [one for one in persons.changes(connection, place) if one.action == "sheet_accepted"]
    assert (line.person, line.subject) == (place, "sheets")
    assert '"new":2' in str(line.after)


def test_a_second_sheet_shows_before_and_after_and_raises_the_revision(
    office: Office, http: httpx.Client, place: str
) -> None:
    enter(office, http, place)
    same = f"{day(YESTERDAY - timedelta(days=1))};5;5"
    take(http, previewed(office, http, place, csv(f"{day(YESTERDAY)};30;70", same)))
    preview = previewed(office, http, place, csv(f"{day(YESTERDAY)};31;70", same))
    text = text_of(preview)
    assert "0 số liệu mới, 1 thay đổi, 1 giữ nguyên" in text
    assert "Tiền mặt 30, Mã QR 70 Tiền mặt 31, Mã QR 70" in text
    take(http, preview)
    assert stored(office, place)[YESTERDAY] == (2, {"cash": 31, "qr": 70})
    assert stored(office, place)[YESTERDAY - timedelta(days=1)][0] == 1


def test_a_month_whole_takes_the_place_of_its_days_and_days_that_of_the_month(
    office: Office, http: httpx.Client, place: str
) -> None:
    last = TODAY.replace(day=1) - timedelta(days=1)
    first = last.replace(day=1)
    enter(office, http, place)
    take(http, previewed(office, http, place, csv(f"{day(first)};1;1", f"{day(last)};2;2")))
    month = previewed(office, http, place, csv(f"Tháng {last.month}/{last.year};100;200"))
    assert f"{day(first)} Tiền mặt 1, Mã QR 1 0" in text_of(month)
    take(http, month)
    assert {d: c for d, (_, c) in stored(office, place).items()} == {first: {}, last: {"cash": 100, "qr": 200}}
    # the same month by the day again: the total must not count beside it
    take(http, previewed(office, http, place, csv(f"{day(first)};7;7")))
    assert {d: c for d, (_, c) in stored(office, place).items()} == {first: {"cash": 7, "qr": 7}, last: {}}


def test_a_running_month_that_is_sent_again_later_counts_once(office: Office, place: str) -> None:
    """Uploaded on the 10th and on the 20th: the total stands on the day of the upload."""
    for today, cash in ((10, 100), (20, 250)):
        taken(office, place, csv(f"Tháng 10/2026;{cash};0"), now().replace(year=2026, month=10, day=today))
    assert {d.day: c for d, (_, c) in stored(office, place).items()} == {10: {}, 20: {"cash": 250}}


def test_every_bad_row_is_named_with_its_column_and_how_to_mend_it(
    office: Office, http: httpx.Client, place: str
) -> None:
    good, bad, spoiled = (YESTERDAY - timedelta(days=n) for n in range(3))
    enter(office, http, place)
    preview = previewed(
        office, http, place,
        csv(
            f"{day(good)};1;2",
            "hôm qua;3;4",
            f"{day(bad)};MARK;5",
            f"{day(spoiled)};6;7",
            f"{day(spoiled)};50%;8",
            f"{day(TODAY + timedelta(days=9))};9;9",
        ),
    )  # fmt: skip
    text = text_of(preview)
    assert "MARK" not in preview.text and "hôm qua" not in text
    assert "dòng 4 A Ngày không đọc được (cần dạng ngày/tháng/năm, ví dụ 20/11/2026). Không nhận." in text
    assert "dòng 5, 7 B Không phải là số nguyên từ 0 trở lên. Không nhận. Ghi một số nguyên" in text
    assert "dòng 6 Ngày này còn dòng khác bị sai nên cả ngày chưa được nhận." in text
    assert "dòng 8 A Ngày trước năm 2020 hoặc sau ngày mai. Không nhận. Xem lại năm" in text
    take(http, preview)
    assert stored(office, place) == {good: (1, {"cash": 1, "qr": 2})}


def test_lines_that_were_added_up_are_said(office: Office, http: httpx.Client, place: str) -> None:
    enter(office, http, place)
    preview = previewed(office, http, place, csv(f"{day(YESTERDAY)};1;2", f"{day(YESTERDAY)};1;2"))
    assert "dòng 3–4 Cùng một ngày, một số đếm được ghi ở nhiều dòng, đã cộng lại." in text_of(preview)
    assert "Tiền mặt 2, Mã QR 4" in text_of(preview)


def test_a_month_and_its_days_in_one_sheet_are_not_guessed_at(office: Office, http: httpx.Client, place: str) -> None:
    last = TODAY.replace(day=1) - timedelta(days=1)
    enter(office, http, place)
    preview = previewed(office, http, place, csv(f"{last:%m/%Y};100;0", f"{day(last)};5;0"))
    assert "Không có số liệu nào nhận được" in text_of(preview)
    assert "vừa ghi cả kỳ vừa ghi ngày lẻ" in text_of(preview).lower()


# --- the template


def test_the_template_that_is_filled_in_is_read_back_whole(office: Office, http: httpx.Client, place: str) -> None:
    enter(office, http, place)
    answer = http.get(f"/facilities/{place}/sheets/template.xlsx?measure=payments&measure=records")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    assert book.sheetnames == ["1. Hồ sơ bệnh án kết thúc", "2. Lần nộp tiền của người bệnh", "Hướng dẫn", "Danh sách"]
    for row, sheet in ((5, book.worksheets[0]), (5, book.worksheets[1])):
        sheet.cell(row, 1, YESTERDAY)
        sheet.cell(row, 2, 8)
    content = io.BytesIO()
    book.save(content)
    preview = previewed(office, http, place, content.getvalue(), "bang.xlsx")
    assert "1 ngày của 2 số đếm: 2 số liệu mới" in text_of(preview)
    assert "Những chỗ cần sửa" not in text_of(preview)
    take(http, preview)
    assert stored(office, place, "records") == {YESTERDAY: (1, {"electronic": 8})}


def test_the_template_is_for_what_applies_and_nobody_else_counts(office: Office, http: httpx.Client) -> None:
    his = office.speaker("ag1")
    office.push(his, [a_tally(YESTERDAY, facility="ag1")], [a_source(facilities=["ag1"])], at=now())
    enter(office, http, "so")
    page = http.get("/facilities/ag1/sheets")
    boxes = {one["value"]: "checked" in one for one in Page(page).every("input") if one.get("name") == "measure"}
    assert (boxes["payments"], boxes["records"]) == (False, True)
    assert "inspections" not in boxes, "the department counts those"
    assert "nguồn “his” đang gửi tự động" in text_of(page)
    months = http.get("/facilities/ag1/sheets/template.xlsx?measure=payments&by=month")
    assert openpyxl.load_workbook(io.BytesIO(months.content)).worksheets[0]["A3"].value == "Kỳ"


# --- ownership, silence


def test_what_an_agent_counts_is_refused_and_the_rest_is_taken(office: Office, http: httpx.Client) -> None:
    his, at = office.speaker("ag2"), now()
    source = a_source(facilities=["ag2"], read_at=at.isoformat())
    office.push(his, [a_tally(YESTERDAY, facility="ag2")], [source], at=at, sent_at=at.isoformat())
    enter(office, http, "so")
    only_his = previewed(office, http, "ag2", csv(f"{day(YESTERDAY)};9;9"))
    assert "Nguồn “his” đang đếm số này." in text_of(only_his)
    assert "Không có số liệu nào nhận được" in text_of(only_his)
    assert "digest" not in [one.get("name") for one in Page(only_his).every("input")]
    both = f"Ngày;Số đếm;Loại;Số lượng\n{day(YESTERDAY)};payments;Tiền mặt;9\n{day(YESTERDAY)};records;Bệnh án giấy;4\n"
    preview = previewed(office, http, "ag2", both.encode())
    assert "Lần nộp tiền của người bệnh: 1 ngày. Nguồn “his” đang đếm số này." in text_of(preview)
    take(http, preview)
    assert office.stored("payments")["ag2", "his", YESTERDAY].by_category == {"cash": 3, "qr": 1}
    assert office.stored("records")["ag2", "sheets", YESTERDAY].by_category == {"paper": 4}
    # a claim of the sheet on payments would make them monthly
    assert office.data("ag2", TODAY).cadence("payments", "daily") == "daily"
    assert office.data("ag2", TODAY).cadence("records", "daily") == "monthly"


def test_an_agent_that_comes_later_waits_until_the_sheet_is_retired(
    office: Office, http: httpx.Client, place: str
) -> None:
    enter(office, http, place)
    take(http, previewed(office, http, place, csv(f"{day(YESTERDAY)};9;9")))
    his = office.speaker(place)
    ack = office.push(his, [a_tally(YESTERDAY, facility=place)], [a_source(facilities=[place])], at=now())
    assert [one.code for one in ack.refused] == ["not_owner"]
    taken = office.push(his, [a_tally(YESTERDAY, facility=place, source="sheets")], [], at=now())
    assert [one.code for one in taken.refused] == ["source_taken"]


def test_a_sheet_is_expected_once_a_month_and_neither_source_nor_facility_is_silent_before(tmp_path: Path) -> None:
    office, place = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path), "12001"
    office.register(place, at=NOON - timedelta(days=100))
    taken(office, place, csv(*(f"{n:02}/11/2026;10;90" for n in range(1, 20))), NOON)
    source = office.source(place, "sheets")
    assert (source.agent, source.kind, source.cadence, source.ok) == (None, "sheet.upload", "monthly", True)
    assert (source.newest_day, source.read_at) == (date(2026, 11, 19), NOON)
    expected = f'nhipso_facility_expected_since_timestamp_seconds{{facility="{place}"}}'
    for days, silent in ((2, False), (30, False), (33, True)):
        moment = NOON + timedelta(days=days)
        found = office.standing(today=local_day(moment))
        assert (found.silent_since is not None, found.verdict) == (silent, Verdict.NO_TARGET), days
        text = samples(office.metrics(moment))
        assert (expected in text) == silent, "what is not expected does not alert"
        assert text[f'nhipso_facility_last_push_timestamp_seconds{{facility="{place}"}}'] == NOON.timestamp()
        assert not [one for one in text if one.startswith("nhipso_agent")]
    office.store.close()


# --- rights


@pytest.mark.parametrize(
    ("who", "facility", "status"),
    [
        ("confirmer", "12001", 200),
        ("so", "12001", 200),
        ("reader", "12001", 403),
        ("so-reader", "12001", 403),
        ("other", "12001", 404),
        ("so", "99999", 404),
    ],
)
def test_only_confirmers_of_the_facility_and_admins_of_the_department_upload(
    who: str, facility: str, status: int, office: Office, http: httpx.Client
) -> None:
    enter(office, http, who)
    assert http.get(f"/facilities/{facility}/sheets").status_code == status
    assert http.get(f"/facilities/{facility}/sheets/template.xlsx?measure=payments").status_code == status
    assert send(office, http, facility, csv("1")).status_code == {200: 303}.get(status, status)


def test_another_facilitys_upload_is_neither_shown_nor_taken(office: Office, http: httpx.Client, place: str) -> None:
    enter(office, http, place)
    preview = previewed(office, http, place, csv(f"{day(YESTERDAY)};9;9"))
    number = preview.url.path.rpartition("/")[2]
    hidden = {one["name"]: one["value"] for one in Page(preview).every("input") if one.get("type") == "hidden"}
    session = enter(office, http, "other")
    for facility, status in ((place, 404), ("12002", 404)):
        path = f"/facilities/{facility}/sheets/{number}"
        assert http.get(path).status_code == status
        form = {"form_token": session.form_token, "digest": hidden["digest"]}
        assert http.post(path, data=form).status_code == status
    assert stored(office, place) == {}


def test_a_form_without_its_token_is_refused(office: Office, http: httpx.Client, place: str) -> None:
    enter(office, http, place)
    answer = http.post(f"/facilities/{place}/sheets", data={}, files={"file": ("a.csv", csv("x"))})
    assert answer.status_code == 403


# --- at once, late, changed


def test_of_two_who_accept_at_once_one_stores_and_both_are_told_so(
    office: Office, http: httpx.Client, place: str
) -> None:
    enter(office, http, place)
    preview = previewed(office, http, place, csv(f"{day(YESTERDAY)};9;9"))
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(take(http, preview).status_code)) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert answers == [303] * 4
    assert stored(office, place) == {YESTERDAY: (1, {"cash": 9, "qr": 9})}
    with office.store.read() as connection:
        assert [one.action for one in persons.changes(connection, place)].count("sheet_accepted") == 1


def test_what_would_do_something_else_by_now_is_shown_again_instead(
    office: Office, http: httpx.Client, place: str
) -> None:
    enter(office, http, place)
    first = previewed(office, http, place, csv(f"{day(YESTERDAY)};9;9"))
    with httpx.Client(base_url=http.base_url, trust_env=False) as another:
        enter(office, another, "so")
        take(another, previewed(office, another, place, csv(f"{day(YESTERDAY)};1;1")))
    answer = take(http, first)
    assert answer.status_code == 409
    assert "Số liệu đã thay đổi từ lúc xem trước" in text_of(answer)
    assert "Tiền mặt 1, Mã QR 1 Tiền mặt 9, Mã QR 9" in text_of(answer)
    assert take(http, answer).status_code == 303
    assert stored(office, place)[YESTERDAY] == (2, {"cash": 9, "qr": 9})


def test_an_upload_waits_for_a_day_and_is_then_forgotten(office: Office, http: httpx.Client, place: str) -> None:
    enter(office, http, place)
    preview = previewed(office, http, place, csv(f"{day(YESTERDAY)};9;9"))
    number = int(preview.url.path.rpartition("/")[2])
    with office.store.write() as connection, pytest.raises(Exception, match="quá 24 giờ"):
        sheets.look(connection, place, number, office.catalogue, now() + sheets.KEPT)
    sheets.forget(office.store, now() + timedelta(hours=23))
    assert http.get(preview.url.path).status_code == 200
    sheets.forget(office.store, now() + timedelta(hours=25))
    assert http.get(preview.url.path).status_code == 404


# --- hostile files


def workbook(rows: Any) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in rows:
        sheet.append(row)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def bomb(unpacked: int) -> bytes:
    """A workbook whose sheet is so large when it is unpacked."""
    plain = workbook([["Ngày", "Tiền mặt", "Mã QR"]])
    content = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(plain)) as before, zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            data = before.read(name)
            after.writestr(name, data + b" " * unpacked if name == "xl/worksheets/sheet1.xml" else data)
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "name", "status", "reason"),
    [
        (b"", "a.csv", 400, "Hãy chọn một tệp bảng tính có nội dung"),
        (bomb(200 * 2**20), "a.xlsx", 400, "mở ra lớn hơn 40 MB"),
        (b"x" * (5 * 2**20 + 1), "a.csv", 413, "lớn hơn 5 MB"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 9, "a.xls", 400, "kiểu cũ (.xls)"),
        (b"%PDF-1.7 MARK", "a.xlsx", 400, "không thấy dòng tiêu đề"),
        (b"<html><script>MARK</script>", "a.csv", 400, "HTML"),
        (b"PK\x03\x04MARK", "a.xlsx", 400, "chưa trọn vẹn"),
    ],
    ids=["empty", "bomb", "large", "old", "pdf", "html", "cut"],
)
def test_a_bad_file_is_refused_with_a_sentence(
    content: bytes, name: str, status: int, reason: str, office: Office, http: httpx.Client, place: str
) -> None:
    enter(office, http, place)
    answer = send(office, http, place, content, name)
    assert answer.status_code == status
    assert reason.lower() in text_of(answer).lower()
    assert "MARK" not in answer.text
    assert http.get("/healthz").status_code == 200


def test_a_hundred_megabytes_are_not_even_read(office: Office, http: httpx.Client, place: str) -> None:
    enter(office, http, place)

    def endless() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        for _ in range(100):
            yield b"x" * 2**20

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = http.post(f"/facilities/{place}/sheets", content=endless(), headers=headers)
    assert answer.status_code == 413


def test_formulas_are_never_computed_and_huge_cells_are_only_cells(
    office: Office, http: httpx.Client, place: str
) -> None:
    enter(office, http, place)
    rows = [
        ["Lần nộp tiền của người bệnh"],
        ["Ngày", "Tiền mặt", "Mã QR", "Ghi chú"],
        [YESTERDAY, "=1+1", 5, '=HYPERLINK("http://example.org")'],
        [YESTERDAY - timedelta(days=1), 1, 2, "x" * 30_000],
        [YESTERDAY - timedelta(days=2), 10**16, 2, None],
    ]
    preview = previewed(office, http, place, workbook(rows), "a.xlsx")
    assert "là công thức chưa có kết quả" in text_of(preview).lower()
    assert "Phải từ 0 đến 10^15" in text_of(preview)
    take(http, preview)
    assert stored(office, place) == {YESTERDAY - timedelta(days=1): (1, {"cash": 1, "qr": 2})}


def test_a_store_of_before_keeps_its_sources_and_takes_sheets_after_its_migration(tmp_path: Path) -> None:
    """SQLite cannot take NOT NULL from a column: the text of the schema is changed, under rows that point to it."""
    url = f"sqlite:///{tmp_path / 'collector.sqlite'}"
    store = Store(url)
    with store.engine.begin() as connection:
        configuration = _alembic()
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "0003")
        for statement in (
            "INSERT INTO facility (id, name, level, ownership, registered_at)"
            " VALUES ('12001', 'x', 'province', 'public', '2026-01-01 00:00:00')",
            "INSERT INTO agent (id, created_at) VALUES ('a1', '2026-01-01 00:00:00')",
            "INSERT INTO source (id, facility, name, agent, in_roster) VALUES (7, '12001', 'his', 'a1', 1)",
            "INSERT INTO claim (source, measure) VALUES (7, 'payments')",
            "INSERT INTO tally (source, measure, day, revision, counts, received_at)"
            " VALUES (7, 'payments', '2026-11-01', 3, '{\"cash\":1}', '2026-11-02 00:00:00')",
        ):
            connection.exec_driver_sql(statement)
    store.close()
    office = Office(url, tmp_path)
    records = f"Hồ sơ bệnh án kết thúc\nNgày;Bệnh án giấy\n{day(YESTERDAY)};4\n".encode()
    taken(office, "12001", records, now())
    assert (office.source(name="his").agent, office.source(name="sheets").agent) == ("a1", None)
    assert stored(office, "12001") == {date(2026, 11, 1): (3, {"cash": 1})}
    assert stored(office, "12001", "records") == {YESTERDAY: (1, {"paper": 4})}
    with office.store.read() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
        assert connection.exec_driver_sql("PRAGMA integrity_check").all() == [("ok",)]
    office.store.close()
