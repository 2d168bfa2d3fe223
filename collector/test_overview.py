"""The province as one table over a real socket: order, filters, pages, files; and the pages behind its cells."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path

import httpx
import openpyxl
import pytest

from collector.overview import PAGE
from collector.store.people import Person
from contract.days import local_day, now
from tests.browsing import enter
from tests.office import Office, a_source, a_tally, serving

PLAN = """
issuer = "Sở Y tế"
title = "Kế hoạch chuyển đổi số"
short = "Kế hoạch thử"
number = "12/KH"
first_day = 2020-01-01
last_day = 2099-12-31
[[targets]]
indicator = "cashless"
ratio = 0.5
section = "II.7"
words = "Ít nhất 50% lần thu không dùng tiền mặt."
"""
SHARES = {"12001": 90, "12002": 40, "12003": 10, "12004": 70}
NAMES = {"12001": "Đông Hà", "12002": "Dương Hòa", "12003": "=1+1", "12004": "Ba Đình", "12005": "Chưa gửi"}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Four hospitals with a month of payments, one without anything."""
    directory = tmp_path_factory.mktemp("overview")
    one = Office(f"sqlite:///{directory / 'collector.sqlite'}", directory)
    days = [local_day(now()) - timedelta(days=n) for n in range(1, 31)]
    for place, name in NAMES.items():
        area = "Phường Đoàn Kết" if place in ("12001", "12002") else "Phường Tân Phong"
        one.register(place, name=name, area=area, level="province" if place != "12004" else "regional")
        if place in SHARES:
            counts = {"qr": SHARES[place], "cash": 100 - SHARES[place], "unknown": 3}
            sent = [a_tally(day, counts=counts, facility=place) for day in days]
            source = a_source(facilities=[place], read_at=now().isoformat())
            one.push(one.speaker(place), sent, [source], at=now(), sent_at=now().isoformat())
    for person in (Person("so", "reader", None), Person("bv", "reader", "12001"), Person("gd", "confirmer", "12001")):
        one.people.add(person, now())
    yield one
    one.store.close()


@pytest.fixture(scope="module")
def served(office: Office) -> Iterator[httpx.Client]:
    plan = Path(office.directory) / "plan.toml"
    plan.write_text(PLAN, "utf-8")
    with serving(office.app(plan_files=(plan,))) as client:
        yield client


@pytest.fixture
def http(office: Office, served: httpx.Client) -> Iterator[httpx.Client]:
    """A reader of the Sở; another may enter."""
    served.cookies.clear()
    enter(office, served, "so")
    yield served


def shown(answer: httpx.Response) -> list[str]:
    """The facilities of the table, in order."""
    assert answer.status_code == 200, answer.text
    return re.findall(r'<th scope="row" lang="vi"><a href="/facilities/(\w+)">', answer.text)


def text_of(answer: httpx.Response) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["12003", "12002", "12004", "12001", "12005"]),  # worst first, who has no share last
        ("order=best", ["12001", "12004", "12002", "12003", "12005"]),
        ("order=name", ["12003", "12004", "12005", "12002", "12001"]),  # Ba, Chưa, Dương, Đông
        ("area=Phường Đoàn Kết", ["12002", "12001"]),
        ("level=regional", ["12004"]),
        ("verdict=below", ["12003", "12002"]),
        ("verdict=no_data", ["12005"]),
        ("name=dong ha", ["12001"]),  # without marks, as people type
        ("name=12004", ["12004"]),
        ("ownership=private", []),
        ("page=99", ["12003", "12002", "12004", "12001", "12005"]),
        ("indicator=nothing", ["12003", "12002", "12004", "12001", "12005"]),
    ],
)
def test_the_address_says_which_facilities_and_in_which_order(
    http: httpx.Client, query: str, expected: list[str]
) -> None:
    found = shown(http.get("/", params=httpx.QueryParams(query)))
    assert found == expected if "order=name" not in query else found[1:] == expected[1:]


def test_the_lead_says_how_many_are_on_target_and_the_cells_say_it_in_words(http: httpx.Client) -> None:
    text = text_of(http.get("/")).replace("\N{NO-BREAK SPACE}", " ")
    assert "2 trong 5 cơ sở đạt chỉ tiêu “Lần thu không dùng tiền mặt”." in text
    assert "Đạt 2 Chưa đạt 2 Chưa có số liệu 1" in text
    assert "10,0 % Chưa đạt 300 / 3.000" in text
    assert "Toàn tỉnh (gộp) 52,5 % 6.300 / 12.000" in text
    assert "≥ 50 %" in text


def test_all_windows_are_there_and_an_unknown_one_is_refused(http: httpx.Client) -> None:
    for window in ("7d", "30d", "quarter", "year"):
        assert len(shown(http.get("/", params={"window": window}))) == 5
    assert http.get("/", params={"window": "century"}).status_code == 422


def test_what_is_on_the_screen_can_be_taken_along_and_no_name_becomes_a_formula(http: httpx.Client) -> None:
    answer = http.get("/overview.csv", params={"verdict": "below"})
    assert answer.headers["content-disposition"].startswith("attachment")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig")), delimiter=";"))
    assert [row[:2] for row in rows[1:]] == [["12003", "'=1+1"], ["12002", "Dương Hòa"]]
    head = rows[0].index("Lần thu không dùng tiền mặt: tỷ lệ")
    assert rows[1][head : head + 5] == ["10%", "300", "3000", "90", "Chưa đạt"]
    book = openpyxl.load_workbook(io.BytesIO(http.get("/overview.xlsx").content))
    cells = list(book.active.values)  # type: ignore[union-attr]
    assert (cells[1][1], cells[1][head], cells[1][head + 1]) == ("=1+1", 0.1, 300)
    assert book.active["B2"].data_type == "s"  # type: ignore[index]


def test_people_of_a_facility_are_led_to_their_own_page_and_get_no_table(office: Office, http: httpx.Client) -> None:
    enter(office, http, "bv")
    answer = http.get("/", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/facilities/12001")
    for path in ("/overview.csv", "/overview.xlsx", "/indicators/cashless", "/indicators/cashless/trend.svg"):
        assert http.get(path).status_code == 404, path
    for path in ("", "/indicators/cashless", "/indicators/cashless/share.svg", "/indicators/cashless/categories.svg"):
        assert http.get(f"/facilities/12002{path}").status_code == 404, path
        assert http.get(f"/facilities/12001{path}").status_code == 200, path


def test_a_cell_leads_to_all_that_stands_behind_its_figure(http: httpx.Client) -> None:
    answer = http.get("/facilities/12002/indicators/cashless")
    text = text_of(answer).replace("\N{NO-BREAK SPACE}", " ")
    assert "Chưa đạt 40,0 %" in text
    assert "1.200 / 3.000 trong những ngày" in text
    assert "Còn thiếu 300." in text
    assert "Ít nhất 50% lần thu không dùng tiền mặt." in text
    assert "Mã QR 1.200 tính là đạt" in text
    assert "Chưa phân loại 90 không tính, nêu riêng" in text
    assert http.get("/facilities/12002/indicators/nothing").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/facilities/12002/indicators/cashless/share.svg",
        "/facilities/12002/indicators/cashless/categories.svg",
        "/facilities/12005/indicators/cashless/share.svg",
        "/indicators/cashless/trend.svg",
    ],
)
def test_a_chart_is_an_image_that_runs_nothing_and_asks_nobody(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.text.startswith("<?xml")
    assert "<script" not in answer.text
    outside = re.findall(r'(?:href|src|url)\s*[=(]\s*["\']?(https?:[^"\')]+)', answer.text)
    assert outside == []
    assert answer.content == http.get(path).content


def test_an_indicators_page_ranks_the_facilities_and_quotes_the_plan(http: httpx.Client) -> None:
    answer = http.get("/indicators/cashless")
    assert shown_in_rank(answer) == ["12001", "12004", "12002", "12003", "12005"]
    assert "Ít nhất 50% lần thu không dùng tiền mặt." in answer.text
    assert http.get("/indicators/nothing").status_code == 404


def shown_in_rank(answer: httpx.Response) -> list[str]:
    return re.findall(r'<a href="/facilities/(\w+)/indicators/cashless">', answer.text)


def test_more_facilities_than_a_page_holds_are_on_several(tmp_path: Path) -> None:
    office = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    office.register(*(str(20_000 + n) for n in range(PAGE + 3)))
    office.people.add(Person("so", "reader", None), now())
    with serving(office.app()) as http:
        enter(office, http, "so")
        first, second = (shown(http.get("/", params={"page": n})) for n in (1, 2))
    assert (len(first), len(second)) == (PAGE, 3)
    assert not set(first) & set(second)
    office.store.close()
