"""A consistent copy of all tables while serving, and back. The copy is a SQLite file, whatever the database is."""

from pathlib import Path

import sqlalchemy as sa

from collector.store import Store, renew_store_id
from collector.store.tables import metadata
from contract.errors import ConfigError

_ROWS = 5_000


def backup(store: Store, file: Path) -> None:
    """Copy everything into a new file, as it stands at one moment. Raises ConfigError, AwayError."""
    if file.exists():
        raise ConfigError(f"{file}: đã có, không ghi đè")
    fresh = file.with_name(file.name + ".part")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    copy = Store(f"sqlite:///{fresh.absolute()}")
    copy.migrate()
    with store.snapshot() as source, copy.write() as target:
        _copy(source, target)
    with copy.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = DELETE")
    copy.close()
    fresh.replace(file)


def restore(store: Store, file: Path) -> None:
    """Put the content of a backup in place of what is stored, under a new store id. Raises ConfigError, AwayError."""
    if not file.exists():
        raise ConfigError(f"{file}: không có tệp này")
    copy = Store(f"sqlite:///{file.absolute()}")
    if not copy.is_current():
        copy.migrate()
    store.migrate()
    with copy.read() as source, store.write() as target:
        _copy(source, target)
        renew_store_id(target)
    copy.close()


def _copy(source: sa.Connection, target: sa.Connection) -> None:
    for table in reversed(metadata.sorted_tables):
        target.execute(table.delete())
    for table in metadata.sorted_tables:
        rows = source.execution_options(yield_per=_ROWS).execute(sa.select(table)).mappings()
        for part in rows.partitions(_ROWS):
            target.execute(table.insert(), [dict(row) for row in part])
        _reset_sequence(target, table)


def _reset_sequence(target: sa.Connection, table: sa.Table) -> None:
    """PostgreSQL does not notice ids that were given by hand."""
    if target.dialect.name == "postgresql" and "id" in table.c and isinstance(table.c.id.type, sa.Integer):
        top = sa.func.coalesce(sa.func.max(table.c.id), 0) + 1
        sequence = sa.func.pg_get_serial_sequence(table.name, "id")
        target.execute(sa.select(sa.func.setval(sequence, top, False)).select_from(table))
