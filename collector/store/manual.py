"""Figures that people entered for targets that no system tells. Added, never changed."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

import sqlalchemy as sa

from collector.store import people
from collector.store.tables import manual_figure


@dataclass(frozen=True, slots=True)
class ManualFigure:
    """What `person`, by name, said at `entered_at`: on `day` the target `code` of a plan stood at `value`.

    `value`: percent points or a number of things, as the target says. `evidence`: in the person's own words; `file`:
    the digest of a file that shows it. `id` 0: not kept yet.
    """

    plan: str
    code: str
    day: date
    value: Decimal
    evidence: str
    person: str
    entered_at: datetime
    file: str | None = None
    file_name: str | None = None
    id: int = field(default=0, compare=False)


def add(connection: sa.Connection, one: ManualFigure) -> None:
    """Keep it, beside what was entered before, and its line in the audit."""
    values = {name: getattr(one, name) for name in ManualFigure.__slots__ if name != "id"}
    same = sa.and_(manual_figure.c.plan == one.plan, manual_figure.c.code == one.code, manual_figure.c.day == one.day)
    query = sa.select(manual_figure.c.value).where(same).order_by(manual_figure.c.id.desc()).limit(1)
    before = connection.scalar(query)
    connection.execute(manual_figure.insert().values({**values, "value": str(one.value)}))
    after = {"day": str(one.day), "value": str(one.value), "evidence": one.evidence}
    if one.file is not None:
        after |= {"file": str(one.file_name), "digest": one.file}
    people.note(
        connection, one.entered_at, one.person, "manual_figure_entered", f"{one.plan} {one.code}",
        before=before and {"day": str(one.day), "value": before}, after=after,
    )  # fmt: skip


def figures(connection: sa.Connection, plans: Collection[str]) -> list[ManualFigure]:
    """All that was entered for these plans, in that order."""
    query = sa.select(manual_figure).where(manual_figure.c.plan.in_(plans)).order_by(manual_figure.c.id)
    found = []
    for row in connection.execute(query).mappings():
        values = {name: row[name] for name in ManualFigure.__slots__}
        found.append(ManualFigure(**{**values, "value": Decimal(row["value"])}))
    return found
