"""What sheets said that people uploaded: looked at, then accepted or forgotten. The files themselves are not kept."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from collector.store import as_text
from collector.store.tables import upload


class Told(NamedTuple):
    """What a sheet says of a measure from `first` to `last`, both included; the tally carries `day`."""

    measure: str
    first: date
    last: date
    day: date
    counts: Mapping[str, int]


class Remark(NamedTuple):
    """What is to be said of lines of a sheet. `column`: its letters, or ''."""

    sheet: str
    lines: str
    column: str
    wrong: str
    mend: str
    is_left_out: bool


@dataclass(frozen=True, slots=True)
class Upload:
    """A sheet that `person` uploaded. `lines`: how many hold something; `result`: what became of its tallies."""

    id: int
    facility: str
    person: str
    at: datetime
    lines: int
    told: tuple[Told, ...]
    remarks: tuple[Remark, ...]
    accepted_at: datetime | None = None
    accepted_by: str | None = None
    result: Mapping[str, int] | None = None


def add(connection: sa.Connection, one: Upload) -> int:
    """Keep it to be looked at, in place of what the same person has not accepted before; returns its id."""
    pending = sa.and_(upload.c.accepted_at.is_(None), upload.c.facility == one.facility)
    connection.execute(upload.delete().where(pending, upload.c.person == one.person))
    values = {"facility": one.facility, "person": one.person, "at": one.at, "lines": one.lines}
    told = [[t.measure, str(t.first), str(t.last), str(t.day), dict(t.counts)] for t in one.told]
    texts = {"told": as_text(told), "remarks": as_text([list(remark) for remark in one.remarks])}
    found = connection.scalar(upload.insert().values(**values, **texts).returning(upload.c.id))
    assert found is not None
    return int(found)


def get(connection: sa.Connection, upload_id: int) -> Upload | None:
    """The upload of this id."""
    if not 0 < upload_id < 2**31:  # PostgreSQL does not compare with what is no id
        return None
    row = connection.execute(sa.select(upload).where(upload.c.id == upload_id)).first()
    return _upload(row) if row else None


def accept(connection: sa.Connection, upload_id: int, by: str, at: datetime, result: Mapping[str, int]) -> None:
    """What it says has been stored."""
    values = {"accepted_at": at, "accepted_by": by, "result": as_text(dict(result))}
    connection.execute(upload.update().where(upload.c.id == upload_id).values(values))


def accepted(connection: sa.Connection, facility: str, most: int) -> list[Upload]:
    """What was accepted, the newest first."""
    return [_upload(row) for row in connection.execute(_accepted(facility).limit(most))]


def told(connection: sa.Connection, facility: str) -> Iterator[Sequence[Told]]:
    """What each accepted upload of a facility said, the newest first; read one after the other."""
    ids = connection.scalars(_accepted(facility).with_only_columns(upload.c.id)).all()
    for one in ids:
        text = connection.scalar(sa.select(upload.c.told).where(upload.c.id == one))
        yield _told(str(text))


def forget(connection: sa.Connection, before: datetime) -> int:
    """Drop what nobody has accepted; returns how many."""
    return connection.execute(upload.delete().where(upload.c.accepted_at.is_(None), upload.c.at < before)).rowcount


def _accepted(facility: str) -> sa.Select[Any]:
    of_facility = sa.select(upload).where(upload.c.facility == facility, upload.c.accepted_at.is_not(None))
    return of_facility.order_by(upload.c.accepted_at.desc(), upload.c.id.desc())


def _upload(row: Any) -> Upload:
    result = None if row.result is None else json.loads(row.result)
    remarks = tuple(Remark(*one) for one in json.loads(row.remarks))
    state = (row.accepted_at, row.accepted_by, result)
    return Upload(row.id, row.facility, row.person, row.at, row.lines, _told(row.told), remarks, *state)


def _told(text: str) -> tuple[Told, ...]:
    day = date.fromisoformat
    return tuple(Told(code, day(a), day(b), day(c), counts) for code, a, b, c, counts in json.loads(text))
