"""Tries of the running minute: what must be limited across all collectors on one database."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from collector.store.tables import throttle


def add(connection: sa.Connection, names: Sequence[str], minute: datetime) -> list[int]:
    """One more try of each; returns how many there are in this minute. Those of other minutes are forgotten."""
    connection.execute(throttle.delete().where(throttle.c.minute != minute))
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    found = []
    # always the same order, so that two who come at once wait for each other and not both
    for name in names:
        statement = insert(throttle).values(name=name, minute=minute, tries=1)
        again = {"tries": throttle.c.tries + 1}
        statement = statement.on_conflict_do_update(index_elements=[throttle.c.name], set_=again)
        found.append(int(connection.scalar(statement.returning(throttle.c.tries)) or 0))
    return found


def take_away(connection: sa.Connection, names: Sequence[str], minute: datetime) -> None:
    """One try less of each, if it was in this minute."""
    mine = sa.and_(throttle.c.name.in_(names), throttle.c.minute == minute, throttle.c.tries > 0)
    connection.execute(throttle.update().where(mine).values(tries=throttle.c.tries - 1))
