"""Sources that say less than they know: a replica that lags, a HIS that fails in the middle of its answer."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from agent.sources import Sources
from contract.days import local_day, now
from contract.tally import Key
from tests.faults.hospital import changing
from tests.faults.oracle import Stored
from tests.faults.site import Site

TODAY = local_day(now())
NOON = Site.at(TODAY)
SiteSince = Callable[[date], Site]
_PAYMENTS = "SUM(cases) AS count\nFROM payments WHERE at >= :start AND at < :end GROUP BY 1, 2, 3"
# Thousands of rows, which come in pieces, by day; where there is trouble, the answer breaks off at those of today.
_BREAKS_OFF = f"""\
  CASE WHEN at >= '{TODAY}' AND EXISTS (SELECT * FROM trouble) THEN abs(-9223372036854775808)
    WHEN n = 1 THEN cases ELSE 0 END AS count
FROM payments,
  (WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers LIMIT 200) SELECT n FROM numbers)
WHERE at >= :start AND at < :end ORDER BY facility, at, category"""


def replace_his(site: Site, copy: Path) -> None:
    """The replica that answers now is another one."""
    for suffix in ("-wal", "-shm"):
        site.hospital.his_file.with_name(site.hospital.his_file.name + suffix).unlink(missing_ok=True)
    shutil.copy(copy, site.hospital.his_file)


def run_on_his(site: Site, *statements: str) -> None:
    with closing(sqlite3.connect(site.hospital.his_file)) as connection, connection:
        for one in statements:
            connection.execute(one)


def change_all(site: Site) -> None:
    """Enough happens that most days have another count than before."""
    for _ in range(20):
        site.change(changing(TODAY))


def of_payments(site: Site) -> list[Stored]:
    return [one for one in site.stored() if one.key.measure == "payments"]


def test_a_day_that_shrinks_and_grows_again_with_a_lagging_replica_ends_as_the_newest_says(
    site_since: SiteSince, tmp_path: Path
) -> None:
    site = site_since(TODAY)
    copies = []
    for number in range(3):
        site.change(changing(TODAY))
        copies.append(tmp_path / f"replica{number}")
        shutil.copy(site.hospital.his_file, copies[-1])
    revisions: dict[Key, int] = {}
    for number in (2, 0, 1, 0, 2, 1, 2):
        replace_his(site, copies[number])
        site.poll(NOON)
        site.push(NOON)
        found = {one.key: one.revision for one in site.stored()}
        assert all(found[key] >= revision for key, revision in revisions.items())
        revisions = found
        assert site.oracle.invented(site.stored()) == 0
    assert site.wrong() == []


def test_a_replica_that_is_being_filled_does_not_empty_what_is_known_by_night(site_since: SiteSince) -> None:
    site = site_since(TODAY)
    change_all(site)
    site.poll(NOON)
    site.push(NOON)
    before = site.stored()
    run_on_his(site, *(f"ALTER TABLE {one} RENAME TO kept_{one}" for one in ("checkins", "payments")))
    for one in ("checkins", "payments"):
        run_on_his(site, f"CREATE TABLE {one} (facility, at, category, cases)")
    assert not site.poll(NOON, deep=True)
    site.push(NOON)
    assert site.stored() == before
    for one in ("checkins", "payments"):
        run_on_his(site, f"DROP TABLE {one}", f"ALTER TABLE kept_{one} RENAME TO {one}")
    site.change(changing(TODAY))
    site.night(NOON)
    assert site.wrong() == []


@pytest.mark.parametrize("deep", [False, True], ids=["by day", "by night"])
def test_an_answer_that_breaks_off_after_some_rows_is_no_tally_not_even_of_the_days_it_had_told(
    site_since: SiteSince, deep: bool
) -> None:
    site = site_since(TODAY)
    run_on_his(site, "CREATE TABLE trouble (x)")
    site.configure(_PAYMENTS, _BREAKS_OFF)
    change_all(site)
    site.poll(NOON)
    site.push(NOON)
    before = of_payments(site)
    change_all(site)
    run_on_his(site, "INSERT INTO trouble VALUES (1)")
    assert not site.poll(NOON, deep)
    assert set(Sources(site.disk).health("his").failed) == {"payments"}
    site.push(NOON)
    assert of_payments(site) == before
    assert {one.key.measure for one in site.wrong()} == {"payments"}
    run_on_his(site, "DELETE FROM trouble")
    site.poll(NOON)
    site.push(NOON)
    assert site.wrong() == []
