"""A collector that is away is asked again soon, one that is busy gets time, and nobody comes with everybody else."""

from agent.waits import LONGEST_AWAY, LONGEST_WAIT, Waits
from contract.errors import CollectorDeniedError, CollectorUnavailableError

AWAY = CollectorUnavailableError("không tới được")
BUSY = CollectorUnavailableError("HTTP 429", 5.0)


def waits(error: Exception, times: int, before: Waits | None = None) -> list[float]:
    one = before or Waits()
    return [one.after(error) for _ in range(times)]


def test_it_waits_longer_each_time_and_never_twice_the_same() -> None:
    found = waits(AWAY, 3)
    assert found[0] <= 5 <= found[1] <= 10 <= found[2] <= 20
    assert len({waits(AWAY, 1)[0] for _ in range(20)}) == 20


def test_a_collector_that_is_away_for_a_month_hears_of_everybody_within_a_minute_of_its_return() -> None:
    found = waits(AWAY, 80_000)
    assert min(found[10:]) >= LONGEST_AWAY / 2 and max(found) <= LONGEST_AWAY < 60


def test_a_collector_that_is_busy_for_long_is_given_minutes_and_never_less_than_it_wishes() -> None:
    found = waits(BUSY, 20)
    assert min(found[10:]) >= LONGEST_WAIT / 2 and max(found) <= LONGEST_WAIT
    assert waits(CollectorUnavailableError("HTTP 503", 1_000.0), 1) == [1_000.0]


def test_a_collector_that_refuses_the_agent_as_a_whole_is_not_asked_all_the_time() -> None:
    assert min(waits(CollectorDeniedError("mã truy cập"), 20)[10:]) >= LONGEST_WAIT / 2


def test_how_long_it_was_away_says_nothing_of_how_busy_it_is_now() -> None:
    one = Waits()
    waits(AWAY, 100, one)
    assert waits(BUSY, 1, one)[0] <= 5
    waits(BUSY, 100, one)
    assert waits(AWAY, 1, one)[0] <= 5
