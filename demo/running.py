"""The collector and the agents of a province, running as a deployer would run them."""

import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import httpx

from contract.days import DayRange
from demo.children import ChildDiedError, Children
from demo.compare import arrived
from demo.config import collector_toml
from demo.province import Province
from demo.truth import Truth

_START_SECONDS = 60


class Running:
    """A collector that knows the facilities, and every agent enrolled with it and at work."""

    def __init__(self, province: Province, children: Children, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self._province = province
        self._children = children
        self._config = self._set_up(port)
        token = self._collector("user", "add", "demo", "--role", "reader")
        self._http = httpx.Client(
            base_url=self.address, headers={"Authorization": f"Bearer {token}"}, timeout=30, trust_env=False
        )
        self._children.start("collector", "collector", "--config", str(self._config), "serve")
        self._await_ready()
        for agent in province.agents:
            self._start_agent(agent.name, agent.config, agent.facilities)

    def arrived(self, days: DayRange) -> Truth:
        """What the collector has of `days`. Raises httpx.HTTPError."""
        answer = self._http.get("/api/v1/tallies", params={"from": str(days.first), "to": str(days.last)})
        answer.raise_for_status()
        return arrived(answer.json()["tallies"])

    def close(self) -> None:
        """Stop asking; the programs are ended by who started them."""
        self._http.close()

    def _set_up(self, port: int) -> Path:
        directory = self._province.directory / "collector"
        directory.mkdir()
        self._config = directory / "collector.toml"
        self._config.write_text(collector_toml(directory, port), "utf-8")
        self._collector("migrate")
        self._collector("facility", "import", str(self._province.facilities_csv))
        return self._config

    def _collector(self, *arguments: str) -> str:
        return self._children.run("collector", "--config", str(self._config), *arguments)

    def _await_ready(self) -> None:
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

    def _start_agent(self, name: str, config: Path, facilities: tuple[str, ...]) -> None:
        code = self._collector("enrol-code", *facilities)
        self._children.run("agent", "--config", str(config), "enrol", "--collector", self.address, "--code", code)
        self._children.start(f"agent-{name}", "agent", "--config", str(config), "run")


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
