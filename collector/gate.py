"""What every request passes and every answer carries: a short head, a body in time, headers for browsers, meters.

It goes around the whole app: the framework refuses too large bodies and answers our own mistakes outside of all that
may be added to it.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from collector.parts import Meters
from contract.tally import MAX_BYTES

PATIENCE = 20.0
"""Seconds within which a body must be here, and one more for each `SLOWEST` bytes of it that have come."""
SLOWEST = 16_384
LONGEST_HEAD = 16_384
"""Bytes of a request's head. uvicorn's own limit holds only for a head that comes in several pieces."""
LARGE, MOST_LARGE = 2 * MAX_BYTES, 8
"""Bodies of more bytes than any agent's push may come in so many at once: a form is read, on disk, before it is known
whose it is."""
_METHODS = ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS")
# For answers that do not say it themselves; pages do (pages/rendering.py).
_HEADERS = {
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"same-origin",
    b"x-content-type-options": b"nosniff",
}
# A year; the names beneath are not ours to bind.
_ONLY_TLS = (b"strict-transport-security", b"max-age=31536000")


_TOO_LONG = JSONResponse({"error": "HTTPException", "detail": "phần đầu của yêu cầu quá dài"}, 431)


class Gate:
    """Around `app`; `only_tls`: browsers reach it over TLS, and shall not try anything else."""

    def __init__(self, app: ASGIApp, meters: Meters, only_tls: bool, patience: float = PATIENCE) -> None:
        self._app = app
        self._meters = meters
        self._only_tls = only_tls
        self._patience = patience
        self._large = asyncio.Semaphore(MOST_LARGE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI app."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                said = list(message.get("headers", ()))
                message = {**message, "headers": [*said, *self._unsaid(scope, said)]}
            await send(message)

        app = self._app if _length(scope) <= LONGEST_HEAD else _TOO_LONG
        try:
            with _Body(receive, self._patience, self._large) as body:
                await app(scope, body.receive, sending)
        finally:
            self._count(scope, status, time.perf_counter() - started)

    def _unsaid(self, scope: Scope, said: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        names = {name.lower() for name, _ in said}
        yield from ((name, value) for name, value in _HEADERS.items() if name not in names)
        if b"cache-control" not in names:
            # what is not a file of the portal itself is one person's, and no proxy's
            yield b"cache-control", b"max-age=3600" if scope["path"].startswith("/static/") else b"no-store"
        if self._only_tls or scope["scheme"] == "https":
            yield _ONLY_TLS

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        # the route's pattern, not the path: callers must not be able to make series
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._meters.requests.labels(method, route, status).inc()
        self._meters.seconds.labels(method, route, status).observe(seconds)


def _length(scope: Scope) -> int:
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    target = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    return target + sum(len(name) + len(value) + len(": \r\n") for name, value in headers)


class _Body:
    """The body of one request, refused where it dribbles (408: it would hold a connection for as long as it likes)."""

    def __init__(self, receive: Receive, patience: float, large: asyncio.Semaphore) -> None:
        self._receive = receive
        self._patience = patience
        self._large = large
        self._until = 0.0
        self._length = 0
        self._is_whole = self._is_large = False

    def __enter__(self) -> "_Body":
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_large:
            self._large.release()

    async def receive(self) -> Message:
        """What comes next. Raises HTTPException."""
        if self._is_whole:  # what is waited for now is the end of the connection
            return await self._receive()
        self._until = self._until or asyncio.get_running_loop().time() + self._patience
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408) from None
        length = len(message.get("body", b""))
        self._until += length / SLOWEST
        self._length += length
        self._is_whole = not message.get("more_body", False)
        await self._take_place()
        return message

    async def _take_place(self) -> None:
        if self._length > LARGE and not self._is_large:
            if self._large.locked():
                raise HTTPException(429, headers={"Retry-After": "30"})
            self._is_large = await self._large.acquire()
