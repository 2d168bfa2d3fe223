"""Kind `emr.sql`: HisPro's EMR_RS, joined with HIS_RS, and queries of a hospital's own."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from adapters.conftest import Said, read, run, shipped
from adapters.emr.sql import adapter
from adapters.his.sql import adapter as his_adapter
from contract.adapter import Adapter, SourceConfig

HERE = Path(__file__).parent
SCHEMAS = ("his_rs", "emr_rs")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """The options of a source that reads a small HisPro."""
    if request.param == "sqlite":
        url, attach = "sqlite://", {name: f"{name}.sqlite" for name in SCHEMAS}
        begin = [f"ATTACH DATABASE '{tmp_path / file}' AS {name}" for name, file in attach.items()]
    else:
        url, attach = str(request.getfixturevalue("postgres_url")), {}
        begin = [f"CREATE SCHEMA {name}" for name in SCHEMAS]
    run(url, *begin, *(HERE / "cases" / "sql" / "hispro.sql").read_text("utf-8").strip().split(";\n"))
    (tmp_path / "url").write_text(url, "utf-8")
    return {"database_file": "url", "attach": attach, "vendor": "hispro"}


def opened(directory: Path, options: dict[str, Any], facilities: dict[str, str] | None = None) -> Adapter:
    served = tuple((facilities or {"": "12001"}).values())
    return adapter(SourceConfig("emr", "emr.sql", served, facilities or {}, None, 30, options, directory), shipped())


def on_the_day(said: Said, measure: str, facility: str = "12001") -> dict[str, int]:
    assert not said.failed, said.failed
    return said.counts[measure, facility, "2026-11-20"]


def test_a_record_is_electronic_only_when_nothing_in_it_is_scanned_waiting_or_rejected(
    table: dict[str, Any], tmp_path: Path
) -> None:
    said = read(opened(tmp_path, table))
    # electronic: T1, T11 · hybrid: T2, T3, T10 · paper: T4, T7 · unknown: T8
    assert on_the_day(said, "records") == {"electronic": 2, "hybrid": 3, "paper": 2, "unknown": 1}
    assert on_the_day(said, "record_documents") == {"signed": 3, "waiting": 2, "scanned": 1, "rejected": 1}
    assert "MARK" not in repr(said)


def test_with_required_documents_a_record_without_one_of_them_is_not_electronic(
    table: dict[str, Any], tmp_path: Path
) -> None:
    said = read(opened(tmp_path, {**table, "required_documents": ["BA"]}))
    assert on_the_day(said, "records") == {"electronic": 1, "hybrid": 3, "paper": 2, "unknown": 2}


def test_branches_are_facilities_and_one_without_is_named(table: dict[str, Any], tmp_path: Path) -> None:
    said = read(opened(tmp_path, table, {"1": "12001", "2": "12002"}))
    assert on_the_day(said, "records") == {"electronic": 2, "hybrid": 2, "paper": 2, "unknown": 1}
    assert on_the_day(said, "records", "12002") == {"hybrid": 1}
    assert said.strangers == {"NULL": 1}  # a document of no treatment


def test_an_emr_of_another_vendor_is_read_by_queries(table: dict[str, Any], tmp_path: Path) -> None:
    query = {
        "time": "number14",
        "sql": "SELECT FLOOR(create_date / 1000000) AS day, document_type_id AS category, COUNT(*) AS count"
        " FROM emr_rs.emr_document WHERE create_date >= :start AND create_date < :end"
        " GROUP BY FLOOR(create_date / 1000000), document_type_id",
        "categories": {"1": "signed", "2": "waiting"},
    }
    own = {key: value for key, value in table.items() if key != "vendor"}
    said = read(opened(tmp_path, {**own, "queries": {"record_documents": query}}))
    assert on_the_day(said, "record_documents") == {"signed": 7, "waiting": 2}
    spoilt = {**query, "sql": str(query["sql"]).replace("FLOOR(create_date / 1000000)", "document_name")}
    said = read(opened(tmp_path, {**own, "queries": {"record_documents": spoilt}}))
    assert list(said.failed) == ["record_documents"]
    assert "MARK" not in repr(said)


def test_his_sql_counts_the_records_of_hispro_by_the_very_same_queries(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("sqlite://", "utf-8")
    options = {"database_file": "url", "vendor": "hispro"}
    emr = opened(tmp_path, options)
    his = his_adapter(SourceConfig("emr", "his.sql", ("12001",), {}, None, 30, options, tmp_path), shipped())
    assert emr.measures == ("records", "record_documents")
    assert [emr.explain(measure) for measure in emr.measures] == [his.explain(measure) for measure in emr.measures]


def test_the_sample_with_all_its_options_says_how_every_figure_comes_about(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("sqlite://", "utf-8")
    text = (HERE / "sql.sample.toml").read_text("utf-8")
    # the template of a query is uncommented whole, prose stays
    whole = re.sub(r'^# (?=\w+ = |\[|"""|SELECT|FROM|WHERE|GROUP)', "", text, flags=re.MULTILINE)
    for content in (text, whole):
        table = tomllib.loads(content)["sources"]["emr"]
        facilities = table.get("facilities")
        common = ("kind", "facilities", "measures", "timeout_seconds", "from")
        options = {key: value for key, value in table.items() if key not in common} | {"database_file": "url"}
        reader = opened(tmp_path, options, facilities)
        assert reader.measures == ("records", "record_documents")
    assert "cho_ky → waiting" in reader.explain("record_documents")
