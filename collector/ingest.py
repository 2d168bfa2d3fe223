"""Ingest: judge a batch of tallies, store what is accepted, and answer with a verdict for each.

The rules are those of architecture.md, "Keys, owners, revisions". Everything of one batch is one transaction, and the
answer is given after its commit; so a batch that is sent again, in any order, from any thread, changes nothing.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from collector.access import Speaker
from collector.store import Connection, Store, access, as_text, registry, tallies
from collector.store.registry import Facility
from collector.store.tallies import Claim, Row, Source
from contract.catalogue import Catalogue
from contract.days import local_day
from contract.errors import UnauthorisedError
from contract.tally import FIRST_DAY, MAX_COUNT, Ack, Key, Push, Refusal, RefusalCode, SourceReport, Stale, Tally

_SOURCE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MAX_REVISION = 2**53


class _RefusedError(Exception):
    """One tally is refused."""

    def __init__(self, code: RefusalCode, reason: str) -> None:
        self.code: RefusalCode = code
        self.reason = reason
        super().__init__(code)


@dataclass
class _Books:
    """What the store knows of the facilities that a batch speaks of."""

    agent: str
    facilities: dict[str, Facility]
    sources: dict[tuple[str, str], Source]
    claims: dict[tuple[str, str], list[Claim]] = field(default_factory=dict)
    """By (facility, measure), the oldest first."""

    def claim_of(self, source: Source, measure: str) -> Claim | None:
        """The claim of this source, if it has one that has not ended."""
        found = (one for one in self.claims.get((source.facility, measure), []) if one.source.id == source.id)
        return next((one for one in found if one.last_day is None), None)


def take(store: Store, speaker: Speaker, push: Push, catalogue: Catalogue, moment: datetime) -> Ack:
    """Store a batch. Raises UnauthorisedError when it names another agent, AwayError when nothing was stored."""
    if push.agent.id != speaker.agent:
        raise UnauthorisedError("agent.id không phải là của mã truy cập này")
    shaped = [_shaped(raw, speaker, catalogue, local_day(moment)) for raw in push.tallies]
    spoken = {one.key.facility for one in shaped if isinstance(one, Tally)}
    spoken |= {facility for report in push.sources for facility in report.facilities} & set(speaker.facilities)
    store_id = store.store_id()
    with store.write() as connection:
        access.note_push(connection, speaker.agent, _heard(push, moment), sorted(spoken))
        books = _open_books(connection, speaker.agent, sorted(spoken))
        _take_roster(connection, books, push.sources, speaker)
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


def _heard(push: Push, moment: datetime) -> dict[str, Any]:
    return {
        "version": push.agent.version,
        "last_push_at": moment,
        "skew_seconds": (push.agent.sent_at - moment).total_seconds(),
        "waiting": push.agent.waiting,
        "parked": push.agent.parked,
    }


def _shaped(raw: Any, speaker: Speaker, catalogue: Catalogue, today: date) -> Tally | _RefusedError:
    """One element of `tallies` as a Tally, or why it is none."""
    try:
        if not isinstance(raw, dict):
            raise _RefusedError("malformed", "không phải là một đối tượng JSON")
        key = Key(
            _facility(raw, speaker),
            _text(raw, "source", _SOURCE_NAME),
            _text(raw, "measure", re.compile(r".{1,64}", re.S)),
            _day(raw.get("day"), today),
        )
        measure = catalogue.measures.get(key.measure)
        if measure is None:
            raise _RefusedError("unknown_measure", "danh mục không có số đếm này")
        revision = raw.get("revision")
        if type(revision) is not int or not 1 <= revision <= _MAX_REVISION:
            raise _RefusedError("bad_revision", "revision phải là số nguyên từ 1")
        return Tally(key, revision, _counts(raw.get("counts"), measure.codes))
    except _RefusedError as refused:
        return refused


def _facility(raw: Mapping[str, Any], speaker: Speaker) -> str:
    if "facility" not in raw and len(speaker.facilities) == 1:
        return speaker.facilities[0]
    facility = raw.get("facility")
    if not isinstance(facility, str):
        raise _RefusedError("malformed", "thiếu facility")
    if facility not in speaker.facilities:
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


def _open_books(connection: Connection, agent: str, facilities: Sequence[str]) -> _Books:
    sources = tallies.sources(connection, facilities)
    books = _Books(
        agent,
        {one.id: one for one in registry.facilities(connection, facilities)},
        {(one.facility, one.name): one for one in sources},
    )
    for one in tallies.claims(connection, sources):
        books.claims.setdefault((one.source.facility, one.measure), []).append(one)
    return books


def _take_roster(connection: Connection, books: _Books, reports: Sequence[SourceReport], speaker: Speaker) -> None:
    """Bring the agent's sources to what the roster says; those it no longer names go on counting, as orphans."""
    named = set()
    for report in reports:
        for facility in set(report.facilities) & set(speaker.facilities):
            source = books.sources.get((facility, report.name))
            if source is not None and source.agent != books.agent:
                continue
            named.add((facility, report.name))
            _update(connection, books, source, facility, report)
    for place, source in list(books.sources.items()):
        if source.agent == books.agent and source.in_roster and place not in named:
            tallies.update_source(connection, source.id, {"in_roster": False})
            _replace(books, replace(source, in_roster=False))


def _update(connection: Connection, books: _Books, source: Source | None, facility: str, report: SourceReport) -> None:
    values: dict[str, Any] = {
        "kind": report.kind,
        "role": report.role,
        "part": report.part,
        "first_day": report.from_,
        "in_roster": True,
        "ok": report.ok,
        "read_at": report.read_at,
        "newest_day": report.newest_day.get(facility),
        "since": report.since,
        "error": report.error,
        "failed": as_text(report.failed),
        "unmapped": as_text(report.unmapped.get(facility, {})),
        "unmapped_cases": as_text(report.unmapped_cases.get(facility, {})),
    }
    if source is None:
        source = tallies.add_source(
            connection, {"facility": facility, "name": report.name, "agent": books.agent, **values}
        )
        books.sources[facility, report.name] = source
    else:
        tallies.update_source(connection, source.id, values)
        source = _replace(books, replace(source, **values))
    for measure in report.measures:
        if books.claim_of(source, measure) is None:
            _add_claim(connection, books, source, measure)
    _end_claims(connection, books, source, set(report.measures))


def _replace(books: _Books, source: Source) -> Source:
    """Put a changed source where the old one stood, in its claims too."""
    books.sources[source.facility, source.name] = source
    for place, claims in books.claims.items():
        books.claims[place] = [replace(one, source=source) if one.source.id == source.id else one for one in claims]
    return source


def _add_claim(connection: Connection, books: _Books, source: Source, measure: str) -> None:
    here = books.claims.setdefault((source.facility, measure), [])
    here[:] = [one for one in here if one.source.id != source.id]
    here.append(tallies.add_claim(connection, source, measure))


def _end_claims(connection: Connection, books: _Books, source: Source, measures: set[str]) -> None:
    """A measure that the source no longer counts is free from the last day on which it has a tally.

    That day was counted only in part, so it is left to whoever counts next.
    """
    for (facility, measure), claims in books.claims.items():
        for position, one in enumerate(claims):
            if one.source.id == source.id and facility == source.facility and measure not in measures:
                if one.last_day is not None:
                    continue
                newest = tallies.newest_day(connection, source.id, measure)
                ended = (newest or FIRST_DAY) - timedelta(days=1)
                tallies.end_claim(connection, one, ended)
                claims[position] = replace(one, last_day=ended)


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
        values = {"facility": key.facility, "name": key.source, "agent": books.agent, "in_roster": False}
        source = books.sources[key.facility, key.source] = tallies.add_source(connection, values)
    if source.agent != books.agent:
        raise _RefusedError("source_taken", "nguồn này thuộc về một agent khác")
    if source.last_day is not None and key.day > source.last_day:
        raise _RefusedError("not_owner", f"nguồn đã ngừng sau ngày {source.last_day:%d/%m/%Y}")
    if source.first_day is not None and key.day < source.first_day:
        raise _RefusedError("not_owner", f"nguồn chỉ tính từ ngày {source.first_day:%d/%m/%Y}")
    if source.role == "check":
        return source
    claim = books.claim_of(source, key.measure)
    if claim is None:
        _add_claim(connection, books, source, key.measure)
        claim = books.claims[key.facility, key.measure][-1]
    for rival in books.claims[key.facility, key.measure]:
        if _is_before(rival, claim, key.day):
            raise _RefusedError("not_owner", f"nguồn “{rival.source.name}” đang đếm số này")
    return source


def _is_before(rival: Claim, claim: Claim, day: date) -> bool:
    """Whether `rival` owns `day` rather than `claim`: it came first, counts the same part, and covers the day.

    On a shared cut-over day (the last of one, the first of the other) both add.
    """
    one, other = rival.source, claim.source
    if rival.id >= claim.id or one.role == "check" or one.part != other.part or not rival.covers(day):
        return False
    return not (one.last_day == day == other.first_day)
