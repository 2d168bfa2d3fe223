"""A command whose libraries come with an extra says which, when they are not there."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(("part", "library"), [("collector", "alembic"), ("dashboards", "yaml")])
def test_a_command_without_its_extra_names_it_and_ends_with_2(part: str, library: str) -> None:
    code = f"import sys; sys.modules['{library}'] = None; import {part}; {part}.main()"
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"“{library}”" in done.stderr and f"nhipso[{part}]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("part", ["collector", "dashboards"])
def test_with_its_extra_it_runs(part: str) -> None:
    code = f"import {part}; {part}.main()"
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_agent_needs_nothing_of_the_sign_on() -> None:
    blocked = "".join(f"sys.modules[{name!r}] = None; " for name in ("authlib", "cryptography", "joserfc"))
    code = f"import sys; {blocked}from agent.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
