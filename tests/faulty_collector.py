"""A collector on a real socket that speaks the Push API, keeps what it is sent in memory, and fails when told to."""

import gzip
import json
import socket
import struct
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

from contract.catalogue import Catalogue, load
from contract.days import now
from contract.tally import digest

TOKEN = "a1.secret"
Fault = Callable[["_Handler"], None]


class FaultyCollector:
    """`faults` are taken one for each push; when none is left, pushes are answered as the contract says."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, str, str, str], tuple[int, dict[str, int]]] = {}
        self.pushes: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.asked: list[tuple[float, str]] = []
        self.faults: deque[Fault] = deque()
        self.tokens = {TOKEN}
        self.refused: dict[str, str] = {}
        self.most = 5_000
        self.store_id = uuid4().hex
        self.catalogue: Catalogue = load()
        self.lock = threading.Lock()
        collector = self

        class Handler(_Handler):
            collector: FaultyCollector

        Handler.collector = collector
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def __enter__(self) -> "FaultyCollector":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, push: dict[str, Any]) -> dict[str, Any]:
        """Store a push and give the ack, by the rule of revisions."""
        stale, refused = [], []
        with self.lock:
            for index, one in enumerate(push["tallies"]):
                key = (one["facility"], one["source"], one["measure"], one["day"])
                known = self.stored.get(key)
                if one["measure"] in self.refused:
                    code = self.refused[one["measure"]]
                    refused.append({"index": index, "code": code, "reason": "vì vậy"})
                elif known is None or one["revision"] > known[0]:
                    self.stored[key] = (one["revision"], one["counts"])
                elif one["counts"] != known[1]:
                    stale.append({"index": index, "revision": known[0]})
        return {
            "accepted": len(push["tallies"]) - len(stale) - len(refused),
            "stale": stale,
            "refused": refused,
            "server_time": now().isoformat(),
            "store_id": self.store_id,
            "catalogue": self.catalogue.digest,
        }

    def counts(self, day: date, measure: str = "checkins", facility: str = "12001") -> dict[str, int] | None:
        """What is stored."""
        found = self.stored.get((facility, "his", measure, str(day)))
        return found and found[1]

    def months(self, first: str, last: str) -> list[dict[str, str]]:
        """The digests of what is stored between two days."""
        days: dict[tuple[str, str, str, str], list[tuple[date, dict[str, int]]]] = defaultdict(list)
        for (facility, source, measure, day), (_, counts) in self.stored.items():
            if first <= day <= last:
                days[facility, source, measure, day[:7]].append((date.fromisoformat(day), counts))
        names = ("facility", "source", "measure", "month")
        return [{**dict(zip(names, key, strict=True)), "digest": digest(found)} for key, found in days.items()]


class _Handler(BaseHTTPRequestHandler):
    collector: FaultyCollector
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.sent = json.loads(body)
        with self.collector.lock:
            self.collector.asked.append((time.monotonic(), self.path))
            fault = self.collector.faults.popleft() if self.collector.faults else None
            self.collector.bodies.append(body)
        if self.path.endswith("/api/v1/enrolments"):
            answer(201, {"agent": "a1", "token": TOKEN, "facilities": ["12001"]})(self)
            return
        if self.headers["Authorization"].removeprefix("Bearer ") not in self.collector.tokens:
            answer(401, {"error": "UnauthorisedError"})(self)
            return
        if len(self.sent["tallies"]) > self.collector.most:
            fault = answer(413, {})
        self.collector.pushes.append(self.sent)
        (fault or accept)(self)

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self.collector.asked.append((time.monotonic(), path))
        if path == "/api/v1/catalogue":
            answer(200, self.collector.catalogue.model_dump(mode="json"))(self)
        else:
            span = dict(part.split("=") for part in query.split("&"))
            answer(200, {"months": self.collector.months(span["from"], span["to"])})(self)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def reset(self) -> None:
        """End the connection as a machine that dies does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


def accept(handler: _Handler) -> None:
    """As the contract says."""
    answer(200, handler.collector.take(handler.sent))(handler)


def answer(status: int, content: object, headers: dict[str, str] | None = None) -> Fault:
    """This status and JSON (or bytes)."""

    def fault(handler: _Handler) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        with suppress(OSError):  # the agent may be gone by now
            handler.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(body)

    return fault


def truncated(handler: _Handler) -> None:
    """Commits; the answer breaks off in the middle."""
    body = json.dumps(handler.collector.take(handler.sent)).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.wfile.flush()
    handler.reset()


def commits_and_dies(handler: _Handler) -> None:
    """Commits; no answer."""
    handler.collector.take(handler.sent)
    handler.reset()


def dies(handler: _Handler) -> None:
    """Neither commits nor answers."""
    handler.reset()


def hangs(seconds: float) -> Fault:
    """Answers late."""

    def fault(handler: _Handler) -> None:
        time.sleep(seconds)
        accept(handler)

    return fault


def huge(handler: _Handler) -> None:
    """An answer without end, packed small."""
    body = gzip.compress(b" " * (80 * 1024 * 1024), compresslevel=1)
    answer(200, body, {"Content-Encoding": "gzip"})(handler)
