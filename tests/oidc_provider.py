"""An OpenID provider for the tests: discovery, JWKS, codes with PKCE, RS256 tokens; and what may be wrong with each.

What is wrong here is checked there: the faults are in the answers, the checks of a real provider are in the requests.
"""

import asyncio
import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any
from urllib.parse import unquote, urlencode

import httpx
from fastapi import FastAPI, Form, Header, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from collector.settings import SingleSignOn
from tests.office import serving

CLIENT, SECRET = "nhipso", "bí mật: 32 ký tự / & + % dài đủ"
_AN = {"sub": "u-1", "email": "an@example.org", "email_verified": True}
CALLBACK = "http://127.0.0.1:1/login/sso/callback"


@cache
def key(name: str = "one") -> RSAKey:
    """A signing key of the provider; `other` is nobody's."""
    return RSAKey.generate_key(2048, {"kid": name, "use": "sig", "alg": "RS256"}, auto_kid=False)


@dataclass
class OpenIdProvider:
    """Everybody who is sent here is `who`; tests change the fields to make it answer wrongly."""

    url: str = ""
    who: dict[str, Any] = field(default_factory=lambda: dict(_AN))
    claims: dict[str, Any] = field(default_factory=dict)
    """Over what an ID token rightly says; None takes a claim out."""
    metadata: dict[str, Any] = field(default_factory=dict)
    token: dict[str, Any] = field(default_factory=dict)
    signature: str = "one"
    """A key by name, whether published or not; `none`, `secret`: no key of the provider's at all."""
    broken: dict[str, str] = field(default_factory=dict)
    """Path → `hangs`, `drips`, `endless`, `html`, `list`, `deep`, or a status."""
    published: list[str] = field(default_factory=lambda: ["one"])
    asked: list[str] = field(default_factory=list)
    """The paths of all requests."""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    released: threading.Event = field(default_factory=threading.Event)

    def heal(self) -> None:
        """Nothing is wrong any more, and whoever still waits is answered."""
        self.released.set()
        vars(self).update(vars(OpenIdProvider(self.url)))

    def settings(self, **other: Any) -> SingleSignOn:
        """What the administrator writes in collector.toml."""
        plain = {"issuer": self.url, "client_id": CLIENT, "client_secret": SECRET, "redirect_uri": CALLBACK}
        return SingleSignOn(**{"name": "tài khoản của tỉnh", **plain, **other})

    def id_token(self, nonce: str) -> str:
        """Signed, as the fields say."""
        at = int(time.time())
        right = {"iss": self.url, "aud": CLIENT, "iat": at, "exp": at + 300, "nonce": nonce, **self.who}
        claims = {name: value for name, value in {**right, **self.claims}.items() if value is not None}
        match self.signature:
            case "none":
                return ".".join([_text(b'{"alg":"none"}'), _text(json.dumps(claims).encode()), ""])
            case "secret":
                return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET))
            case name:
                return jwt.encode({"alg": "RS256", "kid": name if name in self.published else "one"}, claims, key(name))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _app(one: OpenIdProvider) -> FastAPI:
    app = FastAPI()

    @app.middleware("http")
    async def fault(request: Request, call_next: Any) -> Response:
        one.asked.append(request.url.path)
        how = one.broken.get(request.url.path)
        return await _broken(one, how) if how else await call_next(request)

    @app.get("/.well-known/openid-configuration")
    def discovery() -> dict[str, Any]:
        return {
            "issuer": one.url,
            "authorization_endpoint": f"{one.url}/authorize",
            "token_endpoint": f"{one.url}/token",
            "jwks_uri": f"{one.url}/keys",
            "code_challenge_methods_supported": ["S256"],
            "id_token_signing_alg_values_supported": ["RS256"],
            **one.metadata,
        }

    @app.get("/keys")
    def keys() -> dict[str, Any]:
        return {"keys": [key(name).as_dict(private=False) for name in one.published]}

    @app.get("/authorize")
    def authorize(request: Request) -> RedirectResponse:
        asked = dict(request.query_params)
        assert (asked["client_id"], asked["response_type"]) == (CLIENT, "code")
        assert (asked["redirect_uri"], asked["code_challenge_method"]) == (CALLBACK, "S256")
        assert {"openid", "email"} <= set(asked["scope"].split())
        assert len(asked["state"]) >= 32 and len(asked["nonce"]) >= 32
        code = secrets.token_urlsafe(16)
        one.codes[code] = asked
        return RedirectResponse(f"{CALLBACK}?{urlencode({'code': code, 'state': asked['state']})}", 302)

    @app.post("/token")
    def token(
        grant_type: Annotated[str, Form()],
        code: Annotated[str, Form()],
        redirect_uri: Annotated[str, Form()],
        code_verifier: Annotated[str, Form()],
        client_id: Annotated[str, Form()] = "",
        client_secret: Annotated[str, Form()] = "",
        authorization: Annotated[str, Header()] = "",
    ) -> Response:
        if authorization:
            said = base64.b64decode(authorization.removeprefix("Basic ")).decode().split(":")
            client_id, client_secret = (unquote(part) for part in said)
        asked = one.codes.pop(code, None)  # a code is good once
        challenge = _text(hashlib.sha256(code_verifier.encode()).digest())
        if (client_id, client_secret) != (CLIENT, SECRET):
            return JSONResponse({"error": "invalid_client"}, 401)
        if asked is None or (asked["code_challenge"], asked["redirect_uri"]) != (challenge, redirect_uri):
            return JSONResponse({"error": "invalid_grant"}, 400)
        assert grant_type == "authorization_code"
        answer = {"access_token": "x", "token_type": "Bearer", "id_token": one.id_token(asked["nonce"]), **one.token}
        return JSONResponse({name: value for name, value in answer.items() if value is not None})

    return app


async def _broken(one: OpenIdProvider, how: str) -> Response:
    """The answers that are none."""

    released = one.released

    async def endless(pause: float) -> Any:
        while not released.is_set():
            yield b" " * (1 if pause else 2**16)
            await asyncio.sleep(pause)

    match how:
        case "hangs":
            async for _ in endless(0.02):
                pass
            return Response(status_code=500)
        case "drips":
            return StreamingResponse(endless(0.05), media_type="application/json")
        case "endless":
            return StreamingResponse(endless(0), media_type="application/json")
        case "html":
            return Response("<html>", media_type="text/html")
        case "list":
            return JSONResponse([])
        case "deep":
            return Response("[" * 100_000, media_type="application/json")
        case status:
            return JSONResponse({"error": "x"}, int(status))


@contextmanager
def provider() -> Iterator[tuple[OpenIdProvider, httpx.Client]]:
    """The provider on loopback, and a browser's way to it."""
    one = OpenIdProvider()
    with serving(_app(one)) as http:
        one.url = str(http.base_url).rstrip("/")
        try:
            yield one, http
        finally:
            one.released.set()
