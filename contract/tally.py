"""What travels from an agent to the collector and back: tallies, batches, acks, reports on sources.

A tally is a state, not an event: how many of something happened at one facility on one day, by category.
A newer revision replaces the older one whole, so sending twice is harmless and order does not matter.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from contract.catalogue import Cadence

MAX_COUNT = 10**15
# What every database and every JSON reader takes.
MAX_REVISION = 2**53
FIRST_DAY = date(2020, 1, 1)
SOURCE_NAME = r"^[A-Za-z0-9_.-]{1,64}$"
MAX_TALLIES = 5_000
MAX_BYTES = 1024 * 1024

Counts = Mapping[str, int]
Role = Literal["count", "check"]
RefusalCode = Literal[
    "unknown_measure",
    "unknown_category",
    "bad_count",
    "bad_day",
    "bad_revision",
    "not_yours",
    "not_owner",
    "source_taken",
    "facility_closed",
    "malformed",
]


class Key(NamedTuple):
    """What a tally is about."""

    facility: str
    source: str
    measure: str
    day: date


class Tally(NamedTuple):
    """How many, by category; zeros are left out, so `{}` is a day on which nothing happened."""

    key: Key
    revision: int
    counts: Counts


def _storable(moment: datetime) -> datetime:
    if not datetime(1970, 1, 1, tzinfo=UTC) < moment < datetime(9000, 1, 1, tzinfo=UTC):
        raise ValueError("out of range")
    return moment


# What every database takes: no NUL, no moment that another time zone would push out of the calendar.
_Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
_Name = Annotated[str, StringConstraints(max_length=64)]
_Moment = Annotated[AwareDatetime, AfterValidator(_storable)]
_Cases = Annotated[int, Field(ge=0, le=MAX_COUNT)]


class _Wire(BaseModel):
    # Unknown keys are ignored, so that a newer agent may talk to an older collector and the reverse.
    model_config = ConfigDict(frozen=True, populate_by_name=True)


class AgentReport(_Wire):
    """Who sends, and how its ledger fares. `waiting` and `parked` are numbers of tallies."""

    id: str = Field(max_length=64)
    version: _Text = Field(max_length=64)
    sent_at: AwareDatetime
    waiting: int = Field(default=0, ge=0, le=2**53)
    parked: int = Field(default=0, ge=0, le=2**53)


class SourceReport(_Wire):
    """One configured source as its agent saw it at its last read.

    `cadence`: how often the source has figures, when not as the catalogue says of its measures.
    `failed` names the measures whose last read failed while others succeeded; `read_at` is the last read that
    succeeded; `newest_day` the newest day that has a case, by facility; `unmapped` facility → measure → raw value →
    cases in the window, only values frequent enough to be no person's; `unmapped_cases` facility → measure → all cases.
    """

    name: str = Field(pattern=SOURCE_NAME)
    kind: _Text = Field(max_length=64)
    role: Role = "count"
    part: _Text | None = Field(default=None, max_length=64)
    cadence: Cadence | None = None
    from_: date | None = Field(default=None, alias="from")
    facilities: list[str] = Field(max_length=20_000)
    measures: list[_Name] = Field(max_length=500)
    ok: bool
    read_at: _Moment | None = None
    newest_day: dict[str, date] = {}
    since: _Moment | None = None
    error: _Text | None = Field(default=None, max_length=2_000)
    failed: list[_Name] = Field(default=[], max_length=500)
    unmapped: dict[str, dict[str, dict[str, _Cases]]] = {}
    unmapped_cases: dict[str, dict[str, _Cases]] = {}


class Push(_Wire):
    """The body of `POST /api/v1/tallies`. What is wrong inside `tallies[i]` is a refusal of that one only."""

    agent: AgentReport
    sources: list[SourceReport] = Field(default=[], max_length=1_000)
    tallies: list[Any]


class Stale(_Wire):
    """The tally at `index` came with different counts and no newer revision than the stored one."""

    index: int
    revision: int = Field(ge=0, le=MAX_REVISION)


class Refusal(_Wire):
    """The tally at `index` was not taken, and would not be if it were sent again unchanged."""

    index: int
    # a RefusalCode, or one of a newer collector: for an agent the tally is refused all the same
    code: str
    reason: str


class Ack(_Wire):
    """The answer to a push, given only when every accepted row is on the collector's disk."""

    accepted: int
    stale: list[Stale] = []
    refused: list[Refusal] = []
    server_time: datetime
    store_id: str
    catalogue: str


class MonthDigest(_Wire):
    """The digest of one source's tallies of a measure in a month (`2026-11`)."""

    facility: str
    source: str
    measure: str
    month: str
    digest: str


def digest(days: Iterable[tuple[date, Counts]]) -> str:
    """SHA-256 (hex) over the sorted lines `day category count`, zeros left out, `day {}` for an empty day."""
    lines = []
    for day, counts in days:
        filled = [f"{day} {category} {count}" for category, count in counts.items() if count]
        lines += filled or [f"{day} {{}}"]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
