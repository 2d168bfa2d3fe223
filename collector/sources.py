"""What an operator does to sources: retire, rename, move (architecture.md, "Keys, owners, revisions")."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from collector.store import Connection, Store, access, registry, tallies
from collector.store.tallies import Source
from contract.errors import ConfigError
from contract.tally import SOURCE_NAME


def retire(store: Store, facility: str, name: str, last_day: date) -> None:
    """Days up to `last_day` go on counting for ever and are expected until then; later ones are refused."""
    with _changing(store, facility, name) as (connection, source):
        tallies.update_source(connection, source.id, {"last_day": last_day})


def rename(store: Store, facility: str, old: str, new: str) -> None:
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


def move(store: Store, facility: str, name: str, agent: str) -> None:
    """The source belongs to another agent from now on."""
    with _changing(store, facility, name) as (connection, source):
        if not access.agent_exists(connection, agent):
            raise ConfigError(f"không có agent “{agent}”")
        if facility not in access.facilities_of(connection, agent):
            raise ConfigError(f"agent “{agent}” không được gửi cho cơ sở {facility}: ghi danh lại với cơ sở này")
        tallies.update_source(connection, source.id, {"agent": agent})


@contextmanager
def _changing(store: Store, facility: str, name: str) -> Iterator[tuple[Connection, Source]]:
    """The source to change, while no push can change it too. Raises ConfigError when there is none."""
    with store.write() as connection:
        registry.lock(connection, [facility])
        found = [one for one in tallies.sources(connection, [facility]) if one.name == name]
        if not found:
            raise ConfigError(f"cơ sở {facility} không có nguồn “{name}”")
        registry.touch(connection, [facility])
        yield connection, found[0]
