"""What a plan is: the targets that a document sets, with its own words (architecture.md, "Targets"; indicators.md)."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from contract.catalogue import Code, Level

Ownership = Literal["public", "private"]
Operator = Literal[">=", ">"]
Ratio = Annotated[Decimal, Field(ge=0, le=1)]
# A mistyped year is a mistake here, not an overflow somewhere else.
Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2100, 12, 31))]
# New plans come late: the old one goes on being held against until this many days after its last.
_GRACE = timedelta(days=31)


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class AppliesTo(_Table):
    """Which facilities a target is for; an empty list narrows nothing."""

    levels: tuple[Level, ...] = ()
    ownership: tuple[Ownership, ...] = ()
    facilities: tuple[Annotated[str, Field(min_length=1)], ...] = ()

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
    uses_at: Annotated[Decimal, Field(gt=0, le=1)] | None = None
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
    """A target whose figure a person enters, with its evidence: no system tells it.

    Without `value` the document asks for it and names no figure: it is only followed.
    """

    code: Code
    vi: str = Field(min_length=1)
    en: str = Field(min_length=1)
    unit: Literal["percent", "count"] = "percent"
    operator: Literal[">=", ">", "<=", "<"] = ">="
    value: Annotated[Decimal, Field(ge=0)] | None = None
    """Percent points (20 is 20 %) or a number of things."""
    applies_to: AppliesTo = AppliesTo()
    """Whose figure it is; when it narrows nothing, the department's own."""
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
    def facilities(self) -> frozenset[str]:
        """The ids of all facilities that the plan names."""
        tables: tuple[Target | Manual | Follow, ...] = (*self.targets, *self.manual, *self.follow)
        singled = [each.facility for one in self.targets for each in one.overrides]
        singled += [each.facility for one in self.targets for each in one.baselines]
        return frozenset(singled).union(*(one.applies_to.facilities for one in tables))

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
