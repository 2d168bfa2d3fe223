"""An old agent before a new collector, a new agent before an old one: what they say is understood by the other.

The bodies of versions that were released are kept (tests/fixtures/wire); versions still to come are made by adding to
every object what nobody knows yet.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from agent.pusher import known_catalogue
from agent.test_push import Bench
from contract import __version__, catalogue
from contract.tally import Ack, MonthDigest
from tests.faulty_collector import FaultyCollector
from tests.hospital import Hospital
from tests.office import TODAY, Office, bearer, serving
from tests.upgrades.record import WIRE

VERSIONS = sorted(one.name for one in WIRE.iterdir())
OPTIONAL = {
    *("waiting", "parked", "role", "part", "cadence", "from", "read_at", "newest_day", "since", "error", "failed"),
    *("unmapped", "unmapped_cases"),
}


@pytest.fixture(params=VERSIONS)
def said(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What agent and collector of a version said: push, ack, catalogue, digests."""
    return {one.stem: json.loads(one.read_bytes()) for one in (WIRE / request.param).iterdir()}


def of_the_future(body: Any) -> Any:
    """The same with something unknown in every object that has fields (tables keyed by ids or codes have none)."""
    if isinstance(body, list):
        return [of_the_future(one) for one in body]
    if not isinstance(body, dict):
        return body
    tables = {"counts", "newest_day", "unmapped", "unmapped_cases"}
    more = {name: value if name in tables else of_the_future(value) for name, value in body.items()}
    return {**more, "mới_của_bản_sau": {"x": [1]}}


def without_what_may_be_left_out(push: dict[str, Any]) -> dict[str, Any]:
    """As an agent would say it that knows of nothing optional."""
    agent = {name: value for name, value in push["agent"].items() if name not in OPTIONAL}
    sources = [{name: value for name, value in one.items() if name not in OPTIONAL} for one in push["sources"]]
    tallies = [{name: value for name, value in one.items() if name != "facility"} for one in push["tallies"]]
    return {"agent": agent, "sources": sources, "tallies": tallies}


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    one = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    yield one
    one.store.close()


def pushed(office: Office, body: dict[str, Any]) -> httpx.Response:
    """The answer of the collector as it is now, over HTTP."""
    token = office.enrol("12001")
    body["agent"] = {**body["agent"], "id": token.partition(".")[0]}
    with serving(office.app()) as client:
        return client.post("/api/v1/tallies", json=body, headers=bearer(token))


def test_this_version_or_the_one_it_was_made_from_has_been_recorded() -> None:
    assert VERSIONS
    assert max(VERSIONS, key=lambda one: tuple(map(int, one.split(".")))) <= __version__


@pytest.mark.parametrize("change", [dict, of_the_future, without_what_may_be_left_out])
def test_what_an_older_or_newer_agent_sends_is_taken_whole(office: Office, said: dict[str, Any], change: Any) -> None:
    answer = pushed(office, change(said["push"]))
    assert answer.status_code == 200, answer.text
    assert (answer.json()["accepted"], answer.json()["refused"]) == (len(said["push"]["tallies"]), [])
    for measure in {one["measure"] for one in said["push"]["tallies"]}:
        sent = {one["day"]: one["counts"] for one in said["push"]["tallies"] if one["measure"] == measure}
        stored = {str(day): row.by_category for (_, _, day), row in office.stored(measure).items()}
        assert stored == {day: {code: n for code, n in counts.items() if n} for day, counts in sent.items()}


def test_the_ack_still_has_everything_that_older_agents_look_for(office: Office, said: dict[str, Any]) -> None:
    now = pushed(office, said["push"]).json()
    assert {name: type(now[name]) for name in said["ack"]} == {name: type(one) for name, one in said["ack"].items()}


def test_a_value_of_the_future_is_named_and_nothing_of_that_push_is_stored(
    office: Office, said: dict[str, Any]
) -> None:
    """Why the collector is upgraded before its agents."""
    said["push"]["sources"][0]["cadence"] = "hourly"
    answer = pushed(office, said["push"])
    assert answer.status_code == 422
    assert "cadence" in answer.json()["detail"]
    assert office.stored(said["push"]["tallies"][0]["measure"]) == {}


def test_an_agent_understands_the_answers_of_older_and_newer_collectors(said: dict[str, Any]) -> None:
    for change in (dict, of_the_future):
        assert Ack.model_validate_json(json.dumps(change(said["ack"]))) == Ack.model_validate(said["ack"])
        months = [MonthDigest.model_validate_json(json.dumps(change(one))) for one in said["digests"]["months"]]
        assert months == [MonthDigest.model_validate(one) for one in said["digests"]["months"]]
    bare = {name: value for name, value in said["ack"].items() if name not in ("stale", "refused")}
    assert Ack.model_validate(bare).accepted == said["ack"]["accepted"]


def test_an_agent_understands_the_catalogue_of_an_older_collector(said: dict[str, Any]) -> None:
    assert catalogue.received(said["catalogue"]).measures.keys() == said["catalogue"]["measures"].keys()


class NewerCollector(FaultyCollector):
    """One that says more than this version knows."""

    def __init__(self) -> None:
        super().__init__()
        content = self.catalogue.model_dump(mode="json")
        for entries in content.values():
            for one in entries.values():
                one["mới"] = 1
        content["measures"]["checkins"]["categories"]["palm"] = {"vi": "Vân tay", "en": "Palm", "mới": 1}
        content["mới"] = {}
        newer = SimpleNamespace(digest="sha512:mới", model_dump=lambda mode: content)
        self.catalogue = cast(Any, newer)

    def take(self, push: dict[str, Any]) -> dict[str, Any]:
        return cast(dict[str, Any], of_the_future(super().take(push)))

    def months(self, first: str, last: str) -> list[dict[str, str]]:
        return [{**one, "mới": "x"} for one in super().months(first, last)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with NewerCollector() as collector:
        one = Bench(Hospital(tmp_path, collector=collector.url), collector)
        yield one
        one.close()


def test_an_agent_goes_on_before_a_newer_collector_and_uses_what_it_understands_of_its_catalogue(bench: Bench) -> None:
    bench.read(TODAY, palm=2)
    for _ in range(3):
        bench.push()
    bench.pusher.reconcile(TODAY)
    assert bench.ledger.size() == (0, 0), "a month that is the same is offered again"
    assert bench.collector.counts(TODAY) == {"palm": 2}
    assert "palm" in known_catalogue(bench.settings).measures["checkins"].codes
    asked = [path for _, path in bench.collector.asked]
    assert asked.count("/api/v1/catalogue") == 1, "the same catalogue is fetched again and again"


def test_a_refusal_for_a_reason_of_the_future_parks_that_tally_and_no_other(bench: Bench) -> None:
    bench.collector.refused = {"checkins": "moon_phase"}
    bench.read(TODAY, cccd_qr=2)
    bench.read(TODAY, "payments", cash=1)
    bench.push()
    assert bench.ledger.size() == (0, 1)
    assert bench.collector.counts(TODAY, "payments") == {"cash": 1}
