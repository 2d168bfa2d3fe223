"""Which days are working days in Vietnam: public holidays from the library `holidays`, and what the Sở adds.

The government moves days off from year to year; `calendar.toml` says so: `[[off]]` first_day, last_day, name (further
days off) and `[[work]]` day, name (worked although a weekend or a holiday).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path

import holidays
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contract import daybits, toml_file
from contract.days import DayRange
from contract.errors import ConfigError
from contract.problems import sentences
from contract.tally import FIRST_DAY


class _Off(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    first_day: date
    last_day: date
    name: str = Field(min_length=1)


class _Work(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    day: date
    name: str = Field(min_length=1)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    off: tuple[_Off, ...] = ()
    work: tuple[_Work, ...] = ()


@dataclass(frozen=True)
class Calendar:
    """Days off by day, with their names; and days worked although they would be off."""

    off: Mapping[date, str] = field(default_factory=dict)
    work: Mapping[date, str] = field(default_factory=dict)
    _years: dict[int, int] = field(default_factory=dict, init=False, repr=False, compare=False)

    def holiday(self, day: date) -> str | None:
        """The name of the public holiday, or of the further day off; None on other days, weekends among them."""
        if day in self.work:
            return None
        return self.off.get(day) or _named(day.year).get(day)

    def is_working(self, day: date) -> bool:
        """Monday to Friday without holidays, and the days that are worked instead."""
        if day in self.work or (day in _public(day.year).weekend_workdays and day not in self.off):
            return True
        return day.weekday() < 5 and self.holiday(day) is None

    def working(self, days: DayRange) -> int:
        """The working days among `days`, as bits (daybits.py)."""
        found = 0
        for year in range(max(days.first, FIRST_DAY).year, days.last.year + 1):
            if year not in self._years:
                whole = DayRange(max(date(year, 1, 1), FIRST_DAY), date(year, 12, 31))
                self._years[year] = daybits.bits(filter(self.is_working, whole))
            found |= self._years[year]
        return found & daybits.span(days)


@cache
def _public(year: int) -> holidays.HolidayBase:
    # a day may be moved by what happens in the year beside it
    return holidays.country_holidays("VN", years=(year - 1, year, year + 1), language="vi", expand=False)


@cache
def _named(year: int) -> Mapping[date, str]:
    # asked for every day of every window: the library would look at what kind of day it is given, each time
    return dict(_public(year).items())


def load(file: Path | None) -> Calendar:
    """The calendar with the Sở's file laid over it. Raises ConfigError with every problem."""
    if file is None:
        return Calendar()
    try:
        content = _File.model_validate(toml_file.read(file))
    except ValidationError as error:
        raise ConfigError(sentences(str(file), error)) from None
    problems = [
        f"{file}: off: {one.name}: first_day phải không sau last_day"
        for one in content.off
        if one.first_day > one.last_day
    ]
    if problems:
        raise ConfigError(problems)
    off = {day: one.name for one in content.off for day in DayRange(one.first_day, one.last_day)}
    return Calendar(off, {one.day: one.name for one in content.work})
