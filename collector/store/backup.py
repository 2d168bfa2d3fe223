"""A consistent copy of all tables while serving, and back. The copy is a SQLite file, whatever the database is."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from collector.store import Store, people, renew_store_id
from collector.store.people import Account
from collector.store.tables import metadata, session
from contract.errors import AwayError, ConfigError

_ROWS = 5_000
# A row may hold a file of ten megabytes.
_ROWS_WITH_FILES = 5


def backup(store: Store, file: Path) -> None:
    """Copy everything into a new file, as it stands at one moment. Raises ConfigError, AwayError."""
    if file.exists():
        raise ConfigError(f"{file}: đã có, không ghi đè")
    if not file.absolute().parent.is_dir():
        raise ConfigError(f"{file}: không có thư mục này")
    fresh = file.with_name(file.name + ".part")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    with _opened(fresh) as copy:
        copy.migrate()
        with store.snapshot() as source, copy.write() as target:
            _copy(source, target)
        copy.make_one_file()
    fresh.replace(file)


def restore(store: Store, file: Path) -> None:
    """Put the content of a backup in place of what is stored, under a new store id. Raises ConfigError, AwayError."""
    if not file.is_file():
        raise ConfigError(f"{file}: không có tệp này")
    # a copy of the copy: the file itself may be of an older schema, or on a disk that cannot be written
    with TemporaryDirectory(prefix="nhipso-") as directory, _opened(Path(shutil.copy(file, directory))) as copy:
        try:
            is_ours = copy.schema() is not None
        except AwayError:
            is_ours = False
        if not is_ours:
            raise ConfigError(f"{file}: không phải là bản sao của collector")
        copy.migrate()
        store.migrate()
        with copy.read() as source, store.write() as target:
            _hold_writers(target)
            disabled = [one for one in people.accounts(target) if one.disabled_at is not None]
            _copy(source, target)
            renew_store_id(target)
            _keep_out(target, disabled)


def _keep_out(target: sa.Connection, disabled: Iterable[Account]) -> None:
    """A copy knows nothing of who was disabled or logged out since it was made: those stay out, all others log in."""
    target.execute(session.delete())
    for one in disabled:
        found = people.account(target, one.person.name)
        if found is not None:
            people.change(
                target,
                found.person.id,
                disabled_at=one.disabled_at,
                password_hash=None,
                token_hash=None,
                must_change=False,
            )


@contextmanager
def _opened(file: Path) -> Iterator[Store]:
    copy = Store(f"sqlite:///{file.absolute()}")
    try:
        yield copy
    finally:
        copy.close()


def _copy(source: sa.Connection, target: sa.Connection) -> None:
    for table in reversed(metadata.sorted_tables):
        target.execute(table.delete())
    for table in metadata.sorted_tables:
        has_files = any(isinstance(column.type, sa.LargeBinary) for column in table.c)
        at_once = _ROWS_WITH_FILES if has_files else _ROWS
        rows = source.execute(sa.select(table), execution_options={"yield_per": at_once}).mappings()
        for part in rows.partitions(at_once):
            target.execute(table.insert(), [dict(row) for row in part])
        _reset_sequence(target, table)


def _hold_writers(target: sa.Connection) -> None:
    """Let writers end what they have begun, and no other begin, until the restore is done; readers see what was.

    On SQLite the transaction itself does. On PostgreSQL a push and a restore that meet in the middle would be a
    deadlock, which ends either: a push begins with its agent, so that table comes first.
    """
    if target.dialect.name == "postgresql":
        others = (one.name for one in metadata.sorted_tables if one.name != "agent")
        target.execute(sa.text(f"LOCK TABLE {', '.join(['agent', *others])} IN EXCLUSIVE MODE"))


def _reset_sequence(target: sa.Connection, table: sa.Table) -> None:
    """PostgreSQL does not notice ids that were given by hand."""
    if target.dialect.name == "postgresql" and "id" in table.c and isinstance(table.c.id.type, sa.Integer):
        top = sa.func.coalesce(sa.func.max(table.c.id), 0) + 1
        sequence = sa.func.pg_get_serial_sequence(table.name, "id")
        target.execute(sa.select(sa.func.setval(sequence, top, False)).select_from(table))
