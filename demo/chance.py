"""Chance that repeats itself for the same seed: moments of a day, weighted choices, invented people."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import count
from random import Random
from typing import NamedTuple, TypeVar

from contract.days import midnight

T = TypeVar("T")
_LAST_SECOND = 24 * 60 * 60 - 1


class Person(NamedTuple):
    """An invented patient. Every value carries the mark `MARK-`: a test looks for it where it must not be."""

    name: str
    cccd: str
    phone: str
    card: str


class People:
    """Invents people, one after the other."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._numbers = count(1)

    def next(self) -> Person:
        """A person who did not exist before."""
        who = f"{self._place}-{next(self._numbers):06}"
        return Person(f"MARK-TEN-{who}", f"MARK-CCCD-{who}", f"MARK-SDT-{who}", f"MARK-BHYT-{who}")


def moments(random: Random, day: date, expected: float) -> list[datetime]:
    """About `expected` moments of `day`, in order: most in working hours, some at night, some on its very edges."""
    return sorted(midnight(day) + timedelta(seconds=_second(random)) for _ in range(about(random, expected)))


def about(random: Random, expected: float) -> int:
    """A whole number ≥ 0 with the mean `expected`."""
    spread = expected * random.uniform(0.75, 1.25)
    return int(spread) + (random.random() < spread % 1)


def weighted(random: Random, weights: Mapping[T, float]) -> T:
    """One of the keys, by weight."""
    return random.choices(list(weights), list(weights.values()))[0]


def fitting(random: Random, rows: Sequence[T], fits: Callable[[T], bool]) -> T | None:
    """One of the rows that fits, or None when chance finds none: a correction may have to wait for its turn."""
    return next((rows[at] for at in random.sample(range(len(rows)), min(300, len(rows))) if fits(rows[at])), None)


def _second(random: Random) -> int:
    # A case exactly at midnight, or in the last second, is counted on the right day only by a half-open range.
    if random.random() < 0.01:
        return random.choice((0, _LAST_SECOND))
    if random.random() < 0.05:
        return random.randint(0, _LAST_SECOND)
    return int(random.triangular(6.5, 17.5, 8.5) * 3600)
