"""The bad line between agents and collector: a TCP proxy that breaks exchanges in every way a line can break.

It understands just enough HTTP to know where an exchange could be broken, and to let the oracle hear every answer,
also those that it swallows.
"""

import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from http.client import HTTPException, HTTPResponse
from random import Random
from typing import BinaryIO, NamedTuple

_PUSH = b"POST /api/v1/tallies "
_PATIENCE_SECONDS = 20.0


class _BrokenError(Exception):
    """The exchange is over for the agent: its connection is reset."""


class _Request(NamedTuple):
    head: bytes
    body: bytes

    @property
    def whole(self) -> bytes:
        return self.head + self.body

    @property
    def chunked(self) -> bytes:
        """The same, in pieces whose number nobody has said before."""
        kept = (line for line in self.head[:-4].split(b"\r\n") if not line.lower().startswith(b"content-length:"))
        head = b"\r\n".join([*kept, b"Transfer-Encoding: chunked", b"", b""])
        pieces = (b"%x\r\n%b\r\n" % (len(piece), piece) for piece in _pieces(self.body, 3) if piece)
        return head + b"".join(pieces) + b"0\r\n\r\n"


class Proxy:
    """Listens on loopback from construction until `close`; `heard` gets body and answer of each push with a 200."""

    def __init__(
        self,
        collector_port: int,
        random: Random,
        heard: Callable[[bytes, bytes], None],
        weights: Mapping[str, int] | None = None,
        pace: float = 1.0,
    ) -> None:
        """`weights`: what befalls an exchange how often; `pace`: by how much whatever takes time takes longer."""
        self._collector = ("127.0.0.1", collector_port)
        self._random = random
        self._heard = heard
        self._weights = weights or FAULTS
        self._pace = pace
        self._lock = threading.Lock()
        self.faults: Counter[str] = Counter()
        """How often each was done."""
        self.calm = False
        """Whether the line is good from now on."""
        self._server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._server.close()

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = self._server.accept()
                threading.Thread(target=self._speak, args=(connection,), daemon=True).start()

    def _speak(self, agent: socket.socket) -> None:
        agent.settimeout(_PATIENCE_SECONDS)
        try:
            with agent.makefile("rb") as incoming:
                while request := _request(incoming):
                    agent.sendall(self._answer(agent, request))
        except (_BrokenError, OSError, HTTPException, ValueError):
            _reset(agent)
        finally:
            agent.close()

    def _answer(self, agent: socket.socket, request: _Request) -> bytes:
        """One exchange, unbroken or broken. Raises _BrokenError, OSError."""
        fault = self._chosen()
        self._befall_request(fault, request)
        answer = self._deliver(request, throttled=fault == "throttled", chunked=fault == "buffered")
        if fault == "gateway timeout":
            return _GATEWAY_TIMEOUT
        if fault == "half-open":
            time.sleep(self._between(1, 6))
        if fault in ("swallowed", "half-open"):
            raise _BrokenError
        if fault == "cut in the answer":
            agent.sendall(answer[: self._below(len(answer))])
            raise _BrokenError
        if fault == "delayed":
            time.sleep(self._between(0.1, 1))
        return answer

    def _befall_request(self, fault: str, request: _Request) -> None:
        """What happens before the collector hears of it. Raises _BrokenError, OSError."""
        if fault == "refused":
            raise _BrokenError
        if fault == "delayed":
            time.sleep(self._between(0.1, 1.5))
        if fault == "buffered":
            # a proxy that takes all before it passes anything on; the agent may have given up and sent again
            time.sleep(self._between(0.5, 5))
        if fault == "sent twice":
            # a proxy that believes its first try to have failed
            self._deliver(request)
        if fault == "late":
            # It arrives when the agent has given it up and, perhaps, has sent something newer.
            threading.Timer(self._between(0.5, 4), self._deliver_late, [request]).start()
            raise _BrokenError
        if fault == "cut in the request":
            self._cut(request)
            raise _BrokenError

    def _chosen(self) -> str:
        with self._lock:
            fault = "none" if self.calm else self._random.choices(list(self._weights), list(self._weights.values()))[0]
            self.faults[fault] += 1
        return fault

    def _between(self, low: float, high: float) -> float:
        with self._lock:
            return self._random.uniform(low, high) * self._pace

    def _below(self, length: int) -> int:
        with self._lock:
            return self._random.randrange(length)

    def _deliver(self, request: _Request, throttled: bool = False, chunked: bool = False) -> bytes:
        """The collector's answer as it is to go to the agent. Raises OSError, HTTPException."""
        whole = request.chunked if chunked else request.whole
        with closing(socket.create_connection(self._collector, _PATIENCE_SECONDS)) as collector:
            for piece in _pieces(whole, 20 if throttled else 1):
                collector.sendall(piece)
                time.sleep(0.05 * self._pace if throttled else 0)
            response = HTTPResponse(collector)
            response.begin()
            body = response.read()
        if response.status == 200 and request.head.startswith(_PUSH):
            self._heard(request.body, body)
        kept = [(name, value) for name, value in response.getheaders() if name.lower() != "transfer-encoding"]
        head = "".join(f"{name}: {value}\r\n" for name, value in kept)
        return f"HTTP/1.1 {response.status} {response.reason}\r\n{head}\r\n".encode("latin-1") + body

    def _deliver_late(self, request: _Request) -> None:
        with suppress(OSError, HTTPException, ValueError):  # nobody waits for it
            self._deliver(request)

    def _cut(self, request: _Request) -> None:
        with closing(socket.create_connection(self._collector, _PATIENCE_SECONDS)) as collector:
            collector.sendall(request.whole[: self._below(len(request.whole))])
            _reset(collector)


_GATEWAY_TIMEOUT = b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 7\r\n\r\ntimeout"
# What befalls an exchange, by weight.
FAULTS = {
    "none": 12,
    "delayed": 3,
    "throttled": 2,
    "swallowed": 4,
    "cut in the request": 2,
    "cut in the answer": 2,
    "late": 2,
    "refused": 1,
    "half-open": 1,
    "buffered": 2,
    "sent twice": 1,
    "gateway timeout": 2,
}


def _request(incoming: BinaryIO) -> _Request | None:
    """The next request of a connection; None at its end."""
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        read = incoming.readline(65536)
        if not read:
            return None
        head += read
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    body = incoming.read(length)
    return _Request(bytes(head), body) if len(body) == length else None


def _pieces(content: bytes, number: int) -> list[bytes]:
    size = len(content) // number + 1
    return [content[start : start + size] for start in range(0, len(content), size)]


def _reset(connection: socket.socket) -> None:
    """End a connection as a machine that dies does."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
