"""Plans: the targets that a document sets, with its own words (architecture.md, "Targets"; indicators.md).

A plan is a TOML file that a Sở keeps; its id is the file's name without `.toml`. `plan check FILE` names every mistake.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contract import toml_file
from contract.catalogue import Catalogue, Code, Level
from contract.errors import ConfigError
from contract.problems import sentences

Ownership = Literal["public", "private"]
Operator = Literal[">=", ">"]
Ratio = Annotated[Decimal, Field(ge=0, le=1)]
# A mistyped year is a mistake here, not an overflow somewhere else.
Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2100, 12, 31))]
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
# New plans come late: the old one goes on being held against until this many days after its last.
_GRACE = timedelta(days=31)


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class AppliesTo(_Table):
    """Which facilities a target is for; an empty list narrows nothing."""

    levels: tuple[Level, ...] = ()
    ownership: tuple[Ownership, ...] = ()
    facilities: tuple[str, ...] = ()

    def includes(self, facility: str, level: str, ownership: str) -> bool:
        """Whether a facility with this id, level and ownership is meant."""
        return (
            (not self.levels or level in self.levels)
            and (not self.ownership or ownership in self.ownership)
            and (not self.facilities or facility in self.facilities)
        )


class Override(_Table):
    """Another threshold for one facility, by whose decision and why."""

    facility: str = Field(min_length=1)
    ratio: Ratio
    reason: str = Field(min_length=1)


class Baseline(_Table):
    """Where the road of one facility begins, set by hand: the share it had on `day`."""

    facility: str = Field(min_length=1)
    day: Day
    ratio: Ratio
    reason: str = Field(min_length=1)


class Target(_Table):
    """What a plan asks of one indicator; without `ratio` it only asks to follow it."""

    indicator: str
    unit: Literal["cases", "facilities"] = "cases"
    operator: Operator = ">="
    ratio: Ratio | None = None
    uses_at: Ratio | None = None
    """unit = "facilities": the share of cases from which a facility counts as using it. The Sở's own decision."""
    uses_at_reason: str = ""
    deadline: Day | None = None
    every: Literal["year"] | None = None
    applies_to: AppliesTo = AppliesTo()
    section: str = Field(min_length=1)
    words: str = Field(min_length=1)
    note: str = ""
    overrides: tuple[Override, ...] = ()
    baselines: tuple[Baseline, ...] = ()


class Manual(_Table):
    """A target whose figure a person enters, with its evidence: no system tells it."""

    code: Code
    vi: str = Field(min_length=1)
    en: str = Field(min_length=1)
    unit: Literal["percent", "count"] = "percent"
    operator: Literal[">=", ">", "<=", "<"] = ">="
    value: Annotated[Decimal, Field(ge=0)]
    """Percent points (20 is 20 %) or a number of things."""
    deadline: Day | None = None
    every: Literal["year"] | None = None
    section: str = Field(min_length=1)
    words: str = Field(min_length=1)
    note: str = ""


class Follow(_Table):
    """A measure without a share (telemedicine) that a plan asks for without a figure: its counts are followed."""

    measure: str
    applies_to: AppliesTo = AppliesTo()
    section: str = Field(min_length=1)
    words: str = Field(min_length=1)
    note: str = ""


class Plan(_Table):
    """One document. In force from `first_day` to `until`."""

    id: str
    issuer: str = Field(min_length=1)
    number: str = ""
    title: str = Field(min_length=1)
    short: str = Field(min_length=1)
    """A name that fits in a sentence: "Kế hoạch 2026"."""
    signed: Day | None = None
    first_day: Day
    last_day: Day
    in_force_until: Day | None = None
    targets: tuple[Target, ...] = ()
    manual: tuple[Manual, ...] = ()
    follow: tuple[Follow, ...] = ()

    @property
    def until(self) -> date:
        """The last day on which the plan is held against anybody."""
        return self.in_force_until or self.last_day + _GRACE

    def is_over(self, day: date) -> bool:
        """Whether the plan is only shown on `day`, for it has ended."""
        return day > self.until

    def deadline(self, one: Target | Manual, day: date) -> date:
        """The day by which the target is to be reached, seen from `day` (the last of a window).

        `every = "year"`: the end of the year of `day`; in January still that of the year before, so that what was
        missed is said for a month.
        """
        if one.deadline is not None:
            return one.deadline
        if one.every is None:
            return self.last_day
        before = date(day.year - 1, 12, 31)
        if day.month == 1 and before >= self.first_day:
            return min(before, self.last_day)
        return min(date(day.year, 12, 31), self.last_day)

    def period(self, one: Target | Manual, day: date) -> tuple[date, date]:
        """First and last day of the period that ends with the deadline: the plan's, or the year's."""
        deadline = self.deadline(one, day)
        if one.every is None:
            return self.first_day, deadline
        return max(date(deadline.year, 1, 1), self.first_day), deadline


def load(files: Sequence[Path], catalogue: Catalogue) -> tuple[Plan, ...]:
    """The plans in the order given: the first in force with a target binds. Raises ConfigError with every problem."""
    plans, problems = [], []
    for file in files:
        try:
            plans.append(read(file, catalogue))
        except ConfigError as error:
            problems += error.problems
    names = [one.id for one in plans]
    problems += [f"kế hoạch “{one}” được khai báo hai lần" for one in sorted({n for n in names if names.count(n) > 1})]
    if problems:
        raise ConfigError(problems)
    return tuple(plans)


def read(file: Path, catalogue: Catalogue) -> Plan:
    """One plan file. Raises ConfigError that names every mistake, with file and key."""
    content = toml_file.read(file, parse_float=Decimal)
    problems = [f"{file}: id: mã của kế hoạch là tên tệp, không đặt ở đây"] if "id" in content else []
    try:
        plan = parse({**content, "id": file.stem}, str(file), catalogue)
    except ConfigError as error:
        raise ConfigError(problems + error.problems) from None
    if problems:
        raise ConfigError(problems)
    return plan


def parse(content: dict[str, Any], file: str, catalogue: Catalogue) -> Plan:
    """Build a plan from plain tables; `file` is named in each problem."""
    try:
        plan = Plan.model_validate(content)
    except ValidationError as error:
        raise ConfigError(sentences(file, error)) from None
    problems = [f"{file}: {problem}" for problem in _mistakes(plan, catalogue)]
    if problems:
        raise ConfigError(problems)
    return plan


def _mistakes(plan: Plan, catalogue: Catalogue) -> Iterator[str]:
    if not _ID.fullmatch(plan.id):
        yield f"tên tệp “{plan.id}” chỉ được có chữ thường không dấu, chữ số và dấu gạch nối"
    if plan.first_day > plan.last_day:
        yield "first_day phải không sau last_day"
    if plan.until < plan.last_day:
        yield "in_force_until phải không trước last_day"
    deadlines: dict[str, set[tuple[date, str | None]]] = {}
    for number, target in enumerate(plan.targets):
        place = f"targets.{number} ({target.indicator})"
        yield from (f"{place}: {problem}" for problem in _mistakes_of(target, plan, catalogue))
        if target.ratio is not None:
            deadlines.setdefault(target.indicator, set()).add((target.deadline or plan.last_day, target.every))
    yield from (f"chỉ số {code} có hai hạn khác nhau" for code, found in deadlines.items() if len(found) > 1)
    codes = [one.code for one in plan.manual]
    yield from (f"manual: mã {code} lặp lại" for code in sorted({c for c in codes if codes.count(c) > 1}))
    for one in plan.manual:
        yield from (f"manual {one.code}: {problem}" for problem in _bad_dates(one, plan))
    yield from (
        f"follow.{number} ({one.measure}): danh mục không có số đếm này"
        for number, one in enumerate(plan.follow)
        if one.measure not in catalogue.measures
    )


def _mistakes_of(target: Target, plan: Plan, catalogue: Catalogue) -> Iterator[str]:
    if target.indicator not in catalogue.indicators:
        yield "danh mục không có chỉ số này"
    if target.ratio is None and (target.unit == "facilities" or target.overrides or target.baselines):
        yield "không có ratio thì chỉ theo dõi: không đặt unit, overrides, baselines"
    # Of facilities targets an override is the facility's own `uses_at`.
    thresholds = {target.ratio} | ({one.ratio for one in target.overrides} if target.unit == "cases" else set())
    if target.operator == ">" and 1 in thresholds:
        yield 'không tỷ lệ nào lớn hơn 100 %: dùng operator = ">="'
    if (target.unit == "facilities") != (target.uses_at is not None):
        yield 'uses_at phải có, và chỉ có, khi unit = "facilities"'
    if target.uses_at is not None and not target.uses_at_reason:
        yield "uses_at là quyết định của Sở: phải có uses_at_reason"
    for name in ("overrides", "baselines"):
        facilities = [one.facility for one in getattr(target, name)]
        yield from (
            f"{name}: cơ sở {one} lặp lại" for one in sorted({f for f in facilities if facilities.count(f) > 1})
        )
    last = target.deadline or plan.last_day
    yield from (f"baselines: {one.facility}: day phải trước hạn" for one in target.baselines if one.day >= last)
    yield from _bad_dates(target, plan)


def _bad_dates(one: Target | Manual, plan: Plan) -> Iterator[str]:
    if one.deadline is not None and one.every is not None:
        yield "chỉ đặt một trong deadline và every"
    if one.deadline is not None and not plan.first_day <= one.deadline <= plan.last_day:
        yield "deadline phải nằm trong thời gian của kế hoạch"
