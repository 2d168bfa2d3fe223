"""All sources with their state; retiring, renaming and moving one."""

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import RedirectResponse, Response

from collector import collation, sources
from collector.pages.admin.entered import Text, wanted_day
from collector.pages.admin.facilities import PAGE
from collector.pages.admin.rights import acting, admin
from collector.pages.rendering import Reader, page
from collector.parts import Parts, parts_of
from collector.store import Connection, access, registry, tallies
from collector.store.people import Person
from collector.store.registry import Facility
from collector.store.tallies import Brief, Source
from contract.days import local_day, now
from contract.errors import ConfigError, NotFoundError

router = APIRouter(prefix="/admin/sources")
State = Literal["good", "failing", "orphaned", "retired", "unheard"]


def state_of(one: Source | Brief, today: date) -> State:
    """What stands out about a source: the first that holds."""
    if one.last_day is not None and one.last_day < today:
        return "retired"
    if one.agent is not None and not one.in_roster:
        return "orphaned"
    if one.ok is None:
        return "unheard"
    return "good" if one.ok else "failing"


@router.get("")
def sources_page(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    q: str = "",
    state: Literal["", "good", "failing", "orphaned", "retired", "unheard"] = "",
    start: int = 0,
) -> Response:
    """The list, by facility."""
    today = local_day(now())
    with parts.store.read() as connection:
        known = tallies.briefs(connection)
        names = {one.id: one.name for one in registry.facilities(connection)}
    states = {one.id: state_of(one, today) for one in known}
    word = collation.folded(q)
    shown = [
        one
        for one in known
        if (not state or states[one.id] == state)
        and word in collation.folded(f"{one.facility} {names[one.facility]} {one.name} {one.kind} {one.agent or ''}")
    ]
    shown.sort(key=lambda one: (collation.key(names[one.facility]), one.name))
    counts = {each: sum(1 for one in states.values() if one == each) for each in set(states.values())}
    start = max(start, 0)
    shown_now = shown[start : start + PAGE]
    with parts.store.read() as connection:
        of = {one.id: one for one in tallies.sources(connection, sorted({one.facility for one in shown_now}))}
        rows = [of[one.id] for one in shown_now if one.id in of]
        measures: dict[int, list[str]] = {}
        for claim in tallies.claims(connection, rows):
            if claim.last_day is None:
                measures.setdefault(claim.source.id, []).append(claim.measure)
    return page(
        found, "admin_sources.html", sources=rows, count=len(shown), total=len(known),
        start=start, size=PAGE, q=q, state=state, states=states, counts=counts, names=names, measures=measures,
        catalogue=parts.catalogue,
    )  # fmt: skip


def _source(connection: Connection, source_id: int) -> tuple[Source, Facility]:
    """Raises NotFoundError."""
    one = tallies.source_with(connection, source_id) if 0 < source_id < 2**31 else None
    if one is None:
        raise NotFoundError("không có nguồn này")
    return one, registry.facilities(connection, [one.facility])[0]


@router.get("/{source}")
def source_page(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    source: int,
    done: bool = False,
) -> Response:
    """One source, and what can be done to it."""
    today = local_day(now())
    with parts.store.read() as connection:
        one, place = _source(connection, source)
        claims = tallies.claims(connection, [one])
    return page(
        found, "admin_source.html", source=one, facility=place, claims=claims, state=state_of(one, today),
        catalogue=parts.catalogue, done=done,
    )  # fmt: skip


@router.get("/{source}/{what}")
def form_page(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    source: int,
    what: Literal["retire", "rename", "move"],
    last_day: str = "",
) -> Response:
    """The form; for retiring, once it says until when, how many days will no longer count."""
    return _form(parts, found, source, what, last_day)


def _form(
    parts: Parts, found: Reader, source: int, what: str, typed: str = "", problems: list[str] | None = None
) -> Response:
    problems, later = problems or [], None
    with parts.store.read() as connection:
        one, place = _source(connection, source)
        if what == "retire" and typed and not problems:
            try:
                last = wanted_day(typed, "ngày cuối cùng")
                later = len({row.day for row in tallies.between(connection, [one], last, date.max) if row.day > last})
            except ConfigError as error:
                problems = error.problems
        agents = [each for each, of in access.all_facilities(connection).items() if one.facility in of]
    return page(
        found, "admin_source_form.html", 400 if problems else 200, what=what, source=one, facility=place, typed=typed,
        problems=problems, later=later, agents=sorted({*agents} - {one.agent}),
    )  # fmt: skip


@router.post("/{source}/retire")
def retire(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    person: Annotated[Person, Depends(acting)],
    source: int,
    last_day: Text = "",
) -> Response:
    """Its days up to that one count for ever; later ones are refused."""
    return _do(parts, found, person, source, "retire", last_day)


@router.post("/{source}/rename")
def rename(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    person: Annotated[Person, Depends(acting)],
    source: int,
    name: Text = "",
) -> Response:
    """Another name, with all that it counted."""
    return _do(parts, found, person, source, "rename", name.strip())


@router.post("/{source}/move")
def move(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    person: Annotated[Person, Depends(acting)],
    source: int,
    agent: Text = "",
) -> Response:
    """Another agent speaks for it from now on."""
    return _do(parts, found, person, source, "move", agent)


def _do(parts: Parts, found: Reader, person: Person, source: int, what: str, typed: str) -> Response:
    with parts.store.read() as connection:
        one, _ = _source(connection, source)
    key = parts.store, one.facility, one.name
    try:
        if what == "retire":
            sources.retire(*key, wanted_day(typed, "ngày cuối cùng"), now(), person.name)
        elif what == "rename":
            sources.rename(*key, typed, now(), person.name)
        else:
            sources.move(*key, typed, now(), person.name)
    except ConfigError as error:
        return _form(parts, found, source, what, typed, error.problems)
    return RedirectResponse(f"/admin/sources/{source}?done=1", 303)
