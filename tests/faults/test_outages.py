"""The line is down for days, or the agent is: the fresh day comes first, the backlog once, and nothing is missing."""

from collections import Counter, deque
from collections.abc import Callable
from datetime import date, timedelta
from heapq import heappop, heappush

import pytest

from agent.waits import LONGEST_AWAY, Waits
from collector import api
from contract.days import DayRange, local_day, now
from contract.errors import BusyError, CollectorUnavailableError
from tests.faults.hospital import changing
from tests.faults.site import Site

TODAY = local_day(now())
BATCH = 4
_OUTAGE = 3600.0
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


class Herd:
    """Agents that all have `batches` to send when their collector comes back after long.

    The collector works at `seconds` a batch, one after the other, and has room for 24 at once (`collector.api`).
    """

    def __init__(self, agents: int, batches: int, seconds: float) -> None:
        self._seconds = seconds
        self._free_at = 0.0
        self._inside: deque[float] = deque()
        self._left = [batches] * agents
        self._waits = [Waits() for _ in range(agents)]
        self._due: list[tuple[float, int]] = []
        for agent in range(agents):
            moment = 0.0
            while moment < _OUTAGE:
                moment += self._waits[agent].after(CollectorUnavailableError("không tới được"))
            heappush(self._due, (moment - _OUTAGE, agent))
        self.arrived: Counter[int] = Counter()
        """How many pushes came in each second."""
        self.refused: Counter[int] = Counter()
        """How often each agent was told to come back later."""
        self.seconds = 0.0
        """When the last batch was taken."""

    def come_back(self) -> None:
        """Until nobody has anything to send."""
        while self._due:
            moment, agent = heappop(self._due)
            self.arrived[int(moment)] += 1
            while self._inside and self._inside[0] <= moment:
                self._inside.popleft()
            if len(self._inside) >= api._MOST_AT_ONCE:
                self.refused[agent] += 1
                wait = self._waits[agent].after(CollectorUnavailableError("HTTP 429", BusyError.retry_after))
                heappush(self._due, (moment + wait, agent))
                continue
            self._free_at = max(self._free_at, moment) + self._seconds
            self._inside.append(self._free_at)
            self._left[agent] -= 1
            self.seconds = self._free_at
            if self._left[agent]:
                heappush(self._due, (self._free_at, agent))


@pytest.mark.parametrize(("seconds", "refusals"), [(0.02, 0), (0.3, 3600), (1.0, 5400)])
def test_six_hundred_agents_that_come_back_after_a_month_make_no_storm(seconds: float, refusals: int) -> None:
    """Two batches each, the tallies of 30 days. A fast collector refuses nobody; a slow one is kept busy, no more."""
    herd = Herd(600, 2, seconds)
    herd.come_back()
    assert herd.refused.total() <= refusals
    assert max(herd.refused.values(), default=0) <= 14
    assert max(herd.arrived.values()) <= 100
    assert herd.seconds <= LONGEST_AWAY + 2.5 * 1200 * seconds
