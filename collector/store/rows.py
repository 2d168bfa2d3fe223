"""Many rows in one statement, as the driver takes them: SQLAlchemy takes its time over each value of each row.

Statements are text with `{rows}` where their VALUES list goes, in the SQL that SQLite and PostgreSQL share.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

import sqlalchemy as sa

_LONGEST = 256
_Rows = Sequence[tuple[Any, ...]]


def execute(connection: sa.Connection, statement: str, rows: _Rows) -> None:
    """Do something with these rows, each value as `binder` gives it."""
    for length, pieces in groupby(_pieces(rows), len):
        text = _filled(statement, length, len(rows[0]), _mark(connection))
        connection.exec_driver_sql(text, [tuple(value for row in piece for value in row) for piece in pieces])


def query(connection: sa.Connection, statement: str, rows: _Rows) -> Iterator[Sequence[Any]]:
    """What is answered about these rows, each value as the driver gives it (`reader`)."""
    for piece in _pieces(rows):
        text = _filled(statement, len(piece), len(piece[0]), _mark(connection))
        yield from connection.exec_driver_sql(text, tuple(value for row in piece for value in row))


def binder(connection: sa.Connection, column: sa.Column[Any]) -> Callable[[Any], Any]:
    """How the driver wants a value of this column."""
    dialect = connection.dialect
    return column.type.dialect_impl(dialect).bind_processor(dialect) or _unchanged


def reader(connection: sa.Connection, column: sa.Column[Any]) -> Callable[[Any], Any]:
    """What a value of this column is that the driver gives."""
    dialect = connection.dialect
    return column.type.dialect_impl(dialect).result_processor(dialect, None) or _unchanged


def _unchanged(value: Any) -> Any:
    return value


def _pieces(rows: _Rows) -> Iterator[_Rows]:
    """Pieces of few different lengths (powers of two), so that drivers know the statements again."""
    start = 0
    while start < len(rows):
        length = min(_LONGEST, 1 << ((len(rows) - start).bit_length() - 1))
        yield rows[start : start + length]
        start += length


def _mark(connection: sa.Connection) -> str:
    return "?" if connection.dialect.paramstyle == "qmark" else "%s"


@lru_cache(256)
def _filled(statement: str, length: int, width: int, mark: str) -> str:
    row = f"({', '.join([mark] * width)})"
    return statement.format(rows=", ".join([row] * length))
