"""A version of a facility's figures for a month, as people sign it: frozen, named by a digest, held against another.

The text of a version is canonical JSON (keys sorted, no spaces, UTF-8): an object of indicator → Figure, for every
indicator that applies to the facility. Its digest is `sha256:` and the SHA-256 (hex) of that text. So the digest covers

- the tallies: `Figure.tallies` is the digest (contract.tally.digest) of the lines `day category count` of all sources
  that count the measure, parts added, over the days counted; a check source is compared and never part of it;
- the definitions: measure, adopted, excluded (sorted: order means nothing), and the target that binds the facility on
  the month's last day, as it binds it (operator; ratio: of a plan's share of facilities, the Sở's `uses_at`);
- the result: counts, days, the share and the verdict, which thresholds, pauses and holidays decide too.

Whoever has the stored text can check the digest again with any SHA-256 program.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict

from collector import typography, windows
from collector.figures import FacilityData
from collector.standings import judge, standing_over
from collector.store import as_text
from collector.yardstick import Bound, Yardstick, applies
from contract.days import DayRange, midnight
from contract.tally import digest
from contract.verdict import Verdict

What = Literal["share", "verdict", "definition", "counts"]


class Target(BaseModel):
    """What a figure was held against: `ratio` is a decimal from 0 to 1 as text."""

    model_config = ConfigDict(frozen=True)

    operator: str
    ratio: str

    @property
    def share(self) -> Fraction:
        """The ratio, exact."""
        return Fraction(self.ratio)


class Figure(BaseModel):
    """An indicator in a month. Counts are whole numbers of the measure's unit, `expected` and `present` are days.

    `first`, `last`: the days counted (yyyy-mm-dd), for longer cadences those of the newest period up to the month's
    end. `percent`: the share to one decimal (`71.4`; half up, yet `100.0` only when all are in it); None when
    there is none. `verdict`: its code.
    """

    model_config = ConfigDict(frozen=True)

    measure: str
    adopted: tuple[str, ...]
    excluded: tuple[str, ...]
    target: Target | None
    first: str
    last: str
    numerator: int
    denominator: int
    unknown: int
    expected: int
    present: int
    percent: str | None
    verdict: str
    tallies: str

    @property
    def share(self) -> Fraction | None:
        """The share itself, 0 … 1; None when there is none."""
        return None if self.percent is None else Fraction(self.numerator, self.denominator)


@dataclass(frozen=True)
class Version:
    """The figures of one facility for one month, as the text that is kept with a signature."""

    text: str

    @cached_property
    def digest(self) -> str:
        """`sha256:…` over the text."""
        return "sha256:" + hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def figures(self) -> Mapping[str, Figure]:
        """By indicator."""
        return {code: Figure.model_validate(one) for code, one in json.loads(self.text).items()}


@dataclass(frozen=True, slots=True)
class Change:
    """What differs in one indicator. `before` None: it did not exist or apply then; `after` None: now no longer."""

    indicator: str
    before: Figure | None
    after: Figure | None
    what: tuple[What, ...]

    @property
    def reopens(self) -> bool:
        """Whether what was signed no longer holds; an indicator that nobody has signed cannot undo a signature."""
        return self.before is not None and self.what != ("counts",)


def version(data: FacilityData, yardstick: Yardstick, days: DayRange) -> Version:
    """The figures of a month that is over, from data that reach back to its first day.

    Only what the month's last day could know counts, however much `data` holds of later days, and no silence: what the
    agent does today says nothing about a month that is over.
    """
    then = FacilityData(data.facility, data.pauses, data.sources, data.claims)
    for (source, code), by_day in data.rows.items():
        # of what is counted by the day no more than the month, for each row costs time to read
        known = yardstick.catalogue.measures.get(code)
        is_long = known is not None and windows.is_long(data.cadence(code, known.cadence))
        first = date.min if is_long else days.first
        then.rows[source, code] = {day: row for day, row in by_day.items() if first <= day <= days.last}
    found = {
        code: _figure(then, yardstick, code, days).model_dump(mode="json")
        for code, indicator in yardstick.catalogue.indicators.items()
        if applies(indicator, code, data.facility)
    }
    return Version(as_text(found))


def _figure(then: FacilityData, yardstick: Yardstick, code: str, days: DayRange) -> Figure:
    indicator = yardstick.catalogue.indicators[code]
    over = midnight(days.last + timedelta(days=1))
    standing = standing_over(then, yardstick, code, days, f"{days.first:%Y-%m}", over)
    has_data = standing.as_of is not None
    least = yardstick.catalogue.measures[indicator.measure].min_base
    verdict = judge(standing, standing.bound, least, yardstick.thresholds, has_data)
    counted = standing.days if has_data else days
    share = standing.share
    return Figure(
        measure=indicator.measure,
        adopted=tuple(sorted(indicator.adopted)),
        excluded=tuple(sorted(indicator.excluded)),
        target=None if standing.bound is None else _target(standing.bound),
        first=str(counted.first),
        last=str(counted.last),
        numerator=standing.numerator,
        denominator=standing.denominator,
        unknown=standing.unknown,
        expected=standing.expected,
        present=standing.present,
        percent=None if share is None else percent(share),
        verdict=verdict.code,
        tallies=digest((day, counts) for day, counts in then.by_day(indicator.measure).items() if day in counted),
    )


def _target(bound: Bound) -> Target:
    # exact: a plan writes decimals
    return Target(operator=bound.operator, ratio=str(Decimal(bound.ratio.numerator) / Decimal(bound.ratio.denominator)))


def percent(share: Fraction) -> str:
    """A share as per cent to one decimal, in whole numbers, as all pages show it: 412/577 → `71.4`."""
    return "{}.{}".format(*divmod(typography.tenths(share), 10))


def changes(before: Version, after: Version) -> list[Change]:
    """What differs, by indicator; those no longer there last."""
    if before.text == after.text:
        return []
    codes = [*after.figures, *(one for one in before.figures if one not in after.figures)]
    found = (_change(code, before.figures.get(code), after.figures.get(code)) for code in codes)
    return [one for one in found if one.what]


def says_the_same(before: Version, after: Version) -> bool:
    """Whether a signature under `before` holds for `after` too."""
    return not any(one.reopens for one in changes(before, after))


def _change(code: str, before: Figure | None, after: Figure | None) -> Change:
    if before is None or after is None:
        return Change(code, before, after, ("definition",))
    return Change(code, before, after, tuple(_what(before, after)))


def _what(before: Figure, after: Figure) -> Iterator[What]:
    if before.percent != after.percent:
        yield "share"
    if before.verdict != after.verdict:
        yield "verdict"
    if _definition(before) != _definition(after):
        yield "definition"
    rest = {"percent", "verdict", "measure", "adopted", "excluded", "target"}
    if before.model_dump(exclude=rest) != after.model_dump(exclude=rest):
        yield "counts"


def _definition(one: Figure) -> tuple[object, ...]:
    return one.measure, one.adopted, one.excluded, one.target


def sentence(one: Change) -> str:
    """What has changed, for people: `98,2 % (5.402/5.501, Đạt), nay là 97,9 % (5.380/5.495, Gần đạt)`."""
    before = "chưa có chỉ số này" if one.before is None else _said(one.before)
    after = "không còn áp dụng" if one.after is None else _said(one.after)
    changed = one.before is not None and one.after is not None and "definition" in one.what
    return f"{before}, nay là {after}" + ("; định nghĩa hoặc chỉ tiêu đã thay đổi" if changed else "")


def _said(one: Figure) -> str:
    share = "không có tỷ lệ" if one.percent is None else f"{one.percent.replace('.', ',')} %"
    counts = f"{one.numerator:,}/{one.denominator:,}".replace(",", ".")
    return f"{share} ({counts}, {Verdict[one.verdict.upper()].vi})"
