"""Lives of alerts, and what people answered to them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from collector.store import as_text, people
from collector.store.tables import alert

State = Literal["open", "ended", "all"]
# A word that an alert is firing, heard this soon after the word of its end, was only late on its way. After that the
# alert is on again: Prometheus was away, Alertmanager took it as ended, and now it is told with its old beginning.
LATE = timedelta(minutes=5)
# Alertmanager repeats every 12 h (dashboards/routes.py) but does not tell an end that comes while an alert is
# inhibited or silenced: what it no longer speaks of is taken as over.
UNHEARD = timedelta(days=3)
# Why an alert ended: nobody spoke of it any more; it went on with another beginning or severity.
_UNHEARD, _REPLACED = "unheard", "replaced"


@dataclass(frozen=True, slots=True)
class Told:
    """An alert as told once. `ends_at` None: it is firing."""

    fingerprint: str
    starts_at: datetime
    ends_at: datetime | None
    name: str
    severity: str
    facility: str | None
    indicator: str | None
    summary: str
    description: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as stored. `heard_at`: when it was last told. `ended`: why it ended, if that is known."""

    id: int
    name: str
    severity: str
    facility: str | None
    indicator: str | None
    summary: str
    description: str
    labels: dict[str, str]
    starts_at: datetime
    heard_at: datetime
    ends_at: datetime | None
    ended: str | None
    answer: str | None
    answered_by: str | None
    answered_at: datetime | None


def keep(connection: sa.Connection, told: Told, at: datetime, why: str | None) -> None:
    """Lay what is told now over what is known; the same again changes nothing. `why`: why it ended, if it did."""
    values = {
        "fingerprint": told.fingerprint,
        "starts_at": told.starts_at,
        "name": told.name,
        "severity": told.severity,
        "facility": told.facility,
        "indicator": told.indicator,
        "summary": told.summary,
        "description": told.description,
        "labels": as_text(told.labels),
        "heard_at": at,
    }
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    key = ["fingerprint", "starts_at"]
    new = connection.scalar(
        insert(alert).values(values).on_conflict_do_nothing(index_elements=key).returning(alert.c.id)
    )
    mine = sa.and_(alert.c.fingerprint == told.fingerprint, alert.c.starts_at == told.starts_at)
    row = connection.execute(sa.select(alert).where(mine).with_for_update()).one()
    if told.ends_at is not None:
        if row.ends_at is None or row.ended == _UNHEARD:
            ended = {"ends_at": max(told.ends_at, told.starts_at), "ended": why, "heard_at": at}
            connection.execute(alert.update().where(mine).values(ended))
    elif new is None and (row.ends_at is None or at - row.heard_at > LATE):
        # what it says may have new figures
        connection.execute(alert.update().where(mine).values({**values, "ends_at": None, "ended": None}))
    _leave_the_newest_open(connection, told)


def _leave_the_newest_open(connection: sa.Connection, told: Told) -> None:
    """Of alerts with the same labels, severity aside, only one may be open: a critical one, and of those the newest.

    When a warning becomes critical, it is inhibited at once, and Alertmanager never tells its end.
    """
    query = sa.select(alert.c.id, alert.c.severity, alert.c.starts_at, alert.c.labels).where(
        alert.c.facility == told.facility, alert.c.ends_at.is_(None)
    )
    same = _about(told.labels)
    rows = [row for row in connection.execute(query) if _about(json.loads(row.labels)) == same]
    rows.sort(key=lambda row: (row.severity == "critical", row.starts_at, row.id))
    for over, stays in pairwise(rows):
        ended = {"ends_at": max(over.starts_at, stays.starts_at), "ended": _REPLACED}
        connection.execute(alert.update().where(alert.c.id == over.id).values(ended))


def _about(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name != "severity"}


def end_unheard(connection: sa.Connection, at: datetime) -> None:
    """Alerts that nobody speaks of any more are over since they were last told."""
    unheard = sa.and_(alert.c.ends_at.is_(None), alert.c.heard_at < at - UNHEARD)
    connection.execute(alert.update().where(unheard).values(ends_at=alert.c.heard_at, ended=_UNHEARD))


def alerts(connection: sa.Connection, facility: str | None, state: State, most: int) -> list[Alert]:
    """The newest first; `facility` None: all, also those of no facility."""
    query = sa.select(alert).order_by(alert.c.starts_at.desc(), alert.c.id.desc()).limit(most)
    if facility is not None:
        query = query.where(alert.c.facility == facility)
    if state != "all":
        query = query.where(alert.c.ends_at.is_(None) if state == "open" else alert.c.ends_at.is_not(None))
    return [_alert(row) for row in connection.execute(query)]


def one(connection: sa.Connection, alert_id: int) -> Alert | None:
    """The alert with this id."""
    if not 0 < alert_id < 2**31:  # PostgreSQL does not compare with what is no id
        return None
    row = connection.execute(sa.select(alert).where(alert.c.id == alert_id)).first()
    return None if row is None else _alert(row)


def answer(connection: sa.Connection, alert_id: int, text: str, person: str, at: datetime) -> Alert:
    """Keep what a person says about an alert, and its line in the audit; a later answer replaces an earlier one."""
    before = connection.scalar(sa.select(alert.c.answer).where(alert.c.id == alert_id))
    mine = alert.update().where(alert.c.id == alert_id).returning(alert)
    found = _alert(connection.execute(mine.values(answer=text, answered_by=person, answered_at=at)).one())
    people.note(
        connection, at, person, "alert_answered", f"{found.name} {alert_id}", facility=found.facility, before=before,
        after=text,
    )  # fmt: skip
    return found


def _alert(row: sa.Row[tuple[object, ...]]) -> Alert:
    values = {name: value for name, value in row._mapping.items() if name != "fingerprint"}
    return Alert(**{**values, "labels": json.loads(row.labels)})
