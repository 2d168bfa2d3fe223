"""Whose sources count for whom, and when: facilities are merged, and what was counted stays where it was counted.

A merger moves nothing. The agents of the merged facility go on telling its tallies under its id; those of the days
before the merger count for it, those from that day on for the facility into which it was merged. Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from collector.store.registry import Merger
from collector.store.tallies import Source

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Feed:
    """The sources of `giver` count for `facility` from `first` to `last` (None: no such end); there as `part`."""

    giver: str
    facility: str
    first: date | None = None
    last: date | None = None
    part: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all days of the sources count here."""
        return self.first is None and self.last is None

    def holds(self, day: date) -> bool:
        """Whether what the sources tell of `day` counts here."""
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)

    def takes(self, source: Source) -> bool:
        """Whether a source of the giver has a part in this: a check source only holds its own facility's against it."""
        return self.giver == self.facility or source.role == "count"

    def seen(self, source: Source) -> Source:
        """A source of the giver as one of the facility: its days narrowed; named after the giver where it is another.

        No source of an agent has a slash in its name, so the name is nobody else's.
        """
        if self.is_whole:
            return source
        firsts = [one for one in (self.first, source.first_day) if one is not None]
        lasts = [one for one in (self.last, source.last_day) if one is not None]
        dated = replace(source, first_day=max(firsts, default=None), last_day=min(lasts, default=None))
        if self.giver == self.facility:
            return dated
        part = _joined(self.part, source.part)
        return replace(dated, facility=self.facility, name=f"{self.giver}/{source.name}", part=part)


def feeds(mergers: Mapping[str, Merger], ids: Iterable[str]) -> list[Feed]:
    """What counts for these facilities: their own sources, and those of all that were merged into them."""
    found = []
    for one in ids:
        last = mergers[one].day - _DAY if one in mergers else None
        for giver, since, part in _givers(mergers, one):
            if since is None or last is None or since <= last:
                found.append(Feed(giver, one, since, last, part))
    return found


def line(mergers: Mapping[str, Merger], facility: str, day: date = date.max) -> list[str]:
    """The facilities for which the sources of this one have counted up to `day`: itself first, the present one last."""
    found = [facility]
    while found[-1] in mergers and mergers[found[-1]].day <= day:
        found.append(mergers[found[-1]].into)
    return found


def _givers(mergers: Mapping[str, Merger], facility: str) -> Iterator[tuple[str, date | None, str | None]]:
    """(whose sources, since when, as which part): its own, and those that had come to what was merged into it."""
    yield facility, None, None
    for merged, merger in mergers.items():
        if merger.into == facility:
            for giver, since, part in _givers(mergers, merged):
                yield giver, max(merger.day, since or merger.day), _joined(merger.part, part)


def _joined(*parts: str | None) -> str | None:
    return "/".join(one for one in parts if one is not None) or None
