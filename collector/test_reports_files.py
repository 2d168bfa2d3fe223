"""The files of the report: opened again by the programs that people have, and read word for word."""

import csv
import io
import pickle
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from docx import Document
from openpyxl import load_workbook
from openxml_audit import OpenXmlValidator

from collector.__main__ import main
from collector.letterhead import Letterhead
from collector.reports import FORMATS, Format, form, write
from collector.reports.blocks import Column, Heading, Paragraph, Report, Table
from collector.store import tallies
from collector.store.tables import tally
from conftest import program
from contract.days import LOCAL, DayRange
from tests.office import Office, a_source
from tests.reporting import LETTERHEAD, NAMES, PLAN, a_province, a_report, tables


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """Files are the same whatever database the figures come from."""
    return f"sqlite:///{tmp_path / 'collector.sqlite'}"


@pytest.fixture
def report(office: Office) -> Report:
    a_province(office)
    return a_report(office)


def a_table(*rows: tuple[object, ...], name: str = "Bảng") -> Report:
    """A report that holds one table of two columns."""
    table = Table(name, (Column("A", 50), Column("B", 50, "right")), rows)  # type: ignore[arg-type]
    return Report(
        letterhead=LETTERHEAD,
        subject=["Kết quả", "tháng 10 năm 2026", "(…)"],
        drawn_up=date(2026, 11, 5),
        body=[Heading(1, "I. MỘT"), table, Paragraph("Trên đây là báo cáo./.")],
        annexes=[],
        figures=table,
        stem="bao-cao",
    )


def words(text: str) -> list[str]:
    """Lines may be broken after a hyphen."""
    return re.sub(r"-\s+", "-", text.replace("\u00a0", " ")).split()


def converted(content: bytes, suffix: str, directory: Path) -> str:
    """The text of a PDF, or of what LibreOffice makes of another file."""
    file = directory / f"r.{suffix}"
    file.write_bytes(content)
    if suffix != "pdf":
        office = [program("soffice"), f"-env:UserInstallation=file://{directory / 'profile'}", "--headless"]
        command = [*office, "--convert-to", "pdf:writer_pdf_Export", "--outdir", str(directory), str(file)]
        subprocess.run(command, check=True, capture_output=True, timeout=180)
    read = subprocess.run(
        [program("pdftotext"), "-layout", str(directory / "r.pdf"), "-"], check=True, capture_output=True, timeout=60
    )
    return read.stdout.decode()


# --- Word


def test_the_document_has_the_form_of_an_administrative_document(report: Report) -> None:
    document = Document(io.BytesIO(write(report, "docx")))
    page: Any = document.sections[0]
    assert (page.page_width.mm, page.page_height.mm) == (pytest.approx(210, abs=0.1), pytest.approx(297, abs=0.1))
    assert 30 <= round(page.left_margin.mm) <= 35
    assert 15 <= round(page.right_margin.mm) <= 20
    assert 20 <= round(page.top_margin.mm) <= 25
    assert 20 <= round(page.bottom_margin.mm) <= 25
    assert (document.styles["Normal"].font.name, document.styles["Normal"].font.size.pt) == ("Times New Roman", 14)
    head = [cell.text for row in document.tables[0].rows for cell in row.cells]
    assert head[0].split("\n")[:2] == ["ỦY BAN NHÂN DÂN TỈNH SÔNG ĐÀ", "SỞ Y TẾ"]
    assert head[1].split("\n")[:2] == ["CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "Độc lập - Tự do - Hạnh phúc"]
    assert [words(one) for one in head[2:]] == [["Số:", "…/BC-SYT"], words("Sông Đà, ngày 05 tháng 11 năm 2026")]
    foot = next(table for table in document.tables if table.cell(0, 0).text.startswith("Nơi nhận:"))
    assert foot.cell(0, 0).text.split("\n")[1:] == form.recipients(report)
    assert form.recipients(report)[-1] == "- Lưu: VT, NVY."
    assert foot.cell(0, 1).text.split("\n")[:2] == ["KT. GIÁM ĐỐC", "PHÓ GIÁM ĐỐC"]
    assert "PAGE" in page.header._element.xml
    assert page.different_first_page_header_footer
    assert page.first_page_header.paragraphs[0].text == ""


def test_the_document_has_real_headings_and_tables_with_repeated_heads(report: Report) -> None:
    document = Document(io.BytesIO(write(report, "docx")))
    headings = [one.text for one in document.paragraphs if str(one.style and one.style.name).startswith("Heading")]
    assert headings[:2] == ["I. ĐÁNH GIÁ CHUNG", f"II. KẾT QUẢ THỰC HIỆN {PLAN.short.upper()}"]
    assert headings[-3:] == ["Phụ lục III", "1. Bệnh án điện tử thay bệnh án giấy", "2. Lần thu không dùng tiền mặt"]
    found = [table for table in document.tables if table.cell(0, 0).text == "STT"]
    assert len(found) == sum(
        len(tables(report, name)) for name in ("Kết quả", "Chưa đạt", "Chưa có số liệu", "Số liệu chi tiết")
    )
    assert all("w:tblHeader" in table.rows[0]._tr.xml for table in found)
    details = found[-1]
    assert [[cell.text for cell in row.cells] for row in details.rows][1:] == tables(report, "Số liệu chi tiết")[
        -1
    ].page()[1]


@pytest.mark.slow
def test_the_document_is_valid_office_open_xml(report: Report, tmp_path: Path) -> None:
    file = tmp_path / "r.docx"
    file.write_bytes(write(report, "docx"))
    assert [str(one) for one in OpenXmlValidator().validate(file).errors] == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["docx", "pdf"])
def test_every_word_is_on_the_page(kind: Format, report: Report, tmp_path: Path) -> None:
    shown = words(converted(write(report, kind), kind, tmp_path))
    # pages number themselves, cells break their lines: what stands in one line is compared
    for one in report.body:
        if not isinstance(one, Table):
            assert set(words(one.text)) <= set(shown), one.text
    for table in (*tables(report, "Kết quả"), *tables(report, "Chưa đạt"), *tables(report, "Số liệu chi tiết")):
        for row in table.page()[1]:
            assert set(words(" ".join(row))) <= set(shown), row
    assert form.NATION in " ".join(shown)


@pytest.mark.slow
def test_the_pdf_embeds_a_serif_with_the_measures_of_times(report: Report, tmp_path: Path) -> None:
    file = tmp_path / "r.pdf"
    file.write_bytes(write(report, "pdf"))
    listed = subprocess.run(
        [program("pdffonts"), str(file)], check=True, capture_output=True, timeout=60
    ).stdout.decode()
    rows = listed.splitlines()[2:]
    assert rows
    # a letter that the font lacks would come from another: Liberation 1.07 has no ư, ơ, ạ
    assert all("LiberationSerif" in row and " yes yes yes " in row for row in rows)


@pytest.mark.slow
def test_a_machine_without_such_fonts_sets_the_pdf_in_the_serif_of_typst(report: Report, tmp_path: Path) -> None:
    content = typst_pdf(report, tmp_path)
    assert "Sở Y tế báo cáo kết quả tháng 10 năm 2026 như sau:" in " ".join(words(converted(content, "pdf", tmp_path)))


def typst_pdf(report: Report, home: Path) -> bytes:
    """What a process writes that sees no fonts of the system."""
    file = home / "report.pickle"
    file.write_bytes(pickle.dumps(report))
    code = (
        "import pickle, sys, pathlib; from collector.reports import pdf; pdf._FACES.clear();"
        f"sys.stdout.buffer.write(pdf.write(pickle.loads(pathlib.Path({str(file)!r}).read_bytes())))"
    )
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60).stdout


# --- workbook and CSV


def test_the_workbook_holds_numbers_and_no_formulas(report: Report) -> None:
    book = load_workbook(io.BytesIO(write(report, "xlsx")))
    assert book.sheetnames == [
        "Báo cáo",
        "Kết quả",
        "Chưa đạt",
        "Chưa có số liệu",
        "Số liệu chi tiết",
        "Toàn bộ số liệu",
    ]
    assert not [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.data_type == "f"]
    sheet = book["Kết quả"]
    assert sheet.freeze_panes == "A2"
    head = [cell.value for cell in sheet[1]]
    row = next(row for row in sheet.iter_rows(min_row=2) if row[2].value == "Lần thu không dùng tiền mặt")
    found = dict(zip(head, row, strict=True))
    assert found["Tỷ lệ"].value == 10_664 / 12_710
    assert found["Tỷ lệ"].number_format == "0.0%"
    assert (found["Số đạt"].value, found["Tổng số"].value) == (10_664, 12_710)
    missing = next(row for row in sheet.iter_rows(min_row=2) if row[2].value == "Hồ sơ quá hạn có văn bản xin lỗi")
    assert dict(zip(head, missing, strict=True))["Tỷ lệ"].value is None


def test_a_name_that_looks_like_a_formula_stays_a_name() -> None:
    found = load_workbook(io.BytesIO(write(a_table(("=1+1", "@SUM(A1)")), "xlsx")))["Bảng"]
    assert [(cell.value, cell.data_type) for cell in found[2]] == [("=1+1", "s"), ("@SUM(A1)", "s")]
    lines = list(csv.reader(io.StringIO(write(a_table(("=1+1", "-2")), "csv").decode("utf-8-sig")), delimiter=";"))
    assert lines[1] == ["'=1+1", "'-2"]


def test_what_misses_100_per_cent_is_shown_as_100_nowhere() -> None:
    close = a_table((Fraction(999_999, 1_000_000), Fraction(1)))
    first, second = load_workbook(io.BytesIO(write(close, "xlsx")))["Bảng"][2]
    assert (first.value, first.number_format) == (0.999999, "0.0000%")
    assert (second.value, second.number_format) == (1, "0.0%")
    assert write(close, "csv").decode().splitlines()[1] == "99,9999%;100%"
    document = Document(io.BytesIO(write(close, "docx")))
    assert [cell.text for cell in document.tables[1].rows[1].cells] == ["99,9\u00a0%", "100,0\u00a0%"]


def test_the_csv_opens_in_a_vietnamese_excel(report: Report) -> None:
    content = write(report, "csv")
    assert content.startswith(b"\xef\xbb\xbf")
    lines = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig")), delimiter=";"))
    found = {(one["Mã cơ sở"], one["Mã chỉ số"]): one for one in lines}
    near = found["12003", "cashless"]
    assert (near["Số đạt"], near["Tổng số"], near["Tỷ lệ"], near["Số liệu đến ngày"]) == (
        *("2759", "3100", "89%"),
        "31/10/2026",
    )
    assert (found["12004", "cashless"]["Số đạt"], found["12004", "cashless"]["Tỷ lệ"]) == ("", "")
    assert [one["Kết luận"] for one in lines if one["Phạm vi"] == "Sở nhập"] == ["Chưa đạt", "Chưa có số liệu"]


# --- all


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_report_makes_the_same_bytes(kind: Format, report: Report) -> None:
    first = write(report, kind)
    time.sleep(2.1)  # archives know even seconds
    assert write(report, kind) == first


def test_names_with_marks_of_xml_come_through(report: Report) -> None:
    assert "Bệnh viện <Sản & Nhi>" in " ".join(
        one.text for one in Document(io.BytesIO(write(report, "docx"))).paragraphs
    )
    sheet = load_workbook(io.BytesIO(write(report, "xlsx")))["Toàn bộ số liệu"]
    assert NAMES["12002"] in {row[2].value for row in sheet.iter_rows()}


def test_what_nobody_has_filled_in_shows_as_dots(office: Office) -> None:
    a_province(office)
    blank = replace(a_report(office), letterhead=Letterhead())
    head = Document(io.BytesIO(write(blank, "docx"))).tables[0]
    assert head.cell(0, 0).text.split("\n")[:2] == ["…", "…"]
    assert head.cell(1, 1).text.startswith("…, ngày")


@pytest.mark.slow
def test_600_facilities_take_seconds(office: Office) -> None:
    ids = [f"{number:05}" for number in range(600)]
    office.set_plans(PLAN)
    office.register(*ids, level="regional", indicators="cashless emr", at=datetime(2026, 8, 1, tzinfo=LOCAL))
    office.push(office.speaker(*ids), [], [a_source(facilities=ids, measures=["payments", "records"])])
    with office.store.read() as connection:
        known = tallies.sources(connection)
    days = DayRange(date(2026, 9, 1), date(2026, 10, 31))
    kept = {"payments": '{"cash":10,"qr":90}', "records": '{"electronic":5,"paper":1}'}
    rows = [
        {"source": one.id, "measure": measure, "day": day, "revision": 1, "counts": counts, "received_at": one.read_at}
        for one in known
        for measure, counts in kept.items()
        for day in days
    ]
    with office.store.write() as connection:
        connection.execute(tally.insert(), rows)
    begun = time.process_time()
    report = a_report(office)
    for kind in FORMATS:
        assert write(report, kind)
    assert time.process_time() - begun < 30  # 6 on an idle machine
    assert len(tables(report, "Số liệu chi tiết")[0].rows) == 600


# --- the command


@pytest.fixture
def config(office: Office, tmp_path: Path) -> Path:
    a_province(office)
    office.store.close()
    file = tmp_path / "collector.toml"
    (tmp_path / "data").mkdir()
    shutil.copy(tmp_path / "collector.sqlite", tmp_path / "data" / "collector.sqlite")
    file.write_text('[collector]\ndata_dir = "data"\n[report]\nissuer = "Sở Y tế Sông Đà"\n', "utf-8")
    return file


def run(config: Path, *arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(main, ["--config", str(config), "report", *arguments])
    return found.exit_code, found.output


def test_the_command_writes_the_file_asked_for(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(config, "--period", "2026-10", "--format", "docx") == (0, "Đã ghi bao-cao-2026-10.docx.\n")
    text = " ".join(one.text for one in Document("bao-cao-2026-10.docx").paragraphs)
    assert "Sở Y tế Sông Đà báo cáo kết quả" in text
    code, said = run(config, "--period", "2026-10", "--format", "docx")
    assert (code, "đã có, không ghi đè" in said) == (2, True)
    target = tmp_path / "q.csv"
    dates = ("--from", "2026-09-15", "--to", "2026-10-14", "--facility", "12001")
    assert run(config, *dates, "--format", "csv", "--output", str(target))[0] == 0
    assert target.read_text("utf-8-sig").count("12001") == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "hãy nêu --period"),
        (("--period", "2026-13"), "2026-Q4"),
        (("--from", "2026-10-01"), "cả --from và --to"),
        (("--period", "2026", "--from", "2026-10-01", "--to", "2026-10-02"), "hãy nêu --period"),
        (("--period", "2026-10", "--facility", "nobody"), "không có cơ sở này"),
        (("--period", "2099"), "kỳ báo cáo"),
    ],
)
def test_wrong_usage_is_a_sentence_and_exit_code_2(config: Path, arguments: tuple[str, ...], said: str) -> None:
    code, output = run(config, *arguments, "--format", "csv", "--output", "never.csv")
    assert code == 2
    assert re.search(said, output)
    assert not Path("never.csv").exists()
