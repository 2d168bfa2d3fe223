"""A small SQLite database whose tables are dataclasses: a row is written whole, when it is new and when it changed."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args, get_type_hints

_COLUMN = {int: "INTEGER", str: "TEXT", Decimal: "NUMERIC"}


@dataclass(frozen=True)
class Table:
    """One table: `row` is a dataclass whose fields are the columns, the first being the key."""

    name: str
    row: type
    indexed: tuple[str, ...] = ()


class Database:
    """Tables in one SQLite file or several, each attached as a schema of its own.

    Readers in other processes never wait (WAL), and writes are single short transactions.
    """

    def __init__(self, schemas: Mapping[str, tuple[Path, tuple[Table, ...]]]) -> None:
        # The feeding may be done by another thread than the one that built the world, never by two at once.
        self._connection = sqlite3.connect(":memory:", timeout=30, isolation_level=None, check_same_thread=False)
        self._insert: dict[type, str] = {}
        self._columns: dict[type, tuple[str, ...]] = {}
        self._waiting: dict[int, Any] = {}
        for schema, (file, tables) in schemas.items():
            self._connection.execute(f"ATTACH ? AS {schema}", (str(file),))
            self._connection.execute(f"PRAGMA {schema}.journal_mode = WAL")
            self._connection.execute(f"PRAGMA {schema}.synchronous = NORMAL")
            for table in tables:
                self._create(schema, table)

    def keep(self, *rows: Any) -> None:
        """Have these rows written by the next `write`."""
        self._waiting.update((id(row), row) for row in rows)

    def write(self) -> None:
        """Write all that waits, in one transaction; what could not be written goes on waiting."""
        if not self._waiting:
            return
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            for row in self._waiting.values():
                self._connection.execute(self._insert[type(row)], self._values(row))
        self._waiting.clear()

    def close(self) -> None:
        """Write what waits and let the files go."""
        self.write()
        self._connection.close()

    def _create(self, schema: str, table: Table) -> None:
        columns = tuple(one.name for one in fields(table.row))
        types = get_type_hints(table.row)
        key, *others = (f"{column} {_column_type(types[column])}" for column in columns)
        definition = ", ".join([f"{key} PRIMARY KEY", *others])
        self._connection.execute(f"CREATE TABLE {schema}.{table.name} ({definition})")
        for column in table.indexed:
            self._connection.execute(f"CREATE INDEX {schema}.{table.name}_{column} ON {table.name} ({column})")
        marks = ", ".join("?" * len(columns))
        # Names are ours, values are bound.
        self._insert[table.row] = f"INSERT OR REPLACE INTO {schema}.{table.name} VALUES ({marks})"
        self._columns[table.row] = columns

    def _values(self, row: Any) -> list[Any]:
        values = (getattr(row, column) for column in self._columns[type(row)])
        return [_plain(value) if isinstance(value, Decimal) else value for value in values]


def _column_type(hint: Any) -> str:
    kinds = get_args(hint) or (hint,)
    return next(_COLUMN[kind] for kind in kinds if kind in _COLUMN)


def _plain(amount: Decimal) -> int | float:
    return int(amount) if amount == amount.to_integral_value() else float(amount)
