"""Files behind manual figures, kept once however often they are entered."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from collector.store.tables import evidence, manual_figure


@dataclass(frozen=True, slots=True)
class Kept:
    """A file, under the name with which a figure came."""

    name: str
    kind: str
    content: bytes


def keep(connection: sa.Connection, digest: str, kind: str, content: bytes, at: datetime) -> None:
    """Keep a file, if it is not here yet."""
    if connection.scalar(sa.select(evidence.c.digest).where(evidence.c.digest == digest)) is None:
        connection.execute(evidence.insert().values(digest=digest, kind=kind, content=content, added_at=at))


def of_figure(connection: sa.Connection, figure_id: int) -> Kept | None:
    """The file of a figure; None: there is no such figure, or it came without."""
    query = sa.select(manual_figure.c.file_name, evidence.c.kind, evidence.c.content)
    joined = query.join(evidence, evidence.c.digest == manual_figure.c.file)
    row = connection.execute(joined.where(manual_figure.c.id == figure_id)).first()
    return Kept(*row) if row else None
