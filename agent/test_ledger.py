"""The ledger's rules: revisions, acks, stale answers, parked rows, reconcile, pruning; and that they converge."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agent.disk import Disk
from agent.ledger import KEEP_DAYS, Ledger, Rule
from contract.adapter import DayCount
from contract.days import DayRange, now
from contract.tally import Ack, Key, Refusal, Stale, Tally, digest

TODAY = date(2026, 11, 21)
OLD = TODAY - timedelta(days=60)
NORMAL = Rule(vanish_before=TODAY - timedelta(days=35))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "ledger.sqlite", now())
    yield disk
    disk.close()


@pytest.fixture
def ledger(disk: Disk) -> Ledger:
    return Ledger(disk)


def read(ledger: Ledger, day: date = TODAY, rule: Rule = NORMAL, measure: str = "checkins", **counts: int) -> None:
    ledger.record("his", [DayCount("12001", measure, day, counts)], rule)


def ack(stale: dict[int, int] | None = None, refused: dict[int, str] | None = None) -> Ack:
    return Ack(
        accepted=0,
        stale=[Stale(index=index, revision=revision) for index, revision in (stale or {}).items()],
        refused=[
            Refusal.model_validate({"index": index, "code": code, "reason": "vì vậy"})
            for index, code in (refused or {}).items()
        ],
        server_time=now(),
        store_id="s",
        catalogue="c",
    )


def delivered(ledger: Ledger, **answers: dict[int, int]) -> list[Tally]:
    """Everything that waits is sent and answered."""
    sent = ledger.waiting(1000)
    ledger.settle(sent, ack(**answers))  # type: ignore[arg-type]
    return sent


def revisions(tallies: list[Tally]) -> list[tuple[int, dict[str, int]]]:
    return [(one.revision, dict(one.counts)) for one in tallies]


def held(ledger: Ledger, day: date = TODAY) -> list[tuple[int, dict[str, int]]]:
    return revisions(ledger.tallies("his", DayRange(day, day)))


def test_a_first_read_has_revision_one_and_zeros_are_left_out(ledger: Ledger) -> None:
    read(ledger, cccd_qr=3, manual=0)
    assert revisions(ledger.waiting(10)) == [(1, {"cccd_qr": 3})]


def test_only_what_changed_gets_a_new_revision(ledger: Ledger) -> None:
    yesterday = TODAY - timedelta(days=1)
    read(ledger, cccd_qr=3, manual=1)
    read(ledger, yesterday, cccd_qr=5)
    delivered(ledger)
    read(ledger, manual=1, cccd_qr=3)
    read(ledger, yesterday, cccd_qr=6)
    assert [(one.key.day, one.revision) for one in ledger.waiting(10)] == [(yesterday, 2)]


def test_an_empty_day_is_a_tally_like_any_other(ledger: Ledger) -> None:
    read(ledger)
    assert revisions(delivered(ledger)) == [(1, {})]
    read(ledger)
    assert ledger.size() == (0, 0)


def test_today_waits_first_then_backwards(ledger: Ledger) -> None:
    days = [TODAY - timedelta(days=back) for back in (20, 0, 3, 1)]
    for day in days:
        read(ledger, day, cccd_qr=1)
    assert [one.key.day for one in ledger.waiting(3)] == sorted(days, reverse=True)[:3]


def test_an_ack_marks_the_revision_that_was_sent_not_the_current_one(ledger: Ledger) -> None:
    read(ledger, cccd_qr=1)
    sent = ledger.waiting(10)
    read(ledger, cccd_qr=2)
    ledger.settle(sent, ack())
    assert revisions(ledger.waiting(10)) == [(2, {"cccd_qr": 2})]


def test_a_late_ack_of_an_older_revision_takes_nothing_back(ledger: Ledger) -> None:
    read(ledger, cccd_qr=1)
    first = ledger.waiting(10)
    read(ledger, cccd_qr=2)
    delivered(ledger)
    ledger.settle(first, ack())
    assert ledger.size() == (0, 0)


def test_an_ack_of_what_a_damaged_row_once_held_does_not_keep_back_what_is_read_again(
    disk: Disk, ledger: Ledger
) -> None:
    for count in (1, 2, 3):
        read(ledger, cccd_qr=count)
    sent = ledger.waiting(10)
    with disk.transaction() as connection:
        connection.execute("UPDATE tally SET counts = '{\"cccd_qr\":7}'")
    read(ledger, cccd_qr=3)
    ledger.settle(sent, ack())
    assert revisions(ledger.waiting(10)) == [(1, {"cccd_qr": 3})]


class TestStale:
    def test_the_day_is_read_again_and_gets_stored_plus_one_even_when_nothing_changed(self, ledger: Ledger) -> None:
        read(ledger, cccd_qr=1)
        delivered(ledger, stale={0: 7})
        assert ledger.unsettled("his") == [Key("12001", "his", "checkins", TODAY)]
        assert ledger.waiting(10) == []
        read(ledger, cccd_qr=1)
        assert ledger.unsettled("his") == []
        assert revisions(ledger.waiting(10)) == [(8, {"cccd_qr": 1})]

    def test_stored_plus_one_goes_with_what_this_read_gave(self, ledger: Ledger) -> None:
        read(ledger, cccd_qr=1)
        delivered(ledger, stale={0: 7})
        read(ledger, cccd_qr=9)
        assert revisions(delivered(ledger)) == [(8, {"cccd_qr": 9})]
        read(ledger, cccd_qr=10)
        assert revisions(ledger.waiting(10)) == [(9, {"cccd_qr": 10})]

    def test_a_row_already_above_the_stored_revision_has_nothing_to_do(self, ledger: Ledger) -> None:
        read(ledger, cccd_qr=1)
        sent = ledger.waiting(10)
        read(ledger, cccd_qr=2)
        ledger.settle(sent, ack(stale={0: 1}))
        assert ledger.unsettled("his") == []
        assert revisions(ledger.waiting(10)) == [(2, {"cccd_qr": 2})]

    def test_a_row_that_changed_but_not_enough_is_read_again(self, ledger: Ledger) -> None:
        read(ledger, cccd_qr=1)
        sent = ledger.waiting(10)
        read(ledger, cccd_qr=2)
        ledger.settle(sent, ack(stale={0: 2}))
        read(ledger, cccd_qr=2)
        assert revisions(ledger.waiting(10)) == [(3, {"cccd_qr": 2})]

    def test_a_day_that_cannot_be_read_again_keeps_the_collectors_counts(self, ledger: Ledger) -> None:
        read(ledger, cccd_qr=1)
        delivered(ledger, stale={0: 7})
        ledger.give_up(ledger.unsettled("his"))
        assert ledger.unsettled("his") == []
        assert ledger.waiting(10) == []
        assert held(ledger)[0][0] == 7
        ledger.retry_refused()
        ledger.offer_all()
        assert ledger.waiting(10) == []

    def test_should_that_day_be_read_after_all_it_is_sent_above_the_stored_revision(self, ledger: Ledger) -> None:
        read(ledger, cccd_qr=1)
        delivered(ledger, stale={0: 7})
        ledger.give_up(ledger.unsettled("his"))
        read(ledger, cccd_qr=1)
        assert revisions(ledger.waiting(10)) == [(8, {"cccd_qr": 1})]
        assert ledger.size() == (1, 0)

    def test_an_old_empty_day_that_comes_back_stale_is_parked_as_vanished(self, ledger: Ledger) -> None:
        read(ledger, OLD)
        delivered(ledger, stale={0: 4})
        read(ledger, OLD)
        assert ledger.size() == (0, 1)
        assert [one.code for one in ledger.parked()] == ["vanished"]
        assert ledger.unsettled("his") == []
        ledger.retry_refused()
        ledger.offer_all()
        read(ledger, OLD)
        assert ledger.size() == (0, 1)

    def test_accept_empty_sends_a_vanished_day(self, ledger: Ledger) -> None:
        read(ledger, OLD)
        delivered(ledger, stale={0: 4})
        read(ledger, OLD)
        read(ledger, OLD, Rule(NORMAL.vanish_before, accept_empty=True))
        assert revisions(ledger.waiting(10)) == [(5, {})]

    def test_a_vanished_day_whose_cases_are_found_again_is_sent(self, ledger: Ledger) -> None:
        read(ledger, OLD)
        delivered(ledger, stale={0: 4})
        read(ledger, OLD)
        read(ledger, OLD, cccd_qr=2)
        assert revisions(ledger.waiting(10)) == [(5, {"cccd_qr": 2})]

    def test_a_recent_empty_day_that_comes_back_stale_is_sent_as_empty(self, ledger: Ledger) -> None:
        read(ledger)
        delivered(ledger, stale={0: 4})
        read(ledger)
        assert revisions(ledger.waiting(10)) == [(5, {})]


class TestRefused:
    def test_a_refused_row_is_parked_with_its_reason_and_the_others_are_delivered(self, ledger: Ledger) -> None:
        read(ledger, measure="checkins", cccd_qr=1)
        read(ledger, measure="payments", cash=1)
        sent = ledger.waiting(10)
        ledger.settle(sent, ack(refused={1: "unknown_measure"}))
        assert ledger.size() == (0, 1)
        assert ledger.parked()[0] == (sent[1].key, "unknown_measure", "vì vậy")

    def test_a_new_revision_is_offered_again(self, ledger: Ledger) -> None:
        read(ledger, cccd_qr=1)
        delivered(ledger, refused={0: "bad_count"})  # type: ignore[dict-item]
        read(ledger, cccd_qr=1)
        assert ledger.size() == (0, 1)
        read(ledger, cccd_qr=2)
        assert revisions(ledger.waiting(10)) == [(2, {"cccd_qr": 2})]
        assert ledger.size() == (1, 0)

    def test_a_refusal_of_an_older_revision_does_not_park_the_newer_one(self, ledger: Ledger) -> None:
        read(ledger, cccd_qr=1)
        sent = ledger.waiting(10)
        read(ledger, cccd_qr=2)
        ledger.settle(sent, ack(refused={0: "bad_count"}))
        assert ledger.size() == (1, 0)

    def test_all_refused_rows_are_offered_again_when_asked(self, ledger: Ledger) -> None:
        read(ledger, cccd_qr=1)
        delivered(ledger, refused={0: "unknown_category"})  # type: ignore[dict-item]
        ledger.retry_refused()
        assert ledger.size() == (1, 0)


class TestReconcile:
    def test_the_digest_of_a_month_is_that_of_the_contract(self, ledger: Ledger) -> None:
        yesterday = TODAY - timedelta(days=1)
        read(ledger, cccd_qr=2, manual=1)
        read(ledger, yesterday)
        delivered(ledger)
        [(month, days)] = ledger.digests("his")
        assert (month.facility, month.measure, month.month) == ("12001", "checkins", "2026-11")
        assert month.digest == digest([(TODAY, {"manual": 1, "cccd_qr": 2}), (yesterday, {})])
        assert days == DayRange(yesterday, TODAY)

    def test_a_month_in_which_something_is_open_is_not_compared(self, ledger: Ledger) -> None:
        read(ledger, OLD, cccd_qr=1)
        delivered(ledger)
        read(ledger, cccd_qr=1)
        assert [month.month for month, _ in ledger.digests("his")] == ["2026-09"]

    def test_a_month_that_differs_is_offered_again_and_others_are_not(self, ledger: Ledger) -> None:
        read(ledger, OLD, cccd_qr=1)
        read(ledger, cccd_qr=1)
        delivered(ledger)
        ledger.offer_months([("his", "12001", "checkins", "2026-09")])
        assert [one.key.day for one in ledger.waiting(10)] == [OLD]

    def test_another_store_is_offered_everything(self, ledger: Ledger) -> None:
        read(ledger, OLD, cccd_qr=1)
        read(ledger, cccd_qr=1)
        delivered(ledger)
        ledger.offer_all()
        assert revisions(ledger.waiting(10)) == [(1, {"cccd_qr": 1})] * 2


def test_prune_forgets_old_delivered_rows_and_never_an_unacked_one(ledger: Ledger) -> None:
    edge = TODAY - timedelta(days=KEEP_DAYS)
    for back, measure in ((1, "acked"), (1, "refused"), (1, "waiting"), (0, "acked")):
        read(ledger, edge - timedelta(days=back), measure=measure, cccd_qr=1)
    sent = ledger.waiting(10)
    refused = {i: "bad_day" for i, one in enumerate(sent) if one.key.measure == "refused"}
    ledger.settle(sent, ack(refused=refused))
    read(ledger, edge - timedelta(days=1), measure="waiting", cccd_qr=2)
    ledger.prune(TODAY)
    kept = ledger.tallies("his", DayRange(edge - timedelta(days=5), TODAY))
    assert {(one.key.measure, one.key.day) for one in kept} == {
        ("acked", edge),
        ("refused", edge - timedelta(days=1)),
        ("waiting", edge - timedelta(days=1)),
    }


DAYS = [TODAY - timedelta(days=back) for back in range(3)]
day = st.sampled_from(DAYS)
cases = st.integers(0, 3)


@dataclass
class Collector:
    """The rule of revisions, in memory."""

    stored: dict[date, tuple[int, dict[str, int]]] = field(default_factory=dict)

    def take(self, sent: list[Tally]) -> Ack:
        stale = {}
        for index, one in enumerate(sent):
            known = self.stored.get(one.key.day)
            if known is None or one.revision > known[0]:
                self.stored[one.key.day] = (one.revision, dict(one.counts))
            elif known[1] != one.counts:
                stale[index] = known[0]
        return ack(stale=stale)


class AnyInterleaving(RuleBasedStateMachine):
    """Reads, corrections, pushes, lost answers, duplicates, restarts, reinstalls and restores, in any order.

    Whatever happened: once the source is read, and what waits is pushed, the collector holds what the source said last.
    """

    disk: Disk

    @initialize()
    def install(self) -> None:
        self.directory = TemporaryDirectory(prefix="nhipso-ledger-")
        self.collector = Collector()
        self.backup: dict[date, tuple[int, dict[str, int]]] = {}
        self.source = {day: 0 for day in DAYS}
        self.on_the_way: list[list[Tally]] = []
        self.installs = 0
        self.reinstall()

    def teardown(self) -> None:
        self.settle_down()
        said = {day: {"cccd_qr": n} if n else {} for day, n in self.source.items()}
        assert {day: counts for day, (_, counts) in self.collector.stored.items()} == said
        self.disk.close()
        self.directory.cleanup()

    def settle_down(self) -> None:
        """Quiet: read, push, read what the collector knows otherwise, push."""
        for _ in range(2):
            self.read_all()
            self.push()
        assert self.ledger.size() == (0, 0)
        assert self.ledger.unsettled("his") == []

    @rule()
    def reinstall(self) -> None:
        self.installs += 1
        self.path = Path(self.directory.name) / f"{self.installs}.sqlite"
        if self.installs > 1:
            self.disk.close()
        self.disk = Disk(self.path, now())
        self.ledger = Ledger(self.disk)

    @rule()
    def restart(self) -> None:
        self.disk.close()
        self.disk = Disk(self.path, now())
        self.ledger = Ledger(self.disk)

    @rule(day=day, n=cases)
    def correct(self, day: date, n: int) -> None:
        self.source[day] = n

    @rule(day=day)
    def read(self, day: date) -> None:
        read(self.ledger, day, cccd_qr=self.source[day])

    @rule()
    def read_all(self) -> None:
        for one in DAYS:
            self.read(one)

    @rule(limit=st.integers(1, 3))
    def push(self, limit: int = 9) -> None:
        sent = self.ledger.waiting(limit)
        self.ledger.settle(sent, self.collector.take(sent))

    @rule(limit=st.integers(1, 3))
    def push_without_an_answer(self, limit: int) -> None:
        self.collector.take(self.ledger.waiting(limit))

    @rule(limit=st.integers(1, 3))
    def push_into_the_void(self, limit: int) -> None:
        self.on_the_way.append(self.ledger.waiting(limit))

    @rule(data=st.data())
    def an_old_batch_arrives_late_or_twice(self, data: st.DataObject) -> None:
        if self.on_the_way:
            self.collector.take(data.draw(st.sampled_from(self.on_the_way)))

    @rule()
    def back_up(self) -> None:
        self.backup = dict(self.collector.stored)

    @rule()
    def restore(self) -> None:
        self.collector.stored = dict(self.backup)
        self.ledger.offer_all()
        self.ledger.retry_refused()

    @invariant()
    def nothing_is_invented(self) -> None:
        for _, counts in self.collector.stored.values():
            assert counts.keys() <= {"cccd_qr"} and all(0 < n <= 3 for n in counts.values())


TestAnyInterleaving = AnyInterleaving.TestCase
TestAnyInterleaving.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
