"""What the docs say exists, and what exists is in the docs."""

import re
import subprocess
import tomllib
from pathlib import Path

import click
import pytest

from agent.__main__ import main as agent_main
from agent.settings import AgentTable, SourceTable
from collector.__main__ import main as collector_main
from collector.settings import Table as CollectorTable

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "adapters").rglob("*.md"))]


def tracked() -> list[Path]:
    """The files of the repository, whether committed already or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def commands(group: click.Group, prefix: str = "") -> list[str]:
    """All commands of a group, those of its groups as `facility add`."""
    found = []
    for name, command in group.commands.items():
        found += commands(command, f"{prefix}{name} ") if isinstance(command, click.Group) else [f"{prefix}{name}"]
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_of_a_page_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text("utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize(
    ("page", "group"),
    [("docs/agent.md", agent_main), ("docs/collector.md", collector_main)],
    ids=["agent", "collector"],
)
def test_every_command_is_in_its_page(page: str, group: click.Group) -> None:
    text = (ROOT / page).read_text("utf-8")
    assert [command for command in commands(group) if f"{command}" not in text] == []


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^    make (\w+)", (ROOT / "README.md").read_text(), re.M)
    assert {"demo", "test"} <= set(targets)
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.M)] == []


def test_the_sample_agent_toml_shows_every_key_and_is_accepted() -> None:
    text = (ROOT / "config" / "agent.toml").read_text("utf-8")
    keys = {*AgentTable.model_fields, *(field.alias or name for name, field in SourceTable.model_fields.items())}
    assert [key for key in keys if not re.search(rf"\b{key} = |\[sources\.his\.{key}\]", text)] == []
    assert AgentTable.model_validate(tomllib.loads(text)["agent"]).facility == "12001"


def test_the_sample_collector_toml_shows_every_key_and_is_accepted() -> None:
    text = (ROOT / "config" / "collector.toml").read_text("utf-8")
    assert [key for key in CollectorTable.model_fields if not re.search(rf"^(# )?{key} = ", text, re.M)] == []
    CollectorTable.model_validate(tomllib.loads(text)["collector"])


def test_no_file_names_a_package_index_or_a_path_of_a_machine() -> None:
    # spelled in pieces, so that this file does not find itself
    forbidden = re.compile("|".join(["files.python" + "hosted", "pypi" + r"\.org", "/" + "work/", "/ro" + "ot/"]))
    found = []
    for file in tracked():
        try:
            text = file.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        if forbidden.search(text):
            found.append(str(file.relative_to(ROOT)))
    assert found == []
