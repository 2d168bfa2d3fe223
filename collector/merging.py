"""Merging a facility into another: what speaks against it, what will happen, the change itself.

feeds.py says what it means. A merger is one dated fact of the registry. Tallies, sources, claims, agents, tokens and
people stay as they are; so history stays with the facility that made it, nothing can be lost, and a merger that was a
mistake can be undone.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from collector.feeds import feeds
from collector.figures import load
from collector.standings import Standing, history, standings
from collector.store import Connection, Store, alerts, people, registry, signatures, tallies
from collector.store.people import OPERATOR, Account
from collector.store.registry import Facility, Merger, Pause
from collector.store.tallies import Source
from collector.yardstick import Yardstick
from contract.catalogue import Catalogue
from contract.days import local_day
from contract.errors import ConfigError, NotFoundError
from contract.tally import FIRST_DAY

_DAY = timedelta(days=1)
_LONGEST_PART = 64
# Further ahead a day is more likely mistyped than planned.
_AHEAD = timedelta(days=366)
_MOST_ALERTS = 500


@dataclass(frozen=True, slots=True)
class Arriving:
    """A source that will count for the other facility: its measures, and how many days of them are here already."""

    source: Source
    measures: tuple[str, ...]
    days: int


@dataclass(frozen=True, slots=True)
class Shown:
    """An indicator of the facility that takes over, over the 30 days: now, and as if the merger had been made."""

    indicator: str
    now: Standing
    then: Standing


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a merger would do. `problems`: why it cannot be, in sentences; empty when it can."""

    merged: Facility
    into: Facility
    merger: Merger
    problems: list[str]
    arriving: list[Arriving]
    figures: list[Shown]
    people: list[Account]
    signed: list[tuple[str, str]]
    """(facility, month) with signatures and days that the merger concerns."""
    pauses: list[Pause]
    plans: list[tuple[str, str]]
    """(plan, section) whose words name the merged facility."""
    alerts: int


def look(
    connection: Connection, yardstick: Yardstick, merged: str, into: str, merger: Merger, moment: datetime
) -> Outlook:
    """What would happen if `merged` were merged into `into`. Raises NotFoundError for facilities that are not there."""
    one, other = _both(connection, merged, into)
    problems = _problems(connection, yardstick.catalogue, one, other, merger, local_day(moment))
    return Outlook(
        merged=one,
        into=other,
        merger=merger,
        problems=problems,
        arriving=_arriving(connection, merged, merger),
        figures=[] if problems else _figures(connection, yardstick, one, other, merger, moment),
        people=[found for found in people.accounts(connection, merged) if found.disabled_at is None],
        signed=_signed(connection, (merged, into), merger.day, local_day(moment)),
        pauses=[found for found in registry.pauses(connection, [merged]) if found.last_day >= merger.day],
        plans=sorted(set(_named(yardstick, merged))),
        alerts=len(alerts.alerts(connection, merged, "open", _MOST_ALERTS)),
    )


def merge(store: Store, catalogue: Catalogue, merged: str, merger: Merger, at: datetime, by: str = OPERATOR) -> None:
    """From `merger.day` on the sources of `merged` count for `merger.into`; its own days end the day before.

    All of it or nothing. Raises ConfigError with every reason against it (a second time too), NotFoundError.
    """
    with store.write() as connection:
        one, other = _both(connection, merged, merger.into)
        # a push waits, so that no source begins to count beside another between the look and the change
        registry.lock(connection, [merged, merger.into])
        problems = _problems(connection, catalogue, one, other, merger, local_day(at))
        if problems:
            raise ConfigError(problems)
        registry.set_merger(connection, merged, merger, merger.day - _DAY)
        registry.touch(connection, [merged, merger.into])
        _note(connection, "facility_merged", one, merger, at, by, {"active_to": one.active_to and str(one.active_to)})


def undo(store: Store, merged: str, at: datetime, by: str = OPERATOR) -> None:
    """As if the facility had never been merged: its sources count for it again. Raises ConfigError, NotFoundError."""
    with store.write() as connection:
        one = next(iter(registry.facilities(connection, [merged])), None)
        if one is None:
            raise NotFoundError(f"chưa đăng ký cơ sở “{merged}”")
        if one.merger is None:
            raise ConfigError(f"cơ sở {merged} không sáp nhập vào cơ sở nào")
        registry.lock(connection, [merged, one.merger.into])
        registry.set_merger(connection, merged, None, None)
        registry.touch(connection, [merged, one.merger.into])
        _note(connection, "merger_undone", one, one.merger, at, by, None)


def _note(
    connection: Connection, action: str, one: Facility, merger: Merger, at: datetime, by: str, before: object
) -> None:
    """A line for each of both: people of a facility see what concerns theirs."""
    said = {"into": merger.into, "day": str(merger.day), "part": merger.part}
    for place in (one.id, merger.into):
        was, now = (before, said) if action == "facility_merged" else (said, None)
        people.note(connection, at, by, action, one.id, facility=place, before=was, after=now)


def _both(connection: Connection, merged: str, into: str) -> tuple[Facility, Facility]:
    found = {one.id: one for one in registry.facilities(connection, [merged, into])}
    missing = [one for one in (merged, into) if one not in found]
    if missing:
        raise NotFoundError("; ".join(f"chưa đăng ký cơ sở “{one}”" for one in missing))
    return found[merged], found[into]


def _problems(
    connection: Connection, catalogue: Catalogue, one: Facility, other: Facility, merger: Merger, today: date
) -> list[str]:
    found = [*_wrong_places(one, other, merger.day), *_wrong_days(one, other, merger, today)]
    if not found:
        found = list(_overlaps(connection, catalogue, one.id, merger))
    return found


def _wrong_places(one: Facility, other: Facility, day: date) -> Iterator[str]:
    if one.id == other.id:
        yield "không sáp nhập được một cơ sở vào chính nó"
    if one.merger is not None:
        yield f"cơ sở {one.id} đã sáp nhập vào {one.merger.into} từ ngày {one.merger.day:%d/%m/%Y}"
    if other.merger is not None:
        yield (
            f"cơ sở {other.id} đã sáp nhập vào {other.merger.into} từ ngày {other.merger.day:%d/%m/%Y}: "
            f"hãy sáp nhập vào {other.merger.into}"
        )
    elif (other.active_to and other.active_to < day) or (other.active_from and other.active_from > day):
        yield f"cơ sở {other.id} không hoạt động vào ngày {day:%d/%m/%Y}"


def _wrong_days(one: Facility, other: Facility, merger: Merger, today: date) -> Iterator[str]:
    day, part = merger.day, merger.part
    if not FIRST_DAY < day <= today + _AHEAD:
        yield f"ngày sáp nhập phải sau {FIRST_DAY:%d/%m/%Y} và không quá một năm nữa"
    elif one.active_from is not None and one.active_from >= day:
        yield f"cơ sở {one.id} hoạt động từ {one.active_from:%d/%m/%Y}, phải trước ngày sáp nhập"
    elif one.active_to is not None and one.active_to < day - _DAY and one.merger is None:
        yield (
            f"cơ sở {one.id} đã ngừng hoạt động sau ngày {one.active_to:%d/%m/%Y}: "
            f"sáp nhập từ ngày {one.active_to + _DAY:%d/%m/%Y}, hoặc bỏ ngày ngừng trước"
        )
    if part is not None and not (0 < len(part) <= _LONGEST_PART and part.isprintable() and "/" not in part):
        yield f"tên phần phải có từ 1 đến {_LONGEST_PART} ký tự, không có dấu gạch chéo"


def _overlaps(connection: Connection, catalogue: Catalogue, merged: str, merger: Merger) -> Iterator[str]:
    """Measures that sources of both would count, from the day on, without anybody having said that they add."""
    known = registry.mergers(connection)
    arriving = {one.giver for one in feeds(known, [merged])}
    counting: dict[tuple[str, str | None, bool], list[Source]] = defaultdict(list)
    fed = feeds(known | {merged: merger}, [merger.into])
    for feed in fed:
        for claim in tallies.claims(connection, tallies.sources(connection, [feed.giver])):
            seen = replace(claim, source=feed.seen(claim.source))
            if seen.source.role == "count" and seen.covers(merger.day, date.max):
                counting[claim.measure, seen.source.part, feed.giver in arriving].append(claim.source)
    for measure, part in sorted({key[:2] for key in counting}, key=lambda key: (key[0], key[1] or "")):
        here, there = counting[measure, part, False], counting[measure, part, True]
        if here and there:
            name = catalogue.measures[measure].vi if measure in catalogue.measures else measure
            yield (
                f"“{name}” ({measure}): từ ngày {merger.day:%d/%m/%Y} cả nguồn {_called(here)} và nguồn "
                f"{_called(there)} cùng đếm. Nếu chúng đếm những ca khác nhau, hãy đặt tên phần để hai số được cộng; "
                f"nếu không, hãy ngừng một trong hai từ trước ngày đó"
            )


def _called(sources: Sequence[Source]) -> str:
    return ", ".join(f"“{one.name}” của {one.facility}" for one in sources)


# --- what will happen


def _arriving(connection: Connection, merged: str, merger: Merger) -> list[Arriving]:
    found = []
    givers = [one.giver for one in feeds(registry.mergers(connection), [merged])]
    claims: dict[int, set[str]] = defaultdict(set)
    sources = [one for one in tallies.sources(connection, givers) if one.role == "count"]
    for claim in tallies.claims(connection, sources):
        if claim.covers(merger.day, date.max):
            claims[claim.source.id].add(claim.measure)
    days: dict[int, set[date]] = defaultdict(set)
    for row in tallies.between(connection, sources, merger.day, date.max):
        days[row.source].add(row.day)
    for source in sources:
        if claims[source.id] or days[source.id]:
            found.append(Arriving(source, tuple(sorted(claims[source.id])), len(days[source.id])))
    return found


def _figures(
    connection: Connection, yardstick: Yardstick, one: Facility, other: Facility, merger: Merger, moment: datetime
) -> list[Shown]:
    today = local_day(moment)
    first = history(("30d",), yardstick.thresholds, today)
    known = registry.mergers(connection)
    found: list[Mapping[str, Standing]] = []
    for mergers in (known, known | {one.id: merger}):
        (data,) = load(connection, yardstick.catalogue, [other], first, today, mergers)
        found.append({each.indicator: each for each in standings(data, yardstick, moment, ("30d",))})
    now, then = found
    return [Shown(code, now[code], then[code]) for code in now]


def _signed(connection: Connection, places: Sequence[str], day: date, today: date) -> list[tuple[str, str]]:
    months, first = [], day.replace(day=1)
    while first <= today:
        months.append(f"{first:%Y-%m}")
        first = (first + timedelta(days=31)).replace(day=1)
    found = signatures.of(connection, places, months)
    return sorted({(one.facility, one.period) for signed in found.values() for one in signed})


def _named(yardstick: Yardstick, facility: str) -> Iterator[tuple[str, str]]:
    for plan in yardstick.plans:
        for target in plan.targets:
            own = {one.facility for one in target.overrides} | {one.facility for one in target.baselines}
            if facility in own or facility in target.applies_to.facilities:
                yield plan.short, target.section
