"""People: the list, adding and changing one, a first password and an API token shown once, disabling."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import RedirectResponse, Response

from collector import collation
from collector.pages.admin.entered import Text
from collector.pages.admin.facilities import PAGE
from collector.pages.admin.rights import acting, admin
from collector.pages.rendering import Reader, page
from collector.parts import Parts, parts_of
from collector.people import state
from collector.store import people as stored
from collector.store import registry
from collector.store.people import Account, Person
from collector.typography import clean
from contract.days import now
from contract.errors import BadRequestError, ConfigError, NotFoundError

router = APIRouter(prefix="/admin/people")
ROLES = {
    "admin": ("admin", False),
    "reader": ("reader", False),
    "confirmer": ("confirmer", True),
    "facility_reader": ("reader", True),
}
"""What the form offers: role, and whether it is one of a facility."""


def kind_of(one: Person) -> str:
    """The key of ROLES."""
    return "facility_reader" if one.role == "reader" and one.facility is not None else one.role


@router.get("")
def people_page(
    parts: Annotated[Parts, Depends(parts_of)], found: Annotated[Reader, Depends(admin)], q: str = "", start: int = 0
) -> Response:
    """All people, by name."""
    moment = now()
    with parts.store.read() as connection:
        known = stored.accounts(connection)
        names = {one.id: one.name for one in registry.facilities(connection)}
    word = collation.folded(q)
    shown = [
        one
        for one in known
        if word in collation.folded(f"{one.person.name} {one.person.full_name} {one.person.facility or ''}")
    ]
    shown.sort(key=lambda one: collation.key(one.person.shown))
    start = max(start, 0)
    return page(
        found, "admin_people.html", people=shown[start : start + PAGE], count=len(shown), total=len(known), start=start,
        size=PAGE, q=q, names=names, kind_of=kind_of, state=lambda one: state(one, moment),
    )  # fmt: skip


@router.get("/new")
def new_page(found: Annotated[Reader, Depends(admin)], facility: str = "") -> Response:
    """The form for somebody new."""
    return _form(found, {"facility": facility, "kind": "confirmer" if facility else ""})


@router.post("/new")
def add(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    person: Annotated[Person, Depends(acting)],
    name: Text = "",
    kind: Text = "",
    facility: Text = "",
    full_name: Text = "",
    email: Text = "",
) -> Response:
    """Register somebody."""
    typed = {"name": name, "kind": kind, "facility": facility, "full_name": full_name, "email": email}
    try:
        one = _person(typed)
        parts.people.enter(one, now(), person.name)
    except ConfigError as error:
        return _form(found, typed, error.problems)
    with parts.store.read() as connection:
        entered = stored.named(connection, clean(one.name))
    return RedirectResponse(f"/admin/people/{entered.person.id}?done=1", 303)


def _person(typed: dict[str, str]) -> Person:
    """Raises ConfigError."""
    if typed["kind"] not in ROLES:
        raise ConfigError("vai trò: hãy chọn một vai trò")
    role, of_facility = ROLES[typed["kind"]]
    facility = typed["facility"].strip() or None
    if of_facility and facility is None:
        raise ConfigError("cơ sở: vai trò này phải kèm cơ sở")
    if not of_facility and facility is not None:
        raise ConfigError("cơ sở: để trống với người của Sở")
    return Person(typed["name"], role, facility, typed["full_name"], typed["email"])


def _form(
    found: Reader, typed: dict[str, str], problems: list[str] | None = None, account: Account | None = None
) -> Response:
    return page(
        found, "admin_person_form.html", 400 if problems else 200, typed=typed, problems=problems or [],
        account=account,
    )  # fmt: skip


def _account(parts: Parts, person: int) -> Account:
    """Raises NotFoundError."""
    if not 0 < person < 2**31:
        raise NotFoundError("không có người dùng này")
    with parts.store.read() as connection:
        return stored.with_id(connection, person)


@router.get("/{person_id}")
def person_page(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    person_id: int,
    done: bool = False,
) -> Response:
    """What is known of somebody, and what can be changed."""
    return _person_page(parts, found, _account(parts, person_id), done)


def _person_page(
    parts: Parts, found: Reader, account: Account, done: bool = False, problem: str | None = None
) -> Response:
    with parts.store.read() as connection:
        of = registry.facilities(connection, [account.person.facility or ""])
        changes = stored.changes(connection, most=20, wanted=stored.Wanted(person=account.person.name))
    return page(
        found, "admin_person.html", 400 if problem else 200, account=account, facility=next(iter(of), None),
        kind=kind_of(account.person), state=state(account, now()), changes=changes, done=done, problem=problem,
    )  # fmt: skip


@router.get("/{person_id}/change")
def change_page(
    parts: Annotated[Parts, Depends(parts_of)], found: Annotated[Reader, Depends(admin)], person_id: int
) -> Response:
    """The form for role, facility and names."""
    account = _account(parts, person_id)
    one = account.person
    typed = {"name": one.name, "kind": kind_of(one), "facility": one.facility or ""}
    return _form(found, {**typed, "full_name": one.full_name, "email": one.email}, account=account)


@router.post("/{person_id}/change")
def change(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    person: Annotated[Person, Depends(acting)],
    person_id: int,
    kind: Text = "",
    facility: Text = "",
    full_name: Text = "",
    email: Text = "",
) -> Response:
    """Change them."""
    account = _account(parts, person_id)
    typed = {"name": account.person.name, "kind": kind, "facility": facility, "full_name": full_name, "email": email}
    try:
        parts.people.revise(_person(typed), now(), person.name)
    except (ConfigError, BadRequestError) as error:
        problems = error.problems if isinstance(error, ConfigError) else [str(error)]
        return _form(found, typed, problems, account)
    return RedirectResponse(f"/admin/people/{person_id}?done=1", 303)


@router.get("/{person_id}/{what}")
def sure_page(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    person_id: int,
    what: Literal["disable", "password", "token"],
) -> Response:
    """What it means to disable somebody, or to make a new password or token."""
    return page(found, "admin_sure.html", what=f"person_{what}", account=_account(parts, person_id))


@router.post("/{person_id}/disable")
def disable(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    person: Annotated[Person, Depends(acting)],
    person_id: int,
) -> Response:
    """Close the account."""
    account = _account(parts, person_id)
    try:
        parts.people.disable(account.person.name, now(), person.name)
    except BadRequestError as error:
        return _person_page(parts, found, account, problem=str(error))
    return RedirectResponse(f"/admin/people/{person_id}?done=1", 303)


@router.post("/{person_id}/password")
def make_password(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    person: Annotated[Person, Depends(acting)],
    person_id: int,
) -> Response:
    """A first password: the answer is the only page that shows it, so there is no redirect."""
    return _secret_page(parts, found, person_id, "password", parts.people.first_password, person.name)


@router.post("/{person_id}/token")
def make_token(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(admin)],
    person: Annotated[Person, Depends(acting)],
    person_id: int,
) -> Response:
    """A personal API token, shown on this page only."""
    return _secret_page(parts, found, person_id, "token", parts.people.new_token, person.name)


def _secret_page(
    parts: Parts, found: Reader, person_id: int, what: str, make: Callable[[str, datetime, str], str], by: str
) -> Response:
    """What was made for somebody; or their page, with why not."""
    account = _account(parts, person_id)
    try:
        secret = make(account.person.name, now(), by)
    except BadRequestError as error:
        return _person_page(parts, found, account, problem=str(error))
    return page(found, "admin_secret.html", what=what, secret=secret, account=account)
