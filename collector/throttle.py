"""How often one network address, and all together, may fail in a minute: at all collectors of one database."""

import ipaddress
from datetime import datetime

from collector.store import Store, throttles
from contract.errors import BusyError

# What one subscriber has of IPv6: to count single addresses would be to count none.
_NETWORK_OF_IPV6 = 64


class Throttle:
    """Counts tries at one thing by calendar minute; nothing is kept longer than that minute.

    A try is counted before it is looked at, so that those who come at once are all counted, and given back when it
    went well.
    """

    def __init__(self, store: Store, what: str, of_address: int, of_all: int) -> None:
        self._store = store
        self._what = what
        self._of_address = of_address
        self._of_all = of_all

    def take(self, address: str, at: datetime) -> None:
        """One more try. Raises BusyError, with the seconds to the next minute, when there were enough already."""
        with self._store.write() as connection:
            of_address, of_all = throttles.add(connection, self._names(address), _minute(at))
        if of_address > self._of_address or of_all > self._of_all:
            error = BusyError("quá nhiều lần nhập sai: hãy đợi một phút rồi thử lại")
            error.retry_after = 60 - at.second
            raise error

    def give_back(self, address: str, at: datetime) -> None:
        """The try went well: it does not count."""
        with self._store.write() as connection:
            throttles.take_away(connection, self._names(address), _minute(at))

    def _names(self, address: str) -> tuple[str, str]:
        return f"{self._what} {_network(address)}", self._what


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _network(address: str) -> str:
    """Whom an address belongs to."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped or ipaddress.ip_network((found, _NETWORK_OF_IPV6), strict=False))
    return str(found)
