"""Logging in and out, the password, the language; and who reads a page or sends a form."""

import re
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from collector.pages.rendering import LANGUAGE_COOKIE, Language, Reader, here, language_of, page
from collector.parts import Parts, parts_of
from collector.people import SESSION_COOKIE, SHORTEST, Session
from collector.store.people import Person
from contract.days import now
from contract.errors import BadRequestError, ForbiddenError, PortalError, UnauthorisedError

# Whoever they are may send these forms: they are read before anybody is asked.
_MOST_BYTES = 65_536
router = APIRouter(include_in_schema=False, max_body_size=_MOST_BYTES)
# A path of ours: not //host, and nothing that browsers drop or turn into a slash on the way to it.
_OURS = re.compile(r"/(?!/)[^\\\s\x00-\x1f\x7f]*")


class LogInFirstError(UnauthorisedError):
    """The page is for people who have logged in: `address` is where they do, and it brings them back."""

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__("hãy đăng nhập")


async def same_origin(request: Request) -> None:
    """Refuse what another site has made a browser send: the app asks this of every request. Raises ForbiddenError.

    Programs and browsers before 2021-23 do not send the header; for those the form token remains.
    """
    where = request.headers.get("sec-fetch-site", "none")
    if request.method not in ("GET", "HEAD") and where not in ("same-origin", "none"):
        raise ForbiddenError("yêu cầu này đến từ một trang web khác nên không được thực hiện")


def anyone(request: Request, parts: Annotated[Parts, Depends(parts_of)]) -> Reader:
    """Whoever asks, logged in or not."""
    secret = request.cookies.get(SESSION_COOKIE)
    session = parts.people.session(secret, now()) if secret else None
    # a page that tells of a problem is made outside the route, and is still shown to the same reader
    request.state.reader = Reader(session, language_of(request), here(request))
    found: Reader = request.state.reader
    return found


def logged_in(request: Request, found: Annotated[Reader, Depends(anyone)]) -> Session:
    """The session of somebody who is logged in, also if they must change their password. Raises LogInFirstError."""
    if found.session is None:
        raise LogInFirstError("/login" if here(request) == "/" else f"/login?next={quote(here(request))}")
    return found.session


def reader(found: Annotated[Reader, Depends(anyone)], session: Annotated[Session, Depends(logged_in)]) -> Reader:
    """Somebody who is logged in and has a password of their own: who reads a page. Raises LogInFirstError."""
    if session.must_change:
        raise LogInFirstError("/password")
    return found


def person_of(found: Annotated[Reader, Depends(reader)], session: Annotated[Session, Depends(logged_in)]) -> Person:
    """The person who reads a page."""
    return session.person


def sender(session: Annotated[Session, Depends(logged_in)], form_token: Annotated[str, Form()] = "") -> Session:
    """Somebody who sends a form that we have shown to this session. Raises ForbiddenError."""
    if not session.is_from_us(form_token):
        raise ForbiddenError("biểu mẫu này đã cũ: hãy mở lại trang và gửi lần nữa")
    return session


def writer(_: Annotated[Reader, Depends(reader)], session: Annotated[Session, Depends(sender)]) -> Person:
    """The person who sends the form of a page."""
    return session.person


@router.get("/login")
def login_page(
    parts: Annotated[Parts, Depends(parts_of)], found: Annotated[Reader, Depends(anyone)], next: str = "/"
) -> Response:
    """The form; whoever is logged in already goes where they wanted to."""
    if found.session is not None:
        return RedirectResponse(inside(next), 303)
    return login_form(parts, found, inside(next))


@router.post("/login")
def login(
    request: Request,
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(anyone)],
    name: Annotated[str, Form(max_length=200)] = "",
    password: Annotated[str, Form(max_length=1000)] = "",
    next: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    """Log in. There is no session yet that a form token could belong to: `same_origin` stands alone."""
    address = request.client.host if request.client else ""
    try:
        session = parts.people.log_in(name, password, now(), address)
    except UnauthorisedError as error:
        return login_form(parts, found, inside(next), name, error)
    return let_in(request, parts, found, session, inside(next))


def login_form(
    parts: Parts, found: Reader, next: str, name: str = "", problem: PortalError | None = None
) -> HTMLResponse:
    """The page on which people log in, with what went wrong the last time."""
    status, said = (200, None) if problem is None else (problem.status, str(problem))
    shown = {"sso": parts.sso and parts.sso.name, "next": next, "name": name, "problem": said}
    return page(found, "login.html", status, **shown)


def let_in(request: Request, parts: Parts, found: Reader, session: Session, next: str) -> RedirectResponse:
    """Whoever asks has the new session from now on, instead of one they had before."""
    if found.session is not None:
        parts.people.log_out(found.session)
    answer = RedirectResponse("/password" if session.must_change else next, 303)
    # without an age: forgotten when the browser is closed; how long it holds is the server's to say
    answer.set_cookie(SESSION_COOKIE, session.secret, httponly=True, samesite="lax", secure=is_over_tls(request, parts))
    return answer


def is_over_tls(request: Request, parts: Parts) -> bool:
    """Whether browsers reach us over TLS, so that a cookie may ask for it."""
    return request.url.scheme == "https" or str(parts.settings.public_url or "").startswith("https:")


@router.post("/logout")
def logout(parts: Annotated[Parts, Depends(parts_of)], session: Annotated[Session, Depends(sender)]) -> Response:
    """Log out."""
    parts.people.log_out(session)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="lax")
    return answer


@router.get("/password")
def password_page(
    found: Annotated[Reader, Depends(anyone)], session: Annotated[Session, Depends(logged_in)], done: bool = False
) -> Response:
    """The form for a new password, or that it was taken."""
    return page(found, "password.html", problem=None, done=done and not session.must_change, least=SHORTEST)


@router.post("/password")
def choose_password(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(anyone)],
    session: Annotated[Session, Depends(sender)],
    old: Annotated[str, Form(max_length=1000)] = "",
    new: Annotated[str, Form(max_length=1000)] = "",
    again: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Choose a new password."""
    try:
        if new != again:
            raise BadRequestError("hai lần nhập mật khẩu mới không giống nhau")
        parts.people.choose_password(session, old, new, now())
    except BadRequestError as error:
        return page(found, "password.html", 400, problem=str(error), done=False, least=SHORTEST)
    return RedirectResponse("/password?done=1", 303)


@router.post("/language")
def choose_language(
    language: Annotated[Language, Form()], next: Annotated[str, Form(max_length=2000)] = "/"
) -> Response:
    """Remember the language of this browser: no secret, and nothing of a person, so no form token is asked for."""
    answer = RedirectResponse(inside(next), 303)
    answer.set_cookie(LANGUAGE_COOKIE, language, max_age=365 * 86400, samesite="lax", httponly=True)
    return answer


def inside(where: str) -> str:
    """A path of ours; never another site."""
    return where if _OURS.fullmatch(where) else "/"
