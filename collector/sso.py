"""Single sign-on: the Sở's OpenID provider says who somebody is (OpenID Connect, authorization code flow with PKCE).

What must be remembered between the redirect and the answer travels in a signed cookie, so that any collector may take
the answer. Nobody is registered here: a person must be in the list that the administrator keeps.
"""

import asyncio
import hashlib
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any
from urllib.parse import quote

import httpx
from authlib.common.security import generate_token
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OctKey

from collector.people import People, Session
from collector.settings import SingleSignOn, is_safe
from collector.store import Connection, Store
from collector.store import people as stored
from collector.store.people import Account
from contract import tls
from contract.errors import AwayError, ConfigError, ForbiddenError, UnauthorisedError

log = logging.getLogger(__name__)
COOKIE = "nhipso-sso"
LIVES = timedelta(minutes=10)
"""How long somebody may take at the provider."""
DEADLINE = timedelta(seconds=10)
"""For all that one request of ours asks the provider, however slowly it answers."""
AWAY = "nơi đăng nhập một lần không trả lời; hãy thử lại sau, hoặc đăng nhập bằng mật khẩu"
OVER = "lần đăng nhập này đã quá lâu hoặc không bắt đầu từ trang này: hãy bấm đăng nhập lần nữa"
REFUSED = "bạn chưa đăng nhập được ở nơi đăng nhập một lần"
INVALID = "câu trả lời của nơi đăng nhập một lần không hợp lệ nên chưa đăng nhập được; hãy báo quản trị viên của Sở"
UNVERIFIED = "nơi đăng nhập một lần chưa xác minh địa chỉ email của bạn nên chưa đăng nhập được"
UNKNOWN = "tài khoản này chưa được Sở đăng ký, hoặc đã ngừng: hãy liên hệ quản trị viên của Sở"
LINKED = "email này đã gắn với một tài khoản khác ở nơi đăng nhập một lần: hãy đề nghị quản trị viên của Sở gỡ liên kết"
# Signatures by a key that the provider alone has: not by our secret, and not none.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
_LEEWAY = 60  # seconds by which the two clocks may differ
_MOST_BYTES = 2**20
_METADATA_HOLDS = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to log in: what the provider's answer must fit, and where the person wanted to go."""

    state: str
    nonce: str
    verifier: str
    next: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the provider says it is. `subject`: for ever the same; `email`: empty unless it can be trusted."""

    subject: str
    email: str


class Provider:
    """The Sở's OpenID provider. Errors are UnauthorisedError (the answer is no good) and AwayError (there is none)."""

    def __init__(self, settings: SingleSignOn, deadline: timedelta = DEADLINE) -> None:
        """Raises ConfigError when the certificate file or the proxy cannot be used."""
        try:
            self._tls = ssl.create_default_context(cafile=settings.ca_file and str(settings.ca_file))
            self._proxy = settings.proxy and httpx.Proxy(settings.proxy)
        except (OSError, ssl.SSLError, ValueError, httpx.InvalidURL):
            raise ConfigError("[sso]: ca_file hoặc proxy không dùng được") from None
        self.name = settings.name
        self._settings = settings
        self._deadline = deadline
        self._known: tuple[datetime, dict[str, Any]] | None = None
        # all collectors of one Sở have the same secret, so that each can read what another has signed
        secret = hashlib.sha256(b"nhipso sso cookie\0" + settings.client_secret.encode()).digest()
        self._key = OctKey.import_key(secret)

    async def begin(self, next: str, at: datetime) -> tuple[str, str]:
        """(where to send the browser, the cookie that it shall bring back)."""
        async with self._asking() as http:
            metadata = await self._metadata(http, at)
        attempt = Attempt(generate_token(32), generate_token(32), generate_token(64), next)
        address: str = prepare_grant_uri(
            _endpoint(metadata, "authorization_endpoint"), self._settings.client_id, "code",
            redirect_uri=self._settings.redirect_uri, scope="openid email profile",
            state=attempt.state, nonce=attempt.nonce,
            code_challenge=create_s256_code_challenge(attempt.verifier), code_challenge_method="S256",
        )  # fmt: skip
        cookie = jwt.encode({"alg": "HS256"}, {**asdict(attempt), "exp": int((at + LIVES).timestamp())}, self._key)
        return address, cookie

    def attempt(self, cookie: str, state: str, at: datetime) -> Attempt:
        """The attempt that this answer belongs to. Raises UnauthorisedError."""
        try:
            claims = jwt.decode(cookie, self._key, algorithms=["HS256"]).claims
            found = Attempt(**{name: str(claims[name]) for name in Attempt.__slots__})
            is_over = at.timestamp() >= claims["exp"]
        except (JoseError, KeyError, ValueError):
            raise UnauthorisedError(OVER) from None
        if is_over or not compare_digest(found.state.encode(), state.encode()):
            raise UnauthorisedError(OVER)
        return found

    async def identity(self, attempt: Attempt, code: str, at: datetime) -> Identity:
        """Who has logged in, in exchange for the code."""
        async with self._asking() as http:
            metadata = await self._metadata(http, at)
            token = await self._token(http, metadata, code, attempt.verifier)
            keys = await _fetch(http, "GET", _endpoint(metadata, "jwks_uri"))
        try:
            claims = self._proved(token, keys, attempt.nonce, at)
        # what is wrong with an answer shows in the library in many ways
        except (JoseError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            told = str(error) if isinstance(error, JoseError) else type(error).__name__
            raise _invalid(f"ID token: {told}") from None
        email = claims.get(self._settings.claim)
        # other claims than the standard's are the directory's own, which nobody writes for themselves
        is_sure = claims.get("email_verified") is True or self._settings.claim != "email"
        return Identity(f"{self._settings.issuer} {claims['sub']}", email if is_sure and isinstance(email, str) else "")

    def _proved(self, token: Mapping[str, Any], keys: Any, nonce: str, at: datetime) -> Mapping[str, Any]:
        """What the ID token says, after its signature, issuer, audience, times and nonce have been found right."""
        read = jwt.decode(token["id_token"], KeySet.import_key_set(keys), algorithms=_ALGORITHMS)
        client = self._settings.client_id
        wanted = {"iss": {"value": self._settings.issuer}, "aud": {"value": client}, "sub": {"essential": True}}
        expected = {"nonce": nonce, "client_id": client, "access_token": token.get("access_token")}
        claims: Mapping[str, Any] = CodeIDToken(read.claims, read.header, wanted, expected)
        claims.validate(now=int(at.timestamp()), leeway=_LEEWAY)  # type: ignore[attr-defined]
        return claims

    async def _token(self, http: httpx.AsyncClient, metadata: Mapping[str, Any], code: str, verifier: str) -> Any:
        mine = self._settings
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": mine.redirect_uri,
            "code_verifier": verifier,
        }
        # RFC 6749, 2.3.1: both are written as in a form before they become a header
        by_header = httpx.BasicAuth(quote(mine.client_id, safe=""), quote(mine.client_secret, safe=""))
        methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        auth = by_header if "client_secret_basic" in methods else None
        if auth is None:
            form |= {"client_id": mine.client_id, "client_secret": mine.client_secret}
        return await _fetch(http, "POST", _endpoint(metadata, "token_endpoint"), data=form, auth=auth)

    async def _metadata(self, http: httpx.AsyncClient, at: datetime) -> dict[str, Any]:
        """What the provider says of itself; asked again after a while, so that it may change."""
        if self._known is None or at - self._known[0] > _METADATA_HOLDS:
            issuer = self._settings.issuer
            found = await _fetch(http, "GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != issuer:
                raise _invalid("its discovery names another issuer than collector.toml")
            self._known = at, found
        return self._known[1]

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client for this request of ours; it and all that it asks end at the deadline. Raises AwayError."""
        # the deadline below is for everything together
        client = httpx.AsyncClient(verify=self._tls, proxy=self._proxy or None, trust_env=False, timeout=None)  # noqa: S113  # nosec B113
        try:
            async with asyncio.timeout(self._deadline.total_seconds()), client as http:
                yield http
        except (TimeoutError, httpx.HTTPError) as error:
            log.warning("single sign-on: the provider does not answer: %s", tls.failure(error) or type(error).__name__)
            raise AwayError(AWAY) from None


async def _fetch(http: httpx.AsyncClient, method: str, address: str, **body: Any) -> dict[str, Any]:
    """The JSON object at an address of the provider."""
    async with http.stream(method, address, headers={"Accept": "application/json"}, **body) as answer:
        text = bytearray()
        async for part in answer.aiter_bytes():
            text += part
            if len(text) > _MOST_BYTES:
                raise _invalid("an answer is too long")
    if answer.status_code >= 500:
        answer.raise_for_status()
    try:
        found = httpx.Response(answer.status_code, content=bytes(text)).json()
    except (RecursionError, ValueError):
        found = None
    if not answer.is_success or not isinstance(found, dict):
        raise _invalid(f"{method} is answered with status {answer.status_code}")
    return found


def _endpoint(metadata: Mapping[str, Any], name: str) -> str:
    address = metadata.get(name)
    if not isinstance(address, str) or not is_safe(address):
        raise _invalid(f"its discovery has no usable {name}")
    return address


def _invalid(reason: str) -> UnauthorisedError:
    """For the person one sentence, for the operator's log the reason."""
    log.warning("single sign-on: %s", reason)
    return UnauthorisedError(INVALID)


def log_in(store: Store, people: People, who: Identity, at: datetime) -> Session:
    """A session of the registered person that this is. Raises ForbiddenError.

    An account is linked to who its owner is at the provider when they first come, by e-mail; afterwards only that
    counts. A first password that they never changed is withdrawn: they have shown who they are without it.
    """
    with store.write() as connection:
        found = stored.by_subject(connection, who.subject)
        if found is None:
            found = _by_email(connection, who)
            stored.change(connection, found.person.id, subject=who.subject)
            name, facility = found.person.name, found.person.facility
            stored.note(connection, at, name, "sso_linked", name, facility=facility, after={"subject": who.subject})
        if found.disabled_at is not None:
            raise ForbiddenError(UNKNOWN)
        if found.must_change:
            stored.change(connection, found.person.id, password_hash=None, must_change=False)
    return people.open(replace(found, must_change=False), at, "sso")


def _by_email(connection: Connection, who: Identity) -> Account:
    """The one enabled account with this address. Raises ForbiddenError."""
    if not who.email:
        raise ForbiddenError(UNVERIFIED)
    address = who.email.strip().casefold()
    found = [one for one in stored.accounts(connection) if one.person.email.casefold() == address]
    open_ = [one for one in found if one.disabled_at is None]
    if len(open_) != 1:  # nobody, or nobody can tell whose of two accounts this is
        raise ForbiddenError(UNKNOWN)
    issuer = who.subject.partition(" ")[0]
    if (open_[0].subject or "").partition(" ")[0] == issuer:
        raise ForbiddenError(LINKED)
    return open_[0]
