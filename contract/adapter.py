"""The Adapter protocol: how one kind of source system is read.

A kind is `folder.module` under `adapters/` (`his.sql` is `adapters/his/sql.py`). The module has one function,
`adapter(config, catalogue) -> Adapter`, which raises ConfigError with every problem of the source's table in
agent.toml and touches neither network nor disk beyond the files that the table names.
Adapters run in the agent's reader, a child process: they may block, leak or crash without harm to the agent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from contract.catalogue import Cadence
from contract.days import DayRange
from contract.errors import SourceError


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """One `[sources.NAME]` of agent.toml, the common keys taken out."""

    name: str
    kind: str
    facilities: tuple[str, ...]
    """The ids the source may count for, without a table of its own: the agent's."""
    facility_map: Mapping[str, str]
    """`[sources.NAME.facilities]`: the source's own value → facility id; empty when there is no such table."""
    measures: tuple[str, ...] | None
    """The measures asked for; None means all that the kind offers."""
    timeout_seconds: float
    options: Mapping[str, Any] = field(repr=False)  # a proxy among them may hold a password
    """The rest of the table, for the kind to check."""
    directory: Path
    """Where agent.toml lies: relative paths start here."""
    cadence: Cadence | None = None
    """How often the source has figures; None: as often as the catalogue says of the measure."""

    @property
    def serves(self) -> tuple[str, ...]:
        """The facilities this source counts for."""
        return tuple(dict.fromkeys(self.facility_map.values())) or self.facilities

    @property
    def driver(self) -> object:
        """What a driver is told once for a whole process; sources that differ in it are read by different ones.

        python-oracledb cannot go from its own protocol to Oracle's client.
        """
        return self.options.get("oracle_client")

    @property
    def place(self) -> str:
        """How an error names this table."""
        return f"[sources.{self.name}]"


class DayCount(NamedTuple):
    """The counts of one facility, measure and day, as read; zeros left out."""

    facility: str
    measure: str
    day: date
    counts: Mapping[str, int]


class Unmapped(NamedTuple):
    """Cases counted as `unknown` because no mapping knows the raw `value`. Stays in the hospital unless frequent."""

    facility: str
    measure: str
    day: date
    value: str
    cases: int


class Entry(NamedTuple):
    """What one file says of one case of a measure, for kinds that read folders.

    All entries of a (measure, case) together decide: its day and facility are those of the highest `rank` that
    has a day; its category is that of the highest `rank` of all, and None there means that the case is not counted.
    `case` is an HMAC under the install's own key: nothing in an entry leads back to a person.
    """

    measure: str
    case: bytes
    rank: str
    """Compared as text; pad numbers."""
    category: str | None
    facility: str | None = None
    day: date | None = None
    cases: int = 1
    """More than one where the file itself holds counts (a sheet): then the case is a line of the sheet."""


class FileSeen(NamedTuple):
    """A file of a folder, its hidden path and identity, and all that it says now (replaces what it said before)."""

    path: bytes
    identity: str
    entries: tuple[Entry, ...] | None
    """None: it could not be read as a whole, and what it said before stands."""
    problem: str | None = None
    """Our own sentence when it could not be read (whole); it is not opened again until its identity changes."""


@dataclass(slots=True)
class Reading:
    """What one step of a read gives; it is recorded whole, in one transaction, or not at all.

    Days asked for without a row: an adapter of a database sends `{}`, one of a sheet or folder sends nothing.
    """

    tallies: list[DayCount] = field(default_factory=list)
    unmapped: list[Unmapped] = field(default_factory=list)
    strangers: dict[str, int] = field(default_factory=dict)
    """Cases by the source's own facility value, where no facility of this agent is meant: not counted."""
    failed: dict[str, SourceError] = field(default_factory=dict)
    """Measures that could not be read in this step, while the others could."""
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each query (or the folder) took."""
    files: list[FileSeen] = field(default_factory=list)
    """Folder kinds only: the agent's index takes these and makes the tallies from all it knows."""
    gone: list[bytes] = field(default_factory=list)
    """Folder kinds only: paths the index knows which are no longer there."""


class Memory(Protocol):
    """What a folder kind knows from before. Never holds a raw identifier or path."""

    def hide(self, text: str) -> bytes:
        """The HMAC of `text` under this install's own random key: 16 bytes."""
        ...

    def files(self) -> Mapping[bytes, str]:
        """Hidden path → identity of every file of this source that the index knows."""
        ...


class Adapter(Protocol):
    """Reads one source system, read-only. It may be asked for the same days any number of times."""

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures it counts."""
        ...

    @property
    def identity(self) -> str:
        """Which system this is (kind, vendor, database, without any credential): a change means another system."""
        ...

    @property
    def silence_is_zero(self) -> bool:
        """True for a database: a read is cut by days, and every day asked for gets a count, `{}` if nothing happened.

        False for a folder or a sheet: a read takes what there is, and a day without a row gets no count.
        """
        ...

    def explain(self, measure: str) -> str:
        """The exact query, mapping and definition behind the figures of `measure`, for a person (Vietnamese)."""
        ...

    def probe(self) -> None:
        """Ask whether a read would work, leaving no trace. Raises SourceError."""
        ...

    def read(self, days: DayRange, measures: tuple[str, ...], memory: Memory) -> Iterator[Reading]:
        """Read `measures` for `days`, in one or more steps; nothing outside them but what changed files say.

        Raises SourceError when nothing (more) can be read. A step that was given stands.
        """
        ...
