"""A Sở for the tests: a collector over a real database, spoken to as agents and people do. Time is passed in."""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from collector import ingest
from collector import registry as lists
from collector.access import Access, Speaker
from collector.app import create_app
from collector.exposition import Exposition
from collector.figures import FacilityData, load
from collector.people import People
from collector.province import Province
from collector.settings import Settings
from collector.standings import Standing, standings
from collector.store import Store, registry, tallies
from collector.store.tallies import Row
from collector.thresholds import Confirmation, Thresholds
from collector.yardstick import Yardstick
from contract import catalogue, plan
from contract.catalogue import Catalogue
from contract.days import LOCAL
from contract.plan import Plan
from contract.tally import Ack, Push

NOON = datetime(2026, 11, 20, 12, tzinfo=LOCAL)
TODAY = NOON.date()
YESTERDAY = TODAY - timedelta(days=1)
CATALOGUE = catalogue.load()


def a_source(name: str = "his", **other: Any) -> dict[str, Any]:
    """A source as an agent reports it (contract.md, "Push API")."""
    plain = {"kind": "his.sql", "facilities": ["12001"], "measures": ["payments"], "ok": True}
    return {"name": name, **plain, "read_at": "2026-11-20T11:59:00+07:00", **other}


def a_tally(day: date | str = YESTERDAY, revision: Any = 1, counts: Any = None, **other: Any) -> dict[str, Any]:
    """A tally as it travels."""
    counts = {"cash": 3, "qr": 1} if counts is None else counts
    plain = {"facility": "12001", "source": "his", "measure": "payments"}
    return {**plain, "day": str(day), "revision": revision, "counts": counts, **other}


def a_push(agent: str, tallies: list[Any], sources: list[Any] | None = None, **other: Any) -> dict[str, Any]:
    """The body of a push."""
    who = {"id": agent, "version": "1.0.0", "sent_at": NOON.isoformat(), "waiting": 0, "parked": 0, **other}
    return {"agent": who, "sources": [a_source()] if sources is None else sources, "tallies": tallies}


def a_plan(*targets: Mapping[str, Any], id: str = "ke-hoach-2026", **other: Any) -> Plan:
    """A plan for 2026, as its file would be read; what a target does not say: 90 % of payments cashless."""
    plain = {"issuer": "Sở Y tế", "title": "Kế hoạch", "short": id, "first_day": "2026-01-01", "last_day": "2026-12-31"}
    filled = [{"indicator": "cashless", "ratio": "0.9", "section": "I", "words": "…", **one} for one in targets]
    return plan.parse({**plain, "id": id, "targets": filled, **other}, id, CATALOGUE)


def exposition_of(
    store: Store, yardstick: Yardstick, tally_limit: int = 1000, windows: Sequence[str] = ("today", "30d")
) -> Exposition:
    """The metrics of a store, not yet put together."""
    return Exposition(store, yardstick, Province(store, yardstick, Confirmation(), windows, tally_limit))


@cache
def _migrated() -> bytes:
    """An empty store on SQLite: migrating one is enough for all tests."""
    with TemporaryDirectory() as directory:
        file = Path(directory) / "store"
        store = Store(f"sqlite:///{file}")
        store.migrate()
        store.make_one_file()
        store.close()
        return file.read_bytes()


class Office:
    """A store with facilities in it, and the agents that are enrolled."""

    def __init__(self, url: str, directory: Path, known: Catalogue = CATALOGUE) -> None:
        self.url = url
        self.directory = directory
        self.yardstick = Yardstick(known)
        file = Path(url.removeprefix("sqlite:///").partition("?")[0])
        if url.startswith("sqlite:") and not file.exists():
            file.write_bytes(_migrated())
        self.store = Store(url)
        if not self.store.is_current():
            self.store.migrate()
        self.access = Access(self.store, directory / "revoked-tokens.txt")
        self.people = People(self.store)

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue in force."""
        return self.yardstick.catalogue

    def set_plans(self, *plans: Plan, **thresholds: Any) -> None:
        """From now on figures are held against these."""
        self.yardstick = replace(self.yardstick, plans=plans, thresholds=Thresholds(**thresholds))

    def register(self, *ids: str, at: datetime = NOON, level: str = "province", **other: Any) -> None:
        """Facilities of which nothing is known but what is said here."""
        cells = [{"id": one, "name": f"Cơ sở {one}", "level": level, **other} for one in ids]
        lists.register(self.store, [(one["id"], lists.line(one["id"], one)) for one in cells], self.catalogue, at)

    def enrol(self, *facilities: str, agent: str | None = None, at: datetime = NOON) -> str:
        """A token for an agent of these facilities, registered if they are not."""
        with self.store.read() as connection:
            known = {one.id for one in registry.facilities(connection)}
        self.register(*(one for one in facilities if one not in known))
        return self.access.enrol(self.access.make_code(facilities, agent, at), at)[1]

    def speaker(self, *facilities: str) -> Speaker:
        """A new agent that has shown its token."""
        return self.access.speaker(self.enrol(*facilities), NOON)

    def push(
        self, speaker: Speaker, sent: list[Any], sources: list[Any] | None = None, at: datetime = NOON, **other: Any
    ) -> Ack:
        """What the collector answers to a push, through the wire's own shape."""
        body = Push.model_validate_json(json.dumps(a_push(speaker.agent, sent, sources, **other)))
        return ingest.take(self.store, speaker, body, self.catalogue, at)

    def stored(self, measure: str = "payments") -> dict[tuple[str, str, date], Row]:
        """All current tallies of a measure by facility, source and day."""
        with self.store.read() as connection:
            sources = {one.id: one for one in tallies.sources(connection)}
            rows = tallies.between(connection, sources.values(), date.min, date.max, [measure])
        return {(sources[row.source].facility, sources[row.source].name, row.day): row for row in rows}

    def source(self, facility: str = "12001", name: str = "his") -> tallies.Source:
        """A source as stored."""
        with self.store.read() as connection:
            return next(one for one in tallies.sources(connection, [facility]) if one.name == name)

    def data(self, facility: str = "12001", today: date = TODAY) -> FacilityData:
        """All that standings of a facility are made from."""
        with self.store.read() as connection:
            found = registry.facilities(connection, [facility])
            return load(connection, self.catalogue, found, today - timedelta(days=400), today)[0]

    def standing(
        self, indicator: str = "cashless", window: str = "30d", today: date = TODAY, facility: str = "12001"
    ) -> Standing:
        """Where a facility stands at noon of a day."""
        moment = datetime.combine(today, NOON.timetz())
        [found] = standings(self.data(facility, today), self.yardstick, moment, (window,), indicator)
        return found

    def metrics(self, at: datetime = NOON, shard: str | None = None) -> str:
        """The text of a collector that has just started."""
        exposition = exposition_of(self.store, self.yardstick)
        exposition.refresh(at)
        return exposition.body(shard).decode()

    def app(self, **settings: Any) -> FastAPI:
        """The web application over this store."""
        plain = {
            "file": self.directory / "collector.toml",
            "host": "127.0.0.1",
            "port": 0,
            "data_dir": self.directory,
            "database": self.url,
            "catalogue_file": None,
            "metrics_token": None,
            "metrics_tally_facilities": 1000,
        }
        return create_app(Settings(**{**plain, **settings}), Store(self.url))


def samples(text: str) -> dict[str, float]:
    """The samples of a metrics text by their whole name, labels included."""
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@contextmanager
def serving(app: ASGIApp, **config: Any) -> Iterator[httpx.Client]:
    """A client of `app`, which listens on loopback in a thread of its own until the end; `config`: uvicorn's."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", **config))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def bearer(token: str) -> Mapping[str, str]:
    """The header that shows a token."""
    return {"Authorization": f"Bearer {token}"}
