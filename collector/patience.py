"""How long and how much one connection may keep the server waiting: uvicorn's own limits, and those it has not.

uvicorn waits for the head of a request, for what is left of a body after its answer, and for a reader that does not
read, without end. A few hundred such connections would be enough to shut everybody else out.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, whose patience ends. While an answer is being made nobody is hurried."""

    head_seconds = 15.0
    """From the connection, or from the answer before, to the whole head of a request."""
    read_seconds = 60.0
    """In which somebody to whom an answer is sent must have taken some of it."""
    _timer: asyncio.TimerHandle | None = None
    _unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody has connected."""
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._forget()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some more of a request: not the beginning of another wait."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """The answer is written; the next request may come."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """The other side does not read as fast as we write."""
        super().pause_writing()
        self._wait(self.read_seconds)

    def resume_writing(self) -> None:
        """It has read."""
        super().resume_writing()
        self._forget()
        self._watch()

    def _watch(self) -> None:
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if is_answering and not self.flow.write_paused:
            self._forget()
        elif self._timer is None:
            self._wait(self.head_seconds)

    def _wait(self, seconds: float) -> None:
        self._forget()
        self._unsent = self.transport.get_write_buffer_size()
        self._timer = self.loop.call_later(seconds, self._overdue)

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _overdue(self) -> None:
        if 0 < self.transport.get_write_buffer_size() < self._unsent:  # slow, but it reads
            self._wait(self.read_seconds)
        else:
            self.transport.abort()


LIMITS: dict[str, Any] = {
    "http": PatientProtocol,
    # head of a request, in bytes; a longer one is 400
    "h11_max_incomplete_event_size": 16_384,
    # connections, idle ones too; one more is told 503, which an agent takes as "later". Below the 1,024 files that a
    # process may have open by default
    "limit_concurrency": 800,
    "timeout_keep_alive": 5,
    # nobody need know what answers
    "server_header": False,
    "ws": "none",
}
"""For `uvicorn.run` and `uvicorn.Config`."""
