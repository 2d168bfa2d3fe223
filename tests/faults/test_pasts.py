"""Machines that forget, or come twice: an agent installed anew or restored, a collector restored, two agents."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from collector.store.backup import backup, restore
from collector.store.people import Person
from contract.days import local_day, now
from contract.errors import UnauthorisedError
from tests.faults.hospital import changing
from tests.faults.site import Site, roll_back, snapshot
from tests.office import Office

TODAY = local_day(now())
NOON = Site.at(TODAY)
SiteSince = Callable[[date], Site]


@pytest.fixture
def site(site_since: SiteSince) -> Site:
    """A hospital that has worked for a while: its tallies are at higher revisions than one."""
    site = site_since(TODAY)
    for _ in range(4):
        work(site)
    return site


def work(site: Site) -> None:
    """Something happens, is read and sent."""
    site.change(changing(TODAY))
    site.poll(NOON)
    site.push(NOON)


def test_an_agent_installed_anew_begins_at_one_and_is_right_at_once(site: Site) -> None:
    site.put_ledger(None)
    work(site)
    assert site.wrong() == []
    work(site)
    assert site.wrong() == []


def test_an_agent_restored_from_an_old_backup_is_right_after_a_night_at_the_latest(site: Site, tmp_path: Path) -> None:
    site.keep_ledger(tmp_path / "copy")
    for _ in range(3):
        work(site)
    site.put_ledger(tmp_path / "copy")
    site.poll(NOON)
    site.push(NOON)
    site.night(NOON)
    assert site.wrong() == []
    assert site.ledger.size() == (0, 0)


def test_a_collector_restored_from_last_nights_backup_gets_again_what_it_no_longer_has(
    site: Site, office: Office, tmp_path: Path
) -> None:
    backup(office.store, tmp_path / "copy")
    for _ in range(3):
        work(site)
    restore(office.store, tmp_path / "copy")
    assert site.wrong() != []
    site.push(NOON)
    site.push(NOON)
    assert site.wrong() == []


def test_who_was_disabled_or_logged_out_since_the_backup_stays_out_when_it_is_restored(
    office: Office, tmp_path: Path
) -> None:
    tokens = {name: office.people.add(Person(name, "reader", None), NOON) for name in ("an", "binh")}
    password = office.people.first_password("an", NOON)
    secret = office.people.log_in("binh", office.people.first_password("binh", NOON), NOON).secret
    backup(office.store, tmp_path / "copy")
    office.people.disable("an", NOON)
    restore(office.store, tmp_path / "copy")
    with pytest.raises(UnauthorisedError):
        office.people.log_in("an", password, NOON)
    with pytest.raises(UnauthorisedError):
        office.people.by_token(tokens["an"])
    assert office.people.session(secret, NOON) is None
    assert office.people.by_token(tokens["binh"]).name == "binh"


def test_a_collector_whose_machine_was_rolled_back_unnoticed_is_right_after_a_night(
    site: Site, office: Office, tmp_path: Path
) -> None:
    snapshot(office, tmp_path / "copy")
    for _ in range(3):
        work(site)
    roll_back(office, tmp_path / "copy")
    assert site.wrong() != []
    site.night(NOON)
    assert site.wrong() == []


def test_a_second_agent_for_the_same_source_changes_nothing_until_an_operator_moves_it(
    site: Site, office: Office, tmp_path: Path
) -> None:
    before = site.stored()
    second = tmp_path / "second"
    second.mkdir()
    other = Site(second, office, TODAY)
    other.change(changing(TODAY))
    other.poll(NOON)
    other.push(NOON)
    assert site.stored() == before
    waiting, parked = other.ledger.size()
    assert waiting == 0
    assert {one.code for one in other.ledger.parked()} == {"source_taken"}
    assert parked == len(other.ledger.parked()) > 0
    work(site)
    assert site.wrong() == []
    other.close()


def test_two_machines_with_one_token_never_mix_two_states_in_one_tally(site: Site) -> None:
    """An image of the PC was started twice; both read the same source, one of them always later."""
    site.close()
    home = site.hospital.ledger.parent
    ledgers = {name: home.with_name(name) / "ledger.sqlite" for name in ("data", "twin")}
    ledgers["twin"].parent.mkdir()
    ledgers["twin"].write_bytes(ledgers["data"].read_bytes())
    for turn in range(12):
        site.hospital.ledger = ledgers["twin" if turn % 2 else "data"]
        site.start()
        work(site)
        assert site.oracle.invented(site.stored()) == 0
        site.close()
    site.start()
    site.night(NOON)
    assert site.wrong() == []
