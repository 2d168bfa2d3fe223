"""Merging a facility into another: first what will happen, then doing it; and undoing it."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends
from fastapi.responses import RedirectResponse, Response

from collector import collation, merging
from collector.merging import Outlook
from collector.pages.admin.entered import Text, wanted_day
from collector.pages.admin.facilities import one_of
from collector.pages.admin.rights import acting, admin
from collector.pages.rendering import Reader, page
from collector.parts import Parts, parts_of
from collector.store import registry
from collector.store.people import Person
from collector.store.registry import Merger
from contract.days import DayRange, local_day, now
from contract.errors import ConfigError, NotFoundError

router = APIRouter(prefix="/admin/facilities/{facility}")


@router.get("/merge")
def merge_page(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    facility: str,
    into: str = "",
    day: str = "",
    part: str = "",
) -> Response:
    """The form; once it says into what and when, what will happen, and the button that does it."""
    if not into and not day:
        return _page(parts, found, facility, into, day, part)
    try:
        outlook = _looked_at(parts, facility, into, day, part)
    except (ConfigError, NotFoundError) as error:
        problems = error.problems if isinstance(error, ConfigError) else [str(error)]
        return _page(parts, found, facility, into, day, part, problems)
    return _page(parts, found, facility, into, day, part, outlook.problems, outlook)


def _merger(into: str, day: str, part: str) -> Merger:
    return Merger(into.strip(), wanted_day(day, "ngày sáp nhập"), part.strip() or None)


def _looked_at(parts: Parts, facility: str, into: str, day: str, part: str) -> Outlook:
    merger = _merger(into, day, part)
    with parts.store.read() as connection:
        return merging.look(connection, parts.yardstick, facility, merger.into, merger, now())


def _page(
    parts: Parts,
    found: Reader,
    facility: str,
    into: str,
    day: str,
    part: str,
    problems: list[str] | None = None,
    outlook: Outlook | None = None,
) -> Response:
    today = local_day(now())
    with parts.store.read() as connection:
        one = one_of(connection, facility)
        others = [
            other
            for other in registry.facilities(connection)
            if other.id != facility and other.merger is None and other.was_active(DayRange(today, today))
        ]
    return page(
        found, "admin_merge.html", 400 if problems else 200, facility=one, into=into, day=day, part=part,
        others=sorted(others, key=lambda other: collation.key(other.name)), problems=problems or [],
        outlook=None if problems else outlook, catalogue=parts.catalogue,
    )  # fmt: skip


@router.post("/merge")
def merge(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    person: Annotated[Person, Depends(acting)],
    facility: str,
    into: Text = "",
    day: Text = "",
    part: Text = "",
) -> Response:
    """Do it."""
    try:
        merging.merge(parts.store, parts.catalogue, facility, _merger(into, day, part), now(), person.name)
    except ConfigError as error:
        return _page(parts, found, facility, into, day, part, error.problems)
    return RedirectResponse(f"/admin/facilities/{quote(facility)}?done=1", 303)


@router.get("/unmerge")
def unmerge_page(
    parts: Annotated[Parts, Depends(parts_of)], found: Annotated[Reader, Depends(admin)], facility: str
) -> Response:
    """What undoing means. Raises NotFoundError when there is nothing to undo."""
    with parts.store.read() as connection:
        one = one_of(connection, facility)
    if one.merger is None:
        raise NotFoundError("cơ sở này không sáp nhập vào cơ sở nào")
    return page(found, "admin_sure.html", what="merger_undone", facility=one)


@router.post("/unmerge")
def unmerge(
    parts: Annotated[Parts, Depends(parts_of)], person: Annotated[Person, Depends(acting)], facility: str
) -> Response:
    """Undo it. Raises NotFoundError when there is nothing to undo."""
    try:
        merging.undo(parts.store, facility, now(), person.name)
    except ConfigError as error:
        raise NotFoundError(str(error)) from None
    return RedirectResponse(f"/admin/facilities/{quote(facility)}?done=1", 303)
