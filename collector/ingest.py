"""Ingest: judge batches of tallies, store what is accepted, and answer with a verdict for each.

The rules are those of architecture.md, "Keys, owners, revisions". Batches that come at the same time are one
transaction, and each is answered after its commit; so a batch that is sent again, in any order, changes nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from collector import windows
from collector.access import Speaker
from collector.feeds import line
from collector.shapes import Batch, Place, RefusedError, Shapes
from collector.store import Connection, Store, access, as_text, registry, store_id_of, tallies
from collector.store.registry import Facility
from collector.store.tallies import Claim, Row, Source
from contract.catalogue import Catalogue
from contract.days import local_day
from contract.errors import AwayError, UnauthorisedError
from contract.tally import FIRST_DAY, Ack, Push, Refusal, SourceReport, Stale

# Far more than any hospital has; an agent that has gone mad, or bad, must not fill Prometheus with series.
_MAX_SOURCES = 100
_MAX_UNMAPPED = 20
_LONGEST_RAW = 200
# Clocks never agree to the second, and a push takes a while.
_MAX_SKEW = timedelta(minutes=1)
# By so much the clocks of two collectors may differ: near midnight they do not agree which day is running.
_MIDNIGHT = timedelta(minutes=5)
_NO_CASE = "{}"
_Key = tuple[int, str, date]


@dataclass(frozen=True, slots=True)
class Sent:
    """A push, from whom, and when it came."""

    speaker: Speaker
    push: Push
    at: datetime


@dataclass
class _Books:
    """What is known of the facilities that batches speak of: as it is stored, and as it is to be."""

    catalogue: Catalogue
    facilities: dict[str, Facility]
    """For which facility the sources of each count in the end: itself, or what it was merged into."""
    sources: dict[tuple[str, str], Source]
    stored_sources: dict[int, Source]
    lines: Mapping[str, Sequence[str]]
    """A facility, and those that its figures count for."""
    spoken: set[str]
    """Of which somebody has just told something."""
    claims: dict[str, dict[str, list[Claim]]] = field(default_factory=lambda: defaultdict(dict))
    """By facility and measure, the oldest first."""
    stored: dict[_Key, Row] = field(default_factory=dict)
    fresh: dict[_Key, Row] = field(default_factory=dict)
    """Rows that take the place of stored ones, or are new."""
    moved: set[str] = field(default_factory=set)
    """Facilities of which more has changed than the running day."""

    def claim_of(self, source: Source, measure: str) -> Claim | None:
        """The claim of this source, ended or not."""
        return next((one for one in self.rivals(source, measure) if one.source.id == source.id), None)

    def rivals(self, source: Source, measure: str) -> list[Claim]:
        """All that claim what `source` may claim, itself among them."""
        return self.claims[source.facility].setdefault(measure, [])

    def is_full(self, facility: str) -> bool:
        """Whether no further source may be added there: each is a series in Prometheus."""
        return sum(place == facility for place, _ in self.sources) >= _MAX_SOURCES

    def add_source(self, connection: Connection, values: dict[str, Any]) -> Source:
        """A new source."""
        source = tallies.add_source(connection, values)
        self.sources[source.facility, source.name] = self.stored_sources[source.id] = source
        self.moved.add(source.facility)
        return source

    def write(self, connection: Connection, moment: datetime) -> None:
        """Bring the store to what is known."""
        known = [(self.stored_sources[one.id], one) for one in self.sources.values()]
        changed = [(before, one) for before, one in known if one != before]
        tallies.update_sources(connection, changed)
        self.moved |= {one.facility for before, one in changed if not _is_passing(before, one)}
        self.stored_sources |= {one.id: one for _, one in changed}
        before = self.stored
        new = [row for key, row in self.fresh.items() if key not in before] if before else [*self.fresh.values()]
        newer = [(row, before[key]) for key, row in self.fresh.items() if key in before] if before else []
        self._note_moved(new, newer, moment)
        tallies.insert(connection, new, moment)
        corrected = [row for row, old in newer if row.counts != old.counts]
        tallies.replace(connection, [row for row, _ in newer], corrected, moment)
        self.stored |= self.fresh
        self.fresh.clear()

    def _note_moved(self, new: Iterable[Row], newer: Iterable[tuple[Row, Row]], moment: datetime) -> None:
        """A newer revision of the running day changes that day alone, unless it has the first cases, or the last."""
        running = {local_day(moment - _MIDNIGHT), local_day(moment + _MIDNIGHT)}
        today = running.pop() if len(running) == 1 else None
        moved = {row.source for row in new}
        moved |= {
            row.source
            for row, old in newer
            if row.day != today or self._is_long(row) or (row.counts == _NO_CASE) != (old.counts == _NO_CASE)
        }
        self.moved |= {self.stored_sources[one].facility for one in moved}

    def _is_long(self, row: Row) -> bool:
        """Whether the day stands for a whole period, which ends nobody knows when."""
        own = self.stored_sources[row.source].cadence
        return windows.is_long(self.catalogue.measures[row.measure].cadence) or (
            own is not None and windows.is_long(own)
        )


def take(store: Store, speaker: Speaker, push: Push, catalogue: Catalogue, moment: datetime) -> Ack:
    """Store a batch. Raises UnauthorisedError when it names another agent, AwayError when nothing was stored."""
    [answer] = take_all(store, [Sent(speaker, push, moment)], catalogue)
    if isinstance(answer, Exception):
        raise answer
    return answer


def take_all(store: Store, sent: Sequence[Sent], catalogue: Catalogue) -> list[Ack | Exception]:
    """An answer for each batch, judged in their order, all on disk by then. Raises AwayError: nothing can be stored.

    A batch that cannot be taken is answered with the error, and takes none of the others with it.
    """
    refused = UnauthorisedError("agent.id không phải là của mã truy cập này")
    try:
        taken = iter(_taken(store, [one for one in sent if _is_its_own(one)], catalogue))
        return [next(taken) if _is_its_own(one) else refused for one in sent]
    except AwayError:
        raise
    except Exception as error:
        if len(sent) == 1:
            return [error]
        # nothing of all that is stored, and it is not known whose fault that is
        return [answer for one in sent for answer in take_all(store, [one], catalogue)]


def _is_its_own(one: Sent) -> bool:
    return one.push.agent.id == one.speaker.agent


def _taken(store: Store, sent: Sequence[Sent], catalogue: Catalogue) -> list[Ack]:
    """The acks of batches that are all taken, or none of them."""
    if not sent:
        return []
    moment = max(one.at for one in sent)
    shapes = Shapes(catalogue, local_day(moment))
    batches = [shapes.batch(one.push.tallies, one.speaker.facilities) for one in sent]
    spoken = {facility for batch in batches for facility, _, _ in batch.tallies}
    spoken |= {
        facility
        for one in sent
        for report in one.push.sources
        for facility in one.speaker.facilities.intersection(report.facilities)
    }
    with store.write() as connection:
        store_id = str(store_id_of(connection))
        heard = {one.speaker.agent: _heard(one) for one in sent}
        access.note_pushes(connection, heard)
        concerned = sorted(spoken | tallies.rostered(connection, heard))
        books = _open_books(connection, catalogue, concerned, spoken, moment)
        _look_up(connection, books, batches)
        verdicts = []
        for one, batch in zip(sent, batches, strict=True):
            _take_roster(connection, books, one.speaker.agent, _in_our_time(one), one.speaker.facilities, moment)
            verdicts.append(_judge(connection, books, one.speaker.agent, batch))
        _close_books(connection, books, moment)
    return [
        _ack(batch.length, found, moment, store_id, catalogue) for batch, found in zip(batches, verdicts, strict=True)
    ]


def _ack(sent: int, verdicts: Sequence[Stale | Refusal], moment: datetime, store_id: str, catalogue: Catalogue) -> Ack:
    return Ack(
        accepted=sent - len(verdicts),
        stale=[one for one in verdicts if isinstance(one, Stale)],
        refused=[one for one in verdicts if isinstance(one, Refusal)],
        server_time=moment,
        store_id=store_id,
        catalogue=catalogue.digest,
    )


def take_upload(
    connection: Connection,
    facility: str,
    report: SourceReport,
    raw: Sequence[Any],
    catalogue: Catalogue,
    moment: datetime,
) -> list[Stale | Refusal]:
    """Store what people of a facility uploaded, by the same rules; the source of `report` belongs to no agent.

    `raw`: tallies as they would travel. Returns the verdicts that are not "accepted".
    """
    here = frozenset({facility})
    batch = Shapes(catalogue, local_day(moment)).batch(raw, here)
    books = _open_books(connection, catalogue, [facility], {facility}, moment)
    _look_up(connection, books, [batch])
    _take_roster(connection, books, None, [report], here, moment)
    verdicts = _judge(connection, books, None, batch)
    _close_books(connection, books, moment)
    return verdicts


def _is_passing(before: Source, after: Source) -> bool:
    """Whether a source tells no more of itself than when, within a day, it was read and what it could not map."""
    days = {one.read_at and local_day(one.read_at) for one in (before, after)}
    told = replace(before, read_at=after.read_at, unmapped=after.unmapped, unmapped_cases=after.unmapped_cases)
    return len(days) == 1 and told == after


def _heard(one: Sent) -> dict[str, Any]:
    agent = one.push.agent
    return {
        "version": agent.version,
        "last_push_at": one.at,
        "skew_seconds": (agent.sent_at - one.at).total_seconds(),
        "waiting": agent.waiting,
        "parked": agent.parked,
    }


def _open_books(
    connection: Connection, catalogue: Catalogue, facilities: Sequence[str], spoken: set[str], moment: datetime
) -> _Books:
    """The books of `facilities`, locked; of those in `spoken` somebody has just told something."""
    mergers = registry.mergers(connection)
    lines = {one: line(mergers, one, local_day(moment)) for one in facilities}
    registry.lock(connection, {one for line_of in lines.values() for one in line_of})
    sources = tallies.sources(connection, facilities)
    heirs = {one: line(mergers, one)[-1] for one in facilities}
    known = {one.id: one for one in registry.facilities(connection, sorted(set(heirs.values())))}
    books = _Books(
        catalogue,
        {one: known[last] for one, last in heirs.items()},
        {(one.facility, one.name): one for one in sources},
        {one.id: one for one in sources},
        lines,
        spoken,
    )
    for one in tallies.claims(connection, sources):
        books.rivals(one.source, one.measure).append(one)
    return books


def _close_books(connection: Connection, books: _Books, moment: datetime) -> None:
    """Store what is known, and for whom it has changed."""
    books.write(connection, moment)
    heard = books.spoken | {books.lines[one][-1] for one in books.spoken}
    moved = {one for facility in books.moved for one in books.lines[facility]}
    others = {one for line_of in books.lines.values() for one in line_of} - heard
    if others:
        registry.touch(connection, others)
    for some, is_past in ((heard & moved, True), (heard - moved, False)):
        if some:
            registry.hear(connection, some, moment, is_past)


def _look_up(connection: Connection, books: _Books, batches: Iterable[Batch]) -> None:
    """What is stored of these tallies; nothing is of a source that is not known yet."""
    days: dict[tuple[int, str], set[date]] = defaultdict(set)
    for batch in batches:
        for (facility, name, measure), tallied in batch.tallies.items():
            source = books.sources.get((facility, name))
            if source is not None:
                days[source.id, measure].update([day for _, day, _, _ in tallied])
    books.stored = tallies.stored(connection, days)


def _in_our_time(one: Sent) -> list[SourceReport]:
    """The reports with their moments by our clock: the agent's may be hours ahead or years behind."""
    skew = one.push.agent.sent_at - one.at
    if abs(skew) < _MAX_SKEW:
        skew = timedelta(0)
    return [
        report.model_copy(
            update={"read_at": _shifted(report.read_at, skew, one.at), "since": _shifted(report.since, skew, one.at)}
        )
        for report in one.push.sources
    ]


def _shifted(at: datetime | None, skew: timedelta, moment: datetime) -> datetime | None:
    try:
        # nothing was read in the future: the agent's clock was set right, or wrong, in between
        return at and min(at - skew, moment)
    except OverflowError:  # a moment beyond all calendars says nothing
        return None


def _take_roster(
    connection: Connection,
    books: _Books,
    agent: str | None,
    reports: Sequence[SourceReport],
    facilities: frozenset[str],
    moment: datetime,
) -> None:
    """Bring the agent's sources to what the roster says; those it no longer names go on counting, as orphans.

    `agent` None: people who upload sheets.
    """
    named = set()
    for report in reports:
        measures = {one for one in report.measures if one in books.catalogue.measures}
        for facility in facilities.intersection(report.facilities):
            source = _told(connection, books, agent, facility, report)
            if source is not None:
                named.add((facility, report.name))
                _claim_measures(connection, books, source, measures, moment)
    for place, source in list(books.sources.items()):
        if source.agent == agent and source.in_roster and place not in named:
            _change(books, source, {"in_roster": False})


def _told(
    connection: Connection, books: _Books, agent: str | None, facility: str, report: SourceReport
) -> Source | None:
    """The source as the report describes it; None when it is another agent's, or one too many."""
    source = books.sources.get((facility, report.name))
    failing = _failing(report, source, books.catalogue)
    values = _described(report, facility, books.catalogue) | {"failed": as_text(failing)}
    if source is None:
        if books.is_full(facility):
            return None
        return books.add_source(connection, {**values, "facility": facility, "name": report.name, "agent": agent})
    if source.agent != agent:
        return None
    told = _change(books, source, values)
    if (told.role, told.part) != (source.role, source.part):
        # it now counts something else than before: it queues again, behind those who counted that already
        claims = [one for here in books.claims[facility].values() for one in here if one.source.id == source.id]
        _add_claims(connection, books, told, [one.measure for one in claims if one.last_day is None])
    return told


def _described(report: SourceReport, facility: str, catalogue: Catalogue) -> dict[str, Any]:
    unmapped = {
        measure: {raw[:_LONGEST_RAW]: n for raw, n in sorted(values.items(), key=lambda one: -one[1])[:_MAX_UNMAPPED]}
        for measure, values in report.unmapped.get(facility, {}).items()
        if measure in catalogue.measures
    }
    cases = {measure: sum(values.values()) for measure, values in unmapped.items()}
    cases |= {code: n for code, n in report.unmapped_cases.get(facility, {}).items() if code in catalogue.measures}
    return {
        "kind": report.kind,
        "role": report.role,
        "part": report.part,
        "cadence": report.cadence,
        "first_day": report.from_,
        "in_roster": True,
        "ok": report.ok,
        "read_at": report.read_at,
        "newest_day": report.newest_day.get(facility),
        "since": report.since,
        "error": report.error,
        "unmapped": as_text(unmapped),
        "unmapped_cases": as_text(cases),
    }


def _failing(report: SourceReport, before: Source | None, catalogue: Catalogue) -> dict[str, str | None]:
    """Measure that cannot be read → when it was last read, as far as is known.

    The report's `since` is of the whole source, which may have failed for long in another measure.
    """
    known = {} if before is None else before.failing
    last = report.since if before is None else before.read_at
    found = {measure: known.get(measure, last) for measure in report.failed if measure in catalogue.measures}
    return {measure: None if at is None else at.isoformat() for measure, at in found.items()}


def _change(books: _Books, source: Source, values: Mapping[str, Any]) -> Source:
    """Change a source where it stands, in its claims too."""
    changed = replace(source, **values)
    if changed == source:
        return source
    books.sources[source.facility, source.name] = changed
    if any(getattr(changed, name) != getattr(source, name) for name in tallies.COUNTS_BY):
        for claims in books.claims[source.facility].values():
            claims[:] = [replace(one, source=changed) if one.source.id == source.id else one for one in claims]
    return changed


def _claim_measures(
    connection: Connection, books: _Books, source: Source, measures: set[str], moment: datetime
) -> None:
    """The source counts these measures; others that it has counted are free from the last day that has a tally.

    That day was counted only in part, so it is left to whoever counts next. A measure that comes back waits while
    another source counts it.
    """
    new = [one for one in measures if _may_begin(books.claim_of(source, one), books.rivals(source, one))]
    _add_claims(connection, books, source, new)
    for measure, claims in books.claims[source.facility].items():
        for position, one in enumerate(claims):
            if one.source.id == source.id and measure not in measures and one.last_day is None:
                books.write(connection, moment)  # a batch before this one may have told of a newer day
                newest = tallies.newest_day(connection, source.id, measure)
                claims[position] = _end(connection, books, one, (newest or FIRST_DAY) - timedelta(days=1))


def _may_begin(claim: Claim | None, rivals: Sequence[Claim]) -> bool:
    """Whether a source begins to count: it never did, or it ceased to, and nobody counts in its place."""
    if claim is None:
        return True
    others = (one for one in rivals if one.source.role == "count" and one.source.part == claim.source.part)
    return claim.last_day is not None and all(one.last_day or one.source.last_day for one in others)


def _add_claims(connection: Connection, books: _Books, source: Source, measures: Iterable[str]) -> None:
    for claim in tallies.add_claims(connection, source, measures):
        books.moved.add(source.facility)
        here = books.rivals(source, claim.measure)
        here[:] = [*(one for one in here if one.source.id != source.id), claim]


def _end(connection: Connection, books: _Books, claim: Claim, last_day: date) -> Claim:
    tallies.end_claim(connection, claim, last_day)
    books.moved.add(claim.source.facility)
    return replace(claim, last_day=last_day)


def _judge(connection: Connection, books: _Books, agent: str | None, batch: Batch) -> list[Stale | Refusal]:
    """The verdicts that are not "accepted"; accepted rows are in the books."""
    verdicts: list[Stale | Refusal] = [*batch.refused]
    for place, tallied in batch.tallies.items():
        owner, measure = None, place[2]
        for index, day, revision, counts in tallied:
            try:
                owner = owner or _owner_of_all_days(books, agent, place)
                source = owner or _owner(connection, books, agent, place, day).id
            except RefusedError as refused:
                verdicts.append(refused.of(index))
                continue
            key = (source, measure, day)
            known = books.fresh.get(key) or books.stored.get(key)
            if known is None or revision > known.revision:
                books.fresh[key] = Row(source, measure, day, revision, counts)
            elif counts != known.counts:
                verdicts.append(Stale(index=index, revision=known.revision))
    return verdicts


def _owner_of_all_days(books: _Books, agent: str | None, place: Place) -> int | None:
    """The source that alone counts a measure, whatever the day; None: it depends."""
    facility, name, measure = place
    source = books.sources.get((facility, name))
    if source is None or source.agent != agent or (source.first_day, source.last_day) != (None, None):
        return None
    claims = books.rivals(source, measure)
    is_alone = [one.source.id for one in claims if one.last_day is None] == [source.id] and len(claims) == 1
    return source.id if is_alone and books.facilities[facility].active_to is None else None


def _owner(connection: Connection, books: _Books, agent: str | None, place: Place, day: date) -> Source:
    """The source of a tally, when it may count this measure on this day. Raises RefusedError."""
    where, name, measure = place
    facility = books.facilities[where]
    if facility.active_to is not None and day > facility.active_to:
        raise RefusedError("facility_closed", f"cơ sở đã ngừng hoạt động từ {facility.active_to:%d/%m/%Y}")
    source = books.sources.get((where, name))
    if source is None:
        if books.is_full(where):
            raise RefusedError("not_owner", "cơ sở này đã có quá nhiều nguồn")
        values = {"facility": where, "name": name, "agent": agent, "in_roster": False}
        source = books.add_source(connection, values)
    if source.agent != agent:
        raise RefusedError("source_taken", "nguồn này thuộc về một agent khác, hoặc là bảng tính gửi qua cổng")
    if source.last_day is not None and day > source.last_day:
        raise RefusedError("not_owner", f"nguồn đã ngừng sau ngày {source.last_day:%d/%m/%Y}")
    if source.first_day is not None and day < source.first_day:
        raise RefusedError("not_owner", f"nguồn chỉ tính từ ngày {source.first_day:%d/%m/%Y}")
    if source.role == "count":
        _claim_day(connection, books, source, measure, day)
    return source


def _claim_day(connection: Connection, books: _Books, source: Source, measure: str, day: date) -> None:
    """Raises RefusedError when another source counts the measure on this day: one that came first covers it."""
    claim = books.claim_of(source, measure)
    if claim is None:
        _add_claims(connection, books, source, [measure])
        claim = books.rivals(source, measure)[-1]
    for rival in books.rivals(source, measure):
        first = rival.id < claim.id or not claim.covers(day)
        counts = rival.source.role == "count" and rival.covers(day) and not rival.adds_to(claim, day)
        if first and counts:
            raise RefusedError("not_owner", f"nguồn “{rival.source.name}” đang đếm số này")
    if not claim.covers(day):
        # it had ceased to count, and nobody else does: what was still on its way counts
        here = books.rivals(source, measure)
        here[here.index(claim)] = _end(connection, books, claim, day)
