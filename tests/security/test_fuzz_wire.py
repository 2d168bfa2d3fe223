"""Answers of servers, and rows of our own ledger, after accidents: what is declared is raised, and nothing else."""

import json
import sqlite3
import tomllib
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.http import parsed, unzipped
from agent.disk import Disk
from agent.ledger import Ledger, Rule
from agent.link import Link
from agent.reader import IndexMemory, open_source
from agent.settings import load
from agent.sources import Sources
from contract import catalogue
from contract.adapter import Adapter, DayCount, SourceConfig
from contract.days import DayRange, local_day, now
from contract.errors import PushError, SourceChangedError, SourceError, StorageError
from contract.tally import MAX_REVISION, Ack, Push, Refusal, Stale
from tests.examples import EXAMPLES, LOGINS, PROVIDERS
from tests.hospital import Hospital
from tests.providers.server import Reply, Request, Served, serving
from tests.security.mutation import SCALARS, TOKENS, few, mutated, reshaped, soon

TODAY = local_day(now())
ACK = {"accepted": 1, "stale": [{"index": 0, "revision": 9}],
       "refused": [{"index": 0, "code": "bad_day", "reason": "x"}],
       "server_time": "2026-11-21T10:00:00+07:00", "store_id": "s", "catalogue": "sha256:x"}  # fmt: skip
MONTHS = {"months": [{"facility": "12001", "source": "his", "measure": "checkins", "month": "2026-11", "digest": "a"}]}
ENROLMENT = {"agent": "a1", "token": "a1.secret", "facilities": ["12001"]}
ANSWERS = [ACK, MONTHS, ENROLMENT, catalogue.load().model_dump(mode="json")]


# --- The collector's answers ------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Served]:
    with serving(lambda request: Reply()) as served:
        yield served


def test_whatever_a_collector_answers_is_an_answer_or_a_push_error(tmp_path: Path, server: Served) -> None:
    hospital = Hospital(tmp_path, collector=server.url)
    hospital.token.write_text("a1.secret")

    @few(15)
    @given(
        st.one_of(reshaped(ANSWERS), mutated([json.dumps(one).encode() for one in ANSWERS])),
        st.sampled_from([200, 200, 200, 201, 302, 400, 413, 429, 500]),
        st.sampled_from([{}, {"Retry-After": "9" * 400}, {"Retry-After": "٣"}, {"Content-Encoding": "gzip"}]),
    )
    def holds(body: bytes, status: int, headers: dict[str, str]) -> None:
        server.fault = lambda request: Reply(body, status, headers=headers)
        for ask in (
            lambda: link.enrol("x"),
            lambda: link.push(b"{}"),
            link.catalogue,
            lambda: link.digests(TODAY, TODAY),
        ):
            with suppress(PushError):
                ask()

    with closing(Link(load(hospital.config))) as link:
        holds()


NUMBERS = st.one_of(st.integers(-3, 6), st.sampled_from([2**31, 2**63 - 1, 2**63, 10**30, -(2**63) - 1]))
REVISIONS = st.one_of(st.integers(0, 6), st.sampled_from([2**31, MAX_REVISION]))  # the wire takes no other
REFUSALS = st.builds(Refusal, index=NUMBERS, code=st.sampled_from(["bad_day", "not_yours"]), reason=st.text(max_size=5))
ACKS = st.builds(
    Ack,
    accepted=NUMBERS,
    stale=st.lists(st.builds(Stale, index=NUMBERS, revision=REVISIONS), max_size=3),
    refused=st.lists(REFUSALS, max_size=3),
    server_time=st.just(now()),
    store_id=st.text(max_size=5),
    catalogue=st.just("sha256:x"),
)


@few(25)
@given(st.lists(ACKS, min_size=1, max_size=3))
def test_an_ack_that_makes_no_sense_harms_no_ledger(tmp_path_factory: pytest.TempPathFactory, acks: list[Ack]) -> None:
    disk = Disk(tmp_path_factory.mktemp("ledger") / "ledger.sqlite", now())
    with closing(disk):
        ledger = Ledger(disk)
        counts = [DayCount("12001", "checkins", TODAY - timedelta(days=back), {"manual": back}) for back in range(3)]
        ledger.record("his", counts, Rule(TODAY))
        for ack in acks:
            with suppress(StorageError):
                ledger.settle(ledger.waiting(10), ack)
        ledger.size()
        ledger.parked()
        # a fresh change is still one
        ledger.record("new", [DayCount("12001", "checkins", TODAY, {"manual": 77})], Rule(TODAY))
        assert [one for one in ledger.waiting(10) if one.key.source == "new"]


@pytest.mark.parametrize("revision", [-1, 2**53 + 1, 2**63])
def test_a_revision_that_no_ledger_could_hold_is_no_answer(revision: int) -> None:
    with pytest.raises(ValueError, match="revision"):
        Ack.model_validate({**ACK, "stale": [{"index": 0, "revision": revision}]})


@few(30)
@given(
    reshaped(
        [{"agent": {"id": "a1", "version": "1", "sent_at": "2026-11-21T10:00:00+07:00"}, "sources": [], "tallies": []}]
    )
)
def test_the_envelope_of_a_push_is_valid_or_not(body: bytes) -> None:
    with suppress(ValueError):
        Push.model_validate_json(body)


# --- The answers of sources -------------------------------------------------------------------------------------------

PROVIDED = {f"einvoice.{name}" for name in PROVIDERS}
SERVERS = [kind for kind in EXAMPLES if kind == "emr.fhir" or kind in PROVIDED]


@pytest.mark.slow
@pytest.mark.parametrize("kind", SERVERS)
def test_a_source_that_answers_anything_at_all_is_read_or_a_source_error(kind: str, tmp_path: Path) -> None:
    with EXAMPLES[kind](tmp_path) as example:
        assert example.served
        options = dict(tomllib.loads(example.toml)["sources"]["x"])
        del options["kind"]
        places = options.pop("facilities", {})
        config = SourceConfig("x", kind, example.facilities, places, None, 5, options, tmp_path)
        answered_anyhow(open_source(config, catalogue.load()), example.served)


def answered_anyhow(reader: Adapter, served: Served) -> None:
    """The server answers what its app says, after accidents."""
    accidents = st.lists(st.tuples(st.floats(0, 1), st.sampled_from(TOKENS)), max_size=2)
    span = DayRange(TODAY - timedelta(days=1), TODAY)

    @few(8)
    @given(accidents, st.sampled_from([200, 200, 200, 404, 500]), st.booleans())
    def holds(changes: list[tuple[float, bytes]], status: int, at_login: bool) -> None:
        def fault(request: Request) -> Reply | None:
            reply = served.app(request)
            if request.path in LOGINS and not at_login:
                return reply
            body = reply.body
            for place, token in changes:
                start = int(place * len(body))
                body = body[:start] + token + body[start + len(token) % 30 :]
            return Reply(body, status, reply.type, reply.headers)

        served.fault = fault
        with soon(), suppress(SourceError):
            for reading in reader.read(span, reader.measures, IndexMemory(None, "x")):
                assert all(isinstance(one, SourceError) for one in reading.failed.values())

    holds()


@few(60)
@given(st.one_of(reshaped(ANSWERS), mutated([json.dumps(ACK).encode()]), st.binary(max_size=100)))
def test_json_of_others_is_a_value_or_a_changed_source(body: bytes) -> None:
    for read in (parsed, unzipped):
        with soon(), suppress(SourceChangedError):
            read(body)


# --- Our own rows -----------------------------------------------------------------------------------------------------

CELLS = st.one_of(
    SCALARS.filter(lambda one: not isinstance(one, int) or -(2**63) <= one < 2**63),
    st.binary(max_size=8),
    st.sampled_from(["{", "[]", '{"manual": "x"}', '{"manual": -1}', '{"manual": 1e400}', "[" * 5_000, "2026-13-01"]),
)


@example(("source", "failed"), "[" * 5_000)
@few(30)
@given(
    st.sampled_from(
        [*((("tally"), one) for one in ("counts", "revision", "acked", "stored", "day", "sum", "parked", "reason")),
         *(("source", one) for one in ("ok", "read_at", "since", "failed", "strangers", "seconds")),
         ("unmapped", "cases"), ("unmapped", "value"), ("state", "value"), ("progress", "last_good_day")]
    ),
    CELLS,
)  # fmt: skip
def test_a_cell_that_we_cannot_have_written_is_a_storage_error_at_most(
    tmp_path_factory: pytest.TempPathFactory, place: tuple[str, str], cell: Any
) -> None:
    file = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    with closing(Disk(file, now())) as disk:
        ledger, sources = Ledger(disk), Sources(disk)
        ledger.record("his", [DayCount("12001", "checkins", TODAY, {"manual": 3})], Rule(TODAY))
        sources.set_identity("his", "x", None)
        disk.set_state("last_ack", now().isoformat())
    with closing(sqlite3.connect(file)) as connection, connection, suppress(sqlite3.IntegrityError):
        connection.execute("INSERT INTO unmapped VALUES ('his', '12001', 'checkins', ?, 'X', 3)", (str(TODAY),))
        connection.execute("INSERT INTO progress VALUES ('his', 'checkins', ?)", (str(TODAY),))
        connection.execute(f"UPDATE {place[0]} SET {place[1]} = ?", (cell,))
    with suppress(StorageError), closing(Disk(file, now())) as disk:
        ledger, sources = Ledger(disk), Sources(disk)
        asks = (
            lambda: ledger.waiting(10),
            lambda: ledger.digests("his"),
            lambda: ledger.newest_days("his"),
            lambda: ledger.tallies("his", DayRange(TODAY, TODAY)),
            lambda: ledger.parked(),
            lambda: sources.health("his"),
            lambda: sources.unmapped("his", TODAY),
            lambda: sources.unmapped_to_tell("his", TODAY),
            lambda: disk.state("last_ack", date.fromisoformat),
            lambda: ledger.record("his", [DayCount("12001", "checkins", TODAY, {"manual": 4})], Rule(TODAY)),
            lambda: ledger.prune(TODAY),
        )
        for ask in asks:
            with soon(), suppress(StorageError):
                ask()
