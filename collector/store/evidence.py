"""Files behind manual figures, kept once however often they are entered."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from collector.store.tables import evidence, manual_figure


@dataclass(frozen=True, slots=True)
class Kept:
    """A file, under the name with which a figure came."""

    name: str
    kind: str
    content: bytes


def keep(connection: sa.Connection, digest: str, kind: str, content: bytes, at: datetime) -> None:
    """Keep a file, if it is not here yet."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    values = {"digest": digest, "kind": kind, "content": content, "added_at": at}
    connection.execute(insert(evidence).values(values).on_conflict_do_nothing())


def of_figure(connection: sa.Connection, figure_id: int) -> Kept | None:
    """The file of a figure; None: there is no such figure, or it came without."""
    query = sa.select(manual_figure.c.file_name, evidence.c.kind, evidence.c.content)
    joined = query.join(evidence, evidence.c.digest == manual_figure.c.file)
    row = connection.execute(joined.where(manual_figure.c.id == figure_id)).first()
    return Kept(*row) if row else None
