"""Every route × every caller, from the app's own route table, against the one table of decisions (decisions.py)."""

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount

from contract.days import local_day
from tests.office import Office, a_push, a_source, a_tally
from tests.security.decisions import DECISIONS, EVERYBODY, FILES, MEMBERS, OK, Case, Outcome
from tests.security.province import MONTH, NOW, OTHER, OWN, Caller, Province, callers, province

METHODS = ("GET", "POST", "PUT", "DELETE")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Province]:
    with province(tmp_path_factory.mktemp("province")) as one:
        yield one


def routes(app: FastAPI) -> set[tuple[str, str]]:
    """(method, pattern) of all that the app answers; a folder of files is its GET."""
    found = set()
    for one in iter_route_contexts(app.routes):
        methods = {"GET"} if isinstance(one.original_route, Mount) else one.methods
        assert methods and one.path, one
        found |= {(method, one.path) for method in methods}
    return found


def asked(here: Province, method: str, pattern: str, case: Case, caller: Caller) -> httpx.Response:
    arguments = case.request(here, caller.form_token)
    headers = {**caller.headers, **arguments.pop("headers", {})}
    here.http.cookies.clear()
    return here.http.request(method, case.path(here, FILES.get(pattern, pattern)), headers=headers, **arguments)


def outcome(answer: httpx.Response, case: Case) -> Outcome:
    """In the words of the table."""
    led = str(answer.headers.get("Location", "")).partition("?")[0]
    if answer.status_code == 303 and led in ("/login", "/password"):
        return led.removeprefix("/")
    return OK if answer.status_code in case.ok else answer.status_code


def said(answer: httpx.Response) -> str:
    """All that an answer says, also packed in an office file."""
    content = answer.content
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            content = b"".join(archive.read(name) for name in archive.namelist())
    # where somebody is led holds the address that they have asked for themselves
    headers = [value for name, value in answer.headers.items() if name != "location"]
    return content.decode("utf-8", "replace") + "\n".join(headers)


CASES = [
    pytest.param(method, pattern, number, id=f"{method} {pattern} {number}")
    for (method, pattern), cases in sorted(DECISIONS.items())
    for number in range(len(cases))
]


def test_every_route_has_a_decision_and_no_decision_is_without_a_route(tmp_path: Path) -> None:
    office = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    assert sorted(routes(office.app())) == sorted(DECISIONS)
    office.store.close()


@pytest.mark.parametrize(("method", "pattern", "number"), CASES)
def test_each_caller_gets_what_the_table_says_and_who_is_refused_learns_and_changes_nothing(
    here: Province, method: str, pattern: str, number: int
) -> None:
    case = DECISIONS[method, pattern][number]
    found: dict[str, Outcome] = {}
    leaks, before = [], here.content()
    # those who may come last: what they change would be no longer there to be refused
    for name in sorted(callers(), key=lambda one: case.row[one] == OK):
        if case.row[name] == OK and before:
            assert here.content() == before
            before = {}
        answer = asked(here, method, pattern, case, here.caller(name, method != "GET"))
        found[name] = outcome(answer, case)
        is_told = name in MEMBERS[OWN] or (case.row[name] == OK and name not in MEMBERS["other"])
        if case.row is not EVERYBODY and not is_told and OWN in said(answer):
            leaks.append(name)
        if name in MEMBERS[OWN] and OTHER in said(answer):
            leaks.append(name)
    assert (found, leaks) == (dict(case.row), [])


def test_what_no_route_names_is_not_served_by_any_method(here: Province) -> None:
    served = [(method, re.compile(re.sub(r"{\w+}", "[^/]+", pattern))) for method, pattern in DECISIONS]
    headers, found = here.caller("admin session").headers, {}
    for path in sorted({Case(EVERYBODY).path(here, pattern) for _, pattern in DECISIONS} - FILES.keys()):
        for method in METHODS:
            if not any(method == one and pattern.fullmatch(path) for one, pattern in served):
                found[method, path] = here.http.request(method, path, headers=headers).status_code
    assert {key: status for key, status in found.items() if status != 405} == {}


def strongest(case: Case) -> str:
    """A caller who may, with a session where one is enough."""
    may = [one for one in callers() if case.row[one] == OK]
    return next((one for one in may if one.endswith(" session")), may[0] if may else "admin session")


FORMS = [
    pytest.param(method, pattern, case, id=f"{method} {pattern}")
    for (method, pattern), cases in sorted(DECISIONS.items())
    for case in cases
    if case.is_form and case.row is not EVERYBODY
]


@pytest.mark.parametrize(("method", "pattern", "case"), FORMS)
def test_a_form_that_was_not_shown_to_this_session_is_refused(
    here: Province, method: str, pattern: str, case: Case
) -> None:
    for token in ("", "x", here.session("reader").form_token):
        caller, before = here.caller(strongest(case)), here.content()
        answer = asked(here, method, pattern, case, Caller(caller.headers, token))
        assert (token, answer.status_code) == (token, 403)
        assert here.content() == before


WRITES = [key for key in sorted(DECISIONS) if key[0] not in ("GET", "HEAD")]


@pytest.mark.parametrize(("method", "pattern"), WRITES)
def test_what_another_site_makes_a_browser_send_is_refused_everywhere(
    here: Province, method: str, pattern: str
) -> None:
    case = DECISIONS[method, pattern][0]
    for name in ("nobody", strongest(case)):
        caller, before = here.caller(name), here.content()
        caller.headers["Sec-Fetch-Site"] = "cross-site"
        answer = asked(here, method, pattern, case, caller)
        assert (name, answer.status_code, "Set-Cookie" in answer.headers) == (name, 403, False)
        assert here.content() == before


# --- the other facility, wherever it can be named


def pairs(here: Province) -> list[tuple[str, tuple[str, str, dict[str, Any]], tuple[str, str, dict[str, Any]]]]:
    """(caller, a request about the own hospital, the same about none)."""
    signed = {"period": MONTH, "digest": here.digest(), "decision": "confirm"}

    def about(facility: str, alert: int) -> list[tuple[str, str, str, dict[str, Any]]]:
        query = {"params": {"facility": facility}}
        return [
            *(("token", "GET", f"/api/v1/{name}", query) for name in ("standings", "tallies", "alerts")),
            ("token", "GET", "/api/v1/confirmations", {"params": {"facility": facility, "period": MONTH}}),
            ("token", "POST", "/api/v1/confirmations", {"json": {**signed, "facility": facility}}),
            ("token", "POST", f"/api/v1/alerts/{alert}/answer", {"json": {"answer": "x"}}),
            ("session", "GET", f"/facilities/{facility}", {}),
        ]

    return [
        (f"other confirmer {one[0]}", one[1:], other[1:])
        for one, other in zip(about(OWN, int(str(here.known["alert"]))), about("khongco", 2**31 - 1), strict=True)
    ]


def test_what_belongs_to_another_is_answered_as_what_does_not_exist(here: Province) -> None:
    for name, (method, path, arguments), (_, nowhere, no_arguments) in pairs(here):
        headers = here.caller(name).headers
        there = here.http.request(method, path, headers=headers, **arguments)
        none = here.http.request(method, nowhere, headers=headers, **no_arguments)
        assert (path, there.status_code, none.status_code) == (path, 404, 404)
        assert there.text == none.text
        assert OWN not in there.text


def test_an_agent_that_names_another_facility_is_refused_that_tally_and_changes_nothing_there(here: Province) -> None:
    caller, before = here.caller("other agent"), here.content()
    agent = here.tokens["other agent"].partition(".")[0]
    day = local_day(NOW)
    sent = [a_tally(day, 9, {"qr": 999}, facility=OWN, source=name) for name in (f"his-{OWN}", "new")]
    source = a_source(f"his-{OWN}", facilities=[OWN], read_at=NOW.isoformat(), error="x")
    body = a_push(agent, sent, [source], sent_at=NOW.isoformat())
    answer = here.http.post("/api/v1/tallies", json=body, headers=caller.headers)
    assert (answer.status_code, answer.json()["accepted"]) == (200, 0)
    assert {one["code"] for one in answer.json()["refused"]} == {"not_yours"}
    after = here.content()
    assert {name for name in after if [one for one in after[name] if OWN in one and one not in before[name]]} == set()
    assert after["tally"] == before["tally"]
    stolen = a_push(here.tokens["agent"].partition(".")[0], sent, [source], sent_at=NOW.isoformat())
    assert here.http.post("/api/v1/tallies", json=stolen, headers=caller.headers).status_code == 401


def test_a_token_in_the_address_or_a_session_in_another_place_opens_nothing(here: Province) -> None:
    token, session = here.tokens["admin"], here.session("admin").secret
    assert here.http.get("/api/v1/facilities", params={"token": token, "access_token": token}).status_code == 401
    for headers in (
        {"Authorization": f"Bearer {session}"},
        {"Authorization": token},
        {"Authorization": f"Basic {token}"},
        {"Authorization": "Bearer"},
        {"Cookie": f"nhipso={token}"},
        {"X-Api-Key": token},
    ):
        assert (headers, here.http.get("/api/v1/facilities", headers=headers).status_code) == (headers, 401)
