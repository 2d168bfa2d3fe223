"""What `/metrics` says of a facility, of scopes, of agents: samples, and the text of a piece.

prometheus_client's own writer takes about 15 µs a sample: too long for a province, so a piece is put together here.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import cache, lru_cache

from collector import confirm, sheets
from collector.clauses import Subject, clauses
from collector.confirm import Month
from collector.figures import FacilityData
from collector.findings import Finding, expected_days_behind
from collector.scopes import ScopeStanding
from collector.standings import Figures, Standing, below_since, is_complete
from collector.store.registry import Facility
from collector.yardstick import Yardstick
from contract import metrics
from contract.catalogue import UNKNOWN, Catalogue
from contract.days import DayRange, local_day, midnight
from contract.metrics import Family
from contract.verdict import Verdict

# What a newly registered facility has to install its agent.
GRACE = timedelta(days=7)
_WINDOW = 30
Sample = tuple[Family, Sequence[str], float | int]


def text(samples: Iterable[Sample]) -> dict[Family, bytes]:
    """The lines of each family, without its head, in UTF-8."""
    lines: dict[Family, list[str]] = defaultdict(list)
    for family, values, value in samples:
        lines[family].append(line(family, values, value))
    return {family: "".join(found).encode() for family, found in lines.items()}


def line(family: Family, values: Iterable[str], value: object) -> str:
    """A line of the family: the values of its labels, and what stands behind them."""
    return _form(family) % (*map(_escaped, values), value)


@cache
def _form(family: Family) -> str:
    """A place for each label, and one for the value."""
    labels = ",".join(f'{name}="%s"' for name in family.labels)
    return f"{family.name}{{{labels}}} %s\n"


def head(family: Family) -> str:
    """What stands above the lines of a family."""
    return f"# HELP {family.name} {family.help}\n# TYPE {family.name} gauge\n"


def of_past(
    data: FacilityData,
    yardstick: Yardstick,
    found: Iterable[Standing],
    compared: Mapping[str, tuple[Figures, Fraction | None]],
    months: Sequence[Month],
    doubts: Iterable[Finding],
    moment: datetime,
) -> Iterator[Sample]:
    """What of one facility the counts of the running day do not change; `months`: its last closed ones.

    `found`: its standings in the exported windows that end yesterday; `compared`: by indicator, the figures of the 30
    days before, and where the road is today.
    """
    today = local_day(moment)
    for source in data.sources:
        behind = expected_days_behind(data, source, yardstick.catalogue, yardstick.calendar, today)
        if behind is not None:
            yield metrics.SOURCE_BEHIND, (source.facility, source.name, source.kind), behind
    yield from _of_checks(data, today)
    changed = ((indicator, "changed_after_confirmation") for indicator, _ in confirm.changed(months))
    doubted = [*((one.indicator, one.code) for one in doubts), *changed]
    for one in found:
        yield from of_window(one)
        if one.window == "30d":
            yield metrics.VERDICT, (one.facility, one.indicator), int(one.verdict)
            if one.verdict is not Verdict.NOT_APPLICABLE:
                subject = _subject(one, data, yardstick, *compared[one.indicator])
                yield from _of_standing(subject, data, moment)
                if not subject.is_quiet or any(one.indicator == indicator for indicator, _ in doubted):
                    yield metrics.SAID, (one.facility, one.indicator, *clauses(subject)), 1
    for month in months:
        yield metrics.CONFIRMATION, (data.facility.id, month.period, month.state), 1
        if month.due is not None:
            yield metrics.CONFIRMATION_DUE, (data.facility.id, month.period), month.due.timestamp()
    for indicator, code in doubted:
        yield metrics.FINDING, (data.facility.id, indicator, code), 1


def of_today(
    data: FacilityData, yardstick: Yardstick, found: Iterable[Standing], today: date, with_tallies: bool
) -> Iterator[Sample]:
    """The rest: who it is, when it was heard and read, the running day; `found`: its standings in that, if exported."""
    yield from _of_registry(data.facility, data, today)
    yield from _of_sources(data, today)
    for one in found:
        yield from of_window(one)
    if with_tallies:
        yield from of_day(data, yardstick.catalogue, today)


def of_scopes(found: Iterable[ScopeStanding]) -> Iterator[Sample]:
    """The province, areas and levels."""
    for one in found:
        place = (one.scope.kind, one.scope.name, one.indicator)
        where = (*place, one.window, one.unit)
        if one.present or one.denominator or one.unit == "facilities":
            yield metrics.SCOPE_NUMERATOR, where, one.numerator
            yield metrics.SCOPE_DENOMINATOR, where, one.denominator
        if one.share is not None:
            yield metrics.SCOPE_RATIO, where, float(one.share)
        if one.bound is not None:
            yield metrics.SCOPE_TARGET, where, float(one.bound.ratio)
        if one.window == "30d":
            yield metrics.SCOPE_VERDICT, (*place, one.unit), int(one.verdict)
            if one.unit == "cases":
                for verdict in Verdict:
                    if verdict is not Verdict.NOT_APPLICABLE:
                        yield metrics.SCOPE_FACILITIES, (*place, verdict.code), one.verdicts.get(verdict, 0)


def of_plans(yardstick: Yardstick, today: date) -> Iterator[Sample]:
    """The deadline of every target in force: the end of its day."""
    yesterday = today - timedelta(days=1)
    found = {
        (target.indicator, plan.id): plan.deadline(target, yesterday)
        for plan in yardstick.plans
        for target in plan.targets
        if target.ratio is not None and plan.first_day <= yesterday <= plan.until
    }
    for place, deadline in found.items():
        yield metrics.DEADLINE, place, _timestamp(deadline + timedelta(days=1))


def of_agent(one: Mapping[str, object], facilities: Iterable[str]) -> Iterator[Sample]:
    """An agent as it reported itself; `facilities`: those it speaks for."""
    name, pushed = (str(one["id"]),), one["last_push_at"]
    yield metrics.AGENT_INFO, (*name, str(one["version"] or "")), 1
    for facility in facilities:
        yield metrics.AGENT_FACILITY, (*name, facility), 1
    yield metrics.AGENT_PUSH, name, pushed.timestamp() if isinstance(pushed, datetime) else 0
    for family, column in (
        (metrics.AGENT_WAITING, "waiting"),
        (metrics.AGENT_PARKED, "parked"),
        (metrics.AGENT_SKEW, "skew_seconds"),
    ):
        value = one[column]
        if isinstance(value, int | float):
            yield family, name, value


@lru_cache(maxsize=100_000)
def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _timestamp(day: date) -> float:
    return midnight(day).timestamp()


def of_window(one: Standing) -> Iterator[Sample]:
    """The counts and the share of a standing; nothing where it does not apply, or nobody has told."""
    if one.verdict is Verdict.NOT_APPLICABLE:
        return
    where = (one.facility, one.indicator, one.window)
    if one.as_of is not None:
        yield metrics.NUMERATOR, where, one.numerator
        yield metrics.DENOMINATOR, where, one.denominator
    if one.share is not None:
        yield metrics.RATIO, where, float(one.share)


def _subject(
    one: Standing, data: FacilityData, yardstick: Yardstick, before: Figures, expected: Fraction | None
) -> Subject:
    code = yardstick.catalogue.indicators[one.indicator].measure
    measure = yardstick.catalogue.measures[code]
    return Subject(
        one,
        data.cadence(code, measure.cadence),
        measure.noun_vi,
        # who has told nothing for so long that there are no figures still has a last day
        one.as_of or data.series(code).newest(),
        before if one.as_of is not None and is_complete(before, yardstick.thresholds) else None,
        expected,
    )


def _of_standing(subject: Subject, data: FacilityData, moment: datetime) -> Iterator[Sample]:
    """What is said of the 30 days only."""
    one, before = subject.now, subject.before
    place = (one.facility, one.indicator)
    since = below_since(data, one, moment)
    yield metrics.BELOW_SINCE, place, since.timestamp() if since else 0
    if subject.told is not None:
        yield metrics.AS_OF, place, _timestamp(subject.told)
    if one.as_of is not None:
        yield metrics.KNOWN, place, float(one.known)
    if before is not None and before.share is not None:
        yield metrics.PREVIOUS, place, float(before.share)
        yield metrics.PREVIOUS_DENOMINATOR, place, before.denominator
    if one.completeness is not None:
        yield metrics.COMPLETENESS, place, float(one.completeness)
    if one.bound is not None:
        plan = (*place, one.bound.plan.id)
        yield metrics.TARGET, plan, float(one.bound.ratio)
        if one.as_of is not None and one.missing is not None:
            yield metrics.MISSING, place, one.missing
        if subject.road is not None:
            yield metrics.ROAD, plan, float(subject.road)


def of_day(data: FacilityData, catalogue: Catalogue, day: date) -> Iterator[Sample]:
    """The counts of a day, parts added; of a measure without a tally nothing, which is not zero."""
    for code, measure in catalogue.measures.items():
        if day in data.by_day(code):
            counts = data.counts(code, [day])
            for category in (*measure.categories, UNKNOWN):
                yield metrics.TALLY, (data.facility.id, code, category), counts[category]


def _of_sources(data: FacilityData, today: date) -> Iterator[Sample]:
    for source in data.expected_sources(today):
        place = (source.facility, source.name, source.kind)
        if source.ok is not None:
            yield metrics.SOURCE_UP, place, int(source.ok)
        if source.read_at is not None:
            yield metrics.SOURCE_READ, place, source.read_at.timestamp()
        if source.newest_day is not None:
            yield metrics.SOURCE_NEWEST, place, _timestamp(source.newest_day)
        cases: Mapping[str, int] = json.loads(source.unmapped_cases)
        for measure, count in cases.items():
            yield metrics.SOURCE_UNMAPPED, (source.facility, source.name, measure), count


def _of_checks(data: FacilityData, today: date) -> Iterator[Sample]:
    """Check sources against the owners of what they check."""
    days = DayRange.ending(today - timedelta(days=1), _WINDOW)
    for measure, claims in data.claims.items():
        for claim in (one for one in claims if one.source.role == "check"):
            # only days that both have told: a day that one has not is no difference
            rows, owned_days = data.rows.get((claim.source.id, measure), {}), data.by_day(measure)
            both = [day for day in days if day in rows and day in owned_days and not claim.is_retired(day)]
            owned = sum(data.counts(measure, both).values())
            if owned:
                seen = sum(sum(rows[day].values()) for day in both)
                place = (data.facility.id, claim.source.name, measure)
                yield metrics.SOURCE_DIFFERENCE, place, (seen - owned) / owned


def _of_registry(one: Facility, data: FacilityData, today: date) -> Iterator[Sample]:
    yield metrics.FACILITY_INFO, (one.id, one.name, one.level, one.ownership, one.area), 1
    since = _expected_since(one, data, today)
    if since is not None:
        yield metrics.FACILITY_EXPECTED, (one.id,), since.timestamp()
    yield metrics.FACILITY_PUSH, (one.id,), one.last_push_at.timestamp() if one.last_push_at else 0


def _uploaded(data: FacilityData, today: date) -> Iterator[datetime]:
    """Of a facility that has nothing but uploaded sheets: when the next is expected."""
    sources = data.expected_sources(today)
    if all(one.kind == sheets.KIND for one in sources):
        yield from (one.read_at + sheets.PERIOD for one in sources if one.read_at is not None)


def _expected_since(one: Facility, data: FacilityData, today: date) -> datetime | None:
    """Registration + 7 days, the first day of activity, the end of the last pause, a month after the last sheet where
    people upload them; None while not expected.
    """
    if any(pause.first_day <= today <= pause.last_day for pause in data.pauses):
        return None
    if (one.active_from and today < one.active_from) or (one.active_to and today > one.active_to):
        return None
    ends = [midnight(pause.last_day + timedelta(days=1)) for pause in data.pauses if pause.last_day < today]
    begin = [midnight(one.active_from)] if one.active_from else []
    since = max([one.registered_at + GRACE, *begin, *ends, *_uploaded(data, today)])
    return since if local_day(since) <= today else None
