"""One indicator of one facility: the figure and all that stands behind it, with its charts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from collector import charts
from collector.figures import FacilityData, load
from collector.pages.door import person_of, reader
from collector.pages.facility import periods, place_of, unmapped
from collector.pages.rendering import Reader, page, target
from collector.parts import Parts, parts_of
from collector.places import Place
from collector.roads import road
from collector.standings import figures_of
from collector.store import corrections, registry
from collector.store.people import Person
from collector.yardstick import Bound
from contract.catalogue import UNKNOWN
from contract.days import DayRange, local_day, now
from contract.errors import NotFoundError
from contract.findings import WORDS
from contract.verdict import Verdict

router = APIRouter(include_in_schema=False)
_WEEKS = 13
_MOST_CORRECTIONS = 30
SVG = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, max-age=60",
}
"""Headers of a chart: it holds its own style, and nothing that runs."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What an address names, having been found and allowed."""

    parts: Parts
    place: Place
    code: str
    moment: datetime

    @property
    def measure(self) -> str:
        return self.parts.catalogue.indicators[self.code].measure

    @property
    def days(self) -> DayRange:
        """The last 13 weeks, each beginning on the same weekday, up to yesterday."""
        return DayRange.ending(local_day(self.moment) - timedelta(days=1), 7 * _WEEKS)

    def data(self) -> FacilityData:
        with self.parts.store.read() as connection:
            facilities = registry.facilities(connection, [self.place.facility.id])
            return load(connection, self.parts.catalogue, facilities, self.days.first, local_day(self.moment))[0]


def asked(
    parts: Annotated[Parts, Depends(parts_of)],
    who: Annotated[Person, Depends(person_of)],
    facility: str,
    indicator: str,
) -> _Asked:
    """Raises NotFoundError: no such facility, none of the person's business, or the indicator is not for it."""
    place = place_of(parts, who, facility)
    known = place.standings["30d"].get(indicator)
    if known is None or known.verdict is Verdict.NOT_APPLICABLE:
        raise NotFoundError("chỉ số này không áp dụng cho cơ sở")
    return _Asked(parts, place, indicator, now())


@router.get("/facilities/{facility}/indicators/{indicator}")
def detail(found: Annotated[Reader, Depends(reader)], one: Annotated[_Asked, Depends(asked)]) -> Response:
    """The page."""
    parts, place, data = one.parts, one.place, one.data()
    standing = place.standings["30d"][one.code]
    indicator = parts.catalogue.indicators[one.code]
    owners = [claim.source for claim in data.counted(indicator.measure)]
    with parts.store.read() as connection:
        corrected = corrections.newest(connection, [each.id for each in owners], indicator.measure, _MOST_CORRECTIONS)
    windows = {name: place.standings[name][one.code] for name in ("today", "7d", "30d", "month", "quarter", "year")}
    period, before = periods(parts.catalogue, [standing]).get(one.code, ("", ""))
    return page(
        found,
        "detail.html",
        place=place,
        facility=place.facility,
        code=one.code,
        indicator=indicator,
        measure=parts.catalogue.measures[indicator.measure],
        standing=standing,
        period=period,
        before=before,
        since=place.below.get(one.code),
        compared=place.compared[one.code],
        windows=windows,
        bounds=list(parts.yardstick.all_bound(one.code, place.facility, local_day(one.moment) - timedelta(days=1))),
        categories=_categories(one, data),
        days=_days(one, data),
        owners=[each for each in owners if each.last_day is None or each.last_day >= local_day(one.moment)],
        checks=[each for each in place.sources if each.role == "check"],
        unmapped=list(unmapped(place.sources, indicator.measure)),
        findings=[each for each in place.findings if each.indicator == one.code],
        finding_words=WORDS,
        corrected=corrected,
        catalogue=parts.catalogue,
    )


@router.get("/facilities/{facility}/indicators/{indicator}/share.svg")
def share_chart(one: Annotated[_Asked, Depends(asked)], found: Annotated[Reader, Depends(reader)]) -> Response:
    """The share by day, its target and its road."""
    data, bound = one.data(), one.place.standings["30d"][one.code].bound
    rows = _days(one, data)
    lines = [] if bound is None else _lines(one, data, bound)
    name = getattr(one.parts.catalogue.indicators[one.code], found.language)
    body = charts.share([day for day, *_ in rows], [share for *_, share in rows], name, lines)
    return Response(body, headers=SVG, media_type="image/svg+xml")


@router.get("/facilities/{facility}/indicators/{indicator}/categories.svg")
def categories_chart(one: Annotated[_Asked, Depends(asked)], found: Annotated[Reader, Depends(reader)]) -> Response:
    """The cases of each category by week."""
    data, measure = one.data(), one.parts.catalogue.measures[one.measure]
    weeks = [DayRange.ending(one.days.last - timedelta(weeks=n), 7) for n in reversed(range(_WEEKS))]
    counts = [data.counts(one.measure, week) for week in weeks]
    names = {code: getattr(words, found.language) for code, words in measure.categories.items()}
    by_category = {name: [week[code] for week in counts] for code, name in names.items()}
    named = getattr(Verdict.UNKNOWN, found.language)
    body = charts.stacked([week.first for week in weeks], by_category, [week[UNKNOWN] for week in counts], named)
    return Response(body, headers=SVG, media_type="image/svg+xml")


def _lines(one: _Asked, data: FacilityData, bound: Bound) -> list[charts.Line]:
    level = float(bound.ratio * 100)
    ways = [road(data, one.code, bound, day) for day in one.days]
    lines = [charts.Line(f"Chỉ tiêu {target(bound)}", [level] * len(one.days), is_target=True)]
    if any(way is not None for way in ways):
        lines.append(charts.Line("Lộ trình", [None if way is None else float(way * 100) for way in ways]))
    return lines


def _days(one: _Asked, data: FacilityData) -> list[tuple[date, int, int, int, Fraction | None]]:
    """(day, numerator, denominator, unclassified, share) of the days of the charts, the oldest first."""
    catalogue, told = one.parts.catalogue, data.by_day(one.measure)
    found = []
    for day in one.days:
        figures = figures_of(data, catalogue, catalogue.indicators[one.code], (day,))
        share = figures.share if day in told else None
        found.append((day, figures.numerator, figures.denominator, figures.unknown, share))
    return found


def _categories(one: _Asked, data: FacilityData) -> Sequence[Mapping[str, Any]]:
    """The categories with their cases in the days of the standing, and what they are to the indicator."""
    catalogue = one.parts.catalogue
    indicator, measure = catalogue.indicators[one.code], catalogue.measures[one.measure]
    counts = data.counts(one.measure, one.place.standings["30d"][one.code].days)
    most = max([*counts.values(), 1])
    found: list[Mapping[str, Any]] = []
    for code, words in measure.categories.items():
        role = "adopted" if code in indicator.adopted else "excluded" if code in indicator.excluded else "base"
        found.append({"words": words, "role": role, "count": counts[code], "width": round(240 * counts[code] / most)})
    unknown = counts[UNKNOWN]
    found.append({"words": Verdict.UNKNOWN, "role": "unknown", "count": unknown, "width": round(240 * unknown / most)})
    return found
