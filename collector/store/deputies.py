"""Deputies: who may sign for a facility on some days though it is not their role. Ended, never removed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa

from collector.store.people import Person
from collector.store.tables import deputy, person
from contract.days import local_day


@dataclass(frozen=True, slots=True)
class Deputy:
    """`person` may sign from `first_day` to `last_day`, both included, unless somebody ended it before."""

    id: int
    facility: str
    person: Person
    first_day: date
    last_day: date
    named_by: str
    named_at: datetime
    ended_at: datetime | None

    def may_sign(self, moment: datetime) -> bool:
        """Whether it holds (or held) at that moment."""
        ended = self.ended_at is not None and moment >= self.ended_at
        return self.named_at <= moment and self.first_day <= local_day(moment) <= self.last_day and not ended


def add(
    connection: sa.Connection, facility: str, person_id: int, days: tuple[date, date], named_by: str, at: datetime
) -> None:
    """Somebody may sign on `days` (first, last)."""
    values = {"facility": facility, "person": person_id, "first_day": days[0], "last_day": days[1]}
    connection.execute(deputy.insert().values(**values, named_by=named_by, named_at=at))


def end(connection: sa.Connection, id_: int, at: datetime) -> None:
    """From now on no longer."""
    connection.execute(deputy.update().where(deputy.c.id == id_, deputy.c.ended_at.is_(None)).values(ended_at=at))


def of(connection: sa.Connection, facilities: Sequence[str]) -> list[Deputy]:
    """All of these facilities that there ever were, the newest first; people whose account is closed too."""
    columns = (deputy, person.c.name, person.c.role, person.c.full_name, person.c.email)
    query = sa.select(*columns, person.c.facility.label("at")).join(person, deputy.c.person == person.c.id)
    query = query.where(deputy.c.facility.in_(facilities)).order_by(deputy.c.first_day.desc(), deputy.c.id.desc())
    return [
        Deputy(
            row.id,
            row.facility,
            Person(row.name, row.role, row.at, row.full_name, row.email, row.person),
            row.first_day,
            row.last_day,
            row.named_by,
            row.named_at,
            row.ended_at,
        )
        for row in connection.execute(query)
    ]
