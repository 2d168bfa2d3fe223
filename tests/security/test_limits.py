"""How much and how long one caller may keep the collector busy: over real sockets, with the limits that `serve` has."""

import gzip
import json
import select
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from collector.gate import LARGE, MOST_LARGE, SLOWEST, Gate
from collector.parts import Meters
from collector.patience import LIMITS, PatientProtocol
from contract.tally import MAX_BYTES
from tests.office import Office, a_push, bearer, serving
from tests.security.lines import answer, dribbling, head, line, seconds, status
from tests.security.province import province

PATIENCE = 0.4


class HurriedProtocol(PatientProtocol):
    """Patience of a test."""

    head_seconds = 0.6
    read_seconds = 0.6


HURRIED = {**LIMITS, "http": HurriedProtocol}


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    one = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    one.register("12001")
    yield one
    one.store.close()


@pytest.fixture
def http(office: Office) -> Iterator[httpx.Client]:
    """The collector as it is served, but for its patience."""
    with serving(Gate(office.app(), Meters(), False, PATIENCE), **HURRIED) as client:
        yield client


def test_serve_has_these_limits(monkeypatch: pytest.MonkeyPatch, office: Office) -> None:
    from click.testing import CliRunner

    from collector.__main__ import main

    given: dict[str, Any] = {}
    monkeypatch.setattr("uvicorn.run", lambda _, **config: given.update(config))
    file = office.directory / "collector.toml"
    file.write_text('[collector]\ndata_dir = "."\n')
    found = CliRunner().invoke(main, ["--config", str(file), "serve"])
    assert (found.exit_code, {name: given.get(name) for name in LIMITS}) == (0, LIMITS), found.output


# --- time


FILE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
MULTIPART = "Content-Type: multipart/form-data; boundary=x"
PART = b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\n'
BODIES = [
    ("/login", "Content-Type: application/x-www-form-urlencoded", b"name="),
    ("/login", MULTIPART, PART),
    ("/api/v1/enrolments", "Content-Type: application/json", b""),
    ("/api/v1/tallies", "Content-Type: application/json", b""),
]


@pytest.mark.parametrize(("path", "kind", "begin"), BODIES)
def test_a_body_that_dribbles_is_refused_and_nobody_else_waits(
    office: Office, http: httpx.Client, path: str, kind: str, begin: bytes
) -> None:
    token, begun = office.enrol("12001"), time.monotonic()
    with line(http) as slow:
        slow.sendall(head("POST", path, f"Authorization: Bearer {token}", kind, "Content-Length: 4000") + begin)
        with dribbling(slow, b" ", 0.05) as refused:
            assert http.get("/healthz").status_code == 200
            assert status(slow) == 408
            assert PATIENCE <= seconds(begun) < 10
            assert refused.wait(10)  # what still comes after the answer is not listened to for ever


def test_a_body_that_never_comes_is_refused(http: httpx.Client) -> None:
    with line(http) as silent:
        silent.sendall(head("POST", "/login", MULTIPART, "Content-Length: 9"))
        found = answer(silent)
    assert found.startswith(b"HTTP/1.1 408")
    assert "quá chậm".encode() in found


def test_a_slow_line_that_does_deliver_is_waited_for(office: Office, http: httpx.Client) -> None:
    token = office.enrol("12001")
    body = json.dumps(a_push(token.partition(".")[0], [])).encode()
    body += b" " * (5 * SLOWEST - len(body))

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), SLOWEST // 2):
            time.sleep(PATIENCE / 4)  # in all more than twice our patience
            yield body[start : start + SLOWEST // 2]

    begun = time.monotonic()
    assert http.post("/api/v1/tallies", content=pieces(), headers=bearer(token)).status_code == 200
    assert seconds(begun) > 2 * PATIENCE


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET / HT"])
def test_a_head_that_dribbles_or_never_comes_ends_the_connection(http: httpx.Client, sent: bytes) -> None:
    begun = time.monotonic()
    with line(http) as slow:
        slow.sendall(sent)
        with dribbling(slow, b"X: y\r\n" if sent else b"", 0.05):
            answer(slow)
    assert 0.3 < seconds(begun) < 10


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with far more than any buffer between two sockets holds."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x" * 2**25})


def test_who_does_not_read_the_answer_is_cut_off_and_who_reads_slowly_is_not() -> None:
    with serving(large, **HURRIED, lifespan="off") as http, line(http, 4096) as deaf, line(http, 65_536) as slow:
        for one in (deaf, slow):
            one.sendall(head("GET", "/", "Connection: close"))
        begun, taken = time.monotonic(), 0
        while seconds(begun) < 3 * HurriedProtocol.read_seconds:
            taken += len(slow.recv(2**16))
            time.sleep(0.01)
        assert taken + len(answer(slow)) > 2**25
        assert len(answer(deaf)) < 2**25


# --- number


def test_more_connections_than_the_limit_are_told_to_come_later(office: Office) -> None:
    with serving(office.app(), **{**LIMITS, "limit_concurrency": 5}) as http, ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(line(http)).sendall(b"GET / HT")
        assert http.get("/healthz").status_code == 503
        stack.close()
        begun = time.monotonic()
        while (found := http.get("/healthz").status_code) == 503 and seconds(begun) < 5:
            time.sleep(0.02)
        assert found == 200


def test_only_a_few_large_bodies_are_read_at_once(office: Office) -> None:
    size, part = LARGE + 200_000, head("POST", "/facilities/12001/sheets", MULTIPART, "Content-Length: 9000000") + FILE
    with serving(office.app(), **LIMITS) as http, ExitStack() as stack:
        lines = [stack.enter_context(line(http)) for _ in range(MOST_LARGE + 1)]
        for one in lines:
            one.sendall(part + b"x" * size)
        refused, _, _ = select.select(lines, [], [], 60)  # the others wait for the rest of theirs
        found = refused[0].recv(2000)
        assert (len(refused), found[:12], b"retry-after: 30" in found.lower()) == (1, b"HTTP/1.1 429", True)
        assert http.get("/healthz").status_code == 200
        stack.close()
        begun = time.monotonic()
        while (answered := _sent(http, size)) == 429 and seconds(begun) < 30:
            time.sleep(0.05)
        assert answered == 303  # to the door


def _sent(http: httpx.Client, size: int) -> int:
    return http.post("/facilities/12001/sheets", files={"file": b"x" * size}).status_code


# --- size


def test_a_head_of_more_than_16_kib_is_refused(http: httpx.Client) -> None:
    for headers in ({"X": "y" * 20_000}, {f"X-{number}": "y" * 100 for number in range(200)}):
        found = http.get("/healthz", headers=headers)
        assert (found.status_code, "yyy" in found.text) == (431, False)
    with line(http) as long, dribbling(long, b"a" * 1000, 0.001):  # in pieces uvicorn itself refuses it
        assert status(long) == 400
    assert http.get("/healthz", headers={"X": "y" * 8000}).status_code == 200


def test_a_form_of_many_fields_or_files_or_bytes_is_refused(http: httpx.Client) -> None:
    many = "&".join(f"a{number}=" for number in range(501))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert http.post("/login", content=many, headers=form).status_code == 400
    assert http.post("/login", files=[("a", b"x")] * 3).status_code == 400
    assert http.post("/login", files=[(f"a{number}", (None, b"x")) for number in range(501)]).status_code == 400
    assert http.post("/login", content=b"name=" + b"x" * 65_536, headers=form).status_code == 413
    assert http.post("/login", content=iter([b"name=" + b"x" * 2**15] * 3), headers=form).status_code == 413
    assert http.post("/login", files=[("a", b"x" * 65_536)]).status_code == 413
    assert http.get("/healthz").status_code == 200


def test_a_length_that_is_a_lie_is_refused_before_anything_is_read(http: httpx.Client) -> None:
    for length in ("99999999999999999999", "-1", "1e9", "+5", "5, 6"):
        with line(http) as liar:
            liar.sendall(head("POST", "/login", MULTIPART, f"Content-Length: {length}"))
            assert (length, status(liar)) in ((length, 400), (length, 413))


def bomb(size: int = 16 * MAX_BYTES) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([packer.compress(b" " * MAX_BYTES) for _ in range(size // MAX_BYTES)]) + packer.flush()


DEEP = [b"[" * 100_000, b'{"a":' * 100_000, b'{"agent":' + b"[" * 5000 + b"]" * 5000 + b"}"]
NUMBER = b'{"agent": {"id": "a", "version": "1", "sent_at": "2026-01-01T00:00:00Z"}, "tallies": [{"revision": %s}]}'
JSON = {
    "/api/v1/tallies": "agent",
    "/api/v1/enrolments": "nobody",
    "/api/v1/alerts": "alertmanager",
    "/api/v1/alerts/{alert}/answer": "admin token",
    "/api/v1/manual": "admin token",
    "/api/v1/confirmations": "confirmer token",
}
"""Where JSON is read → somebody who may send it."""


def test_bombs_and_nesting_without_end_are_refused_wherever_json_is_read(tmp_path: Path) -> None:
    with province(tmp_path) as here:
        for pattern, name in JSON.items():
            path, plain = pattern.format(alert=here.known["alert"]), here.caller(name).headers
            packed, begun = {**plain, "Content-Encoding": "gzip"}, time.monotonic()
            assert (path, here.http.post(path, content=bomb(), headers=packed).status_code) == (path, 413)
            large = b" " * (MAX_BYTES + 1)
            assert (path, here.http.post(path, content=large, headers=plain).status_code) == (path, 413)
            for content in (*DEEP, NUMBER % (b"9" * 900_000)):
                for sent, headers in ((content, plain), (gzip.compress(content), packed)):
                    found = here.http.post(path, content=sent, headers=headers)
                    assert (path, content[:20], found.status_code) in (
                        (path, content[:20], 413),
                        (path, content[:20], 422),
                    )
            assert seconds(begun) < 20
