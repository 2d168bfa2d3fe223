"""Reminders: who was sent which mail, so that nobody gets the same one twice."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from collector.store.tables import reminder


class Reminder(NamedTuple):
    """A mail about a month of a facility. `stage`: days before the date, -1 after it; `address`: in small letters."""

    facility: str
    period: str
    stage: int
    address: str


def claim(connection: sa.Connection, one: Reminder, at: datetime) -> bool:
    """Take it upon oneself to send this; False when somebody has done so already."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    # one statement, so that of two who come at once only one gets it
    statement = insert(reminder).values(**one._asdict(), at=at).on_conflict_do_nothing()
    return connection.scalar(statement.returning(reminder.c.facility)) is not None


def release(connection: sa.Connection, one: Reminder) -> None:
    """It was not sent after all."""
    mine = [getattr(reminder.c, name) == value for name, value in one._asdict().items()]
    connection.execute(reminder.delete().where(*mine))


def claimed(connection: sa.Connection, periods: Sequence[str]) -> set[Reminder]:
    """All about these months that was sent, or is just being sent."""
    columns = [reminder.c[name] for name in Reminder._fields]
    return {Reminder(*row) for row in connection.execute(sa.select(*columns).where(reminder.c.period.in_(periods)))}
