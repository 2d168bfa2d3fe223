"""dashboards.toml: what boards, rules and routes are made from; read and checked whole, every problem named at once."""

import csv
import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, ValidationError

from contract import calendar, catalogue, plan
from contract.calendar import Calendar
from contract.catalogue import Catalogue
from contract.errors import ConfigError
from contract.plan import Plan
from contract.problems import sentences


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class General(_Table):
    """`[dashboards]`. Paths may be relative to the directory of dashboards.toml."""

    portal_url: HttpUrl
    """Where people reach the collector's pages: alerts and boards link to them."""
    runbook_url: HttpUrl | None = None
    """Where docs/runbook.md is shown; default: the portal's own copy."""
    catalogue_file: str | None = None
    calendar_file: str | None = None
    plan_files: tuple[str, ...] = ()
    facilities_file: str | None = None
    """The CSV that `nhipso-collector facility list` prints: who gets which mail."""


class Alerts(_Table):
    """`[alerts]`: thresholds of the rules. Hours and days are of real time."""

    below_hours: float = Field(default=24, ge=0)
    falling_points: float = Field(default=10, gt=0, le=100)
    off_road_points: float = Field(default=5, gt=0, le=100)
    off_road_days: float = Field(default=7, ge=0)
    silent_hours: float = Field(default=24, gt=0)
    source_down_hours: float = Field(default=2, gt=0)
    still_days: int = Field(default=3, ge=1)
    waiting: int = Field(default=1000, ge=0)
    waiting_hours: float = Field(default=6, gt=0)
    clock_minutes: float = Field(default=5, gt=0)
    unmapped_percent: float = Field(default=5, gt=0, le=100)
    confirmation_day: int = Field(default=5, ge=1, le=28)
    loop_periods: float = Field(default=3, gt=1)
    interval_seconds: float = Field(default=60, gt=0)


@dataclass(frozen=True, slots=True)
class Place:
    """A facility, as far as routes need it."""

    id: str
    name: str
    area: str
    email: str


@dataclass(frozen=True)
class Settings:
    """All of dashboards.toml, with the files that it names."""

    general: General
    alerts: Alerts
    catalogue: Catalogue
    calendar: Calendar
    plans: tuple[Plan, ...]
    places: tuple[Place, ...]
    directory: Path


class _File(_Table):
    dashboards: General
    alerts: Alerts = Alerts()


def load(file: Path) -> Settings:
    """Read `file` and what it names. Raises ConfigError with every problem."""
    try:
        content = _File.model_validate(tomllib.loads(file.read_text("utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: không đọc được tệp ({type(error).__name__})") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: không phải là TOML đúng: {error}") from None
    except ValidationError as error:
        raise ConfigError(sentences(str(file), error)) from None
    general, directory = content.dashboards, file.absolute().parent
    known = catalogue.load(directory / general.catalogue_file if general.catalogue_file else None)
    return Settings(
        general=general,
        alerts=content.alerts,
        catalogue=known,
        calendar=calendar.load(directory / general.calendar_file if general.calendar_file else None),
        plans=plan.load([directory / one for one in general.plan_files], known),
        places=_places(directory / general.facilities_file) if general.facilities_file else (),
        directory=directory,
    )


def _places(file: Path) -> tuple[Place, ...]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            rows = list(csv.DictReader(text))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: không đọc được tệp ({type(error).__name__})") from None
    wanted = ("id", "name", "area", "email")
    missing = [one for one in wanted if rows and one not in rows[0]]
    if missing:
        raise ConfigError(f"{file}: thiếu cột {', '.join(missing)}")
    return tuple(Place(*(row[one].strip() for one in wanted)) for row in rows)
