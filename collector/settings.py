"""collector.toml: read and checked whole, every problem named at once."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, ValidationError

from collector.letterhead import Letterhead
from collector.mail import IMPLICIT_TLS, MailServer
from collector.retention import Retention
from collector.thresholds import Confirmation, Limits, Thresholds
from collector.windows import Window
from collector.yardstick import Yardstick
from contract import calendar, catalogue, plan, tls, toml_file
from contract.errors import ConfigError
from contract.problems import sentences

# The cookie between the redirect and the answer is signed with it: nobody shall find it by trying.
_SHORTEST_SECRET = 16


class Table(BaseModel):
    """`[collector]`. Paths may be relative to the directory of collector.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    listen: str = Field(default="127.0.0.1:8080", pattern=r"^\[?[0-9A-Za-z:.*-]+\]?:\d{1,5}$")
    data_dir: str
    certificate_file: str | None = None
    key_file: str | None = None
    client_ca_file: str | None = None
    allow_plain_http: bool = False
    public_url: HttpUrl | None = None
    database_file: str | None = None
    catalogue_file: str | None = None
    plan_files: tuple[str, ...] = ()
    calendar_file: str | None = None
    metrics_token_file: str | None = None
    alerts_token_file: str | None = None
    metrics_tally_facilities: int = Field(default=1000, ge=0)
    metrics_windows: tuple[Window, ...] = ("today", "30d")
    report_minutes: int = Field(default=10, ge=1, le=240)
    reports_kept_days: int = Field(default=30, ge=1, le=3650)


class SsoTable(BaseModel):
    """`[sso]`: the OpenID provider that people may log in with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str
    client_id: str = Field(min_length=1)
    client_secret_file: str
    name: str = Field(min_length=1, max_length=60)
    claim: str = Field(default="email", min_length=1)
    ca_file: str | None = None
    proxy: str | None = None


class MailTable(BaseModel):
    """`[mail]`: the server that reminders go out through."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(min_length=1, pattern=r"^[0-9A-Za-z.:-]+$")
    port: int = Field(default=587, ge=1, le=65535)
    sender: str = Field(pattern=r"^[!-?A-~]+@[0-9A-Za-z.-]+$")
    starttls: bool = True
    user: str | None = Field(default=None, min_length=1)
    password_file: str | None = None


class File(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    collector: Table
    standings: Thresholds = Thresholds()
    findings: Limits = Limits()
    confirmation: Confirmation = Confirmation()
    retention: Retention = Retention()
    report: Letterhead = Letterhead()
    sso: SsoTable | None = None
    mail: MailTable | None = None


@dataclass(frozen=True, slots=True)
class SingleSignOn:
    """`[sso]`, with its files read. `name`: on the button; `claim`: where the provider says the e-mail."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    name: str
    redirect_uri: str
    """Where the provider sends people back to: has to be registered there."""
    claim: str = "email"
    ca_file: Path | None = None
    proxy: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """All of collector.toml. `database` is a SQLAlchemy URL; `metrics_token` None means that none is asked for."""

    file: Path
    host: str
    port: int
    data_dir: Path
    database: str = field(repr=False)
    catalogue_file: Path | None
    metrics_token: str | None = field(repr=False)
    metrics_tally_facilities: int
    public_url: str | None = None
    """Where people reach the portal: in links, and for cookies that travel over TLS only."""
    plan_files: tuple[Path, ...] = ()
    calendar_file: Path | None = None
    metrics_windows: tuple[Window, ...] = ("today", "30d")
    standings: Thresholds = field(default_factory=Thresholds)
    findings: Limits = field(default_factory=Limits)
    confirmation: Confirmation = field(default_factory=Confirmation)
    retention: Retention = field(default_factory=Retention)
    report: Letterhead = field(default_factory=Letterhead)
    alerts_token: str | None = field(default=None, repr=False)
    """None: on loopback whoever calls may tell alerts, elsewhere nobody."""
    report_minutes: int = 10
    """How long a report may take that is made in the background."""
    reports_kept_days: int = 30
    certificate_file: Path | None = None
    """None: no TLS here, but in a proxy, or nowhere."""
    key_file: Path | None = None
    client_ca_file: Path | None = None
    """Who signs the certificates that every client must show; None: none is asked for."""
    sso: SingleSignOn | None = None
    mail: MailServer | None = None
    """None: nobody is reminded."""

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can call."""
        return tls.is_loopback(self.host)

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
    if token is None and not tls.is_loopback(host):
        problems.append(f"{file}: collector: listen ra ngoài máy này thì phải có metrics_token_file")
    problems += _tls_problems(table, host, f"{file}: collector")
    if not 0 < int(port) < 65536:
        problems.append(f"{file}: collector: listen: cổng phải từ 1 đến 65535")
    sso = _single_sign_on(directory, whole, f"{file}: sso", problems) if whole.sso else None
    mail = _mail(directory, whole, f"{file}: mail", problems) if whole.mail else None
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
        retention=whole.retention,
        report=whole.report,
        alerts_token=alerts_token,
        report_minutes=table.report_minutes,
        reports_kept_days=table.reports_kept_days,
        certificate_file=directory / table.certificate_file if table.certificate_file else None,
        key_file=directory / table.key_file if table.key_file else None,
        client_ca_file=directory / table.client_ca_file if table.client_ca_file else None,
        sso=sso,
        mail=mail,
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


def _single_sign_on(directory: Path, whole: File, place: str, problems: list[str]) -> SingleSignOn:
    table, public_url = whole.sso, whole.collector.public_url
    assert table is not None
    if not is_safe(table.issuer) or set(table.issuer) & set("?#"):
        problems.append(f"{place}: issuer phải là địa chỉ bắt đầu bằng https://, không có ? và #")
    if public_url is None:
        problems.append(f"{place}: cần có public_url trong [collector]: nhà cung cấp đưa người đăng nhập về địa chỉ đó")
    secret = _secret(directory / table.client_secret_file, f"{place}: client_secret_file", problems)
    if 0 < len(secret) < _SHORTEST_SECRET:
        problems.append(f"{place}: client_secret_file: mã bí mật phải dài từ {_SHORTEST_SECRET} ký tự")
    ca_file = directory / table.ca_file if table.ca_file else None
    if ca_file is not None:
        _secret(ca_file, f"{place}: ca_file", problems)
    return SingleSignOn(
        table.issuer, table.client_id, secret, table.name, f"{str(public_url).rstrip('/')}/login/sso/callback",
        table.claim, ca_file, table.proxy,
    )  # fmt: skip


def _mail(directory: Path, whole: File, place: str, problems: list[str]) -> MailServer:
    table = whole.mail
    assert table is not None
    if whole.collector.public_url is None:
        problems.append(f"{place}: cần có public_url trong [collector]: thư dẫn người đọc đến trang xác nhận")
    if (table.user is None) != (table.password_file is None):
        problems.append(f"{place}: user và password_file phải đi với nhau")
    if table.user and not table.starttls and table.port != IMPLICIT_TLS and not tls.is_loopback(table.host):
        problems.append(f"{place}: có user thì phải starttls = true, để mật khẩu không đi qua mạng ở dạng đọc được")
    password = ""
    if table.password_file:
        password = _secret(directory / table.password_file, f"{place}: password_file", problems)
    if not password.isascii():
        problems.append(f"{place}: password_file: mật khẩu của hộp thư chỉ được có chữ không dấu, chữ số và ký hiệu")
    return MailServer(table.host, table.port, table.sender, table.starttls, table.user, password)


def is_safe(address: str) -> bool:
    """Whether what is sent there cannot be read on the way: https, or this machine itself."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and tls.is_loopback(host)))


def _tls_problems(table: Table, host: str, place: str) -> Iterator[str]:
    if (table.certificate_file is None) != (table.key_file is None):
        yield f"{place}: certificate_file và key_file phải đi với nhau"
    if table.client_ca_file and not table.certificate_file:
        yield f"{place}: client_ca_file: cần có certificate_file và key_file"
    if not table.certificate_file and not tls.is_loopback(host) and not table.allow_plain_http:
        yield (
            f"{place}: listen ra ngoài máy này mà không có TLS: khai báo certificate_file và key_file, hoặc chỉ nghe "
            "trên máy này sau một proxy có TLS. Nếu mạng này thực sự chỉ có người tin cậy, ghi allow_plain_http = true"
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
