"""Where the Sở draws its lines: the tables `[standings]`, `[findings]` and `[confirmation]` of collector.toml."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Thresholds(BaseModel):
    """`[standings]` of collector.toml: where a figure stops being one (architecture.md, "Verdict")."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    known_percent: int = Field(default=80, ge=0, le=100)
    """Below this share of cases that the source could classify, the verdict is `unknown`."""
    complete_percent: int = Field(default=50, ge=0, le=100)
    """Below this share of expected days, the verdict is `no_data`."""
    near_percent: int = Field(default=2, ge=0, le=100)
    """Up to this share of the base may be missing for `near` (one case always may)."""
    silent_hours: float = Field(default=24, gt=0)
    forgotten_days: float = Field(default=30, gt=0)
    """After so many days of silence there is no data any more."""


class Limits(BaseModel):
    """`[findings]` of collector.toml: from where on a figure is remarkable. Percentages are whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    change_percent: int = Field(default=40, ge=1, le=99)
    """A drop is more than this below the usual; a jump is a day below which the usual lies by more than this."""
    change_deviations: float = Field(default=4, gt=0)
    """And so many times as far away as days usually are."""
    change_cases: int = Field(default=50, ge=1)
    """Only where a day usually has so many cases,"""
    zero_cases: int = Field(default=20, ge=1)
    """or so many, for a day without any."""
    earlier_days: int = Field(default=4, ge=2, le=8)
    """Earlier same weekdays that make a usual value."""
    frozen_days: int = Field(default=5, ge=2, le=30)
    frozen_cases: int = Field(default=20, ge=1)
    """Cases a day; fewer are easily the same by chance."""
    still_days: int = Field(default=3, ge=1)
    """More expected days than this without a case."""
    full_days: int = Field(default=14, ge=1, le=30)
    """Days of the 30 that have at least `full_day_cases`; and `full_cases` in all."""
    full_day_cases: int = Field(default=20, ge=1)
    full_cases: int = Field(default=1000, ge=1)
    unknown_percent: int = Field(default=20, ge=0, le=99)
    check_percent: int = Field(default=5, ge=0)
    check_cases: int = Field(default=10, ge=1)
    """Smaller differences are none, over all days and on one day."""
    check_days: int = Field(default=10, ge=1, le=30)
    """Days of the 30 that differ, though the sum over all does not."""
    vnd_of_a_case: int = Field(default=100_000, ge=1)
    """Money is as many cases as it has such pieces."""


class Confirmation(BaseModel):
    """`[confirmation]` of collector.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    confirm_by: Literal[1, 2] = 1
    """How many people of the facility must sign the same figures. Holds for all months, also those signed before."""
    due_day: int = Field(default=5, ge=1, le=28)
    """The day of the following month up to which a month should be confirmed."""
    remind_days: tuple[Annotated[int, Field(ge=0, le=27)], ...] = Field(default=(3, 1), max_length=5)
    """So many days before that day, mail reminds who has not confirmed; and once after it."""
