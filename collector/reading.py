"""What people and their programs read: facilities, standings, tallies. A person of a facility sees that one only."""

import csv
import io
from collections import defaultdict
from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse

from collector.api import bearer
from collector.parts import Parts, parts_of
from collector.people import SESSION_COOKIE
from collector.places import Place
from collector.scopes import Scopes, ScopeStanding
from collector.standings import Figures, Standing
from collector.store import registry, tallies
from collector.store.people import Person
from collector.windows import Window
from collector.yardstick import Bound
from contract.days import local_day, now
from contract.errors import BadRequestError, NotFoundError
from contract.tally import FIRST_DAY

router = APIRouter(prefix="/api/v1")
_LONGEST_DAYS = 370
_Id = Annotated[str | None, Query(max_length=64, pattern=r"^[A-Za-z0-9_.-]*$")]


def person(
    request: Request,
    parts: Annotated[Parts, Depends(parts_of)],
    authorization: Annotated[str | None, Header()] = None,
) -> Person:
    """Who calls: by a personal API token or, to read, by their session at the portal. Raises UnauthorisedError.

    A session changes nothing here: its cookie also travels with what another site has made the browser send. Pages
    change things by forms that they have shown themselves; programs have a token.
    """
    secret = request.cookies.get(SESSION_COOKIE)
    if authorization is None and secret is not None and request.method == "GET":
        session = parts.people.session(secret, now())
        if session is not None and not session.must_change:
            return session.person
    return parts.people.by_token(bearer(authorization))


def _asked(caller: Person, facility: str | None) -> list[str] | None:
    """The facilities to show: None for all. Raises NotFoundError for one that is not the caller's."""
    if caller.facility is None:
        return None if facility is None else [facility]
    if facility not in (None, caller.facility):
        raise NotFoundError("không có cơ sở này")
    return [caller.facility]


@router.get("/facilities")
def get_facilities(
    parts: Annotated[Parts, Depends(parts_of)], caller: Annotated[Person, Depends(person)]
) -> dict[str, list[dict[str, Any]]]:
    """The registry, also facilities that never spoke."""
    with parts.store.read() as connection:
        found = registry.facilities(connection, _asked(caller, None))
        codes = defaultdict(list)
        for code in registry.codes(connection):
            codes[code.facility].append(code)
    return {
        "facilities": [
            {
                "id": one.id,
                "name": one.name,
                "level": one.level,
                "ownership": one.ownership,
                "area": one.area,
                "active_from": one.active_from,
                "active_to": one.active_to,
                "indicators": one.indicators,
                "last_push_at": one.last_push_at,
                "merged_into": one.merger and one.merger.into,
                "merged_on": one.merger and one.merger.day,
                "bhxh_codes": [
                    {"code": code.code, "valid_from": code.valid_from, "valid_to": code.valid_to}
                    for code in codes[one.id]
                ],
            }
            for one in found
        ]
    }


@router.get("/standings")
def get_standings(
    parts: Annotated[Parts, Depends(parts_of)],
    caller: Annotated[Person, Depends(person)],
    window: Window = "30d",
    facility: _Id = None,
    indicator: _Id = None,
) -> dict[str, list[dict[str, Any]]]:
    """Where facilities stand on the indicators that apply to them."""
    if indicator is not None and indicator not in parts.catalogue.indicators:
        raise NotFoundError("danh mục không có chỉ số này")
    asked = _asked(caller, facility)
    places = parts.province.at(now()).places
    if facility is not None and facility not in places:
        raise NotFoundError("không có cơ sở này")
    return {
        "standings": [
            _plain(one, places[place])
            for place in (places if asked is None else asked)
            for one in places[place].standings[window].values()
            if indicator in (None, one.indicator)
        ]
    }


@router.get("/scopes")
def get_scopes(
    parts: Annotated[Parts, Depends(parts_of)], caller: Annotated[Person, Depends(person)], window: Window = "30d"
) -> dict[str, list[dict[str, Any]]]:
    """Where the province, its areas and levels stand: many facilities pooled. Not for people of one facility."""
    if caller.facility is not None:
        raise NotFoundError("chỉ dành cho người của Sở")
    scopes = Scopes(parts.yardstick)
    for place in parts.province.at(now()).places.values():
        scopes.put(place.facility, place.standings[window].values())
    return {"scopes": [_plain_scope(one) for one in scopes.standings()]}


@router.get("/tallies")
def get_tallies(
    parts: Annotated[Parts, Depends(parts_of)],
    caller: Annotated[Person, Depends(person)],
    facility: _Id = None,
    measure: _Id = None,
    first: Annotated[date | None, Query(alias="from", ge=FIRST_DAY)] = None,
    last: Annotated[date | None, Query(alias="to", ge=FIRST_DAY)] = None,
    accept: Annotated[str | None, Header()] = None,
) -> Response:
    """Current tallies, at most 370 days at once (the last 30 if no day is given); JSON, or CSV by Accept."""
    last = last or local_day(now())
    first = first or last - timedelta(days=30)
    if first > last or (last - first).days > _LONGEST_DAYS:
        raise BadRequestError(f"from phải không sau to, và không quá {_LONGEST_DAYS} ngày")
    if measure is not None and measure not in parts.catalogue.measures:
        raise NotFoundError("danh mục không có số đếm này")
    with parts.store.read() as connection:
        if facility is not None and not registry.facilities(connection, _asked(caller, facility)):
            raise NotFoundError("không có cơ sở này")
        sources = tallies.sources(connection, _asked(caller, facility))
        rows = tallies.between(connection, sources, first, last, None if measure is None else [measure])
    of = {one.id: one for one in sources}
    found = [
        {
            "facility": of[row.source].facility,
            "source": of[row.source].name,
            "measure": row.measure,
            "day": str(row.day),
            "revision": row.revision,
            "counts": row.by_category,
        }
        for row in rows
    ]
    if accept and "text/csv" in accept:
        return Response(_csv(found), media_type="text/csv; charset=utf-8")
    return JSONResponse({"tallies": found})


def _plain(one: Standing, place: Place) -> dict[str, Any]:
    beside = place.compared.get(one.indicator)
    before = beside.before.share if beside and one.window == "30d" and one.as_of else None
    expected = beside.road if beside else None
    return {
        "facility": one.facility,
        "indicator": one.indicator,
        "window": one.window,
        "from": one.days.first,
        "to": one.days.last,
        **_figures(one),
        "verdict": one.verdict.code,
        "missing": one.missing,
        "target": _target(one.bound),
        "as_of": one.as_of,
        "silent_since": one.silent_since,
        "below_since": place.below.get(one.indicator),
        "previous_ratio": None if before is None else float(before),
        "road_ratio": None if expected is None else float(expected),
    }


def _plain_scope(one: ScopeStanding) -> dict[str, Any]:
    return {
        "scope": one.scope.kind,
        "name": one.scope.name,
        "indicator": one.indicator,
        "window": one.window,
        "unit": one.unit,
        **_figures(one),
        "verdict": one.verdict.code,
        "missing": one.missing,
        "target": _target(one.bound),
        "facilities": {verdict.code: count for verdict, count in sorted(one.verdicts.items()) if count},
    }


def _figures(one: Figures) -> dict[str, Any]:
    return {
        "ratio": None if one.share is None else float(one.share),
        "numerator": one.numerator,
        "denominator": one.denominator,
        "unknown": one.unknown,
        "known_ratio": float(one.known),
        "completeness_ratio": None if one.completeness is None else float(one.completeness),
    }


def _target(bound: Bound | None) -> dict[str, Any] | None:
    if bound is None:
        return None
    return {
        "plan": bound.plan.id,
        "operator": bound.operator,
        "ratio": float(bound.ratio),
        "unit": bound.target.unit,
        "deadline": bound.deadline,
        "section": bound.target.section,
        "words": bound.target.words,
    }


def _csv(found: list[dict[str, Any]]) -> str:
    """One line a category; an empty day is a line without category."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["facility", "source", "measure", "day", "category", "count"])
    for one in found:
        place = [one["facility"], one["source"], one["measure"], one["day"]]
        writer.writerows([*place, category, count] for category, count in (one["counts"] or {"": 0}).items())
    return text.getvalue()
