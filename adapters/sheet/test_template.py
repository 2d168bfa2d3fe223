"""The workbook that `nhipso-agent sheet-template` writes: what people fill in is what the reader counts."""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner, Result

from adapters.sheet.file import adapter
from agent.__main__ import main
from agent.reader import IndexMemory
from contract import catalogue
from contract.adapter import FileSeen, SourceConfig
from contract.catalogue import Cadence
from contract.days import DayRange
from contract.sheets.template import write

CATALOGUE = catalogue.load()
TODAY = date(2025, 11, 20)
SETTINGS = """
[agent]
facilities = ["12001", "12002"]
collector = "https://nhipso.example.gov.vn"
token_file = "token"
data_dir = "data"

[sources.stations]
kind = "sheet.file"
folder = "in"
measure = "checkin_channels"
cadence = "monthly"
[sources.stations.facilities]
"Trạm Y tế xã Bản Bo" = "12001"
"Trạm Y tế xã Bình Lư" = "12002"

[sources.sessions]
kind = "sheet.file"
folder = "in"
measure = "telemedicine"
"""


def read(folder: Path, measure: str, facilities: tuple[str, ...], cadence: Cadence) -> FileSeen:
    for file in folder.iterdir():
        os.utime(file, (1_764_000_000, 1_764_000_000))
    options = {"folder": ".", "measure": measure}
    config = SourceConfig("s", "sheet.file", facilities, {}, None, 60, options, folder, cadence)
    days = DayRange(date(2025, 1, 1), TODAY)
    [reading] = adapter(config, CATALOGUE).read(days, (measure,), IndexMemory(None, "s"))
    return reading.files[0]


def run(directory: Path, *arguments: str) -> Result:
    (directory / "agent.toml").write_text(SETTINGS, "utf-8")
    return CliRunner().invoke(main, ["--config", str(directory / "agent.toml"), "sheet-template", *arguments])


@pytest.mark.parametrize(
    ("measure", "facilities"),
    [("telemedicine", ("12001",)), *((measure, ("12001", "12002")) for measure in CATALOGUE.measures)],
)
def test_the_workbook_of_every_measure_reads_as_filled_in_and_its_example_does_not_count(
    measure: str, facilities: tuple[str, ...], tmp_path: Path
) -> None:
    cadence = CATALOGUE.measures[measure].cadence
    codes = [*CATALOGUE.measures[measure].categories, "unknown"]
    write(tmp_path / "1.xlsx", CATALOGUE, {measure: cadence}, facilities, TODAY)
    empty = read(tmp_path, measure, facilities, cadence)
    assert (empty.entries, empty.problem) == ((), None)
    book = openpyxl.load_workbook(tmp_path / "1.xlsx")
    sheet = book["Số liệu"]
    period = {"quarterly": "Quý III/2025", "yearly": "Năm 2024"}.get(cadence, date(2025, 11, 3))
    line = [period, *facilities[1:], *range(1, len(codes) + 1)]
    for column, value in enumerate(line, 1):
        sheet.cell(5, column, value)
    book.save(tmp_path / "1.xlsx")
    filled = read(tmp_path, measure, facilities, cadence)
    assert filled.problem is None
    assert {entry.category: entry.cases for entry in filled.entries or ()} == {
        code: n for n, code in enumerate(codes, 1)
    }
    assert {entry.facility for entry in filled.entries or ()} == {facilities[-1]}


def test_the_workbook_offers_what_may_be_written_and_refuses_the_rest(tmp_path: Path) -> None:
    write(tmp_path / "1.xlsx", CATALOGUE, {"inspections": "quarterly"}, ("a", "b"), TODAY)
    book = openpyxl.load_workbook(tmp_path / "1.xlsx")
    sheet, lists = book["Số liệu"], book["Danh sách"]
    rules = {str(rule.sqref): (rule.type, rule.formula1) for rule in sheet.data_validations.dataValidation}
    assert rules == {
        "A5:A60": ("list", "'Danh sách'!$A$1:$A$12"),
        "B5:B60": ("list", "'Danh sách'!$B$1:$B$2"),
        "C5:E60": ("whole", "0"),
    }
    assert [lists.cell(row, 1).value for row in (1, 12)] == ["Quý I/2024", "Quý IV/2026"]
    assert (sheet.freeze_panes, lists.sheet_state) == ("C4", "hidden")
    instructions = [str(cell.value) for row in book["Hướng dẫn"] for cell in row if cell.value]
    assert {"digital", "on_site", "unknown", "Kiểm tra qua môi trường số: tính là đạt"} <= set(instructions)


def test_the_command_fits_the_workbook_to_the_source_that_reads_it(tmp_path: Path) -> None:
    assert run(tmp_path, "checkin_channels", str(tmp_path / "1.xlsx")).exit_code == 0
    sheet = openpyxl.load_workbook(tmp_path / "1.xlsx")["Số liệu"]
    assert [sheet["A3"].value, sheet["B4"].value] == ["Kỳ", "Trạm Y tế xã Bản Bo"]
    assert run(tmp_path, "telemedicine", str(tmp_path / "2.xlsx")).exit_code == 0
    sheet = openpyxl.load_workbook(tmp_path / "2.xlsx")["Số liệu"]
    assert [sheet["A3"].value, sheet["B4"].value] == ["Ngày (ngày/tháng/năm)", "12001"]
    assert sheet.column_dimensions["A"].number_format == "dd/mm/yyyy"


@pytest.mark.parametrize(
    ("measure", "file", "reason"),
    [
        ("beds", "1.xlsx", "danh mục không có “beds”"),
        ("telemedicine", "1.csv", ".xlsx"),
        ("telemedicine", "agent.xlsx", "đã có, không ghi đè"),
        ("telemedicine", "nowhere/1.xlsx", "không ghi được"),
    ],
)
def test_what_cannot_be_written_is_said_with_exit_code_2(measure: str, file: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "agent.xlsx").touch()
    result = run(tmp_path, measure, str(tmp_path / file))
    assert (result.exit_code, reason in result.output) == (2, True)


def test_without_the_extra_the_command_names_it_and_the_reader_loads_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "1.xlsx", CATALOGUE, {"telemedicine": "working"}, ("12001",), TODAY)
    (tmp_path / "agent.toml").write_text(SETTINGS, "utf-8")
    program = (
        "import sys; sys.modules['openpyxl'] = None\n"
        "import adapters.sheet.file\n"
        "from agent.__main__ import main\n"
        "main(['--config', sys.argv[1], 'sheet-template', 'telemedicine', sys.argv[2]])"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "agent.toml"), str(tmp_path / "2.xlsx")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, "pip install 'nhipso[sheet]'" in result.stderr) == (2, True)
