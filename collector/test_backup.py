"""A copy while serving, and back (architecture.md: the ack carries the store's id, new after every restore)."""

import sqlite3
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from collector.store import Store, backup
from collector.store.people import Person
from collector.store.tables import metadata
from contract.errors import ConfigError, UnauthorisedError
from tests.office import NOON, TODAY, YESTERDAY, Office, a_source, a_tally


def content(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that is stored, but for the id of the store."""
    with store.read() as connection:
        tables = [one for one in metadata.sorted_tables if one.name != "meta"]
        return {
            one.name: [tuple(row) for row in connection.execute(sa.select(one).order_by(*one.primary_key.columns))]
            for one in tables
        }


def filled(office: Office) -> str:
    """An office with something in every table; a token that works."""
    token = office.enrol("12001", "12002")
    agent = office.access.speaker(token, NOON)
    office.push(agent, [a_tally(), a_tally(TODAY), a_tally(facility="12002")])
    office.push(agent, [a_tally(revision=2, counts={})])
    office.register("12001", bhxh_code="12001", email="a@b.vn", indicators="emr")
    office.access.make_code(["12001"], None, NOON)
    office.people.add(Person("An", "confirmer", "12001"), NOON)
    return token


def test_a_restored_copy_is_what_was_copied_under_a_new_id(office: Office, tmp_path: Path) -> None:
    filled(office)
    before, first = content(office.store), office.store.store_id()
    backup.backup(office.store, tmp_path / "copy")
    agent = office.speaker("12009")
    office.push(agent, [a_tally(facility="12009")], [a_source(facilities=["12009"])])
    assert content(office.store) != before
    backup.restore(office.store, tmp_path / "copy")
    assert content(office.store) == before
    second = office.store.store_id()
    assert second != first
    backup.restore(office.store, tmp_path / "copy")
    assert office.store.store_id() not in (first, second)


def test_after_a_restore_new_rows_find_their_place(office: Office, tmp_path: Path) -> None:
    token = filled(office)
    backup.backup(office.store, tmp_path / "copy")
    backup.restore(office.store, tmp_path / "copy")
    agent = office.access.speaker(token, NOON)
    sources = [a_source(), a_source("ward", part="ward", measures=["payments", "records"])]
    sent = [a_tally(revision=3), a_tally(source="ward"), a_tally(TODAY - timedelta(days=9))]
    assert office.push(agent, sent, sources).accepted == 3
    assert office.people.add(Person("Bình", "reader", None), NOON)
    with office.store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(metadata.tables["tally_log"])) == 2


def test_a_copy_moves_from_one_database_to_the_other(office: Office, tmp_path: Path) -> None:
    token = filled(office)
    backup.backup(office.store, tmp_path / "copy")
    other = Office(f"sqlite:///{tmp_path / 'other.sqlite'}", tmp_path)
    backup.restore(other.store, tmp_path / "copy")
    assert content(other.store) == content(office.store)
    assert other.access.speaker(token, NOON).agent == token.partition(".")[0]
    other.store.close()


def test_a_copy_is_one_file_of_its_owner_and_restoring_leaves_it_alone(office: Office, tmp_path: Path) -> None:
    filled(office)
    (tmp_path / "b").mkdir()
    file = tmp_path / "b" / "copy"
    backup.backup(office.store, file)
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_bytes()
    file.chmod(0o400)
    backup.restore(office.store, file)
    assert [one.name for one in file.parent.iterdir()] == ["copy"]
    assert file.read_bytes() == before


def test_a_copy_made_under_load_holds_whole_pushes_only(office: Office, tmp_path: Path) -> None:
    agent = office.speaker("12001")
    days = [YESTERDAY - timedelta(days=n) for n in range(40)]
    office.push(agent, [a_tally(day, 1, {"cash": 1}) for day in days])
    stop, problems = threading.Event(), []

    def load() -> None:
        revision = 1
        try:
            while not stop.is_set():
                revision += 1
                office.push(agent, [a_tally(day, revision, {"cash": revision}) for day in days])
        except Exception as problem:
            problems.append(problem)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for number in range(3):
            backup.backup(office.store, tmp_path / f"copy{number}")
    finally:
        stop.set()
        thread.join()
    assert problems == []
    for number in range(3):
        connection = sqlite3.connect(tmp_path / f"copy{number}")
        assert connection.execute("SELECT COUNT(DISTINCT revision), COUNT(*) FROM tally").fetchone() == (1, 40)
        revision, logged = connection.execute(
            "SELECT MAX(t.revision), (SELECT COUNT(*) FROM tally_log) FROM tally t"
        ).fetchone()
        assert logged == (revision - 1) * 40
        connection.close()


def test_a_copy_overwrites_nothing_and_needs_a_place(office: Office, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    with pytest.raises(ConfigError, match="không ghi đè"):
        backup.backup(office.store, tmp_path / "there")
    with pytest.raises(ConfigError, match="thư mục"):
        backup.backup(office.store, tmp_path / "nowhere" / "copy")
    assert (tmp_path / "there").read_text() == "mine"


def test_what_is_no_copy_of_ours_is_refused_and_nothing_is_lost(office: Office, tmp_path: Path) -> None:
    filled(office)
    before, first = content(office.store), office.store.store_id()
    (tmp_path / "text").write_text("text" * 1000)
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    stranger = sqlite3.connect(tmp_path / "stranger")
    stranger.execute("CREATE TABLE tally (x)")
    stranger.close()
    for name in ("text", "empty", "folder", "stranger", "none"):
        with pytest.raises(ConfigError, match=name):
            backup.restore(office.store, tmp_path / name)
    assert (content(office.store), office.store.store_id()) == (before, first)


def test_an_agent_unknown_to_the_copy_is_unknown_afterwards(office: Office, tmp_path: Path) -> None:
    filled(office)
    backup.backup(office.store, tmp_path / "copy")
    later = office.enrol("12002")
    backup.restore(office.store, tmp_path / "copy")
    with pytest.raises(UnauthorisedError):
        office.access.speaker(later, NOON)
