"""One poll: which days are read and in which order, and what becomes of sources that fail, hang, change or empty."""

import logging
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from agent.disk import Disk
from agent.ledger import Ledger
from agent.poll import Poller, Wish
from agent.reader import Description
from agent.reads import Readers, StoppedError
from agent.settings import load
from agent.sources import Health, Sources
from contract.catalogue import load as shipped
from contract.days import LOCAL, DayRange
from contract.tally import Ack, Stale
from tests.hospital import MARK, Hospital, HungServer, readers_of

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=LOCAL)
TODAY = NOW.date()
CATALOGUE = shipped()
# A row whose day is no day, and the slice of a first read in which it lies.
NO_DAY = ("INSERT INTO checkins VALUES ('x', '2026-11-0X 08:30:00', 'QR')",)
GAP = DayRange(date(2026, 11, 7), date(2026, 11, 13))


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


class Bench:
    """A hospital, and what polls its one source; `kind` is what `describe` would say of it."""

    def __init__(self, hospital: Hospital) -> None:
        self.hospital = hospital
        self.kind = Description(("checkins",), "his.sql", True, {})
        self.readers = Readers()
        self.disk = Disk(hospital.ledger, NOW)
        self.ledger, self.sources = Ledger(self.disk), Sources(self.disk)
        self.slices: list[DayRange] = []

    def poll(self, moment: datetime = NOW, wish: Wish | None = None) -> Health:
        settings = load(self.hospital.config)
        poller = Poller(settings, self.disk, self.readers)
        self.slices = []
        wish = wish or Wish()
        wish = replace(wish, on_slice=self.slices.append)
        return poller.poll(settings.sources[0], self.kind, CATALOGUE, moment, wish)

    def counts(self, measure: str = "checkins") -> dict[date, dict[str, int]]:
        every = DayRange(date(2000, 1, 1), date(2100, 1, 1))
        found = self.ledger.tallies("his", every)
        return {one.key.day: dict(one.counts) for one in found if one.key.measure == measure}

    def good(self, measure: str = "checkins") -> date | None:
        return self.sources.last_good_day("his", measure)

    def come_to_today(self) -> None:
        """As if all had been read up to today."""
        self.sources.set_last_good_day("his", dict.fromkeys(self.kind.measures, TODAY))

    def answered(self, stale: int | None = None) -> None:
        """What waits is sent, and accepted or (all of it) known otherwise."""
        sent = self.ledger.waiting(1000)
        verdicts = [Stale(index=index, revision=stale) for index in range(len(sent))] if stale else []
        self.ledger.settle(sent, Ack(accepted=len(sent), stale=verdicts, server_time=NOW, store_id="s", catalogue="c"))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(Hospital(tmp_path))
    yield bench
    bench.disk.close()


class TestWhichDays:
    def test_a_source_never_read_starts_deep_with_today_first_then_oldest_first(self, bench: Bench) -> None:
        bench.hospital.come(ago(35), 2)
        bench.hospital.come(ago(36), 5)
        assert bench.poll().ok
        first = [days.first for days in bench.slices]
        assert bench.slices[0] == DayRange(ago(6), TODAY)
        assert first[1:] == sorted(first[1:])
        assert first[1] == ago(35)
        assert all(len(days) <= 7 for days in bench.slices)
        assert sorted(bench.counts()) == list(DayRange(ago(35), TODAY))
        assert bench.counts()[ago(35)] == {"cccd_qr": 2}
        assert bench.good() == TODAY

    def test_a_poll_reads_the_last_days_again_and_no_others(self, bench: Bench) -> None:
        bench.come_to_today()
        bench.poll()
        assert bench.slices == [DayRange(ago(3), TODAY)]

    @pytest.mark.slow
    def test_after_an_outage_it_reads_from_the_last_good_day(self, bench: Bench) -> None:
        bench.sources.set_last_good_day("his", {"checkins": ago(20)})
        bench.poll()
        assert min(bench.counts()) == ago(20)
        assert bench.good() == TODAY

    @pytest.mark.slow
    def test_a_deep_read_reads_deep_reread_days(self, bench: Bench) -> None:
        bench.come_to_today()
        bench.poll(wish=Wish(deep=True))
        assert sorted(bench.counts()) == list(DayRange(ago(35), TODAY))

    @pytest.mark.slow
    def test_a_measure_that_is_new_is_read_deep_and_the_others_are_not(self, bench: Bench) -> None:
        bench.come_to_today()
        bench.hospital.configure(measures=("checkins", "checkins_insured"))
        bench.kind = Description(("checkins", "checkins_insured"), "his.sql", True, {})
        bench.poll()
        assert min(bench.counts("checkins")) == ago(3)
        assert min(bench.counts("checkins_insured")) == ago(35)

    @pytest.mark.slow
    def test_nothing_before_from_is_read(self, bench: Bench) -> None:
        bench.hospital.configure(source='from = "2026-11-15"')
        bench.poll()
        assert min(bench.counts()) == date(2026, 11, 15)

    @pytest.mark.slow
    def test_a_source_that_begins_tomorrow_is_not_read_today(self, bench: Bench) -> None:
        bench.hospital.configure(source='from = "2026-11-22"')
        assert bench.poll().ok
        assert bench.counts() == {}

    @pytest.mark.slow
    def test_a_backfill_reads_its_days_and_leaves_the_progress_alone(self, bench: Bench) -> None:
        bench.poll(wish=Wish(span=DayRange(ago(60), ago(55))))
        assert sorted(bench.counts()) == list(DayRange(ago(60), ago(55)))
        assert bench.good() is None

    @pytest.mark.slow
    @pytest.mark.parametrize("years", [-2, 2])
    def test_a_clock_two_years_off_harms_nothing_that_a_right_one_does_not_mend(self, bench: Bench, years: int) -> None:
        bench.hospital.come(TODAY, 3)
        bench.come_to_today()
        bench.poll(NOW.replace(year=NOW.year + years))
        bench.poll()
        assert bench.counts()[TODAY] == {"cccd_qr": 3}
        assert bench.good() == TODAY


class TestFailures:
    def test_one_measure_that_fails_does_not_stop_the_others(self, bench: Bench) -> None:
        bench.hospital.configure(measures=("checkins", "checkins_insured"))
        bench.kind = Description(("checkins", "checkins_insured"), "his.sql", True, {})
        bench.come_to_today()
        bench.hospital.sql("DROP TABLE checkins")
        bench.hospital.come(TODAY, 4, table="checkins_insured")
        health = bench.poll()
        assert not health.ok
        assert health.read_at == NOW
        assert list(health.failed) == ["checkins"]
        assert bench.counts("checkins") == {}
        assert bench.counts("checkins_insured")[TODAY] == {"cccd_qr": 4}

    def test_the_last_good_day_is_the_day_before_the_first_gap(self, bench: Bench) -> None:
        bench.hospital.come(ago(30))
        bench.hospital.sql(*NO_DAY)
        health = bench.poll()
        assert not health.ok
        assert bench.good() == date(2026, 11, 6)
        assert bench.counts()[ago(30)] == {"cccd_qr": 1}
        assert set(DayRange(ago(35), TODAY)) - bench.counts().keys() == set(GAP)

    @pytest.mark.slow
    def test_a_deep_read_that_fails_on_one_slice_keeps_all_the_others(self, bench: Bench) -> None:
        bench.come_to_today()
        bench.hospital.come(TODAY)
        bench.hospital.sql(*NO_DAY)
        assert not bench.poll(wish=Wish(deep=True)).ok
        assert set(DayRange(ago(35), TODAY)) - bench.counts().keys() == set(GAP)

    @pytest.mark.slow
    def test_a_source_that_is_away_is_noted_once_and_its_recovery_too(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        bench.come_to_today()
        away = bench.hospital.database.rename(bench.hospital.directory / "away")
        for minutes in range(2):
            health = bench.poll(NOW + timedelta(minutes=minutes))
            assert not health.ok
            assert health.since == NOW
        assert len(caplog.records) == 1
        away.rename(bench.hospital.database)
        health = bench.poll(NOW + timedelta(minutes=9))
        assert (health.ok, health.since, health.error) == (True, None, None)
        assert len(caplog.records) == 2

    @pytest.mark.slow
    def test_a_hung_server_is_given_up_at_the_deadline_and_its_reader_ends(self, bench: Bench) -> None:
        with HungServer() as server:
            (bench.hospital.directory / "his.url").write_text(f"postgresql://u:secret@127.0.0.1:{server.port}/his")
            bench.hospital.configure(source="timeout_seconds = 1")
            bench.come_to_today()
            started = time.monotonic()
            health = bench.poll()
        assert not health.ok
        assert time.monotonic() - started < 18
        assert readers_of(os.getpid()) == []
        assert "secret" not in str(health.error)

    @pytest.mark.slow
    def test_a_query_without_end_is_killed_at_the_deadline(self, bench: Bench) -> None:
        bench.hospital.configure(source="timeout_seconds = 1")
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
        text = bench.hospital.config.read_text()
        bench.hospital.config.write_text(text.replace("FROM checkins WHERE", f"FROM ({endless}), checkins WHERE"))
        bench.hospital.come(TODAY)
        bench.come_to_today()
        health = bench.poll()
        assert health.error == "nguồn không trả lời trong 1 giây"
        assert readers_of(os.getpid()) == []

    @pytest.mark.slow
    def test_a_reader_that_crashes_is_the_sources_failure(self, bench: Bench) -> None:
        bench.hospital.configure(source="timeout_seconds = 30")
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
        text = bench.hospital.config.read_text()
        bench.hospital.config.write_text(text.replace("FROM checkins WHERE", f"FROM ({endless}), checkins WHERE"))
        bench.hospital.come(TODAY)
        bench.come_to_today()

        def crash() -> None:
            while not (readers := readers_of(os.getpid())):
                time.sleep(0.02)
            time.sleep(0.3)
            os.kill(readers[0], signal.SIGSEGV)

        threading.Thread(target=crash).start()
        health = bench.poll()
        assert not health.ok
        assert "bộ đọc" in str(health.error)
        assert bench.counts() == {}

    @pytest.mark.slow
    def test_stopping_kills_the_readers_lets_none_begin_and_is_not_the_sources_failure(self, bench: Bench) -> None:
        with HungServer() as server:
            (bench.hospital.directory / "his.url").write_text(f"postgresql://u@127.0.0.1:{server.port}/his")
            threading.Timer(1, bench.readers.stop).start()
            with pytest.raises(StoppedError):
                bench.poll()
            started = time.monotonic()
            with pytest.raises(StoppedError):
                bench.poll()
        assert time.monotonic() - started < 3
        assert bench.sources.health("his") == Health()

    @pytest.mark.slow
    def test_a_file_of_the_configuration_that_went_away_is_the_sources_failure(self, bench: Bench) -> None:
        (bench.hospital.directory / "his.url").unlink()
        health = bench.poll()
        assert not health.ok
        assert "his.url" in str(health.error)

    @pytest.mark.slow
    def test_half_a_step_is_never_recorded(self, bench: Bench) -> None:
        bench.hospital.come(ago(1), 5)
        bench.hospital.sql("INSERT INTO checkins VALUES ('x', '2026-11-1X 08:30:00', 'QR')")
        bench.come_to_today()
        assert not bench.poll().ok
        assert bench.counts() == {}


class TestWhatVanishes:
    def test_a_day_whose_cases_all_vanish_becomes_an_empty_day(self, bench: Bench) -> None:
        bench.come_to_today()
        bench.hospital.come(ago(1), 5)
        bench.hospital.come(TODAY, 1)
        bench.poll()
        bench.hospital.vanish(ago(1))
        bench.poll()
        assert (bench.counts()[ago(1)], bench.counts()[TODAY]) == ({}, {"cccd_qr": 1})

    @pytest.mark.slow
    def test_a_deep_read_in_which_every_day_is_empty_records_nothing(self, bench: Bench) -> None:
        bench.come_to_today()
        bench.hospital.come(ago(2), 5)
        bench.poll()
        before = bench.counts()
        bench.hospital.vanish(ago(2))
        health = bench.poll(wish=Wish(deep=True))
        assert not health.ok
        assert bench.counts() == before
        bench.hospital.come(ago(30))
        assert bench.poll(wish=Wish(deep=True)).ok
        assert bench.counts()[ago(2)] == {}

    @pytest.mark.slow
    def test_a_deep_read_of_a_source_that_never_had_a_case_is_recorded(self, bench: Bench) -> None:
        bench.come_to_today()
        assert bench.poll(wish=Wish(deep=True)).ok
        assert set(bench.counts()) == set(DayRange(ago(35), TODAY))


class TestDaysThatTheCollectorKnowsOtherwise:
    @pytest.mark.slow
    def test_they_are_read_again_wherever_they_lie(self, bench: Bench) -> None:
        bench.come_to_today()
        bench.hospital.come(ago(100), 2)
        bench.poll(wish=Wish(span=DayRange(ago(100), ago(100))))
        bench.answered(stale=9)
        bench.hospital.come(ago(100), 1)
        bench.poll()
        [waits] = [one for one in bench.ledger.waiting(100) if one.key.day == ago(100)]
        assert (waits.revision, dict(waits.counts)) == (10, {"cccd_qr": 3})

    @pytest.mark.slow
    def test_what_this_agent_no_longer_reads_keeps_the_collectors_counts(self, bench: Bench) -> None:
        bench.come_to_today()
        bench.hospital.come(TODAY)
        bench.poll()
        bench.answered(stale=9)
        bench.hospital.configure(source='from = "2026-11-21"')
        bench.poll()
        assert bench.ledger.unsettled("his") == []
        assert [(one.key.day, one.revision) for one in bench.ledger.waiting(100)] == [(TODAY, 10)]
        assert {one.code for one in bench.ledger.parked()} == {"unreadable"}


class TestUnmapped:
    @pytest.mark.slow
    def test_values_no_mapping_knows_leave_the_hospital_only_when_frequent(self, bench: Bench) -> None:
        bench.come_to_today()
        for back in range(3):
            bench.hospital.come(ago(back), 4, method="MOI")
            bench.hospital.come(ago(back), 3, method="IT GAP")
        bench.hospital.come(TODAY, 50, method=MARK)
        bench.poll()
        assert bench.counts()[TODAY] == {"unknown": 57}
        local = bench.sources.unmapped("his", TODAY)["12001"]["checkins"]
        assert local == {MARK: 50, "MOI": 12, "IT GAP": 9}
        assert bench.sources.unmapped_to_tell("his", TODAY) == {"12001": {"checkins": {"MOI": 12}}}

    def test_at_most_twenty_values_of_a_measure_are_told(self, bench: Bench) -> None:
        with bench.disk.transaction() as connection:
            connection.executemany(
                "INSERT INTO unmapped VALUES ('his', ?, 'checkins', ?, ?, ?)",
                [(f"1200{n % 2}", str(ago(back)), f"V{n}", 10 + n) for n in range(30) for back in range(3)],
            )
        told = bench.sources.unmapped_to_tell("his", TODAY)
        values = [value for measures in told.values() for value in measures["checkins"]]
        assert sorted(values) == sorted(f"V{n}" for n in range(10, 30))


@pytest.mark.slow
def test_a_folder_is_read_once_and_a_day_that_lost_its_last_case_is_empty(tmp_path: Path) -> None:
    bench = Bench(Hospital(tmp_path))
    folder = tmp_path / "hoadon"
    folder.mkdir()
    bench.hospital.config.write_text(
        bench.hospital.config.read_text().partition("[sources.his]")[0]
        + '[sources.his]\nkind = "einvoice.xml"\nfolder = "hoadon"\n'
    )
    bench.kind = Description(("invoices",), "einvoice.xml", False, {})
    for number, day in enumerate([ago(0), ago(0), ago(2)]):
        invoice(folder / f"{MARK}-{number}.xml", number, day)
    assert bench.poll().ok
    assert bench.counts("invoices") == {TODAY: {"valid": 2}, ago(2): {"valid": 1}}
    (folder / f"{MARK}-2.xml").unlink()
    assert bench.poll().ok
    assert bench.counts("invoices") == {TODAY: {"valid": 2}, ago(2): {}}
    bench.answered(stale=5)
    assert bench.poll().ok
    assert {one.key.day: (one.revision, dict(one.counts)) for one in bench.ledger.waiting(9)} == {
        TODAY: (6, {"valid": 2}),
        ago(2): (6, {}),
    }
    assert MARK.encode() not in bench.hospital.ledger.read_bytes()
    bench.disk.close()


def invoice(file: Path, number: int, day: date) -> None:
    file.write_text(
        f"<HDon><DLHDon><TTChung><KHMSHDon>1</KHMSHDon><KHHDon>K26TAA</KHHDon><SHDon>{number + 1}</SHDon>"
        f"<NLap>{day}</NLap></TTChung><NDHDon><NBan><MST>0100109106</MST></NBan><NMua><Ten>{MARK}</Ten></NMua>"
        "</NDHDon></DLHDon></HDon>"
    )
    os.utime(file, (time.time() - 60, time.time() - 60))


def test_what_stands_beside_the_figures_is_nowhere_in_the_agent(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    bench.come_to_today()
    bench.hospital.come(TODAY, 3)
    bench.poll()
    # a patient's name where a count should be
    text = bench.hospital.config.read_text()
    bench.hospital.config.write_text(text.replace("COUNT(*) AS count", "max(patient) AS count"))
    health = bench.poll()
    assert not health.ok
    for file in bench.hospital.data.iterdir():
        assert b"MARK-" not in file.read_bytes()
    assert "MARK-" not in caplog.text + str(health)
    with closing(sqlite3.connect(bench.hospital.ledger)) as connection:
        assert "MARK-" not in "".join(connection.iterdump())
