"""The database: schema, durability settings, and what happens when it is away."""

import logging
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from collector.store import Store
from collector.store.tables import metadata
from contract.errors import AwayError, ConfigError
from tests.office import TODAY, Office, a_tally


def test_migrating_twice_changes_nothing(empty_url: str) -> None:
    store = Store(empty_url)
    assert not store.is_current()
    store.migrate()
    first = store.store_id()
    store.migrate()
    assert (store.is_current(), store.store_id()) == (True, first)
    store.close()


def test_the_migrations_make_exactly_the_tables_of_the_code(office: Office) -> None:
    with office.store.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_on_postgresql_nobody_waits_for_ever_and_days_are_read_whatever_the_server_likes(
    migrated_postgres_url: str, tmp_path: Path
) -> None:
    office = Office(migrated_postgres_url, tmp_path)
    with office.store.write() as connection:
        name = connection.scalar(sa.text("SELECT current_database()"))
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET DateStyle = 'German'")
    office.store.close()  # what a database likes holds for new connections
    office.push(office.speaker("12001"), [a_tally(TODAY, counts={"cash": 1})])
    assert office.data().by_day("payments") == {TODAY: {"cash": 1}}
    with office.store.read() as connection:
        assert connection.scalar(sa.text("SHOW lock_timeout")) == "30s"
    office.store.close()


def test_a_commit_on_sqlite_is_synced_to_the_disk(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'c'}")
    with store.write() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")
        }
        assert found == {"journal_mode": "wal", "synchronous": 2}
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    store.close()


@pytest.mark.parametrize(
    "url", ["", "nonsense", "oracle://x", "mysql+pymysql://root@127.0.0.1/x", "sqlite+aiosqlite:///x"]
)
def test_a_database_that_is_neither_sqlite_nor_postgresql_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="cơ sở dữ liệu"):
        Store(url)


@pytest.mark.parametrize("name", ["postgresql", "postgres"])
def test_a_plain_postgresql_url_is_understood(name: str) -> None:
    store = Store(f"{name}://nhipso:mat-khau@10.0.0.5/nhipso")
    assert not store.is_sqlite
    store.close()


def test_a_database_that_is_away_is_said_once_and_so_is_its_return(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "mounted"
    store = Store(f"sqlite:///{directory / 'c'}")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            with pytest.raises(AwayError) as caught:
                store.is_current()
            assert (caught.value.status, caught.value.retry_after) == (503, 15)
        directory.mkdir()
        for _ in range(3):
            assert not store.is_current()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    store.close()


def test_a_file_that_is_no_database_is_away_not_a_stumble(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(b"\x00garbage" * 1000)
    store = Store(f"sqlite:///{tmp_path / 'c'}")
    with pytest.raises(AwayError):
        store.is_current()
    store.close()


def test_a_full_disk_takes_nothing_of_a_batch_and_all_of_it_later(tmp_path: Path) -> None:
    office = Office(f"sqlite:///{tmp_path / 'c'}", tmp_path)
    agent = office.speaker("12001")
    office.push(agent, [])

    def limited(connection: Any, *_: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + full}")

    batch = [a_tally(TODAY - timedelta(days=n)) for n in range(1000)]
    full = 1
    sa.event.listen(office.store.engine, "checkout", limited)
    with pytest.raises(AwayError):
        office.push(agent, batch)
    assert office.stored() == {}
    full = 10_000
    assert office.push(agent, batch).accepted == len(batch)
    office.store.close()


def test_two_writers_on_sqlite_wait_for_each_other(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'c'}?timeout=0.1")
    store.migrate()
    with store.write() as first:
        first.execute(sa.text("UPDATE meta SET value = 'x'"))
        with pytest.raises(AwayError), store.write():
            pass
        with store.read() as reader:  # readers never wait
            assert reader.execute(sa.text("SELECT value FROM meta")).scalar() != "x"
    with sqlite3.connect(tmp_path / "c") as connection:
        assert connection.execute("SELECT value FROM meta").fetchone() == ("x",)
    connection.close()
    store.close()
