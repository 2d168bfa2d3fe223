"""The first page of people who have logged in."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from collector import collation
from collector.pages.door import reader
from collector.pages.rendering import Reader, page
from collector.parts import Parts, parts_of
from collector.store import registry

router = APIRouter(include_in_schema=False)


@router.get("/")
def front(parts: Annotated[Parts, Depends(parts_of)], found: Annotated[Reader, Depends(reader)]) -> Response:
    """The facilities that the reader may see, until the overview stands here."""
    assert found.session is not None
    own = found.session.person.facility
    with parts.store.read() as connection:
        facilities = registry.facilities(connection, None if own is None else [own])
    by_name = sorted(facilities, key=lambda one: collation.key(one.name))
    return page(found, "front.html", facilities=by_name, metrics_are_open=parts.settings.metrics_token is None)
