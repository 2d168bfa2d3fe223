"""Ingest: judge a batch of tallies, store what is accepted, and answer with a verdict for each.

The rules are those of architecture.md, "Keys, owners, revisions". Everything of one batch is one transaction, and the
answer is given after its commit; so a batch that is sent again, in any order, from any thread, changes nothing.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from collector.access import Speaker
from collector.feeds import line
from collector.store import Connection, Store, access, as_text, registry, tallies
from collector.store.registry import Facility
from collector.store.tallies import Claim, Row, Source
from contract.catalogue import Catalogue
from contract.days import local_day
from contract.errors import UnauthorisedError
from contract.tally import (
    FIRST_DAY,
    MAX_COUNT,
    MAX_REVISION,
    SOURCE_NAME,
    Ack,
    Key,
    Push,
    Refusal,
    RefusalCode,
    SourceReport,
    Stale,
    Tally,
)

_SOURCE_NAME = re.compile(SOURCE_NAME)
_MEASURE = re.compile(r".{1,64}", re.DOTALL)
# Far more than any hospital has; an agent that has gone mad, or bad, must not fill Prometheus with series.
_MAX_SOURCES = 100
_MAX_UNMAPPED = 20
_LONGEST_RAW = 200
# Clocks never agree to the second, and a push takes a while.
_MAX_SKEW = timedelta(minutes=1)


class _RefusedError(Exception):
    """One tally is refused."""

    def __init__(self, code: RefusalCode, reason: str) -> None:
        self.code: RefusalCode = code
        self.reason = reason
        super().__init__(code)


@dataclass
class _Books:
    """What the store knows of the facilities that a batch speaks of."""

    agent: str | None
    """None: people who upload sheets."""
    catalogue: Catalogue
    facilities: dict[str, Facility]
    """For which facility the sources of each count in the end: itself, or what it was merged into."""
    sources: dict[tuple[str, str], Source]
    claims: dict[str, dict[str, list[Claim]]] = field(default_factory=lambda: defaultdict(dict))
    """By facility and measure, the oldest first."""

    def claim_of(self, source: Source, measure: str) -> Claim | None:
        """The claim of this source, ended or not."""
        return next((one for one in self.rivals(source, measure) if one.source.id == source.id), None)

    def rivals(self, source: Source, measure: str) -> list[Claim]:
        """All that claim what `source` may claim, itself among them."""
        return self.claims[source.facility].setdefault(measure, [])

    def is_full(self, facility: str) -> bool:
        """Whether no further source may be added there: each is a series in Prometheus."""
        return sum(place == facility for place, _ in self.sources) >= _MAX_SOURCES


def take(store: Store, speaker: Speaker, push: Push, catalogue: Catalogue, moment: datetime) -> Ack:
    """Store a batch. Raises UnauthorisedError when it names another agent, AwayError when nothing was stored."""
    if push.agent.id != speaker.agent:
        raise UnauthorisedError("agent.id không phải là của mã truy cập này")
    shaped = [_shaped(raw, speaker.facilities, catalogue, local_day(moment)) for raw in push.tallies]
    spoken = {one.key.facility for one in shaped if isinstance(one, Tally)}
    spoken |= {facility for report in push.sources for facility in report.facilities} & speaker.facilities
    store_id = store.store_id()
    with store.write() as connection:
        access.note_push(connection, speaker.agent, _heard(push, moment))
        concerned = sorted(spoken | tallies.rostered(connection, speaker.agent))
        books = _open_books(connection, speaker.agent, catalogue, concerned, spoken, moment)
        _take_roster(connection, books, _in_our_time(push, moment), speaker.facilities)
        verdicts = _judge(connection, books, shaped, moment)
    stale = [one for one in verdicts if isinstance(one, Stale)]
    refused = [one for one in verdicts if isinstance(one, Refusal)]
    return Ack(
        accepted=len(push.tallies) - len(stale) - len(refused),
        stale=stale,
        refused=refused,
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
    shaped = [_shaped(one, here, catalogue, local_day(moment)) for one in raw]
    books = _open_books(connection, None, catalogue, [facility], {facility}, moment)
    _take_roster(connection, books, [report], here)
    return _judge(connection, books, shaped, moment)


def _heard(push: Push, moment: datetime) -> dict[str, Any]:
    return {
        "version": push.agent.version,
        "last_push_at": moment,
        "skew_seconds": (push.agent.sent_at - moment).total_seconds(),
        "waiting": push.agent.waiting,
        "parked": push.agent.parked,
    }


def _shaped(raw: Any, facilities: frozenset[str], catalogue: Catalogue, today: date) -> Tally | _RefusedError:
    """One element of `tallies` as a Tally, or why it is none."""
    try:
        if not isinstance(raw, dict):
            raise _RefusedError("malformed", "không phải là một đối tượng JSON")
        key = Key(
            _facility(raw, facilities),
            _text(raw, "source", _SOURCE_NAME),
            _text(raw, "measure", _MEASURE),
            _day(raw.get("day"), today),
        )
        measure = catalogue.measures.get(key.measure)
        if measure is None:
            raise _RefusedError("unknown_measure", "danh mục không có số đếm này")
        revision = raw.get("revision")
        if type(revision) is not int or not 1 <= revision <= MAX_REVISION:
            raise _RefusedError("bad_revision", "revision phải là số nguyên từ 1")
        return Tally(key, revision, _counts(raw.get("counts"), measure.codes))
    except _RefusedError as refused:
        return refused


def _facility(raw: Mapping[str, Any], facilities: frozenset[str]) -> str:
    if "facility" not in raw and len(facilities) == 1:
        return next(iter(facilities))
    facility = raw.get("facility")
    if not isinstance(facility, str):
        raise _RefusedError("malformed", "thiếu facility")
    if facility not in facilities:
        raise _RefusedError("not_yours", "agent này không được gửi cho cơ sở đó")
    return facility


def _text(raw: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = raw.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _RefusedError("malformed", f"{name} thiếu hoặc không đúng dạng")
    return value


def _day(value: Any, today: date) -> date:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        raise _RefusedError("bad_day" if isinstance(value, str) else "malformed", "day phải có dạng yyyy-mm-dd")
    try:
        day = date.fromisoformat(value)
    except ValueError:
        raise _RefusedError("bad_day", "không có ngày này") from None
    if not FIRST_DAY <= day <= today + timedelta(days=1):
        raise _RefusedError("bad_day", "ngày phải từ 2020-01-01 đến ngày mai")
    return day


def _counts(value: Any, codes: Iterable[str]) -> dict[str, int]:
    if not isinstance(value, dict):
        raise _RefusedError("malformed", "counts phải là một đối tượng JSON")
    if not value.keys() <= set(codes):
        raise _RefusedError("unknown_category", "counts có category mà danh mục không có")
    if not all(type(count) is int and 0 <= count <= MAX_COUNT for count in value.values()):
        raise _RefusedError("bad_count", "số đếm phải là số nguyên từ 0 đến 10^15")
    return {code: count for code, count in value.items() if count}


def _open_books(
    connection: Connection,
    agent: str | None,
    catalogue: Catalogue,
    facilities: Sequence[str],
    spoken: set[str],
    moment: datetime,
) -> _Books:
    """The books of `facilities`, locked; of those in `spoken` somebody has just told something."""
    mergers = registry.mergers(connection)
    lines = {one: line(mergers, one, local_day(moment)) for one in facilities}
    heard = spoken | {lines[one][-1] for one in spoken}
    touched = {one for each in lines.values() for one in each}
    registry.lock(connection, touched)
    registry.touch(connection, touched - heard)
    registry.touch(connection, heard, moment)
    sources = tallies.sources(connection, facilities)
    heirs = {one: line(mergers, one)[-1] for one in facilities}
    known = {one.id: one for one in registry.facilities(connection, sorted(set(heirs.values())))}
    books = _Books(
        agent,
        catalogue,
        {one: known[last] for one, last in heirs.items()},
        {(one.facility, one.name): one for one in sources},
    )
    for one in tallies.claims(connection, sources):
        books.rivals(one.source, one.measure).append(one)
    return books


def _in_our_time(push: Push, moment: datetime) -> list[SourceReport]:
    """The reports with their moments by our clock: the agent's may be hours ahead or years behind."""
    skew = push.agent.sent_at - moment
    if abs(skew) < _MAX_SKEW:
        skew = timedelta(0)
    return [
        one.model_copy(
            update={"read_at": _shifted(one.read_at, skew, moment), "since": _shifted(one.since, skew, moment)}
        )
        for one in push.sources
    ]


def _shifted(at: datetime | None, skew: timedelta, moment: datetime) -> datetime | None:
    try:
        # nothing was read in the future: the agent's clock was set right, or wrong, in between
        return at and min(at - skew, moment)
    except OverflowError:  # a moment beyond all calendars says nothing
        return None


def _take_roster(
    connection: Connection, books: _Books, reports: Sequence[SourceReport], facilities: frozenset[str]
) -> None:
    """Bring the agent's sources to what the roster says; those it no longer names go on counting, as orphans."""
    named = set()
    for report in reports:
        measures = {one for one in report.measures if one in books.catalogue.measures}
        for facility in facilities.intersection(report.facilities):
            source = _told(connection, books, facility, report)
            if source is not None:
                named.add((facility, report.name))
                _claim_measures(connection, books, source, measures)
    for place, source in list(books.sources.items()):
        if source.agent == books.agent and source.in_roster and place not in named:
            _change(connection, books, source, {"in_roster": False})


def _told(connection: Connection, books: _Books, facility: str, report: SourceReport) -> Source | None:
    """The source as the report describes it; None when it is another agent's, or one too many."""
    source = books.sources.get((facility, report.name))
    failing = _failing(report, source, books.catalogue)
    values = _described(report, facility, books.catalogue) | {"failed": as_text(failing)}
    if source is None:
        if books.is_full(facility):
            return None
        values |= {"facility": facility, "name": report.name, "agent": books.agent}
        source = books.sources[facility, report.name] = tallies.add_source(connection, values)
        return source
    if source.agent != books.agent:
        return None
    told = _change(connection, books, source, values)
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


def _change(connection: Connection, books: _Books, source: Source, values: Mapping[str, Any]) -> Source:
    """Change a source where it stands, in its claims too."""
    changed = replace(source, **values)
    if changed != source:
        tallies.update_source(connection, source.id, dict(values))
        books.sources[source.facility, source.name] = changed
        for claims in books.claims[source.facility].values():
            claims[:] = [replace(one, source=changed) if one.source.id == source.id else one for one in claims]
    return changed


def _claim_measures(connection: Connection, books: _Books, source: Source, measures: set[str]) -> None:
    """The source counts these measures; others that it has counted are free from the last day that has a tally.

    That day was counted only in part, so it is left to whoever counts next. A measure that comes back waits while
    another source counts it.
    """
    new = [one for one in measures if _may_begin(books.claim_of(source, one), books.rivals(source, one))]
    _add_claims(connection, books, source, new)
    for measure, claims in books.claims[source.facility].items():
        for position, one in enumerate(claims):
            if one.source.id == source.id and measure not in measures and one.last_day is None:
                newest = tallies.newest_day(connection, source.id, measure)
                claims[position] = _end(connection, one, (newest or FIRST_DAY) - timedelta(days=1))


def _may_begin(claim: Claim | None, rivals: Sequence[Claim]) -> bool:
    """Whether a source begins to count: it never did, or it ceased to, and nobody counts in its place."""
    if claim is None:
        return True
    others = (one for one in rivals if one.source.role == "count" and one.source.part == claim.source.part)
    return claim.last_day is not None and all(one.last_day or one.source.last_day for one in others)


def _add_claims(connection: Connection, books: _Books, source: Source, measures: Iterable[str]) -> None:
    for claim in tallies.add_claims(connection, source, measures):
        here = books.rivals(source, claim.measure)
        here[:] = [*(one for one in here if one.source.id != source.id), claim]


def _end(connection: Connection, claim: Claim, last_day: date) -> Claim:
    tallies.end_claim(connection, claim, last_day)
    return replace(claim, last_day=last_day)


def _judge(
    connection: Connection, books: _Books, shaped: Sequence[Tally | _RefusedError], moment: datetime
) -> list[Stale | Refusal]:
    """The verdicts that are not "accepted"; accepted rows are written."""
    verdicts: list[Stale | Refusal] = []
    owned: dict[int, tuple[Row, Tally]] = {}
    for index, one in enumerate(shaped):
        try:
            if isinstance(one, _RefusedError):
                raise one
            source = _owner(connection, books, one.key)
            owned[index] = (Row(source.id, one.key.measure, one.key.day, one.revision, as_text(one.counts)), one)
        except _RefusedError as refused:
            verdicts.append(Refusal(index=index, code=refused.code, reason=refused.reason))
    current = tallies.stored(connection, ((row.source, row.measure, row.day) for row, _ in owned.values()))
    fresh: dict[tuple[int, str, date], Row] = {}
    for index, (row, _) in owned.items():
        key = (row.source, row.measure, row.day)
        known = fresh.get(key) or current.get(key)
        if known is None or row.revision > known.revision:
            fresh[key] = row
        elif row.counts != known.counts:
            verdicts.append(Stale(index=index, revision=known.revision))
    new = [row for key, row in fresh.items() if key not in current]
    newer = [row for key, row in fresh.items() if key in current]
    corrected = [row for row in newer if row.counts != current[row.source, row.measure, row.day].counts]
    tallies.insert(connection, new, moment)
    tallies.replace(connection, newer, corrected, moment)
    return verdicts


def _owner(connection: Connection, books: _Books, key: Key) -> Source:
    """The source of a tally, when it may count this measure on this day."""
    facility = books.facilities[key.facility]
    if facility.active_to is not None and key.day > facility.active_to:
        raise _RefusedError("facility_closed", f"cơ sở đã ngừng hoạt động từ {facility.active_to:%d/%m/%Y}")
    source = books.sources.get((key.facility, key.source))
    if source is None:
        if books.is_full(key.facility):
            raise _RefusedError("not_owner", "cơ sở này đã có quá nhiều nguồn")
        values = {"facility": key.facility, "name": key.source, "agent": books.agent, "in_roster": False}
        source = books.sources[key.facility, key.source] = tallies.add_source(connection, values)
    if source.agent != books.agent:
        raise _RefusedError("source_taken", "nguồn này thuộc về một agent khác, hoặc là bảng tính gửi qua cổng")
    if source.last_day is not None and key.day > source.last_day:
        raise _RefusedError("not_owner", f"nguồn đã ngừng sau ngày {source.last_day:%d/%m/%Y}")
    if source.first_day is not None and key.day < source.first_day:
        raise _RefusedError("not_owner", f"nguồn chỉ tính từ ngày {source.first_day:%d/%m/%Y}")
    if source.role == "count":
        _claim_day(connection, books, source, key)
    return source


def _claim_day(connection: Connection, books: _Books, source: Source, key: Key) -> None:
    """Raises _RefusedError when another source counts the measure on this day: one that came first covers it."""
    claim = books.claim_of(source, key.measure)
    if claim is None:
        _add_claims(connection, books, source, [key.measure])
        claim = books.rivals(source, key.measure)[-1]
    for rival in books.rivals(source, key.measure):
        first = rival.id < claim.id or not claim.covers(key.day)
        counts = rival.source.role == "count" and rival.covers(key.day) and not rival.adds_to(claim, key.day)
        if first and counts:
            raise _RefusedError("not_owner", f"nguồn “{rival.source.name}” đang đếm số này")
    if not claim.covers(key.day):
        # it had ceased to count, and nobody else does: what was still on its way counts
        here = books.rivals(source, key.measure)
        here[here.index(claim)] = _end(connection, claim, key.day)
