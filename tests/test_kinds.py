"""The one suite that every kind of source must pass, whatever it reads. A new kind is found by itself."""

import importlib
import re
import tomllib
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from agent.reader import IndexMemory
from contract.adapter import Adapter, SourceConfig
from contract.catalogue import load
from contract.days import DayRange, local_day, now
from contract.errors import ConfigError, SourceError

ADAPTERS = Path(__file__).parent.parent / "adapters"
CATALOGUE = load()
HEADINGS = ("What it reads", "What the hospital must grant", "Configuration", "Known limits")
SECRET = "MARK-SECRET-5r7Kq"
# What the files that a table names hold, in a test where nothing answers at the other end.
CONTENT = {
    "database_file": f"postgresql://nhipso:{SECRET}@127.0.0.1:1/his",
    # Bkav's is a key and an initial vector
    "partner_token_file": f"{b64encode(SECRET.ljust(32).encode()).decode()}:{b64encode(SECRET[:16].encode()).decode()}",
}
COMMON = ("kind", "timeout_seconds", "measures", "facilities", "from", "part", "role", "cadence")


def kinds() -> list[str]:
    """Every `folder.module` with an `adapter` function."""
    found = [file for file in sorted(ADAPTERS.glob("*/*.py")) if "\ndef adapter(" in file.read_text("utf-8")]
    return [f"{file.parent.name}.{file.stem}" for file in found]


def beside(kind: str, own: str, shared: str) -> Path:
    """A file of a kind: one with the module's name where a folder has several kinds, else the folder's."""
    folder, module = kind.split(".")
    path = ADAPTERS / folder / own.format(module)
    return path if path.exists() else ADAPTERS / folder / shared


def sample(kind: str) -> dict[str, Any]:
    """The one source of a kind's sample.toml."""
    text = beside(kind, "{}.sample.toml", "sample.toml").read_text("utf-8")
    sources = [table for table in tomllib.loads(text)["sources"].values() if table["kind"] == kind]
    assert len(sources) == 1
    return dict(sources[0])


def build(kind: str, table: dict[str, Any], directory: Path) -> Adapter:
    """The adapter of a table, with every file that it names in `directory`."""
    for name, value in table.items():
        if name.endswith("_file"):
            (directory / value).parent.mkdir(parents=True, exist_ok=True)
            (directory / value).write_text(CONTENT.get(name, SECRET), "utf-8")
    config = SourceConfig(
        name="x",
        kind=kind,
        facilities=("12001",),
        facility_map=table.get("facilities", {}),
        measures=tuple(table["measures"]) if "measures" in table else None,
        timeout_seconds=2,
        cadence=table.get("cadence"),
        options={name: value for name, value in table.items() if name not in COMMON},
        directory=directory,
    )
    module = importlib.import_module(f"adapters.{kind}")
    adapter: Adapter = module.adapter(config, CATALOGUE)
    return adapter


every_kind = pytest.mark.parametrize("kind", kinds())


@every_kind
def test_its_page_has_the_four_headings(kind: str) -> None:
    text = beside(kind, "{}.md", "README.md").read_text("utf-8")
    assert [heading for heading in HEADINGS if not re.search(rf"^##+ {heading}", text, re.M)] == []


@every_kind
def test_every_option_of_its_sample_stands_under_a_sentence(kind: str) -> None:
    lines = beside(kind, "{}.sample.toml", "sample.toml").read_text("utf-8").splitlines()
    bare, in_text = [], False
    for above, line in zip(["", *lines], lines, strict=False):
        option = re.match(r"^(?:# )?([a-z_]+) = ", line)
        if (
            option
            and not in_text
            and not re.match(r"^#+ +\S", above)
            and not re.match(r"^(?:# )?[A-Za-z0-9_\"]+ = ", above)
        ):
            bare.append(option.group(1))
        in_text ^= line.count('"""') % 2 == 1
    assert bare == []


@every_kind
def test_its_sample_is_accepted_and_explains_every_measure(kind: str, tmp_path: Path) -> None:
    adapter = build(kind, sample(kind), tmp_path)
    assert adapter.measures
    assert [measure for measure in adapter.measures if measure not in CATALOGUE.measures] == []
    assert [measure for measure in adapter.measures if len(adapter.explain(measure)) < 40] == []


@every_kind
def test_no_secret_is_in_its_identity_or_its_explanations(kind: str, tmp_path: Path) -> None:
    adapter = build(kind, sample(kind), tmp_path)
    said = [adapter.identity, *(adapter.explain(measure) for measure in adapter.measures)]
    assert [text for text in said if SECRET in text] == []
    assert adapter.identity == build(kind, sample(kind), tmp_path).identity


@every_kind
@pytest.mark.parametrize(
    "mistake", [{"no_such_key": 1}, {"measures": ["no_such_measure"]}], ids=["unknown key", "unknown measure"]
)
def test_a_mistake_in_its_table_is_a_config_error_that_names_it(
    kind: str, mistake: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        build(kind, {**sample(kind), **mistake}, tmp_path)
    assert re.search("no_such", str(caught.value))
    assert SECRET not in str(caught.value)


@every_kind
def test_all_mistakes_of_its_table_are_named_at_once(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        build(kind, {**sample(kind), "no_such_key": 1, "nor_this": "x"}, tmp_path)
    assert all(any(name in problem for problem in caught.value.problems) for name in ("no_such_key", "nor_this"))


@every_kind
def test_a_source_that_is_not_there_is_a_source_error_in_our_own_words(kind: str, tmp_path: Path) -> None:
    adapter = build(kind, sample(kind), tmp_path)
    days = DayRange.ending(local_day(now()), 3)
    errors: list[SourceError] = []
    with pytest.raises(SourceError) as caught:
        adapter.probe()
    errors.append(caught.value)
    try:
        for reading in adapter.read(days, adapter.measures, IndexMemory(None, "x")):
            assert [count for count in reading.tallies if count.counts] == []
            errors += reading.failed.values()
    except SourceError as error:
        errors.append(error)
    assert len(errors) >= 2
    assert [text for text in map(str, errors) if SECRET in text or "Traceback" in text or "Errno" in text] == []
