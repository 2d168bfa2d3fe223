"""Logging in and out, the password, the language; and who reads a page."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Cookie, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from collector.pages.rendering import LANGUAGE_COOKIE, Language, Reader, language_of, page
from collector.parts import Parts, parts_of
from collector.people import LONGEST, Session
from collector.store.people import Person
from contract.days import now
from contract.errors import BadRequestError, ForbiddenError, UnauthorisedError

SESSION_COOKIE = "nhipso"
router = APIRouter(include_in_schema=False)


class LogInFirstError(UnauthorisedError):
    """The page is for people who have logged in: `address` is where they do, and it brings them back."""

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__("hãy đăng nhập")


def anyone(
    request: Request,
    parts: Annotated[Parts, Depends(parts_of)],
    secret: Annotated[str | None, Cookie(alias=SESSION_COOKIE)] = None,
) -> Reader:
    """Whoever asks, logged in or not."""
    return Reader(parts.people.session(secret, now()) if secret else None, language_of(request))


def reader(request: Request, found: Annotated[Reader, Depends(anyone)]) -> Reader:
    """Somebody who is logged in and has a password of their own. Raises LogInFirstError."""
    if found.session is None:
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        raise LogInFirstError(f"/login?next={quote(back)}" if back != "/" else "/login")
    if found.session.must_change and request.url.path != "/password":
        raise LogInFirstError("/password")
    return found


def session_of(found: Annotated[Reader, Depends(reader)]) -> Session:
    """The session of a reader who is logged in."""
    assert found.session is not None
    return found.session


def person_of(session: Annotated[Session, Depends(session_of)]) -> Person:
    """The person who is logged in."""
    return session.person


def writer(session: Annotated[Session, Depends(session_of)], form_token: Annotated[str, Form()] = "") -> Session:
    """Somebody who sends a form that we have shown them. Raises ForbiddenError."""
    if not session.is_from_us(form_token):
        raise ForbiddenError("biểu mẫu đã cũ: hãy mở lại trang và gửi lần nữa")
    return session


@router.get("/login")
def login_page(found: Annotated[Reader, Depends(anyone)], next: str = "/") -> Response:
    """The form."""
    return page(found, "login.html", next=_inside(next), name="", problem=None)


@router.post("/login")
def login(
    request: Request,
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(anyone)],
    name: Annotated[str, Form(max_length=200)],
    password: Annotated[str, Form(max_length=1000)],
    next: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    """Log in. A form from another site only logs somebody into their own account, so no form token is asked for."""
    try:
        session = parts.people.log_in(name, password, now())
    except UnauthorisedError as error:
        return page(found, "login.html", 401, next=_inside(next), name=name, problem=str(error))
    answer = RedirectResponse("/password" if session.must_change else _inside(next), 303)
    is_safe = request.url.scheme == "https" or str(parts.settings.public_url or "").startswith("https:")
    answer.set_cookie(
        SESSION_COOKIE,
        session.secret,
        max_age=int(LONGEST.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=is_safe,
    )
    return answer


@router.post("/logout")
def logout(parts: Annotated[Parts, Depends(parts_of)], session: Annotated[Session, Depends(writer)]) -> Response:
    """Log out."""
    parts.people.log_out(session)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(SESSION_COOKIE)
    return answer


@router.get("/password")
def password_page(found: Annotated[Reader, Depends(reader)]) -> Response:
    """The form for a new password."""
    return page(found, "password.html", problem=None, done=False)


@router.post("/password")
def choose_password(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(reader)],
    session: Annotated[Session, Depends(writer)],
    old: Annotated[str, Form(max_length=1000)],
    new: Annotated[str, Form(max_length=1000)],
    again: Annotated[str, Form(max_length=1000)],
) -> Response:
    """Choose a new password."""
    try:
        if new != again:
            raise BadRequestError("hai lần nhập mật khẩu mới không giống nhau")
        parts.people.choose_password(session, old, new, now())
    except BadRequestError as error:
        return page(found, "password.html", 400, problem=str(error), done=False)
    return RedirectResponse("/", 303)


@router.post("/language")
def choose_language(
    language: Annotated[Language, Form()], next: Annotated[str, Form(max_length=2000)] = "/"
) -> Response:
    """Remember the language of this browser."""
    answer = RedirectResponse(_inside(next), 303)
    answer.set_cookie(LANGUAGE_COOKIE, language, max_age=365 * 86400, samesite="lax", httponly=True)
    return answer


def _inside(where: str) -> str:
    """A path of ours; never another site."""
    return where if where.startswith("/") and not where.startswith(("//", "/\\")) else "/"
