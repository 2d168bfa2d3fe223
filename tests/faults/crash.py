"""`python -m tests.faults.crash`: runs agents and collectors that die at a chosen commit or answer.

It imports both once and forks for each run, so that a hundred deaths take a minute. What dies is the program itself,
by `os._exit` in the middle of whatever it does; only the hooks that say when are the harness's, and the readers work
inside of the agent's process, where they would otherwise be started each time.
"""

import importlib
import json
import os
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

import collector.app
from agent import reader, reads
from agent.__main__ import main as agent_main
from collector.__main__ import main as collector_main
from contract import catalogue

DIED = 99
# What programs load when they first need it.
_LOADED_LATE = (
    "adapters.einvoice.xml",
    "adapters.his.sql",
    "anyio._backends._asyncio",
    "httpcore",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
)


class Moments:
    """Counts the moments at which the program may die, and dies at number `at`; 0: never."""

    def __init__(self, at: int) -> None:
        self._at = at
        self._passed = 0

    def one(self) -> None:
        """Such a moment."""
        self._passed += 1
        if self._passed == self._at:
            os._exit(DIED)


def hook_commits(moments: Moments) -> None:
    """A moment before and a moment after each commit that changes something, on any SQLite connection."""

    class Watched(sqlite3.Connection):
        """Knows when it commits."""

        _written = 0

        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql != "COMMIT":
                return super().execute(sql, *parameters)
            done: sqlite3.Cursor = self._committed(partial(super().execute, sql))
            return done

        def commit(self) -> None:
            self._committed(super().commit)

        def _committed(self, commit: Callable[[], Any]) -> Any:
            if self.total_changes == self._written:
                return commit()
            self._written = self.total_changes
            moments.one()
            done = commit()
            moments.one()
            return done

    connect = partial(sqlite3.connect, factory=Watched)
    cast(Any, sqlite3).connect = cast(Any, sqlite3.dbapi2).connect = connect


def hook_answers(moments: Moments) -> None:
    """A moment before and a moment after each answer to a push leaves the collector."""
    create = collector.app.create_app

    def created(*arguments: Any) -> Any:
        app = create(*arguments)

        async def watched(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
            is_push = scope["type"] == "http" and scope["path"].endswith("/tallies")

            async def sending(message: Any) -> None:
                if is_push and message["type"] == "http.response.start":
                    moments.one()
                await send(message)
                if is_push and message["type"] == "http.response.body":
                    moments.one()

            await app(scope, receive, sending)

        return watched

    cast(Any, collector.app).create_app = created


def _in_place(self: reads.Readers, job: reader.Job, seconds: float) -> Iterator[reader.Message]:
    return reader.work(job)


def _run(program: str, config: str, at: int, log: str) -> int:
    """Be the program until it ends; its exit code."""
    with Path(log).open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    moments = Moments(at)
    hook_commits(moments)
    cast(Any, reads.Readers)._messages = _in_place
    try:
        if program == "agent":
            agent_main(["--config", config, "poll-once"])
        else:
            hook_answers(moments)
            collector_main(["--config", config, "serve"])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


def _fork(program: str, config: str, at: int, log: str) -> int:
    process = os.fork()
    if process == 0:
        code = 70  # an error that nobody foresaw
        try:
            code = _run(program, config, at, log)
        finally:
            os._exit(code)
    return process


def main() -> None:
    """Jobs come as lines of JSON, each is answered by one number: [program, config, at, log] → pid; pid → exit code."""
    for name in _LOADED_LATE:
        importlib.import_module(name)
    shipped = cast(Any, catalogue).load = cache(catalogue.load)
    shipped()
    os.environ["SSL_CERT_FILE"] = os.devnull  # over plain HTTP nobody asks for authorities
    for line in sys.stdin:
        job = json.loads(line)
        answer = os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]) if isinstance(job, int) else _fork(*job)
        with suppress(BrokenPipeError):
            print(answer, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
