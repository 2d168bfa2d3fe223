"""Kind `office.sql`: the queries of sample.toml, on the schema that they are written for."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from adapters.conftest import Said, read, run, shipped
from adapters.office.sql import adapter
from contract.adapter import Adapter, SourceConfig
from contract.errors import ConfigError

HERE = Path(__file__).parent
SAMPLE = tomllib.loads((HERE / "sample.toml").read_text("utf-8"))["sources"]["office"]


SERVERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("postgres_url", "mariadb_url")]


@pytest.fixture(params=["sqlite", *SERVERS])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A document system as hospitals have them."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'qlvb.sqlite'}"
    else:
        url = str(request.getfixturevalue(request.param))
    zone = ["SET time_zone = '+07:00'"] if url.startswith("mysql") else []
    run(url, *zone, *(HERE / "cases" / "qlvb.sql").read_text("utf-8").strip().split(";\n"))
    return url


def opened(url: str, directory: Path, table: dict[str, Any]) -> Adapter:
    (directory / "url").write_text(url, "utf-8")
    facilities = table.get("facilities", {})
    options = {key: value for key, value in table.items() if key not in ("kind", "facilities", "measures")}
    served = tuple(facilities.values()) or ("12001",)
    config = SourceConfig(
        "office", "office.sql", served, facilities, None, 30, {**options, "database_file": "url"}, directory
    )
    return adapter(config, shipped())


def counts(said: Said) -> dict[str, dict[str, dict[str, int]]]:
    """Measure → facility → category → count."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for (measure, facility, _), by_category in said.counts.items():
        found.setdefault(measure, {})[facility] = by_category
    return found


def test_work_files_and_documents_are_counted_by_the_day_that_closes_them(url: str, tmp_path: Path) -> None:
    said = read(opened(url, tmp_path, SAMPLE))
    assert not said.failed
    assert counts(said) == {
        "work_records": {"12001": {"online": 2, "paper": 2, "unknown": 1}, "12002": {"paper": 1}},
        "documents": {"12001": {"digitally_signed": 2, "not_signed": 2}, "12002": {"digitally_signed": 1}},
        "document_exchange": {"12001": {"network": 1, "paper": 2, "unknown": 1}, "12002": {"network": 1}},
    }
    assert said.strangers == {"KHAC": 1}
    assert said.days == 3 * 2
    assert "MARK" not in repr(said)


def test_a_column_that_is_no_day_or_count_is_named_and_never_quoted(url: str, tmp_path: Path) -> None:
    text = SAMPLE["queries"]["documents"]["sql"]
    for wrong in (
        re.sub(r"DATE\(v.ngay_phat_hanh\)", "v.nguoi_ky", text),
        text.replace("COUNT(*)", "MIN(v.trich_yeu)"),
        text.replace("v.kieu_ky AS category", "v.khong_co AS category"),
    ):
        said = read(opened(url, tmp_path, {**SAMPLE, "queries": {"documents": {"sql": wrong}}}))
        assert list(said.failed) == ["documents"]
        assert "MARK" not in repr(said)


def test_the_sample_says_how_every_figure_comes_about(tmp_path: Path) -> None:
    text = re.sub(r'^# (?=\w+ = |\[|")', "", (HERE / "sample.toml").read_text("utf-8"), flags=re.MULTILINE)
    for table in (SAMPLE, tomllib.loads(text)["sources"]["office"]):
        table = {key: value for key, value in table.items() if key not in ("timeout_seconds", "from")}
        reader = opened("sqlite:///x.sqlite", tmp_path, table)
        assert reader.measures == ("work_records", "documents", "document_exchange")
        assert "dien_tu → online" in reader.explain("work_records").casefold()


def test_there_is_no_vendor_yet(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="vendor: không có “ioffice”"):
        opened("sqlite:///x.sqlite", tmp_path, {**SAMPLE, "vendor": "ioffice"})
