"""The collector over a real socket: what callers get for what they send (contract.md, "Push API")."""

import gzip
import json
import select
import socket
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import sqlalchemy as sa
from fastapi.openapi.models import OpenAPI

from collector.store.people import Person
from contract import catalogue
from contract.days import local_day, now
from contract.tally import MAX_BYTES, digest
from tests.office import Office, a_push, a_source, a_tally, bearer, samples, serving

YESTERDAY = local_day(now()) - timedelta(days=1)


@pytest.fixture
def http(office: Office) -> Iterator[httpx.Client]:
    with serving(office.app()) as client:
        yield client


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Office]:
    """A Sở on SQLite alone: for what no database has a part in."""
    office = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    yield office
    office.store.close()


@pytest.fixture
def lone_http(lone: Office) -> Iterator[httpx.Client]:
    with serving(lone.app()) as client:
        yield client


def body_of(token: str, sent: list[Any], sources: list[Any] | None = None, **other: Any) -> dict[str, Any]:
    at = now().isoformat()
    sources = [a_source(read_at=at)] if sources is None else sources
    return a_push(token.partition(".")[0], sent, sources, **{"sent_at": at, **other})


def push(http: httpx.Client, token: str, sent: list[Any], **other: Any) -> httpx.Response:
    return http.post("/api/v1/tallies", json=body_of(token, sent), headers=bearer(token), **other)


def post_bytes(http: httpx.Client, token: str, content: bytes, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return http.post("/api/v1/tallies", content=content, headers={**bearer(token), **named})


# --- pushing


def test_a_push_is_answered_as_the_contract_says_and_read_back(office: Office, http: httpx.Client) -> None:
    token = office.enrol("12001")
    bad = a_tally(YESTERDAY, measure="smiles")
    answer = push(http, token, [a_tally(YESTERDAY, 4), a_tally(YESTERDAY, 3, {}), bad])
    assert answer.status_code == 200
    assert set(answer.json()) == {"accepted", "stale", "refused", "server_time", "store_id", "catalogue"}
    assert answer.json()["accepted"] == 1
    assert answer.json()["stale"] == [{"index": 1, "revision": 4}]
    assert [(one["index"], one["code"]) for one in answer.json()["refused"]] == [(2, "unknown_measure")]
    assert answer.json()["catalogue"] == catalogue.load().digest
    person = office.people.add(Person("An", "reader", None), now())
    read = http.get("/api/v1/tallies", params={"facility": "12001"}, headers=bearer(person)).json()["tallies"]
    assert read == [{**a_tally(YESTERDAY, 4)}]


def test_a_packed_push_is_taken_like_a_plain_one(office: Office, http: httpx.Client) -> None:
    token = office.enrol("12001")
    content = gzip.compress(json.dumps(body_of(token, [a_tally(YESTERDAY)])).encode())
    assert post_bytes(http, token, content, content_encoding="gzip").json()["accepted"] == 1


def test_without_a_token_nothing_is_taken(lone: Office, lone_http: httpx.Client) -> None:
    body = body_of(lone.enrol("12001"), [a_tally(YESTERDAY)])
    for header in ({}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer"}, bearer("a.b")):
        assert lone_http.post("/api/v1/tallies", json=body, headers=header).status_code == 401
        assert lone_http.get("/api/v1/digests?from=2026-01-01&to=2026-02-01", headers=header).status_code == 401
    assert lone.stored() == {}


def test_another_agents_id_is_401_and_a_revoked_token_too(lone: Office, lone_http: httpx.Client) -> None:
    token, other = lone.enrol("12001"), lone.enrol("12001")
    stolen = lone_http.post("/api/v1/tallies", json=body_of(other, []), headers=bearer(token))
    assert stolen.status_code == 401
    assert push(lone_http, token, []).status_code == 200
    lone.access.revoke(token.partition(".")[0], now())
    assert push(lone_http, token, []).status_code == 401


def test_5000_tallies_are_taken_and_5001_are_too_many(lone: Office, lone_http: httpx.Client) -> None:
    token = lone.enrol("12001")
    small = {"day": str(YESTERDAY), "source": "his", "measure": "payments", "revision": 1, "counts": {}}
    assert push(lone_http, token, [small] * 5000).json()["accepted"] == 5000
    answer = push(lone_http, token, [small] * 5001)
    assert (answer.status_code, answer.json()["error"]) == (413, "TooLargeError")


def padded(token: str, size: int) -> bytes:
    body = json.dumps(body_of(token, [a_tally(YESTERDAY)])).encode()
    return body + b" " * (size - len(body))


def test_a_body_of_one_mebibyte_is_taken_and_a_byte_more_is_too_large(lone: Office, lone_http: httpx.Client) -> None:
    token = lone.enrol("12001")
    for content, status in ((padded(token, MAX_BYTES), 200), (padded(token, MAX_BYTES + 1), 413)):
        assert post_bytes(lone_http, token, content).status_code == status
        packed = gzip.compress(content)
        assert post_bytes(lone_http, token, packed, content_encoding="gzip").status_code == status


def test_a_gzip_bomb_is_refused_at_the_limit_not_after(lone: Office, lone_http: httpx.Client) -> None:
    token = lone.enrol("12001")
    packer = zlib.compressobj(9, wbits=31)
    piece = packer.compress(b" " * 2**24) + packer.flush(zlib.Z_SYNC_FLUSH)  # 16 MiB in 16 KiB, again and again
    with closing(post_by_hand(lone_http, token, 10**9, "Content-Encoding: gzip")) as line:
        for _ in range(20):
            if not select.select([line], [], [], 0.05)[0]:
                line.sendall(piece)
        line.settimeout(30)
        assert line.recv(12) == b"HTTP/1.1 413"
    assert lone_http.get("/healthz").status_code == 200


def post_by_hand(http: httpx.Client, token: str, length: int, *headers: str) -> socket.socket:
    """The head of a push, sent; the body is the caller's."""
    head = ["POST /api/v1/tallies HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", f"Content-Length: {length}"]
    line = socket.create_connection((http.base_url.host, http.base_url.port or 80))
    line.sendall("\r\n".join([*head, *headers, "", ""]).encode())
    return line


def test_what_follows_a_packed_body_and_empty_blocks_without_end_are_not_kept(
    lone: Office, lone_http: httpx.Client
) -> None:
    token = lone.enrol("12001")
    packed = gzip.compress(json.dumps(body_of(token, [])).encode())
    assert post_bytes(lone_http, token, packed + packed, content_encoding="gzip").status_code == 422
    assert post_bytes(lone_http, token, packed + b"x" * 3 * MAX_BYTES, content_encoding="gzip").status_code == 422
    header, empty_block = gzip.compress(b"")[:10], b"\x00\x00\x00\xff\xff"
    endless = header + empty_block * (3 * MAX_BYTES // 5)
    assert post_bytes(lone_http, token, endless, content_encoding="gzip").status_code == 413


def test_broken_gzip_is_422(lone: Office, lone_http: httpx.Client) -> None:
    token = lone.enrol("12001")
    for content in (b"not gzip", b"", gzip.compress(b"{}")[:-4], gzip.compress(b"x" * 5000)[:20]):
        assert post_bytes(lone_http, token, content, content_encoding="gzip").status_code == 422


def test_another_packing_is_422(lone: Office, lone_http: httpx.Client) -> None:
    assert post_bytes(lone_http, lone.enrol("12001"), b"{}", content_encoding="br").status_code == 422


SECRET = "Nguyen Van An 001099012345"


ENVELOPES = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"{",
    b"\xff\xfe{}",
    b'{"agent": "x", "tallies": []}',
    b'{"agent": {"id": "x"}, "tallies": []}',
    b'{"agent": {"id": "x", "version": "1", "sent_at": "noon"}, "tallies": []}',
    json.dumps(a_push("x", [], [a_source(name=SECRET)])).encode(),
    json.dumps(a_push("x", [], [a_source(unmapped={SECRET: {SECRET: {SECRET: SECRET}}})])).encode(),
    json.dumps(a_push("x", [], [a_source(newest_day={SECRET: SECRET})])).encode(),
    json.dumps({**a_push("x", []), "tallies": {SECRET: 1}}).encode(),
    json.dumps({**a_push("x", []), "tallies": None}).encode(),
    json.dumps({**a_push("x", []), "sources": [SECRET]}).encode(),
    json.dumps(a_push("x", [])).replace('"tallies": []', '"tallies": [%s]' % ("[" * 100_000)).encode(),
    b"{" * 100_000,
]


def test_an_envelope_of_another_shape_is_422_and_what_was_sent_is_not_repeated(
    lone: Office, lone_http: httpx.Client
) -> None:
    token = lone.enrol("12001")
    for content in ENVELOPES:
        answer = post_bytes(lone_http, token, content)
        assert (content[:200], answer.status_code, answer.json()["error"]) == (content[:200], 422, "MalformedError")
        assert "Nguyen" not in answer.text
        assert len(answer.text) < 2000


def test_nan_and_deep_nesting_inside_a_tally_refuse_that_one_only(lone: Office, lone_http: httpx.Client) -> None:
    token = lone.enrol("12001")
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    sent = [
        a_tally(YESTERDAY),
        a_tally(YESTERDAY, counts={"cash": float("nan")}),
        a_tally(YESTERDAY, counts=deep),
        deep,
    ]
    content = json.dumps(body_of(token, sent)).encode()
    answer = post_bytes(lone_http, token, content).json()
    assert answer["accepted"] == 1
    assert [(one["index"], one["code"]) for one in answer["refused"]] == [
        (1, "bad_count"),
        (2, "malformed"),
        (3, "malformed"),
    ]


def test_a_body_that_is_cut_off_stores_nothing_and_is_no_error_of_ours(lone: Office, lone_http: httpx.Client) -> None:
    token = lone.enrol("12001")
    content = json.dumps(body_of(token, [a_tally(YESTERDAY)])).encode()
    with closing(post_by_hand(lone_http, token, len(content))) as line:
        line.sendall(content[: len(content) // 2])
    assert push(lone_http, token, []).status_code == 200
    assert lone.stored() == {}
    assert 'status="500"' not in lone_http.get("/metrics").text


def test_the_same_batch_from_many_callers_at_once_is_accepted_by_each(office: Office, http: httpx.Client) -> None:
    token = office.enrol("12001")
    batch = [a_tally(YESTERDAY - timedelta(days=n)) for n in range(50)]
    push(http, token, [])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: push(http, token, batch), range(16)))
    assert {(answer.status_code, answer.json()["accepted"]) for answer in answers} == {(200, 50)}
    assert len(office.stored()) == 50


# --- overload and absence


def test_too_many_at_once_are_told_to_come_back_and_the_others_are_answered(tmp_path: Path) -> None:
    office = Office(f"sqlite:///{tmp_path / 'c'}?timeout=20", tmp_path)
    token = office.enrol("12001")
    with serving(office.app()) as http, closing(sqlite3.connect(tmp_path / "c", isolation_level=None)) as blocker:
        assert push(http, token, []).status_code == 200
        blocker.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(40) as pool:
            waiting = [pool.submit(push, http, token, [a_tally(YESTERDAY)]) for _ in range(34)]
            busy = [one.result() for one in _first(waiting, 10)]
            assert {(one.status_code, one.headers["Retry-After"]) for one in busy} == {(429, "5")}
            assert http.get("/healthz").status_code == 200
            assert http.get("/metrics").status_code == 200
            blocker.execute("COMMIT")
            statuses = sorted(one.result().status_code for one in waiting)
        assert statuses == [200] * 24 + [429] * 10
        assert push(http, token, [a_tally(YESTERDAY)]).status_code == 200
    office.store.close()


def _first(waiting: list[Any], number: int) -> list[Any]:
    deadline = threading.Event()
    for _ in range(200):
        done = [one for one in waiting if one.done()]
        if len(done) >= number:
            return done
        deadline.wait(0.05)
    raise AssertionError("nobody was told to come back")


def test_a_database_that_is_away_answers_503_and_takes_the_same_push_later(tmp_path: Path) -> None:
    office = Office(f"sqlite:///{tmp_path / 'c'}?timeout=0.1", tmp_path)
    token = office.enrol("12001")
    with serving(office.app()) as http, closing(sqlite3.connect(tmp_path / "c", isolation_level=None)) as blocker:
        push(http, token, [])
        blocker.execute("BEGIN IMMEDIATE")
        answer = push(http, token, [a_tally(YESTERDAY)])
        assert (answer.status_code, answer.headers["Retry-After"], answer.json()["error"]) == (503, "15", "AwayError")
        blocker.execute("COMMIT")
        assert push(http, token, [a_tally(YESTERDAY)]).json()["accepted"] == 1
    office.store.close()


@pytest.mark.slow
def test_a_postgresql_that_is_away_answers_503_and_metrics_stay(
    postgres_server: Any, postgres_url: str, tmp_path: Path
) -> None:
    office = Office(postgres_url, tmp_path)
    token = office.enrol("12001")
    name = sa.make_url(postgres_url).database
    with (
        serving(office.app()) as http,
        psycopg.connect(postgres_server.get_uri(), autocommit=True) as operator,
    ):
        assert push(http, token, [a_tally(YESTERDAY)]).status_code == 200
        assert http.get("/readyz").status_code == 200
        operator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        operator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        for _ in range(2):
            answer = push(http, token, [a_tally(YESTERDAY, 2, {"qr": 1})])
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "15")
        assert http.get("/readyz").status_code == 503
        assert http.get("/healthz").status_code == 200
        assert "nhipso_facility_info{" in http.get("/metrics").text
        operator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert push(http, token, [a_tally(YESTERDAY, 2, {"qr": 1})]).json()["accepted"] == 1
        assert http.get("/readyz").status_code == 200
    office.store.close()  # its own connections were ended too
    assert {row.counts for row in office.stored().values()} == {'{"qr":1}'}
    office.store.close()


def test_readyz_is_503_without_the_schema(tmp_path: Path) -> None:
    office = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    with serving(office.app()) as http:
        assert http.get("/readyz").json() == {"status": "ready"}
        with office.store.write() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '0000'"))
        answer = http.get("/readyz")
        assert (answer.status_code, "migrate" in answer.json()["detail"]) == (503, True)
    office.store.close()


# --- enrolment, catalogue, digests


def test_a_code_is_traded_once(office: Office, http: httpx.Client) -> None:
    office.register("12001", "12002")
    code = office.access.make_code(["12001", "12002"], None, now())
    first = http.post("/api/v1/enrolments", json={"code": code})
    assert (first.status_code, first.json()["facilities"]) == (201, ["12001", "12002"])
    assert set(first.json()) == {"agent", "token", "facilities"}
    assert http.post("/api/v1/enrolments", json={"code": code}).status_code == 401
    assert push(http, first.json()["token"], []).status_code == 200


def test_an_enrolment_of_another_shape_is_refused(lone_http: httpx.Client) -> None:
    for body, status in (("{}", 422), ('{"code": 7}', 422), ("x" * 5000, 413), ('{"code": ""}', 401)):
        assert lone_http.post("/api/v1/enrolments", content=body).status_code == status


def test_the_catalogue_is_sent_once_and_then_only_its_tag(lone_http: httpx.Client) -> None:
    first = lone_http.get("/api/v1/catalogue")
    tag = first.headers["ETag"]
    assert tag == f'"{catalogue.load().digest}"'
    assert catalogue.parse(first.json(), "x") == catalogue.load()
    for again in (tag, f"W/{tag}", f'"other", {tag}'):
        assert lone_http.get("/api/v1/catalogue", headers={"If-None-Match": again}).status_code == 304
    assert lone_http.get("/api/v1/catalogue", headers={"If-None-Match": '"other"'}).status_code == 200


def test_an_override_at_the_collector_is_what_agents_fetch_and_pushes_are_judged_by(tmp_path: Path) -> None:
    office = Office(f"sqlite:///{tmp_path / 'c'}", tmp_path)
    file = tmp_path / "catalogue.toml"
    file.write_text('[measures.payments.categories.gold]\nvi = "Vàng"\nen = "Gold"\n')
    token = office.enrol("12001")
    with serving(office.app(catalogue_file=file)) as http:
        answer = push(http, token, [a_tally(YESTERDAY, counts={"gold": 1})]).json()
        assert (answer["accepted"], answer["catalogue"]) == (1, catalogue.load(file).digest)
        assert "gold" in http.get("/api/v1/catalogue").json()["measures"]["payments"]["categories"]
    office.store.close()


def test_digests_are_those_of_the_agents_own_sources(office: Office, http: httpx.Client) -> None:
    mine, other = office.enrol("12001", "12002"), office.enrol("12001")
    days = [a_tally("2026-09-30", counts={"qr": 1}), a_tally("2026-10-01", counts={}), a_tally("2026-10-02")]
    push(http, mine, [*days, a_tally("2026-10-02", facility="12002")])
    push(http, other, [a_tally("2026-10-01", source="records", measure="records")])
    asked = {"from": "2026-10-01", "to": "2026-10-31"}
    found = http.get("/api/v1/digests", params=asked, headers=bearer(mine)).json()["months"]
    rows = [
        (YESTERDAY.replace(year=2026, month=10, day=1), {}),
        (YESTERDAY.replace(year=2026, month=10, day=2), {"cash": 3, "qr": 1}),
    ]
    plain = {"source": "his", "measure": "payments", "month": "2026-10"}
    assert sorted(found, key=lambda one: one["facility"]) == [
        {**plain, "facility": "12001", "digest": digest(rows)},
        {**plain, "facility": "12002", "digest": digest(rows[1:])},
    ]
    assert (
        http.get("/api/v1/digests", params={"from": "2026-10-02", "to": "2026-10-01"}, headers=bearer(mine)).status_code
        == 400
    )
    assert http.get("/api/v1/digests", headers=bearer(mine)).status_code == 422


# --- reading


@pytest.fixture
def people(office: Office, http: httpx.Client) -> dict[str, Any]:
    """One of the Sở, one of hospital 12001; both hospitals have told."""
    token = office.enrol("12001", "12002")
    push(http, token, [a_tally(YESTERDAY, facility=one, counts={"qr": 3, "cash": 1}) for one in ("12001", "12002")])
    office.register("12003")
    office.register("12001", bhxh_code="12001", bhxh_from="2026-01-01")
    return {
        "sở": bearer(office.people.add(Person("An", "reader", None), now())),
        "12001": bearer(office.people.add(Person("Bình", "confirmer", "12001"), now())),
        "agent": bearer(token),
    }


READS = ["/api/v1/facilities", "/api/v1/standings", "/api/v1/tallies"]


def places(answer: httpx.Response, key: str) -> set[str]:
    assert answer.status_code == 200
    return {one[key] for one in next(iter(answer.json().values()))}


def test_a_person_of_the_department_sees_all_and_one_of_a_facility_that_one_only(
    http: httpx.Client, people: dict[str, Any]
) -> None:
    for path in READS:
        key = "id" if path.endswith("facilities") else "facility"
        everybody = {"12001", "12002"} | ({"12003"} if not path.endswith("tallies") else set())
        assert places(http.get(path, headers=people["sở"]), key) == everybody
        assert places(http.get(path, headers=people["12001"]), key) == {"12001"}


def test_a_facilitys_person_gets_404_for_another_facility_as_for_one_that_does_not_exist(
    http: httpx.Client, people: dict[str, Any]
) -> None:
    for path in READS[1:]:
        assert places(http.get(path, params={"facility": "12001"}, headers=people["12001"]), "facility") == {"12001"}
        there = http.get(path, params={"facility": "12002"}, headers=people["12001"])
        nowhere = http.get(path, params={"facility": "99999"}, headers=people["12001"])
        assert (there.status_code, nowhere.status_code, there.text == nowhere.text) == (404, 404, True)
        assert http.get(path, params={"facility": "99999"}, headers=people["sở"]).status_code == 404


def test_nobody_reads_without_a_personal_token(http: httpx.Client, people: dict[str, Any]) -> None:
    for path in READS:
        assert http.get(path).status_code == 401
        assert http.get(path, headers=people["agent"]).status_code == 401


def test_standings_are_the_figures_with_their_counts(http: httpx.Client, people: dict[str, Any]) -> None:
    asked = {"window": "7d", "facility": "12001", "indicator": "cashless"}
    (one,) = http.get("/api/v1/standings", params=asked, headers=people["sở"]).json()["standings"]
    assert (one["ratio"], one["numerator"], one["denominator"], one["to"]) == (0.75, 3, 4, str(YESTERDAY))
    assert (one["known_ratio"], one["completeness_ratio"], one["as_of"]) == (1.0, 1 / 7, str(YESTERDAY))


def test_tallies_come_as_csv_too(http: httpx.Client, people: dict[str, Any]) -> None:
    answer = http.get("/api/v1/tallies?facility=12001", headers={**people["sở"], "Accept": "text/csv"})
    assert answer.text.splitlines() == [
        "facility,source,measure,day,category,count",
        f"12001,his,payments,{YESTERDAY},cash,1",
        f"12001,his,payments,{YESTERDAY},qr,3",
    ]


def test_the_registry_tells_the_dated_codes(http: httpx.Client, people: dict[str, Any]) -> None:
    found = http.get("/api/v1/facilities", headers=people["sở"]).json()["facilities"]
    assert [one["id"] for one in found] == ["12001", "12002", "12003"]
    assert found[0]["bhxh_codes"] == [{"code": "12001", "valid_from": "2026-01-01", "valid_to": None}]
    assert found[2]["last_push_at"] is None


ASKED = [
    ("standings?window=tomorrow", 422),
    ("standings?indicator=happiness", 404),
    ("standings?facility=%00", 422),
    ("tallies?measure=smiles", 404),
    ("tallies?facility=%00", 422),
    ("tallies?from=tomorrow", 422),
    ("tallies?to=0001-01-05", 422),
    ("tallies?to=9999-12-31", 200),
    ("tallies?from=2026-02-01&to=2026-01-01", 400),
    ("tallies?from=2024-01-01&to=2026-01-01", 400),
]


def test_what_cannot_be_asked_is_said_without_repeating_it(http: httpx.Client, people: dict[str, Any]) -> None:
    answers = [http.get(f"/api/v1/{asked}", headers=people["sở"]) for asked, _ in ASKED]
    assert [(asked, answer.status_code) for (asked, _), answer in zip(ASKED, answers, strict=True)] == ASKED
    for answer in answers:
        assert not [word for word in ("tomorrow", "happiness", "smiles") if word in answer.text]
        assert answer.is_success or set(answer.json()) == {"error", "detail"}


# --- the collector itself


def test_metrics_ask_for_their_token_when_there_is_one(lone: Office) -> None:
    with serving(lone.app(metrics_token="bi-mat")) as http:
        assert http.get("/metrics").status_code == 401
        for wrong in ("x", "bi-matt", "\xed"):
            header = {b"Authorization": f"Bearer {wrong}".encode("latin-1")}
            assert http.get("/metrics", headers=header).status_code == 401
        assert http.get("/metrics", headers=bearer("bi-mat")).status_code == 200


def test_metrics_show_pushes_at_once_and_the_collector_itself(lone: Office, lone_http: httpx.Client) -> None:
    token = lone.enrol("12001")
    push(lone_http, token, [a_tally(YESTERDAY, counts={"qr": 5}), "x"])
    lone_http.get("/nothing/here")
    name = 'nhipso_indicator_denominator{facility="12001",indicator="cashless",window="30d"}'
    for _ in range(100):
        found = samples(lone_http.get("/metrics").text)
        if name in found:
            break
        threading.Event().wait(0.02)
    assert found[name] == 5
    assert found['nhipso_ingest_tallies_total{result="accepted"}'] == 1
    assert found['nhipso_ingest_tallies_total{result="refused"}'] == 1
    assert found['nhipso_ingest_tallies_total{result="stale"}'] == 0
    assert found['nhipso_http_requests_total{method="POST",route="/api/v1/tallies",status="200"}'] == 1
    assert found['nhipso_http_requests_total{method="GET",route="other",status="404"}'] == 1
    assert found["nhipso_exposition_render_seconds"] > 0
    assert now().timestamp() - found['nhipso_loop_heartbeat_timestamp_seconds{loop="exposition"}'] < 30
    assert lone_http.get("/metrics?shard=3/2").status_code == 400


def test_unknown_paths_and_methods_are_answered(lone_http: httpx.Client) -> None:
    assert lone_http.get("/healthz").json() == {"status": "ok"}
    assert lone_http.get("/api/v1/nothing").status_code == 404
    assert lone_http.get("/api/v1/tallies/x").status_code == 404
    assert lone_http.delete("/api/v1/tallies").status_code == 405


def test_the_openapi_document_is_valid_and_names_the_body_of_a_push(lone_http: httpx.Client) -> None:
    document = lone_http.get("/openapi.json").json()
    OpenAPI.model_validate(document)
    body = document["paths"]["/api/v1/tallies"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/Push"}
    schemas = document["components"]["schemas"]
    assert {"Push", "AgentReport", "SourceReport", "Ack", "Stale", "Refusal"} <= set(schemas)
    assert {"name", "from", "unmapped", "facilities"} <= set(schemas["SourceReport"]["properties"])
    for target in _references(document):
        place: Any = document
        for part in target.removeprefix("#/").split("/"):
            place = place[part]


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
