"""A real HTTP server in a thread: an app is a function from request to reply. Nothing is faked on our side of it."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.query if key == name]


@dataclass(frozen=True, slots=True)
class Reply:
    """`length` is what Content-Length claims, when that is not the truth; `delay` seconds pass before and while it."""

    body: bytes = b""
    status: int = 200
    type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    delay: float = 0.0


App = Callable[[Request], Reply]


def as_json(value: object, status: int = 200) -> Reply:
    return Reply(json.dumps(value).encode(), status)


HTML = Reply(b"<html><body>MARK-HTML Xin dang nhap</body></html>", type="text/html")


@dataclass(slots=True)
class Served:
    """A running server: where it is and what it was asked. `fault` answers instead of the app, while it gives one."""

    url: str
    app: App
    requests: list[Request] = field(default_factory=list)
    fault: Callable[[Request], Reply | None] = lambda request: None

    def answer(self, request: Request) -> Reply:
        self.requests.append(request)
        return self.fault(request) or self.app(request)

    def asked(self, path_end: str) -> list[Request]:
        return [request for request in self.requests if request.path.endswith(path_end)]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    served: Served

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_GET  # noqa: N815

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        request = Request(
            self.command,
            parts.path,
            parse_qsl(parts.query, keep_blank_values=True),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(int(self.headers.get("Content-Length") or 0)),
        )
        reply = self.server.served.answer(request)
        time.sleep(reply.delay)
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.type)
        self.send_header("Content-Length", str(len(reply.body) if reply.length is None else reply.length))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        half = len(reply.body) // 2 if reply.delay else len(reply.body)
        self.wfile.write(reply.body[:half])
        self.wfile.flush()
        if reply.delay:
            time.sleep(reply.delay)
            self.wfile.write(reply.body[half:])
        self.close_connection = reply.length is not None

    def log_message(self, format: str, *args: object) -> None:
        """The tests look at `requests` instead."""


@contextmanager
def serving(app: App, tls: ssl.SSLContext | None = None) -> Iterator[Served]:
    server = _Server(("127.0.0.1", 0), _Handler)
    server.served = Served(f"{'https' if tls else 'http'}://localhost:{server.server_port}", app)
    if tls:
        # The handshake belongs to the handler's thread: one that fails must not stop the server from accepting.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
