"""The collector and the agents of a province, running as a deployer would run them."""

import socket
import time
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx

from collector import registry
from collector.access import Access
from collector.people import People
from collector.settings import load
from collector.store import Store
from collector.store.people import Person
from contract import catalogue
from contract.days import DayRange, now
from demo.children import ChildDiedError, Children
from demo.compare import arrived
from demo.config import collector_toml
from demo.config import plans as sample_plans
from demo.province import Agent, Province
from demo.truth import Truth

_START_SECONDS = 60


class Running:
    """A collector that knows the facilities and the plans, and every agent enrolled with it and at work.

    `plans`: default the samples; `standings`: lines of collector.toml's table of thresholds.
    """

    def __init__(
        self,
        province: Province,
        children: Children,
        port: int,
        plans: Sequence[Path] | None = None,
        standings: str = "",
    ) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.province = province
        self.plans = sample_plans() if plans is None else plans
        self._children = children
        self._config = province.directory / "collector" / "collector.toml"
        self._config.parent.mkdir()
        self._config.write_text(collector_toml(port, self.plans, standings), "utf-8")
        self.token, codes = self._set_up()
        """`token`: of the person `demo`, who may read everything, and logs in with `password` once."""
        self._http = httpx.Client(
            base_url=self.address, headers={"Authorization": f"Bearer {self.token}"}, timeout=30, trust_env=False
        )
        self._children.start("collector", "collector", "--config", str(self._config), "serve")
        self.await_ready()
        for agent in province.agents:
            self._start_agent(agent, codes[agent.name])

    def arrived(self, days: DayRange) -> Truth:
        """What the collector has of `days`. Raises httpx.HTTPError."""
        asked = {"from": str(days.first), "to": str(days.last)}
        return arrived(self.ask("/api/v1/tallies", asked)["tallies"])

    def ask(self, path: str, asked: dict[str, str] | None = None) -> Any:
        """The collector's JSON. Raises httpx.HTTPError."""
        answer = self._http.get(path, params=asked)
        answer.raise_for_status()
        return answer.json()

    def await_ready(self) -> None:
        """Until the collector answers. Raises ChildDiedError when it does not."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            self._children.check()
            with suppress(httpx.TransportError):
                # Asked with our token: should somebody else's collector answer here, ours dies and says so.
                ready = self._http.get("/readyz").is_success and self._http.get("/api/v1/facilities").is_success
                if ready:
                    return
            time.sleep(0.1)
        raise ChildDiedError(f"collector không sẵn sàng sau {_START_SECONDS} giây")

    def close(self) -> None:
        """Stop asking; the programs are ended by who started them."""
        self._http.close()

    def _set_up(self) -> tuple[str, dict[str, str]]:
        """What `migrate`, `facility import`, `user add` and `enrol-code` do: a token, and a code for each agent.

        Except that the facilities were registered weeks ago: one that is new is not missed when it is silent.
        """
        settings, province = load(self._config), self.province
        settings.data_dir.mkdir()
        with closing(Store(settings.database)) as store:
            store.migrate()
            registry.register(store, registry.read(province.facilities_csv), catalogue.load(), province.registered_at)
            access = Access(store, settings.revocations)
            people = People(store)
            token = people.add(Person("demo", "reader", None), now())
            self.password = people.first_password("demo", now())
            return token, {one.name: access.make_code(one.facilities, None, now()) for one in province.agents}

    def _start_agent(self, agent: Agent, code: str) -> None:
        config = ("--config", str(agent.config))
        self._children.run("agent", *config, "enrol", "--collector", self.address, "--code", code)
        self._children.start(f"agent-{agent.name}", "agent", *config, "run")


def reserve(wanted: Iterable[int]) -> socket.socket:
    """A socket that holds the first free port of `wanted` until it is closed; a server of ours may still listen there.

    Two demos that start at the same moment so get two ports. Raises OSError when none is free.
    """
    problem = OSError("no port wanted")
    for port in wanted:
        held = socket.socket()
        try:
            held.bind(("127.0.0.1", port))
        except OSError as error:
            held.close()
            problem = error
            continue
        # Only now: with it, bind would also have taken a port that another demo holds.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return held
    raise problem
