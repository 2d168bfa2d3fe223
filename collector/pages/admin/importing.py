"""A list of facilities as a file: taken as the command takes it, all of it or nothing."""

from typing import Annotated

from fastapi import APIRouter, Depends, UploadFile
from fastapi.responses import RedirectResponse, Response

from collector import registry as lists
from collector.pages.admin.rights import acting, admin
from collector.pages.rendering import Reader, page
from collector.parts import Parts, parts_of
from collector.store.people import Person
from contract.days import now
from contract.errors import ConfigError

router = APIRouter(prefix="/admin")
_MOST_BYTES = 4 * 2**20


@router.get("/facilities/import")
def import_page(found: Annotated[Reader, Depends(admin)]) -> Response:
    """How the file should look."""
    return page(found, "admin_import.html", problems=[], headings=lists.headings())


@router.post("/facilities/import")
def take(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    person: Annotated[Person, Depends(acting)],
    file: UploadFile,
) -> Response:
    """Add and change the facilities of the file; every bad row is named."""
    content = file.file.read(_MOST_BYTES + 1)
    try:
        if len(content) > _MOST_BYTES:
            raise ConfigError("tệp lớn quá 4 MB")
        count = lists.register(
            parts.store, lists.parse(file.filename or "tệp", content), parts.catalogue, now(), person.name
        )
    except ConfigError as error:
        return page(found, "admin_import.html", 400, problems=error.problems, headings=lists.headings())
    return RedirectResponse(f"/admin/facilities?done={count}", 303)
