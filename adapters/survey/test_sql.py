"""Kind `survey.sql`: answers on a scale of 1 to 5, as numbers, as text and in words."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from adapters.conftest import read, run, shipped
from adapters.survey.sql import MEASURES, SCALE, adapter
from contract.adapter import Adapter, SourceConfig
from contract.errors import ConfigError

HERE = Path(__file__).parent
SAMPLE = tomllib.loads((HERE / "sample.toml").read_text("utf-8"))["sources"]["survey"]
DAY = "2026-11-20"


SERVERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("postgres_url", "mariadb_url")]


@pytest.fixture(params=["sqlite", *SERVERS])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Survey answers as hospitals keep them."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'survey.sqlite'}"
    else:
        url = str(request.getfixturevalue(request.param))
    zone = ["SET time_zone = '+07:00'"] if url.startswith("mysql") else []
    run(url, *zone, *(HERE / "cases" / "survey.sql").read_text("utf-8").strip().split(";\n"))
    return url


def opened(url: str, directory: Path, queries: Any = SAMPLE["queries"], **table: Any) -> Adapter:
    (directory / "url").write_text(url, "utf-8")
    options = {"database_file": "url", "queries": queries, **table}
    return adapter(SourceConfig("survey", "survey.sql", ("12001",), {}, None, 30, options, directory), shipped())


def test_4_and_5_are_satisfied_3_is_neutral_1_and_2_are_dissatisfied_the_rest_is_unknown(
    url: str, tmp_path: Path
) -> None:
    said = read(opened(url, tmp_path))
    assert not said.failed
    assert said.counts == {
        ("satisfaction", "12001", DAY): {"satisfied": 4, "neutral": 2, "dissatisfied": 2, "unknown": 4},
        ("procedure_opinions", "12001", DAY): {"satisfied": 2, "neutral": 1, "dissatisfied": 1, "unknown": 2},
    }
    assert said.unmapped == {"0": 1, "6": 1, "4.5": 1, "không trả lời": 1}
    assert "MARK" not in repr(said)


def test_a_scale_that_runs_the_other_way_is_declared(url: str, tmp_path: Path) -> None:
    turned = {"1": "satisfied", "2": "satisfied", "4": "dissatisfied", "5": "dissatisfied"}
    query = {**SAMPLE["queries"]["procedure_opinions"], "categories": turned}
    said = read(opened(url, tmp_path, {"procedure_opinions": query}))
    assert said.counts["procedure_opinions", "12001", DAY] == {
        "satisfied": 1,
        "neutral": 1,
        "dissatisfied": 2,
        "unknown": 2,
    }


def test_a_query_under_another_name_has_the_scale_too(url: str, tmp_path: Path) -> None:
    query = {**SAMPLE["queries"]["satisfaction"], "measure": "satisfaction"}
    said = read(opened(url, tmp_path, {"phieu": query}))
    assert said.counts["satisfaction", "12001", DAY]["satisfied"] == 4


def test_a_column_that_is_no_day_is_named_and_never_quoted(url: str, tmp_path: Path) -> None:
    text = SAMPLE["queries"]["satisfaction"]["sql"].replace("DATE(p.ngay_tra_loi)", "p.ho_ten")
    said = read(opened(url, tmp_path, {"satisfaction": {"sql": text}}))
    assert list(said.failed) == ["satisfaction"]
    assert "MARK" not in repr(said)


def test_the_scale_knows_the_categories_of_the_catalogue() -> None:
    for measure in MEASURES:
        assert set(SCALE) == set(shipped().measures[measure].categories)


def test_the_sample_with_all_its_options_says_how_every_figure_comes_about(tmp_path: Path) -> None:
    text = re.sub(r'^# (?=\w+ = |\[|")', "", (HERE / "sample.toml").read_text("utf-8"), flags=re.MULTILINE)
    table = tomllib.loads(text)["sources"]["survey"]
    reader = opened("sqlite:///x.sqlite", tmp_path, table["queries"])
    assert reader.measures == tuple(table["measures"]) == MEASURES
    assert "mặt cười → satisfied" in reader.explain("satisfaction")
    assert "rất hài lòng → satisfied" in reader.explain("procedure_opinions")


@pytest.mark.parametrize("queries", [{}, [], {"satisfaction": []}, {"satisfaction": {"sql": 1, "categories": 5}}])
def test_queries_that_are_no_tables_are_named(tmp_path: Path, queries: Any) -> None:
    with pytest.raises(ConfigError):
        opened("sqlite:///x.sqlite", tmp_path, queries)
