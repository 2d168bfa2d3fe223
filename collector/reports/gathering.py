"""What a report is made from: where every facility stood in a period and in the one before, and what people said.

A period that is over is judged as versions of it are signed: without the silence of today.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import Enum

from collector import confirm, windows
from collector import manual as manual_targets
from collector.confirm import Month
from collector.figures import FacilityData, load
from collector.manual import ManualState
from collector.reports.periods import Period
from collector.scopes import PROVINCE, Scopes, ScopeStanding
from collector.standings import Standing, held_against, judge, standing_over
from collector.store import Connection, alerts, registry, signatures, tallies
from collector.store import manual as manual_figures
from collector.store.registry import Facility
from collector.store.signatures import Signature
from collector.thresholds import Confirmation
from collector.yardstick import Bound, Yardstick, applies
from contract.days import DayRange, local_day, midnight
from contract.errors import NotFoundError
from contract.plan import Follow, Plan, Target
from contract.verdict import Verdict

# Facilities whose tallies are in memory at once: those of a year and the one before are many.
_BATCH = 40
_MOST_ALERTS = 200
_ONE = timedelta(days=1)
_UNJUDGED = (Verdict.NOT_APPLICABLE, Verdict.NO_DATA, Verdict.UNKNOWN, Verdict.INSUFFICIENT)


class Mark(Enum):
    """Whether the facility has confirmed a figure: all months that the period touches; the value stands beside it."""

    CONFIRMED = ""
    UNCONFIRMED = "(*)"
    DISPUTED = "(**)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A facility and an indicator. `seen`: the newest day with data, in the period or before it.

    `reasons`: what the facility said, in its own words: disputing the figure, answering alerts.
    """

    facility: Facility
    now: Standing
    before: Standing
    seen: date | None
    mark: Mark
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pooled:
    """The facilities of a row together: their cases, and how many of them are on target (None: no target)."""

    cases: ScopeStanding | None
    facilities: ScopeStanding | None


@dataclass(frozen=True, slots=True)
class Row:
    """A target of a plan (None: an indicator that no plan asks for) and the facilities held against it."""

    plan: Plan | None
    target: Target | None
    indicator: str
    lines: tuple[Line, ...]
    now: Pooled
    before: Pooled


@dataclass(slots=True)
class Followed:
    """A measure that a plan only asks to follow: cases by category, of all facilities; None: nobody has data."""

    plan: Plan
    follow: Follow
    now: Counter[str] | None = None
    before: Counter[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """All that a report says, not yet in words. `only`: the facility it is about; None: the province."""

    period: Period
    days: DayRange
    moment: datetime
    yardstick: Yardstick
    only: Facility | None
    facilities: Sequence[Facility]
    lines: Sequence[Line]
    plans: Sequence[Plan]
    rows: Sequence[Row]
    followed: Sequence[Followed]
    manual: Sequence[tuple[ManualState, ManualState]]
    """Now, and at the end of the period before."""


@dataclass
class _Span:
    """The days and moments in which figures are taken."""

    period: Period
    days: DayRange
    before: DayRange
    moment: datetime
    today: date = field(init=False)

    def __post_init__(self) -> None:
        self.today = local_day(self.moment)

    @property
    def months(self) -> list[DayRange]:
        """The months that the period touches, also beyond its days."""
        found = {windows.period("monthly", day).first for day in self.days}
        return [windows.period("monthly", first) for first in sorted(found)]

    @property
    def loaded(self) -> DayRange:
        """The days that must be in memory: of both periods and of whole months that people sign."""
        return DayRange(min(self.before.first, self.months[0].first), max(self.days.last, self.months[-1].last))


def gather(
    connection: Connection,
    yardstick: Yardstick,
    rules: Confirmation,
    period: Period,
    only: str | None,
    moment: datetime,
) -> Gathered:
    """Read and judge. `only`: the id of a facility. Raises NotFoundError, BadRequestError (no day to report)."""
    span = _Span(period, period.days(local_day(moment)), period.previous().whole, moment)
    known = registry.facilities(connection, None if only is None else [only])
    if only is not None and not known:
        raise NotFoundError("không có cơ sở này")
    facilities = [one for one in known if one.was_active(span.days)]
    plans = [one for one in yardstick.plans if _in_force(one, yardstick.plans, span.days.last)]
    followed = [Followed(plan, one) for plan in plans for one in plan.follow]
    lines: list[Line] = []
    for place in range(0, len(facilities), _BATCH):
        batch = facilities[place : place + _BATCH]
        signed = signatures.of(connection, [one.id for one in batch], [f"{one.first:%Y-%m}" for one in span.months])
        data = load(connection, yardstick.catalogue, batch, span.loaded.first, span.loaded.last)
        for one in data:
            lines += _lines(connection, one, yardstick, rules, span, signed[one.facility.id])
            _follow(one, followed, span)
    rows = [] if only is None and not facilities else list(_rows(lines, plans, yardstick, span))
    entered = manual_figures.figures(connection, [one.id for one in plans]) if only is None else []
    asked = plans if only is None else []
    states = (manual_targets.states(asked, entered, day) for day in (span.days.last, span.before.last))
    return Gathered(
        period=period,
        days=span.days,
        moment=moment,
        yardstick=yardstick,
        only=known[0] if only is not None else None,
        facilities=facilities,
        lines=lines,
        plans=plans,
        rows=rows,
        followed=followed,
        manual=list(zip(*states, strict=True)),
    )


def _in_force(plan: Plan, plans: Sequence[Plan], day: date) -> bool:
    """Whether a plan is held against anybody on `day`; in its last month not once another has taken over."""
    later = any(o.first_day > plan.first_day and o.last_day > plan.last_day and o.first_day <= day for o in plans)
    return plan.first_day <= day <= plan.until and (day <= plan.last_day or not later)


# --- a facility


def _lines(
    connection: Connection,
    data: FacilityData,
    yardstick: Yardstick,
    rules: Confirmation,
    span: _Span,
    signed: Sequence[Signature],
) -> Iterator[Line]:
    months = list(_months(data, yardstick, rules, span, signed))
    told = _told(connection, data.facility.id, span)
    for code, indicator in yardstick.catalogue.indicators.items():
        if applies(indicator, code, data.facility):
            mark, disputed = _mark(code, months)
            now = _judged(data, yardstick, code, span.days, span)
            yield Line(
                facility=data.facility,
                now=now,
                before=_judged(data, yardstick, code, span.before, span),
                seen=_seen(connection, data, indicator.measure, span.days.last),
                mark=mark,
                reasons=(*disputed, *(told.get(code) or (told.get(None, ()) if now.as_of is None else ()))),
            )


def _until(data: FacilityData, measure: str, last: date) -> FacilityData:
    """What was known of a measure on the day `last`: its newest period must not be one that came later."""
    then = FacilityData(data.facility, data.pauses, data.sources, data.claims)
    for (source, code), rows in data.rows.items():
        if code == measure:
            then.rows[source, code] = {day: row for day, row in rows.items() if day <= last}
    return then


def _judged(data: FacilityData, yardstick: Yardstick, code: str, days: DayRange, span: _Span) -> Standing:
    is_running = days is span.days and not span.period.is_over(span.today)
    moment = span.moment if is_running else midnight(days.last + _ONE)
    measure = yardstick.catalogue.indicators[code].measure
    counted = yardstick.catalogue.measures[measure]
    if windows.is_long(data.cadence(measure, counted.cadence)):
        data = _until(data, measure, days.last)
    found = standing_over(data, yardstick, code, days, f"{days.first}_{days.last}", moment)
    if is_running:
        return found
    verdict = judge(found, found.bound, counted.min_base, yardstick.thresholds, has_data=found.as_of is not None)
    return replace(found, verdict=verdict, silent_since=None)


def _seen(connection: Connection, data: FacilityData, measure: str, last: date) -> date | None:
    days = [day for day in data.by_day(measure) if day <= last]
    if days:
        return max(days)
    newest = [tallies.newest_day(connection, one.source.id, measure) for one in data.counted(measure)]
    return max((day for day in newest if day is not None and day <= last), default=None)


def _months(
    data: FacilityData, yardstick: Yardstick, rules: Confirmation, span: _Span, signed: Sequence[Signature]
) -> Iterator[Month | None]:
    """Where the confirmation of each month stands; None: nobody has signed, or it is not over yet."""
    for days in span.months:
        after = days.last + _ONE
        if not data.facility.was_active(days):
            continue
        if span.today < after:
            yield None
        else:
            # on the day after a month it is the newest of those that are over
            of_month = [one for one in signed if one.period == f"{days.first:%Y-%m}"]
            yield confirm.recent(data, yardstick, rules, of_month, midnight(after))[-1] if of_month else None


def _mark(code: str, months: Sequence[Month | None]) -> tuple[Mark, list[str]]:
    """The mark of an indicator, and why it is disputed."""
    reasons = []
    for month in months:
        if month is not None and month.state == "disputed":
            last = next(one for one in reversed(month.signatures) if one.decision == "disputed")
            if code in last.reasons:
                named = f"tháng {month.period[5:]}/{month.period[:4]}"
                reasons.append(f"Ý kiến về số liệu {named}: {last.reasons[code]}")
    if reasons:
        return Mark.DISPUTED, reasons
    is_confirmed = bool(months) and all(one is not None and one.state == "confirmed" for one in months)
    return Mark.CONFIRMED if is_confirmed else Mark.UNCONFIRMED, []


def _told(connection: Connection, facility: str, span: _Span) -> Mapping[str | None, tuple[str, ...]]:
    """What the facility answered to alerts that were on in the period, by indicator; None: of the facility as such."""
    begin, end = midnight(span.days.first), midnight(span.days.last + _ONE)
    found: dict[str | None, list[str]] = defaultdict(list)
    for one in reversed(alerts.alerts(connection, facility, "all", _MOST_ALERTS)):
        was_on = one.starts_at < end and (one.ends_at is None or one.ends_at >= begin)
        if was_on and one.answer and one.answered_at:
            found[one.indicator].append(f"Trả lời cảnh báo ngày {local_day(one.answered_at):%d/%m/%Y}: {one.answer}")
    return {code: tuple(dict.fromkeys(texts)) for code, texts in found.items()}


def _follow(data: FacilityData, followed: Sequence[Followed], span: _Span) -> None:
    one_facility = data.facility
    for one in followed:
        if not one.follow.applies_to.includes(one_facility.id, one_facility.level, one_facility.ownership):
            continue
        by_day = data.by_day(one.follow.measure)
        if any(day in span.days for day in by_day):
            one.now = (one.now or Counter()) + Counter(data.counts(one.follow.measure, span.days))
        if any(day in span.before for day in by_day):
            one.before = (one.before or Counter()) + Counter(data.counts(one.follow.measure, span.before))


# --- many facilities


def _rows(lines: Sequence[Line], plans: Sequence[Plan], yardstick: Yardstick, span: _Span) -> Iterator[Row]:
    """The targets in the plans' own order, then what no plan asks for."""
    by_rank: dict[tuple[int, int], list[Line]] = defaultdict(list)
    unasked: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        bounds = list(yardstick.all_bound(line.now.indicator, line.facility, span.days.last))
        followed = list(_only_followed(line, plans, yardstick))
        for bound in bounds:
            by_rank[bound.rank].append(_held(line, bound, yardstick))
        for rank in followed:
            by_rank[rank].append(_held(line, None, yardstick))
        if not bounds and not followed:
            unasked[line.now.indicator].append(line)
    for number, plan in enumerate(yardstick.plans):
        for place, target in enumerate(plan.targets):
            found = by_rank.get((number, place), [])
            if found or plan in plans:
                yield _row(plan, target, target.indicator, found, yardstick)
    for code in yardstick.catalogue.indicators:
        if code in unasked:
            yield _row(None, None, code, unasked[code], yardstick)


def _only_followed(line: Line, plans: Sequence[Plan], yardstick: Yardstick) -> Iterator[tuple[int, int]]:
    """The ranks of targets without a figure that name this line."""
    one = line.facility
    for number, plan in enumerate(yardstick.plans):
        for place, target in enumerate(plan.targets if plan in plans else ()):
            is_mine = target.indicator == line.now.indicator and target.ratio is None
            if is_mine and target.applies_to.includes(one.id, one.level, one.ownership):
                yield number, place


def _held(line: Line, bound: Bound | None, yardstick: Yardstick) -> Line:
    """The line, its standings held against another target than the one that binds it."""
    return replace(line, now=_against(line.now, bound, yardstick), before=_against(line.before, bound, yardstick))


def _against(one: Standing, bound: Bound | None, yardstick: Yardstick) -> Standing:
    verdict = one.verdict
    if verdict not in _UNJUDGED:
        verdict = Verdict.NO_TARGET
        if bound is not None:
            verdict = held_against(bound, one.numerator, one.denominator, yardstick.thresholds)
    missing = None if bound is None else bound.missing(one.numerator, one.denominator)
    return replace(one, bound=bound, verdict=verdict, missing=missing)


def _row(plan: Plan | None, target: Target | None, code: str, lines: Sequence[Line], yardstick: Yardstick) -> Row:
    now = _pooled([(one.facility, one.now) for one in lines], yardstick)
    before = _pooled([(one.facility, one.before) for one in lines], yardstick)
    return Row(plan, target, code, tuple(lines), now, before)


def _pooled(found: Sequence[tuple[Facility, Standing]], yardstick: Yardstick) -> Pooled:
    scopes = Scopes(yardstick)
    for facility, one in found:
        scopes.put(facility, [one])
    of = {one.unit: one for one in scopes.standings() if one.scope == PROVINCE}
    return Pooled(of.get("cases"), of.get("facilities"))
