"""What a collector does in the background: loops, each with a name, a period, and a heartbeat that people can watch.

A thread a loop rather than a scheduler: it waits by the monotonic clock, so that setting the machine's clock neither
stops nor hurries it, and a turn that takes longer than its period delays the next instead of being skipped.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, timedelta

from collector.parts import Meters
from collector.store import Store, leases
from contract.days import LOCAL, local_day
from contract.errors import AwayError

Turn = Callable[[datetime], object]
_DAILY_PERIOD = timedelta(minutes=5)
# A holder may miss a turn or two before another takes over; LoopDead waits as long.
_LEASE_PERIODS = 3
# Times as long as it had the processor: in a backlog everything changes again and again, and pushes must have their
# turn too. Not as long as it took: who waits for others makes nobody wait.
_REST, _LONGEST_REST_SECONDS = 3, 5.0
_STOP_SECONDS = 5.0
log = logging.getLogger(__name__)


class Loops:
    """The loops of one collector, in threads of their own between `start` and `stop`."""

    def __init__(self, store: Store, meters: Meters, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._meters = meters
        self._clock = clock
        self._holder = secrets.token_hex(8)
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def add(self, name: str, period: timedelta, turn: Turn) -> None:
        """In every collector: a turn at once, then one each `period`. A turn that raises never ends the loop."""
        self._meters.period.labels(name).set(period.total_seconds())
        self._threads.append(threading.Thread(target=self._run, args=(name, period, turn), name=name, daemon=True))

    def add_daily(self, name: str, work: Turn, period: timedelta = _DAILY_PERIOD, hour: int = 0) -> None:
        """In one collector of those that share the database: once after start, and once after each local midnight.

        `hour`: never before this hour of the local day. Whether there is something to do is looked at each `period`;
        work that failed is done again then. `work` must be fit to be done twice on one day: by a collector that takes
        over, or after a restart.
        """
        done: date | None = None

        def turn(moment: datetime) -> None:
            nonlocal done
            with self._store.write() as connection:
                is_mine = leases.take(connection, name, self._holder, moment, _LEASE_PERIODS * period)
            if is_mine and done != local_day(moment) and moment.astimezone(LOCAL).hour >= hour:
                work(moment)
                done = local_day(moment)

        self.add(name, period, turn)

    def start(self) -> None:
        """Let them turn."""
        for thread in self._threads:
            # a first turn that hangs must show too
            self._beat(thread.name)
            thread.start()

    def stop(self) -> None:
        """End them soon, and leave the daily work to the next collector; a long turn is not waited for."""
        self._stopped.set()
        deadline = time.monotonic() + _STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0, deadline - time.monotonic()))
        if not any(thread.is_alive() for thread in self._threads):
            with suppress(AwayError), self._store.write() as connection:
                leases.release(connection, self._holder)

    def _run(self, name: str, period: timedelta, turn: Turn) -> None:
        broken = False
        while not self._stopped.is_set():
            began = time.thread_time()
            try:
                turn(self._clock())
                self._beat(name)
                if broken:
                    log.warning("việc nền %s làm lại được", name)
                broken = False
            except AwayError:
                pass  # the store has said so; the heart stands still until it is back
            except Exception:
                if not broken:
                    log.exception("việc nền %s gặp lỗi, sẽ làm lại", name)
                broken = True
            rest = min(_REST * (time.thread_time() - began), _LONGEST_REST_SECONDS)
            self._stopped.wait(max(period.total_seconds(), rest))

    def _beat(self, name: str) -> None:
        self._meters.heartbeat.labels(name).set(self._clock().timestamp())
