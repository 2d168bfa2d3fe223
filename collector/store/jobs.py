"""Reports that people have asked for: waiting, being made by one of the collectors, done or failed.

Who makes one says so again and again; who has not for a while has died, and another collector takes the job up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from collector.store.tables import report

Format = Literal["docx", "xlsx", "pdf", "csv"]
State = Literal["waiting", "running", "done", "failed"]
ATTEMPTS = 2
"""How often a job is taken up before it has failed."""
STOPPED = "máy chủ đã dừng giữa chừng hai lần khi lập báo cáo này: hãy yêu cầu lại, hoặc chọn kỳ ngắn hơn"
_SHOWN = [one for one in report.c if one.name not in ("content", "attempts", "holder")]


@dataclass(frozen=True, slots=True)
class Job:
    """A report that `person`, by name, has asked for. `facility` None: on the province; `period`: as in commands."""

    id: int
    facility: str | None
    period: str
    format: Format
    person: str
    asked_at: datetime
    state: State
    until: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    problem: str | None
    file_name: str | None

    def shown_state(self, moment: datetime) -> State:
        """Its state; what a collector that died was making waits again."""
        gone = self.state == "running" and self.until is not None and self.until <= moment
        return "waiting" if gone else self.state


def add(
    connection: sa.Connection, facility: str | None, period: str, format: str, person: str, moment: datetime
) -> int:
    """Ask for a report; returns the id. One that this person waits for already is not asked for twice."""
    asked = {"facility": facility, "period": period, "format": format, "person": person}
    same = sa.and_(*(report.c[name].is_not_distinct_from(value) for name, value in asked.items()))
    query = sa.select(report.c.id).where(same, report.c.state.in_(("waiting", "running")))
    known = connection.scalar(query.limit(1))
    values = {**asked, "asked_at": moment, "state": "waiting"}
    found = known or connection.scalar(report.insert().values(values).returning(report.c.id))
    assert found is not None
    return int(found)


def unfinished(connection: sa.Connection, person: str) -> int:
    """How many a person waits for."""
    waits = sa.and_(report.c.person == person, report.c.state.in_(("waiting", "running")))
    return connection.scalar(sa.select(sa.func.count()).select_from(report).where(waits)) or 0


def is_any_free(connection: sa.Connection, moment: datetime) -> bool:
    """Whether there is a job that nobody makes."""
    return connection.scalar(sa.select(report.c.id).where(_free(moment)).limit(1)) is not None


def _gone(moment: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(report.c.state == "running", report.c.until <= moment)


def _free(moment: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(report.c.state == "waiting", _gone(moment))


def take(connection: sa.Connection, holder: str, moment: datetime, length: timedelta) -> Job | None:
    """The oldest job that nobody makes; the holder makes it from now on. Those taken up too often have failed."""
    spent = sa.and_(_gone(moment), report.c.attempts >= ATTEMPTS)
    connection.execute(report.update().where(spent).values(state="failed", ended_at=moment, problem=STOPPED))
    oldest = sa.select(report.c.id).where(_free(moment)).order_by(report.c.id).limit(1)
    values = {"state": "running", "holder": holder, "until": moment + length, "started_at": moment}
    # one statement, so that of two who come at once only one gets it: the other finds it no longer free
    mine = report.update().where(report.c.id == oldest.scalar_subquery(), _free(moment))
    row = connection.execute(mine.values(**values, attempts=report.c.attempts + 1).returning(*_SHOWN)).first()
    return Job(*row) if row else None


def renew(connection: sa.Connection, job: int, holder: str, until: datetime) -> bool:
    """The holder still makes it; False: somebody else does by now, or it is gone."""
    return connection.execute(_mine(job, holder).values(until=until)).rowcount > 0


def finish(connection: sa.Connection, job: int, holder: str, moment: datetime, name: str, content: bytes) -> bool:
    """It is made; False: not by the holder any more."""
    values = {"state": "done", "ended_at": moment, "file_name": name, "content": content}
    return connection.execute(_mine(job, holder).values(values)).rowcount > 0


def fail(connection: sa.Connection, job: int, holder: str, moment: datetime, problem: str) -> None:
    """It cannot be made."""
    connection.execute(_mine(job, holder).values(state="failed", ended_at=moment, problem=problem))


def give_back(connection: sa.Connection, holder: str) -> None:
    """The holder ends in good order: another may make its jobs, and nothing is held against them."""
    held = sa.and_(report.c.state == "running", report.c.holder == holder)
    connection.execute(report.update().where(held).values(state="waiting", attempts=report.c.attempts - 1))


def get(connection: sa.Connection, job: int) -> Job | None:
    """The job of this id."""
    row = connection.execute(sa.select(*_SHOWN).where(report.c.id == job)).first()
    return Job(*row) if row else None


def content(connection: sa.Connection, job: int) -> bytes | None:
    """The file of a job that is done."""
    found: bytes | None = connection.scalar(sa.select(report.c.content).where(report.c.id == job))
    return found


def recent(connection: sa.Connection, facility: str | None, most: int) -> Sequence[Job]:
    """The newest first; of one facility, or all."""
    query = sa.select(*_SHOWN).order_by(report.c.id.desc()).limit(most)
    if facility is not None:
        query = query.where(report.c.facility == facility)
    return [Job(*row) for row in connection.execute(query)]


def forget(connection: sa.Connection, before: datetime) -> int:
    """Drop what ended before; returns how many."""
    return connection.execute(report.delete().where(report.c.ended_at < before)).rowcount


def _mine(job: int, holder: str) -> Any:
    return report.update().where(report.c.id == job, report.c.state == "running", report.c.holder == holder)
