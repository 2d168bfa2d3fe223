"""The collector's only door to SQLAlchemy: SQLite by default, PostgreSQL by URL; the same calls on both.

`Store` opens the database; each module beside this one holds the statements of one subject, as functions that take
an open connection. Nothing outside this folder sees a statement.
"""

import json
import logging
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from collector.store.tables import meta
from contract.errors import AwayError, ConfigError

log = logging.getLogger(__name__)
# Errors that are not the database's but of what we asked of it.
_OURS = (sa.exc.DataError, sa.exc.IntegrityError, sa.exc.NotSupportedError, sa.exc.ProgrammingError)
# json.dumps would make one anew for each text.
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
Connection = sa.Connection
# A writer that waits longer than this for another is told that the database is away.
_PATIENCE_SECONDS = 30


class Store:
    """The database of the collector."""

    def __init__(self, url: str) -> None:
        """Prepare; nothing is opened yet. Raises ConfigError when `url` cannot be used."""
        try:
            parsed = sa.make_url(url)
            if parsed.drivername in ("postgresql", "postgres"):
                parsed = parsed.set(drivername="postgresql+psycopg")
            if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
                raise ConfigError("cơ sở dữ liệu của collector phải là SQLite hoặc PostgreSQL")
            self.is_sqlite = parsed.drivername == "sqlite"
            wait, seconds = ("timeout", _PATIENCE_SECONDS) if self.is_sqlite else ("connect_timeout", 10)
            waits = {} if wait in parsed.query else {wait: seconds}
            self.engine = sa.create_engine(
                parsed, connect_args=waits, pool_size=10, max_overflow=20, pool_timeout=10, hide_parameters=True
            )
        except (sa.exc.ArgumentError, ModuleNotFoundError):
            raise ConfigError("địa chỉ cơ sở dữ liệu của collector không dùng được") from None
        self._is_away = False
        if self.is_sqlite:
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)
        else:
            sa.event.listen(self.engine, "connect", _prepare_postgresql)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction that changes something: all of it is on disk afterwards, or nothing. Raises AwayError."""
        with self._watched(), self.engine.connect() as connection:
            connection.execution_options(write=True)
            with connection.begin():
                yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One transaction that only looks. Raises AwayError."""
        with self._watched(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """One transaction that sees everything as it stood at its beginning. Raises AwayError."""
        with self._watched(), self.engine.connect() as connection:
            if not self.is_sqlite:  # SQLite's readers always do
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    def migrate(self) -> None:
        """Bring the database to the current schema, and give a new one its store id.

        Raises ConfigError when a newer version of this program has changed the schema; AwayError.
        """
        if self.schema() not in _known():
            raise ConfigError("cơ sở dữ liệu là của phiên bản nhipso mới hơn: hãy cài phiên bản đó")
        with self._watched(), self.engine.begin() as connection:
            configuration = _alembic()
            configuration.attributes["connection"] = connection
            command.upgrade(configuration, "head")
            if store_id_of(connection) is None:
                renew_store_id(connection)

    def is_current(self) -> bool:
        """Whether the schema is the one that this program expects. Raises AwayError."""
        return self.schema() == _known()[0]

    def schema(self) -> str | None:
        """The version of the schema; None: there is none. Raises AwayError."""
        with self.read() as connection:
            return MigrationContext.configure(connection).get_current_revision()

    def store_id(self) -> str:
        """Which store this is: another one after every restore. Raises AwayError."""
        with self.read() as connection:
            return str(store_id_of(connection))

    def make_one_file(self) -> None:
        """Leave nothing beside the SQLite file, so that it can be carried away."""
        with self._watched(), closing(self.engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA journal_mode = DELETE")

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Notes the first failure of the database, and its return."""
        try:
            yield
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            if isinstance(error, _OURS):
                raise
            if not self._is_away:
                log.warning("cơ sở dữ liệu của collector không dùng được (%s)", type(cause).__name__)
            self._is_away = True
            raise AwayError("cơ sở dữ liệu tạm thời không dùng được, agent sẽ gửi lại") from None
        if self._is_away:
            log.warning("cơ sở dữ liệu của collector dùng lại được")
        self._is_away = False


def store_id_of(connection: Connection) -> str | None:
    """Which store this is."""
    found: str | None = connection.scalar(sa.select(meta.c.value).where(meta.c.name == "store_id"))
    return found


def renew_store_id(connection: Connection) -> None:
    """Agents that see another id offer their whole ledger again."""
    connection.execute(meta.delete().where(meta.c.name == "store_id"))
    connection.execute(meta.insert().values(name="store_id", value=secrets.token_hex(8)))


def as_text(value: Any) -> str:
    """Canonical JSON, so that equal contents are equal texts."""
    return _CANONICAL.encode(value)


@cache
def _known() -> tuple[str | None, ...]:
    """The schemas that this program knows, newest first, None (there is none) last.

    The migrations are read once, for `is_current` is asked often.
    """
    return *(one.revision for one in ScriptDirectory.from_config(_alembic()).walk_revisions()), None


def _alembic() -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(__file__).parent.parent / "migrations"))
    configuration.set_main_option("path_separator", "os")
    return configuration


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _prepare_postgresql(connection: Any, _: object) -> None:
    connection.execute(f"SET lock_timeout = '{_PATIENCE_SECONDS}s'")
    connection.execute("SET DateStyle = 'ISO'")  # days are read as text (tallies.by_day), whatever the server likes
    connection.commit()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once: two that read first and write later would end in a deadlock.
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
