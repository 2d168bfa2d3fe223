"""What operators do to sources while the line fails: rename, retire, move. No day is lost, none is counted twice."""

from collections.abc import Callable
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from random import Random

import pytest

from collector import sources
from contract.days import DayRange, local_day, now
from contract.errors import CollectorUnavailableError
from contract.tally import Key
from tests.faults.hospital import changing
from tests.faults.oracle import Stored
from tests.faults.site import Break, Line, Site
from tests.office import Office

TODAY = local_day(now())
NOON = Site.at(TODAY)
SiteSince = Callable[[date], Site]
Named = dict[Key, dict[str, int]]


@pytest.fixture
def site(site_since: SiteSince) -> Site:
    """A hospital that has worked for a while."""
    site = site_since(TODAY)
    for _ in range(3):
        work(site)
    return site


def work(site: Site, *fates: Break | None) -> None:
    """Something happens, is read and sent; the pushes meet their `fates`."""
    site.change(changing(TODAY))
    site.poll(NOON)
    site.line.breaks.extend(fates)
    with suppress(CollectorUnavailableError):
        site.push(NOON)
    site.line.breaks.clear()


def of_his(found: list[Stored], *names: str) -> Named:
    """What is stored of the HIS under `names`, each key as if it had never had another name."""
    rows = [one for one in found if one.key.source in names]
    named = {one.key._replace(source="his"): dict(one.counts) for one in rows}
    assert len(named) == len(rows), "a day is there twice"
    return named


def said(site: Site, first: date = date.min) -> Named:
    """What the HIS says."""
    now_ = site.truth.now()
    return {key: dict(counts) for key, counts in now_.items() if key.source == "his" and key.day >= first}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("first", ["the operator", "the hospital"])
def test_a_renamed_source_keeps_its_days_whoever_was_told_first(
    site: Site, office: Office, first: str, seed: int
) -> None:
    random = Random(seed)

    def a_while() -> None:
        for _ in range(3):
            work(site, random.choice((None, "before", "after")))

    for who in ("the operator", "the hospital") if first == "the operator" else ("the hospital", "the operator"):
        if who == "the operator":
            sources.rename(office.store, "12001", "his", "his2", NOON)
        else:
            site.configure("[sources.his", "[sources.his2")
        a_while()
        site.line.deliver(random.choice(site.line.bodies))  # a push that was on its way for long
    site.night(NOON)
    work(site)
    assert of_his(site.stored(), "his", "his2") == said(site)
    assert {one.key.source for one in site.stored()} == {"his2", "invoices"}


@pytest.mark.parametrize("fate", [None, "before", "after"])
def test_a_retired_source_keeps_its_days_and_its_successor_has_those_after_them(
    site: Site, office: Office, fate: Break | None
) -> None:
    cut = TODAY - timedelta(days=2)
    before = [one for one in site.stored() if one.key.source == "his"]
    sources.retire(office.store, "12001", "his", cut - timedelta(days=1), NOON)
    work(site, fate)
    site.configure("[sources.his", "[sources.his2")
    site.configure('kind = "his.sql"', f'kind = "his.sql"\nfrom = "{cut}"')
    for _ in range(3):
        site.change(DayRange(cut, TODAY))
        site.poll(NOON)
        site.line.breaks.append(fate)
        with suppress(CollectorUnavailableError):
            site.push(NOON)
    site.line.deliver(site.line.bodies[0])
    site.night(NOON)
    stored = site.stored()
    assert of_his(stored, "his2") == said(site, cut)
    kept = {one.key: one for one in stored if one.key.source == "his"}
    assert kept.keys() == {one.key for one in before}
    assert [kept[one.key] for one in before if one.key.day >= cut] == [one for one in before if one.key.day >= cut]
    assert site.oracle.invented(kept.values()) == 0
    assert {one.code for one in site.ledger.parked()} <= {"not_owner"}


@pytest.mark.parametrize("fate", [None, "before", "after"])
def test_a_source_that_was_moved_to_another_pc_is_the_new_ones_and_the_forgotten_one_changes_nothing(
    site: Site, office: Office, tmp_path: Path, fate: Break | None
) -> None:
    pcs = {"old": (site.hospital.ledger, site.line)}
    token = office.enrol("12001", at=NOON)
    pcs["new"] = (tmp_path / "new" / "ledger.sqlite", Line(office, office.access.speaker(token, NOON), NOON))
    tokens = {"old": site.hospital.token.read_text(), "new": token}

    def at(name: str) -> None:
        site.close()
        site.hospital.ledger, site.line = pcs[name]
        site.hospital.token.write_text(tokens[name])
        site.start()

    at("new")
    before = site.stored()
    work(site, fate)
    assert site.stored() == before
    for name in ("his", "invoices"):
        sources.move(office.store, "12001", name, token.partition(".")[0], NOON)
    at("old")
    site.push(NOON)
    assert site.stored() == before
    at("new")
    work(site, fate)
    site.night(NOON)
    at("old")
    held = site.stored()
    site.night(NOON)
    assert site.stored() == held
    at("new")
    work(site)
    assert site.wrong() == []
    assert site.ledger.size() == (0, 0)
