"""Reports made in the background: one at a time in each collector, by a process of its own, under a deadline.

What is being made is a row that the collector renews. One that is killed leaves a row that nobody renews; another
collector, or the same one after its restart, takes it up once more, and then it has failed.
"""

import logging
import pickle
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO

from collector.reports import making
from collector.reports.making import Made, Order, Refused
from collector.settings import Settings
from collector.store import Store, jobs
from collector.store.jobs import Job
from collector.yardstick import Yardstick
from contract.errors import AwayError

Start = Callable[[Order, IO[bytes]], "subprocess.Popen[bytes]"]
log = logging.getLogger(__name__)
PERIOD = timedelta(seconds=1)
"""How often a collector looks for work, and at its own."""
_HELD = timedelta(seconds=60)
_RENEWED_EVERY = 10.0
_BROKEN = "máy chủ gặp lỗi khi lập báo cáo; lỗi đã được ghi vào nhật ký của máy chủ"
_OVERDUE = "lập báo cáo quá {} phút nên đã dừng: hãy chọn kỳ ngắn hơn hoặc một cơ sở, hay báo cho quản trị hệ thống"


@dataclass
class _Making:
    """A process at work. `begun`, `renewed`: by the monotonic clock."""

    job: Job
    process: "subprocess.Popen[bytes]"
    answer: IO[bytes]
    begun: float
    renewed: float

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.answer.close()
        try:
            if self.process.stdin is not None:
                self.process.stdin.close()
        except OSError:
            pass  # what could not be told any more


class Press:
    """What one collector does of the reports that people have asked for."""

    def __init__(self, store: Store, settings: Settings, yardstick: Yardstick, start: Start | None = None) -> None:
        """`start`: how the process begins, another one only in tests."""
        self._store = store
        self._start = start or started
        self._settings = settings
        self._yardstick = yardstick
        self._holder = secrets.token_hex(8)
        self._making: _Making | None = None

    def turn(self, moment: datetime) -> None:
        """Look after the report that is being made, or begin the next. Raises AwayError."""
        if self._making is None:
            self._begin(moment)
        elif self._making.process.poll() is not None:
            self._end(self._making, moment)
        elif time.monotonic() - self._making.begun > self._settings.report_minutes * 60:
            self._fail(self._making, moment, _OVERDUE.format(self._settings.report_minutes))
        elif time.monotonic() - self._making.renewed >= _RENEWED_EVERY:
            self._renew(self._making, moment)

    def forget(self, moment: datetime) -> None:
        """Drop the reports that were kept long enough."""
        with self._store.write() as connection:
            jobs.forget(connection, moment - timedelta(days=self._settings.reports_kept_days))

    def stop(self) -> None:
        """Leave what is being made to the next collector."""
        if self._making is None:
            return
        self._drop(self._making)
        try:
            with self._store.write() as connection:
                jobs.give_back(connection, self._holder)
        except AwayError:
            pass  # nobody renews it: it is taken up when its time is over

    def _begin(self, moment: datetime) -> None:
        with self._store.read() as connection:
            if not jobs.is_any_free(connection, moment):
                return
        with self._store.write() as connection:
            job = jobs.take(connection, self._holder, moment, _HELD)
        if job is None:
            return
        settings, at = self._settings, time.monotonic()
        order = Order(
            settings.database, self._yardstick, settings.confirmation, settings.report, job.period, job.facility,
            job.format, moment,
        )  # fmt: skip
        answer = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the process is at work)
        self._making = _Making(job, self._start(order, answer), answer, at, at)

    def _renew(self, making: _Making, moment: datetime) -> None:
        with self._store.write() as connection:
            is_mine = jobs.renew(connection, making.job.id, self._holder, moment + _HELD)
        making.renewed = time.monotonic()
        if not is_mine:
            self._drop(making)

    def _end(self, making: _Making, moment: datetime) -> None:
        making.answer.seek(0)
        answer = making.answer.read()
        said = pickle.loads(answer) if making.process.returncode == 0 and answer else None  # noqa: S301 (our child)  # nosec B301
        if isinstance(said, Made):
            with self._store.write() as connection:
                jobs.finish(connection, making.job.id, self._holder, moment, said.name, said.content)
            self._drop(making)
        elif isinstance(said, Refused):
            self._fail(making, moment, said.problem)
        else:
            # what it said of itself is in the log before this
            log.error("báo cáo %s không lập được (mã %s)", making.job.id, making.process.returncode)
            self._fail(making, moment, _BROKEN)

    def _fail(self, making: _Making, moment: datetime, problem: str) -> None:
        with self._store.write() as connection:
            jobs.fail(connection, making.job.id, self._holder, moment, problem)
        self._drop(making)

    def _drop(self, making: _Making) -> None:
        making.close()
        self._making = None


def started(order: Order, answer: IO[bytes]) -> "subprocess.Popen[bytes]":
    """A process that makes the report and writes it to `answer`."""
    process = subprocess.Popen(
        # not `-m`: messages must be pickled as classes of the module, not of __main__
        [sys.executable, "-c", f"from {making.__name__} import main; main()"],
        stdin=subprocess.PIPE,
        stdout=answer,
        cwd=Path(making.__file__).parents[2],
    )
    # a pipe holds little, and takes more only when somebody reads
    threading.Thread(target=_tell, args=(process, order), daemon=True).start()
    return process


def _tell(process: "subprocess.Popen[bytes]", order: Order) -> None:
    assert process.stdin is not None
    try:
        pickle.dump(order, process.stdin)
        # it stays open: when it ends, this process has ended
        process.stdin.flush()
    except (OSError, ValueError):
        pass  # the process has died or was killed, which the next turn sees
