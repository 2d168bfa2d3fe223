"""docs/threat-model.md names what holds each of its lines: those tests exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
THREATS = (
    "hospital insider",
    "stolen agent PC",
    "stolen token",
    "hostile hospital",
    "hostile network",
    "leaked backup",
)


def test_every_threat_says_what_is_done_by_which_test_and_what_is_not() -> None:
    for threat in THREATS:
        [section] = re.findall(rf"^## An? {threat}\n(.*?)(?=^## )", TEXT, re.M | re.S)
        rows = [line for line in section.splitlines() if line.startswith("| ") and not line.startswith("| done")]
        assert rows and all(re.search(r"`test_\w+`|`[\w/]+\.py`", row) for row in rows), threat
        assert "**Not done.**" in section, threat


def test_every_test_that_is_named_exists() -> None:
    files = [file for file in ROOT.rglob("test_*.py") if ".venv" not in file.parts]
    known = {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text("utf-8"))}
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    assert len(named) > 30
    assert sorted(named - known) == []
    assert [
        path for path in re.findall(r"`((?:tests|collector)/[\w/]+\.py)`", TEXT) if not (ROOT / path).exists()
    ] == []
