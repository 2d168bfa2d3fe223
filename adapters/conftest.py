"""For tests of the `*.sql` kinds: a source as agent.toml would describe it, and all that one read of it says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from adapters.his.sql import adapter
from contract import catalogue
from contract.adapter import Adapter, SourceConfig
from contract.days import DayRange
from contract.errors import SourceError

DAY = date(2026, 11, 20)


class NoMemory:
    """A database kind asks for nothing that it knew before."""

    def hide(self, text: str) -> bytes:
        raise AssertionError

    def files(self) -> Mapping[bytes, str]:
        raise AssertionError


@dataclass
class Said:
    """What one read said; `counts` without the days that are `{}`, whose number is `days` in all."""

    counts: dict[tuple[str, str, str], dict[str, int]] = field(default_factory=dict)
    """(measure, facility, day) → category → count."""
    days: int = 0
    unmapped: dict[str, int] = field(default_factory=dict)
    strangers: dict[str, int] = field(default_factory=dict)
    failed: dict[str, SourceError] = field(default_factory=dict)

    @property
    def error(self) -> SourceError:
        """The only failure."""
        [error] = self.failed.values()
        return error


@cache
def shipped() -> catalogue.Catalogue:
    return catalogue.load()


def source(
    directory: Path,
    url: str,
    facilities: Sequence[str] = ("12001",),
    facility_map: Mapping[str, str] | None = None,
    measures: tuple[str, ...] | None = None,
    timeout: float = 30,
    **options: Any,
) -> SourceConfig:
    """A `[sources.his]`, with its `database_file` written into `directory`."""
    directory.joinpath("his.url").write_text(url, "utf-8")
    given = {"database_file": "his.url", **options}
    return SourceConfig("his", "his.sql", tuple(facilities), facility_map or {}, measures, timeout, given, directory)


def opened(directory: Path, url: str, **table: Any) -> Adapter:
    return adapter(source(directory, url, **table), shipped())


def asking(directory: Path, url: str, sql: str, time: str = "number14", **table: Any) -> Adapter:
    """A source with one query of its own, for payments."""
    query = {"measure": "payments", "time": time, "sql": sql, "categories": table.pop("categories", {})}
    return opened(directory, url, queries={"own": query}, **table)


def read(reader: Adapter, first: date = DAY, last: date = DAY, measures: tuple[str, ...] | None = None) -> Said:
    said = Said()
    for reading in reader.read(DayRange(first, last), measures or reader.measures, NoMemory()):
        said.days += len(reading.tallies)
        for facility, measure, day, counts in reading.tallies:
            assert (measure, facility, str(day)) not in said.counts
            if counts:
                said.counts[measure, facility, str(day)] = dict(counts)
        for one in reading.unmapped:
            said.unmapped[one.value] = said.unmapped.get(one.value, 0) + one.cases
        said.strangers.update(reading.strangers)
        said.failed.update(reading.failed)
    return said


def payments(said: Said) -> dict[str, dict[str, int]]:
    """Day → category → count of the only facility; nothing may have failed."""
    assert not said.failed, said.failed
    return {day: counts for (measure, facility, day), counts in said.counts.items()}


def run(url: str, *statements: str, rows: Iterable[tuple[str, list[dict[str, Any]]]] = ()) -> None:
    """As the owner of the database: statements, then rows by their INSERT."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
        for insert, values in rows:
            connection.execute(sa.text(insert), values)
    engine.dispose()
