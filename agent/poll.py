"""One poll of one source: which days to read, in which slices, and what becomes of what was read."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from agent import index, ledger
from agent.disk import Disk
from agent.ledger import Ledger, Rule
from agent.reader import Description, Done, Slice, Step
from agent.reads import Readers
from agent.settings import Settings, Source
from agent.sources import Health, Sources, measures_read, record_unmapped
from contract.adapter import DayCount
from contract.catalogue import Catalogue
from contract.days import DayRange, local_day
from contract.errors import ConfigError, SourceChangedError, SourceError

SLICE_DAYS = 7
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a poll is for: the ordinary one, the nightly deep one, a backfill of `span`, a `check` by a person."""

    deep: bool = False
    span: DayRange | None = None
    accept_empty: bool = False
    check: bool = False
    on_slice: Callable[[DayRange], None] = lambda days: None


@dataclass(slots=True)
class _Outcome:
    """What has happened so far in one poll."""

    good_days: dict[str, set[date]] = field(default_factory=dict)
    failed: dict[str, SourceError] = field(default_factory=dict)
    strangers: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    fatal: SourceError | ConfigError | None = None


class Poller:
    """Polls sources into the ledger."""

    def __init__(self, settings: Settings, disk: Disk, readers: Readers) -> None:
        self._settings = settings
        self._disk = disk
        self._readers = readers
        self._ledger = Ledger(disk)
        self._sources = Sources(disk)
        self._locks = {source.name: threading.Lock() for source in settings.sources}

    def poll(
        self, source: Source, kind: Description, catalogue: Catalogue, moment: datetime, wish: Wish | None = None
    ) -> Health:
        """Read what is due and record it; a source that fails is noted, never raised. Raises StorageError."""
        with self._locks[source.name]:
            return self._poll(source, kind, catalogue, moment, wish or Wish())

    def _poll(self, source: Source, kind: Description, catalogue: Catalogue, moment: datetime, wish: Wish) -> Health:
        ranges = self._ranges(source, kind, local_day(moment), wish)
        slices = self._slices(source, kind, ranges)
        outcome = _Outcome(good_days={measure: set() for measure in kind.measures})
        held: list[tuple[Slice, Step]] = []
        try:
            for message in self._readers.read(source.config, catalogue, slices, self._disk.path, wish.check):
                piece = slices[message.slice]
                if isinstance(message, Step) and wish.deep and kind.silence_is_zero:
                    held.append((piece, message))
                elif isinstance(message, Step):
                    self._take(source, piece, message, wish, moment, outcome)
                else:
                    self._finish(source, kind, message, piece, wish, moment, outcome)
        except (SourceError, ConfigError) as error:
            outcome.fatal = error
        self._take_held(source, held, wish, moment, outcome)
        if wish.span is None:
            self._note_progress(source, ranges, outcome)
        return self._note_health(source, kind, outcome, moment)

    def _ranges(self, source: Source, kind: Description, today: date, wish: Wish) -> dict[str, DayRange]:
        """The days to read, by measure."""
        ranges = {}
        for measure in kind.measures:
            if wish.span:
                first, last = wish.span.first, min(wish.span.last, today)
            else:
                deep = today - timedelta(days=self._settings.deep_reread_days)
                good = self._sources.last_good_day(source.name, measure)
                first = deep if good is None else min(good, today - timedelta(days=self._settings.reread_days))
                first, last = min(first, deep) if wish.deep else first, today
            first = max(first, source.first_day or first)
            if first <= last:
                ranges[measure] = DayRange(first, last)
        return ranges

    def _slices(self, source: Source, kind: Description, ranges: Mapping[str, DayRange]) -> list[Slice]:
        """Today's first, then oldest first, then single days that the collector knows otherwise."""
        if not kind.silence_is_zero:
            # A folder or sheet is read once, for whatever days; its days follow from what it holds.
            whole = [DayRange(min(r.first for r in ranges.values()), max(r.last for r in ranges.values()))]
            return [Slice(days, tuple(ranges)) for days in (whole if ranges else [])]
        measures_of: dict[DayRange, list[str]] = {}
        for measure, days in ranges.items():
            for piece in days.slices(SLICE_DAYS):
                measures_of.setdefault(piece, []).append(measure)
        newest = max((days.last for days in measures_of), default=None)
        ordered = sorted(measures_of, key=lambda days: (days.last != newest, days.first))
        slices = [Slice(days, tuple(measures_of[days])) for days in ordered]
        return slices + list(self._unsettled_slices(source, kind, ranges))

    def _unsettled_slices(self, source: Source, kind: Description, ranges: Mapping[str, DayRange]) -> Iterator[Slice]:
        measures_of: dict[date, set[str]] = {}
        lost = []
        for key in self._ledger.unsettled(source.name):
            served = key.measure in kind.measures and key.facility in source.config.serves
            if not served or (source.first_day and key.day < source.first_day):
                lost.append(key)
            elif key.measure not in ranges or key.day not in ranges[key.measure]:
                measures_of.setdefault(key.day, set()).add(key.measure)
        self._ledger.give_up(lost)
        for day, measures in measures_of.items():
            yield Slice(DayRange(day, day), tuple(sorted(measures)))

    def _rule(self, wish: Wish, moment: datetime) -> Rule:
        oldest = local_day(moment) - timedelta(days=self._settings.deep_reread_days)
        return Rule(vanish_before=oldest, accept_empty=wish.accept_empty)

    def _take(self, source: Source, piece: Slice, step: Step, wish: Wish, moment: datetime, outcome: _Outcome) -> None:
        """Record one step, whole, in one transaction."""
        reading, rule = step.reading, self._rule(wish, moment)
        with self._disk.transaction() as connection:
            ledger.record(connection, source.name, reading.tallies, rule)
            record_unmapped(connection, source.name, measures_read(reading), piece.days, reading.unmapped)
            if reading.files or reading.gone:
                index.take(connection, source.name, reading, rule.vanish_before)
        outcome.seconds.update(reading.seconds)
        for value, cases in reading.strangers.items():
            outcome.strangers[value] = outcome.strangers.get(value, 0) + cases
        for measure, error in reading.failed.items():
            outcome.failed[measure] = error
            # A day that one step could not read is not good, whatever the other steps of the slice gave.
            outcome.good_days[measure] -= set(piece.days)
        for measure in measures_read(reading) - reading.failed.keys():
            outcome.good_days[measure] |= set(piece.days)

    def _finish(
        self,
        source: Source,
        kind: Description,
        done: Done,
        piece: Slice,
        wish: Wish,
        moment: datetime,
        outcome: _Outcome,
    ) -> None:
        """A slice is read to its end; for a folder, its counts follow now from all files known."""
        wish.on_slice(piece.days)
        if kind.silence_is_zero:
            return
        for measure in piece.measures:
            outcome.good_days[measure] |= set(piece.days)
        unsettled = {(key.measure, key.facility, key.day): key for key in self._ledger.unsettled(source.name)}
        with self._disk.transaction() as connection:
            touched = {
                key
                for key in index.touched(connection, source.name)
                if source.first_day is None or key[2] >= source.first_day
            }
            counts = index.counts(connection, source.name, touched | unsettled.keys())
            found = {(one.measure, one.facility, one.day) for one in counts}
            # A day that had cases and has lost its last one is an empty day; one that never had any is no day at all.
            held = self._ledger.held(source.name, (touched | unsettled.keys()) - found)
            emptied = {place for place, known in held.items() if place in touched or not known}
            counts += [DayCount(facility, measure, day, {}) for measure, facility, day in emptied]
            wanted = [one for one in counts if (one.measure, one.facility, one.day) in touched | unsettled.keys()]
            ledger.record(connection, source.name, wanted, self._rule(wish, moment))
            index.forget_touched(connection, source.name)
        self._ledger.give_up(key for place, key in unsettled.items() if place not in found | emptied)

    def _take_held(
        self, source: Source, held: list[tuple[Slice, Step]], wish: Wish, moment: datetime, outcome: _Outcome
    ) -> None:
        """A deep re-read is judged whole: one in which every day is empty while cases are known records nothing."""
        emptied: set[str] = set()
        for measure in {measure for _, step in held for measure in measures_read(step.reading)}:
            days = [one.day for _, step in held for one in step.reading.tallies if one.measure == measure]
            empty = not any(one.counts for _, step in held for one in step.reading.tallies if one.measure == measure)
            if empty and self._ledger.holds_cases(source.name, measure, DayRange(min(days), max(days))):
                emptied.add(measure)
                outcome.failed[measure] = SourceChangedError(
                    f"đọc lại {len(set(days))} ngày đều trống dù trước đây có số liệu; chưa ghi nhận gì"
                )
        for piece, step in held:
            if emptied.isdisjoint(measures_read(step.reading)):
                self._take(source, piece, step, wish, moment, outcome)

    def _note_progress(self, source: Source, ranges: Mapping[str, DayRange], outcome: _Outcome) -> None:
        """Last good day = the day before the first gap."""
        reached = {}
        for measure, days in ranges.items():
            good = outcome.good_days[measure]
            if days.first in good:
                reached[measure] = next((day for day in days if day not in good), days.last + timedelta(1)) - timedelta(
                    1
                )
        self._sources.set_last_good_day(source.name, reached)

    def _note_health(self, source: Source, kind: Description, outcome: _Outcome, moment: datetime) -> Health:
        """Log the first failure and the recovery, not each poll."""
        before = self._sources.health(source.name)
        failed = {measure: str(error) for measure, error in outcome.failed.items()}
        if outcome.fatal:
            failed |= {m: str(outcome.fatal) for m in kind.measures if not outcome.good_days[m]}
        read_something = any(outcome.good_days.values())
        health = Health(
            ok=not failed and outcome.fatal is None,
            read_at=moment if read_something else before.read_at,
            error=str(outcome.fatal) if outcome.fatal else _sentence(failed),
            failed=failed,
            strangers=outcome.strangers if read_something else before.strangers,
            seconds={**before.seconds, **outcome.seconds},
        )
        if not health.ok:
            health = replace(health, since=before.since or moment)
            if before.since is None or before.error != health.error:
                log.warning("nguồn %s: %s", source.name, health.error)
        elif before.since:
            log.info("nguồn %s đọc lại được (hỏng từ %s)", source.name, f"{before.since:%H:%M %d/%m/%Y}")
        self._sources.set_health(source.name, health)
        return health


def _sentence(failed: Mapping[str, str]) -> str | None:
    measures_of: dict[str, list[str]] = {}
    for measure, why in failed.items():
        measures_of.setdefault(why, []).append(measure)
    return "; ".join(f"{', '.join(measures)}: {why}" for why, measures in measures_of.items()) or None
