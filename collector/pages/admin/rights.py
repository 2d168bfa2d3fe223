"""Who may be on these pages: the Sở's administrators."""

from typing import Annotated

from fastapi import Depends

from collector.pages.door import person_of, reader, writer
from collector.pages.rendering import Reader
from collector.store.people import Person
from contract.errors import ForbiddenError, NotFoundError


def _refuse(person: Person) -> None:
    """People of a facility are not told that there is such a page. Raises NotFoundError, ForbiddenError."""
    if person.facility is not None:
        raise NotFoundError("không có gì ở địa chỉ này; hãy kiểm tra lại đường dẫn")
    if person.role != "admin":
        raise ForbiddenError("chỉ quản trị của Sở dùng được trang này")


def admin(found: Annotated[Reader, Depends(reader)], person: Annotated[Person, Depends(person_of)]) -> Reader:
    """An administrator who looks at a page."""
    _refuse(person)
    return found


def acting(person: Annotated[Person, Depends(writer)]) -> Person:
    """An administrator who sends a form."""
    _refuse(person)
    return person
