"""What an operator does to sources: retire, rename, move (architecture.md, "Keys, owners, revisions")."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime

from collector.feeds import line
from collector.store import Connection, Store, access, people, registry, tallies
from collector.store.people import OPERATOR
from collector.store.tallies import Source
from contract.errors import ConfigError
from contract.tally import SOURCE_NAME


def retire(store: Store, facility: str, name: str, last_day: date, at: datetime, by: str = OPERATOR) -> None:
    """Days up to `last_day` go on counting for ever and are expected until then; later ones are refused."""
    with _changing(store, facility, name) as (connection, source):
        tallies.update_source(connection, source.id, {"last_day": last_day})
        before = source.last_day and str(source.last_day)
        _note(connection, at, by, "source_retired", source, {"last_day": before}, {"last_day": str(last_day)})


def rename(store: Store, facility: str, old: str, new: str, at: datetime, by: str = OPERATOR) -> None:
    """Move all of a source's keys to another name. Raises ConfigError when that name has counted something itself."""
    if not re.fullmatch(SOURCE_NAME, new):
        raise ConfigError(f"“{new}”: tên nguồn chỉ gồm chữ không dấu, số, dấu chấm, gạch")
    with _changing(store, facility, old) as (connection, source):
        for other in tallies.sources(connection, [facility]):
            if other.name == new and (other.id == source.id or tallies.has_tallies(connection, other.id)):
                raise ConfigError(f"cơ sở {facility}: nguồn “{new}” đã có số liệu của riêng nó")
            if other.name == new:
                # the agent has been renamed first and has knocked already
                tallies.delete_source(connection, other.id)
        tallies.update_source(connection, source.id, {"name": new})
        _note(connection, at, by, "source_renamed", source, {"name": old}, {"name": new})


def move(store: Store, facility: str, name: str, agent: str, at: datetime, by: str = OPERATOR) -> None:
    """The source belongs to another agent from now on."""
    with _changing(store, facility, name) as (connection, source):
        if not access.agent_exists(connection, agent):
            raise ConfigError(f"không có agent “{agent}”")
        if facility not in access.facilities_of(connection, agent):
            raise ConfigError(f"agent “{agent}” không được gửi cho cơ sở {facility}: ghi danh lại với cơ sở này")
        tallies.update_source(connection, source.id, {"agent": agent})
        _note(connection, at, by, "source_moved", source, {"agent": source.agent}, {"agent": agent})


@contextmanager
def _changing(store: Store, facility: str, name: str) -> Iterator[tuple[Connection, Source]]:
    """The source to change, while no push can change it too. Raises ConfigError when there is none."""
    with store.write() as connection:
        # what was merged counts elsewhere now: the figures there change too
        touched = line(registry.mergers(connection), facility)
        registry.lock(connection, touched)
        found = [one for one in tallies.sources(connection, [facility]) if one.name == name]
        if not found:
            raise ConfigError(f"cơ sở {facility} không có nguồn “{name}”")
        registry.touch(connection, touched)
        yield connection, found[0]


def _note(
    connection: Connection, at: datetime, by: str, action: str, source: Source, before: object, after: object
) -> None:
    people.note(connection, at, by, action, source.name, facility=source.facility, before=before, after=after)
