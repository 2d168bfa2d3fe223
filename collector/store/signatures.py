"""Signatures: what people decided on the figures of a month. Added, never changed."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from collector.store import as_text, people
from collector.store.tables import signature


@dataclass(frozen=True, slots=True)
class Signature:
    """One decision (`confirmed`, `disputed`) of one person, by name, on a version of a facility's figures for a month.

    `period`: yyyy-mm. `figures`: the text of the version that was signed, `digest` its digest. `reasons`: indicator →
    why it is disputed, in the person's own words.
    """

    facility: str
    period: str
    decision: str
    digest: str
    figures: str
    reasons: Mapping[str, str]
    person: str
    at: datetime


def add(connection: sa.Connection, one: Signature) -> None:
    """Keep a decision, and its line in the audit."""
    values = {name: getattr(one, name) for name in Signature.__slots__}
    connection.execute(signature.insert().values(**{**values, "reasons": as_text(dict(one.reasons))}))
    said = {"digest": one.digest, "reasons": dict(one.reasons)}
    people.note(connection, one.at, one.person, f"month_{one.decision}", one.period, facility=one.facility, after=said)


def of(connection: sa.Connection, facilities: Sequence[str], periods: Sequence[str]) -> dict[str, list[Signature]]:
    """What was decided of these months, by facility, the oldest first."""
    which = signature.c.facility.in_(facilities), signature.c.period.in_(periods)
    found: dict[str, list[Signature]] = defaultdict(list)
    for row in connection.execute(sa.select(signature).where(*which).order_by(signature.c.id)).mappings():
        values = {name: row[name] for name in Signature.__slots__}
        found[row["facility"]].append(Signature(**{**values, "reasons": json.loads(row["reasons"])}))
    return found
