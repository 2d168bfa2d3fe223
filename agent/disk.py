"""The agent's one file on disk (SQLite): schema, transactions, and what happens when it is damaged or the disk is full.

WAL with `synchronous=FULL`: what was committed survives a power cut (SQLite: "PRAGMA synchronous").
"""

import errno
import logging
import secrets
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from contract.days import now
from contract.errors import StorageError

log = logging.getLogger(__name__)
_SCHEMA = """
CREATE TABLE tally (
  source TEXT NOT NULL, facility TEXT NOT NULL, measure TEXT NOT NULL, day TEXT NOT NULL,
  counts TEXT NOT NULL,            -- JSON, keys sorted, zeros left out
  revision INTEGER NOT NULL,
  acked INTEGER NOT NULL DEFAULT 0,
  stored INTEGER,                  -- the collector holds other counts at this revision: read the day again
  parked TEXT, reason TEXT,        -- refused with this code, or put aside
  sum INTEGER NOT NULL DEFAULT 0,  -- `row_sum` of the key, revision, counts, stored
  PRIMARY KEY (source, facility, measure, day)
) WITHOUT ROWID;
CREATE INDEX tally_waiting ON tally (day) WHERE revision > acked AND parked IS NULL AND stored IS NULL;
CREATE INDEX tally_unsettled ON tally (source) WHERE stored IS NOT NULL;
CREATE TABLE progress (
  source TEXT NOT NULL, measure TEXT NOT NULL, last_good_day TEXT NOT NULL, PRIMARY KEY (source, measure)
) WITHOUT ROWID;
CREATE TABLE source (
  name TEXT PRIMARY KEY, identity TEXT, first_day TEXT,
  ok INTEGER, read_at TEXT, since TEXT, error TEXT,
  failed TEXT NOT NULL DEFAULT '{}', strangers TEXT NOT NULL DEFAULT '{}', seconds TEXT NOT NULL DEFAULT '{}'
) WITHOUT ROWID;
CREATE TABLE unmapped (
  source TEXT NOT NULL, facility TEXT NOT NULL, measure TEXT NOT NULL, day TEXT NOT NULL, value TEXT NOT NULL,
  cases INTEGER NOT NULL, PRIMARY KEY (source, measure, day, facility, value)
) WITHOUT ROWID;
CREATE TABLE file (
  source TEXT NOT NULL, path BLOB NOT NULL, identity TEXT NOT NULL, problem TEXT, away INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (source, path)
) WITHOUT ROWID;
CREATE TABLE entry (
  source TEXT NOT NULL, path BLOB NOT NULL, measure TEXT NOT NULL, "case" BLOB NOT NULL, rank TEXT NOT NULL,
  category TEXT, facility TEXT, day TEXT, cases INTEGER NOT NULL
);
CREATE INDEX entry_case ON entry (source, measure, "case");
CREATE INDEX entry_path ON entry (source, path);
CREATE INDEX entry_day ON entry (source, measure, day);
CREATE TABLE touched (
  source TEXT NOT NULL, measure TEXT NOT NULL, facility TEXT NOT NULL, day TEXT NOT NULL,
  PRIMARY KEY (source, measure, facility, day)
) WITHOUT ROWID;
CREATE TABLE state (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_VERSION = 2
# What says that the file itself is damaged, not that something is busy or full.
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_T = TypeVar("_T")


class DamagedError(Exception):
    """The file holds what cannot have been written to it."""


def decoded(decode: Callable[[str], _T], text: str) -> _T:
    """What `decode` makes of a cell, inside a transaction. Raises DamagedError for one that we cannot have written."""
    try:
        return decode(text)
    except (ValueError, TypeError, RecursionError):
        raise DamagedError from None


def row_sum(*cells: str | int | None) -> int:
    """CRC-32 of cells of a row: SQLite keeps no checksums, and a flipped bit may turn one digit into another."""
    return zlib.crc32(repr(cells).encode())


class Disk:
    """The open file. All access goes through `transaction`, one at a time, from any thread."""

    def __init__(self, path: Path, moment: datetime) -> None:
        """Open `path`, or start a fresh one where it is missing or damaged (a damaged one is moved aside).

        Raises StorageError when the directory cannot be written.
        """
        self.path = path
        self.quarantined: Path | None = None
        """Where a damaged file was put aside."""
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._open_connection(moment)

    def _open_connection(self, moment: datetime) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                try:
                    self._connection = self._open()
                except (sqlite3.Error, DamagedError) as error:
                    if not _is_damage(error):
                        raise
                    self._move_aside(moment)
                    self._connection = self._open()
            except (OSError, sqlite3.Error) as error:
                raise StorageError(f"không mở được sổ của agent ({self.path}): {_why(error)}") from None
        return self._connection

    def _open(self) -> sqlite3.Connection:
        self.path.touch(mode=0o600)
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise DamagedError
            connection.execute("BEGIN IMMEDIATE")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                if connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()[0]:
                    raise DamagedError
                for statement in _SCHEMA.split(";\n"):
                    connection.execute(statement)
                connection.execute("INSERT INTO state VALUES ('hide_key', ?)", (secrets.token_hex(32),))
            elif version == 1:
                _add_sums(connection)
            if version < _VERSION:
                connection.execute(f"PRAGMA user_version = {_VERSION}")
            connection.execute("COMMIT")
            if version > _VERSION:
                raise StorageError("sổ này do một phiên bản nhipso-agent mới hơn ghi; hãy cài lại phiên bản đó")
            # a row that its index has lost would never be sent
            if connection.execute("PRAGMA integrity_check(tally)").fetchone()[0] != "ok":
                raise DamagedError
        except BaseException:
            connection.close()
            raise
        return connection

    def _move_aside(self, moment: datetime) -> None:
        """Keep the damaged file for whoever wants to look; the source and the collector hold its content."""
        name = f"{self.path.name}.damaged-{moment:%Y%m%d-%H%M%S}"
        taken = len(list(self.path.parent.glob(f"{name}*")))
        target = self.path.with_name(f"{name}-{taken}" if taken else name)
        self.path.replace(target)
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        self.quarantined = target

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside is on disk afterwards, or nothing is; one inside another is part of it.

        Raises StorageError.
        """
        with self._lock:
            connection = self._open_connection(now())
            if connection.in_transaction:
                yield connection
                return
            try:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
            except (sqlite3.Error, DamagedError) as error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                if _is_damage(error):
                    self._start_afresh()
                raise StorageError(f"không ghi được vào sổ của agent: {_why(error)}") from None

    def _start_afresh(self) -> None:
        """Damaged while in use: the next transaction finds an empty file."""
        self.close()
        try:
            self._move_aside(now())
        except OSError as error:
            raise StorageError(f"không cất được sổ hỏng của agent: {_why(error)}") from None
        log.error("sổ của agent bị hỏng, đã cất tại %s; đọc lại nguồn từ đầu", self.quarantined)

    def state(self, name: str, decode: Callable[[str], _T]) -> _T | None:
        """What `decode` makes of a remembered text."""
        with self.transaction() as connection:
            row = connection.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
            return decoded(decode, row[0]) if row else None

    def set_state(self, name: str, value: str) -> None:
        """Remember a text."""
        with self.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, value))

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None


def _add_sums(connection: sqlite3.Connection) -> None:
    """A ledger of version 1 had none: what is there is believed."""
    connection.execute("ALTER TABLE tally ADD COLUMN sum INTEGER NOT NULL DEFAULT 0")
    connection.create_function("row_sum", 7, row_sum, deterministic=True)
    connection.execute("UPDATE tally SET sum = row_sum(source, facility, measure, day, revision, counts, stored)")


def _is_damage(error: Exception) -> bool:
    if isinstance(error, sqlite3.OperationalError) and not hasattr(error, "sqlite_errorname"):
        return True  # Python's own: a text that is not UTF-8
    return isinstance(error, DamagedError) or str(getattr(error, "sqlite_errorname", "")).startswith(_DAMAGED)


def _why(error: Exception) -> str:
    """Our own words; SQLite's text could quote what was being written."""
    number = error.errno if isinstance(error, OSError) else None
    name = str(getattr(error, "sqlite_errorname", errno.errorcode.get(number or 0, type(error).__name__)))
    if name.startswith(("SQLITE_FULL", "ENOSPC")):
        return "đĩa đầy, hãy giải phóng dung lượng"
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "EACCES", "EPERM", "EROFS")):
        return "không có quyền ghi vào thư mục dữ liệu"
    if _is_damage(error):
        return "tệp bị hỏng"
    return f"lỗi đĩa ({name})"
