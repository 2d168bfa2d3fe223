"""What is small on the wire and large in memory: every reader stops in time, within a memory that a cheap PC has."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.security.bombs import MEMORY

# pydantic's own: the callers of these two take it for a malformed message
REFUSALS = {"refused by SourceChangedError", "refused by ConfigError", "ValidationError"}


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="the limit is POSIX's")
def test_no_bomb_takes_more_memory_or_time_than_an_honest_file() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.security.bombs"],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=Path(__file__).parent.parent.parent,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said: dict[str, tuple[str, float]] = json.loads(done.stdout)
    assert len(said) >= 18
    assert {name: outcome for name, (outcome, _) in said.items() if outcome not in REFUSALS} == {}
    assert {name: seconds for name, (_, seconds) in said.items() if seconds > 5} == {}
    assert MEMORY < 1024**3
