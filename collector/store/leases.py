"""Leases: which of several collectors on one database does a job in the background.

The moment is passed in, the same on every database. Assumed: the clocks of the collectors differ by less than a lease
lasts. Where they differ by more, the one that is ahead takes over too early and two work at once for a while; so what
is done under a lease must be fit to be done twice.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from collector.store.tables import lease


def take(connection: sa.Connection, name: str, holder: str, moment: datetime, length: timedelta) -> bool:
    """Take the lease, or renew it, until `moment` + `length`; False while another holds it.

    Whoever does not renew loses it after its time. One that ends later than any lease can was written by a clock that
    was wrong: it does not hold.
    """
    free = sa.or_(lease.c.holder == holder, lease.c.until <= moment, lease.c.until > moment + 2 * length)
    values = {"holder": holder, "until": moment + length}
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    # one statement, so that of two who come at once only one gets it
    statement = insert(lease).values(name=name, **values)
    statement = statement.on_conflict_do_update(index_elements=[lease.c.name], set_=values, where=free)
    return connection.scalar(statement.returning(lease.c.name)) is not None


def release(connection: sa.Connection, holder: str) -> None:
    """Give back all that `holder` holds, so that the next need not wait."""
    connection.execute(lease.delete().where(lease.c.holder == holder))
