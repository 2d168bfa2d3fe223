"""The index of folder kinds: what files say of cases, and the counts that follow."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import index
from agent.disk import Disk
from contract.adapter import Entry, FileSeen, Reading
from contract.days import now

TODAY = date(2026, 11, 21)
YESTERDAY = TODAY - timedelta(days=1)
OLD = TODAY - timedelta(days=90)
KEEP = TODAY - timedelta(days=35)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(Disk(tmp_path / "ledger.sqlite", now())) as disk, disk.transaction() as connection:
        yield connection


def entry(
    case: str, category: str | None = "valid", rank: str = "1", day: date | None = TODAY, cases: int = 1
) -> Entry:
    return Entry("invoices", case.encode(), rank, category, "12001" if day else None, day, cases)


def file(name: str, *entries: Entry, identity: str = "1", problem: str | None = None) -> FileSeen:
    return FileSeen(name.encode(), identity, entries, problem)


def take(connection: sqlite3.Connection, *files: FileSeen, gone: tuple[str, ...] = ()) -> None:
    index.take(connection, "f", Reading(files=list(files), gone=[name.encode() for name in gone]), KEEP)


def touched(connection: sqlite3.Connection) -> set[date]:
    days = {day for _, _, day in index.touched(connection, "f")}
    index.forget_touched(connection, "f")
    return days


def counts(connection: sqlite3.Connection, *days: date) -> dict[date, dict[str, int]]:
    wanted = [("invoices", "12001", day) for day in days or (TODAY,)]
    return {one.day: dict(one.counts) for one in index.counts(connection, "f", wanted)}


def test_one_case_in_two_files_counts_once_by_the_highest_rank(connection: sqlite3.Connection) -> None:
    take(connection, file("a", entry("x", "pending", "1")), file("b", entry("x", "valid", "2")))
    assert counts(connection) == {TODAY: {"valid": 1}}


def test_the_highest_rank_that_has_a_day_places_a_case(connection: sqlite3.Connection) -> None:
    take(connection, file("a", entry("x", "valid", "1", YESTERDAY)), file("b", entry("x", "replaced", "2", None)))
    assert counts(connection, TODAY, YESTERDAY) == {YESTERDAY: {"replaced": 1}}


def test_a_case_whose_highest_category_is_none_is_not_counted(connection: sqlite3.Connection) -> None:
    take(connection, file("a", entry("x")), file("b", entry("x", None, "2")))
    assert counts(connection) == {}


def test_a_case_of_which_only_hearsay_is_known_is_not_counted(connection: sqlite3.Connection) -> None:
    take(connection, file("b", entry("x", "replaced", "2", None)))
    assert counts(connection) == {}


def test_a_file_that_can_no_longer_be_read_keeps_what_it_said_and_is_named(connection: sqlite3.Connection) -> None:
    take(connection, file("a", entry("x")), file("b", entry("y", "pending")))
    touched(connection)
    take(connection, FileSeen(b"a", "2", None, "tệp hỏng"))
    assert (touched(connection), counts(connection)) == (set(), {TODAY: {"valid": 1, "pending": 1}})
    assert index.problems(connection, "f") == {"tệp hỏng": 1}
    take(connection, file("a", identity="3"))
    assert counts(connection) == {TODAY: {"pending": 1}}


def test_a_line_of_a_sheet_counts_as_many_cases_as_it_says(connection: sqlite3.Connection) -> None:
    take(connection, file("a", entry("1", "valid", cases=40), entry("2", "valid", cases=2)))
    assert counts(connection) == {TODAY: {"valid": 42}}


def test_a_file_read_again_replaces_what_it_said(connection: sqlite3.Connection) -> None:
    take(connection, file("a", entry("x"), entry("y")))
    assert touched(connection) == {TODAY}
    take(connection, file("a", entry("x", day=YESTERDAY), identity="2"))
    assert touched(connection) == {TODAY, YESTERDAY}
    assert counts(connection, TODAY, YESTERDAY) == {YESTERDAY: {"valid": 1}}


def test_a_recent_file_that_is_gone_takes_its_cases_with_it(connection: sqlite3.Connection) -> None:
    take(connection, file("a", entry("x")), file("b", entry("y")))
    touched(connection)
    take(connection, gone=("a",))
    assert touched(connection) == {TODAY}
    assert counts(connection) == {TODAY: {"valid": 1}}


def test_an_old_file_that_went_to_the_archive_leaves_its_cases(connection: sqlite3.Connection) -> None:
    take(connection, file("a", entry("x", day=OLD)))
    touched(connection)
    take(connection, gone=("a",))
    assert touched(connection) == set()
    assert counts(connection, OLD) == {OLD: {"valid": 1}}
    take(connection, file("a", entry("x", day=OLD), identity="2"))
    assert counts(connection, OLD) == {OLD: {"valid": 1}}


def test_a_file_with_old_and_recent_cases_is_recent(connection: sqlite3.Connection) -> None:
    take(connection, file("a", entry("x", day=OLD), entry("y")))
    take(connection, gone=("a",))
    assert counts(connection, OLD, TODAY) == {}


def test_what_changes_one_case_touches_the_day_where_another_file_put_it(connection: sqlite3.Connection) -> None:
    take(connection, file("a", entry("x", day=YESTERDAY)))
    touched(connection)
    take(connection, file("b", entry("x", "replaced", "2", None)))
    assert touched(connection) == {YESTERDAY}


def test_problems_are_counted_by_sentence(connection: sqlite3.Connection) -> None:
    take(connection, file("a", problem="hỏng"), file("b", problem="hỏng"), file("c", entry("x")))
    assert index.problems(connection, "f") == {"hỏng": 2}


def test_sources_do_not_see_each_other(connection: sqlite3.Connection) -> None:
    take(connection, file("a", entry("x")))
    index.take(connection, "g", Reading(files=[file("a", entry("x"), entry("y"))]), KEEP)
    assert counts(connection) == {TODAY: {"valid": 1}}


names = st.sampled_from("abcd")
entries = st.builds(
    entry,
    st.sampled_from("xyz"),
    st.sampled_from(["valid", "replaced", None]),
    st.sampled_from("123"),
    st.sampled_from([TODAY, YESTERDAY, None]),
)
folders = st.dictionaries(names, st.lists(entries, max_size=3), max_size=4)


@given(st.lists(folders, min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_however_a_folder_came_to_be_its_counts_are_those_of_reading_it_once(
    steps: list[dict[str, list[Entry]]],
) -> None:
    fresh, grown = (sqlite3.connect(":memory:") for _ in range(2))
    with closing(fresh), closing(grown):
        for connection in (fresh, grown):
            connection.executescript(schema())
        before: dict[str, list[Entry]] = {}
        for number, folder in enumerate(steps):
            changed = [file(name, *said, identity=str(number)) for name, said in folder.items()]
            take(grown, *changed, gone=tuple(before.keys() - folder.keys()))
            before = folder
        take(fresh, *(file(name, *said) for name, said in before.items()))
        assert counts(grown, TODAY, YESTERDAY) == counts(fresh, TODAY, YESTERDAY)


@cache
def schema() -> str:
    """The tables, from an empty ledger."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "ledger.sqlite"
        Disk(path, now()).close()
        with closing(sqlite3.connect(path)) as connection:
            return ";".join(sql for (sql,) in connection.execute("SELECT sql FROM sqlite_schema WHERE sql NOT NULL"))
