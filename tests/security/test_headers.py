"""Every answer tells browsers what they must not do with it, and nobody what it was made by."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from collector import people
from collector.gate import Gate
from collector.parts import Meters
from collector.patience import LIMITS
from collector.people import SESSION_COOKIE
from tests.browsing import BROWSER
from tests.office import Office, serving
from tests.security.lines import head, line
from tests.security.province import METRICS, Province, province

POLICY = ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action '")
TLS = "https://nhipso.example.gov.vn/"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Province]:
    with province(tmp_path_factory.mktemp("province"), **LIMITS) as one:
        yield one


def problems(answer: httpx.Response) -> list[str]:
    """What an answer does not say and should."""
    said = answer.headers
    policy = said.get_list("Content-Security-Policy")
    return [
        what
        for what, is_right in {
            "policy": len(policy) == 1 and all(one in policy[0] for one in POLICY) and "unsafe" not in policy[0],
            "nosniff": said.get_list("X-Content-Type-Options") == ["nosniff"],
            "referrer": said.get_list("Referrer-Policy") == ["same-origin"],
            "opener": said.get_list("Cross-Origin-Opener-Policy") == ["same-origin"],
            "resource": said.get_list("Cross-Origin-Resource-Policy") == ["same-origin"],
            "cache": len(said.get_list("Cache-Control")) == 1,
            "type": "Content-Type" in said or not answer.content,
            "server": "Server" not in said and "X-Powered-By" not in said,
        }.items()
        if not is_right
    ]


ASKED: list[tuple[str, str, int, dict[str, Any]]] = [
    ("GET", "/", 200, {}),
    ("GET", "/login", 303, {}),
    ("GET", "/docs/runbook", 200, {}),
    ("GET", "/nothing", 404, {}),
    ("DELETE", "/login", 405, {}),
    ("POST", "/logout", 403, {}),
    ("POST", "/language", 422, {}),
    ("POST", "/login", 413, {"content": b"name=" + b"x" * 70_000}),
    ("POST", "/login", 400, {"files": [("a", b"x")] * 3}),
    ("GET", "/openapi.json", 200, {}),
    ("GET", "/healthz", 200, {}),
    ("GET", "/api/v1/catalogue", 200, {}),
    ("GET", "/api/v1/facilities", 200, {}),
    ("GET", "/api/v1/standings?window=x", 422, {}),
    ("POST", "/api/v1/tallies", 401, {}),
    ("POST", "/api/v1/enrolments", 413, {"content": b"x" * 5000}),
    ("GET", "/metrics", 401, {}),
    ("GET", "/metrics", 200, {"headers": {"Authorization": f"Bearer {METRICS}"}}),
    ("GET", "/static/portal.css", 200, {}),
    ("GET", "/static/nothing.css", 404, {}),
    ("GET", "/static/../collector.toml", 404, {}),
    ("GET", "/healthz", 431, {"headers": {"X": "y" * 17_000}}),
]


@pytest.mark.parametrize("kind", [BROWSER, {"Accept": "*/*"}], ids=["browser", "program"])
def test_every_answer_has_its_headers_once(here: Province, kind: dict[str, str]) -> None:
    for method, path, status, arguments in ASKED:
        given = dict(arguments)
        headers = {**here.caller("admin session").headers, **kind, **given.pop("headers", {})}
        if "content" in given:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        answer = here.http.request(method, path, headers=headers, **given)
        assert (method, path, answer.status_code, problems(answer)) == (method, path, status, [])
        assert "Strict-Transport-Security" not in answer.headers


def test_only_files_of_the_portal_itself_and_the_catalogue_are_kept_by_others(here: Province) -> None:
    for method, path, _, arguments in ASKED:
        headers = {**here.caller("admin session").headers, **arguments.get("headers", {})}
        said = here.http.request(method, path, headers=headers).headers["Cache-Control"]
        path = str(httpx.URL(path).path).replace("/static/../", "/")
        kept = {"/static/": "max-age=3600", "/api/v1/catalogue": "no-cache"}
        assert (path, said) == (path, next((kept[one] for one in kept if path.startswith(one)), "no-store"))


def test_a_mistake_of_ours_a_database_that_is_away_and_too_much_at_once_have_them_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)

    def broken(*_: object) -> None:
        raise RuntimeError("bí mật")

    with serving(office.app(), **LIMITS) as http:
        monkeypatch.setattr(people.People, "session", broken)
        asked = {"Cookie": f"{SESSION_COOKIE}=x", "Connection": "close"}
        for kind in (BROWSER, {"Accept": "*/*"}):
            answer = http.get("/", headers={**asked, **kind})
            assert (answer.status_code, problems(answer), "bí mật" in answer.text) == (500, [], False)
        tries = [http.post("/api/v1/enrolments", json={"code": "x"}) for _ in range(41)]
        assert {(one.status_code, *problems(one)) for one in tries} == {(401,), (429,)}
        office.store.engine.dispose()
        (tmp_path / "collector.sqlite").write_bytes(b"no database any more" * 1000)
        answer = http.get("/readyz")
        assert (answer.status_code, problems(answer)) == (503, [])
    office.store.close()


@pytest.mark.parametrize(
    ("settings", "headers", "expected"),
    [
        ({}, {}, False),
        ({"public_url": "http://nhipso.example.gov.vn/"}, {}, False),
        ({"public_url": TLS}, {}, True),
        ({}, {"X-Forwarded-Proto": "https"}, True),
    ],
)
def test_browsers_that_come_over_tls_shall_not_try_anything_else(
    tmp_path: Path, settings: dict[str, str], headers: dict[str, str], expected: bool
) -> None:
    office = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    with serving(office.app(**settings), **LIMITS) as http:
        for path in ("/login", "/static/portal.css", "/nothing", "/healthz"):
            answer = http.get(path, headers=headers)
            assert (path, "Strict-Transport-Security" in answer.headers) == (path, expected)
    office.store.close()


def test_what_the_server_itself_refuses_names_no_program(here: Province) -> None:
    with line(here.http) as strange:
        strange.sendall(b"\x16\x03\x01\x02\x00 no HTTP at all\r\n\r\n")
        said = strange.recv(10_000).lower()
    assert said.startswith(b"http/1.1 400")
    assert not [word for word in (b"server:", b"uvicorn", b"h11", b"python") if word in said]


def test_no_answer_leads_where_the_host_header_says(here: Province) -> None:
    for host in ("evil.example", "evil.example:80", "evil.example/x?", "[", "a@b", "evil example", ""):
        for path in ("/", "/login/", "/facilities/", "/static", "/static/", "//evil.example/", "/api/v1/facilities/"):
            with line(here.http) as lying:
                lying.sendall(
                    head("GET", path, "Connection: close").replace(b"Host: 127.0.0.1", f"Host: {host}".encode())
                )
                said = lying.makefile("rb").read().decode()
            first, _, _ = said.partition("\r\n")
            assert (host, path, int(first.split()[1]) < 500) == (host, path, True)
            assert (host, path, "evil.example" in said) == (host, path, False)


def test_an_answer_that_says_something_itself_keeps_it() -> None:
    async def own(scope: Any, receive: Any, send: Any) -> None:
        said = [(b"Cache-Control", b"max-age=5"), (b"content-security-policy", b"x"), (b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": said})
        await send({"type": "http.response.body", "body": b""})

    with serving(Gate(own, Meters(), False), **LIMITS, lifespan="off") as http:
        found = http.get("/").headers
    assert (found.get_list("Cache-Control"), found.get_list("Content-Security-Policy")) == (["max-age=5"], ["x"])
    assert found["X-Content-Type-Options"] == "nosniff"
