"""The agent's ledger of every earlier version is opened by this one with all that it held."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent.disk import _VERSION, Disk
from agent.ledger import Ledger
from agent.sources import Sources
from contract.errors import StorageError
from tests.office import NOON
from tests.upgrades.make_ledger import LEDGERS


def ledger_of(directory: Path, version: int) -> Path:
    file = directory / "ledger.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript((LEDGERS / f"{version}.sql").read_text("utf-8"))
    return file


def rows_of(file: Path) -> dict[str, list[dict[str, Any]]]:
    with closing(sqlite3.connect(file)) as connection:
        connection.row_factory = sqlite3.Row
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {
            one: sorted((dict(row) for row in connection.execute(f"SELECT * FROM {one}")), key=repr) for one in tables
        }


def test_there_is_a_fixture_of_every_version_before_this_one() -> None:
    assert {int(one.stem) for one in LEDGERS.iterdir()} >= set(range(1, _VERSION))


@pytest.mark.parametrize("version", range(1, _VERSION))
def test_nothing_that_it_held_is_lost_or_another_and_what_waits_is_sent(tmp_path: Path, version: int) -> None:
    file = ledger_of(tmp_path, version)
    before = rows_of(file)
    with closing(Disk(file, NOON)) as disk:
        assert disk.quarantined is None
        ledger = Ledger(disk)
        assert [(str(one.key.day), one.revision, dict(one.counts)) for one in ledger.waiting(10)] == [
            ("2026-10-02", 2, {})
        ]
        assert ledger.size() == (1, 1)
        assert [str(one.day) for one in ledger.unsettled("his")] == ["2026-10-03"]
        assert Sources(disk).identity("his")[0] == "his.sql sqlite"
    after = rows_of(file)
    for table, rows in before.items():
        kept = [{name: row[name] for name in first} for first, row in zip(rows, after[table], strict=True)]
        assert kept == rows, table


def test_a_ledger_of_a_newer_version_is_left_alone_with_a_sentence(tmp_path: Path) -> None:
    file = ledger_of(tmp_path, 1)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA user_version = {_VERSION + 1}")
    before = rows_of(file)
    with pytest.raises(StorageError, match="mới hơn"):
        Disk(file, NOON)
    assert rows_of(file) == before
