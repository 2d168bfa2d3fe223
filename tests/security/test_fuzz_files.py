"""Files that people and programs write, after accidents: every reader raises what it declares, or reads on."""

import io
import os
import ssl
import zipfile
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.reader import IndexMemory, open_source
from agent.settings import load as load_agent
from collector import registry
from collector.settings import load as load_collector
from contract import calendar, catalogue, plan, tls, xml
from contract.adapter import SourceConfig
from contract.days import DayRange
from contract.errors import ConfigError, SourceChangedError
from tests.security.mutation import few, mutated, soon

ROOT = Path(__file__).parent.parent.parent
CATALOGUE = catalogue.load()
DAYS = DayRange(date(2025, 1, 1), date(2026, 12, 31))
NOT_FORESEEN = "lỗi của chương trình"


def samples(pattern: str, most: int = 12_000) -> list[bytes]:
    """The small files of the adapters' own cases."""
    found = [file.read_bytes() for file in sorted((ROOT / "adapters").glob(pattern)) if file.stat().st_size < most]
    assert found
    return found


def workbook() -> bytes:
    made = openpyxl.Workbook()
    sheet = made.active
    assert sheet is not None
    for row in (["Ngày", "Đã thực hiện", "Đã hủy"], [date(2026, 11, 20), 5, 1], ["21/11/2026", "1.234", None]):
        sheet.append(row)
    sheet.merge_cells("A4:B5")
    stream = io.BytesIO()
    made.save(stream)
    return stream.getvalue()


def packed(parts: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return stream.getvalue()


BOOK = workbook()
with zipfile.ZipFile(io.BytesIO(BOOK)) as archive:
    PARTS = {name: archive.read(name) for name in archive.namelist()}


def books() -> st.SearchStrategy[bytes]:
    """A workbook one part of which had accidents, or the file itself."""
    readable = ("xl/work", "xl/shared", "xl/styles", "[Content", "xl/_rels")
    inside = [mutated([PARTS[name]]).map(partial(_with, name)) for name in PARTS if name.startswith(readable)]
    return st.one_of(*inside, mutated([BOOK]))


def _with(name: str, content: bytes) -> bytes:
    return packed(PARTS | {name: content})


TABLES = [
    "Ngày;Đã thực hiện;Đã hủy\n20/11/2026;5;1\n21/11/2026;1.234;\n".encode(),
    'Ngày,Cơ sở,Loại,Số lượng\n2026-11-20,12001,Đã thực hiện,"1,5"\n'.encode("utf-16"),
    "Ngày\tĐã thực hiện\nTháng 10/2026\t7\n".encode("utf-8-sig"),
]
FOLDERS: dict[str, tuple[st.SearchStrategy[bytes], str, dict[str, Any]]] = {
    "his.bhyt_xml": (
        mutated(samples("his/bhyt_cases/*/*.xml")),
        "x.xml",
        {"folder": "in", "folders": {"accepted": "sent"}},
    ),
    "einvoice.xml": (mutated(samples("einvoice/cases/*/*.xml")), "x.xml", {"folder": "in"}),
    "sheet.file": (st.one_of(books(), mutated(TABLES)), "x.xlsx", {"folder": "in", "measure": "telemedicine"}),
}


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_file_after_accidents_costs_at_most_itself(kind: str, tmp_path: Path) -> None:
    contents, name, options = FOLDERS[kind]
    (tmp_path / "in" / "sent").mkdir(parents=True)
    reader = open_source(SourceConfig("x", kind, ("12001",), {}, None, 60, options, tmp_path), CATALOGUE)
    file = tmp_path / "in" / "sent" / name

    @few(30)
    @given(contents)
    def holds(content: bytes) -> None:
        file.write_bytes(content)
        os.utime(file, (1_700_000_000, 1_700_000_000))
        with soon():
            readings = list(reader.read(DAYS, reader.measures, IndexMemory(None, "x")))
        [seen] = [one for reading in readings for one in reading.files]
        assert NOT_FORESEEN not in (seen.problem or "")
        assert all(len(entry.category or "") < 41 and 0 <= entry.cases <= 10**15 for entry in seen.entries or ())

    holds()


@few(60)
@given(st.one_of(mutated(samples("*/*cases/*/*.xml")), st.binary(max_size=200)))
def test_the_door_for_xml_says_that_it_cannot_read_and_nothing_else(content: bytes) -> None:
    with soon():
        for read in (lambda: list(xml.elements(io.BytesIO(content), "HOSO", "HDon")), lambda: xml.document(content)):
            try:
                read()
            except SourceChangedError as error:
                assert content == b"" or len(str(error)) < 200


def loaded_sources(file: Path) -> None:
    """agent.toml with the tables of its kinds. Raises ConfigError."""
    for source in load_agent(file).sources:
        open_source(source.config, CATALOGUE)


AGENTS = [(ROOT / "config" / "agent.toml").read_bytes()] + [
    b'[agent]\nfacility = "12001"\ncollector = "https://x"\ntoken_file = "t"\ndata_dir = "d"\n' + file.read_bytes()
    for file in sorted((ROOT / "adapters").glob("*/*sample.toml"))
]
CALENDAR = (
    '[[off]]\nfirst = 2026-02-16\nlast = 2026-02-20\nname = "Tết"\n[[work]]\nday = 2026-02-28\nname = "bù"\n'.encode()
)
TOML: dict[str, tuple[list[bytes], Callable[[Path], object]]] = {
    "agent": (AGENTS, loaded_sources),
    "collector": ([(ROOT / "config" / "collector.toml").read_bytes()], load_collector),
    "plan": ([file.read_bytes() for file in sorted((ROOT / "config" / "plans").glob("*.toml"))],
             lambda file: plan.load([file], CATALOGUE)),
    "calendar": ([(ROOT / "config" / "calendar.toml").read_bytes(), CALENDAR], calendar.load),
    "catalogue": ([(ROOT / "contract" / "catalogue.toml").read_bytes(), b'[measures.x]\nvi = "a"\n'], catalogue.load),
}  # fmt: skip


@pytest.mark.parametrize("name", TOML)
def test_a_config_after_accidents_is_a_config_or_a_config_error(name: str, tmp_path: Path) -> None:
    seeds, load = TOML[name]
    file = tmp_path / f"{name}.toml"

    @few(20)
    @given(mutated(seeds))
    def holds(content: bytes) -> None:
        file.write_bytes(content)
        with soon():
            try:
                load(file)
            except ConfigError as error:
                assert error.problems

    holds()


@few(25)
@given(
    st.one_of(books(), mutated(["mã,tên,cấp\n12001,Bệnh viện,province\n".encode()])), st.sampled_from(["csv", "xlsx"])
)
def test_a_list_of_facilities_after_accidents_is_read_or_refused(content: bytes, ending: str) -> None:
    with soon():
        try:
            registry.parse(f"x.{ending}", content)
        except ConfigError as error:
            assert error.problems


@few(40)
@given(
    mutated(
        [ssl.DER_cert_to_PEM_cert(b"\x30\x82\x01\x00" + bytes(range(200))).encode(), b"-----BEGIN CERTIFICATE-----"]
    )
)
def test_a_certificate_after_accidents_has_a_date_or_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pem").write_bytes(content)
    try:
        tls.expires(tmp_path / "x.pem")
    except ValueError:
        return
