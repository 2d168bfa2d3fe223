"""The list of facilities, as people keep it."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from collector import registry as lists
from collector.store import registry
from collector.store.registry import Code, Facility, Pause
from contract.errors import ConfigError
from tests.office import CATALOGUE, NOON, TODAY, Office

ROWS = [
    ["id", "name", "level", "ownership", "area", "email", "active_from", "active_to", "bhxh_code", "indicators"],
    ["12001", "Bệnh viện tỉnh", "province", "public", "Tân Phong", "a@b.vn", "2026-01-01", "", "12001", ""],
    ["12002", "Phòng khám Đức Minh", "clinic", "private", "", "", "", "31/12/2026", "", "emr cashless"],
]
VIETNAMESE = [
    [
        "Mã cơ sở",
        "TÊN CƠ SỞ",
        "Loại cơ sở",
        "Loại hình",
        "Địa bàn",
        "Liên hệ",
        "Từ ngày",
        "Đến ngày",
        "Mã CSKCB",
        "Chỉ số",
    ],
    ["12001", "Bệnh viện tỉnh", "Tuyến tỉnh", "Công lập", "Tân Phong", "a@b.vn", "01/01/2026", "", "12001", ""],
    ["12002", "Phòng khám Đức Minh", "phòng khám", "TƯ NHÂN", "", "", "", "31/12/2026", "", "emr, cashless"],
]
EXPECTED = [
    Facility(
        "12001", "Bệnh viện tỉnh", "province", "public", "Tân Phong", "a@b.vn", date(2026, 1, 1), None, None, NOON
    ),
    Facility(
        "12002", "Phòng khám Đức Minh", "clinic", "private", "", "", None, date(2026, 12, 31), ("emr", "cashless"), NOON
    ),
]


def facilities(office: Office) -> list[Facility]:
    with office.store.read() as connection:
        return registry.facilities(connection)


def codes(office: Office) -> list[Code]:
    with office.store.read() as connection:
        return registry.codes(connection)


def bring_in(office: Office, file: Path, at: datetime = NOON) -> int:
    return lists.register(office.store, lists.read(file), CATALOGUE, at)


def a_csv(directory: Path, rows: list[list[str]], separator: str = ",", encoding: str = "utf-8") -> Path:
    file = directory / "danh-sach.csv"
    lines = [separator.join(f'"{cell}"' if separator in cell else cell for cell in row) for row in rows]
    file.write_text("\r\n".join(lines) + "\r\n", encoding, newline="")
    return file


def a_workbook(directory: Path, rows: list[list[Any]]) -> Path:
    file, book = directory / "danh-sach.xlsx", Workbook()
    for row in rows:
        book.active.append(row)  # type: ignore[union-attr]
    book.save(file)
    return file


def problems_of(file: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        lists.read(file)
    return [problem.removeprefix(f"{file}: ") for problem in caught.value.problems]


@pytest.mark.parametrize("rows", [ROWS, VIETNAMESE], ids=["english", "vietnamese"])
@pytest.mark.parametrize(("separator", "encoding"), [(",", "utf-8"), (";", "utf-8"), (";", "utf-8-sig")])
def test_a_csv_is_read_however_excel_saved_it(
    tmp_path: Path, rows: list[list[str]], separator: str, encoding: str
) -> None:
    office = Office(f"sqlite:///{tmp_path / 's'}", tmp_path)
    assert bring_in(office, a_csv(tmp_path, rows, separator, encoding)) == 2
    assert facilities(office) == EXPECTED
    assert codes(office) == [Code("12001", "12001", date(2026, 1, 1), None)]
    office.store.close()


def test_a_workbook_is_read_with_its_numbers_and_dates(office: Office, tmp_path: Path) -> None:
    rows: list[list[Any]] = [list(row) for row in VIETNAMESE]
    rows[1][0], rows[1][6], rows[1][8] = 12001, datetime(2026, 1, 1), 12001.0  # noqa: DTZ001
    rows[2][0], rows[2][3] = 12002.0, " tư  nhân "
    rows.insert(1, [None] * 10)
    rows.append(["  "] * 10)
    assert bring_in(office, a_workbook(tmp_path, rows)) == 2
    assert facilities(office) == EXPECTED


def test_every_bad_row_is_named_and_then_nothing_is_changed(office: Office, tmp_path: Path) -> None:
    rows = [
        [*ROWS[0], "bhxh_from"],
        [*ROWS[1], ""],
        ["mã có dấu", "A", "province", "", "", "", "", "", "", "", ""],
        ["12003", "", "province", "", "", "", "", "", "", "", ""],
        ["12004", "B", "hamlet", "royal", "", "", "", "", "", "", ""],
        ["12005", "C", "clinic", "", "", "", "31/02/2026", "20261101", "123", "", "tomorrow"],
        ["12006", "D", "clinic", "", "", "", "2026-02-01", "2026-01-01", "", "", ""],
    ]
    file = a_csv(tmp_path, rows)
    assert [": ".join(problem.split(": ")[:2]) for problem in problems_of(file)] == [
        "dòng 3: id",
        "dòng 4: name",
        "dòng 5: level",
        "dòng 5: ownership",
        "dòng 6: active_from",
        "dòng 6: active_to",
        "dòng 6: bhxh_code",
        "dòng 6: bhxh_from",
        "dòng 7: active_from phải không sau active_to",
    ]
    assert facilities(office) == []


def test_the_same_id_twice_and_indicators_that_do_not_exist_are_named_and_then_nothing_is_changed(
    office: Office, tmp_path: Path
) -> None:
    file = a_csv(tmp_path, [*ROWS, ROWS[1], ["12009", "E", "clinic", "", "", "", "", "", "", "emr happiness joy"]])
    with pytest.raises(ConfigError) as caught:
        bring_in(office, file)
    text = str(caught.value)
    assert len(caught.value.problems) == 3
    assert all(part in text for part in ("dòng 4", "dòng 2", "dòng 5", "“happiness”", "“joy”"))
    assert facilities(office) == []


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("id,name", ["dòng 1: thiếu cột level"]),
        ("id,name,level,màu sắc", ["dòng 1: không hiểu tiêu đề “màu sắc”"]),
        ("id,name,level,Tên cơ sở", ["dòng 1: cột name có hai lần"]),
        ("x", ["dòng 1: không hiểu tiêu đề “x”", *(f"dòng 1: thiếu cột {one}" for one in ("id", "name", "level"))]),
        ("", ["dòng 1: thiếu cột id", "dòng 1: thiếu cột name", "dòng 1: thiếu cột level"]),
    ],
)
def test_headings_that_are_not_understood_are_named(tmp_path: Path, heading: str, expected: list[str]) -> None:
    file = tmp_path / "a.csv"
    file.write_text(heading + "\n")
    assert problems_of(file) == expected


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("none.csv", None, "không đọc được"),
        ("a.csv", b"", "không có dòng nào"),
        ("a.csv", "id,name,level\n1,Bệnh viện,clinic".encode("utf-16"), "UTF-8"),
        ("a.csv", "id,name,level\n1,Café,clinic".encode("cp1252"), "UTF-8"),
        ("a.xlsx", b"id,name,level\n", "không đọc được"),
        ("a.xlsx", b"", "không đọc được"),
        ("a.csv", b"\x00" * 100, "dòng 1"),
    ],
)
def test_a_file_that_is_no_list_is_refused_with_a_sentence(
    tmp_path: Path, name: str, content: bytes | None, told: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=told):
        lists.read(tmp_path / name)


def test_an_update_keeps_the_registration_and_what_the_list_does_not_name(office: Office, tmp_path: Path) -> None:
    bring_in(office, a_csv(tmp_path, ROWS))
    bring_in(
        office, a_csv(tmp_path, [["id", "name", "level"], ["12002", "Đức Minh", "clinic"]]), NOON + timedelta(days=9)
    )
    changed = facilities(office)[1]
    assert changed == Facility(
        "12002", "Đức Minh", "clinic", "private", "", "", None, date(2026, 12, 31), ("emr", "cashless"), NOON
    )
    bring_in(
        office, a_csv(tmp_path, [["id", "name", "level", "active_to", "indicators"], ["12002", "A", "clinic", "", ""]])
    )
    assert (facilities(office)[1].active_to, facilities(office)[1].indicators) == (None, None)


def test_the_same_list_again_changes_nothing(office: Office, tmp_path: Path) -> None:
    file = a_csv(tmp_path, ROWS)
    bring_in(office, file)
    before = facilities(office), codes(office)
    bring_in(office, file, NOON + timedelta(days=40))
    assert (facilities(office), codes(office)) == before


def code(office: Office, number: str, since: str = "", at: datetime = NOON) -> None:
    office.register("12001", at=at, bhxh_code=number, bhxh_from=since)


def line_of(office: Office) -> list[tuple[str, str, str]]:
    return [(one.code, str(one.valid_from), str(one.valid_to or "")) for one in codes(office)]


def test_codes_are_dated_and_one_ends_the_day_before_the_next(office: Office) -> None:
    code(office, "12001", "2026-01-01")
    code(office, "12999", "2026-06-01")
    assert line_of(office) == [("12001", "2026-01-01", "2026-05-31"), ("12999", "2026-06-01", "")]
    code(office, "12555", "2026-03-01")
    assert line_of(office) == [
        ("12001", "2026-01-01", "2026-02-28"),
        ("12555", "2026-03-01", "2026-05-31"),
        ("12999", "2026-06-01", ""),
    ]


def test_a_code_may_come_back_and_be_corrected_on_its_own_day(office: Office) -> None:
    for number, since in (("12001", "2026-01-01"), ("12999", "2026-06-01"), ("12001", "2026-09-01")):
        code(office, number, since)
    code(office, "12998", "2026-06-01")
    assert [one[:2] for one in line_of(office)] == [
        ("12001", "2026-01-01"),
        ("12998", "2026-06-01"),
        ("12001", "2026-09-01"),
    ]
    code(office, "12001", "2026-01-01")  # an old list again
    assert len(line_of(office)) == 3


def test_a_code_without_a_date_is_in_force_from_the_beginning_or_from_today_when_it_is_another(office: Office) -> None:
    office.register("12001", bhxh_code="12001", active_from="2026-01-01")
    office.register("12001", bhxh_code="12999", active_from="2026-01-01")
    assert line_of(office) == [
        ("12001", "2026-01-01", str(TODAY - timedelta(days=1))),
        ("12999", str(TODAY), ""),
    ]


def test_pauses_are_kept_for_their_facility(office: Office) -> None:
    office.register("12001", "12002")
    pause = Pause("12001", TODAY, TODAY + timedelta(days=2), "Nâng cấp máy chủ")
    with office.store.write() as connection:
        registry.add_pause(connection, pause)
        assert registry.pauses(connection, ["12001"]) == [pause]
        assert registry.pauses(connection, ["12002"]) == []
