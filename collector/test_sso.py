"""Single sign-on against a provider that speaks OpenID Connect over a socket: who gets in, and all who do not."""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from importlib import resources
from itertools import takewhile
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from babel.messages.pofile import read_po
from fastapi import FastAPI

from collector import sso
from collector.people import SESSION_COOKIE
from collector.settings import SingleSignOn, load
from collector.store import people as stored
from collector.store.people import OPERATOR, Account, Person
from contract.days import now
from contract.errors import ConfigError
from tests.browsing import BROWSER, Page
from tests.hospital import HungServer
from tests.office import Office, serving
from tests.oidc_provider import CALLBACK, CLIENT, OpenIdProvider, provider

AN = Person("an", "confirmer", "12001", "Nguyễn Văn An", "An@Example.org")
HOUR = 3600


@pytest.fixture(scope="module")
def so(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Office, FastAPI, httpx.Client]]:
    """One collector for all tests of this module."""
    directory = tmp_path_factory.mktemp("so")
    one = Office(f"sqlite:///{directory / 'collector.sqlite'}", directory)
    one.register("12001")
    app = one.app()
    with serving(app) as client:
        client.headers.update(BROWSER)
        yield one, app, client
    one.store.close()


@pytest.fixture
def office(so: tuple[Office, FastAPI, httpx.Client]) -> Office:
    """One person is registered, and has never logged in."""
    with so[0].store.read() as connection:
        known = [one.person.name for one in stored.accounts(connection)]
    for name in known:
        so[0].people.disable(name, now())
    so[0].people.add(AN, now())
    return so[0]


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[OpenIdProvider, httpx.Client]]:
    with provider() as found:
        yield found


@pytest.fixture
def at_idp(served: tuple[OpenIdProvider, httpx.Client]) -> httpx.Client:
    """The browser's way to the provider."""
    return served[1]


@pytest.fixture
def idp(served: tuple[OpenIdProvider, httpx.Client]) -> OpenIdProvider:
    """As good as new."""
    served[0].heal()
    return served[0]


Collector = Callable[..., httpx.Client]


@pytest.fixture
def collector(so: tuple[Office, FastAPI, httpx.Client], office: Office) -> Collector:
    """A browser's way to the collector, which has from now on this provider, or none."""
    _, app, client = so

    def set_up(settings: SingleSignOn | None, deadline: timedelta = sso.DEADLINE, **other: Any) -> httpx.Client:
        chosen = sso.Provider(settings, deadline) if settings else None
        app.state.parts = replace(
            app.state.parts, sso=chosen, settings=replace(app.state.parts.settings, **{"public_url": None, **other})
        )
        client.cookies.clear()
        return client

    return set_up


@pytest.fixture
def http(collector: Collector, idp: OpenIdProvider) -> httpx.Client:
    return collector(idp.settings())


def go(http: httpx.Client, at_idp: httpx.Client, next: str = "/facilities/12001") -> str:
    """From the button to the provider; the path that it sends the browser back to."""
    sent = http.get("/login/sso", params={"next": next})
    assert sent.status_code == 303, sent.text
    back = at_idp.get(sent.headers["Location"])
    assert back.headers["Location"].startswith(CALLBACK)
    parts = urlsplit(back.headers["Location"])
    return f"{parts.path}?{parts.query}"


def come(http: httpx.Client, at_idp: httpx.Client) -> httpx.Response:
    """There and back."""
    return http.get(go(http, at_idp))


def is_refused(answer: httpx.Response, status: int, sentence: str) -> bool:
    """The page to log in on, with this sentence, and nobody is logged in."""
    said = sentence[0].upper() + sentence[1:]
    form = {one.get("name") for one in Page(answer).every("input")}
    assert (answer.status_code, said in answer.text) == (status, True), answer.text
    assert {"name", "password"} <= form, "the password still works"
    return SESSION_COOKIE not in {one.partition("=")[0] for one in answer.headers.get_list("Set-Cookie")}


def account(office: Office, name: str = "an") -> Account:
    with office.store.read() as connection:
        return stored.named(connection, name)


def audit(office: Office) -> list[tuple[str, str, Any]]:
    """(who, what, after) since the administrator's last change, oldest first."""
    with office.store.read() as connection:
        found = takewhile(lambda one: one.person != OPERATOR, stored.changes(connection))
        return [(one.person, one.action, one.after and json.loads(one.after)) for one in found][::-1]


# --- who gets in


def test_a_registered_person_gets_in_by_a_verified_address_and_afterwards_by_who_they_are_alone(
    office: Office, http: httpx.Client, at_idp: httpx.Client, idp: OpenIdProvider
) -> None:
    answer = come(http, at_idp)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/facilities/12001")
    assert "Nguyễn Văn An" in http.get("/facilities/12001").text
    subject = f"{idp.url} u-1"
    assert audit(office) == [("an", "sso_linked", {"subject": subject}), ("an", "log_in", {"how": "sso"})]
    http.cookies.clear()
    # another address at the provider, and here: still the same person
    idp.who |= {"email": "khac@example.org", "email_verified": False}
    office.people.add(replace(AN, email="an.moi@example.org"), now())
    assert come(http, at_idp).headers["Location"] == "/facilities/12001"
    assert audit(office) == [("an", "log_in", {"how": "sso"})]
    assert account(office).subject == subject


def test_the_session_is_like_any_other_and_ends_by_logging_out(http: httpx.Client, at_idp: httpx.Client) -> None:
    answer = come(http, at_idp)
    cookies = answer.headers.get_list("Set-Cookie")
    assert sorted(one.partition("=")[0] for one in cookies) == [SESSION_COOKIE, sso.COOKIE]
    assert all("HttpOnly" in one and "SameSite=lax" in one for one in cookies)
    assert sso.COOKIE not in http.cookies
    (token, *_) = (
        one["value"] for one in Page(http.get("/facilities/12001")).every("input") if one["name"] == "form_token"
    )
    assert http.post("/logout", data={"form_token": token}).headers["Location"] == "/login"
    assert http.get("/").headers["Location"] == "/login"


def test_who_has_logged_in_so_needs_no_first_password_and_nobody_else_can_use_it(
    office: Office, http: httpx.Client, at_idp: httpx.Client
) -> None:
    first = office.people.first_password("an", now())
    assert come(http, at_idp).headers["Location"] == "/facilities/12001"
    assert http.get("/facilities/12001").status_code == 200
    http.cookies.clear()
    assert http.post("/login", data={"name": "an", "password": first}).status_code == 401


def test_a_password_that_its_owner_chose_still_works(office: Office, http: httpx.Client, at_idp: httpx.Client) -> None:
    first = office.people.first_password("an", now())
    session = office.people.log_in("an", first, now())
    office.people.choose_password(session, first, "trời hôm nay có mây", now())
    come(http, at_idp)
    http.cookies.clear()
    assert http.post("/login", data={"name": "an", "password": "trời hôm nay có mây"}).status_code == 303
    assert audit(office)[-1][2] == {"how": "password"}


def test_the_answer_may_reach_another_collector(
    office: Office, http: httpx.Client, at_idp: httpx.Client, idp: OpenIdProvider
) -> None:
    with serving(office.app(sso=idp.settings())) as second:
        back = go(http, at_idp)
        answer = second.get(back, headers={"Cookie": f"{sso.COOKIE}={http.cookies[sso.COOKIE]}"})
        assert answer.headers["Location"] == "/facilities/12001"


def test_a_provider_that_wants_the_secret_in_the_form_gets_it_there(
    http: httpx.Client, at_idp: httpx.Client, idp: OpenIdProvider
) -> None:
    idp.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    assert come(http, at_idp).headers["Location"] == "/facilities/12001"


def test_an_address_of_the_provider_may_have_a_query(
    http: httpx.Client, at_idp: httpx.Client, idp: OpenIdProvider
) -> None:
    idp.metadata["authorization_endpoint"] = f"{idp.url}/authorize?policy=so-y-te"
    assert "policy=so-y-te&" in http.get("/login/sso").headers["Location"]
    assert come(http, at_idp).headers["Location"] == "/facilities/12001"


def test_the_address_may_stand_in_another_claim(
    collector: Collector, at_idp: httpx.Client, idp: OpenIdProvider
) -> None:
    idp.who = {"sub": "u-1", "upn": "an@example.org", "email": "sếp@example.org", "email_verified": True}
    assert come(collector(idp.settings(claim="upn")), at_idp).headers["Location"] == "/facilities/12001"


def test_the_provider_may_change_its_keys(http: httpx.Client, at_idp: httpx.Client, idp: OpenIdProvider) -> None:
    come(http, at_idp)
    idp.published, idp.signature = ["one", "two"], "two"
    http.cookies.clear()
    assert come(http, at_idp).headers["Location"] == "/facilities/12001"


def test_of_another_provider_the_same_people_are_found_by_their_address_again(
    office: Office, http: httpx.Client, at_idp: httpx.Client, idp: OpenIdProvider
) -> None:
    with office.store.write() as connection:
        stored.change(connection, account(office).person.id, subject="https://dangnhap-cu.example.gov.vn u-1")
    assert come(http, at_idp).headers["Location"] == "/facilities/12001"
    assert account(office).subject == f"{idp.url} u-1"


# --- who does not


def test_nobody_is_registered_by_logging_in(
    office: Office, http: httpx.Client, at_idp: httpx.Client, idp: OpenIdProvider
) -> None:
    idp.who |= {"email": "la@example.org"}
    assert is_refused(come(http, at_idp), 403, sso.UNKNOWN)
    with office.store.read() as connection:
        assert "la@example.org" not in [one.person.email for one in stored.accounts(connection)]
    assert audit(office) == []


@pytest.mark.parametrize("verified", [False, None, "true", 1], ids=str)
def test_an_address_that_was_not_verified_links_nobody(
    office: Office, http: httpx.Client, at_idp: httpx.Client, idp: OpenIdProvider, verified: Any
) -> None:
    idp.who |= {"email_verified": verified}
    assert is_refused(come(http, at_idp), 403, sso.UNVERIFIED)
    assert account(office).subject is None


@pytest.mark.parametrize("email", ["", None, 7, ["an@example.org"]], ids=str)
def test_no_address_links_nobody_who_has_none(
    office: Office, http: httpx.Client, at_idp: httpx.Client, idp: OpenIdProvider, email: Any
) -> None:
    office.people.add(Person("bình", "reader", None), now())
    idp.who |= {"email": email}
    assert is_refused(come(http, at_idp), 403, sso.UNVERIFIED)


def test_an_address_that_two_accounts_have_links_neither(
    office: Office, http: httpx.Client, at_idp: httpx.Client
) -> None:
    office.people.add(Person("an2", "reader", None, email="an@example.org"), now())
    assert is_refused(come(http, at_idp), 403, sso.UNKNOWN)


def test_an_account_that_is_linked_is_not_taken_over_by_its_address(
    office: Office, http: httpx.Client, at_idp: httpx.Client, idp: OpenIdProvider
) -> None:
    come(http, at_idp)
    http.cookies.clear()
    idp.who |= {"sub": "u-2"}
    assert is_refused(come(http, at_idp), 403, sso.LINKED)
    assert account(office).subject == f"{idp.url} u-1"


def test_a_disabled_person_is_refused_and_unlinked(office: Office, http: httpx.Client, at_idp: httpx.Client) -> None:
    come(http, at_idp)
    office.people.disable("an", now())
    assert http.get("/").headers["Location"] == "/login"
    assert is_refused(come(http, at_idp), 403, sso.UNKNOWN)
    assert account(office).subject is None
    office.people.add(AN, now())
    assert come(http, at_idp).headers["Location"] == "/facilities/12001"


def test_a_person_disabled_elsewhere_while_linked_is_refused(
    office: Office, http: httpx.Client, at_idp: httpx.Client
) -> None:
    come(http, at_idp)
    with office.store.write() as connection:
        stored.change(connection, account(office).person.id, disabled_at=now())
    http.cookies.clear()
    assert is_refused(come(http, at_idp), 403, sso.UNKNOWN)


WRONG: dict[str, dict[str, Any]] = {
    "another nonce": {"claims": {"nonce": "x" * 43}},
    "no nonce": {"claims": {"nonce": None}},
    "another audience": {"claims": {"aud": "other"}},
    "another audience, for us": {"claims": {"aud": "other", "azp": CLIENT}},
    "two audiences, for another": {"claims": {"aud": [CLIENT, "other"], "azp": "other"}},
    "no audience": {"claims": {"aud": None}},
    "another issuer": {"claims": {"iss": "https://la.example"}},
    "no issuer": {"claims": {"iss": None}},
    "expired": {"claims": {"exp": 1}},
    "no expiry": {"claims": {"exp": None}},
    "expiry in words": {"claims": {"exp": "mai"}},
    "of tomorrow": {"claims": {"iat": 2**40, "exp": 2**41}},
    "nobody": {"claims": {"sub": None}},
    "an empty subject": {"claims": {"sub": ""}},
    "a number for a subject": {"claims": {"sub": 7}},
    "signed by another key": {"signature": "other"},
    "signed by nobody": {"signature": "none"},
    "signed with our secret": {"signature": "secret"},
    "no ID token": {"token": {"id_token": None}},
    "an ID token that is none": {"token": {"id_token": "x.y.z"}},
    "a list for a token": {"token": {"id_token": [1]}},
    "for another access token": {"claims": {"at_hash": "x"}},
    "no keys": {"published": []},
    "keys of another": {"published": ["other"]},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_answer_that_is_not_ours_lets_nobody_in(
    office: Office, http: httpx.Client, at_idp: httpx.Client, idp: OpenIdProvider, wrong: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    for name, value in WRONG[wrong].items():
        setattr(idp, name, value)
    with caplog.at_level(logging.WARNING, "collector.sso"):
        assert is_refused(come(http, at_idp), 401, sso.INVALID)
    assert account(office).subject is None
    [told] = [one.getMessage() for one in caplog.records if one.name == "collector.sso"]
    assert told.startswith("single sign-on: ") and "example.org" not in told


def test_a_code_is_good_once(http: httpx.Client, at_idp: httpx.Client) -> None:
    back = go(http, at_idp)
    cookie = {"Cookie": f"{sso.COOKIE}={http.cookies[sso.COOKIE]}"}
    assert http.get(back).status_code == 303
    assert is_refused(http.get(back), 401, sso.OVER)  # the cookie is gone
    http.cookies.clear()
    assert is_refused(http.get(back, headers=cookie), 401, sso.INVALID)  # the provider knows


def test_the_answer_to_one_browser_is_no_good_in_another(
    office: Office, http: httpx.Client, at_idp: httpx.Client
) -> None:
    back, kept = go(http, at_idp), http.cookies[sso.COOKIE]
    http.cookies.clear()
    assert is_refused(http.get(back), 401, sso.OVER)
    # nor beside an attempt of that browser's own
    own = go(http, at_idp)
    assert is_refused(http.get(back), 401, sso.OVER)
    # nor a code of one attempt under the state of the other
    http.cookies.clear()
    code = dict(httpx.QueryParams(urlsplit(own).query))["code"]
    state = dict(httpx.QueryParams(urlsplit(back).query))["state"]
    mixed = f"/login/sso/callback?{urlencode({'code': code, 'state': state})}"
    assert is_refused(http.get(mixed, headers={"Cookie": f"{sso.COOKIE}={kept}"}), 401, sso.INVALID)
    assert account(office).subject is None


@pytest.mark.parametrize("state", ["", "x", "đ", "x" * 4000], ids=len)
def test_another_state_is_refused_before_the_provider_is_asked(
    http: httpx.Client, at_idp: httpx.Client, idp: OpenIdProvider, state: str
) -> None:
    go(http, at_idp)
    idp.asked.clear()
    query = urlencode({"code": "x", "state": state})
    assert is_refused(http.get(f"/login/sso/callback?{query}"), 401, sso.OVER)
    assert idp.asked == []


async def _begun(settings: SingleSignOn, **other: Any) -> tuple[str, str]:
    """(state, cookie) of an attempt that another collector began, or this one long ago."""
    at = now() - other.get("ago", timedelta(0))
    address, cookie = await sso.Provider(settings).begin("/", at)
    return dict(httpx.QueryParams(urlsplit(address).query))["state"], cookie


@pytest.mark.parametrize("fault", ["old", "changed", "of another secret", "nonsense"])
def test_a_cookie_that_we_did_not_sign_just_now_is_refused(http: httpx.Client, idp: OpenIdProvider, fault: str) -> None:
    other = {"client_secret": "x" * 32} if fault == "of another secret" else {}
    ago = sso.LIVES if fault == "old" else timedelta(0)
    state, cookie = asyncio.run(_begun(idp.settings(**other), ago=ago))
    cookie = {"changed": cookie[:-9] + cookie[-9:].swapcase(), "nonsense": "x.y.z"}.get(fault, cookie)
    idp.asked.clear()
    answer = http.get(f"/login/sso/callback?code=x&state={state}", headers={"Cookie": f"{sso.COOKIE}={cookie}"})
    assert is_refused(answer, 401, sso.OVER)
    assert idp.asked == []


def test_who_turns_back_at_the_provider_is_told_so(http: httpx.Client, at_idp: httpx.Client) -> None:
    state = dict(httpx.QueryParams(urlsplit(go(http, at_idp)).query))["state"]
    answer = http.get(f"/login/sso/callback?error=access_denied&error_description=%3Cb%3E&state={state}")
    assert is_refused(answer, 401, sso.REFUSED)
    assert "<b>" not in answer.text and state not in answer.text
    assert {one["value"] for one in Page(answer).every("input") if one["name"] == "next"} == {
        "/facilities/12001",  # after the password
        "/login",  # after the language
    }


@pytest.mark.parametrize("next", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_nobody_is_led_to_another_site_afterwards(http: httpx.Client, at_idp: httpx.Client, next: str) -> None:
    assert http.get(go(http, at_idp, next)).headers["Location"] == "/"


# --- the provider is away


def test_a_provider_that_is_away_is_said_and_the_password_works(office: Office, collector: Collector) -> None:
    first = office.people.first_password("an", now())
    with HungServer() as hung:
        pass
    http = collector(OpenIdProvider(f"http://127.0.0.1:{hung.port}").settings())
    assert is_refused(http.get("/login/sso?next=/reports"), 503, sso.AWAY)
    assert http.post("/login", data={"name": "an", "password": first}).status_code == 303


def test_a_provider_that_never_answers_is_waited_for_no_longer_than_the_deadline(collector: Collector) -> None:
    with HungServer() as hung:
        settings = OpenIdProvider(f"http://127.0.0.1:{hung.port}").settings()
        answer = collector(settings, timedelta(seconds=0.3)).get("/login/sso")
    assert is_refused(answer, 503, sso.AWAY)
    assert 0.3 <= answer.elapsed.total_seconds() < 5


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/keys"])
@pytest.mark.parametrize("how", ["hangs", "drips", "endless", "500", "404", "302", "html", "list", "deep"])
def test_each_call_of_the_provider_ends(
    office: Office, collector: Collector, at_idp: httpx.Client, idp: OpenIdProvider, path: str, how: str
) -> None:
    http = collector(idp.settings(), timedelta(seconds=0.5 if how in ("hangs", "drips") else 10))
    back = go(http, at_idp) if path in ("/token", "/keys") else "/login/sso"
    idp.broken[path] = how
    answer = http.get(back)
    status, said = (503, sso.AWAY) if how in ("hangs", "drips", "500") else (401, sso.INVALID)
    assert is_refused(answer, status, said)
    assert answer.elapsed.total_seconds() < 5
    assert account(office).subject is None


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://la.example"},
        {"issuer": None},
        {"authorization_endpoint": None},
        {"authorization_endpoint": "http://la.example/authorize"},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
    ids=str,
)
def test_a_provider_that_says_nonsense_of_itself_is_not_used(
    http: httpx.Client, idp: OpenIdProvider, metadata: dict[str, Any]
) -> None:
    idp.metadata = metadata
    assert is_refused(http.get("/login/sso"), 401, sso.INVALID)


@pytest.mark.parametrize("name", ["token_endpoint", "jwks_uri"])
def test_the_secret_is_not_sent_in_the_clear(
    http: httpx.Client, at_idp: httpx.Client, idp: OpenIdProvider, name: str
) -> None:
    idp.metadata = {name: "http://la.example/"}
    assert is_refused(come(http, at_idp), 401, sso.INVALID)


# --- the page and the file


def test_the_button_names_the_provider_and_leads_there_with_the_page_that_was_asked_for(http: httpx.Client) -> None:
    page = http.get("/login", params={"next": "/reports?period=2026-10&x=đ"})
    assert "Đăng nhập bằng tài khoản của tỉnh" in page.text
    [link] = [one for one in Page(page).links() if one.startswith("/login/sso")]
    sent = http.get(link)
    assert sent.status_code == 303
    [cookie] = sent.headers.get_list("Set-Cookie")
    assert {"HttpOnly", "Max-Age=600", "Path=/login/sso", "SameSite=lax"} <= set(cookie.split("; "))
    assert len(cookie) < 3000


def test_over_tls_the_cookie_stays_there(collector: Collector, idp: OpenIdProvider) -> None:
    http = collector(idp.settings(), public_url="https://nhipso.example.gov.vn/")
    assert "; Secure" in http.get("/login/sso").headers["Set-Cookie"]


def test_without_a_provider_there_is_neither_button_nor_way(collector: Collector) -> None:
    http = collector(None)
    assert "/login/sso" not in http.get("/login").text
    assert http.get("/login/sso").status_code == http.get("/login/sso/callback?code=x&state=y").status_code == 404


def test_every_sentence_has_its_english() -> None:
    with resources.files("collector").joinpath("translations", "en", "sso.po").open("rb") as file:
        english = {str(one.id): one.string for one in read_po(file)}
    said = [sso.AWAY, sso.OVER, sso.REFUSED, sso.INVALID, sso.UNVERIFIED, sso.UNKNOWN, sso.LINKED]
    assert [one for one in said if not english.get(one)] == []


TABLE = """
[collector]
data_dir = "data"
public_url = "https://nhipso.example.gov.vn"
[sso]
issuer = "https://dangnhap.example.gov.vn/realms/so"
client_id = "nhipso"
client_secret_file = "sso.secret"
name = "tài khoản công vụ"
"""


def problems_of(directory: Path, *changes: tuple[str, str]) -> str:
    text = TABLE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (directory / "collector.toml").write_text(text, "utf-8")
    try:
        found = load(directory / "collector.toml").sso
    except ConfigError as error:
        return str(error)
    assert found is not None and "x" * 16 not in repr(found)
    assert found.redirect_uri == "https://nhipso.example.gov.vn/login/sso/callback"
    return ""


def test_the_table_is_read_with_its_secret_and_every_mistake_is_named(tmp_path: Path) -> None:
    (tmp_path / "sso.secret").write_text("x" * 16 + "\n")
    assert problems_of(tmp_path) == ""
    assert "issuer" in problems_of(tmp_path, ("https://dangnhap", "http://dangnhap"))
    assert "issuer" in problems_of(tmp_path, ("/realms/so", "/realms/so?x=1"))
    assert "public_url" in problems_of(tmp_path, ('public_url = "https://nhipso.example.gov.vn"\n', ""))
    assert "client_secret_file" in problems_of(tmp_path, ("sso.secret", "none"))
    assert "ca_file" in problems_of(tmp_path, ("[sso]", '[sso]\nca_file = "none"'))
    assert "colour" in problems_of(tmp_path, ("[sso]", '[sso]\ncolour = "red"'))
    (tmp_path / "sso.secret").write_text("ngắn")
    assert "16 ký tự" in problems_of(tmp_path)


def test_a_certificate_or_a_proxy_that_cannot_be_used_is_said_at_the_start(idp: OpenIdProvider, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("x")
    for wrong in ({"ca_file": tmp_path / "ca.pem"}, {"proxy": "gopher://x"}):
        with pytest.raises(ConfigError):
            sso.Provider(idp.settings(**wrong))
