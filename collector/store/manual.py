"""Figures that people entered for targets that no system tells. Added, never changed."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import sqlalchemy as sa

from collector.store.tables import manual_figure


@dataclass(frozen=True, slots=True)
class ManualFigure:
    """What `person`, by name, said at `entered_at`: on `day` the target `code` of a plan stood at `value`.

    `value`: percent points or a number of things, as the target says. `evidence`: in the person's own words.
    """

    plan: str
    code: str
    day: date
    value: Decimal
    evidence: str
    person: str
    entered_at: datetime


def add(connection: sa.Connection, one: ManualFigure) -> None:
    """Keep it, beside what was entered before."""
    values = {name: getattr(one, name) for name in ManualFigure.__slots__}
    connection.execute(manual_figure.insert().values({**values, "value": str(one.value)}))


def figures(connection: sa.Connection, plans: Collection[str]) -> list[ManualFigure]:
    """All that was entered for these plans, in that order."""
    query = sa.select(manual_figure).where(manual_figure.c.plan.in_(plans)).order_by(manual_figure.c.id)
    found = []
    for row in connection.execute(query).mappings():
        values = {name: row[name] for name in ManualFigure.__slots__}
        found.append(ManualFigure(**{**values, "value": Decimal(row["value"])}))
    return found
