"""The adapters' only door to SQLAlchemy: a read-only session on a hospital's database, and its errors in our words.

An error is classified by the phase in which it came (connecting, executing), then by the server's own code; the
driver's class says too little (SQLite calls a missing table an OperationalError) and its text is never passed on,
because drivers quote cell values.
"""

import math
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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

_DRIVERS = {
    "postgresql": ("postgresql+psycopg", "postgresql"),
    "mysql": ("mysql+pymysql", "mysql"),
    "mariadb": ("mariadb+pymysql", "mysql"),
    "oracle": ("oracle+oracledb", "oracle"),
    "mssql": ("mssql+pymssql", "sqlserver"),
}
# SQLite compares times as text: microseconds in the bound value would push midnight itself out of its own day.
_SECONDS = sqlite.DATETIME(  # type: ignore[no-untyped-call]
    storage_format="%(year)04d-%(month)02d-%(day)02d %(hour)02d:%(minute)02d:%(second)02d", regexp=None
)
_MOMENT = sa.DateTime().with_variant(_SECONDS, "sqlite")

_DENIED_CODES = {
    *("28P01", "28000", "42501"),  # PostgreSQL: password, role, no privilege
    *("1044", "1045", "1142", "1143", "1227", "1370", "1698"),  # MariaDB, MySQL
    *("ORA-01017", "ORA-01031", "ORA-01045", "ORA-28000", "ORA-28001"),
    *("229", "230", "916", "18456"),  # SQL Server
    *("SQLITE_AUTH", "SQLITE_PERM"),
}
_AWAY_CODES = {
    *("57014", "55P03", "57P01", "57P02", "57P03", "53300", "40001", "40P01"),
    *("1205", "1213", "1969", "2006", "2013", "3024"),
    *("ORA-01013", "ORA-03113", "ORA-03114", "ORA-01555", "DPY-4024", "DPY-4011"),
    *("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_CANTOPEN"),
}
_ABSENT_CODES = {"42P01", "42703", "3F000", "1146", "1054", "1049", "3D000", "ORA-00942", "ORA-00904", "207", "208"}
# libpq gives no code for a refused login, so its sentence is looked at here and goes no further.
_DENIED_WORDS = re.compile(r"password authentication failed|no pg_hba.conf entry|role .* does not exist", re.I)


class Database:
    """One database of a hospital, read with one short-lived connection at a time."""

    def __init__(self, url_text: str, attach: Mapping[str, Path], directory: Path, timeout_seconds: float) -> None:
        """`url_text` is a SQLAlchemy URL; a relative SQLite path starts at `directory`. Raises ConfigError."""
        self._timeout = timeout_seconds
        self._attach = attach
        try:
            url = sa.make_url(url_text.strip())
        except sa.exc.ArgumentError:
            raise ConfigError("không phải là một địa chỉ cơ sở dữ liệu dạng SQLAlchemy") from None
        driver, extra = _DRIVERS.get(url.drivername, (url.drivername, url.get_backend_name()))
        self._file: Path | None = None
        if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
            self._file = (directory / str(url.database)).absolute()
        self._url = url.set(drivername=driver)
        try:
            self._engine = self._make_engine()
        except (ModuleNotFoundError, sa.exc.NoSuchModuleError):
            raise ConfigError(f"thiếu trình điều khiển cho {url.drivername}: pip install 'nhipso[{extra}]'") from None

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
            "postgresql": {"connect_timeout": seconds, "application_name": "nhipso"},
            "mysql": {"connect_timeout": seconds, "read_timeout": seconds},
            "mariadb": {"connect_timeout": seconds, "read_timeout": seconds},
            "oracle": {"tcp_connect_timeout": self._timeout},
            "mssql": {"login_timeout": seconds, "timeout": seconds},
        }
        if backend == "sqlite":
            return sa.create_engine("sqlite://", creator=self._open_sqlite, poolclass=sa.NullPool)
        return sa.create_engine(self._url, connect_args=by_backend.get(backend, {}), poolclass=sa.NullPool)

    def _open_sqlite(self) -> sqlite3.Connection:
        main = f"file:{_quoted(self._file)}?mode=ro" if self._file else "file::memory:"
        connection = sqlite3.connect(main, uri=True, timeout=self._timeout, check_same_thread=False)
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
            for statement in self._preparations(connection.dialect):
                connection.exec_driver_sql(statement)
            connection.commit()
        except Exception as error:
            connection.close()
            raise _execute_error(error) from None
        try:
            yield Session(connection)
        finally:
            connection.close()

    def _look_at_files(self) -> None:
        for path in [*filter(None, [self._file]), *self._attach.values()]:
            if not path.exists():
                raise SourceUnavailableError("không thấy tệp cơ sở dữ liệu SQLite đã khai báo")
            if not os.access(path, os.R_OK):
                raise SourceDeniedError("tài khoản chạy nhipso-agent không được đọc tệp cơ sở dữ liệu SQLite")

    def _preparations(self, dialect: sa.Dialect) -> list[str]:
        milliseconds = math.ceil(self._timeout * 1000)
        match dialect.name:
            case "postgresql":
                return [
                    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
                    "SET TIME ZONE 'Asia/Ho_Chi_Minh'",
                    f"SET statement_timeout = {milliseconds}",
                ]
            case "mysql" | "mariadb":
                maria = bool(getattr(dialect, "is_mariadb", False))
                limit = f"max_statement_time = {self._timeout}" if maria else f"max_execution_time = {milliseconds}"
                return ["SET SESSION TRANSACTION READ ONLY", "SET time_zone = '+07:00'", f"SET SESSION {limit}"]
            case "oracle":
                return ["ALTER SESSION SET TIME_ZONE = '+07:00'"]
            case _:
                return []


class Session:
    """An open, read-only session."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def rows(
        self, sql: str, time: Time, days: DayRange, lists: Mapping[str, Sequence[str]]
    ) -> Iterator[dict[str, object]]:
        """Run one query for `days`; each row is column name in lower case → value.

        `lists` binds names to lists (`IN (:name)`) and their lengths (`:name_count`).
        Raises SourceError; rows given before that are void.
        """
        statement = sa.text(sql).bindparams(*_window(time, days))
        for name, values in lists.items():
            if f":{name}" in sql:
                statement = statement.bindparams(
                    sa.bindparam(name, value=list(values), expanding=True),
                    sa.bindparam(f"{name}_count", value=len(values)),
                )
        try:
            with self._connection.begin():
                if self._connection.dialect.name == "oracle":
                    self._connection.exec_driver_sql("SET TRANSACTION READ ONLY")
                result = self._connection.execution_options(yield_per=1000).execute(statement)
                columns = [name.lower() for name in result.keys()]  # noqa: SIM118 (keys() of a result, not a mapping)
                for row in result:
                    yield dict(zip(columns, row, strict=True))
        except SourceError:
            raise
        except Exception as error:
            raise _execute_error(error) from None


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
    if code in _DENIED_CODES or _DENIED_WORDS.search(str(error)):
        return SourceDeniedError(f"cơ sở dữ liệu từ chối tài khoản hoặc mật khẩu{_shown(code)}")
    if code in _ABSENT_CODES:
        return SourceDeniedError(f"không có cơ sở dữ liệu mang tên đã khai báo{_shown(code)}")
    return SourceUnavailableError(f"không kết nối được tới máy chủ cơ sở dữ liệu{_shown(code)}")


def _execute_error(error: Exception) -> SourceError:
    code = _code(error)
    if code in _DENIED_CODES:
        return SourceDeniedError(f"tài khoản chưa được cấp quyền đọc (SELECT) bảng mà câu truy vấn cần{_shown(code)}")
    if code in _AWAY_CODES or getattr(error, "connection_invalidated", False) or isinstance(error, TimeoutError):
        return SourceUnavailableError(f"máy chủ cơ sở dữ liệu không trả lời kịp hoặc ngắt kết nối{_shown(code)}")
    if code in _ABSENT_CODES or (code == "SQLITE_ERROR" and "no such" in str(error)):
        return SourceChangedError(f"không có bảng hoặc cột mà câu truy vấn gọi tên{_shown(code)}")
    return SourceChangedError(f"cơ sở dữ liệu không chạy được câu truy vấn{_shown(code)}")


def _code(error: Exception) -> str:
    """The server's own code: an SQLSTATE, a number, ORA-…, SQLITE_…; '' when it gave none. Never holds a cell."""
    cause = getattr(error, "orig", None) or error
    for attribute in ("sqlstate", "sqlite_errorname"):
        if isinstance(value := getattr(cause, attribute, None), str):
            # extended names (SQLITE_IOERR_READ) are folded to their family
            return "_".join(value.split("_")[:2]) if value.startswith("SQLITE_") else value
    first = cause.args[0] if getattr(cause, "args", None) else None
    if isinstance(full := getattr(first, "full_code", None), str):
        return full
    return str(first) if isinstance(first, int) else ""


def _shown(code: str) -> str:
    return f" (mã {code})" if code else ""


def _quoted(path: Path | None) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
