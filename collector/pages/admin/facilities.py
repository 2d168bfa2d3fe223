"""The registry: the list, a facility, adding and changing one, its dates, its BHXH codes."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends
from fastapi.responses import RedirectResponse, Response

from collector import collation
from collector import registry as lists
from collector.pages.admin.entered import Text
from collector.pages.admin.rights import acting, admin
from collector.pages.rendering import Reader, page
from collector.parts import Parts, parts_of
from collector.store import Connection, access, people, registry, tallies
from collector.store.people import Person
from collector.store.registry import Facility
from contract.days import DayRange, local_day, now
from contract.errors import ConfigError, NotFoundError
from contract.facility import LEVELS, OWNERSHIPS

router = APIRouter(prefix="/admin")
PAGE = 50
"""Rows of a list that are shown at once."""
_State = Literal["", "active", "closed", "silent", "paused"]
_FORM = "biểu mẫu"


def one_of(connection: Connection, facility: str) -> Facility:
    """A registered facility. Raises NotFoundError."""
    for one in registry.facilities(connection, [facility]):
        return one
    raise NotFoundError("không có cơ sở này")


@router.get("/facilities")
def facilities_page(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    q: str = "",
    state: _State = "",
    start: int = 0,
    done: int = 0,
) -> Response:
    """The list; `done`: how many have just been written."""
    today = local_day(now())
    with parts.store.read() as connection:
        known = registry.facilities(connection)
        paused = {one.facility for one in registry.pauses(connection) if one.first_day <= today <= one.last_day}
        codes = {one.facility: one.code for one in registry.codes(connection) if _is_in_force(one, today)}
    active = {one.id for one in known if one.was_active(DayRange(today, today))}
    groups = {
        "active": active,
        "closed": {one.id for one in known} - active,
        "silent": {one.id for one in known if one.last_push_at is None} & active,
        "paused": paused,
    }
    word = collation.folded(q)
    shown = [
        one
        for one in known
        if (not state or one.id in groups[state])
        and (not word or word in collation.folded(f"{one.id} {one.name} {one.area} {codes.get(one.id, '')}"))
    ]
    shown.sort(key=lambda one: collation.key(one.name))
    start = max(start, 0)
    return page(
        found, "admin_facilities.html", facilities=shown[start : start + PAGE], count=len(shown), start=start,
        size=PAGE, q=q, state=state, groups=groups, total=len(known), codes=codes, levels=LEVELS, done=done,
    )  # fmt: skip


def _is_in_force(code: registry.Code, today: date) -> bool:
    return code.valid_from <= today and (code.valid_to is None or today <= code.valid_to)


@router.get("/facilities/new")
def new_page(found: Annotated[Reader, Depends(admin)]) -> Response:
    """The form for a facility that is not there yet."""
    return _form(found, "new", {})


@router.post("/facilities/new")
def add(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    person: Annotated[Person, Depends(acting)],
    id: Text = "",
    name: Text = "",
    level: Text = "",
    ownership: Text = "public",
    area: Text = "",
    email: Text = "",
    active_from: Text = "",
    bhxh_code: Text = "",
) -> Response:
    """Register it."""
    cells = {
        "id": id.strip(), "name": name, "level": level, "ownership": ownership, "area": area, "email": email,
        "active_from": active_from, "bhxh_code": bhxh_code,
    }  # fmt: skip
    try:
        with parts.store.read() as connection:
            if registry.facilities(connection, [cells["id"]]):
                raise ConfigError(f"mã cơ sở “{cells['id']}” đã có: mở cơ sở đó để sửa")
        _write(parts, person, cells)
    except ConfigError as error:
        return _form(found, "new", cells, error)
    return RedirectResponse(f"/admin/facilities/{quote(cells['id'])}?done=1", 303)


def _write(parts: Parts, person: Person, cells: Mapping[str, str]) -> None:
    lists.register(parts.store, [(_FORM, lists.line(_FORM, cells))], parts.catalogue, now(), person.name)


def _form(
    found: Reader, what: str, cells: Mapping[str, str], error: ConfigError | None = None, one: Facility | None = None
) -> Response:
    problems = [] if error is None else [text.removeprefix(f"{_FORM}: ") for text in error.problems]
    return page(
        found, "admin_facility_form.html", 400 if problems else 200, what=what, cells=cells, problems=problems,
        facility=one, levels=LEVELS, ownerships=OWNERSHIPS,
    )  # fmt: skip


@router.get("/facilities/{facility}")
def facility_page(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    facility: str,
    done: bool = False,
) -> Response:
    """What is known of it, and what can be changed."""
    with parts.store.read() as connection:
        one, mergers = one_of(connection, facility), registry.mergers(connection)
        names = {other.id: other.name for other in registry.facilities(connection)}
        merged = [(giver, merger) for giver, merger in mergers.items() if merger.into == facility]
        return page(
            found,
            "admin_facility.html",
            facility=one,
            names=names,
            merged=sorted(merged, key=lambda each: each[1].day),
            codes=registry.codes(connection, facility),
            pauses=registry.pauses(connection, [facility]),
            sources=tallies.sources(connection, [facility]),
            agents=[agent for agent, of in access.all_facilities(connection).items() if facility in of],
            people=people.accounts(connection, facility),
            levels=LEVELS,
            ownerships=OWNERSHIPS,
            catalogue=parts.catalogue,
            today=local_day(now()),
            done=done,
        )


def _cells(one: Facility) -> dict[str, str]:
    """What a form begins with."""
    return {
        "id": one.id,
        "name": one.name,
        "level": one.level,
        "ownership": one.ownership,
        "area": one.area,
        "email": one.email,
        "active_from": str(one.active_from or ""),
        "active_to": str(one.active_to or ""),
        "indicators": " ".join(one.indicators or ()),
    }


@router.get("/facilities/{facility}/{what}")
def change_page(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    facility: str,
    what: Literal["change", "days", "code"],
) -> Response:
    """The form for one thing about it."""
    with parts.store.read() as connection:
        one = one_of(connection, facility)
    return _form(found, what, _cells(one), one=one)


@router.post("/facilities/{facility}/change")
def change(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    person: Annotated[Person, Depends(acting)],
    facility: str,
    name: Text = "",
    level: Text = "",
    ownership: Text = "public",
    area: Text = "",
    email: Text = "",
    indicators: Text = "",
) -> Response:
    """Its name, kind and address."""
    cells = {
        "name": name, "level": level, "ownership": ownership, "area": area, "email": email, "indicators": indicators,
    }  # fmt: skip
    return _change(parts, found, person, facility, "change", cells)


@router.post("/facilities/{facility}/days")
def move_days(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    person: Annotated[Person, Depends(acting)],
    facility: str,
    active_from: Text = "",
    active_to: Text = "",
) -> Response:
    """Since when and until when it is active: what closes it, and opens it again."""
    return _change(parts, found, person, facility, "days", {"active_from": active_from, "active_to": active_to})


@router.post("/facilities/{facility}/code")
def add_code(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    person: Annotated[Person, Depends(acting)],
    facility: str,
    bhxh_code: Text = "",
    bhxh_from: Text = "",
) -> Response:
    """A BHXH code from a day on; the one before ends on the day before."""
    cells = {"bhxh_code": bhxh_code.strip(), "bhxh_from": bhxh_from}
    if not cells["bhxh_code"]:
        with parts.store.read() as connection:
            one = one_of(connection, facility)
        return _form(found, "code", {**_cells(one), **cells}, ConfigError("mã BHXH: chưa nhập"), one)
    return _change(parts, found, person, facility, "code", cells)


def _change(
    parts: Parts, found: Reader, person: Person, facility: str, what: str, cells: Mapping[str, str]
) -> Response:
    with parts.store.read() as connection:
        one = one_of(connection, facility)
    # a line names id, name and level; the first code of a facility has been in force as long as it is active
    known = {key: value for key, value in _cells(one).items() if key in ("id", "name", "level", "ownership")}
    known |= {"active_from": str(one.active_from or "")} if what == "code" else {}
    try:
        _write(parts, person, {**known, **cells})
    except ConfigError as error:
        return _form(found, what, {**_cells(one), **cells}, error, one)
    return RedirectResponse(f"/admin/facilities/{quote(facility)}?done=1", 303)
