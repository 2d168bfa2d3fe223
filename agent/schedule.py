"""The service: one job a source, a push when a poll ends, the nightly work, until it is told to stop."""

import hashlib
import logging
import random
import signal
import threading
from datetime import datetime, timedelta

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.schedulers.background import BackgroundScheduler

from agent import reads
from agent.app import Agent
from agent.settings import Source
from contract.days import LOCAL, now
from contract.errors import CollectorUnavailableError, PushError, StorageError

FIRST_WAIT, LONGEST_WAIT = 5.0, 300.0
log = logging.getLogger(__name__)


class Service:
    """Runs an agent until stopped."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._stop = threading.Event()
        self._failures = 0
        self._broken: dict[str, str] = {}
        # The defaults of APScheduler skip a run that is one second late; ours is late rather than never.
        self._scheduler = BackgroundScheduler(
            timezone=LOCAL, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 3600}
        )
        self._scheduler.add_listener(_note, EVENT_JOB_ERROR | EVENT_JOB_MISSED)

    def run(self) -> None:
        """Work until SIGTERM or SIGINT, or until `stop` is called from another thread."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: self.stop())
            signal.signal(signal.SIGINT, lambda *_: self.stop())
        seconds = self._agent.settings.poll_minutes * 60
        for position, source in enumerate(self._agent.settings.sources):
            self._scheduler.add_job(
                self._poll,
                "interval",
                args=[source],
                id=f"poll {source.name}",
                seconds=seconds,
                jitter=seconds / 10,
                next_run_time=now() + timedelta(seconds=min(position, seconds / 10)),
            )
        self._scheduler.add_job(self._nightly, "interval", minutes=10, id="nightly", jitter=60)
        self._scheduler.start()
        log.info("agent chạy: %d nguồn, mỗi %g phút", len(self._agent.settings.sources), seconds / 60)
        while not self._stop.wait(1):
            pass
        self._scheduler.shutdown(wait=True)

    def stop(self) -> None:
        """End soon: running readers are killed, nothing half-read is recorded."""
        self._stop.set()
        reads.stop_all()

    def _poll(self, source: Source) -> None:
        try:
            self._agent.poll(source)
            self._mended("ledger")
        except StorageError as error:
            self._told("ledger", f"ngừng đọc nguồn: {error}")
            return
        except reads.StoppedError:
            return
        if not self._stop.is_set():
            self._push(source)

    def _push(self, source: Source | None = None) -> None:
        """Push now; on failure try again later, each time a little later, at a random moment."""
        try:
            self._agent.pusher.push(self._agent.kinds)
        except (PushError, StorageError) as error:
            self._told("push", str(error))
            self._failures += 1
            wished = error.retry_after if isinstance(error, CollectorUnavailableError) else None
            wait = min(FIRST_WAIT * 2 ** min(self._failures, 8), LONGEST_WAIT) * random.uniform(0.5, 1)  # noqa: S311
            later = now() + timedelta(seconds=max(wait, wished or 0))
            self._scheduler.add_job(self._push, "date", run_date=later, id="push again", replace_existing=True)
            return
        self._failures = 0
        self._mended("push")
        if source and self._agent.ledger.unsettled(source.name):
            # The collector knows some days otherwise: read them now rather than in five minutes.
            self._agent.poll(source)
            self._agent.pusher.push(self._agent.kinds)

    def _nightly(self) -> None:
        """Once a night at the quiet hour, each agent at its own minute; later when the machine was off then."""
        settings = self._agent.settings
        text = self._agent.disk.state("nightly_at")
        spread = hashlib.sha256(",".join(settings.facilities).encode()).digest()[0] % 60
        moment = now()
        due = datetime.combine(moment.date(), settings.deep_reread_at, LOCAL) + timedelta(minutes=spread)
        due -= timedelta(days=1) if due > moment else timedelta()
        if text is None:
            self._agent.disk.set_state("nightly_at", moment.isoformat())  # the first read was deep already
        elif datetime.fromisoformat(text) < due:
            try:
                self._agent.nightly()
                self._mended("nightly")
            except reads.StoppedError:
                return
            except (PushError, StorageError) as error:
                self._told("nightly", f"việc ban đêm chưa xong: {error}")

    def _told(self, what: str, message: str) -> None:
        """Log the first failure and a changed one, not each."""
        if self._broken.get(what) != message:
            log.warning("%s", message)
        self._broken[what] = message

    def _mended(self, what: str) -> None:
        if self._broken.pop(what, None):
            log.info("%s: hoạt động trở lại", {"push": "gửi số liệu", "ledger": "ghi sổ"}.get(what, what))


def _note(event: JobExecutionEvent) -> None:
    if event.code == EVENT_JOB_MISSED:
        log.warning("lỡ giờ chạy %s", event.job_id)
    else:
        log.error("việc %s gặp lỗi chưa lường trước (%s)", event.job_id, type(event.exception).__name__)
