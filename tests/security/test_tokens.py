"""Tokens, codes and passwords: what opens a door, for how long, and how often one may try; at every collector alike."""

import ast
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from collector import access, people
from collector.access import Access
from collector.people import SESSION_COOKIE, People
from collector.store import Store
from collector.store import people as stored
from collector.store.people import Person
from collector.throttle import Throttle
from contract.days import now
from contract.errors import BusyError, UnauthorisedError
from tests.office import NOON, Office, bearer, serving

COLLECTOR = Path(__file__).parents[2] / "collector"
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
READER = Person("đọc", "reader", None)


@pytest.fixture
def office(store_url: str, tmp_path: Path) -> Iterator[Office]:
    one = Office(store_url, tmp_path)
    one.register("12001")
    yield one
    one.store.close()


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Office]:
    """On SQLite alone: for what no database has a part in."""
    one = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    one.register("12001")
    yield one
    one.store.close()


# --- at once, and at every collector


def test_what_is_taken_back_at_one_collector_is_refused_by_the_others_with_the_next_request(office: Office) -> None:
    agent, person = office.enrol("12001"), office.people.add(READER, now())
    with office.store.read() as connection:
        account = stored.named(connection, READER.name)
    session = office.people.open(account, now())
    doors: list[tuple[str, dict[str, str]]] = [
        ("/api/v1/digests?from=2026-01-01&to=2026-01-02", dict(bearer(agent))),
        ("/api/v1/facilities", dict(bearer(person))),
        ("/api/v1/facilities", {"Cookie": f"{SESSION_COOKIE}={session.secret}"}),
    ]
    with ExitStack() as stack:
        collectors = [stack.enter_context(serving(office.app())) for _ in range(2)]

        def statuses() -> list[int]:
            return [http.get(path, headers=headers).status_code for http in collectors for path, headers in doors]

        assert statuses() == [200] * 6
        office.access.revoke(agent.partition(".")[0], now())
        office.people.log_out(session)
        assert statuses() == [401, 200, 401] * 2
        office.people.add(READER, now())  # a new token
        assert statuses() == [401, 401, 401] * 2


def test_an_account_that_is_disabled_is_shut_out_of_every_collector_at_once(office: Office) -> None:
    person = office.people.add(READER, now())
    with office.store.read() as connection:
        session = office.people.open(stored.named(connection, READER.name), now())
    with serving(office.app()) as http:
        for headers in (dict(bearer(person)), {"Cookie": f"{SESSION_COOKIE}={session.secret}"}):
            assert http.get("/api/v1/facilities", headers=headers).status_code == 200
        office.people.disable(READER.name, now())
        for headers in (dict(bearer(person)), {"Cookie": f"{SESSION_COOKIE}={session.secret}"}):
            assert http.get("/api/v1/facilities", headers=headers).status_code == 401


def test_a_role_that_was_taken_away_is_gone_from_the_sessions_that_are_open(office: Office) -> None:
    token = office.people.add(Person("quản trị", "admin", None), now())
    figure = {"plan": "x", "code": "x", "value": "1", "day": "2026-01-01", "evidence": "x"}
    with serving(office.app()) as http:
        assert http.post("/api/v1/manual", json=figure, headers=bearer(token)).status_code == 404
        with office.store.write() as connection:
            stored.save(connection, Person("quản trị", "reader", None), now())
        assert http.post("/api/v1/manual", json=figure, headers=bearer(token)).status_code == 403


# --- how often


def wrong(one: Access, address: str, at: datetime, times: int) -> int:
    """Trade codes that nobody made; returns how many were looked at."""
    looked = 0
    for number in range(times):
        try:
            one.enrol(f"0000-0000-0000-{number:04}", at, address)
        except UnauthorisedError:
            looked += 1
        except BusyError as error:
            assert error.retry_after == 60 - at.second
    return looked


def test_wrong_codes_are_limited_by_address_and_in_all_at_all_collectors_together(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = Store(office.url)
    first, second = office.access, Access(others, tmp_path / "revoked")
    at, code = NOON + 15 * SECOND, office.access.make_code(["12001"], None, NOON)
    assert wrong(first, "10.0.0.1", at, 15) + wrong(second, "10.0.0.1", at, 15) == access.FAILURES_OF_ADDRESS
    with pytest.raises(BusyError):
        second.enrol(code, at, "10.0.0.1")
    tries = sum(wrong(first, f"10.0.{number}.2", at, 10) for number in range(19))
    assert tries + access.FAILURES_OF_ADDRESS <= access.FAILURES_OF_ALL
    assert wrong(second, "10.1.1.1", at, 1) == 0  # from wherever it comes
    assert second.enrol(code, at + MINUTE, "10.0.0.1")  # it still holds, for it was not looked at
    others.close()


def test_right_codes_do_not_count(lone: Office) -> None:
    for _ in range(access.FAILURES_OF_ADDRESS + 5):
        assert lone.access.enrol(lone.access.make_code(["12001"], None, NOON), NOON, "10.0.0.1")
    assert wrong(lone.access, "10.0.0.1", NOON, 30) == access.FAILURES_OF_ADDRESS


def test_of_many_who_guess_at_once_no_more_are_looked_at(office: Office) -> None:
    ready, looked = threading.Barrier(10), []

    def guess() -> None:
        ready.wait()
        looked.append(wrong(office.access, "10.0.0.1", NOON, 5))

    threads = [threading.Thread(target=guess) for _ in range(10)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sum(looked) == access.FAILURES_OF_ADDRESS


@pytest.mark.parametrize(
    ("addresses", "are_one"),
    [
        (("2001:db8:1:2::1", "2001:db8:1:2:ffff::2"), True),  # one subscriber has all of a /64
        (("2001:db8:1:2::1", "2001:db8:1:3::1"), False),
        (("::ffff:10.0.0.1", "10.0.0.1"), True),
        (("10.0.0.1", "10.0.0.2"), False),
        (("fe80::1%eth0", "fe80::2%eth1"), True),
        (("testclient", "x" * 100), False),
    ],
)
def test_an_address_is_the_network_of_one_subscriber(lone: Office, addresses: Any, are_one: bool) -> None:
    throttle = Throttle(lone.store, "x", 1, 100)
    throttle.take(addresses[0], NOON)
    if are_one:
        with pytest.raises(BusyError):
            throttle.take(addresses[1], NOON)
    else:
        throttle.take(addresses[1], NOON)


def test_nothing_of_who_tried_is_kept_longer_than_a_minute(office: Office) -> None:
    throttle, other = Throttle(office.store, "x", 5, 100), Throttle(office.store, "y", 5, 100)
    for number in range(50):
        throttle.take(f"10.0.0.{number}", NOON)
    other.take("10.0.1.1", NOON + MINUTE)
    with office.store.read() as connection:
        rows = connection.exec_driver_sql("SELECT name FROM throttle ORDER BY name").scalars().all()
    assert list(rows) == ["y", "y 10.0.1.1"]


def test_wrong_passwords_are_limited_at_all_collectors_together(lone: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.people._matches", lambda *_: False)
    other, looked = People(lone.store), 0
    for number in range(people.FAILURES_OF_ADDRESS + 10):
        try:
            (lone.people, other)[number % 2].log_in(f"người {number}", "sai", NOON, "10.0.0.1")
        except UnauthorisedError:
            looked += 1
        except BusyError:
            continue
    assert looked == people.FAILURES_OF_ADDRESS


def test_passwords_that_come_at_once_leave_threads_to_others_and_cost_nobody_an_attempt(
    lone: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = (lone.people.add(READER, NOON), lone.people.first_password(READER.name, NOON))[1]
    go, said, inside = threading.Event(), [], threading.Semaphore(0)

    def slow(*_: object) -> bool:
        inside.release()
        return bool(go.wait(30)) and False

    monkeypatch.setattr("collector.people._matches", slow)

    def guess(number: int) -> None:
        try:
            lone.people.log_in(f"người {number}", "sai", NOON, f"10.0.0.{number}")
        except (UnauthorisedError, BusyError) as error:
            said.append(type(error))

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(16)]
    for one in threads:
        one.start()
    for _ in threads:
        assert inside.acquire(timeout=30)
    for _ in range(people.FAILURES + 1):
        with pytest.raises(BusyError, match="cùng lúc"):
            lone.people.log_in(READER.name, first, NOON, "10.0.1.1")
    go.set()
    for one in threads:
        one.join()
    assert said == [UnauthorisedError] * 16
    monkeypatch.undo()
    assert lone.people.log_in(READER.name, first, NOON, "10.0.1.1").must_change


def test_a_code_is_limited_by_the_address_that_the_proxy_tells(lone: Office) -> None:
    with serving(lone.app()) as http:
        asked = [http.post("/api/v1/enrolments", json={"code": "x"}) for _ in range(2 * access.FAILURES_OF_ADDRESS + 1)]
        assert {one.status_code for one in asked} == {401, 429}
        limited = next(one for one in asked if one.status_code == 429)
        assert 0 < int(limited.headers["Retry-After"]) <= 60
        other = http.post("/api/v1/enrolments", json={"code": "x"}, headers={"X-Forwarded-For": "10.9.9.9"})
        assert other.status_code == 401


# --- where no token is asked for


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:8080"}, 200),
        ({"Host": "[::1]:8080"}, 200),
        ({"Host": "nhipso.example.gov.vn"}, 401),  # through a proxy on this machine
        ({"Host": "evil.example:8080"}, 401),  # a browser here, led by a name that leads to this machine
        ({"X-Forwarded-For": "10.0.0.5"}, 401),
        ({"X-Forwarded-For": "127.0.0.1, 10.0.0.5"}, 401),
    ],
)
def test_without_a_token_only_who_is_on_this_machine_and_says_so_is_served(
    lone: Office, headers: dict[str, str], status: int
) -> None:
    with serving(lone.app()) as http:
        told = {"version": "4", "alerts": []}
        assert http.post("/api/v1/alerts", json=told, headers=headers).status_code == status
        for _ in range(200):
            found = http.get("/metrics", headers=headers).status_code
            if found != 503:  # the first figures are being worked out
                break
            threading.Event().wait(0.02)
        assert found == status


# --- how secrets are compared


SECRETS = {"token", "secret", "password", "form_token", "verifier", "metrics_token", "alerts_token"}


def test_no_secret_is_compared_with_an_ordinary_equals() -> None:
    """Its time would tell how much of a guess is right."""
    found = []
    for file in COLLECTOR.rglob("*.py"):
        if file.name.startswith("test_"):
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Compare) and any(isinstance(one, ast.Eq | ast.NotEq) for one in node.ops):
                names = {getattr(one, "id", getattr(one, "attr", "")) for one in (node.left, *node.comparators)}
                found += [f"{file.name}:{node.lineno} {name}" for name in sorted(names & SECRETS)]
    assert found == []


def test_the_cookie_of_a_session_is_new_at_every_log_in_and_not_what_was_sent(lone: Office) -> None:
    lone.people.add(READER, now())
    first = lone.people.first_password(READER.name, now())
    with serving(lone.app()) as http:
        seen = set()
        for _ in range(3):
            http.cookies.clear()
            planted = {"Cookie": f"{SESSION_COOKIE}=cua-ke-khac"}
            answer = http.post("/login", data={"name": READER.name, "password": first}, headers=planted)
            seen.add(_cookie(answer))
        assert len(seen) == 3
        assert "cua-ke-khac" not in seen
        assert http.get("/", headers={"Cookie": f"{SESSION_COOKIE}=cua-ke-khac"}).headers["Location"] == "/login"


def _cookie(answer: httpx.Response) -> str:
    return answer.headers["Set-Cookie"].partition(";")[0].partition("=")[2]
