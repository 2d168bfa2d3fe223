"""A cheap load: prepared requests over keep-alive connections, each of which waits for the answer to its last one."""

import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

SENDERS = 20
"""Connections at once: fewer than a collector takes at once (24), as a proxy in front of it would have."""
_LONGEST_SECONDS = 120.0


@dataclass
class _Line:
    """One connection and what it is about: what has come of the answer to its last request."""

    socket: socket.socket
    sent_at: float = 0.0
    answer: bytearray = field(default_factory=bytearray)

    def send(self, request: bytes) -> None:
        self.answer.clear()
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def is_answered(self) -> bool:
        """Take what is there; whether that is the whole answer. Raises RuntimeError for one that is not 2xx."""
        piece = self.socket.recv(65_536)
        if not piece:
            raise RuntimeError("the connection was ended")
        self.answer += piece
        head, end, body = self.answer.partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(self.answer.decode(errors="replace"))
        length = next((one for one in head.lower().split(b"\r\n") if one.startswith(b"content-length:")), b":0")
        return len(body) >= int(length.partition(b":")[2])


def send(ports: Sequence[int], requests: Sequence[bytes], senders: int = SENDERS) -> tuple[float, list[float]]:
    """(seconds until all are answered, seconds of each); the connections are dealt out to the `ports` in turn.

    Raises RuntimeError for an answer that is not 2xx, TimeoutError.
    """
    waiting, taken = iter(requests), list[float]()
    lines = [_Line(socket.create_connection(("127.0.0.1", ports[n % len(ports)]))) for n in range(senders)]
    with selectors.DefaultSelector() as selector:
        for line in lines:
            line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(line.socket, selectors.EVENT_READ, line)
        started = time.perf_counter()
        busy = sum(_go_on(line, waiting) for line in lines)
        while busy:
            ready = selector.select(_LONGEST_SECONDS)
            if not ready:
                raise TimeoutError("no answer")
            for key, _ in ready:
                answered: _Line = key.data
                if answered.is_answered():
                    taken.append(time.perf_counter() - answered.sent_at)
                    busy -= not _go_on(answered, waiting)
        seconds = time.perf_counter() - started
    for line in lines:
        line.socket.close()
    return seconds, taken


def _go_on(line: _Line, waiting: Iterator[bytes]) -> bool:
    """Send the next request, if there is one."""
    request = next(waiting, None)
    if request is not None:
        line.send(request)
    return request is not None


def request(method: str, path: str, body: bytes, **headers: str) -> bytes:
    """A request as it goes over the line."""
    named = {"Host": "127.0.0.1", "Content-Length": str(len(body))}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def answer(port: int, one: bytes) -> bytes:
    """The body of the answer to one request. Raises RuntimeError."""
    with closing(socket.create_connection(("127.0.0.1", port))) as connected:
        line = _Line(connected)
        line.send(one)
        while not line.is_answered():
            pass
        return bytes(line.answer.partition(b"\r\n\r\n")[2])
