"""Findings on the quality of a facility's data, each with its evidence: what a planning officer should ask about.

Pure functions of what is stored; nothing is kept, so a finding ends when its evidence is too old or corrected:

    jump, drop                       a day of the last 7
    frozen                           a run that reaches into the last 7 days
    stands_still                     now
    always_full, unknown_share, check_differs     the last 30 days (of a longer cadence: the newest period)

Only days that were read to their end are judged. Days that a holiday or a pause unsettles are no yardstick and are not
judged by one; nor are days that other parts have counted, nor totals too small to tell anything.

Measured by test_findings.py on simulated honest facility-years (20 to 1,500 cases a day, weekly pattern, closed
Sundays, growth, Tết, days that scatter by 5 to 15 % beyond chance; no money): of 200 years of two measures, 27 weeks
had a jump or a drop (0.14 a year; with four measures 0.30; where days scatter by 20 to 30 %, 0.8), none another
finding. Of 200 faults on days of 100 cases or more: doubled 183 found (92 %), halved 174 (87 %), frozen for 7 days all;
where days scatter by 20 to 30 %, one doubled or halved day in five.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from math import log, sqrt
from statistics import median
from typing import NamedTuple

from collector import windows
from collector.figures import FacilityData
from collector.store.tallies import Claim, Source
from collector.thresholds import Limits
from collector.yardstick import applies
from contract import daybits
from contract.calendar import Calendar
from contract.catalogue import UNKNOWN, Cadence, Catalogue, Indicator, Measure
from contract.days import DayRange, local_day

HISTORY = timedelta(days=61)
"""What findings look back on: eight weeks before each of the last days."""
_RECENT_DAYS = 7
_WINDOW_DAYS = 30
_WEEKS = 8
# However long a holiday or a pause is, it unsettles no more days than this before and after it.
_LONGEST_UNREST = 7
# A weekday's habit is not believed before it was seen so often.
_HABIT_WEEKS = 4
# The days of these kinds fill up while files come in: a low day there is late, not lost.
_FILLING_KINDS = {"his.bhyt_xml", "sheet.file", "sheet.upload"}
_WEEKDAYS = ("thứ Hai", "thứ Ba", "thứ Tư", "thứ Năm", "thứ Sáu", "thứ Bảy", "Chủ nhật")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Finding:
    """`first_day`: the first day of the evidence. `evidence`: one Vietnamese sentence of numbers and names."""

    facility: str
    indicator: str
    code: str
    first_day: date
    evidence: str


def findings(
    data: FacilityData, catalogue: Catalogue, calendar: Calendar, limits: Limits, moment: datetime
) -> list[Finding]:
    """What stands at `moment`, at most one of a code for each indicator that applies to the facility."""
    today = local_day(moment)
    days = _Days(_settled(data, calendar, today), today)
    working = _Days(frozenset(day for day in days.settled if calendar.is_working(day)), today)
    indicators: dict[str, dict[str, Indicator]] = defaultdict(dict)
    for code, indicator in catalogue.indicators.items():
        if applies(indicator, code, data.facility) and data.counted(indicator.measure):
            indicators[indicator.measure][code] = indicator
    found = []
    for code, made in indicators.items():
        measure = catalogue.measures[code]
        cadence = data.cadence(code, measure.cadence)
        one = working if cadence == "working" else days
        series = _series(data, measure, code, cadence, one, calendar, limits)
        of_measure = list(_of_measure(series))
        for name, indicator in made.items():
            for rule, evidence in (*of_measure, *_of_indicator(series, indicator)):
                found.append(Finding(data.facility.id, name, rule, *evidence))
    return found


def expected_days_behind(
    data: FacilityData, source: Source, catalogue: Catalogue, calendar: Calendar, today: date
) -> int | None:
    """The expected days that a source was read on without a case since its newest day with one.

    0: today or yesterday had one, or nothing was expected since. None: it never had one, is retired, or counts only
    what has no daily figures. A day is expected by how regularly its weekday has had cases (`_due`).
    """
    if source.is_retired(today):
        return None
    claims = [one for here in data.claims.values() for one in here if one.source.id == source.id]
    claims = [
        one
        for one in claims
        if one.measure in catalogue.measures
        and not windows.is_long(source.cadence or catalogue.measures[one.measure].cadence)
    ]
    return _behind(data, source, claims, _settled(data, calendar, today), calendar, today)


class _Days:
    """The days that findings look at; `settled` are those that may be compared with each other."""

    def __init__(self, settled: frozenset[date], today: date) -> None:
        self.settled = settled
        self.today = today
        self.window = list(DayRange.ending(today - _DAY, _WINDOW_DAYS))
        recent = [day for day in self.window[-_RECENT_DAYS:] if day in settled]
        weeks = [timedelta(weeks=n) for n in range(1, _WEEKS + 1)]
        self.before = {day: [day - one for one in weeks if day - one in settled] for day in recent}
        """Of each recent day, the same weekdays before it, the newest first."""


@dataclass(frozen=True, slots=True)
class _Series:
    """One measure of a facility.

    `totals`: of the days in HISTORY that were read to their end. `parts`: which parts have counted a day; empty where
    there is but one. `shown`: the days of the 30, or of the newest period, with their counts; `sums`: their sum.
    """

    data: FacilityData
    measure: Measure
    code: str
    limits: Limits
    calendar: Calendar
    days: _Days
    is_long: bool
    span: DayRange
    totals: Mapping[date, int]
    parts: Mapping[date, frozenset[str | None]]
    shown: Mapping[date, Mapping[str, int]]
    sums: Mapping[str, int]

    @property
    def size(self) -> int:
        """What one case is in the unit of the measure."""
        return self.limits.vnd_of_a_case if self.measure.unit == "VND" else 1

    def amount(self, count: float) -> str:
        """A count as people read it."""
        return f"{_number(count)} {'đồng' if self.measure.unit == 'VND' else 'trường hợp'}"


_Evidence = tuple[date, str]


def _series(
    data: FacilityData,
    measure: Measure,
    code: str,
    cadence: Cadence,
    days: _Days,
    calendar: Calendar,
    limits: Limits,
) -> _Series:
    claims, by_day, today = data.counted(code), data.by_day(code), days.today
    told = min((_told(one, today) for one in claims if one.covers(today)), default=today)
    span, shown, totals = DayRange(days.window[0], days.window[-1]), days.window, {}
    if windows.is_long(cadence):
        span = data.newest_period(code, cadence, today) or span
        shown = sorted(day for day in by_day if day in span)
    else:
        first = today - HISTORY
        totals = {day: sum(counts.values()) for day, counts in by_day.items() if first <= day < told}
        shown = [day for day in shown if day in totals]
    counted = {day: by_day[day] for day in shown}
    sums: dict[str, int] = defaultdict(int)
    for counts in counted.values():
        for category, count in counts.items():
            sums[category] += count
    parts = _parts(data, claims, code)
    is_long = windows.is_long(cadence)
    return _Series(data, measure, code, limits, calendar, days, is_long, span, totals, parts, counted, sums)


def _told(claim: Claim, today: date) -> date:
    """The days before this one were read to their end, as far as is known."""
    read = claim.source.since if f'"{claim.measure}"' in claim.source.failed else claim.source.read_at
    return today if read is None else min(today, local_day(read))


def _parts(data: FacilityData, claims: Iterable[Claim], code: str) -> Mapping[date, frozenset[str | None]]:
    """Which parts have counted a day, where there are several."""
    if len({one.source.part for one in claims}) < 2:
        return {}
    found: dict[date, set[str | None]] = defaultdict(set)
    for claim in claims:
        for day in data.rows.get((claim.source.id, code), ()):
            found[day].add(claim.source.part)
    return {day: frozenset(parts) for day, parts in found.items()}


def _settled(data: FacilityData, calendar: Calendar, today: date) -> frozenset[date]:
    """The days of HISTORY that are like others: the facility was open, and neither holiday nor pause was near.

    A holiday (or pause) of n days unsettles n days before and after it: before Tết half of the hospital is on
    leave, after it all come at once. Days worked instead of others, and those others, are no yardstick either.
    """
    first = today - HISTORY
    around = DayRange(first - _LONGEST_UNREST * _DAY, today + _LONGEST_UNREST * _DAY)
    paused = {day for one in data.pauses for day in around if one.first_day <= day <= one.last_day}
    off = [day for day in around if day in paused or day in calendar.work or calendar.holiday(day)]
    unsettled = set(off)
    for _, group in groupby(enumerate(off), key=lambda one: one[1] - one[0] * _DAY):
        run = [day for _, day in group]
        for distance in range(1, min(len(run), _LONGEST_UNREST) + 1):
            unsettled |= {run[0] - distance * _DAY, run[-1] + distance * _DAY}
    # the calendar has been asked above: here only what belongs to the facility
    open_days = windows.expected("daily", data.facility, (), DayRange(first, today - _DAY), calendar)
    return frozenset(daybits.days(open_days)) - unsettled


# --- of a measure ---------------------------------------------------------------------------------------------------


def _of_measure(series: _Series) -> Iterator[tuple[str, _Evidence]]:
    if not series.is_long:
        yield from _changes(series)
        yield from _named("stands_still", _stands_still(series))
        yield from _named("check_differs", _check_differs(series))


def _named(code: str, evidence: _Evidence | None) -> Iterator[tuple[str, _Evidence]]:
    if evidence is not None:
        yield code, evidence


class _Change(NamedTuple):
    """A day whose total is far from the `usual` of `weeks` same weekdays before it."""

    day: date
    total: int
    usual: float
    weeks: int

    @property
    def code(self) -> str:
        return "jump" if self.total > self.usual else "drop"


def _changes(series: _Series) -> Iterator[tuple[str, _Evidence]]:
    judged = (_change(series, day, before) for day, before in series.days.before.items() if day in series.totals)
    found = [change for change in judged if change]
    fills = any(one.source.kind in _FILLING_KINDS for one in series.data.counted(series.code))
    for code in ("jump",) if fills else ("jump", "drop"):
        of_code = [one for one in found if one.code == code]
        if of_code:
            yield code, (of_code[0].day, _change_sentence(series, of_code))


def _change(series: _Series, day: date, before: Iterable[date]) -> _Change | None:
    """Far from the median of the same weekdays before, by every one of three measures; else None."""
    limits, totals, parts = series.limits, series.totals, series.parts
    earlier = [totals[one] for one in before if one in totals and parts.get(one) == parts.get(day)]
    if len(earlier) < limits.earlier_days:
        return None
    total, usual = totals[day], median(earlier)
    kept = 1 - limits.change_percent / 100
    if usual < (limits.change_cases if total else limits.zero_cases) * series.size or not _is_apart(total, usual, kept):
        return None
    # a level that has moved for good is news in its first week, and growth is none
    moved = _is_apart(total, earlier[0], sqrt(kept)) and (total > earlier[0]) == (total > usual)
    if not moved or (total == 0 and min(earlier) == 0):
        return None
    # few cases scatter by chance, and some places scatter more; a day without any is told by its neighbours above
    far = limits.change_deviations
    by_chance = abs(total - usual) <= far * sqrt(usual * series.size)
    if total and (by_chance or abs(log(total / usual)) <= far * _scatter(series, day)):
        return None
    return _Change(day, total, usual, len(earlier))


def _is_apart(one: float, other: float, kept: float) -> bool:
    return min(one, other) < kept * max(one, other)


def _scatter(series: _Series, before: date) -> float:
    """The standard deviation of days from the median of their weekday, as a logarithm; a fifth may be faulty."""
    by_weekday = defaultdict(list)
    parts = series.parts.get(before)
    for day in series.days.settled:
        if day < before and day in series.totals and series.parts.get(day) == parts:
            by_weekday[day.weekday()].append(series.totals[day])
    deviations: list[float] = []
    for values in by_weekday.values():
        middle = median(values)
        if middle >= series.limits.zero_cases * series.size:
            deviations += (abs(log(value / middle)) for value in values if value)
    # of the four fifths that lie nearest: those of a normal distribution lie within 1.2816 standard deviations
    return sorted(deviations)[len(deviations) * 4 // 5] / 1.2816 if deviations else 0


def _change_sentence(series: _Series, changes: list[_Change]) -> str:
    day, total, usual, weeks = changes[-1]
    weekday = _WEEKDAYS[day.weekday()]
    when = f"{weekday[0].upper()}{weekday[1:]} {_day(day)}"
    before = f"{weeks} {weekday} trước đó"
    percent = _number(abs(total - usual) * 100 / usual)
    if total == 0:
        text = f"{when} không có số liệu nào, trong khi mức thường gặp của {before} là {series.amount(usual)}"
    else:
        moved = f"tăng {percent} %" if total > usual else f"giảm {percent} %"
        text = f"{when} có {series.amount(total)}, {moved} so với mức thường gặp là {_number(usual)} của {before}"
    if len(changes) > 1:
        text += f"; trong {_RECENT_DAYS} ngày qua có {len(changes)} ngày như vậy"
    return f"{text}."


def _stands_still(series: _Series) -> _Evidence | None:
    """The source of the measure that is furthest behind its own habit."""
    found = []
    for claim in series.data.counted(series.code):
        if not claim.covers(series.days.today):
            continue
        behind = _behind(series.data, claim.source, [claim], series.days.settled, series.calendar, series.days.today)
        if behind is not None and behind > series.limits.still_days:
            found.append((behind, claim.source))
    if not found:
        return None
    behind, source = max(found, key=lambda one: one[0])
    newest = _newest(series.data, source, [series.code], series.days.today)
    assert newest is not None
    return newest + _DAY, (
        f"Nguồn “{source.name}” vẫn đọc được nhưng ngày gần nhất có trường hợp là {_day(newest)}, "
        f"từ đó đã qua {_number(behind)} ngày lẽ ra phải có."
    )


def _newest(data: FacilityData, source: Source, measures: Iterable[str], today: date) -> date | None:
    """The newest day with a case: of these measures, else of the source, which remembers longer."""
    days = [
        day
        for measure in measures
        for day, counts in data.rows.get((source.id, measure), {}).items()
        if counts and day <= today
    ]
    return max(days, default=source.newest_day)


def _behind(
    data: FacilityData,
    source: Source,
    claims: Collection[Claim],
    settled: frozenset[date],
    calendar: Calendar,
    today: date,
) -> int | None:
    """Expected days since the newest day on which the source has counted a case of one of the claimed measures."""
    measures = [one.measure for one in claims]
    rows = [data.rows.get((source.id, one), {}) for one in measures]
    if any(here.get(day) for here in rows for day in (today, today - _DAY)):
        return 0
    newest = _newest(data, source, measures, today) if claims else None
    if newest is None:
        return None
    told = min(_told(one, today) for one in claims)
    first = min((day for here in rows for day in here), default=today)
    if newest < max(first, today - HISTORY):
        # it has stood still for longer than anybody remembers its habits
        return sum(calendar.is_working(day) for day in settled if newest < day < told)
    with_case = {day for here in rows for day, counts in here.items() if counts}
    return int(_due([day for day in settled if first <= day < told], newest, with_case))


def _due(days: Iterable[date], newest: date, with_case: Collection[date]) -> float:
    """The weight of the days after `newest`: 1 for a weekday that has had cases every week before.

    Otherwise the square of how often it had them. Squared, so that a station with a patient every other day is given
    the weeks after which chance is as unlikely a reason as after four days in a hospital.
    """
    seen, had = Counter[int](), Counter[int]()
    after = []
    for day in days:
        if day > newest:
            after.append(day.weekday())
        else:
            seen[day.weekday()] += 1
            had[day.weekday()] += day in with_case
    return sum((had[one] / max(seen[one], _HABIT_WEEKS)) ** 2 for one in after)


def _check_differs(series: _Series) -> _Evidence | None:
    """The first check source that differs over all days that both have, or on many of them."""
    limits, least = series.limits, series.limits.check_cases * series.size

    def differs(seen: int, owned: int) -> bool:
        return abs(seen - owned) >= least and abs(seen - owned) * 100 > limits.check_percent * owned

    for claim in series.data.claims[series.code]:
        if claim.source.role != "check" or claim.is_retired(series.days.today):
            continue
        rows = series.data.rows.get((claim.source.id, series.code), {})
        told = _told(claim, series.days.today)
        both = {
            day: (sum(rows[day].values()), series.totals[day]) for day in series.shown if day in rows and day < told
        }
        seen, owned = (sum(one[place] for one in both.values()) for place in (0, 1))
        apart = [day for day, pair in both.items() if differs(*pair)]
        if not differs(seen, owned) and len(apart) < limits.check_days:
            continue
        text = f"Trong {len(both)} ngày cả hai cùng có số liệu, nguồn đối chiếu “{claim.source.name}” đếm được "
        text += f"{series.amount(seen)}, số liệu đang dùng là {_number(owned)}"
        text += f" (lệch {_percent(abs(seen - owned), owned)})" if owned else ""
        text += f"; lệch quá {limits.check_percent} % ở {len(apart)} ngày." if apart else "."
        return min(apart or both), text
    return None


# --- of an indicator ------------------------------------------------------------------------------------------------


def _of_indicator(series: _Series, indicator: Indicator) -> Iterator[tuple[str, _Evidence]]:
    categories = [one for one in series.measure.categories if one not in indicator.excluded]
    base = sum(series.sums.get(one, 0) for one in categories)
    if not series.is_long:
        yield from _named("frozen", _frozen(series, indicator, categories))
    yield from _named("always_full", _always_full(series, indicator, categories, base))
    yield from _named("unknown_share", _unknown_share(series, base))


def _frozen(series: _Series, indicator: Indicator, categories: list[str]) -> _Evidence | None:
    """The newest run of days with the same total and share; days without a case neither count nor end it."""
    limits, found = series.limits, list[date]()
    with_case = [day for day in series.shown if series.totals[day]]
    for _, same in groupby(with_case, key=series.totals.__getitem__):
        days = list(same)
        if len(days) < limits.frozen_days:
            continue  # most runs: their shares need not be made
        for (_, base), group in groupby(days, key=lambda day: _share(series.shown[day], indicator, categories)):
            run = list(group)
            recent = run[-1] >= series.days.today - _RECENT_DAYS * _DAY
            if recent and len(run) >= limits.frozen_days and base >= limits.frozen_cases * series.size:
                found = run
    if not found:
        return None
    counts = series.shown[found[0]]
    numerator, base = _share(counts, indicator, categories)
    what = f"{_number(numerator)} trong {series.amount(base)}"
    if all(series.shown[day] == counts for day in found):
        named = {**{one: category.vi for one, category in series.measure.categories.items()}, UNKNOWN: "Chưa rõ"}
        what = ", ".join(f"{vi} {_number(counts.get(one, 0))}" for one, vi in named.items() if counts.get(one))
    days_text = f"Từ {_day(found[0])} đến {_day(found[-1])}, cả {len(found)} ngày có trường hợp"
    return found[0], f"{days_text} đều cho số liệu giống hệt nhau: {what}."


def _share(counts: Mapping[str, int], indicator: Indicator, categories: list[str]) -> tuple[int, int]:
    """Numerator and base of a day."""
    return sum(counts.get(one, 0) for one in indicator.adopted), sum(counts.get(one, 0) for one in categories)


def _always_full(series: _Series, indicator: Indicator, categories: list[str], base: int) -> _Evidence | None:
    """Large counts without one case outside the adopted categories."""
    limits = series.limits
    adopted = sum(series.sums.get(one, 0) for one in indicator.adopted)
    if base < limits.full_cases * series.size or adopted != base:
        return None
    bases = {day: _share(counts, indicator, categories)[1] for day, counts in series.shown.items()}
    large = sum(one >= limits.full_day_cases * series.size for one in bases.values())
    if large < limits.full_days and not series.is_long:
        return None
    with_case = [day for day, one in bases.items() if one]
    named = ", ".join(series.measure.categories[one].vi for one in indicator.adopted)
    days = "" if series.is_long else f" của {len(with_case)} ngày"
    return with_case[0], (
        f"{_span(series)}, toàn bộ {series.amount(base)}{days} đều thuộc nhóm {named}, không có nhóm nào khác."
    )


def _unknown_share(series: _Series, base: int) -> _Evidence | None:
    """More cases than the limit of which the source cannot tell the category."""
    unknown = series.sums.get(UNKNOWN, 0)
    total = unknown + base
    if total < series.measure.min_base * series.size or unknown * 100 <= series.limits.unknown_percent * total:
        return None
    first = next(day for day, counts in series.shown.items() if counts.get(UNKNOWN))
    percent = _percent(unknown, total)
    return first, f"{_span(series)}, {_number(unknown)} trong {series.amount(total)} ({percent}) chưa phân loại được."


def _span(series: _Series) -> str:
    return f"Từ {_day(series.span.first)} đến {_day(min(series.span.last, series.days.today))}"


def _day(day: date) -> str:
    return f"{day:%d/%m/%Y}"


def _number(value: float) -> str:
    return f"{int(value + 0.5):,}".replace(",", ".")


def _percent(part: int, whole: int) -> str:
    return f"{part * 100 / whole:.1f} %".replace(".", ",")
