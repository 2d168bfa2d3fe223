"""What travels as tallies, looked at by itself: whether each has the shape of one (contract.md, "Push API")."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from pydantic_core import to_json

from collector.store import as_text
from contract.catalogue import Catalogue
from contract.tally import FIRST_DAY, MAX_COUNT, MAX_REVISION, SOURCE_NAME, Refusal, RefusalCode

_LONGEST_NAME = 64
_SOURCE_NAME = re.compile(SOURCE_NAME)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


Place = tuple[str, str, str]
"""Facility, source, measure."""
Shaped = tuple[int, date, int, str]
"""Index in its batch, day, revision, counts as canonical JSON without zeros."""


class RefusedError(Exception):
    """One tally is refused; nothing of what was sent is repeated."""

    def __init__(self, code: RefusalCode, reason: str) -> None:
        super().__init__(reason)
        self.code: RefusalCode = code
        self.reason = reason

    def of(self, index: int) -> Refusal:
        """The verdict on the `index`th of a batch."""
        return Refusal(index=index, code=self.code, reason=self.reason)


@dataclass
class Batch:
    """The tallies of one push."""

    length: int
    tallies: dict[Place, list[Shaped]] = field(default_factory=lambda: defaultdict(list))
    refused: list[Refusal] = field(default_factory=list)


class Shapes:
    """The shape that a catalogue wants, up to the day after `today`; remembers what it has looked at."""

    def __init__(self, catalogue: Catalogue, today: date) -> None:
        self._catalogue = catalogue
        self._last_day = today + timedelta(days=1)
        self._days: dict[object, date] = {}
        self._orders: dict[object, set[tuple[str, ...]]] = defaultdict(set)
        """(source, measure) → categories that came, each time in the order of canonical JSON."""

    def batch(self, raw: Sequence[Any], facilities: frozenset[str]) -> Batch:
        """The elements of `tallies`, sent by who may speak for `facilities`."""
        found = Batch(len(raw))
        for index, one in enumerate(raw):
            try:
                place, day, revision, counts = self._known(one, facilities) or self._looked_at(one, facilities)
            except RefusedError as refused:
                found.refused.append(refused.of(index))
            else:
                found.tallies[place].append((index, day, revision, counts))
        return found

    def _known(self, raw: Any, facilities: frozenset[str]) -> tuple[Place, date, int, str] | None:
        """A tally that is plainly right, because one like it was looked at before; most are, and this is quick."""
        try:
            facility, source, measure, counts = raw["facility"], raw["source"], raw["measure"], raw["counts"]
            day, revision = self._days[raw["day"]], raw["revision"]
            if tuple(counts) not in self._orders.get((source, measure), ()) or facility not in facilities:
                return None
        except (KeyError, TypeError):  # something is missing, or is a list or an object where it must not be
            return None
        if type(counts) is not dict or type(revision) is not int or not 1 <= revision <= MAX_REVISION:
            return None
        for count in counts.values():
            if type(count) is not int or not 0 < count <= MAX_COUNT:
                return None
        return (facility, source, measure), day, revision, to_json(counts).decode()

    def _looked_at(self, raw: Any, facilities: frozenset[str]) -> tuple[Place, date, int, str]:
        """Raises RefusedError."""
        if not isinstance(raw, dict):
            raise RefusedError("malformed", "không phải là một đối tượng JSON")
        facility = _facility(raw, facilities)
        source, measure = raw.get("source"), raw.get("measure")
        if not isinstance(source, str) or not _SOURCE_NAME.fullmatch(source):
            raise RefusedError("malformed", "source thiếu hoặc không đúng dạng")
        if not isinstance(measure, str) or not 1 <= len(measure) <= _LONGEST_NAME:
            raise RefusedError("malformed", "measure thiếu hoặc không đúng dạng")
        day = self._day(raw.get("day"))
        known = self._catalogue.measures.get(measure)
        if known is None:
            raise RefusedError("unknown_measure", "danh mục không có số đếm này")
        revision = raw.get("revision")
        if type(revision) is not int or not 1 <= revision <= MAX_REVISION:
            raise RefusedError("bad_revision", "revision phải là số nguyên từ 1")
        counts = _counts(raw.get("counts"), known.codes)
        self._orders[source, measure].add(tuple(sorted(counts)))
        return (facility, source, measure), day, revision, as_text(counts)

    def _day(self, value: Any) -> date:
        if not isinstance(value, str):
            raise RefusedError("malformed", "day phải có dạng yyyy-mm-dd")
        if not _DAY.fullmatch(value):
            raise RefusedError("bad_day", "day phải có dạng yyyy-mm-dd")
        try:
            day = date.fromisoformat(value)
        except ValueError:
            raise RefusedError("bad_day", "không có ngày này") from None
        if not FIRST_DAY <= day <= self._last_day:
            raise RefusedError("bad_day", "ngày phải từ 2020-01-01 đến ngày mai")
        self._days[value] = day
        return day


def _facility(raw: Mapping[str, Any], facilities: frozenset[str]) -> str:
    if "facility" not in raw and len(facilities) == 1:
        return next(iter(facilities))
    facility = raw.get("facility")
    if not isinstance(facility, str):
        raise RefusedError("malformed", "thiếu facility")
    if facility not in facilities:
        raise RefusedError("not_yours", "agent này không được gửi cho cơ sở đó")
    return facility


def _counts(value: Any, codes: frozenset[str]) -> dict[str, int]:
    if not isinstance(value, dict):
        raise RefusedError("malformed", "counts phải là một đối tượng JSON")
    if not value.keys() <= codes:
        raise RefusedError("unknown_category", "counts có category mà danh mục không có")
    if not all(type(count) is int and 0 <= count <= MAX_COUNT for count in value.values()):
        raise RefusedError("bad_count", "số đếm phải là số nguyên từ 0 đến 10^15")
    return {code: count for code, count in value.items() if count}
