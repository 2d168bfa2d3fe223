"""Every schema that was released is brought to the current one, and nothing that was kept is lost or another."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from collector import store as stores
from collector.store import Store, backup, leases, signatures
from collector.store.tables import metadata
from collector.versions import Version
from contract.errors import ConfigError
from tests.office import NOON, TODAY, Office, a_source, a_tally
from tests.upgrades.make import FIXTURES
from tests.upgrades.rows import AT, DAY, PERSON_TOKEN, STORE_ID, TOKEN

HEAD, *RELEASED = [one for one in stores._known() if one is not None]
Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture(params=sorted(RELEASED))
def revision(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def old(revision: str, empty_url: str) -> Iterator[Store]:
    """A database as the version that had this schema left it."""
    load(empty_url, revision)
    store = Store(empty_url)
    yield store
    store.close()


def load(url: str, revision: str) -> None:
    """Run the checked-in dump against an empty database."""
    if url.startswith("sqlite:"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            connection.executescript((FIXTURES / f"{revision}.sqlite.sql").read_text("utf-8"))
    else:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as server:
            server.execute((FIXTURES / f"{revision}.postgresql.sql").read_bytes())


def rows_of(store: Store) -> Rows:
    """All rows of all tables, by the columns that are there, in an order that an upgrade does not change."""
    found: Rows = {}
    with store.engine.connect() as connection:
        tables = sa.MetaData()
        tables.reflect(connection)
        for name, table in tables.tables.items():
            if name != "alembic_version":
                rows = connection.execute(sa.select(table).order_by(*table.primary_key.columns)).mappings()
                found[name] = [{key: plain(value) for key, value in row.items()} for row in rows]
    return found


def plain(value: Any) -> Any:
    """A moment as text, whatever the database adds to it."""
    return value.astimezone().isoformat() if isinstance(value, datetime) and value.tzinfo else value


def test_there_is_a_fixture_of_every_schema_but_the_one_that_is_still_being_made() -> None:
    there = {one.name for one in FIXTURES.iterdir()}
    wanted = {f"{one}.{database}.sql" for one in RELEASED for database in ("sqlite", "postgresql")}
    assert wanted - there == set()


def test_nothing_that_was_kept_is_lost_or_another(old: Store) -> None:
    before = rows_of(old)
    assert all(before.values()), "a table of the fixture is empty"
    old.migrate()
    after = rows_of(old)
    for name, rows in before.items():
        kept = [{key: row[key] for key in first} for first, row in zip(rows, after[name], strict=True)]
        assert kept == rows, name


def test_the_schema_is_that_of_the_code(old: Store) -> None:
    assert not old.is_current()
    old.migrate()
    assert old.is_current()
    with old.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        if old.is_sqlite:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []


def test_agents_and_people_go_on_as_if_nothing_had_been(old: Store, empty_url: str, tmp_path: Path) -> None:
    old.migrate()
    office = Office(empty_url, tmp_path)
    assert office.store.store_id() == STORE_ID  # else every agent would send everything again
    agent = office.access.speaker(TOKEN, NOON)
    source = a_source(part="inpatient", cadence="daily", **{"from": "2026-01-01"})
    sent = [a_tally(DAY, 1, {"cash": 5, "qr": 5}), a_tally(DAY, 2, {"cash": 4, "qr": 6}), a_tally(TODAY)]
    assert office.push(agent, sent, [source]).accepted == 3
    assert office.people.by_token(PERSON_TOKEN).name == "an"
    shown = office.metrics()
    assert 'nhipso_indicator_denominator{facility="12001",indicator="cashless",window="30d"}' in shown
    with office.store.read() as connection:
        signed = signatures.of(connection, ["12001"], ["2026-10"]).get("12001", [])
    # what was signed then is still understood: `metrics` has held it against the figures of now
    assert all(Version(one.figures).digest == one.digest and one.at == AT for one in signed)
    office.store.close()


def test_new_rows_find_their_place_behind_the_old_ones(old: Store, empty_url: str, tmp_path: Path) -> None:
    old.migrate()
    office = Office(empty_url, tmp_path)
    office.register("12009")
    new = office.enrol("12009")
    office.push(office.access.speaker(new, NOON), [a_tally(facility="12009")], [a_source(facilities=["12009"])])
    assert office.source("12009").id > office.source("12001").id
    with office.store.write() as connection:
        assert leases.take(connection, "roads", "máy 2", NOON, NOON - AT)
    office.store.close()


def test_a_copy_made_by_that_version_is_restored_whole(revision: str, old: Store, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    load(f"sqlite:///{copy}", revision)
    text = copy.read_bytes()
    old.migrate()
    before = rows_of(old)
    with closing(Store(f"sqlite:///{tmp_path / 'new.sqlite'}")) as new:
        backup.restore(new, copy)
        after = rows_of(new)
        assert new.store_id() != STORE_ID
    assert copy.read_bytes() == text
    for name, rows in before.items():
        if name not in ("meta", "session") and old.is_sqlite:
            assert after[name] == rows, name


def test_a_database_of_a_newer_version_is_left_alone_with_a_sentence(empty_url: str, tmp_path: Path) -> None:
    store = Store(empty_url)
    store.migrate()
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    before = rows_of(store)
    assert not store.is_current()
    with pytest.raises(ConfigError, match="mới hơn"):
        store.migrate()
    with closing(Store(f"sqlite:///{tmp_path / 'other.sqlite'}")) as other:
        other.migrate()
        file = tmp_path / "copy"
        backup.backup(other, file)
        with closing(sqlite3.connect(file)) as copy:
            copy.execute("UPDATE alembic_version SET version_num = '9999'")
            copy.commit()
        with pytest.raises(ConfigError, match="mới hơn"):
            backup.restore(other, file)
    assert rows_of(store) == before
    store.close()
