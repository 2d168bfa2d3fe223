"""What arrived beside the truth: what is missing, what is different, what nobody can have seen."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any, Literal, NamedTuple

from contract.days import DayRange
from demo.truth import Place, Truth

Kind = Literal["missing", "different", "extra"]


class Difference(NamedTuple):
    """One facility, measure and day on which what arrived is not the truth; None where there is nothing at all."""

    place: Place
    truth: Mapping[str, int] | None
    arrived: Mapping[str, int] | None

    @property
    def kind(self) -> Kind:
        """In one word."""
        if self.arrived is None:
            return "missing"
        return "extra" if self.truth is None else "different"

    def __str__(self) -> str:
        facility, measure, day = self.place
        return f"{facility} {measure} {day}: {_told(self.truth)} ≠ {_told(self.arrived)} ({_KINDS[self.kind]})"


class Line(NamedTuple):
    """How one measure of one facility fares."""

    facility: str
    measure: str
    arrived_today: int | None
    truth_today: int | None
    days_equal: int
    days: int


def arrived(answers: Iterable[Mapping[str, Any]]) -> Truth:
    """The counts of `GET /api/v1/tallies`, in the shape of a truth; sources of the same place add up."""
    found: Truth = {}
    for answer in answers:
        place = (answer["facility"], answer["measure"], date.fromisoformat(answer["day"]))
        counts = found.setdefault(place, {})
        for category, count in answer["counts"].items():
            if count:
                counts[category] = counts.get(category, 0) + count
    return found


def differences(truth: Truth, arrived: Truth, days: DayRange) -> list[Difference]:
    """Every place inside `days` where the two are not the same, in order."""
    places = sorted(place for place in truth.keys() | arrived.keys() if place[2] in days)
    pairs = (Difference(place, truth.get(place), arrived.get(place)) for place in places)
    return [pair for pair in pairs if pair.truth != pair.arrived]


def lines(truth: Truth, arrived: Truth, days: DayRange) -> Iterator[Line]:
    """One line a facility and measure, in order, with the running day (the last of `days`) apart."""
    wrong = {difference.place for difference in differences(truth, arrived, days)}
    there = sorted(place for place in truth.keys() | arrived.keys() if place[2] in days)
    for facility, measure in dict.fromkeys(place[:2] for place in there):
        own = [place for place in there if place[:2] == (facility, measure)]
        today = (facility, measure, days.last)
        equal = sum(place not in wrong for place in own)
        yield Line(facility, measure, _sum(arrived.get(today)), _sum(truth.get(today)), equal, len(own))


_KINDS: dict[Kind, str] = {"missing": "chưa đến", "different": "khác", "extra": "thừa"}


def _sum(counts: Mapping[str, int] | None) -> int | None:
    return None if counts is None else sum(counts.values())


def _told(counts: Mapping[str, int] | None) -> str:
    return "không có" if counts is None else str(dict(sorted(counts.items())))
