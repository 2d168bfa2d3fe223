"""dashboards.toml: what boards, rules and routes are made from; read and checked whole, every problem named at once."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, ValidationError

from contract import calendar, catalogue, plan, toml_file
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
    prometheus_url: HttpUrl = HttpUrl("http://127.0.0.1:9090")
    """Where Grafana reaches Prometheus."""
    grafana_dir: str = "/etc/nhipso/dashboards"
    """Where the written files stand on Grafana's machine."""
    facilities_file: str | None = None
    """The CSV that `nhipso-collector facility list` prints: who gets which mail."""


class Alerts(_Table):
    """`[alerts]`: thresholds of the rules. Hours and days are of real time."""

    below_hours: float = Field(default=24, ge=0)
    falling_points: float = Field(default=10, gt=0, le=100)
    off_road_points: float = Field(default=5, gt=0, le=100)
    off_road_days: float = Field(default=7, gt=0)
    silent_hours: float = Field(default=24, gt=0)
    settle_minutes: float = Field(default=15, ge=0)
    """How long agents may take to come back after the collector was away, before their facility counts as silent."""
    source_down_hours: float = Field(default=2, gt=0)
    still_days: int = Field(default=3, ge=1)
    waiting: int = Field(default=1000, ge=0)
    waiting_hours: float = Field(default=6, gt=0)
    clock_minutes: float = Field(default=5, gt=0)
    unmapped_percent: float = Field(default=5, gt=0, le=100)
    collector_down_minutes: float = Field(default=5, ge=0)
    loop_periods: float = Field(default=3, gt=1)
    interval_seconds: float = Field(default=60, gt=0, le=240)
    """Of the alerts on machines and on who is silent; those on figures are looked at less often (rules.py)."""


ADDRESS = r"[^@\s,;<>\"{}]+@[^@\s,;<>\"{}]+"
Address = Annotated[str, Field(pattern=f"^{ADDRESS}$")]
# Alertmanager reads these files, perhaps on another machine: a relative path would be relative to its own config.
_ThereFile = Annotated[str, Field(pattern="^/")]


class Delivery(_Table):
    """`[delivery]`: when Alertmanager speaks, and how it tells the collector."""

    collector_url: HttpUrl | None = None
    """Where Alertmanager reaches the collector; default: portal_url."""
    collector_token_file: _ThereFile | None = None
    """The file with the collector's alerts token, on Alertmanager's machine."""
    group_wait_seconds: float = Field(default=60, ge=0)
    """How long a first alert waits for others of its group."""
    group_interval_minutes: float = Field(default=60, gt=0)
    """How often at most a group that changes is told again."""
    warning_repeat_hours: float = Field(default=168, gt=0)
    critical_repeat_hours: float = Field(default=24, gt=0)
    collector_interval_seconds: float = Field(default=60, gt=0)
    """How soon the collector hears that an alert has ended."""


class Mail(_Table):
    """`[mail]`: the mail server, and who reads at the Sở."""

    smarthost: str = Field(pattern=r"^[^\s:]+:\d{1,5}$")
    sender: Address = Field(alias="from")
    to: tuple[Address, ...] = Field(min_length=1)
    it: tuple[Address, ...] = ()
    """Who looks after the collector; default: `to`."""
    areas: Mapping[str, tuple[Address, ...]] = {}
    """Area → who reads about its facilities instead of `to`."""
    hello: str = Field(default="localhost", min_length=1)
    auth_username: str = ""
    auth_password_file: _ThereFile | None = None
    require_tls: bool = True


class Telegram(_Table):
    """`[telegram]`: a chat of the Sở that reads what `[mail]` `to` and `it` read."""

    bot_token_file: str = Field(min_length=1)
    """Read by `build`: Alertmanager 0.25 knows no file for it, so alertmanager.yml holds the token itself."""
    chat_id: int
    api_url: HttpUrl = HttpUrl("https://api.telegram.org")


class Webhook(_Table):
    """`[[webhooks]]`: another program that hears alerts; with `watchdog`, a dead-man switch that hears only that."""

    name: str = Field(pattern="^[a-z0-9-]+$")
    url: HttpUrl
    credentials_file: _ThereFile | None = None
    """A bearer token, on Alertmanager's machine."""
    severities: tuple[Literal["warning", "critical"], ...] = Field(default=("warning", "critical"), min_length=1)
    watchdog: bool = False


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
    delivery: Delivery = field(default_factory=Delivery)
    mail: Mail | None = None
    telegram: Telegram | None = None
    telegram_token: str = field(default="", repr=False)
    webhooks: tuple[Webhook, ...] = ()


class _File(_Table):
    dashboards: General
    alerts: Alerts = Alerts()
    delivery: Delivery = Delivery()
    mail: Mail | None = None
    telegram: Telegram | None = None
    webhooks: tuple[Webhook, ...] = ()


def load(file: Path) -> Settings:
    """Read `file` and what it names. Raises ConfigError with every problem."""
    try:
        content = _File.model_validate(toml_file.read(file))
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
        delivery=content.delivery,
        mail=content.mail,
        telegram=content.telegram,
        telegram_token=_secret(directory / content.telegram.bot_token_file) if content.telegram else "",
        webhooks=content.webhooks,
    )


def _places(file: Path) -> tuple[Place, ...]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            table = csv.DictReader(text)
            columns, rows = table.fieldnames or (), list(table)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: không đọc được tệp ({type(error).__name__})") from None
    wanted = ("id", "name", "area", "email")
    missing = [one for one in wanted if one not in columns]
    if missing:
        raise ConfigError(f"{file}: thiếu cột {', '.join(missing)}")
    if not rows:
        raise ConfigError(f"{file}: không có cơ sở nào, nên sẽ không ai nhận được thư")
    return tuple(Place(*((row[one] or "").strip() for one in wanted)) for row in rows)


def _secret(file: Path) -> str:
    try:
        text = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        text = ""
    if not text:
        raise ConfigError(f"{file}: không đọc được tệp, hoặc tệp rỗng")
    return text
