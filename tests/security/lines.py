"""Sockets that behave badly: what a browser or an agent never does, an attacker does."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx


@contextmanager
def line(http: httpx.Client, receive_buffer: int | None = None) -> Iterator[socket.socket]:
    """A connection to the server, spoken to byte by byte."""
    with socket.socket() as made:
        if receive_buffer is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        made.connect((http.base_url.host, http.base_url.port or 80))
        made.settimeout(20)
        yield made


def head(method: str, path: str, *headers: str) -> bytes:
    """The head of a request."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]).encode()


def answer(made: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    found = bytearray()
    try:
        while chunk := made.recv(65_536):
            found += chunk
    except ConnectionError:
        pass
    return bytes(found)


def status(made: socket.socket) -> int:
    """The status of the answer that comes next; 0 when the connection ends without."""
    found = made.makefile("rb").readline()
    return int(found.split()[1]) if found else 0


@contextmanager
def dribbling(made: socket.socket, piece: bytes, every: float) -> Iterator[threading.Event]:
    """`piece` is sent again and again until the end, or until the other side has had enough: then the event is set."""
    ended, refused = threading.Event(), threading.Event()

    def send() -> None:
        while not ended.wait(every):
            try:
                made.sendall(piece)
            except OSError:
                refused.set()
                return

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield refused
    finally:
        ended.set()
        thread.join()


def seconds(begun: float) -> float:
    """Since `begun`, by the monotonic clock."""
    return time.monotonic() - begun
