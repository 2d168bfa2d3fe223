"""The units of deploy/: accepted by systemd itself, and as closed as the docs say."""

import configparser
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
UNITS = sorted((ROOT / "deploy").glob("*.service"))
# Nothing is installed for this: Debian's systemd has it, where there is one.
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
PAGES = {"nhipso-agent": "docs/agent.md", "nhipso-collector": "docs/collector.md"}


def analysed(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60)


@pytest.fixture(params=UNITS, ids=lambda unit: unit.stem)
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy whose program is installed on this machine."""
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", request.param.read_text("utf-8"), flags=re.M)
    copy = tmp_path / str(request.param.name)
    copy.write_text(text, "utf-8")
    return copy


def test_there_is_a_unit_for_each_service() -> None:
    assert {unit.stem for unit in UNITS} == set(PAGES)


@needs_systemd
def test_systemd_takes_a_unit_without_a_word(unit: Path) -> None:
    done = analysed("verify", "--man=no", str(unit))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
def test_the_exposure_of_a_unit_is_what_its_page_says(unit: Path) -> None:
    done = analysed("security", "--offline=true", "--no-pager", str(unit))
    found = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert found and float(found[1]) < 1.5
    page = (ROOT / PAGES[unit.stem]).read_text("utf-8")
    assert f"{found[1].replace('.', ',')} trên thang 10" in page


@needs_systemd
def test_nothing_of_the_sandbox_is_unknown_to_systemd(unit: Path) -> None:
    unit.write_text(unit.read_text("utf-8").replace("PrivateTmp=yes", "PrivateTemp=yes"), "utf-8")
    assert "PrivateTemp" in analysed("verify", "--man=no", str(unit)).stderr  # so the test above would have seen it


@pytest.mark.parametrize("file", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_writes_only_its_own_directory_and_needs_no_rights(file: Path) -> None:
    parser = configparser.RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(file.read_text("utf-8"))
    service = parser["Service"]
    assert (service["User"], service["StateDirectory"], service["UMask"]) == (file.stem, file.stem, "0077")
    assert (service["CapabilityBoundingSet"], service["ProtectSystem"]) == ("", "strict")
    assert "ReadWritePaths" not in service
    assert json.dumps(dict(service)).lower().count("password") == 0
