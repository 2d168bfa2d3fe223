"""The Push API, rule by rule (contract.md, "Push API"; architecture.md, "Keys, owners, revisions")."""

import itertools
import json
import random
import threading
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector import ingest
from collector.access import Speaker
from collector.ingest import Sent
from collector.store.tables import tally_log
from contract.errors import UnauthorisedError
from contract.tally import Ack, Push
from tests.office import CATALOGUE, NOON, TODAY, YESTERDAY, Office, a_push, a_source, a_tally


@pytest.fixture
def his(office: Office) -> Speaker:
    return office.speaker("12001")


def code_of(ack: Ack) -> str:
    """The one refusal."""
    assert (ack.accepted, ack.stale, len(ack.refused)) == (0, [], 1)
    return ack.refused[0].code


def stored_counts(office: Office) -> dict[date, tuple[int, str]]:
    return {day: (row.revision, row.counts) for (_, _, day), row in office.stored().items()}


def test_an_accepted_tally_is_what_is_stored(office: Office, his: Speaker) -> None:
    ack = office.push(his, [a_tally(YESTERDAY, 4, {"qr": 7, "cash": 2, "card": 0})])
    assert (ack.accepted, ack.stale, ack.refused) == (1, [], [])
    assert ack.store_id == office.store.store_id()
    assert ack.catalogue == CATALOGUE.digest
    assert ack.server_time == NOON
    assert stored_counts(office) == {YESTERDAY: (4, '{"cash":2,"qr":7}')}


def test_an_empty_day_is_stored_like_any_other(office: Office, his: Speaker) -> None:
    assert office.push(his, [a_tally(counts={}), a_tally(TODAY, counts={"cash": 0})]).accepted == 2
    assert stored_counts(office) == {YESTERDAY: (1, "{}"), TODAY: (1, "{}")}


def test_the_facility_may_be_left_out_when_the_token_speaks_for_one(office: Office, his: Speaker) -> None:
    sent = a_tally()
    del sent["facility"]
    assert office.push(his, [sent]).accepted == 1
    assert [facility for facility, _, _ in office.stored()] == ["12001"]


def test_the_facility_may_not_be_left_out_when_the_token_speaks_for_two(office: Office) -> None:
    sent = a_tally()
    del sent["facility"]
    assert code_of(office.push(office.speaker("12001", "12002"), [sent])) == "malformed"


def test_a_newer_revision_replaces_the_older_whole(office: Office, his: Speaker) -> None:
    office.push(his, [a_tally(revision=1, counts={"cash": 3, "qr": 1})])
    assert office.push(his, [a_tally(revision=2, counts={"card": 5})]).accepted == 1
    assert stored_counts(office) == {YESTERDAY: (2, '{"card":5}')}


@pytest.mark.parametrize("revision", [5, 4, 1])
def test_the_same_counts_again_are_simply_accepted(office: Office, his: Speaker, revision: int) -> None:
    office.push(his, [a_tally(revision=5)])
    ack = office.push(his, [a_tally(revision=revision, counts={"qr": 1, "cash": 3, "wallet": 0})])
    assert (ack.accepted, ack.stale, ack.refused) == (1, [], [])
    assert stored_counts(office) == {YESTERDAY: (5, '{"cash":3,"qr":1}')}


@pytest.mark.parametrize("revision", [5, 4, 1])
def test_other_counts_that_are_not_newer_are_stale_with_the_stored_revision(
    office: Office, his: Speaker, revision: int
) -> None:
    office.push(his, [a_tally(revision=5)])
    ack = office.push(his, [a_tally(TODAY), a_tally(revision=revision, counts={})])
    assert ack.accepted == 1
    assert [(one.index, one.revision) for one in ack.stale] == [(1, 5)]
    assert stored_counts(office)[YESTERDAY] == (5, '{"cash":3,"qr":1}')


def test_one_bad_tally_blocks_no_other_and_is_named_by_its_index(office: Office, his: Speaker) -> None:
    sent: list[Any] = [a_tally(), a_tally(measure="smiles"), a_tally(TODAY), a_tally(TODAY + timedelta(days=2)), "text"]
    ack = office.push(his, sent)
    assert ack.accepted == 2
    assert [(one.index, one.code) for one in ack.refused] == [(1, "unknown_measure"), (3, "bad_day"), (4, "malformed")]
    assert all(one.reason for one in ack.refused)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"measure": "smiles"}, "unknown_measure"),
    ({"measure": "payments\x00"}, "unknown_measure"),
    ({"counts": {"gold": 1}}, "unknown_category"),
    ({"counts": {"Cash": 1}}, "unknown_category"),
    ({"counts": {"cash": -1}}, "bad_count"),
    ({"counts": {"cash": 10**15 + 1}}, "bad_count"),
    ({"counts": {"cash": 10**100}}, "bad_count"),
    ({"counts": {"cash": 1.0}}, "bad_count"),
    ({"counts": {"cash": float("nan")}}, "bad_count"),
    ({"counts": {"cash": float("inf")}}, "bad_count"),
    ({"counts": {"cash": True}}, "bad_count"),
    ({"counts": {"cash": "1"}}, "bad_count"),
    ({"counts": {"cash": None}}, "bad_count"),
    ({"counts": {"cash": {"cash": 1}}}, "bad_count"),
    ({"day": "2019-12-31"}, "bad_day"),
    ({"day": "2026-11-22"}, "bad_day"),
    ({"day": "2026-02-29"}, "bad_day"),
    ({"day": "20261119"}, "bad_day"),
    ({"day": "2026-11-19T00:00:00"}, "bad_day"),
    ({"day": "٢٠٢٦-١١-١٩"}, "bad_day"),
    ({"revision": 0}, "bad_revision"),
    ({"revision": -1}, "bad_revision"),
    ({"revision": 1.0}, "bad_revision"),
    ({"revision": True}, "bad_revision"),
    ({"revision": "1"}, "bad_revision"),
    ({"revision": None}, "bad_revision"),
    ({"revision": 2**63}, "bad_revision"),
    ({"facility": "12002"}, "not_yours"),
    ({"facility": "' OR 1=1 --"}, "not_yours"),
    ({"facility": 12001}, "malformed"),
    ({"facility": None}, "malformed"),
    ({"source": "hai từ"}, "malformed"),
    ({"source": ""}, "malformed"),
    ({"source": "x" * 65}, "malformed"),
    ({"source": None}, "malformed"),
    ({"measure": 7}, "malformed"),
    ({"day": 20261119}, "malformed"),
    ({"counts": "none"}, "malformed"),
    ({"counts": [["cash", 1]]}, "malformed"),
    ({"revision": 2**53 + 1}, "bad_revision"),
]


def test_what_is_wrong_inside_a_tally_refuses_that_one_with_a_stable_code(office: Office, his: Speaker) -> None:
    office.register("12002")
    ack = office.push(his, [a_tally() | wrong for wrong, _ in WRONG])
    codes = {one.index: one.code for one in ack.refused}
    assert [(wrong, codes.get(index)) for index, (wrong, _) in enumerate(WRONG)] == WRONG
    assert (ack.accepted, ack.stale, office.stored()) == (0, [], {})


def test_a_tally_without_one_of_its_keys_is_refused(office: Office, his: Speaker) -> None:
    keys = ("source", "measure", "day", "counts", "revision")
    ack = office.push(his, [{key: value for key, value in a_tally().items() if key != missing} for missing in keys])
    assert [one.code for one in ack.refused] == ["malformed"] * 4 + ["bad_revision"]


def test_a_tally_that_is_no_object_is_refused(office: Office, his: Speaker) -> None:
    ack = office.push(his, [None, 7, "text", [], [1], True])
    assert [one.code for one in ack.refused] == ["malformed"] * 6


def test_a_day_may_be_the_first_of_2020_or_tomorrow_and_a_count_ten_to_the_fifteenth(
    office: Office, his: Speaker
) -> None:
    sent = [a_tally("2020-01-01"), a_tally(TODAY + timedelta(days=1), counts={"cash": 10**15}), a_tally("2024-02-29")]
    assert office.push(his, sent).accepted == 3


def test_today_is_that_of_ho_chi_minh_city_while_london_sleeps(office: Office, his: Speaker) -> None:
    half_past_midnight = NOON.replace(hour=0, minute=30)  # still the 19th in UTC
    assert office.push(his, [a_tally(TODAY + timedelta(days=1))], at=half_past_midnight).accepted == 1
    assert code_of(office.push(his, [a_tally(TODAY + timedelta(days=2))], at=half_past_midnight)) == "bad_day"


def test_a_refusal_repeats_nothing_of_what_was_sent(office: Office, his: Speaker) -> None:
    secret = "Nguyen Van An 0123456789"
    keys = ("facility", "source", "measure", "day", "revision", "counts")
    sent: list[Any] = [a_tally(**{key: secret}) for key in keys]
    sent += [a_tally(counts={secret: 1}), a_tally(counts={"cash": secret}), secret]
    ack = office.push(his, sent)
    assert len(ack.refused) == len(sent)
    assert secret not in ack.model_dump_json()


def test_an_agent_id_that_is_not_the_tokens_is_401(office: Office, his: Speaker) -> None:
    body = Push.model_validate(a_push("somebody", [a_tally()]))
    with pytest.raises(UnauthorisedError):
        ingest.take(office.store, his, body, CATALOGUE, NOON)
    assert office.stored() == {}


def test_the_same_key_twice_in_one_batch_ends_with_the_higher_revision(office: Office, his: Speaker) -> None:
    ack = office.push(his, [a_tally(revision=2, counts={"qr": 2}), a_tally(revision=1, counts={"qr": 1})])
    assert (ack.accepted, [(one.index, one.revision) for one in ack.stale]) == (1, [(1, 2)])
    ack = office.push(his, [a_tally(revision=3, counts={"qr": 3}), a_tally(revision=4, counts={"qr": 4})])
    assert (ack.accepted, ack.stale) == (2, [])
    assert stored_counts(office) == {YESTERDAY: (4, '{"qr":4}')}


def test_the_same_batch_twice_changes_nothing(office: Office, his: Speaker) -> None:
    batch = [a_tally(YESTERDAY - timedelta(days=n), counts={"cash": n}) for n in range(20)]
    first, before = office.push(his, batch), office.stored()
    second = office.push(his, batch)
    assert (first.accepted, second.accepted, second.stale, second.refused) == (20, 20, [], [])
    assert office.stored() == before


def test_a_reinstalled_agent_that_starts_again_at_revision_one_hears_what_is_stored(
    office: Office, his: Speaker
) -> None:
    office.push(his, [a_tally(revision=9, counts={"qr": 5})])
    ack = office.push(his, [a_tally(revision=1, counts={"qr": 6})])
    assert [(one.index, one.revision) for one in ack.stale] == [(0, 9)]
    assert office.push(his, [a_tally(revision=10, counts={"qr": 6})]).accepted == 1


def test_a_clock_that_is_two_years_off_is_shown_and_does_no_harm(office: Office, his: Speaker) -> None:
    assert office.push(his, [a_tally()], sent_at="2028-11-20T12:00:00+07:00").accepted == 1
    two_years = (NOON.replace(year=2028) - NOON).total_seconds()
    assert f'nhipso_agent_clock_skew_seconds{{agent="{his.agent}"}} {two_years}' in office.metrics()


def log_of(office: Office) -> list[tuple[date, int, str]]:
    with office.store.read() as connection:
        rows = connection.execute(sa.select(tally_log).order_by(tally_log.c.id)).mappings().all()
        assert all(row["received_at"] <= row["replaced_at"] for row in rows)
    return [(row["day"], row["revision"], row["counts"]) for row in rows]


def test_the_log_keeps_what_a_correction_replaced_and_is_only_ever_added_to(office: Office, his: Speaker) -> None:
    office.push(his, [a_tally(revision=1, counts={"cash": 1})])
    assert log_of(office) == []
    office.push(his, [a_tally(revision=2, counts={"cash": 2}), a_tally(TODAY, counts={})])
    office.push(his, [a_tally(revision=3, counts={"cash": 2})])  # nothing changed but the number
    office.push(his, [a_tally(revision=2, counts={"cash": 9})])  # stale
    assert log_of(office) == [(YESTERDAY, 1, '{"cash":1}')]
    office.push(his, [a_tally(revision=4, counts={}), a_tally(TODAY, 2, {"qr": 1})])
    assert log_of(office) == [(YESTERDAY, 1, '{"cash":1}'), (YESTERDAY, 3, '{"cash":2}')]


def test_what_was_said_of_a_day_while_it_ran_is_not_logged_and_from_its_end_on_everything_is(
    office: Office, his: Speaker
) -> None:
    evening, morning = NOON.replace(hour=23, minute=59), NOON.replace(day=21, hour=0, minute=0)
    for revision, at in enumerate((NOON, evening, morning, morning + timedelta(hours=1)), 1):
        office.push(his, [a_tally(TODAY, revision, {"qr": revision})], at=at)
    assert log_of(office) == [(TODAY, 3, '{"qr":3}')]


def test_the_same_batches_from_two_threads_in_any_order_end_with_the_newest(office: Office, his: Speaker) -> None:
    batches = [
        [a_tally(YESTERDAY - timedelta(days=day), revision, {"cash": revision}) for day in range(30)]
        for revision in range(1, 9)
    ]
    problems: list[Exception] = []

    def send(seed: int) -> None:
        mine = batches.copy()
        random.Random(seed).shuffle(mine)
        try:
            for batch in mine:
                office.push(his, batch)
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=send, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert {one.revision for one in office.stored().values()} == {8}
    assert {one.counts for one in office.stored().values()} == {'{"cash":8}'}


def test_two_agents_that_push_for_the_same_facilities_at_once_do_not_block_each_other_for_ever(office: Office) -> None:
    ids = [f"13{number:03}" for number in range(12)]
    agents = [office.speaker(*ids) for _ in range(2)]
    problems: list[Exception] = []

    def send(number: int) -> None:
        name, part = f"his{number}", f"part{number}"
        mine = random.Random(number).sample(ids, len(ids))
        source = a_source(name, part=part, facilities=mine)
        try:
            for revision in range(1, 8):
                batch = [a_tally(facility=one, source=name, revision=revision) for one in mine]
                assert office.push(agents[number], batch, [source]).accepted == len(ids)
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert {one.revision for one in office.stored().values()} == {7}
    assert len(office.stored()) == 24


NUMBERS = itertools.count()
Pushes = st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 6)), max_size=6), max_size=8)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pushes=Pushes)
def test_any_order_of_pushes_ends_with_the_highest_revision(
    office: Office, pushes: list[list[tuple[int, int]]]
) -> None:
    """A source that says the same at the same revision, through any retries, losses and reorderings."""
    agent = office.speaker(f"h{next(NUMBERS)}")
    (facility,) = agent.facilities
    source = a_source(facilities=[facility])
    highest: dict[date, int] = {}
    for batch in pushes:
        sent = [
            a_tally(TODAY - timedelta(days=day), revision, {"qr": revision}, facility=facility)
            for day, revision in batch
        ]
        known = dict(highest)
        ack = office.push(agent, sent, [source])
        stale = {one.index: one.revision for one in ack.stale}
        for index, (day, revision) in enumerate(batch):
            here = TODAY - timedelta(days=day)
            assert (index in stale) == (revision < known.get(here, 0))
            known[here] = highest[here] = max(revision, known.get(here, 0))
        assert ack.accepted == len(sent) - len(stale)
    stored = {day: row for (where, _, day), row in office.stored().items() if where == facility}
    assert {day: row.revision for day, row in stored.items()} == highest
    assert {day: row.counts for day, row in stored.items()} == {day: f'{{"qr":{n}}}' for day, n in highest.items()}


def test_a_mad_agent_cannot_fill_prometheus_with_series(office: Office, his: Speaker) -> None:
    for turn in range(3):
        sources = [a_source(f"s{turn}_{number}", measures=["payments", "gold"]) for number in range(80)]
        office.push(his, [a_tally(source=f"t{turn}_{number}") for number in range(80)], sources)
    unmapped = {"12001": {f"m{number}": 5 for number in range(1000)} | {"payments": 7}}
    office.push(his, [], [a_source("s0_0", unmapped_cases=unmapped)])
    lines = office.metrics().splitlines()
    assert sum(line.startswith("nhipso_source_up{") for line in lines) <= 100
    assert [line for line in lines if line.startswith("nhipso_source_unmapped{")] == [
        'nhipso_source_unmapped{facility="12001",source="s0_0",measure="payments"} 7'
    ]


def test_unmapped_values_are_kept_at_most_twenty_a_measure_the_most_frequent_first(
    office: Office, his: Speaker
) -> None:
    values = {f"V{number}": number for number in range(50)}
    office.push(his, [], [a_source(unmapped={"12001": {"payments": values, "gold": values}, "12002": {}})])
    kept = json.loads(office.source().unmapped)
    assert set(kept) == {"payments"}
    assert set(kept["payments"]) == {f"V{number}" for number in range(30, 50)}


def test_a_push_exactly_as_the_contract_writes_it_shows_its_unmapped_cases(office: Office, his: Speaker) -> None:
    office.push(his, [], [a_source(unmapped={"12001": {"payments": {"VI_MOI": 12, "KHAC": 3}}})])
    assert 'nhipso_source_unmapped{facility="12001",source="his",measure="payments"} 15' in office.metrics()


def statements(office: Office, agent: Speaker, batch: list[Any], sources: list[Any]) -> int:
    """How many a push takes."""
    seen = []
    listener = lambda *arguments: seen.append(arguments[2])  # noqa: E731
    sa.event.listen(office.store.engine, "before_cursor_execute", listener)
    assert office.push(agent, batch, sources).accepted == len(batch)
    sa.event.remove(office.store.engine, "before_cursor_execute", listener)
    return len(seen)


def test_a_long_batch_of_one_source_takes_no_statement_for_each_tally(office: Office, his: Speaker) -> None:
    for revision in (1, 2):
        batch = [a_tally(TODAY - timedelta(days=n), revision, {"cash": revision}) for n in range(2400)]
        assert statements(office, his, batch, [a_source()]) < 40


def test_a_day_of_many_stations_takes_no_statement_for_each_tally(office: Office) -> None:
    ids = [f"x{number}" for number in range(60)]
    agent, measures = office.speaker(*ids), list(CATALOGUE.measures)[:10]
    source = a_source(facilities=ids, measures=measures)
    office.push(agent, [], [source])
    for revision in (1, 2):
        batch = [
            a_tally(TODAY, revision, {"unknown": revision}, facility=one, measure=m) for one in ids for m in measures
        ]
        assert statements(office, agent, batch, [source]) < 60


def sent(speaker: Speaker, tallies: list[Any], sources: list[Any] | None = None) -> Sent:
    return Sent(speaker, Push.model_validate(a_push(speaker.agent, tallies, sources)), NOON)


def test_of_batches_that_come_together_each_is_judged_after_those_before_it(office: Office, his: Speaker) -> None:
    several = [
        sent(his, [a_tally(revision=2, counts={"qr": 2})]),
        sent(his, [a_tally(revision=1, counts={"qr": 1}), a_tally(TODAY)]),
        sent(his, [a_tally(revision=3, counts={"qr": 3}), a_tally(measure="smiles")]),
    ]
    first, second, third = ingest.take_all(office.store, several, CATALOGUE)
    assert isinstance(first, Ack) and isinstance(second, Ack) and isinstance(third, Ack)
    assert (first.accepted, second.accepted, third.accepted) == (1, 1, 1)
    assert [(one.index, one.revision) for one in second.stale] == [(0, 2)]
    assert [(one.index, one.code) for one in third.refused] == [(1, "unknown_measure")]
    assert stored_counts(office) == {YESTERDAY: (3, '{"qr":3}'), TODAY: (1, '{"cash":3,"qr":1}')}


def test_of_two_agents_that_come_together_the_first_owns_what_both_count(office: Office, his: Speaker) -> None:
    other = office.speaker("12001")
    roster = [a_source("cashdesk")]
    several = [sent(his, [a_tally()]), sent(other, [a_tally(source="cashdesk")], roster)]
    mine, theirs = ingest.take_all(office.store, several, CATALOGUE)
    assert isinstance(mine, Ack) and mine.accepted == 1
    assert isinstance(theirs, Ack) and code_of(theirs) == "not_owner"
    assert {name for _, name, _ in office.stored()} == {"his"}


def test_a_batch_that_cannot_be_taken_takes_no_other_with_it(office: Office, his: Speaker) -> None:
    nobody = Speaker("nobody", frozenset({"nowhere"}))
    stolen = Sent(his, Push.model_validate(a_push("somebody", [a_tally(revision=9)])), NOON)
    several = [sent(his, [a_tally()]), sent(nobody, [a_tally(facility="nowhere")]), stolen, sent(his, [a_tally(TODAY)])]
    first, unknown, wrong, last = ingest.take_all(office.store, several, CATALOGUE)
    assert isinstance(first, Ack) and isinstance(last, Ack)
    assert (first.accepted, last.accepted) == (1, 1)
    assert isinstance(unknown, Exception) and isinstance(wrong, UnauthorisedError)
    assert {day: revision for day, (revision, _) in stored_counts(office).items()} == {YESTERDAY: 1, TODAY: 1}


def test_a_measure_given_up_just_after_it_was_told_is_free_from_the_day_told_last(office: Office, his: Speaker) -> None:
    told = [a_tally(YESTERDAY - timedelta(days=1)), a_tally(YESTERDAY)]
    several = [sent(his, told), sent(his, [], [a_source(measures=[])])]
    assert all(isinstance(one, Ack) for one in ingest.take_all(office.store, several, CATALOGUE))
    other = [a_source("cashdesk")]
    ack = office.push(his, [a_tally(day, source="cashdesk") for day in (YESTERDAY, TODAY)], other)
    assert (ack.accepted, ack.refused) == (2, [])
    assert code_of(office.push(his, [a_tally(YESTERDAY - timedelta(days=1), source="cashdesk")], other)) == "not_owner"


def test_a_source_that_is_left_out_and_named_again_at_once_is_as_before(office: Office, his: Speaker) -> None:
    roster = [a_source(), a_source("emr", measures=["records"])]
    office.push(his, [], roster)
    several = [sent(his, [], roster[:1]), sent(his, [], roster[1:]), sent(his, [a_tally()], roster)]
    assert all(isinstance(one, Ack) for one in ingest.take_all(office.store, several, CATALOGUE))
    assert (office.source().in_roster, office.source(name="emr").in_roster) == (True, True)
    assert stored_counts(office) == {YESTERDAY: (1, '{"cash":3,"qr":1}')}


def test_batches_that_come_together_take_no_statement_for_each(office: Office) -> None:
    speakers = [office.speaker(f"y{number}") for number in range(12)]

    def come(revision: int) -> None:
        several = [
            sent(
                one,
                [a_tally(facility=place, revision=revision)],
                [a_source(facilities=[place], read_at=f"2026-11-20T0{revision}:00:00+07:00")],
            )
            for one in speakers
            for place in one.facilities
        ]
        assert all(
            isinstance(one, Ack) and one.accepted == 1 for one in ingest.take_all(office.store, several, CATALOGUE)
        )

    come(1)
    seen: list[str] = []
    sa.event.listen(office.store.engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
    come(2)
    assert len(seen) < 30


def read_and_since(office: Office, read: str | None, since: str | None, sent: str) -> tuple[Any, Any]:
    """What is stored of a source that says these moments, sent when the agent's clock said `sent`."""
    office.push(office.speaker("12001"), [], [a_source(read_at=read, since=since, ok=since is None)], sent_at=sent)
    return office.source().read_at, office.source().since


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    "clock",
    [NOON + timedelta(seconds=30), NOON + 9 * HOUR, NOON - 9 * HOUR, NOON.replace(year=2003), NOON.replace(year=2090)],
    ids=["seconds ahead", "hours ahead", "hours behind", "years behind", "years ahead"],
)
def test_moments_of_a_source_are_told_by_our_clock(office: Office, clock: datetime) -> None:
    read, since = (clock - 2 * HOUR).isoformat(), (clock - HOUR).isoformat()
    found = read_and_since(office, read, since, clock.isoformat())
    # clocks never agree to the second, and a push takes a while
    assert [
        abs(one - then) < timedelta(minutes=1) for one, then in zip(found, (NOON - 2 * HOUR, NOON - HOUR), strict=True)
    ] == [
        True,
        True,
    ]


def test_a_clock_that_is_right_to_the_minute_is_believed(office: Office) -> None:
    read = (NOON - HOUR).isoformat()
    assert read_and_since(office, read, None, (NOON + timedelta(seconds=59)).isoformat()) == (NOON - HOUR, None)


@pytest.mark.parametrize("sent", ["0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00"])
@pytest.mark.parametrize(
    "read", ["1970-01-02T00:00:00+00:00", "2026-11-20T11:59:00+07:00", "8999-12-31T00:00:00+00:00"]
)
def test_absurd_clocks_harm_nothing_and_put_no_read_into_the_future(office: Office, sent: str, read: str) -> None:
    found, since = read_and_since(office, read, read, sent)
    assert found is None or found <= NOON
    assert since is None or since <= NOON
    assert office.metrics()


def test_a_time_zone_is_no_wrong_clock(office: Office) -> None:
    sent = NOON.astimezone(UTC).isoformat()
    assert read_and_since(office, "2026-11-20T03:00:00+00:00", None, sent) == (NOON - 2 * HOUR, None)


def failing(office: Office, his: Speaker, at: datetime, failed: list[str], since: datetime | None) -> dict[str, Any]:
    both = ["payments", "records"]
    said: dict[str, Any] = {"ok": not failed, "failed": failed, "since": since and since.isoformat(), "measures": both}
    office.push(his, [], [a_source(read_at=at.isoformat(), **said)], at=at, sent_at=at.isoformat())
    return office.source().failing


def test_of_each_measure_that_fails_it_is_kept_when_it_was_last_read(office: Office, his: Speaker) -> None:
    moments = [NOON + n * HOUR for n in range(5)]
    assert failing(office, his, moments[0], ["records"], moments[0] - HOUR) == {"records": moments[0] - HOUR}
    both = {"records": moments[0] - HOUR, "payments": moments[0]}
    assert failing(office, his, moments[1], ["payments", "records"], moments[0] - HOUR) == both
    assert failing(office, his, moments[2], ["payments", "records"], moments[0] - HOUR) == both
    assert failing(office, his, moments[3], ["payments"], moments[0] - HOUR) == {"payments": moments[0]}
    assert failing(office, his, moments[4], [], None) == {}
