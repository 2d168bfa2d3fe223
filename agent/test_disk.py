"""A ledger file that is damaged, full, or of another version: moved aside, said, and never a crash loop."""

import json
import os
import random
import sqlite3
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pytest

from agent.disk import Disk
from agent.ledger import Ledger, Rule
from agent.sources import Health, Sources
from contract.adapter import DayCount
from contract.days import DayRange, now
from contract.errors import StorageError
from tests.hospital import readers_of

TODAY = date(2026, 11, 21)
RULE = Rule(vanish_before=TODAY - timedelta(days=35))
DAYS = 60


def fill(disk: Disk) -> None:
    counts = [
        DayCount("12001", measure, TODAY - timedelta(days=back), {"cccd_qr": back, "manual": 1})
        for back in range(DAYS)
        for measure in ("checkins", "payments", "receipts")
    ]
    Ledger(disk).record("his", counts, RULE)
    Sources(disk).set_identity("his", "his.sql", TODAY)
    Sources(disk).set_health("his", Health(ok=True, read_at=now(), seconds={"checkins": 1.5}))
    Sources(disk).set_last_good_day("his", {"checkins": TODAY})
    disk.set_state("nightly_at", now().isoformat())


def use(disk: Disk) -> None:
    """All that an agent does with its ledger in a day."""
    ledger, sources = Ledger(disk), Sources(disk)
    for one in ledger.waiting(5000):
        json.dumps(one.counts)
    ledger.tallies("his", DayRange(TODAY - timedelta(days=DAYS), TODAY))
    ledger.size()
    ledger.unsettled("his")
    ledger.parked()
    ledger.digests("his")
    ledger.newest_days("his")
    sources.identity("his")
    sources.health("his")
    sources.last_good_day("his", "checkins")
    disk.state("nightly_at", str)
    fill(disk)
    ledger.prune(TODAY)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "ledger.sqlite"
    with closing(Disk(path, now())) as disk:
        fill(disk)
    return path


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def text(path: Path) -> None:
    path.write_text("Đây không phải là sổ. " * 500)


def middle_zeroed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    path.write_bytes(content)


DAMAGES = [zeros, truncated, text, middle_zeroed]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_moved_aside_and_a_fresh_one_started(path: Path, damage: Callable[[Path], None]) -> None:
    damage(path)
    damaged = path.read_bytes()
    with closing(Disk(path, now())) as disk:
        assert disk.quarantined is not None
        assert disk.quarantined.read_bytes() == damaged
        assert disk.quarantined.parent == path.parent
        assert Ledger(disk).size() == (0, 0)
        use(disk)
    with closing(Disk(path, now())) as disk:
        assert disk.quarantined is None
        assert Ledger(disk).size() == (DAYS * 3, 0)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_while_in_use_costs_one_transaction_and_no_restart(path: Path, damage: Callable[[Path], None]) -> None:
    with closing(Disk(path, now())) as disk:
        with closing(sqlite3.connect(path)) as other:  # whose change makes SQLite look at the file again
            other.execute("UPDATE state SET value = value")
            other.commit()
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        damage(path)
        with pytest.raises(StorageError):
            use(disk)
        use(disk)
        assert disk.quarantined is not None
        assert Ledger(disk).size() == (DAYS * 3, 0)


def test_an_empty_file_is_a_fresh_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.touch()
    with closing(Disk(path, now())) as disk:
        use(disk)


def test_two_damaged_files_of_one_second_are_both_kept(path: Path) -> None:
    moment = now()
    for content in (b"first" * 200, b"second" * 200):
        path.write_bytes(content)
        Disk(path, moment).close()
    assert len(list(path.parent.glob("ledger.sqlite.damaged-*"))) == 2


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE tally SET counts = CAST(X'7B22FF7D' AS TEXT) WHERE day = '2026-11-20'",
        "UPDATE tally SET day = '2026-1Z-20' WHERE day = '2026-11-20'",
        "UPDATE source SET read_at = 'x'",
        "UPDATE source SET failed = '{'",
        "UPDATE source SET first_day = '2026'",
        "UPDATE progress SET last_good_day = ''",
    ],
)
def test_a_cell_that_we_cannot_have_written_is_damage_too(path: Path, change: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(change)
        connection.commit()
    with closing(Disk(path, now())) as disk:
        with pytest.raises(StorageError):
            use(disk)
        use(disk)
        assert disk.quarantined is not None


@pytest.mark.parametrize("seed", range(12))
def test_whatever_bytes_flip_the_agent_goes_on_after_at_most_a_few_errors(path: Path, seed: int) -> None:
    chance, content = random.Random(seed), bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 5, 50])):
        # not in the header, of which SQLite itself believes every byte
        content[chance.randrange(100, len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    errors = 0
    for _ in range(3):
        with closing(Disk(path, now())) as disk:
            try:
                use(disk)
            except StorageError:
                errors += 1
                use(disk)
    assert errors <= 1


def test_a_row_that_its_index_has_lost_is_damage(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        sql = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'tally_waiting'").fetchone()[0]
        connection.execute(
            "UPDATE sqlite_schema SET sql = ? WHERE name = 'tally_waiting'",
            (sql.replace("revision > acked", "revision > acked + 1"),),
        )
        connection.commit()
    with closing(Disk(path, now())) as disk:
        assert disk.quarantined is not None


def test_a_ledger_of_version_1_gets_its_checksums_and_is_believed_as_it_is(path: Path) -> None:
    with closing(Disk(path, now())) as disk:
        before = Ledger(disk).waiting(5000)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE tally DROP COLUMN sum")
        connection.execute("PRAGMA user_version = 1")
    with closing(Disk(path, now())) as disk:
        assert Ledger(disk).waiting(5000) == before != []
        assert disk.quarantined is None
        with disk.transaction() as connection:
            connection.execute("UPDATE tally SET counts = '{\"cccd_qr\":77}' WHERE day = ?", (str(TODAY),))
        assert Ledger(disk).waiting(5000) == [one for one in before if one.key.day != TODAY]


def test_a_ledger_of_a_newer_version_is_not_touched(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 3")
    with pytest.raises(StorageError, match="phiên bản"):
        Disk(path, now())
    assert list(path.parent.glob("*.damaged-*")) == []


def test_only_the_agents_account_may_read_the_ledger(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_transaction_is_all_or_nothing(path: Path) -> None:
    with closing(Disk(path, now())) as disk:
        before = Ledger(disk).tallies("his", DayRange(TODAY, TODAY))
        with pytest.raises(RuntimeError), disk.transaction():
            Ledger(disk).record("his", [DayCount("12001", "checkins", TODAY, {"cccd_qr": 99})], RULE)
            raise RuntimeError
        assert Ledger(disk).tallies("his", DayRange(TODAY, TODAY)) == before


def test_threads_and_processes_may_use_one_ledger_at_once(path: Path) -> None:
    def work(disk: Disk, measure: str) -> None:
        for n in range(30):
            Ledger(disk).record("his", [DayCount("12001", measure, TODAY, {"cccd_qr": 1000 + n})], RULE)
            sent = Ledger(disk).waiting(10)
            assert sent

    with closing(Disk(path, now())) as one, closing(Disk(path, now())) as other:
        threads = [threading.Thread(target=work, args=(disk, m)) for disk in (one, other) for m in ("a", "b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = [one for one in Ledger(one).tallies("his", DayRange(TODAY, TODAY)) if one.key.measure in "ab"]
        assert [dict(one.counts) for one in found] == [{"cccd_qr": 1029}] * 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", mount], check=True)
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_is_said_loses_nothing_and_is_no_damage(small_disk: Path) -> None:
    with closing(Disk(small_disk / "ledger.sqlite", now())) as disk:
        fill(disk)
        before = Ledger(disk).size()
        ballast = small_disk / "ballast"
        with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(4096))
        with pytest.raises(StorageError, match="đĩa đầy"):
            for n in range(1000):
                Ledger(disk).record("his", [DayCount("12001", f"m{n}", TODAY, {"x": 1}) for _ in range(50)], RULE)
        assert disk.quarantined is None
        recorded = Ledger(disk).size()
        assert recorded >= before
        ballast.unlink()
        Ledger(disk).record("his", [DayCount("12001", "after", TODAY, {"x": 1})], RULE)
        assert Ledger(disk).size() == (recorded[0] + 1, 0)
        assert readers_of(os.getpid()) == []
