"""Foreign bytes at every parser of the collector, over a real socket: no exception but ours, so no 500.

Derandomised: the same bytes in every run.
"""

import copy
import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from collector import confirm
from collector.patience import LIMITS
from collector.reports import periods
from collector.typography import clean
from contract.days import now
from contract.errors import BadRequestError
from tests.office import a_push, a_source, a_tally
from tests.security.decisions import DECISIONS, EVERYBODY, FILES, Case
from tests.security.lines import head, line
from tests.security.province import MONTH, NOW, OWN, Province, province

EXAMPLES = 40


def fuzzed(most: int = EXAMPLES) -> settings:
    return settings(
        max_examples=most, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Province]:
    with province(tmp_path_factory.mktemp("province"), **LIMITS) as one:
        yield one
        # nothing went wrong that no caller was told of
        found = one.http.get("/metrics", headers=one.caller("prometheus").headers)
        assert 'status="5' not in found.text


def is_answered(answer: httpx.Response) -> bool:
    return 200 <= answer.status_code < 500


# --- JSON: a right body of which one place is anything


TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
NUMBER = st.one_of(
    st.integers(), st.floats(), st.sampled_from([0, -1, 2**31, 2**53, 2**63, 2**64, 10**15 + 1, 1e308, 10**4000])
)
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBER, TEXT, st.sampled_from(["\x00", "0001-01-01", "9999-12-31T23:59:59Z"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=5,
)
DAY = NOW.date()
SOURCE = a_source(
    "his", cadence="daily", since=NOW.isoformat(), newest_day={OWN: str(DAY)}, failed=["payments"], error="x",
    unmapped={OWN: {"payments": {"x": 1}}}, unmapped_cases={OWN: {"payments": 1}}, facilities=[OWN],
    **{"from": str(DAY)},
)  # fmt: skip
ALERT = {
    "status": "resolved",
    "labels": {"alertname": "IndicatorBelowTarget", "facility": OWN, "indicator": "cashless"},
    "annotations": {"summary": "x", "description": "y"},
    "startsAt": NOW.isoformat(),
    "endsAt": now().isoformat(),
    "fingerprint": "abc",
}
RIGHT: dict[str, tuple[str, dict[str, Any]]] = {
    "/api/v1/tallies": ("agent", a_push("", [a_tally(DAY, facility=OWN)], [SOURCE], sent_at=NOW.isoformat())),
    "/api/v1/alerts": ("alertmanager", {"version": "4", "alerts": [ALERT]}),
    "/api/v1/alerts/1/answer": ("admin token", {"answer": "x"}),
    "/api/v1/enrolments": ("nobody", {"code": "0000-0000-0000-0000"}),
    "/api/v1/manual": (
        "admin token",
        {"plan": "so-y-te-2026", "code": "units_inspected", "value": "20", "day": str(DAY), "evidence": "x"},
    ),
    "/api/v1/confirmations": (
        "confirmer token",
        {"facility": OWN, "period": MONTH, "digest": "sha256:x", "decision": "dispute", "reasons": {"cashless": "x"}},
    ),
}


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a body, itself too."""
    yield path
    for key in node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
        yield from places(node[key], (*path, key))


def instead(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The body with another value at a place."""
    if not path:
        return value
    changed = copy.deepcopy(body)
    node = changed
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return changed


@pytest.mark.parametrize("path", RIGHT)
def test_anything_at_any_place_of_a_body(here: Province, path: str) -> None:
    name, body = RIGHT[path]
    if "agent" in body:
        body = instead(body, ("agent", "id"), here.tokens["agent"].partition(".")[0])
    caller = here.caller(name).headers

    @fuzzed(EXAMPLES * 2 if path == "/api/v1/tallies" else EXAMPLES // 2)
    @given(st.sampled_from(list(places(body))), ANYTHING)
    def ask(where: tuple[Any, ...], value: Any) -> None:
        content = json.dumps(instead(body, where, value), allow_nan=True).encode()
        answer = here.http.post(path, content=content, headers=caller)
        assert is_answered(answer), (answer.status_code, content)

    ask()


@pytest.mark.parametrize("path", RIGHT)
def test_any_bytes_as_a_body_packed_or_not(here: Province, path: str) -> None:
    name, body = RIGHT[path]
    caller, whole = here.caller(name).headers, json.dumps(body).encode()

    @fuzzed(EXAMPLES // 3)
    @given(st.binary(max_size=60), st.integers(0, len(whole)), st.sampled_from(["identity", "gzip", "GZIP ", "br"]))
    @example(b"\xff\xfe", 0, "identity")
    @example(rb'"\ud800"', 8, "identity")
    def ask(noise: bytes, at: int, packing: str) -> None:
        for content in (whole[:at] + noise + whole[at:], gzip.compress(whole)[: at // 2] + noise, noise):
            answer = here.http.post(path, content=content, headers={**caller, "Content-Encoding": packing.strip()})
            assert is_answered(answer), (answer.status_code, content)

    ask()


# --- addresses, queries, headers, cookies: raw, as no client would send them


def raw(here: Province, request: bytes) -> int:
    """The status of a request that is sent as it stands."""
    with line(here.http) as made:
        made.sendall(request)
        found = made.makefile("rb").readline().split()
    return int(found[1]) if len(found) > 1 else 400


READS = sorted({FILES.get(path, path) for method, path in DECISIONS if method == "GET"})
POSITION = re.compile(r"{\w+}")
NAMES = (
    *("facility", "window", "indicator", "measure", "from", "to", "period", "plan", "state", "shard", "next", "done"),
    *("month", "area", "before", "q", "start", "first", "last", "action", "person", "by", "order", "page", "level"),
    *("ownership", "verdict", "name", "columns", "answered", "last_day", "agent", "into", "day", "part"),
)
VALUE = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(
        [
            b"",
            b"\x00",
            b"%",
            b"\xff",
            b"9" * 5000,
            b"9" * 25,
            b"2147483648",
            b"-1",
            b"1/9" + b"9" * 4400,
            b"2026-13",
            b"..",
            b"'",
        ]
    ),
    st.text(max_size=8).map(lambda text: text.encode("utf-8", "surrogatepass")),
)


@fuzzed(EXAMPLES * 3)
@given(
    st.sampled_from(READS),
    st.lists(st.tuples(st.sampled_from(NAMES), VALUE), max_size=3),
    VALUE,
    st.sampled_from(["admin token", "admin session", "confirmer session", "nobody", "prometheus"]),
)
@example("/metrics", [("shard", b"1/" + b"9" * 5000)], b"", "prometheus")
@example("/metrics", [("shard", "١/٢".encode())], b"", "prometheus")
@example("/login", [("next", b"/\xff")], b"", "admin session")
@example("/admin/audit", [("start", b"9" * 25)], b"", "admin session")
@example("/admin/audit", [("start", b"2147483648")], b"", "admin session")
@example("/admin/audit.csv", [("first", b"\xc4\x91")], b"", "admin session")
@example("/confirmations.csv", [("month", "tháng".encode())], b"", "admin session")
@example("/confirmations", [("before", b"x")], b"", "confirmer session")
def test_any_bytes_in_an_address_or_a_query(
    here: Province, path: str, query: list[tuple[str, bytes]], part: bytes, name: str
) -> None:
    written = POSITION.sub(quote_from_bytes(part).replace("\\", ""), path, count=1)
    written = Case(EVERYBODY).path(here, written)
    asked = "&".join(f"{key}={quote_from_bytes(value)}" for key, value in query)
    headers = [f"{key}: {value}" for key, value in here.caller(name).headers.items()]
    assert raw(here, head("GET", f"{written}?{asked}", "Connection: close", *headers)) < 500


HEADER = st.binary(max_size=30).map(lambda found: found.translate(None, b"\r\n\x00"))
HEADERS = [
    *("Authorization", "Accept", "Cookie", "Host", "If-None-Match", "If-Modified-Since", "Range", "Content-Type"),
    *("Content-Length", "Transfer-Encoding", "X-Forwarded-For", "X-Forwarded-Proto", "Sec-Fetch-Site", "Expect"),
    *("Origin", "Upgrade", "Connection"),
]


@fuzzed(EXAMPLES * 2)
@given(
    st.sampled_from(["/", "/login", "/api/v1/facilities", "/api/v1/catalogue", "/static/portal.css", "/metrics"]),
    st.lists(st.tuples(st.sampled_from(HEADERS), HEADER), min_size=1, max_size=3),
    st.sampled_from(["GET", "POST", "X"]),
)
@example("/", [("Cookie", b"nhipso=\xff; nhipso-language=\xff")], "GET")
@example("/", [("Cookie", b'nhipso="\\342\\200"; =; a=b=c;;')], "GET")
@example("/", [("Host", b"[")], "GET")
@example("/", [("Accept", b"text/html"), ("Host", b"x:99999999")], "GET")
@example("/api/v1/facilities", [("Authorization", b"Bearer \xff\xfe")], "GET")
@example("/static/portal.css", [("Range", b"bytes=9-1,-,x")], "GET")
@example("/static/portal.css", [("If-Modified-Since", b"Sun, 99 Foo 0000")], "GET")
@example("/", [("X-Forwarded-For", b"[")], "GET")
def test_any_bytes_in_headers_and_cookies(
    here: Province, path: str, headers: list[tuple[str, bytes]], method: str
) -> None:
    given = b"".join(b"%s: %s\r\n" % (name.encode(), value) for name, value in headers)
    assert raw(here, f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode() + given + b"\r\n") < 500


@fuzzed(EXAMPLES)
@given(st.binary(max_size=100))
def test_any_bytes_instead_of_a_request(here: Province, content: bytes) -> None:
    assert raw(here, content + b"\r\n\r\n") < 500


# --- forms


FORMS = sorted({path for (method, path), cases in DECISIONS.items() for one in cases if one.is_form})
FIELDS = (
    *(
        "name",
        "password",
        "next",
        "old",
        "new",
        "again",
        "language",
        "form_token",
        "x",
        "decision",
        "digest",
        "figures",
    ),
    *("facility", "who", "first", "last", "day", "value", "evidence", "file", "period", "format", "id", "level"),
    *("active_from", "bhxh_code", "bhxh_from", "into", "part", "reason", "facilities", "agent", "last_day", "email"),
    *("answer-cashless", "reason-cashless", "text", "kind", "full_name"),
)


@fuzzed(EXAMPLES)
@given(
    st.sampled_from(FORMS),
    st.lists(st.tuples(st.sampled_from(FIELDS), VALUE), max_size=4),
    st.binary(max_size=40),
    st.booleans(),
)
def test_any_bytes_in_a_form(
    here: Province, path: str, fields: list[tuple[str, bytes]], noise: bytes, in_parts: bool
) -> None:
    if path == "/login":  # whose tries are limited, and slow
        fields = [one for one in fields if one[0] not in ("name", "password")]
    caller = here.caller("admin session")
    path = Case(EVERYBODY).path(here, path)
    whole = [("form_token", (caller.form_token or "").encode()), *fields]
    if in_parts:
        kind = "multipart/form-data; boundary=x"
        parts = [b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (n.encode(), v) for n, v in whole]
        content = b"".join(parts) + noise + b"\r\n--x--\r\n"
    else:
        kind = "application/x-www-form-urlencoded"
        content = b"&".join(n.encode() + b"=" + quote_from_bytes(v).encode() for n, v in whole) + b"&" + noise
    answer = here.http.post(path, content=content, headers={**caller.headers, "Content-Type": kind})
    here.http.cookies.clear()
    assert is_answered(answer) or answer.status_code == 429, (answer.status_code, content)


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\xff",
        "text/plain",
        "x",
        "",
    ],
)
def test_a_form_of_a_strange_kind(here: Province, kind: str) -> None:
    headers = {**here.caller("admin session").headers, "Content-Type": kind}
    for path in FORMS:
        path = Case(EVERYBODY).path(here, path)
        answer = here.http.post(
            path, content=b"name=x", headers={k.encode(): v.encode("latin-1") for k, v in headers.items()}
        )
        assert 400 <= answer.status_code < 500 or answer.status_code == 303


NUMBERS = ("alert_id", "alert", "number", "upload", "figure", "job", "pause", "person_id", "source")
"""Parameters of paths that are ids in the database."""


@pytest.mark.slow
def test_an_id_that_no_database_can_hold_is_one_that_does_not_exist(postgres_url: str, tmp_path: Path) -> None:
    broken = []
    with province(tmp_path, postgres_url) as one:
        for (method, pattern), cases in sorted(DECISIONS.items()):
            for name in (name for name in NUMBERS if f"{{{name}}}" in pattern):
                for number in (-1, 0, 2**31, 2**63, 10**30):
                    case = replace(cases[0], parts={**cases[0].parts, name: str(number)})
                    may = next(who for who, what in case.row.items() if what == "ok")
                    caller = one.caller(may, False)
                    answer = one.http.request(
                        method, case.path(one, pattern), headers=caller.headers,
                        **case.request(one, caller.form_token),
                    )  # fmt: skip
                    one.http.cookies.clear()
                    if answer.status_code >= 500:
                        broken.append((method, pattern, number))
    assert broken == []


# --- texts that people write into addresses


@fuzzed(EXAMPLES * 3)
@given(st.text(max_size=20))
@example("2026-" + "1" * 5000)
def test_a_text_that_is_no_period_is_a_bad_request_and_nothing_else(text: str) -> None:
    for read in (periods.parse, confirm.days_of):
        try:
            read(text)
        except BadRequestError:
            continue
    assert clean(clean(text)) == clean(text)


def test_every_route_that_takes_a_body_is_fuzzed() -> None:
    """A new one has to be added above."""
    taken = {path for (method, path), _ in DECISIONS.items() if method not in ("GET", "HEAD")}
    named = {path.replace("/1/", "/{alert_id}/") for path in RIGHT}
    assert taken - named - set(FORMS) == set()
