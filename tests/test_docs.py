"""What the docs say exists, and what exists is in the docs."""

import re
import subprocess
import textwrap
import tomllib
from datetime import date
from pathlib import Path
from typing import Any, get_args

import click
import pytest
from pydantic import BaseModel

from agent.__main__ import main as agent_main
from agent.settings import AgentTable, SourceTable
from collector.__main__ import main as collector_main
from collector.settings import File as CollectorFile
from contract.findings import WORDS
from dashboards import routes, rules, settings
from dashboards.__main__ import main as dashboards_main

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


def unshown(text: str, table: str, shape: Any) -> list[str]:
    """The keys of `[table]` that a sample does not show: set, commented out, or as a table of their own."""
    assert issubclass(shape, BaseModel)
    here = "".join(re.findall(rf"^(?:# )?\[+{table}\]+\n(.*?)(?=^(?:# )?\[|\Z)", text, re.M | re.S))
    keys = [field.alias or name for name, field in shape.model_fields.items()]
    own = re.findall(rf"^(?:# )?\[{table}\.(\w+)\]$", text, re.M)
    return [key for key in keys if key not in own and not re.search(rf"^(# )?{key} = ", here, re.M)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_of_a_page_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text("utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize(
    ("page", "group"),
    [("docs/agent.md", agent_main), ("docs/collector.md", collector_main), ("docs/dashboards.md", dashboards_main)],
    ids=["agent", "collector", "dashboards"],
)
def test_every_command_is_in_its_page(page: str, group: click.Group) -> None:
    text = (ROOT / page).read_text("utf-8")
    shown = {one for one in commands(group) if re.search(rf"nhipso-\w+(?: --config \S+)? {one}\b|`{one}\b", text)}
    assert [one for one in commands(group) if one not in shown] == []


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
    shapes = {name: field.annotation for name, field in CollectorFile.model_fields.items()}
    # `Table | None`: the whole table may be left out
    tables = {name: (get_args(shape) or (shape,))[0] for name, shape in shapes.items()}
    assert [f"{name}.{key}" for name, table in tables.items() for key in unshown(text, name, table)] == []
    found = CollectorFile.model_validate(tomllib.loads(text))
    defaults = CollectorFile.model_validate({"collector": {"data_dir": "data"}})
    assert found == defaults, "what the sample sets and does not comment out is the default"


def test_the_sample_dashboards_toml_shows_every_key_and_is_accepted() -> None:
    text = (ROOT / "config" / "dashboards.toml").read_text("utf-8")
    tables = {
        "dashboards": settings.General,
        "alerts": settings.Alerts,
        "delivery": settings.Delivery,
        "mail": settings.Mail,
        "telegram": settings.Telegram,
        "webhooks": settings.Webhook,
    }
    assert [f"{name}.{key}" for name, table in tables.items() for key in unshown(text, name, table)] == []
    found = settings.load(ROOT / "config" / "dashboards.toml")
    assert (found.alerts, found.delivery) == (settings.Alerts(), settings.Delivery())
    assert found.general == settings.General(portal_url=found.general.portal_url)
    assert (found.mail, found.telegram, found.webhooks) == (None, None, ())


def test_every_line_of_the_sample_dashboards_toml_that_is_commented_out_is_accepted_too(tmp_path: Path) -> None:
    text = (ROOT / "config" / "dashboards.toml").read_text("utf-8")
    for name in ("catalogue.toml", "calendar.toml"):
        (tmp_path / name).touch()
    (tmp_path / "facilities.csv").write_text("id,name,area,email\n12002,Bệnh viện,Mường Tè,a@b.vn\n", "utf-8")
    (tmp_path / "telegram.token").write_text("1:x")
    (tmp_path / "plans").symlink_to(ROOT / "config" / "plans")
    (tmp_path / "dashboards.toml").write_text(re.sub(r"^# (?=\[|\"|\w+ = )", "", text, flags=re.M), "utf-8")
    found = settings.load(tmp_path / "dashboards.toml")
    assert found.mail is not None
    assert (list(found.mail.areas), [one.watchdog for one in found.webhooks]) == (["Mường Tè"], [False, True])
    made = {**rules.files(found, date(2026, 11, 22)), **routes.files(found, date(2026, 11, 22))}
    assert rules.problems(found, made) + routes.problems(found, made) == []


def test_the_page_of_the_collector_tells_every_finding() -> None:
    text = (ROOT / "docs" / "collector.md").read_text("utf-8")
    assert [code for code, words in WORDS.items() if f"| `{code}` | {words.vi} |" not in text] == []


def test_the_page_of_the_dashboards_has_a_configuration_that_is_accepted(tmp_path: Path) -> None:
    blocks = re.findall(r"(?:^    .*\n|^\n)+", (ROOT / "docs" / "dashboards.md").read_text("utf-8"), re.M)
    (text,) = [textwrap.dedent(one) for one in blocks if "    [dashboards]\n" in one]
    (tmp_path / "dashboards.toml").write_text(text, "utf-8")
    (tmp_path / "calendar.toml").touch()
    (tmp_path / "facilities.csv").write_text("id,name,area,email\n12001,Bệnh viện,,\n", "utf-8")
    (tmp_path / "plans").symlink_to(ROOT / "config" / "plans")
    assert settings.load(tmp_path / "dashboards.toml").mail is not None


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
