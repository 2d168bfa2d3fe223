"""The month in short; `make soak` runs it whole (figures: docs/operations.md)."""

from pathlib import Path

import pytest

from tests.soak.run import growth, run

pytestmark = pytest.mark.slow
_MIB = 2**20


def test_neither_memory_nor_disk_grows_with_what_is_only_passing_through(tmp_path: Path) -> None:
    """Polls of a running day, scrapes, nights and people leave nothing behind but the tallies."""
    few, many = (run(make(tmp_path / str(polls)), days=6, facilities=2, polls=polls) for polls in (2, 10))
    for found in (few, many):
        assert growth(found.collector_memory) < 0.05, found
        assert growth(found.agent_memory) < 0.05, found
        assert max(found.collector_memory) < 400 * _MIB, found
        assert max(found.agent_memory) < 200 * _MIB, found
        # SQLite takes the log in when it has 4 MiB (wal_autocheckpoint), and writes it from the beginning again
        assert max(found.collector_wal) < 8 * _MIB, found
    assert many.pushes == 5 * few.pushes
    assert many.tallies == few.tallies
    assert many.backup_bytes <= few.backup_bytes * 1.1, "polls of a running day are kept"


def make(directory: Path) -> Path:
    directory.mkdir()
    return directory
