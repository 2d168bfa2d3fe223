"""One indicator in the whole province: what it means, who asks for it, who stands where, and the way it goes."""

from datetime import date, timedelta
from fractions import Fraction
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from collector import charts, collation
from collector.overview import Asked, overview
from collector.pages.detail import SVG
from collector.pages.door import person_of, reader
from collector.pages.overview import WINDOWS
from collector.pages.rendering import Reader, page, target
from collector.parts import Parts, parts_of
from collector.places import DAILY
from collector.province import State
from collector.scopes import PROVINCE, ScopeStanding
from collector.store.people import Person
from collector.windows import Window
from contract.days import DayRange, local_day, now
from contract.errors import NotFoundError
from contract.facility import LEVELS
from contract.plan import Plan, Target
from contract.verdict import Verdict

router = APIRouter(include_in_schema=False)


def known(
    parts: Annotated[Parts, Depends(parts_of)], who: Annotated[Person, Depends(person_of)], indicator: str
) -> str:
    """The indicator an address names. Raises NotFoundError; people of one facility have its own pages."""
    if indicator not in parts.catalogue.indicators or who.facility is not None:
        raise NotFoundError("danh mục không có chỉ số này")
    return indicator


@router.get("/indicators/{indicator}")
def indicator_page(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(reader)],
    code: Annotated[str, Depends(known)],
    window: Window = "30d",
) -> Response:
    """The page."""
    moment = now()
    state = parts.province.at(moment)
    shown = overview(state, parts.catalogue, Asked(window=window, focus=code, order="best"), every_column=True)
    place = shown.columns.index(code) if code in shown.columns else None
    ranked = [] if place is None else [(row.place, cell) for row in shown.all_rows if (cell := row.cells[place])]
    indicator = parts.catalogue.indicators[code]
    return page(
        found,
        "indicator.html",
        code=code,
        indicator=indicator,
        measure=parts.catalogue.measures[indicator.measure],
        window=window,
        windows=WINDOWS,
        ranked=[(one, cell) for one, cell in ranked if cell.verdict is not Verdict.NOT_APPLICABLE],
        verdicts=shown.verdicts,
        total=shown.total.get(code),
        levels=LEVELS,
        scopes=_scopes(state, code, window),
        asks=_asks(parts, code, local_day(moment) - timedelta(days=1)),
        days=_trend(state, code),
    )


@router.get("/indicators/{indicator}/trend.svg")
def trend(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(reader)],
    code: Annotated[str, Depends(known)],
) -> Response:
    """The share of the province by day."""
    state = parts.province.at(now())
    days = _trend(state, code)
    scopes = [one for one in state.scopes if (one.scope, one.indicator) == (PROVINCE, code)]
    bound = next((one.bound for one in scopes if one.bound is not None), None)
    lines = [charts.Line(f"Chỉ tiêu {target(bound)}", [float(bound.ratio * 100)] * len(days), True)] if bound else []
    name = getattr(parts.catalogue.indicators[code], found.language)
    body = charts.share([day for day, *_ in days], [share for *_, share in days], name, lines)
    return Response(body, headers=SVG, media_type="image/svg+xml")


def _scopes(state: State, code: str, window: str) -> list[ScopeStanding]:
    """Those of the indicator: the province, its levels, its areas in Vietnamese order."""
    found = [one for one in state.scopes if (one.indicator, one.window, one.unit) == (code, window, "cases")]
    order = {"province": 0, "level": 1, "area": 2}
    return sorted(found, key=lambda one: (order[one.scope.kind], collation.key(one.scope.name)))


def _trend(state: State, code: str) -> list[tuple[date, int, int, Fraction | None]]:
    """(day, numerator, denominator, share) of all facilities together, by day."""
    days = list(DayRange.ending(local_day(state.moment) - timedelta(days=1), DAILY))
    each = [one.daily[code] for one in state.places.values() if code in one.daily]
    found = []
    for at, day in enumerate(days):
        numerator, denominator = sum(one[2 * at] for one in each), sum(one[2 * at + 1] for one in each)
        found.append((day, numerator, denominator, Fraction(numerator, denominator) if denominator else None))
    return found


def _asks(parts: Parts, code: str, day: date) -> list[tuple[Plan, Target, bool]]:
    """(plan, target, whether it is in force) of every plan that names the indicator, those in force first."""
    found = [
        (plan, target, plan.first_day <= day <= plan.until)
        for plan in parts.yardstick.plans
        for target in plan.targets
        if target.indicator == code
    ]
    return sorted(found, key=lambda one: not one[2])
