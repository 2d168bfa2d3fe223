"""What the sources truly said: every state that any tally has ever had, noted before the source itself says it."""

import threading
from collections import defaultdict
from collections.abc import Mapping

from contract.tally import Counts, Key


class Truth:
    """Counts without zeros, by facility, source, measure and day. A key that is absent never had a tally."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ever: dict[Key, set[frozenset[tuple[str, int]]]] = defaultdict(set)
        self._now: dict[Key, Counts] = {}

    def become(self, key: Key, counts: Counts) -> None:
        """The source is about to say this; until it has, what it said before is true as well."""
        with self._lock:
            filled = _filled(counts)
            self._ever[key].add(frozenset(filled.items()))
            self._now[key] = filled

    def ever_was(self, key: Key, counts: Counts) -> bool:
        """Whether the source has ever said so."""
        with self._lock:
            return frozenset(_filled(counts).items()) in self._ever.get(key, ())

    def now(self) -> Mapping[Key, Counts]:
        """What the sources say now."""
        with self._lock:
            return dict(self._now)


def _filled(counts: Counts) -> dict[str, int]:
    return {category: cases for category, cases in counts.items() if cases}
