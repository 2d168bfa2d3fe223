"""Group commit: what waits while something is being stored is stored together next, and each gets its own answer.

Of the event loop: only the storing itself is in a thread.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from starlette.concurrency import run_in_threadpool

from contract.errors import AwayError, BusyError

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Intake(Generic[Item, Answer]):
    """Stores by `store`: an answer, or an error, for each of several; `most` may be here at once."""

    def __init__(self, store: Callable[[Sequence[Item]], Sequence[Answer | Exception]], most: int) -> None:
        self._store = store
        self._most = most
        self._inside = 0
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._work: asyncio.Task[None] | None = None

    async def take(self, one: Item) -> Answer:
        """The answer to it, when it is stored. Raises BusyError, and what `store` raises or answers."""
        if self._inside >= self._most:
            raise BusyError("máy chủ đang bận, agent sẽ gửi lại")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((one, answer))
        self._inside += 1
        answer.add_done_callback(self._leave)
        if self._work is None:
            self._work = asyncio.create_task(self._store_all())
        return await answer

    def _leave(self, _: object) -> None:
        self._inside -= 1

    async def _store_all(self) -> None:
        try:
            while self._waiting:
                together, self._waiting = self._waiting, []
                try:
                    found = await run_in_threadpool(self._store, [one for one, _ in together])
                except Exception as error:
                    if isinstance(error, AwayError):  # who waited behind them has waited as long: it is away for all
                        together, self._waiting = together + self._waiting, []
                    found = [error] * len(together)
                for (_, answer), said in zip(together, found, strict=True):
                    _give(answer, said)
        finally:
            self._work = None


def _give(answer: asyncio.Future[Answer], said: Answer | Exception) -> None:
    if answer.done():  # whoever asked is gone
        return
    if isinstance(said, Exception):
        answer.set_exception(said)
    else:
        answer.set_result(said)
