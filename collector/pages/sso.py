"""Logging in with the Sở's OpenID provider: there, and back."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from collector import sso
from collector.pages.door import anyone, inside, is_over_tls, let_in, login_form
from collector.pages.rendering import Reader
from collector.parts import Parts, parts_of
from contract.days import now
from contract.errors import AwayError, ForbiddenError, NotFoundError, UnauthorisedError

router = APIRouter(include_in_schema=False)
_PATH = "/login/sso"
_Text = Annotated[str, Query(max_length=4000)]


def provider_of(parts: Annotated[Parts, Depends(parts_of)]) -> sso.Provider:
    """The Sở's provider. Raises NotFoundError when it has none."""
    if parts.sso is None:
        raise NotFoundError("không có gì ở địa chỉ này; hãy kiểm tra lại đường dẫn")
    return parts.sso


@router.get(_PATH)
async def go(
    request: Request,
    parts: Annotated[Parts, Depends(parts_of)],
    provider: Annotated[sso.Provider, Depends(provider_of)],
    found: Annotated[Reader, Depends(anyone)],
    next: Annotated[str, Query(max_length=2000)] = "/",
) -> Response:
    """Send the browser to the provider."""
    try:
        address, cookie = await provider.begin(inside(next), now())
    except (AwayError, UnauthorisedError) as error:
        return login_form(parts, found, inside(next), problem=error)
    answer = RedirectResponse(address, 303)
    # lax: it has to come along when the provider sends the browser back
    answer.set_cookie(
        sso.COOKIE, cookie, path=_PATH, max_age=int(sso.LIVES.total_seconds()), httponly=True, samesite="lax",
        secure=is_over_tls(request, parts),
    )  # fmt: skip
    return answer


@router.get(f"{_PATH}/callback")
async def come_back(
    request: Request,
    parts: Annotated[Parts, Depends(parts_of)],
    provider: Annotated[sso.Provider, Depends(provider_of)],
    found: Annotated[Reader, Depends(anyone)],
    state: _Text = "",
    code: _Text = "",
    error: _Text = "",
) -> Response:
    """What the provider says; each cookie is good for one answer."""
    answer: Response
    at, next = now(), "/"
    found = replace(found, here="/login")  # this address is good only once
    try:
        attempt = provider.attempt(request.cookies.get(sso.COOKIE, ""), state, at)
        next = inside(attempt.next)
        if error or not code:
            raise UnauthorisedError(sso.REFUSED)
        who = await provider.identity(attempt, code, at)
        session = await run_in_threadpool(sso.log_in, parts.store, parts.people, who, at)
        answer = await run_in_threadpool(let_in, request, parts, found, session, next)
    except (AwayError, ForbiddenError, UnauthorisedError) as problem:
        answer = login_form(parts, found, next, problem=problem)
    answer.delete_cookie(sso.COOKIE, path=_PATH, httponly=True, samesite="lax")
    return answer
