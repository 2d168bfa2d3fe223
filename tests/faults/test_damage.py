"""Flipped bytes, zeroed pages, torn tails, full disks, disks that cannot be written: nothing is acked that is not
kept, nothing is sent that was not read, and all is said again."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import date
from pathlib import Path
from random import Random

import pytest

from collector.store import Store
from collector.store.backup import backup, restore
from contract.days import local_day, now
from contract.errors import CollectorUnavailableError, StorageError
from tests.faults.hospital import changing
from tests.faults.site import Site, snapshot
from tests.office import Office

TODAY = local_day(now())
NOON = Site.at(TODAY)
PAGE = 4096
SiteSince = Callable[[date], Site]
Damage = Callable[[Random, bytearray], None]


def flipped(random: Random, content: bytearray) -> None:
    """Some bits are others."""
    for _ in range(random.choice((1, 10, 100))):
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)


def zeroed(random: Random, content: bytearray) -> None:
    """A page of zeros, where a disk had no time to write it."""
    start = random.randrange(len(content) // PAGE) * PAGE
    content[start : start + PAGE] = bytes(PAGE)


def torn(random: Random, content: bytearray) -> None:
    """The end is missing."""
    del content[random.randrange(1, len(content)) :]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("damage", [flipped, zeroed, torn])
def test_a_damaged_ledger_is_put_aside_or_mended_by_reading_and_by_the_night(
    site_since: SiteSince, damage: Damage, seed: int
) -> None:
    site, random = site_since(TODAY), Random(seed)
    for _ in range(3):
        site.change(changing(TODAY))
        site.poll(NOON)
        site.push(NOON)
    site.close()
    content = bytearray(site.hospital.ledger.read_bytes())
    damage(random, content)
    site.hospital.ledger.write_bytes(content)
    site.start()
    for _ in range(3):  # what is damaged may be met late, in the middle of a poll: the next one finds a fresh file
        with suppress(StorageError):
            site.poll(NOON)
            site.night(NOON)
    assert site.wrong() == []
    if damage is torn and len(content) < 2 * PAGE:
        assert site.disk.quarantined is not None


def test_a_damaged_store_acks_nothing_and_a_restored_one_gets_the_rest(
    site_since: SiteSince, office: Office, tmp_path: Path
) -> None:
    site = site_since(TODAY)
    site.poll(NOON)
    site.push(NOON)
    backup(office.store, tmp_path / "backup")
    site.change(changing(TODAY))
    site.poll(NOON)
    site.push(NOON)
    snapshot(office, tmp_path / "whole")
    file = Path(office.url.removeprefix("sqlite:///"))
    office.store.close()
    content = file.read_bytes()
    file.write_bytes(content[:PAGE] + os.urandom(len(content) - PAGE))
    site.change(changing(TODAY))
    site.poll(NOON)
    with pytest.raises(CollectorUnavailableError):
        site.push(NOON)
    office.store.close()
    for one in file.parent.glob(f"{file.name}*"):
        shutil.move(one, tmp_path / f"aside-{one.name}")
    restore(Store(office.url), tmp_path / "backup")
    site.push(NOON)
    site.push(NOON)
    assert site.wrong() == []


# What flipped bits may make of rows without SQLite noticing.
_FLIPS = (
    "counts = replace(replace(counts, ':1', ':9'), ':2', ':3')",
    "counts = replace(counts, ',', '.')",
    "counts = 17",
    "revision = revision + 64",
    "revision = revision | (1 << 60)",
    "revision = revision - 1",
    "acked = acked + 64",
    "acked = 0",
    "stored = 5",
    "stored = 1 << 60",
    "measure = 'checkinq' WHERE measure = 'checkins'",
    "facility = '02001' WHERE facility = '12001'",
    "source = 'hiS' WHERE source = 'his'",
    "sum = sum + 1",
)


@pytest.mark.parametrize("unsent", [True, False], ids=["before they were sent", "after"])
def test_rows_whose_bits_flipped_are_never_sent_and_their_days_are_read_again(
    site_since: SiteSince, caplog: pytest.LogCaptureFixture, unsent: bool
) -> None:
    site = site_since(TODAY)
    site.poll(NOON)
    site.push(NOON)
    for flip in _FLIPS:
        caplog.clear()
        site.change(changing(TODAY))
        site.poll(NOON)
        if not unsent:
            site.push(NOON)
        site.close()
        with closing(sqlite3.connect(site.hospital.ledger)) as ledger, ledger:
            ledger.execute(f"UPDATE tally SET {flip}")
        site.start()
        site.push(NOON)
        assert site.oracle.invented(site.stored()) == 0, flip
        site.night(NOON)
        assert site.wrong() == [], flip
        # what was acked is not part of the sum: it heals by asking the collector; nobody asks for a source that is none
        unnoticed = flip.startswith("acked") or ("hiS" in flip and not unsent)
        assert ("bị hỏng trên đĩa" in caplog.text) is not unnoticed, flip


@contextmanager
def full_disk(mount: Path) -> Iterator[None]:
    """Somebody else has filled the disk."""
    ballast = mount / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(PAGE))
    yield
    ballast.unlink()


def test_a_collector_on_a_full_disk_acks_nothing_and_takes_everything_afterwards(
    small_disk: Path, tmp_path: Path
) -> None:
    office = Office(f"sqlite:///{small_disk / 'store.sqlite'}", tmp_path)
    with closing(Site(tmp_path, office, TODAY)) as site:
        with full_disk(small_disk):
            site.poll(NOON)
            waiting = site.ledger.size()
            with pytest.raises(CollectorUnavailableError):
                for _ in range(200):  # until the last free page is used up
                    site.push(NOON)
                    site.change(changing(TODAY))
                    site.poll(NOON)
                    waiting = site.ledger.size()
            assert site.ledger.size() == waiting
            held = {(one.key, one.revision) for one in site.stored()}
            for push in site.line.sent:
                assert set(push) <= {key for key, _ in held}
        site.push(NOON)
        assert site.wrong() == []
    office.store.close()


@contextmanager
def read_only(mount: Path) -> Iterator[None]:
    """As a kernel makes a disk whose errors it no longer trusts; nothing there may be open for writing."""
    subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", mount], check=True)


def test_a_collector_that_cannot_write_its_disk_acks_nothing_and_takes_everything_afterwards(
    small_disk: Path, tmp_path: Path
) -> None:
    office = Office(f"sqlite:///{small_disk / 'store.sqlite'}", tmp_path)
    with closing(Site(tmp_path, office, TODAY)) as site:
        site.poll(NOON)
        site.push(NOON)
        site.change(changing(TODAY))
        site.poll(NOON)
        waiting = site.ledger.size()
        assert waiting > (0, 0)
        office.store.close()
        with read_only(small_disk), pytest.raises(CollectorUnavailableError):
            site.push(NOON)
        assert site.ledger.size() == waiting
        site.push(NOON)
        assert site.wrong() == []
    office.store.close()


def test_an_agent_that_cannot_write_its_disk_says_so_and_goes_on_where_it_was(
    site_since: SiteSince, small_disk: Path
) -> None:
    site = site_since(TODAY)
    site.close()
    shutil.move(site.hospital.ledger, small_disk)
    site.hospital.ledger = small_disk / site.hospital.ledger.name
    site.start()
    site.poll(NOON)
    site.push(NOON)
    site.change(changing(TODAY))
    site.close()
    before = site.hospital.ledger.read_bytes()
    with read_only(small_disk), pytest.raises(StorageError, match="không có quyền ghi"):
        site.start()
    assert site.hospital.ledger.read_bytes() == before
    assert [one.name for one in small_disk.iterdir()] == [site.hospital.ledger.name]
    site.start()
    site.poll(NOON)
    site.push(NOON)
    assert site.wrong() == []


def test_an_agent_whose_disk_becomes_read_only_while_it_runs_records_and_acks_nothing_until_it_can(
    site_since: SiteSince,
) -> None:
    site = site_since(TODAY)
    site.poll(NOON)
    site.push(NOON)
    site.change(changing(TODAY))
    with site.disk.transaction() as connection:
        refuse = connection.execute
    refuse("PRAGMA query_only = ON")
    for _ in range(2):
        with pytest.raises(StorageError, match="không có quyền ghi"):
            site.poll(NOON)
    with pytest.raises(StorageError):  # the collector took it; that it did could not be written down
        site.push(NOON)
    refuse("PRAGMA query_only = OFF")
    assert site.disk.quarantined is None
    site.poll(NOON)
    site.push(NOON)
    assert site.wrong() == []
    assert site.ledger.size() == (0, 0)
