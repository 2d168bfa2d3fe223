"""Confirmations over a real socket: what people and their programs send and get (contract.md, "Others")."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from collector import confirm
from collector.access import Speaker
from collector.store.people import Person
from contract.days import now
from tests.office import Office, a_tally, bearer, serving

NOW = now()
MONTH = confirm.closed(NOW)[-1]
DAYS = confirm.days_of(MONTH)
PEOPLE = {
    "An": Person("An", "confirmer", "12001"),
    "Kế": Person("Kế", "reader", "12001"),
    "Lạ": Person("Lạ", "confirmer", "12002"),
    "Sở": Person("Sở", "admin", None),
    "Đọc": Person("Đọc", "reader", None),
}


@dataclass
class Portal:
    """A collector that listens, the agent of 12001, and the tokens of five people."""

    office: Office
    agent: Speaker
    http: httpx.Client
    tokens: dict[str, str]

    def get(self, who: str, **params: str) -> httpx.Response:
        asked = {"facility": "12001", "period": MONTH, **params}
        return self.http.get("/api/v1/confirmations", params=asked, headers=bearer(self.tokens[who]))

    def post(self, who: str, **values: Any) -> httpx.Response:
        body = {"facility": "12001", "period": MONTH, "decision": "confirm", **values}
        return self.http.post("/api/v1/confirmations", json=body, headers=bearer(self.tokens[who]))


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[Portal]:
    office = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    office.register("12001", "12002", at=NOW - timedelta(days=100), indicators="cashless,kiosk")
    agent = office.speaker("12001")
    assert office.push(agent, [a_tally(day, counts={"cash": 5, "qr": 5}) for day in DAYS], at=NOW).accepted == len(DAYS)
    tokens = {name: office.people.add(one, NOW) for name, one in PEOPLE.items()}
    with serving(office.app()) as http:
        yield Portal(office, agent, http, tokens)
    office.store.close()


def test_a_person_reads_the_figures_and_confirms_the_digest_they_saw(portal: Portal) -> None:
    seen = portal.get("An").json()
    assert {name: seen[name] for name in ("facility", "period", "state", "changes", "smaller", "signatures")} == {
        "facility": "12001",
        "period": MONTH,
        "state": "open",
        "changes": [],
        "smaller": [],
        "signatures": [],
    }
    assert seen["due"] == confirm.due(MONTH, 5).isoformat()
    assert seen["overdue"] == (now() > confirm.due(MONTH, 5))
    # as the catalogue orders them
    assert [one["indicator"] for one in seen["figures"]] == ["kiosk", "cashless"]
    cashless = seen["figures"][1]
    assert (cashless["percent"], cashless["numerator"], cashless["denominator"]) == (
        "50.0",
        5 * len(DAYS),
        10 * len(DAYS),
    )
    answer = portal.post("An", digest=seen["digest"])
    assert (answer.status_code, answer.json()["state"]) == (200, "confirmed")
    ((one,), again) = answer.json()["signatures"], portal.post("An", digest=seen["digest"])
    assert (one["person"], one["decision"], one["digest"], one["reasons"]) == ("An", "confirmed", seen["digest"], {})
    assert again.json() == answer.json() == portal.get("Sở").json()


def test_a_correction_is_shown_before_and_after(portal: Portal) -> None:
    portal.post("An", digest=portal.get("An").json()["digest"])
    portal.office.push(portal.agent, [a_tally(DAYS.first, 2, {"cash": 5, "qr": 5, "unknown": 1})], at=NOW)
    small = portal.get("An").json()
    assert (small["state"], small["changes"], small["smaller"][0]["what"]) == ("confirmed", [], ["counts"])
    portal.office.push(portal.agent, [a_tally(day, 3, {"cash": 50}) for day in DAYS], at=NOW)
    found = portal.get("An").json()
    assert (found["state"], found["smaller"]) == ("reopened", [])
    (one,) = found["changes"]
    assert (one["indicator"], one["before"]["percent"], one["after"]["percent"]) == ("cashless", "50.0", "0.0")
    assert one["sentence"].startswith("50,0 %")


def test_a_dispute_carries_its_reasons(portal: Portal) -> None:
    digest = portal.get("An").json()["digest"]
    nothing = portal.post("An", digest=digest, decision="dispute")
    assert (nothing.status_code, nothing.json()["error"]) == (400, "BadRequestError")
    answer = portal.post("An", digest=digest, decision="dispute", reasons={"cashless": "Thiếu quầy số 3"})
    assert (answer.json()["state"], answer.json()["overdue"]) == ("disputed", False)
    assert answer.json()["signatures"][0]["reasons"] == {"cashless": "Thiếu quầy số 3"}


def test_what_was_not_seen_and_what_is_locked_is_409(portal: Portal) -> None:
    other = portal.post("An", digest="sha256:0")
    assert (other.status_code, other.json()["error"]) == (409, "ConflictError")
    digest = portal.get("An").json()["digest"]
    assert portal.post("An", digest=digest).status_code == 200
    assert portal.post("An", digest=digest, decision="dispute", reasons={"kiosk": "x"}).status_code == 409


@pytest.mark.parametrize(
    ("who", "read", "written"),
    [("An", 200, 200), ("Kế", 200, 403), ("Lạ", 404, 404), ("Sở", 200, 403), ("Đọc", 200, 403)],
)
def test_every_role_gets_what_is_its_own(portal: Portal, who: str, read: int, written: int) -> None:
    digest = portal.get("An").json()["digest"]
    assert portal.get(who).status_code == read
    assert portal.post(who, digest=digest).status_code == written
    assert len(portal.get("An").json()["signatures"]) == (written == 200)


def test_another_facility_looks_like_none(portal: Portal) -> None:
    known, unknown = portal.get("An", facility="12002"), portal.get("An", facility="99999")
    assert (known.status_code, known.content) == (404, unknown.content)
    assert portal.get("Sở", facility="99999").status_code == 404


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"period": f"{NOW:%Y-%m}"}, 400),
        ({"period": "2026-13"}, 400),
        ({"period": "2026-10-01"}, 422),
        ({"facility": "a b"}, 422),
        ({"facility": "\x00"}, 422),
    ],
)
def test_what_is_no_month_or_no_facility_is_refused(portal: Portal, params: dict[str, str], status: int) -> None:
    assert portal.get("Sở", **params).status_code == status


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"facility": "12001"}', b'{"facility": "12001", "reasons": {"cashless": "\\ud800"}}']
)
def test_a_body_of_another_shape_is_422_and_not_repeated(portal: Portal, body: bytes) -> None:
    answer = portal.http.post("/api/v1/confirmations", content=body, headers=bearer(portal.tokens["An"]))
    assert (answer.status_code, answer.json()["error"]) == (422, "MalformedError")


def test_a_decision_of_another_name_or_shape_is_422(portal: Portal) -> None:
    for wrong in ({"decision": "approve"}, {"digest": 5}, {"reasons": {"cashless": ["x"]}}, {"extra": 1}):
        answer = portal.post("An", **{"digest": "d", **wrong})
        assert answer.status_code == 422
        assert "approve" not in answer.text


def test_without_a_token_nothing_is_shown_or_taken(portal: Portal) -> None:
    assert portal.http.get("/api/v1/confirmations", params={"facility": "12001", "period": MONTH}).status_code == 401
    assert portal.http.post("/api/v1/confirmations", json={}).status_code == 401
