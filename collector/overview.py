"""The whole province as one table: which facilities, in which order, and what there is to say about them all.

Pure: it reads what the province holds (province.State) and asks no database.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from collector import collation
from collector.places import Place
from collector.province import State
from collector.scopes import PROVINCE, Scope, ScopeStanding
from collector.standings import Standing
from collector.yardstick import Bound
from contract.catalogue import Catalogue
from contract.days import local_day
from contract.verdict import Verdict

Order = Literal["worst", "best", "name", "oldest"]
PAGE = 50
"""Facilities on a page."""
_NEVER = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a reader asks for. `focus`: the indicator that verdicts, order and sparklines are about; "" asks nothing."""

    window: str = "30d"
    focus: str = ""
    area: str = ""
    level: str = ""
    ownership: str = ""
    verdict: str = ""
    name: str = ""
    order: Order = "worst"
    page: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """A facility and its standings, one a column; None: the indicator is not for its level."""

    place: Place
    cells: Sequence[Standing | None]


@dataclass(frozen=True, slots=True)
class Overview:
    """`rows`: of the page; `all_rows`: of all pages; `held`: facilities of each verdict in the focus, filter or not."""

    asked: Asked
    columns: Sequence[str]
    all_rows: Sequence[Row]
    rows: Sequence[Row]
    pages: int
    verdicts: Mapping[Verdict, int]
    silent: int
    unconfirmed: int
    month: str
    """The month that `unconfirmed` speaks of: yyyy-mm."""
    targets: Mapping[str, Bound]
    """By indicator: what most facilities are held against."""
    total: Mapping[str, ScopeStanding]
    """By indicator: where the chosen scope stands; empty where the choice is no scope."""
    areas: Sequence[str]


def overview(state: State, catalogue: Catalogue, asked: Asked, every_column: bool = False) -> Overview:
    """The table as asked for; an unknown focus becomes the first column, a page beyond the last the last."""
    today = local_day(state.moment)
    places = [one for one in state.places.values() if _is_active(one, state.moment)]
    columns = _columns(places, catalogue, asked.window, every_column)
    focus = asked.focus if asked.focus in catalogue.indicators else columns[0] if columns else ""
    here = [one for one in places if _is_asked_for(one, asked)]
    held = [one.standings[asked.window].get(focus) for one in here]
    verdicts: Counter[Verdict] = Counter(
        one.verdict for one in held if one is not None and one.verdict is not Verdict.NOT_APPLICABLE
    )
    chosen = [one for one in here if not asked.verdict or _verdict(one, focus, asked.window) == asked.verdict]
    rows = [Row(one, list(map(one.standings[asked.window].get, columns))) for one in _in_order(chosen, focus, asked)]
    pages = max(1, -(-len(rows) // PAGE))
    page = min(max(asked.page, 1), pages)
    month = (today.replace(day=1) - timedelta(days=1)).strftime("%Y-%m")
    return Overview(
        asked=replace(asked, focus=focus, page=page),
        columns=columns,
        all_rows=rows,
        rows=rows[(page - 1) * PAGE : page * PAGE],
        pages=pages,
        verdicts=verdicts,
        silent=sum(one.silent_since is not None for one in here),
        unconfirmed=sum(_is_unconfirmed(one, month) for one in here),
        month=month,
        targets=_targets(here, columns, asked.window),
        total=_total(state, asked),
        areas=sorted({one.facility.area for one in places if one.facility.area}, key=collation.key),
    )


def _is_active(place: Place, moment: datetime) -> bool:
    return place.facility.active_to is None or place.facility.active_to >= local_day(moment)


def _columns(places: Sequence[Place], catalogue: Catalogue, window: str, every: bool) -> list[str]:
    """The indicators that some plan asks of some facility here; without any such, or on request, all that apply."""
    applying, held = set(), set()
    for place in places:
        for code, one in place.standings[window].items():
            if code not in held and one.verdict is not Verdict.NOT_APPLICABLE:
                applying.add(code)
                if one.bound is not None:
                    held.add(code)
    shown = applying if every or not held else held
    return [code for code in catalogue.indicators if code in shown]


def _is_asked_for(place: Place, asked: Asked) -> bool:
    one = place.facility
    return (
        asked.area in ("", one.area)
        and asked.level in ("", one.level)
        and asked.ownership in ("", one.ownership)
        and (not asked.name or collation.folded(asked.name) in collation.folded(f"{one.name} {one.id}"))
    )


def _verdict(place: Place, focus: str, window: str) -> str | None:
    found = place.standings[window].get(focus)
    return None if found is None else found.verdict.code


def _in_order(places: Sequence[Place], focus: str, asked: Asked) -> list[Place]:
    """By name; by the share in the focus, those without one last; or who has not been heard for longest first."""
    by_name = sorted(places, key=lambda one: collation.key(one.facility.name))
    if asked.order == "name":
        return by_name
    if asked.order == "oldest":
        heard = {one.facility.id: one.facility.last_push_at for one in by_name}
        return sorted(by_name, key=lambda one: at.timestamp() if (at := heard[one.facility.id]) else _NEVER)
    shares = {one.facility.id: _share(one, focus, asked.window) for one in by_name}
    known = [one for one in by_name if shares[one.facility.id] is not None]
    known.sort(key=lambda one: shares[one.facility.id] or 0, reverse=asked.order == "best")
    return known + [one for one in by_name if shares[one.facility.id] is None]


def _share(place: Place, focus: str, window: str) -> float | None:
    found = place.standings[window].get(focus)
    # what is too little, unclassified or gone is no result that one could be worse or better than another by
    if found is None or found.verdict not in (Verdict.BELOW, Verdict.NEAR, Verdict.MET, Verdict.NO_TARGET):
        return None
    return None if found.share is None else found.numerator / found.denominator


def _is_unconfirmed(place: Place, month: str) -> bool:
    found = (one for one in place.months if one.period == month and one.due is not None)
    return any(one.state in ("open", "reopened") for one in found)


def _targets(places: Sequence[Place], columns: Sequence[str], window: str) -> dict[str, Bound]:
    bounds: dict[str, dict[tuple[str, int, int], Bound]] = {code: {} for code in columns}
    count: dict[str, Counter[tuple[str, int, int]]] = {code: Counter() for code in columns}
    for place in places:
        for code, one in place.standings[window].items():
            if one.bound is not None and code in count:
                key = one.bound.operator, one.bound.ratio.numerator, one.bound.ratio.denominator
                bounds[code].setdefault(key, one.bound)
                count[code][key] += 1
    return {code: bounds[code][of.most_common(1)[0][0]] for code, of in count.items() if of}


def _total(state: State, asked: Asked) -> dict[str, ScopeStanding]:
    chosen = [Scope(kind, name) for kind, name in (("area", asked.area), ("level", asked.level)) if name]
    if asked.ownership or asked.name or asked.verdict or len(chosen) > 1:
        return {}
    scope = chosen[0] if chosen else PROVINCE
    return {
        one.indicator: one
        for one in state.scopes
        if one.scope == scope and one.window == asked.window and one.unit == "cases"
    }
