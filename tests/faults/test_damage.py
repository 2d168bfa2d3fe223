"""Flipped bytes, zeroed pages, torn tails, full disks: nothing is acked that is not kept, and all is said again."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

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


@contextmanager
def full_disk(engine: sa.Engine) -> Iterator[None]:
    """The database may not grow by a page, as on a full disk; SQLite answers SQLITE_FULL."""

    def limit(connection: Any, _: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    engine.dispose()
    sa.event.listen(engine, "connect", limit)
    try:
        yield
    finally:
        sa.event.remove(engine, "connect", limit)
        engine.dispose()


def test_a_collector_on_a_full_disk_acks_nothing_and_takes_everything_afterwards(
    site_since: SiteSince, office: Office
) -> None:
    site = site_since(TODAY)
    with full_disk(office.store.engine):
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
