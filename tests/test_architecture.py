"""The shape of the program (architecture.md, "Layout"): a rule without a test is a wish."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PARTS = ("contract", "adapters", "agent", "collector", "dashboards", "demo")
# part → the parts of ours that it may import
ARROWS = {
    "contract": set(),
    "adapters": {"contract"},
    "agent": {"adapters", "contract"},
    "collector": {"contract"},
    "dashboards": {"contract"},
    "demo": {"adapters", "agent", "collector", "contract"},
}
# part → library that talks to the outside → the modules (or folders) of the part that may import it
DOORS: dict[str, dict[str, set[str]]] = {
    "contract": {"lxml": {"xml.py"}, "openpyxl": {"sheets"}, "ssl": {"tls.py"}},
    "adapters": {
        "httpx": {"http.py"},
        "sqlalchemy": {"sql.py"},
        "sqlite3": {"sql.py"},
        "ssl": {"http.py"},
    },
    "agent": {
        "apscheduler": {"schedule.py"},
        "httpx": {"link.py"},
        "ssl": {"link.py"},
        "subprocess": {"reads.py"},
        # the ledger's file has one door that opens it, disk.py; the others speak through its connection
        "sqlite3": {"disk.py", "ledger.py", "index.py", "sources.py", "checking.py", "reader.py"},
    },
    "collector": {
        "alembic": {"store", "migrations"},
        "authlib": {"sso.py"},
        "docx": {"reports"},
        "httpx": {"sso.py"},
        "joserfc": {"sso.py"},
        "openpyxl": {"registry.py", "reports"},
        "sqlalchemy": {"store", "migrations"},
        "smtplib": {"mail.py"},
        "ssl": {"mail.py", "serving.py", "sso.py"},
        "subprocess": {"reports"},
        "typst": {"reports"},
        "uvicorn": {"__main__.py", "patience.py"},
    },
    "dashboards": {},
    "demo": {
        "httpx": {"running.py", "__main__.py"},
        "socket": {"running.py", "__main__.py"},
        "sqlite3": {"rows.py"},
        "subprocess": {"children.py"},
    },
}
OUTSIDE = {library for doors in DOORS.values() for library in doors} | {
    *("aiohttp", "ftplib", "http", "oracledb", "paramiko", "psycopg", "pymssql", "pymysql", "requests", "smtplib"),
    *("socket", "telnetlib", "urllib3"),
}
DRAWERS = {"utils", "util", "helpers", "helper", "common", "core", "base", "manager", "service", "misc"}
LONGEST_FUNCTION = 60


def is_test(file: Path) -> bool:
    return file.name.startswith("test_") or file.name == "conftest.py"


def modules(part: str) -> Iterator[Path]:
    """The modules of a part that are installed."""
    return (file for file in sorted((ROOT / part).rglob("*.py")) if not is_test(file))


def imports(file: Path) -> set[str]:
    """The full names of all that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def roots(file: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(file)}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_imports_only_what_its_arrows_point_to(part: str) -> None:
    ours = {*PARTS, "tests", "benchmarks", "deploy"} - {part}
    wrong = {str(file.relative_to(ROOT)): roots(file) & ours - ARROWS[part] for file in modules(part)}
    assert {name: found for name, found in wrong.items() if found} == {}


@pytest.mark.parametrize("part", PARTS)
def test_a_library_that_talks_to_the_outside_has_one_door_in_a_part(part: str) -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for file in modules(part):
        for library in roots(file) & OUTSIDE:
            found[library].add(file.relative_to(ROOT / part).parts[0])
    beyond = {library: files - DOORS[part].get(library, set()) for library, files in found.items()}
    assert {library: files for library, files in beyond.items() if files} == {}


def test_no_adapter_imports_another() -> None:
    kinds = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in modules("adapters")
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name == "adapter"
    }
    assert "adapters.his.sql" in kinds
    assert [(str(file), found) for file in modules("adapters") if (found := imports(file) & kinds)] == []


def test_no_module_is_a_drawer_for_everything() -> None:
    names = {file for part in PARTS for file in [*modules(part), *(ROOT / part).rglob("*/")] if file.stem in DRAWERS}
    assert names == set()


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{file.relative_to(ROOT)}:{node.lineno} {node.name}"
        for part in PARTS
        for file in modules(part)
        if "migrations" not in file.parts  # a table after the other, written once
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    ]
    assert long == []


def test_nothing_is_left_to_do() -> None:
    mark = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
    files = [file for part in (*PARTS, "tests") for file in (ROOT / part).rglob("*.py")]
    assert [str(file.relative_to(ROOT)) for file in files if mark.search(file.read_text("utf-8"))] == []
