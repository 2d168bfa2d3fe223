"""What `make audit` and `make sbom` say, and that our own code passes the part that needs no network."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.security.audit import CLEAN, FOUND, UNCHECKED, audit_code, of_locked

ROOT = Path(__file__).parent.parent.parent
FLAW = {"id": "PYSEC-1", "fix_versions": ["2.0"], "aliases": [], "description": "x"}


def said(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def package(name: str, *flaws: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "version": "1.0", "vulns": list(flaws)}


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (said(package("a"), package("b")), CLEAN, "2 of 2 packages checked, 0 findings"),
        (said(package("a", FLAW)), FOUND, "a 1.0: PYSEC-1, mended in 2.0"),
        (said(package("a"), {"name": "b", "skip_reason": "not found"}), UNCHECKED, "NOT CHECKED"),
        (said(package("a", FLAW), {"name": "b", "skip_reason": "not found"}), FOUND, "NOT CHECKED"),
        (said(), UNCHECKED, "NOT CHECKED"),
        ("", UNCHECKED, "did not answer: no route"),
        ("<html>", UNCHECKED, "NOT CHECKED"),
    ],
)
def test_a_service_that_does_not_answer_is_never_good_news(text: str, code: int, words: str) -> None:
    verdict = of_locked("x.lock", text, "no route")
    assert verdict.code == code
    assert words in "\n".join(verdict.lines)


def test_bandit_finds_nothing_in_our_code_that_is_not_answered() -> None:
    verdict = audit_code()
    assert verdict.code == CLEAN, "\n".join(verdict.lines)


def test_bandit_does_look(tmp_path: Path) -> None:
    (tmp_path / "slip.py").write_text("import pickle\npickle.loads(input())\neval(input())\n")
    verdict = audit_code(["slip.py"], tmp_path)
    assert verdict.code == FOUND
    assert any("B301" in line for line in verdict.lines) and any("B307" in line for line in verdict.lines)


def test_the_bill_of_materials_names_every_locked_package_with_its_hashes_and_no_index(tmp_path: Path) -> None:
    recipe = (ROOT / "Makefile").read_text()
    [line] = [one.strip() for one in recipe.splitlines() if "cyclonedx-py" in one]
    command = line.replace("$(BIN)/cyclonedx-py", f"{sys.executable} -m cyclonedx_py").replace("dist/", f"{tmp_path}/")
    subprocess.run(command, shell=True, check=True, cwd=ROOT, capture_output=True, timeout=120)
    [made] = tmp_path.iterdir()
    bill = json.loads(made.read_text("utf-8"))
    locked = (ROOT / "requirements" / "demo.lock").read_text()
    assert {f"{one['name']}=={one['version']}" for one in bill["components"]} == {
        line.split()[0] for line in locked.splitlines() if line[:1].isalnum()
    }
    assert all(one["externalReferences"][0]["hashes"] for one in bill["components"])
    assert not [one for one in bill["components"] if "://" in one["externalReferences"][0]["url"]]
