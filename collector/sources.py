"""What an operator does to sources: retire, rename, move (architecture.md, "Keys, owners, revisions")."""

from datetime import date

from collector.store import Connection, Store, access, tallies
from collector.store.tallies import Source
from contract.errors import ConfigError


def retire(store: Store, facility: str, name: str, last_day: date) -> None:
    """Days up to `last_day` go on counting for ever and are expected until then; later ones are refused."""
    with store.write() as connection:
        source = _find(connection, facility, name)
        tallies.update_source(connection, source.id, {"last_day": last_day})
        tallies.touch(connection, [facility])


def rename(store: Store, facility: str, old: str, new: str) -> None:
    """Move all of a source's keys to another name. Raises ConfigError when that name has counted something itself."""
    with store.write() as connection:
        source = _find(connection, facility, old)
        for other in tallies.sources(connection, [facility]):
            if other.name == new and tallies.has_tallies(connection, other.id):
                raise ConfigError(f"cơ sở {facility}: nguồn “{new}” đã có số liệu của riêng nó")
            if other.name == new:
                # the agent has been renamed first and has knocked already
                tallies.delete_source(connection, other.id)
        tallies.update_source(connection, source.id, {"name": new})
        tallies.touch(connection, [facility])


def move(store: Store, facility: str, name: str, agent: str) -> None:
    """The source belongs to another agent from now on."""
    with store.write() as connection:
        source = _find(connection, facility, name)
        if not access.agent_exists(connection, agent):
            raise ConfigError(f"không có agent “{agent}”")
        tallies.update_source(connection, source.id, {"agent": agent})
        tallies.touch(connection, [facility])


def _find(connection: Connection, facility: str, name: str) -> Source:
    found = [one for one in tallies.sources(connection, [facility]) if one.name == name]
    if not found:
        raise ConfigError(f"cơ sở {facility} không có nguồn “{name}”")
    return found[0]
