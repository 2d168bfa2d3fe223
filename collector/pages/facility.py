"""A facility's page: where it stands on every indicator, from which sources, what is doubtful, alerts and answers."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Form
from fastapi.responses import RedirectResponse, Response

from collector import alerts as answers
from collector import confirm, typography, windows
from collector.pages.door import reader, writer
from collector.pages.rendering import Reader, page
from collector.parts import Parts, parts_of
from collector.places import Place
from collector.standings import Standing
from collector.store import alerts, corrections, registry
from collector.store.people import Person
from collector.store.tallies import Source
from contract.catalogue import Catalogue
from contract.days import now
from contract.errors import BadRequestError, NotFoundError
from contract.findings import WORDS
from contract.verdict import Verdict

router = APIRouter(include_in_schema=False)
_MOST_ALERTS = 50
_MOST_CORRECTIONS = 15
_MOST_UNMAPPED = 10


@dataclass(frozen=True, slots=True)
class Unmapped:
    """Values of a source that no mapping knows: the lines to add to agent.toml, each with its cases in 30 days."""

    source: str
    measure: str
    cases: int
    table: str
    values: list[tuple[str, int]]


@router.get("/facilities/{facility}")
def facility_page(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(reader)],
    facility: str,
    answered: int | None = None,
) -> Response:
    """The page that alerts and boards link to. Raises NotFoundError, also for a facility that is not the reader's."""
    assert found.session is not None
    return shown(parts, found, facility, found.session.person, answered=answered)


@router.post("/facilities/{facility}/alerts/{alert}/answer")
def answer(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(reader)],
    who: Annotated[Person, Depends(writer)],
    facility: str,
    alert: int,
    text: Annotated[str, Form(max_length=4000)] = "",
) -> Response:
    """Say something about an alert. Raises NotFoundError, ForbiddenError."""
    place_of(parts, who, facility)
    try:
        answers.answer(parts, who, alert, text, now())
    except BadRequestError as error:
        return shown(parts, found, facility, who, problem=(alert, str(error), text))
    return RedirectResponse(f"/facilities/{facility}?answered={alert}#alerts", 303)


def shown(
    parts: Parts,
    found: Reader,
    facility: str,
    who: Person,
    answered: int | None = None,
    problem: tuple[int, str, str] | None = None,
) -> Response:
    """The page; `problem`: with which answer, what is wrong, and what was written."""
    place = place_of(parts, who, facility)
    with parts.store.read() as connection:
        told = alerts.alerts(connection, facility, "open", _MOST_ALERTS)
        corrected = corrections.newest(connection, [one.id for one in place.sources], None, _MOST_CORRECTIONS)
        merged = [one for one in registry.mergers(connection).items() if facility in (one[0], one[1].into)]
        names = {
            one.id: one.name
            for one in registry.facilities(connection, [i for pair in merged for i in (pair[0], pair[1].into)])
        }
    rows = _applying(place)
    return page(
        found,
        "facility.html",
        400 if problem else 200,
        place=place,
        facility=place.facility,
        rows=rows,
        met=sum(one.verdict is Verdict.MET for one in rows),
        held=sum(one.bound is not None for one in rows),
        below=[one for one in rows if one.verdict is Verdict.BELOW],
        unmapped=list(unmapped(place.sources)),
        catalogue=parts.catalogue,
        periods=periods(parts.catalogue, rows),
        alerts=told,
        answered=answered,
        problem=problem,
        may_answer=who.role in ("admin", "confirmer"),
        months=list(reversed(place.months)),
        corrected=corrected,
        merged=[(names.get(one, one), names.get(other.into, other.into), other.day) for one, other in merged],
        finding_words=WORDS,
    )


def place_of(parts: Parts, person: Person, facility: str) -> Place:
    """The facility as it stands. Raises NotFoundError, also for one that is none of the person's business."""
    confirm.may_see(person, facility)
    place = parts.province.at(now()).places.get(facility)
    if place is None:
        raise NotFoundError("không có cơ sở này")
    return place


def unmapped(sources: Iterable[Source], measure: str | None = None) -> Iterator[Unmapped]:
    """What is to be added to agent.toml, by source and measure."""
    for source in sources:
        values: dict[str, dict[str, int]] = json.loads(source.unmapped)
        cases: dict[str, int] = json.loads(source.unmapped_cases)
        for code in values.keys() | cases.keys():
            if measure in (None, code):
                # a JSON string is a TOML string
                lines = [(json.dumps(raw, ensure_ascii=False), n) for raw, n in values.get(code, {}).items()]
                table = f"[sources.{source.name}.queries.{code}.categories]"
                yield Unmapped(source.name, code, cases.get(code, 0), table, lines[:_MOST_UNMAPPED])


def _applying(place: Place) -> list[Standing]:
    found = list(place.standings["30d"].values())
    return [one for one in found if one.verdict is not Verdict.NOT_APPLICABLE]


def periods(catalogue: Catalogue, rows: Iterable[Standing]) -> Mapping[str, tuple[str, str]]:
    """Indicator → the period of its figures and the one before, of those that are not counted by days."""
    found = {}
    for one in rows:
        cadence = catalogue.measures[catalogue.indicators[one.indicator].measure].cadence
        if windows.is_long(cadence):
            before = windows.period(cadence, one.days.first - timedelta(days=1))
            found[one.indicator] = (typography.period(cadence, one.days), typography.period(cadence, before))
    return found
