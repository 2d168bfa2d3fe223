"""The line is down for days, or the agent is: the fresh day comes first, the backlog once, and nothing is missing."""

import time
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, cast

import pytest

from agent.schedule import LONGEST_WAIT, Service
from contract.days import DayRange, local_day, now
from contract.errors import CollectorUnavailableError
from tests.faults.hospital import changing
from tests.faults.site import Site

TODAY = local_day(now())
BATCH = 4
SiteSince = Callable[[date], Site]


def cut_off(site: Site, days: DayRange) -> int:
    """The line is cut for so long, and the agent is restarted now and then; how many tallies wait at the end."""
    site.poll(site.at(days.first))
    site.push(site.at(days.first))
    site.line.is_cut = True
    for number, day in enumerate(days):
        site.change(changing(day))
        site.poll(site.at(day))
        with pytest.raises(CollectorUnavailableError):
            site.push(site.at(day))
        if number % 3 == 1:
            site.close()
            site.start()
    site.line.is_cut = False
    site.line.sent.clear()
    site.pusher._batch = BATCH
    return site.ledger.size()[0]


@pytest.mark.parametrize("days", [3, 30])
def test_after_an_outage_the_fresh_day_comes_first_and_each_tally_once(site_since: SiteSince, days: int) -> None:
    span = DayRange.ending(TODAY, days)
    site = site_since(span.first)
    waiting = cut_off(site, span)
    site.push(site.at(TODAY))
    sent = [key for push in site.line.sent for key in push]
    assert [key.day for key in sent] == sorted((key.day for key in sent), reverse=True)
    assert sent[0].day == TODAY
    assert len(site.line.sent) > 1
    assert len(sent) == len(set(sent)) == waiting
    assert site.wrong() == []


def test_when_the_line_breaks_again_in_the_backlog_only_what_was_on_its_way_is_sent_twice(
    site_since: SiteSince,
) -> None:
    span = DayRange.ending(TODAY, 30)
    site = site_since(span.first)
    waiting = cut_off(site, span)
    site.line.breaks.extend([None, None, "after"])
    with pytest.raises(CollectorUnavailableError):
        site.push(site.at(TODAY))
    site.push(site.at(TODAY))
    sent = Counter(key for push in site.line.sent for key in push)
    assert len(sent) == waiting
    assert sorted(sent.values())[-BATCH - 1 :] == [1] + [2] * BATCH
    assert site.wrong() == []


def test_an_agent_that_was_off_for_sixty_days_reads_all_of_them(site_since: SiteSince) -> None:
    stopped = TODAY - timedelta(days=60)
    site = site_since(stopped)
    site.poll(site.at(stopped))
    site.push(site.at(stopped))
    site.close()
    for day in DayRange(stopped, TODAY):
        site.change(DayRange(max(stopped, day - timedelta(days=2)), day))
    site.start()
    site.poll(site.at(TODAY))
    site.push(site.at(TODAY))
    assert site.wrong() == []


def test_six_hundred_agents_do_not_come_back_all_at_once() -> None:
    """Each was refused for hours; now the collector answers again. It takes 24 pushes at once, each far below 1 s."""
    moments: Counter[int] = Counter()
    for _ in range(600):
        service = Service(cast(Any, None), now)
        service._failures = 20
        service._push_later(CollectorUnavailableError("bận", 5.0))
        moments[int(service._not_before - time.monotonic())] += 1
    assert max(moments.values()) < 24
    assert max(moments) <= LONGEST_WAIT
