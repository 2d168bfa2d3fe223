"""collector.toml: read and checked whole, every problem named at once."""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, ValidationError

from collector.letterhead import Letterhead
from collector.thresholds import Confirmation, Limits, Thresholds
from collector.windows import Window
from collector.yardstick import Yardstick
from contract import calendar, catalogue, plan, toml_file
from contract.errors import ConfigError
from contract.problems import sentences


class Table(BaseModel):
    """`[collector]`. Paths may be relative to the directory of collector.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    listen: str = Field(default="127.0.0.1:8080", pattern=r"^\[?[0-9A-Za-z:.*-]+\]?:\d{1,5}$")
    data_dir: str
    public_url: HttpUrl | None = None
    database_file: str | None = None
    catalogue_file: str | None = None
    plan_files: tuple[str, ...] = ()
    calendar_file: str | None = None
    metrics_token_file: str | None = None
    alerts_token_file: str | None = None
    metrics_tally_facilities: int = Field(default=1000, ge=0)
    metrics_windows: tuple[Window, ...] = ("today", "30d")


class File(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    collector: Table
    standings: Thresholds = Thresholds()
    findings: Limits = Limits()
    confirmation: Confirmation = Confirmation()
    report: Letterhead = Letterhead()


@dataclass(frozen=True, slots=True)
class Settings:
    """All of collector.toml. `database` is a SQLAlchemy URL; `metrics_token` None means that none is asked for."""

    file: Path
    host: str
    port: int
    data_dir: Path
    database: str
    catalogue_file: Path | None
    metrics_token: str | None
    metrics_tally_facilities: int
    public_url: str | None = None
    """Where people reach the portal: in links, and for cookies that travel over TLS only."""
    plan_files: tuple[Path, ...] = ()
    calendar_file: Path | None = None
    metrics_windows: tuple[Window, ...] = ("today", "30d")
    standings: Thresholds = field(default_factory=Thresholds)
    findings: Limits = field(default_factory=Limits)
    confirmation: Confirmation = field(default_factory=Confirmation)
    report: Letterhead = field(default_factory=Letterhead)
    alerts_token: str | None = None
    """None: on loopback whoever calls may tell alerts, elsewhere nobody."""

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can call."""
        return _is_loopback(self.host)

    @property
    def revocations(self) -> Path:
        """Hashes of revoked tokens, outside the database, so that an old backup does not bring them back."""
        return self.data_dir / "revoked-tokens.txt"


def load(file: Path) -> Settings:
    """Read `file`. Raises ConfigError with every problem."""
    content = toml_file.read(file)
    try:
        whole = File.model_validate(content)
    except ValidationError as error:
        raise ConfigError(sentences(str(file), error)) from None
    table, problems = whole.collector, list[str]()
    if "30d" not in table.metrics_windows:
        problems.append(f'{file}: collector: metrics_windows phải có "30d": cảnh báo dùng cửa sổ này')
    directory = file.absolute().parent
    data_dir = directory / table.data_dir
    database = f"sqlite:///{data_dir / 'collector.sqlite'}"
    if table.database_file:
        database = _secret(directory / table.database_file, f"{file}: collector: database_file", problems)
    host, _, port = table.listen.rpartition(":")
    token = _token(directory, table.metrics_token_file, f"{file}: collector: metrics_token_file", problems)
    alerts_token = _token(directory, table.alerts_token_file, f"{file}: collector: alerts_token_file", problems)
    if token is None and not _is_loopback(host):
        problems.append(f"{file}: collector: listen ra ngoài máy này thì phải có metrics_token_file")
    if not 0 < int(port) < 65536:
        problems.append(f"{file}: collector: listen: cổng phải từ 1 đến 65535")
    if problems:
        raise ConfigError(problems)
    return Settings(
        file=file,
        host=host.strip("[]"),
        port=int(port),
        data_dir=data_dir,
        database=database,
        catalogue_file=directory / table.catalogue_file if table.catalogue_file else None,
        metrics_token=token,
        metrics_tally_facilities=table.metrics_tally_facilities,
        public_url=str(table.public_url) if table.public_url else None,
        plan_files=tuple(directory / one for one in table.plan_files),
        calendar_file=directory / table.calendar_file if table.calendar_file else None,
        metrics_windows=table.metrics_windows,
        standings=whole.standings,
        findings=whole.findings,
        confirmation=whole.confirmation,
        report=whole.report,
        alerts_token=alerts_token,
    )


def yardstick(settings: Settings) -> Yardstick:
    """What figures are held against, read from the files that the settings name. Raises ConfigError."""
    known = catalogue.load(settings.catalogue_file)
    return Yardstick(
        known,
        plan.load(settings.plan_files, known),
        calendar.load(settings.calendar_file),
        settings.standings,
        settings.findings,
    )


def _token(directory: Path, name: str | None, place: str, problems: list[str]) -> str | None:
    return _secret(directory / name, place, problems) if name else None


def _secret(file: Path, place: str, problems: list[str]) -> str:
    try:
        text = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        text = ""
    if not text:
        problems.append(f"{place}: không đọc được {file}, hoặc tệp rỗng")
    return text


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
