"""An agent whose clock is wrong: nothing depends on it but which day is today, and that is got over."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from contract.days import DayRange, local_day, now
from tests.faults.hospital import REREAD_DAYS, changing
from tests.faults.oracle import Difference
from tests.faults.site import Site

TODAY = local_day(now())
NOON = Site.at(TODAY)
SiteSince = Callable[[date], Site]


def wrong(site: Site) -> list[Difference]:
    """Differences on days of which there is a truth; under a wrong clock days are read on which nothing happened."""
    known = DayRange.ending(TODAY, REREAD_DAYS + 1)
    return [one for one in site.oracle.differences(site.stored()) if one.key.day in known]


@pytest.mark.parametrize(
    "off",
    [
        timedelta(hours=3),
        timedelta(hours=13),
        timedelta(days=2),
        timedelta(days=730),
        timedelta(hours=-13),
        timedelta(days=-3),
        timedelta(days=-730),
    ],
    ids=str,
)
def test_a_wrong_clock_that_is_set_right_leaves_no_trace_in_the_figures(site_since: SiteSince, off: timedelta) -> None:
    site = site_since(TODAY)
    site.poll(NOON)
    site.push(NOON)
    site.change(changing(TODAY))
    site.poll(NOON + off)
    site.push(NOON)
    site.change(changing(TODAY))
    site.poll(NOON)
    site.push(NOON)
    assert wrong(site) == []
    # what it said of days that have not come is that nothing has happened on them, and no more than tomorrow is taken
    assert {str(one.counts) for one in site.stored() if one.key.day > TODAY} <= {"{}"}
    assert max(one.key.day for one in site.stored()) <= TODAY + timedelta(days=1)
    site.night(NOON)
    assert wrong(site) == []
    site.ledger.prune(TODAY)
    assert site.ledger.size() == (0, 0)


def test_a_clock_that_jumps_to_and_fro_over_midnight_does_no_harm(site_since: SiteSince) -> None:
    site = site_since(TODAY)
    for hours in (0, 13, -13, 11, 12, -12, 0):
        site.change(changing(TODAY))
        site.poll(NOON + timedelta(hours=hours))
        site.push(NOON)
    assert wrong(site) == []
