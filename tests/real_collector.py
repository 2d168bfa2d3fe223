"""The real collector, served by uvicorn in a thread on loopback, over a SQLite store of its own."""

import threading
import time
from datetime import date
from pathlib import Path

import uvicorn

from collector import registry
from collector.access import Access
from collector.app import create_app
from collector.settings import load
from collector.store import Store, tallies
from contract import catalogue
from contract.days import now


class RealCollector:
    """Serving from construction until `close`; `facilities` are registered."""

    def __init__(self, directory: Path, port: int, facilities: tuple[str, ...] = ("12001",)) -> None:
        config = directory / "collector.toml"
        config.write_text(f'[collector]\nlisten = "127.0.0.1:{port}"\ndata_dir = "collector"\n')
        (directory / "collector").mkdir(exist_ok=True)
        self.settings = load(config)
        self.url = f"http://127.0.0.1:{port}"
        self.store = Store(self.settings.database)
        self.store.migrate()
        lines = [
            (one, registry.line(one, {"id": one, "name": f"Bệnh viện {one}", "level": "province"}))
            for one in facilities
        ]
        registry.register(self.store, lines, catalogue.load(), now())
        self.access = Access(self.store, self.settings.revocations)
        app = create_app(self.settings, self.store)
        self._server = uvicorn.Server(
            uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", timeout_graceful_shutdown=1)
        )
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.02)

    def close(self) -> None:
        """Stop serving."""
        self._server.should_exit = True
        self._thread.join()

    def code(self, *facilities: str, agent: str | None = None) -> str:
        """A one-time code."""
        return self.access.make_code(facilities, agent, now())

    def counts(self, measure: str = "checkins", facility: str = "12001") -> dict[date, dict[str, int]]:
        """What is stored of a measure."""
        with self.store.read() as connection:
            sources = tallies.sources(connection, [facility])
            rows = tallies.between(connection, sources, date(2000, 1, 1), date(2100, 1, 1))
        return {row.day: row.by_category for row in rows if row.measure == measure}
