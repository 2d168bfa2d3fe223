"""Days on which nothing is expected of a facility."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends
from fastapi.responses import RedirectResponse, Response

from collector import registry as lists
from collector.pages.admin.entered import Text, wanted_day
from collector.pages.admin.facilities import one_of
from collector.pages.admin.rights import acting, admin
from collector.pages.rendering import Reader, page
from collector.parts import Parts, parts_of
from collector.store import registry
from collector.store.people import Person
from collector.store.registry import Pause
from contract.days import local_day, now
from contract.errors import ConfigError, NotFoundError

router = APIRouter(prefix="/admin/facilities/{facility}/pauses")


@router.get("")
def pauses_page(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    facility: str,
    done: bool = False,
) -> Response:
    """What is known, and the form for one more."""
    return _page(parts, found, facility, done=done)


def _page(
    parts: Parts, found: Reader, facility: str, problems: list[str] | None = None, done: bool = False, **typed: str
) -> Response:
    with parts.store.read() as connection:
        one, known = one_of(connection, facility), registry.pauses(connection, [facility])
    return page(
        found, "admin_pauses.html", 400 if problems else 200, facility=one, pauses=known[::-1],
        problems=problems or [], done=done, typed=typed, today=local_day(now()),
    )  # fmt: skip


@router.post("")
def add(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    person: Annotated[Person, Depends(acting)],
    facility: str,
    first: Text = "",
    last: Text = "",
    reason: Text = "",
) -> Response:
    """One more pause."""
    try:
        days = wanted_day(first, "ngày đầu"), wanted_day(last, "ngày cuối")
        lists.pause(parts.store, Pause(facility, *days, reason), now(), person.name)
    except ConfigError as error:
        return _page(parts, found, facility, error.problems, first=first, last=last, reason=reason)
    return RedirectResponse(f"/admin/facilities/{quote(facility)}/pauses?done=1", 303)


@router.get("/{pause}/remove")
def sure_page(
    parts: Annotated[Parts, Depends(parts_of)], found: Annotated[Reader, Depends(admin)], facility: str, pause: int
) -> Response:
    """What removing it means."""
    with parts.store.read() as connection:
        one, known = one_of(connection, facility), registry.pauses(connection, [facility])
    for each in known:
        if each.id == pause:
            return page(found, "admin_sure.html", what="pause_removed", facility=one, pause=each)
    raise NotFoundError("không có đợt tạm dừng này")


@router.post("/{pause}/remove")
def remove(
    parts: Annotated[Parts, Depends(parts_of)],
    person: Annotated[Person, Depends(acting)],
    facility: str,
    pause: int,
) -> Response:
    """Expect figures on these days again."""
    lists.unpause(parts.store, facility, pause, now(), person.name)
    return RedirectResponse(f"/admin/facilities/{quote(facility)}/pauses?done=1", 303)
