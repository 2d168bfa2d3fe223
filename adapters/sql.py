"""The adapters' only door to SQLAlchemy: a read-only session on a hospital's database, and its errors in our words.

An error is classified by the phase in which it came (connecting, executing), then by the server's own code; the
driver's class says too little (SQLite calls a missing table an OperationalError) and its text is never passed on,
because drivers quote cell values.
"""

import math
import os
import re
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from contract.days import DayRange, midnight
from contract.errors import (
    ConfigError,
    SourceChangedError,
    SourceDeniedError,
    SourceError,
    SourceUnavailableError,
)

Time = Literal["datetime", "date", "number14", "text14", "text12", "text8", "epoch_ms"]

# Database → its driver, and the extra of our package that brings it. Only these: how a session is made read-only
# is known for them.
_DRIVERS = {
    "sqlite": ("pysqlite", ""),
    "postgresql": ("psycopg", "postgresql"),
    "mysql": ("pymysql", "mysql"),
    "mariadb": ("pymysql", "mysql"),
    "oracle": ("oracledb", "oracle"),
    "mssql": ("pymssql", "sqlserver"),
}
# The agent ends a reader that is silent for the whole timeout. The database gives up before, so that one slow query
# costs its own measure and not those after it.
_PATIENCE = 0.9
# SQLite compares times as text: microseconds in the bound value would push midnight itself out of its own day.
_SECONDS = sqlite.DATETIME(  # type: ignore[no-untyped-call]
    storage_format="%(year)04d-%(month)02d-%(day)02d %(hour)02d:%(minute)02d:%(second)02d", regexp=None
)
_MOMENT = sa.DateTime().with_variant(_SECONDS, "sqlite")

_DENIED_CODES = {
    *("28P01", "28000", "42501"),  # PostgreSQL: password, role, no privilege
    *("1044", "1045", "1130", "1142", "1143", "1227", "1370", "1698"),  # MariaDB, MySQL
    *("ORA-01005", "ORA-01017", "ORA-01031", "ORA-01045", "ORA-28000", "ORA-28001", "ORA-41900"),
    *("229", "230", "916", "18456"),  # SQL Server
    *("SQLITE_AUTH", "SQLITE_PERM"),
}
_AWAY_CODES = {
    *("57014", "55P03", "57P01", "57P02", "57P03", "53100", "53200", "53300", "40001", "40P01"),
    *("1053", "1205", "1213", "1222", "1317", "1927", "1969", "2006", "2013", "3024"),
    *(
        "ORA-00028",
        "ORA-01013",
        "ORA-01089",
        "ORA-01555",
        "ORA-01652",
        "ORA-03113",
        "ORA-03114",
        "DPY-4011",
        "DPY-4024",
    ),
    *("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_CANTOPEN"),
}
_ABSENT_CODES = {"42P01", "42703", "3F000", "1146", "1054", "ORA-00904", "207", "208"}
_NO_DATABASE_CODES = {"3D000", "1049", "ORA-12505", "ORA-12514", "DPY-6001", "DPY-6003", "4060"}
# libpq gives no code for a refused login, so its sentence is looked at here and goes no further.
_DENIED_WORDS = re.compile(
    r"password authentication failed|no password supplied|no pg_hba.conf entry|pg_hba.conf rejects"
    r"|role .* does not exist|role .* is not permitted to log in|permission denied for database",
    re.I,
)
_NO_DATABASE_WORDS = re.compile(r"FATAL:.* database .* does not exist", re.I)

# What is quoted or commented out; the backtick is MySQL's quotation mark for names.
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`|--[^\n]*|/\*.*?\*/", re.DOTALL)
_BIND = re.compile(r"(?<![:\w]):(\w+)(?!:)")
_ONE_SELECT = re.compile(r"[\s(]*(select|with)\b", re.IGNORECASE)
_MORE_THAN_SELECT = re.compile(
    r";|(?<!\.)\b(insert|update|delete|merge|into|create|drop|alter|truncate|exec|execute)\b", re.IGNORECASE
)


class Database:
    """One database of a hospital, read with one short-lived connection at a time."""

    def __init__(
        self,
        url_text: str,
        attach: Mapping[str, Path],
        directory: Path,
        timeout_seconds: float,
        oracle_client: Path | None = None,
    ) -> None:
        """`url_text` is a SQLAlchemy URL; a relative SQLite path starts at `directory`. Raises ConfigError.

        `oracle_client`: where Oracle Instant Client lies; python-oracledb needs it for servers before 12.1
        (its "thick" mode, https://python-oracledb.readthedocs.io/en/latest/user_guide/initialization.html).
        """
        self._timeout = timeout_seconds
        self._oracle_client = oracle_client
        self._attach = attach
        try:
            url = sa.make_url(url_text.strip())
        except (sa.exc.ArgumentError, ValueError):
            raise ConfigError("không phải là một địa chỉ cơ sở dữ liệu dạng SQLAlchemy") from None
        backend = url.get_backend_name()
        if backend not in _DRIVERS:
            raise ConfigError(f"không đọc được loại cơ sở dữ liệu “{backend}”; đang có: {', '.join(_DRIVERS)}")
        driver, extra = _DRIVERS[backend]
        self._file: Path | None = None
        if backend == "sqlite" and url.database not in (None, "", ":memory:"):
            self._file = (directory / str(url.database)).absolute()
        if attach and backend != "sqlite":
            raise ConfigError("attach chỉ dùng được với SQLite")
        if oracle_client and backend != "oracle":
            raise ConfigError("oracle_client chỉ dùng được với Oracle")
        self._url = url.set(drivername=f"{backend}+{driver}")
        try:
            self._engine = self._make_engine()
        except ModuleNotFoundError:
            raise ConfigError(f"thiếu trình điều khiển cho {backend}: pip install 'nhipso[{extra}]'") from None
        except Exception as error:
            # python-oracledb loads the client when the engine is made; its text names paths of this machine only
            if oracle_client is None:
                raise
            raise ConfigError(f"không nạp được Oracle Instant Client ở {oracle_client}{_shown(_code(error))}") from None

    @property
    def name(self) -> str:
        """Which database this is, without account or password."""
        if self._url.get_backend_name() == "sqlite":
            files = [str(self._file)] if self._file else []
            return "sqlite:" + ",".join(files + [f"{name}={path}" for name, path in sorted(self._attach.items())])
        host = f"{self._url.host or ''}:{self._url.port}" if self._url.port else self._url.host or ""
        database = self._url.database or self._url.query.get("service_name", "")
        return f"{self._url.get_backend_name()}://{host}/{database}"

    def _make_engine(self) -> sa.Engine:
        backend, seconds = self._url.get_backend_name(), max(1, math.ceil(self._timeout))
        by_backend: dict[str, dict[str, Any]] = {
            "postgresql": {"connect_timeout": seconds, "application_name": "nhipso", "client_encoding": "utf8"},
            "mysql": {"connect_timeout": seconds, "read_timeout": seconds},
            "mariadb": {"connect_timeout": seconds, "read_timeout": seconds},
            "oracle": {"tcp_connect_timeout": self._timeout},
            "mssql": {"login_timeout": seconds, "timeout": seconds},
        }
        if backend == "sqlite":
            return sa.create_engine("sqlite://", creator=self._open_sqlite, poolclass=sa.NullPool)
        thick = {"thick_mode": {"lib_dir": str(self._oracle_client)}} if self._oracle_client else {}
        return sa.create_engine(self._url, connect_args=by_backend.get(backend, {}), poolclass=sa.NullPool, **thick)

    def _open_sqlite(self) -> sqlite3.Connection:
        main = f"file:{_quoted(self._file)}?mode=ro" if self._file else "file::memory:"
        patience = self._timeout * _PATIENCE
        connection = sqlite3.connect(main, uri=True, timeout=patience, check_same_thread=False)
        # A byte that is not UTF-8 (an old TCVN3 font) must cost one category value, not the whole read.
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        connection.create_function("FLOOR", 1, lambda x: None if x is None else math.floor(x), deterministic=True)
        for name, path in self._attach.items():
            connection.execute(f'ATTACH DATABASE ? AS "{name}"', (f"file:{_quoted(path)}?mode=ro",))
        connection.execute("PRAGMA query_only = ON")
        return connection

    @contextmanager
    def session(self) -> Iterator["Session"]:
        """Connect, make the session read-only and local, and close it afterwards. Raises SourceError."""
        self._look_at_files()
        try:
            connection = self._engine.connect()
        except Exception as error:
            raise _connect_error(error) from None
        try:
            self._prepare(connection)
        except Exception as error:
            connection.close()
            raise _execute_error(error) from None
        try:
            yield Session(connection)
        finally:
            connection.close()

    def _look_at_files(self) -> None:
        for path in [*filter(None, [self._file]), *self._attach.values()]:
            if not os.path.lexists(path):
                raise SourceUnavailableError("không thấy tệp cơ sở dữ liệu SQLite đã khai báo")
            if not os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
                raise SourceDeniedError("tài khoản chạy nhipso-agent không được đọc tệp cơ sở dữ liệu SQLite")

    def _prepare(self, connection: sa.Connection) -> None:
        for statement in self._preparations():
            connection.exec_driver_sql(statement)
        connection.commit()
        if connection.dialect.name == "oracle":
            connection.connection.driver_connection.call_timeout = self._milliseconds  # type: ignore[union-attr]

    @property
    def _milliseconds(self) -> int:
        """How long a statement may take."""
        return math.ceil(self._timeout * _PATIENCE * 1000)

    def _preparations(self) -> list[str]:
        match self._url.get_backend_name():
            case "sqlite":
                return ["SELECT COUNT(*) FROM sqlite_master"]  # connecting alone does not look into the file
            case "postgresql":
                return [
                    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
                    "SET TIME ZONE 'Asia/Ho_Chi_Minh'",
                    f"SET statement_timeout = {self._milliseconds}",
                ]
            case "mysql" | "mariadb":
                # MariaDB and MySQL have their own names for the limit, and versions before 10.1 and 5.7.8 none: each
                # runs the comment that is meant for it.
                maria = f"/*M!100101 , max_statement_time = {self._milliseconds / 1000} */"
                mysql = f"/*!50708 , max_execution_time = {self._milliseconds} */"
                return ["SET SESSION TRANSACTION READ ONLY", f"SET time_zone = '+07:00' {maria} {mysql}"]
            case "oracle":
                return ["ALTER SESSION SET TIME_ZONE = '+07:00'"]
            case "mssql":
                # There is no read-only transaction: what may be done is up to the grants. The driver writes times
                # as text, which a login with another language would read as year-day-month.
                return ["SET DATEFORMAT ymd", "SET DEADLOCK_PRIORITY LOW", f"SET LOCK_TIMEOUT {self._milliseconds}"]
        return []


class Session:
    """An open, read-only session."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def rows(
        self, sql: str, time: Time, days: DayRange, lists: Mapping[str, Sequence[str]]
    ) -> Generator[dict[str, object]]:
        """Run one query for `days`; each row is column name in lower case → value. Close it to end its transaction.

        `lists` binds names to lists (`IN (:name)`) and their lengths (`:name_count`).
        Raises SourceError; rows given before that are void.
        """
        if self._connection.invalidated:  # SQLAlchemy would connect again, to a session that nobody prepared
            raise SourceUnavailableError("máy chủ cơ sở dữ liệu đã ngắt kết nối")
        used = binds(sql)
        values = [*_window(time, days), *_bound_lists(lists)]
        statement = sa.text(_adapted(sql, lists)).bindparams(*(value for value in values if value.key in used))
        try:
            with self._connection.begin():
                if self._connection.dialect.name == "oracle":
                    self._connection.exec_driver_sql("SET TRANSACTION READ ONLY")
                stream = self._connection.execution_options(yield_per=1000)
                with closing(stream.execute(statement)) as result:  # MySQL wants its rows taken before anything else
                    columns = [name.lower() for name in result.keys()]  # noqa: SIM118 (keys() of a result, no mapping)
                    for row in result:
                        yield dict(zip(columns, row, strict=True))
        except Exception as error:
            raise _execute_error(error) from None


def binds(sql: str) -> set[str]:
    """The names bound in `sql`: `:start` → start, outside of what is quoted or commented out."""
    return set(_BIND.findall(_QUOTED.sub(" ", sql)))


def is_one_select(sql: str) -> bool:
    """Whether `sql` is one statement that only reads. The grants of the account decide; this catches slips."""
    bare = _QUOTED.sub(" ", sql)
    return bool(_ONE_SELECT.match(bare)) and not _MORE_THAN_SELECT.search(bare)


def _adapted(sql: str, lists: Iterable[str]) -> str:
    r"""For sqlalchemy.text, which looks for `:name` in quotes and comments too, takes `\:` for a mere colon, and puts
    the parentheses around a list by itself."""
    for name in lists:
        sql = re.sub(rf"\(\s*:{name}\s*\)", f":{name}", sql)
    return _QUOTED.sub(lambda quoted: quoted[0].replace(":", r"\:"), sql)


def _bound_lists(lists: Mapping[str, Sequence[str]]) -> Iterator[sa.BindParameter[Any]]:
    for name, values in lists.items():
        yield sa.bindparam(name, value=list(values), expanding=True)
        yield sa.bindparam(f"{name}_count", value=len(values))


def describe_window(time: Time) -> str:
    """How `:start` and `:end` are bound, shown on one day, for people."""
    start, end = (bind.value for bind in _window(time, DayRange(date(2026, 11, 20), date(2026, 11, 20))))
    return f":start = {start!s} (0 giờ ngày 20/11/2026), :end = {end!s} (0 giờ hôm sau, không tính)"


def _window(time: Time, days: DayRange) -> list[sa.BindParameter[Any]]:
    return [_bound("start", time, days.first), _bound("end", time, days.last + timedelta(days=1))]


def _bound(name: str, time: Time, day: date) -> sa.BindParameter[Any]:
    digits = f"{day:%Y%m%d}"
    match time:
        case "datetime":
            return sa.bindparam(name, datetime.combine(day, datetime.min.time()), type_=_MOMENT)
        case "date":
            return sa.bindparam(name, day, type_=sa.Date())
        case "number14":
            return sa.bindparam(name, int(digits + "000000"), type_=sa.BigInteger())
        case "epoch_ms":
            return sa.bindparam(name, int(midnight(day).timestamp()) * 1000, type_=sa.BigInteger())
        case "text14" | "text12" | "text8":
            return sa.bindparam(name, digits.ljust(int(time[4:]), "0"), type_=sa.String())


def _connect_error(error: Exception) -> SourceError:
    code = _code(error)
    if code.startswith("SQLITE_"):
        return _execute_error(error)
    if code in _DENIED_CODES or _DENIED_WORDS.search(str(error)):
        return SourceDeniedError(f"cơ sở dữ liệu từ chối tài khoản hoặc mật khẩu{_shown(code)}")
    if code in _NO_DATABASE_CODES or _NO_DATABASE_WORDS.search(str(error)):
        return SourceDeniedError(f"không có cơ sở dữ liệu mang tên đã khai báo{_shown(code)}")
    return SourceUnavailableError(f"không kết nối được tới máy chủ cơ sở dữ liệu{_shown(code)}")


def _execute_error(error: Exception) -> SourceError:
    code = _code(error)
    if code in _DENIED_CODES:
        return SourceDeniedError(f"tài khoản chưa được cấp quyền đọc (SELECT) bảng mà câu truy vấn cần{_shown(code)}")
    if code == "ORA-00942":  # Oracle says the same of both; with a new account it is the grant
        return SourceDeniedError(f"tài khoản chưa được cấp quyền SELECT, hoặc không có bảng mang tên đó{_shown(code)}")
    if code in _AWAY_CODES or getattr(error, "connection_invalidated", False) or isinstance(error, TimeoutError):
        return SourceUnavailableError(f"máy chủ cơ sở dữ liệu không trả lời kịp hoặc ngắt kết nối{_shown(code)}")
    if code == "SQLITE_NOTADB":
        return SourceChangedError(f"tệp đã khai báo không phải là cơ sở dữ liệu SQLite{_shown(code)}")
    if code in _ABSENT_CODES or (code == "SQLITE_ERROR" and "no such" in str(error)):
        return SourceChangedError(f"không có bảng hoặc cột mà câu truy vấn gọi tên{_shown(code)}")
    return SourceChangedError(f"cơ sở dữ liệu không chạy được câu truy vấn{_shown(code)}")


def _code(error: Exception) -> str:
    """The server's own code: a number, ORA-…, an SQLSTATE, SQLITE_…; '' when it gave none. Never holds a cell."""
    cause = getattr(error, "orig", None) or error
    first = cause.args[0] if getattr(cause, "args", None) else None
    if isinstance(first, tuple):  # pymssql: ((number, text),)
        first = first[0] if first else None
    if isinstance(first, int):  # MySQL's numbers say more than the SQLSTATE beside them
        return str(first)
    if isinstance(full := getattr(first, "full_code", None), str):
        return full
    for attribute in ("sqlstate", "sqlite_errorname"):
        if isinstance(value := getattr(cause, attribute, None), str):
            # extended names (SQLITE_IOERR_READ) are folded to their family
            return "_".join(value.split("_")[:2]) if value.startswith("SQLITE_") else value
    return ""


def _shown(code: str) -> str:
    return f" (mã {code})" if code else ""


def _quoted(path: Path | None) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
