"""What the collector does not keep for ever: figures of years long past, and how figures came about.

Deleted once a day, a little at a time, while pushes go on. Whole calendar years of tallies go, so that no report shows
half of one, and never a day of a plan that is in force: a road begins there. Signatures stay for ever with the whole
text that was signed; that the tallies behind them are gone is said in the audit, and by `kept_from`.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from collector.store import Connection, Store, people
from collector.store import retention as old
from contract.days import local_day, midnight
from contract.plan import Plan

WHO, ACTION = "nhipso", "forgotten"
"""How the audit names it."""
HOUR = 3
"""Not before this hour of the local day."""
_ROWS = 1_000
# The heart of a loop must not stand still for a quarter of an hour; what is left is done on the next day.
_LONGEST_SECONDS = 240.0
_BEFORE: Mapping[str, Literal["tallies", "log"]] = {
    "alert": "tallies",
    "audit": "tallies",
    "tally_log": "log",
    "upload": "log",
    "reminder": "log",
}
"""By table: with what its rows go."""
log = logging.getLogger(__name__)


class Retention(BaseModel):
    """`[retention]` of collector.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tally_years: int = Field(default=10, ge=2, le=100)
    """Whole calendar years before the running one. Alerts that have ended and the audit go with the tallies."""
    log_years: int = Field(default=2, ge=1, le=100)
    """What corrections replaced, uploads, reminders that were sent."""


def horizon(rules: Retention, plans: Sequence[Plan], today: date) -> date:
    """The first day of which everything is kept: a 1 January, or the first day of a plan that is in force."""
    whole_years = date(today.year - rules.tally_years, 1, 1)
    return min([whole_years, *(one.first_day for one in plans if not one.is_over(today))])


def forget(
    store: Store,
    rules: Retention,
    plans: Sequence[Plan],
    moment: datetime,
    rest: Callable[[float], object] = time.sleep,
) -> Counter[str]:
    """Delete what need not be kept any more; returns how many rows of which table.

    After each transaction it rests (`rest`, seconds) as long as that took, so that pushes have the database for at
    least half of the time. Done again, or by two collectors at once, it deletes nothing more. Raises AwayError.
    """
    day, since = horizon(rules, plans, local_day(moment)), moment - timedelta(days=365 * rules.log_years)
    turn = _Turn(store, rest)
    turn.forget_tallies(day)
    for table, before in _BEFORE.items():
        turn.forget_rows(table, midnight(day) if before == "tallies" else since)
    gone = +turn.gone
    if gone:
        log.info("đã xóa dữ liệu quá hạn lưu: %s", ", ".join(f"{name} {count}" for name, count in gone.items()))
    if gone["tally"]:
        with store.write() as connection:
            what = {"tallies": gone["tally"], "kept_from": str(day)}
            people.note(connection, moment, WHO, ACTION, f"số đếm trước ngày {day:%d/%m/%Y}", before=what)
    return gone


class _Turn:
    """One day's work: counts what is gone, and knows when it has lasted long enough."""

    def __init__(self, store: Store, rest: Callable[[float], object]) -> None:
        self._store = store
        self._rest = rest
        self._until = time.monotonic() + _LONGEST_SECONDS
        self.gone: Counter[str] = Counter()

    def forget_tallies(self, before: date) -> None:
        with self._store.read() as connection:
            found = old.with_tallies_before(connection, before)
        if not found:
            return
        with self._batch() as connection:
            old.keep_from(connection, before)
            old.forget_months(connection, before)
        for source, measure in found:
            if self._is_over():
                return
            with self._batch() as connection:
                self.gone["tally"] += old.forget_tallies(connection, source, measure, before)

    def forget_rows(self, table: str, before: datetime) -> None:
        after: int | None = 0
        while after is not None and not self._is_over():
            with self._batch() as connection:
                count, after = old.forget_rows(connection, table, before, after, _ROWS)
            self.gone[table] += count

    def _is_over(self) -> bool:
        return time.monotonic() > self._until

    @contextmanager
    def _batch(self) -> Iterator[Connection]:
        started = time.monotonic()
        with self._store.write() as connection:
            yield connection
        self._rest(time.monotonic() - started)
