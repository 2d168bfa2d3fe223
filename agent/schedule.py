"""The service: one job a source, a push when a poll ends, the nightly work, until it is told to stop."""

import hashlib
import logging
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from agent.app import Agent
from agent.reads import StoppedError
from agent.settings import Source
from agent.waits import Waits
from contract.days import LOCAL, now
from contract.errors import PushError, StorageError

# What still waits for a collector when the agent is told to end is sent after the next start.
STOP_SECONDS = 5.0
# A clock that moved by more than this against the time that really passed was set.
CLOCK_SECONDS = 30.0
log = logging.getLogger(__name__)


class Service:
    """Runs an agent until stopped."""

    def __init__(self, agent: Agent, clock: Callable[[], datetime] = now) -> None:
        self._agent = agent
        self._clock = clock
        self._stop = threading.Event()
        self._waits = Waits()
        self._not_before = 0.0
        # the command that starts us has told of what is amiss already
        self._broken: dict[str, str] = {"warnings": self._warned()}
        # The defaults of APScheduler skip a run that is one second late; ours is late rather than never.
        self._scheduler = BackgroundScheduler(
            timezone=LOCAL, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        self._scheduler.add_listener(_note, EVENT_JOB_ERROR)

    def run(self) -> None:
        """Work until SIGTERM or SIGINT, or until `stop` is called from another thread."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: self.stop())
            signal.signal(signal.SIGINT, lambda *_: self.stop())
        # All sources together, so that one reader can go from each to the next; agents that began together drift apart.
        settings = self._agent.settings
        seconds = settings.poll_minutes * 60 * random.uniform(0.97, 1.03)  # noqa: S311  # nosec B311
        for source in settings.sources:
            self._scheduler.add_job(
                self._poll,
                "interval",
                args=[source],
                id=f"poll {source.name}",
                seconds=seconds,
                next_run_time=self._clock(),
            )
        self._scheduler.add_job(self._nightly, "interval", minutes=10, id="nightly", jitter=60)
        self._scheduler.start()
        log.info(
            "agent chạy: %d nguồn, mỗi %g phút", len(self._agent.settings.sources), self._agent.settings.poll_minutes
        )
        self._follow_the_clock()
        self._end()

    def stop(self) -> None:
        """End soon: running readers are killed, nothing half-read is recorded."""
        self._stop.set()
        self._agent.readers.stop()

    def _follow_the_clock(self) -> None:
        """Wait for `stop`. Jobs are due at moments of the clock: when it is set, they are due now."""
        ahead = self._clock().timestamp() - time.monotonic()
        while not self._stop.wait(1):
            before, ahead = ahead, self._clock().timestamp() - time.monotonic()
            if abs(ahead - before) > CLOCK_SECONDS:
                log.warning("đồng hồ của máy này vừa được chỉnh %+.0f giây", ahead - before)
                for job in self._scheduler.get_jobs():
                    with suppress(JobLookupError):  # it has just run for the last time
                        job.modify(next_run_time=self._clock())

    def _end(self) -> None:
        """Let running jobs end, for a moment: whatever they leave undone is done after the next start."""
        self._scheduler.remove_all_jobs()
        ending = threading.Thread(target=self._scheduler.shutdown, daemon=True)
        ending.start()
        ending.join(STOP_SECONDS)

    def _poll(self, source: Source) -> None:
        try:
            self._agent.poll(source)
            self._mended("ledger")
        except StorageError as error:
            self._told("ledger", f"ngừng đọc nguồn: {error}")
            return
        except StoppedError:
            return
        if time.monotonic() >= self._not_before:
            self._push(source)

    def _push(self, source: Source | None = None) -> None:
        """Push now; on failure try again later, each time a little later, at a random moment."""
        if self._stop.is_set():
            return
        try:
            self._agent.pusher.push(self._agent.kinds)
            if source and self._agent.ledger.unsettled(source.name):
                # The collector knows some days otherwise: read them now rather than in five minutes.
                self._agent.poll(source)
                self._agent.pusher.push(self._agent.kinds)
        except StoppedError:
            return
        except (PushError, StorageError) as error:
            self._told("push", str(error))
            self._push_later(error)
            return
        self._waits, self._not_before = Waits(), 0.0
        self._mended("push")

    def _push_later(self, error: Exception) -> None:
        wait = self._waits.after(error)
        self._not_before = time.monotonic() + wait
        if not self._stop.is_set():
            later = self._clock() + timedelta(seconds=wait)
            self._scheduler.add_job(self._push, "date", run_date=later, id="push again", replace_existing=True)

    def _nightly(self) -> None:
        """Once a night at the quiet hour, each agent at its own minute; later when the machine was off then."""
        settings = self._agent.settings
        spread = hashlib.sha256(",".join(settings.facilities).encode()).digest()[0] % 60
        moment = self._clock()
        due = datetime.combine(moment.date(), settings.deep_reread_at, LOCAL) + timedelta(minutes=spread)
        due -= timedelta(days=1) if due > moment else timedelta()
        try:
            if warned := self._warned():
                self._told("warnings", warned)
            self._agent.nightly(due)
            self._mended("nightly")
        except StoppedError:
            return
        except (PushError, StorageError) as error:
            self._told("nightly", f"việc ban đêm chưa xong: {error}")

    def _warned(self) -> str:
        return "; ".join(self._agent.warnings())

    def _told(self, what: str, message: str) -> None:
        """Log the first failure and a changed one, not each."""
        if self._broken.get(what) != message:
            log.warning("%s", message)
        self._broken[what] = message

    def _mended(self, what: str) -> None:
        if self._broken.pop(what, None):
            log.info("%s: hoạt động trở lại", {"push": "gửi số liệu", "ledger": "ghi sổ"}.get(what, what))


def _note(event: JobExecutionEvent) -> None:
    log.error("việc %s gặp lỗi chưa lường trước (%s)", event.job_id, type(event.exception).__name__)
