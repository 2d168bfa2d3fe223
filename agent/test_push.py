"""Pushing: what is sent and in which order; no answer of a collector, and no silence, loses or invents a count."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pytest

from agent import pusher
from agent.disk import Disk
from agent.ledger import Ledger, Rule
from agent.link import Link
from agent.pusher import Pusher, known_catalogue
from agent.reader import Description
from agent.settings import Settings, load
from agent.sources import Health, Sources
from contract.adapter import DayCount
from contract.catalogue import load as shipped
from contract.days import local_day, now
from contract.errors import CollectorDeniedError, CollectorUnavailableError, ConfigError, StorageError
from tests.faulty_collector import (
    TOKEN,
    Fault,
    FaultyCollector,
    accept,
    answer,
    commits_and_dies,
    dies,
    hangs,
    huge,
    truncated,
)
from tests.hospital import Hospital

TODAY = local_day(now())
RULE = Rule(vanish_before=TODAY - timedelta(days=35))
KINDS = {"his": Description(("checkins", "payments"), "his.sql", True, {})}


class Bench:
    """An agent's ledger and pusher, with nothing to read, before a collector."""

    def __init__(self, hospital: Hospital, collector: FaultyCollector) -> None:
        self.hospital, self.collector = hospital, collector
        hospital.token.write_text(TOKEN + "\n")
        self.install()

    def install(self, name: str = "ledger.sqlite") -> None:
        self.settings: Settings = load(self.hospital.config)
        self.disk = Disk(self.settings.data_dir / name, now())
        self.ledger, self.sources = Ledger(self.disk), Sources(self.disk)
        self.pusher = Pusher(self.settings, self.disk, Link(self.settings))

    def close(self) -> None:
        self.pusher.close()
        self.disk.close()

    def read(self, day: date = TODAY, measure: str = "checkins", **counts: int) -> None:
        self.ledger.record("his", [DayCount("12001", measure, day, counts)], RULE)

    def push(self) -> None:
        self.pusher.push(KINDS)

    def delivered(self) -> bool:
        """Nothing waits, and all that is held is what the collector holds."""
        span = self.ledger.digests("his")
        theirs = {json.dumps(one, sort_keys=True) for one in self.collector.months("2000-01-01", "2100-01-01")}
        ours = {json.dumps(month.model_dump(), sort_keys=True) for month, _ in span}
        return self.ledger.size() == (0, 0) and ours == theirs


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with FaultyCollector() as collector:
        bench = Bench(Hospital(tmp_path, collector=collector.url), collector)
        yield bench
        bench.close()


def test_what_is_sent_is_what_the_contract_says(bench: Bench) -> None:
    bench.sources.set_health("his", Health(ok=False, read_at=now(), since=now(), error="không thấy", failed={"x": "y"}))
    bench.read(cccd_qr=3)
    bench.push()
    [sent] = bench.collector.pushes
    assert sent["agent"].items() >= {"id": "a1", "waiting": 1, "parked": 0}.items()
    [source] = sent["sources"]
    known = {"name": "his", "kind": "his.sql", "role": "count", "part": None, "from": None, "facilities": ["12001"]}
    assert source.items() >= known.items()
    assert source["measures"] == ["checkins", "payments"]
    assert (source["ok"], source["error"], source["failed"]) == (False, "không thấy", ["x"])
    assert source["newest_day"] == {"12001": str(TODAY)}
    counts = {"revision": 1, "counts": {"cccd_qr": 3}}
    assert sent["tallies"] == [
        {"facility": "12001", "source": "his", "measure": "checkins", "day": str(TODAY), **counts}
    ]


def test_the_roster_is_sent_even_when_nothing_waits(bench: Bench) -> None:
    bench.push()
    assert [(len(sent["sources"]), sent["tallies"]) for sent in bench.collector.pushes] == [(1, [])]


def test_today_goes_first_then_the_backlog_in_batches(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.pusher._batch = 10
    for back in range(25):
        bench.read(TODAY - timedelta(days=back), cccd_qr=1)
    bench.push()
    days = [one["day"] for sent in bench.collector.pushes for one in sent["tallies"]]
    assert days == sorted(days, reverse=True)
    assert (days[0], len(days), len(bench.collector.pushes)) == (str(TODAY), 25, 3)
    assert bench.delivered()


@pytest.mark.parametrize(
    "fault",
    [
        answer(500, b"Internal Server Error"),
        answer(502, b"<html>Bad Gateway</html>"),
        answer(503, {}, {"Retry-After": "15"}),
        answer(408, {}),
        answer(200, b"<html>login</html>"),
        answer(200, {"accepted": "many"}),
        answer(200, b"\x00\xff"),
        answer(200, b"not gzip", {"Content-Encoding": "gzip"}),
        answer(302, b"", {"Location": "http://127.0.0.1:9/"}),
        truncated,
        commits_and_dies,
        dies,
        huge,
    ],
    ids=[*("500", "502", "503", "408"), *("page", "other", "bytes", "gzip", "302", "cut", "commits", "dies", "huge")],
)
def test_a_collector_that_fails_loses_nothing_and_the_next_push_brings_all(bench: Bench, fault: Fault) -> None:
    bench.read(cccd_qr=3)
    bench.collector.faults.append(fault)
    with pytest.raises(CollectorUnavailableError):
        bench.push()
    assert bench.ledger.size() == (1, 0)
    bench.read(cccd_qr=4)
    bench.push()
    assert bench.delivered()
    assert bench.collector.counts(TODAY) == {"cccd_qr": 4}


def test_a_collector_that_is_down_is_an_unavailable_one(bench: Bench) -> None:
    bench.collector.__exit__()
    bench.read(cccd_qr=3)
    with pytest.raises(CollectorUnavailableError):
        bench.push()
    assert bench.ledger.size() == (1, 0)


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [("30", 30, 45), ("999999", 3600, 5400), ("0", 0, 0), ("", None, None), ("Fri, 20 Nov", None, None)],
)
def test_retry_after_is_passed_on_a_little_later(
    bench: Bench, header: str, least: float | None, most: float | None
) -> None:
    bench.collector.faults.append(answer(429, {}, {"Retry-After": header}))
    with pytest.raises(CollectorUnavailableError) as caught:
        bench.push()
    wished = caught.value.retry_after
    assert wished is None if least is None or most is None else wished is not None and least <= wished <= most


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_collector_that_refuses_the_agent_needs_a_person_and_loses_nothing(bench: Bench, status: int) -> None:
    bench.read(cccd_qr=3)
    bench.collector.faults.append(answer(status, {"detail": "MARK-"}))
    with pytest.raises(CollectorDeniedError) as caught:
        bench.push()
    assert "MARK-" not in str(caught.value)
    assert bench.ledger.size() == (1, 0)


def test_after_a_revoked_token_a_new_one_is_used_without_a_restart(bench: Bench) -> None:
    bench.read(cccd_qr=3)
    bench.collector.tokens = {"a1.new"}
    with pytest.raises(CollectorDeniedError, match="enrol"):
        bench.push()
    bench.hospital.token.write_text("a1.new")
    bench.push()
    assert bench.delivered()


@pytest.mark.parametrize("content", [None, "", "no-dot", "two lines\na1.x", "x" * 70 + ".y", "a1.bí mật"])
def test_a_token_file_that_holds_no_token_asks_for_enrolment(bench: Bench, content: str | None) -> None:
    bench.hospital.token.unlink()
    if content is not None:
        bench.hospital.token.write_text(content)
    with pytest.raises(CollectorDeniedError, match="enrol"):
        bench.push()


def test_too_much_at_once_is_halved_until_it_fits_and_stays_so(bench: Bench) -> None:
    bench.collector.most = 6
    for back in range(40):
        bench.read(TODAY - timedelta(days=back), cccd_qr=1)
    bench.push()
    assert bench.delivered()
    assert [len(sent["tallies"]) for sent in bench.collector.pushes] == [40, 20, 10, *[5] * 8]


def test_a_limit_that_not_even_one_tally_passes_ends_with_an_error(bench: Bench) -> None:
    bench.collector.most = 0
    bench.read(cccd_qr=3)
    with pytest.raises(CollectorDeniedError):
        bench.push()
    assert bench.ledger.size() == (1, 0)


def test_a_batch_never_exceeds_one_mebibyte(bench: Bench) -> None:
    counts = {f"category_number_{n:020d}": 10**15 for n in range(60)}
    days = [DayCount("12001", "checkins", TODAY - timedelta(days=back), counts) for back in range(700)]
    bench.ledger.record("his", days, RULE)
    bench.push()
    assert bench.delivered()
    assert max(len(body) for body in bench.collector.bodies) <= 1024 * 1024


def test_a_very_long_error_of_a_source_does_not_stop_the_push(bench: Bench) -> None:
    bench.sources.set_health("his", Health(ok=False, error="lỗi " * 2000))
    bench.read(cccd_qr=3)
    bench.push()
    assert bench.delivered()


def test_a_collector_that_never_takes_a_tally_nor_refuses_it_is_not_asked_without_end(bench: Bench) -> None:
    bench.read(cccd_qr=3)
    good = bench.collector.take({"tallies": []})
    for _ in range(10):
        bench.collector.faults.append(answer(200, {**good, "stale": [{"index": 0, "revision": 0}]}))
    bench.push()
    assert len(bench.collector.pushes) <= 2


def test_one_refused_tally_does_not_hold_back_the_others(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.collector.refused = {"payments": "unknown_measure"}
    bench.read(cccd_qr=3)
    bench.read(measure="payments", cash=1)
    bench.push()
    assert bench.ledger.size() == (0, 1)
    assert bench.collector.counts(TODAY) == {"cccd_qr": 3}
    assert "unknown_measure" in caplog.text
    bench.push()
    assert bench.collector.pushes[-1]["tallies"] == []
    assert bench.collector.pushes[-1]["agent"]["parked"] == 1


def test_verdicts_on_tallies_that_were_never_sent_are_ignored(bench: Bench) -> None:
    bench.read(cccd_qr=3)
    good = bench.collector.take({"tallies": []})
    odd = {"stale": [{"index": 7, "revision": 9}], "refused": [{"index": -1, "code": "bad_day", "reason": ""}]}
    bench.collector.faults.append(answer(200, {**good, **odd}))
    bench.push()
    assert bench.ledger.size() == (0, 0)


def test_a_reinstalled_agent_that_starts_at_revision_one_ends_above_what_is_stored(bench: Bench) -> None:
    for n in range(5):
        bench.read(cccd_qr=n)
        bench.push()
    bench.close()
    bench.install("another.sqlite")
    bench.read(cccd_qr=9)
    bench.push()
    assert [key.day for key in bench.ledger.unsettled("his")] == [TODAY]
    bench.read(cccd_qr=9)
    bench.push()
    assert bench.collector.stored["12001", "his", "checkins", str(TODAY)] == (6, {"cccd_qr": 9})
    assert bench.delivered()


def test_a_restored_collector_is_offered_everything_again(bench: Bench) -> None:
    backup: dict[tuple[str, str, str, str], tuple[int, dict[str, int]]] = {}
    for back in range(20):
        bench.read(TODAY - timedelta(days=back), cccd_qr=1)
        bench.push()
        backup = backup or dict(bench.collector.stored)
    bench.collector.stored, bench.collector.store_id = backup, "another"
    bench.push()
    assert bench.delivered()


def test_a_parked_tally_is_offered_to_a_restored_collector_too(bench: Bench) -> None:
    bench.collector.refused = {"checkins": "facility_closed"}
    bench.read(cccd_qr=3)
    bench.push()
    bench.collector.refused, bench.collector.store_id = {}, "another"
    bench.push()
    assert bench.delivered()


class TestCatalogue:
    @pytest.fixture
    def changed(self, bench: Bench) -> Bench:
        content = shipped().model_dump(mode="json")
        content["measures"]["checkins"]["categories"]["palm"] = {"vi": "Vân tay", "en": "Palm"}
        bench.collector.catalogue = type(shipped()).model_validate(content)
        return bench

    def test_a_new_catalogue_is_fetched_once_and_used(self, changed: Bench) -> None:
        changed.push()
        changed.push()
        assert known_catalogue(changed.settings).digest == changed.collector.catalogue.digest
        assert [path for _, path in changed.collector.asked].count("/api/v1/catalogue") == 1

    def test_a_catalogue_is_read_once_and_again_when_it_has_changed(self, changed: Bench) -> None:
        before = known_catalogue(changed.settings)
        assert known_catalogue(changed.settings) is before
        changed.push()
        after = known_catalogue(changed.settings)
        assert after != before
        assert known_catalogue(changed.settings) is after

    def test_what_was_refused_is_offered_again_under_the_new_catalogue(self, changed: Bench) -> None:
        content, changed.collector.catalogue = changed.collector.catalogue, shipped()
        changed.collector.refused = {"checkins": "unknown_category"}
        changed.read(palm=2)
        changed.push()
        assert changed.ledger.size() == (0, 1)
        changed.collector.refused, changed.collector.catalogue = {}, content
        changed.push()
        assert changed.delivered()

    def test_a_catalogue_that_cannot_be_fetched_holds_nothing_back(self, changed: Bench) -> None:
        changed.collector.catalogue.measures["checkins"].__dict__["unit"] = "broken"
        changed.pusher._batch = 1
        for back in range(5):
            changed.read(TODAY - timedelta(days=back), cccd_qr=1)
        with pytest.raises(CollectorUnavailableError):
            changed.push()
        assert changed.delivered()

    @pytest.mark.parametrize("content", [b"", b'{"measures": {', b"\x00" * 100, b"{}"])
    def test_half_a_catalogue_file_is_as_none_and_is_fetched_again(self, changed: Bench, content: bytes) -> None:
        file = changed.settings.data_dir / "catalogue.json"
        file.write_bytes(content)
        assert known_catalogue(changed.settings) == shipped()
        changed.push()
        assert known_catalogue(changed.settings).digest == changed.collector.catalogue.digest

    def test_a_catalogue_that_cannot_be_kept_is_the_disks_failure(self, changed: Bench) -> None:
        (changed.settings.data_dir / "catalogue.new").mkdir()
        with pytest.raises(StorageError):
            changed.push()


class TestReconcile:
    def test_what_the_collector_lost_or_holds_otherwise_is_sent_again(self, bench: Bench) -> None:
        for back in range(70):
            bench.read(TODAY - timedelta(days=back), cccd_qr=1)
        bench.push()
        lost = TODAY - timedelta(days=50)
        del bench.collector.stored["12001", "his", "checkins", str(lost)]
        bench.pusher.reconcile(TODAY)
        waiting = bench.ledger.waiting(100)
        assert lost in {one.key.day for one in waiting}
        assert {f"{one.key.day:%Y-%m}" for one in waiting} == {f"{lost:%Y-%m}"}
        bench.push()
        assert bench.delivered()

    def test_when_all_is_equal_nothing_is_sent(self, bench: Bench) -> None:
        bench.read(cccd_qr=1)
        bench.push()
        bench.pusher.reconcile(TODAY)
        assert bench.ledger.size() == (0, 0)

    def test_days_that_only_the_collector_holds_are_no_difference(self, bench: Bench) -> None:
        first = date(2026, 3, 1)
        for n in range(31):
            bench.read(first + timedelta(days=n), cccd_qr=1)
        bench.push()
        bench.close()
        bench.install("another.sqlite")
        for n in (0, 1, *range(100, 120)):
            bench.read(first + timedelta(days=n), cccd_qr=1)
        for n in range(10, 20):
            bench.read(first + timedelta(days=n), measure="payments", cash=1)
        bench.push()
        bench.pusher.reconcile(TODAY)
        assert bench.ledger.size() == (0, 0)

    def test_two_nights_of_difference_are_reported(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        bench.read(TODAY - timedelta(days=50), cccd_qr=1)
        bench.push()
        key = next(iter(bench.collector.stored))
        for night in (1, 2):
            bench.collector.stored[key] = (1, {"cccd_qr": 77})
            bench.pusher.reconcile(TODAY)
            assert ("2 đêm" in caplog.text) == (night == 2)
            with bench.disk.transaction() as connection:
                connection.execute("UPDATE tally SET acked = revision, stored = NULL")
        assert list(bench.disk.state("differing", json.loads) or {}) == [f"12001 his checkins {key[3][:7]}"]
        bench.collector.stored[key] = (1, {"cccd_qr": 1})
        bench.pusher.reconcile(TODAY)
        assert bench.disk.state("differing", json.loads) == {}

    def test_what_was_refused_is_tried_again_at_night(self, bench: Bench) -> None:
        bench.collector.refused = {"checkins": "facility_closed"}
        bench.read(cccd_qr=1)
        bench.push()
        bench.collector.refused = {}
        bench.pusher.reconcile(TODAY)
        bench.push()
        assert bench.delivered()


def test_several_threads_may_push_while_others_record(bench: Bench) -> None:
    def work(measure: str) -> None:
        for n in range(5):
            bench.read(measure=measure, cash=n + 1)
            bench.push()

    bench.collector.faults.extend([accept, commits_and_dies, accept] * 2)
    errors: list[type] = []

    def guarded(measure: str) -> None:
        for _ in range(3):
            try:
                work(measure)
            except CollectorUnavailableError as error:
                errors.append(type(error))

    threads = [threading.Thread(target=guarded, args=(f"m{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bench.push()
    assert len(errors) == 2
    assert bench.delivered()
    assert bench.collector.counts(TODAY, "m0") == {"cash": 5}


class TestDoor:
    def test_the_proxy_of_the_environment_is_not_used(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        bench.close()
        bench.install()
        bench.push()

    def test_the_proxy_of_agent_toml_is_used(self, bench: Bench) -> None:
        proxy = bench.collector.url
        bench.hospital.collector = "http://nhipso.invalid"
        bench.hospital.configure(agent=f'proxy = "{proxy}"\nallow_plain_http = true')
        with closing(Link(load(bench.hospital.config))) as link:
            link.enrol("code")
        assert bench.collector.asked[-1][1] == "http://nhipso.invalid/api/v1/enrolments"

    @pytest.mark.parametrize(
        "line",
        ['proxy = "10.0.0.1:3128"', 'proxy = "socks5://10.0.0.1"']
        + [f'{key} = "nowhere.pem"' for key in ("ca_file", "client_cert_file")]
        + ['ca_file = "his.url"', 'client_cert_file = "his.url"'],
    )
    def test_what_cannot_be_used_is_a_mistake_in_agent_toml(self, bench: Bench, line: str) -> None:
        bench.hospital.configure(agent=line)
        with pytest.raises(ConfigError, match=r"agent\.toml"):
            Link(load(bench.hospital.config))

    def test_a_path_before_the_api_is_kept(self, bench: Bench) -> None:
        bench.hospital.collector = f"{bench.collector.url}/nhipso/"
        bench.hospital.configure()
        with closing(Link(load(bench.hospital.config))) as link:
            link.enrol("code")
        assert bench.collector.asked[-1][1] == "/nhipso/api/v1/enrolments"

    def test_no_secret_is_logged_even_at_debug(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        for name in ("", "httpx", "httpcore"):  # the adapters' door, when imported in this process, silences both
            caplog.set_level(logging.DEBUG, name)
        bench.read(cccd_qr=1)
        bench.push()
        with closing(Link(bench.settings)) as link:
            link.enrol("K7QP-CODE")
        assert caplog.text
        assert "secret" not in caplog.text
        assert "K7QP" not in caplog.text

    def test_an_answer_that_comes_late_is_waited_for(self, bench: Bench) -> None:
        bench.collector.faults.append(hangs(0.3))
        started = time.monotonic()
        bench.push()
        assert time.monotonic() - started >= 0.3


def test_the_batch_is_within_what_the_contract_allows() -> None:
    assert pusher.BATCH <= 5_000
