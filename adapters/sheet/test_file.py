"""Kind `sheet.file` over real files, with the agent's own index.

Each folder of `cases/` is a scenario. `expected.json`: `measure` or `measures`, `options`, `facilities` (the source's
table), `agent` (the agent's ids), `counts` (facility → day → category → count; with several measures
`measure.category`), `problems` (file → part of the sentence that names it), `about`.
"""

import io
import json
import os
import re
import tomllib
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from adapters.sheet.file import adapter
from agent import index
from agent.disk import Disk
from agent.reader import IndexMemory
from contract import catalogue
from contract.adapter import Adapter, FileSeen, SourceConfig
from contract.days import DayRange, now
from contract.errors import ConfigError, SourceUnavailableError
from contract.sheets import xlsx

HERE = Path(__file__).parent
CASES = sorted(path.name for path in (HERE / "cases").iterdir())
DAYS = DayRange(date(2020, 1, 1), date(2030, 1, 1))
LONG_AGO = date(2020, 1, 1)
SOME_TIME_AGO = 1_764_000_000 * 10**9  # 24/11/2025 23:00
MINUTE = 60 * 10**9
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
Counts = dict[str, dict[str, dict[str, int]]]


class Hospital:
    """A folder, a source that reads it, and the index in which the agent keeps what it read."""

    def __init__(self, directory: Path) -> None:
        self.folder = directory / "in"
        self.folder.mkdir()
        self._ledger = directory / "ledger.sqlite"
        self._disk = Disk(self._ledger, now())
        self.config = SourceConfig(
            name="sheet",
            kind="sheet.file",
            facilities=("12001",),
            facility_map={},
            measures=None,
            timeout_seconds=60,
            options={"folder": "in", "measure": "telemedicine"},
            directory=directory,
        )

    def close(self) -> None:
        self._disk.close()

    def set(
        self, facilities: Mapping[str, str] | None = None, agent: tuple[str, ...] = ("12001",), **options: Any
    ) -> None:
        """Write another agent.toml."""
        measures, cadence = options.pop("measures", None), options.pop("cadence", None)
        options = {"folder": "in", **options}
        served = tuple(dict.fromkeys((facilities or {}).values())) or agent
        self.config = replace(
            self.config,
            facilities=served,
            facility_map=facilities or {},
            measures=measures,
            cadence=cadence,
            options=options,
        )

    @property
    def reader(self) -> Adapter:
        return adapter(self.config, catalogue.load())

    def put(self, name: str, content: bytes | str | openpyxl.Workbook, age_ns: int = SOME_TIME_AGO) -> Path:
        path = self.folder / name
        if isinstance(content, openpyxl.Workbook):
            content.save(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        os.utime(path, ns=(age_ns, age_ns))
        return path

    def poll(self) -> list[FileSeen]:
        """Read, and record; the files that were opened."""
        opened = []
        reader = self.reader
        for reading in reader.read(DAYS, reader.measures, IndexMemory(self._ledger, "sheet")):
            opened += reading.files
            with self._disk.transaction() as connection:
                index.take(connection, "sheet", reading, LONG_AGO)
        return opened

    @property
    def counts(self) -> Counts:
        """All that the index knows; days without a case are `{}`."""
        several = len(self.reader.measures) > 1
        found: Counts = {}
        with self._disk.transaction() as connection:
            for one in index.counts(connection, "sheet", index.touched(connection, "sheet")):
                day = found.setdefault(one.facility, {}).setdefault(str(one.day), {})
                day |= {f"{one.measure}.{code}" if several else code: n for code, n in one.counts.items() if n}
        return found

    @property
    def problem(self) -> str:
        with self._disk.transaction() as connection:
            return "\n".join(index.problems(connection, "sheet"))


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    with closing(Hospital(tmp_path)) as one:
        yield one


def workbook(*rows: list[Any], title: str = "Sheet1") -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    add_sheet(book, title, *rows)
    del book["Sheet"]
    return book


def add_sheet(book: openpyxl.Workbook, title: str, *rows: list[Any]) -> None:
    sheet = book.create_sheet(title)
    for row in rows:
        sheet.append(row)


def packed(sheet_xml: str, **parts: str) -> bytes:
    """A workbook of one sheet as other programs may write it."""
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    texts = f'<Relationship Id="r2" Type="{relations}/sharedStrings" Target="/xl/sharedStrings.xml"/>'
    content = {
        "_rels/.rels": f'<Relationships xmlns="{package}"><Relationship Id="a" Type="{relations}/officeDocument"'
        ' Target="xl/book.xml"/></Relationships>',
        "xl/book.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{relations}"><sheets><sheet name="MARK-SHEET" sheetId="7"'
        ' r:id="r1"/></sheets></workbook>',
        "xl/_rels/book.xml.rels": f'<Relationships xmlns="{package}"><Relationship Id="r1"'
        f' Type="{relations}/worksheet" Target="sheets\\One.xml"/>{texts if "texts" in parts else ""}</Relationships>',
        "xl\\Sheets\\one.xml": sheet_xml,
        **({"xl/sharedStrings.xml": parts["texts"]} if "texts" in parts else {}),
    }
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in content.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return target.getvalue()


HEADINGS = ["Ngày", "Đã thực hiện", "Đã hủy"]
SIMPLE = "Ngày;Đã thực hiện;Đã hủy\n03/11/2025;5;1\n"
SIMPLE_COUNTS = {"12001": {"2025-11-03": {"completed": 5, "cancelled": 1}}}


@pytest.mark.parametrize("case", CASES)
def test_files_are_counted_as_expected_and_no_cell_comes_out(case: str, hospital: Hospital) -> None:
    expected = json.loads((HERE / "cases" / case / "expected.json").read_text("utf-8"))
    named = {key: expected[key] for key in ("measure", "facilities") if key in expected}
    if "measures" in expected:
        named["measures"] = tuple(expected["measures"])
    hospital.set(agent=tuple(expected.get("agent", ["12001"])), **named, **expected["options"])
    problems: dict[str, str] = {}
    for order, path in enumerate(sorted(path for path in (HERE / "cases" / case).iterdir() if path.suffix != ".json")):
        hospital.put(path.name, path.read_bytes(), SOME_TIME_AGO + order * MINUTE)
        [file] = hospital.poll()
        problems |= {path.name: file.problem} if file.problem else {}
    assert hospital.counts == expected["counts"]
    assert problems.keys() == expected["problems"].keys()
    assert all(part in problems[name] for name, part in expected["problems"].items())
    assert "MARK" not in repr(problems)


def test_each_bad_line_is_named_with_its_reason(hospital: Hospital) -> None:
    hospital.put("1.csv", (HERE / "cases" / "bad_lines" / "1.csv").read_bytes())
    hospital.poll()
    assert hospital.problem.partition(" (tệp ")[0].split(". dòng ") == [
        "dòng 3–5: không tính vì cột A: ngày không đọc được (cần dạng ngày/tháng/năm, ví dụ 20/11/2026)",
        "6: không tính vì cột A: thiếu ngày",
        "7–8: không tính vì cột A: ngày trước năm 2020 hoặc sau ngày mai",
        "9: không tính vì cột A: ghi cả tháng, mà số đếm này cần ghi từng kỳ ngắn hơn",
        "10–11, 13–14: không tính vì cột B: không phải là số nguyên từ 0 trở lên",
        "12: không tính vì cột B: viết dấu phẩy không rõ là phần nghìn hay phần lẻ",
        "15: không tính vì cột C: không phải là số nguyên từ 0 trở lên",
        "16–17: không tính vì cột B: phải từ 0 đến 10^15",
    ]


def test_excel_dates_numbers_and_texts_are_days(hospital: Hospital) -> None:
    book = workbook(HEADINGS)
    sheet = book.active
    assert sheet is not None
    written: list[Any] = [
        date(2025, 11, 1),
        datetime(2025, 11, 2, 23, 59),  # noqa: DTZ001 (as Excel has it)
        45964,  # 03/11/2025, in a cell that shows a number
        "04/11/2025",
        20251105,
        "Ngày 6 tháng 11 năm 2025",
        unicodedata.normalize("NFD", "ngày 7 tháng 11 năm 2025"),
    ]
    for row, day in enumerate(written, 2):
        sheet.cell(row, 1, day)
        sheet.cell(row, 2, row)
    sheet["A2"].number_format = '[$-42A]dddd, "ngày" dd/mm/yyyy;@'
    hospital.put("1.xlsx", book)
    hospital.poll()
    assert hospital.problem == ""
    assert hospital.counts == {"12001": {f"2025-11-0{n}": {"completed": n + 1} for n in range(1, 8)}}


def test_a_workbook_that_counts_from_1904_gives_the_same_days(hospital: Hospital) -> None:
    book = workbook(HEADINGS, [date(2025, 11, 3), 5, 1])
    book.epoch = datetime(1904, 1, 1)  # noqa: DTZ001
    hospital.put("1.xlsx", book)
    hospital.poll()
    assert hospital.counts == SIMPLE_COUNTS


def test_a_month_that_excel_turned_into_a_date_is_that_month(hospital: Hospital) -> None:
    hospital.set(measure="telemedicine", cadence="monthly")
    book = workbook(HEADINGS, [date(2025, 9, 1), 5, 1], [date(2025, 10, 15), 2, 0])
    sheet = book.active
    assert sheet is not None
    sheet["A2"].number_format, sheet["A3"].number_format = "mmm-yy", "dd/mm/yyyy"
    hospital.put("1.xlsx", book)
    hospital.poll()
    assert hospital.counts["12001"] == {
        "2025-09-30": {"completed": 5, "cancelled": 1},
        "2025-10-15": {"completed": 2},
    }


def test_a_running_period_is_counted_on_the_day_of_reading(hospital: Hospital) -> None:
    today = now().date()
    hospital.set(measure="inspections")
    hospital.put("1.csv", f"Kỳ;digital;on_site\nQuý {(today.month + 2) // 3}/{today.year};5;1\n")
    hospital.poll()
    assert hospital.counts == {"12001": {str(today): {"digital": 5, "on_site": 1}}}


def test_merged_cells_speak_for_all_their_lines_but_their_counts_only_once(hospital: Hospital) -> None:
    book = workbook(
        ["Phiên khám, hội chẩn từ xa", None, None, None],
        ["Ngày", "Cơ sở", "Loại", "Số lượng"],
        [date(2025, 11, 3), 12001, "Đã thực hiện", 5],
        [None, None, "Đã hủy", 1],
        [None, 12001, "Đã hủy", None],
        [date(2025, 11, 4), 12001, "Đã hủy", 2],
        [None, 12001, "Đã hủy", 2],
        ["Tổng cộng", None, None, 8],
    )
    sheet = book.active
    assert sheet is not None
    for area in ("A1:D1", "A3:A5", "B3:B4", "D4:D5", "A8:C8"):
        sheet.merge_cells(area)
    hospital.put("1.xlsx", book)
    hospital.poll()
    assert hospital.counts["12001"] == {
        "2025-11-03": {"completed": 5, "cancelled": 1},
        "2025-11-04": {"cancelled": 2},
    }
    assert hospital.problem.startswith("trang 1 dòng 7: không tính vì cột A: thiếu ngày")


def test_every_sheet_is_read_and_named_by_its_place_only(hospital: Hospital) -> None:
    book = workbook(HEADINGS, [date(2025, 11, 3), 5, 1], title="Tháng 11")
    add_sheet(book, "MARK-NAME Nguyễn Văn A", HEADINGS, [date(2025, 11, 4), "MARK", 1])
    add_sheet(book, "Ghi chép", ["MARK", "MARK"], ["Tên", "Điện thoại"])
    add_sheet(book, "Ẩn", ["STT", *HEADINGS], [1, "05/11/2025", 2.0, None])
    book["Ẩn"].sheet_state = "hidden"
    hospital.put("1.xlsx", book)
    files = hospital.poll()
    assert hospital.counts["12001"] == {**SIMPLE_COUNTS["12001"], "2025-11-05": {"completed": 2}}
    assert hospital.problem.startswith("trang 2 dòng 2: không tính vì cột B: không phải là số nguyên")
    assert "MARK" not in repr(files)


def test_faulty_cells_cost_their_line_only(hospital: Hospital) -> None:
    book = workbook(
        HEADINGS,
        [date(2025, 11, 3), 5, 1],
        [date(2025, 11, 4), "=MARK", 1],
        [date(2025, 11, 5), "#REF!", 1],
        [date(2025, 11, 6), True, 1],
        [date(2025, 11, 7), 1.234, 1],
        [date(2025, 11, 8), date(2025, 11, 8), 1],
        ["=TODAY()", 1, 1],
        [date(2025, 11, 9), 411.99999999999994, 1],
    )
    sheet = book.active
    assert sheet is not None
    sheet["B4"].data_type = "e"
    hospital.put("1.xlsx", book)
    hospital.poll()
    assert set(hospital.counts["12001"]) == {"2025-11-03", "2025-11-09"}
    assert hospital.counts["12001"]["2025-11-09"] == {"completed": 412, "cancelled": 1}
    reasons = ("công thức", "báo lỗi của Excel", "đúng/sai", "không phải số nguyên", "là ngày", "ô ngày là công thức")
    assert all(reason in hospital.problem for reason in reasons)
    assert "MARK" not in hospital.problem


def test_a_workbook_of_another_program_is_read(hospital: Hospital) -> None:
    texts = (
        f'<x:sst xmlns:x="{MAIN}"><x:si><x:t>Ngày</x:t></x:si><x:si><x:r><x:t>Đã thực</x:t></x:r><x:r><x:t> hiện</x:t>'
        "</x:r><x:rPh><x:t>MARK</x:t></x:rPh></x:si></x:sst>"
    )
    rows = (
        '<x:row><x:c t="s"><x:v>0</x:v></x:c><x:c t="s"><x:v>1</x:v></x:c>'
        '<x:c t="inlineStr"><x:is><x:t>Đã_x0020_hủy</x:t></x:is></x:c></x:row>'
        '<x:row><x:c t="d"><x:v>2025-11-03T00:00:00</x:v></x:c><x:c t="str"><x:f>A1</x:f><x:v>5</x:v></x:c>'
        "<x:c><x:v>1</x:v></x:c></x:row>"
    )
    sheet = f'<x:worksheet xmlns:x="{MAIN}"><x:sheetData>{rows}</x:sheetData></x:worksheet>'
    hospital.put("1.xlsx", packed(sheet, texts=texts))
    hospital.poll()
    assert (hospital.counts, hospital.problem) == (SIMPLE_COUNTS, "")


@pytest.mark.parametrize("number", ["NaN", "sNaN", "Infinity", "1E999999999999", "-1", "1E-999999999", "x", "1e15"])
def test_no_number_that_a_workbook_can_hold_does_harm(hospital: Hospital, number: str) -> None:
    cells = [f"<c><v>{one}</v></c>" for one in (45964, number, 1)]
    rows = [f"<row>{''.join(cells)}</row>", f"<row>{''.join(reversed(cells))}</row>"]
    head = "".join(f'<c t="str"><v>{name}</v></c>' for name in HEADINGS)
    hospital.put("1.xlsx", packed(f"<worksheet><sheetData><row>{head}</row>{''.join(rows)}</sheetData></worksheet>"))
    [file] = hospital.poll()
    assert "lỗi của chương trình" not in str(file.problem)
    assert {entry.cases for entry in file.entries or ()} <= {0, 1, 10**15}


def test_a_changed_sheet_is_read_again_and_a_line_that_disappears_takes_its_count_with_it(hospital: Hospital) -> None:
    hospital.put("1.csv", SIMPLE + "04/11/2025;2;0\n")
    hospital.poll()
    assert hospital.poll() == []
    hospital.put("1.csv", SIMPLE, SOME_TIME_AGO + MINUTE)
    assert len(hospital.poll()) == 1
    assert hospital.counts == SIMPLE_COUNTS


def test_another_definition_reads_every_sheet_again(hospital: Hospital) -> None:
    hospital.put("1.csv", "Ngày;Làm xong\n03/11/2025;5\n")
    hospital.poll()
    assert hospital.counts == {}
    hospital.set(measure="telemedicine", categories={"Làm xong": "completed"})
    hospital.poll()
    assert hospital.counts == {"12001": {"2025-11-03": {"completed": 5}}}
    assert hospital.poll() == []


def test_a_file_that_is_open_or_half_written_keeps_what_it_said(hospital: Hospital) -> None:
    whole = workbook(HEADINGS, [date(2025, 11, 3), 5, 1])
    content = hospital.put("1.xlsx", whole).read_bytes()
    hospital.poll()
    hospital.put("~$1.xlsx", b"\x07MARK-NAME" + b" " * 155)
    middle = content.index(b"xl/worksheets/sheet1.xml") + 60
    damaged = content[:middle] + bytes(byte ^ 255 for byte in content[middle : middle + 9]) + content[middle + 9 :]
    for number, part in enumerate((b"", b"\0" * 4096, content[:2000], content[:-40], damaged), 1):
        hospital.put("1.xlsx", part, SOME_TIME_AGO + number * MINUTE)
        hospital.poll()
        assert hospital.counts == SIMPLE_COUNTS
        assert "chưa trọn vẹn" in hospital.problem
    hospital.put("1.xlsx", content, SOME_TIME_AGO + 9 * MINUTE)
    hospital.poll()
    assert (hospital.counts, hospital.problem) == (SIMPLE_COUNTS, "")


def test_a_workbook_that_never_was_whole_is_named_and_tried_again(hospital: Hospital) -> None:
    content = hospital.put("1.xlsx", workbook(HEADINGS, [date(2025, 11, 3), 5, 1])).read_bytes()
    hospital.put("1.xlsx", content[:-40])
    hospital.poll()
    assert hospital.problem
    hospital.put("1.xlsx", content)
    hospital.poll()
    assert (hospital.counts, hospital.problem) == (SIMPLE_COUNTS, "")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"MARK" * 200, ".xls"),
        (b"<html><table><tr><td>MARK</td></tr></table>", "HTML"),
        (b'a;"' + b"MARK" * 50_000, "CSV hỏng"),
        (b"a;b\n" + b"MARK;1\n" * 10, "không thấy dòng tiêu đề"),
        (b"Ng\xc3\xa0y;completed\n" + b"03/11/2025;1\n" * 100_001, "hơn 100000 dòng"),
        (b"x" * (16 * 1024 * 1024 + 1), "lớn hơn 16 MB"),
    ],
)
def test_what_is_no_sheet_is_named(hospital: Hospital, content: bytes, reason: str) -> None:
    hospital.put("1.xlsx", content)
    hospital.put("2.csv", SIMPLE)
    hospital.poll()
    assert hospital.counts == SIMPLE_COUNTS
    assert reason in hospital.problem
    assert "MARK" not in hospital.problem


def bomb(kind: str) -> bytes:
    """Workbooks that are small on the disk only, or that ask for more than a sheet may."""
    if kind == "zeros":
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("_rels/.rels", b"0" * (xlsx.LARGEST_UNPACKED + 1))
        return target.getvalue()
    merged = "<mergeCell ref='A1:XFD1048576'/>"
    row = '<row><c t="inlineStr"><is><t>x</t></is></c></row>'
    xml = {
        "entities": '<!DOCTYPE w [<!ENTITY a "MARK">]><worksheet><sheetData/></worksheet>',
        "rows": f'<worksheet xmlns="{MAIN}"><sheetData>{"<row/>" * 1_200_000}</sheetData></worksheet>',
        "lines": f'<worksheet xmlns="{MAIN}"><sheetData>{row * 200_000}</sheetData></worksheet>',
        "merged": f'<worksheet xmlns="{MAIN}"><sheetData>{row}</sheetData><mergeCells>'
        f"{merged * 20_000}</mergeCells></worksheet>",
        "deep": "<a>" * 100_000,
    }[kind]
    return packed(xml)


@pytest.mark.parametrize("kind", ["zeros", "entities", "rows", "lines", "merged", "deep"])
def test_a_bomb_costs_only_itself(hospital: Hospital, kind: str) -> None:
    hospital.put("1.xlsx", bomb(kind))
    hospital.put("2.csv", SIMPLE)
    before = now()
    hospital.poll()
    assert now() - before < timedelta(seconds=30)
    assert hospital.counts == SIMPLE_COUNTS
    assert hospital.problem
    assert "MARK" not in hospital.problem


def test_an_archive_that_is_no_workbook_is_named(hospital: Hospital) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
    hospital.put("1.xlsx", target.getvalue())
    hospital.poll()
    assert hospital.problem.startswith("không phải là tệp XLSX")


def test_one_file_is_read_alone_and_its_absence_is_not_a_zero(hospital: Hospital) -> None:
    hospital.config = replace(hospital.config, options={"file": "in/Hội chẩn [2025].csv", "measure": "telemedicine"})
    with pytest.raises(SourceUnavailableError, match="không thấy tệp"):
        hospital.reader.probe()
    (hospital.folder / "Hội chẩn [2025].csv.d").mkdir()
    hospital.put("2.csv", SIMPLE)
    (hospital.folder / "sub").mkdir()
    hospital.put("sub/Hội chẩn [2025].csv", SIMPLE)
    path = hospital.put("Hội chẩn [2025].csv", SIMPLE)
    assert len(hospital.poll()) == 1
    assert hospital.counts == SIMPLE_COUNTS
    path.unlink()
    with pytest.raises(SourceUnavailableError):
        hospital.poll()
    assert hospital.counts == SIMPLE_COUNTS


def test_every_mistake_of_the_table_is_named_at_once(hospital: Hospital) -> None:
    hospital.set(file="x", categories={"A": "nothing"}, measure="telemedicine", measures=("telemedicine", "beds"))
    with pytest.raises(ConfigError) as caught:
        _ = hospital.reader
    named = ("file, folder", "nói khác nhau", "không có “beds”", "“nothing” không phải là category")
    assert len(caught.value.problems) == len(named)
    assert all(any(part in problem for problem in caught.value.problems) for part in named)
    hospital.set({"Trạm A": "12001", "tram  a": "12002"}, measure="telemedicine")
    with pytest.raises(ConfigError, match="facilities: “Trạm A” có hai lần"):
        _ = hospital.reader
    hospital.set()
    with pytest.raises(ConfigError, match="cần khóa measure"):
        _ = hospital.reader
    hospital.set(measure="telemedicine", headings={})
    with pytest.raises(ConfigError, match=r"headings: không có khóa này"):
        _ = hospital.reader


def test_the_sample_is_a_source_that_works_as_it_stands_and_with_all_its_options(hospital: Hospital) -> None:
    text = (HERE / "sample.toml").read_text("utf-8")
    for content in (text, re.sub(r'^# (?=\w+ = |\[|")', "", text, flags=re.MULTILINE)):
        table = tomllib.loads(content)["sources"]["telemedicine"]
        common = {"kind", "measures", "timeout_seconds", "facilities", "from", "part", "role"}
        options = {key: value for key, value in table.items() if key not in common}
        hospital.set(**options, facilities=table.get("facilities"))
        assert hospital.reader.measures == ("telemedicine",)
        assert "/srv/" in hospital.reader.explain("telemedicine")


def test_another_measure_reads_nothing(hospital: Hospital) -> None:
    hospital.put("1.csv", SIMPLE)
    assert list(hospital.reader.read(DAYS, ("payments",), IndexMemory(None, "sheet"))) == []
