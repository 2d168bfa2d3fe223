"""The commands as a user types them, each in a process of its own."""

import json
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from agent.disk import Disk
from agent.ledger import Ledger, Rule
from conftest import free_port
from contract.adapter import DayCount
from contract.days import local_day, now
from tests.faulty_collector import TOKEN, FaultyCollector, answer
from tests.hospital import MARK, Hospital
from tests.real_collector import RealCollector

TODAY = local_day(now())
pytestmark = pytest.mark.slow


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    return Hospital(tmp_path)


@pytest.fixture
def faulty(hospital: Hospital) -> Iterator[FaultyCollector]:
    with FaultyCollector() as collector:
        hospital.collector = collector.url
        hospital.configure()
        hospital.token.write_text(TOKEN)
        yield collector


def traces(directory: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in sorted(directory.rglob("*")) if file.is_file()}


def test_init_writes_a_commented_file_that_check_understands_and_overwrites_nothing(tmp_path: Path) -> None:
    hospital = Hospital(tmp_path)
    hospital.config = tmp_path / "new" / "agent.toml"
    assert hospital.run("init", str(tmp_path / "new")).returncode == 0
    text = hospital.config.read_text("utf-8")
    assert "# " in text
    checked = hospital.run("check")
    assert checked.returncode == 2
    assert "[sources.his]: database_file" in checked.stderr
    assert hospital.run("init", str(tmp_path / "new")).returncode == 2
    assert hospital.config.read_text("utf-8") == text


class TestEnrol:
    def test_the_token_is_kept_where_only_the_agent_can_read_it(self, hospital: Hospital) -> None:
        collector = RealCollector(hospital.directory, free_port())
        try:
            code = collector.code("12001")
            done = hospital.run("enrol", "--collector", collector.url, "--code", code)
            assert done.returncode == 0, done.stderr
            assert stat.S_IMODE(hospital.token.stat().st_mode) == 0o600
            assert hospital.token.read_text().strip() not in done.stdout + done.stderr
            again = hospital.run("enrol", "--collector", collector.url, "--code", code)
            assert again.returncode == 1
            assert code not in again.stderr
        finally:
            collector.close()

    def test_a_code_is_not_used_up_when_the_token_could_not_be_kept(
        self, hospital: Hospital, faulty: FaultyCollector
    ) -> None:
        hospital.config.write_text(hospital.config.read_text().replace('"token"', '"his.url/token"'))
        done = hospital.run("enrol", "--code", "K7QP")
        assert done.returncode == 1
        assert "his.url" in done.stderr
        assert faulty.asked == []

    def test_a_failed_enrolment_leaves_the_old_token(self, hospital: Hospital, faulty: FaultyCollector) -> None:
        hospital.collector = "http://127.0.0.1:9"
        hospital.configure()
        assert hospital.run("enrol", "--code", "K7QP").returncode == 1
        assert hospital.token.read_text() == TOKEN
        assert not (hospital.directory / "token.new").exists()


class TestCheck:
    def test_it_prints_exactly_the_agreed_json_sends_nothing_and_leaves_no_trace(
        self, hospital: Hospital, faulty: FaultyCollector
    ) -> None:
        hospital.come(TODAY, 3)
        hospital.come(TODAY, 2, method="MOI")
        hospital.come(TODAY - timedelta(days=1), 1)
        before = traces(hospital.directory)
        done = hospital.run("check", "--json")
        assert done.returncode == 0, done.stderr
        [source] = json.loads(done.stdout)["sources"]
        assert {"name", "kind", "ok", "error", "seconds", "tallies", "unmapped"} <= source.keys()
        assert (source["name"], source["kind"], source["ok"], source["error"]) == ("his", "his.sql", True, None)
        assert source["seconds"] > 0
        assert len(source["tallies"]) == 4
        today = {"facility": "12001", "measure": "checkins", "day": str(TODAY), "counts": {"cccd_qr": 3, "unknown": 2}}
        assert today in source["tallies"]
        assert source["unmapped"] == {"checkins": {"MOI": 2}}
        assert traces(hospital.directory) == before
        assert faulty.asked == []

    def test_it_leaves_no_trace_beside_a_ledger_either(self, hospital: Hospital, faulty: FaultyCollector) -> None:
        assert hospital.run("poll-once").returncode == 0
        hospital.come(TODAY, 3)
        (hospital.data / "catalogue.json").write_text("{")
        before, asked = traces(hospital.directory), len(faulty.asked)
        assert hospital.run("check").returncode == 0
        assert hospital.run("status").returncode == 0
        assert traces(hospital.directory) == before
        assert len(faulty.asked) == asked

    def test_a_source_that_does_not_answer_is_exit_1_and_is_named(self, hospital: Hospital) -> None:
        hospital.database.unlink()
        done = hospital.run("check")
        assert done.returncode == 1
        assert "his" in done.stdout and "LỖI" in done.stdout
        assert "Traceback" not in done.stderr

    def test_a_wrong_file_is_exit_2_with_every_mistake(self, hospital: Hospital) -> None:
        hospital.configure(agent="poll_minutes = 0", source="colour = 1")
        done = hospital.run("check", "--json")
        assert done.returncode == 2
        assert len(done.stderr.strip().splitlines()) == 2
        assert done.stdout == ""

    def test_it_works_on_a_damaged_ledger_and_status_says_that_it_is_one(self, hospital: Hospital) -> None:
        hospital.data.mkdir()
        hospital.ledger.write_bytes(bytes(8192))
        before = traces(hospital.data)
        assert hospital.run("check").returncode == 0
        done = hospital.run("status")
        assert done.returncode == 1
        assert "hỏng" in done.stderr
        assert traces(hospital.data) == before


class TestExplain:
    def test_it_shows_query_mapping_and_definition(self, hospital: Hospital) -> None:
        done = hospital.run("explain", "checkins")
        assert done.returncode == 0
        for text in ("FROM checkins WHERE in_time >= :start", "qr → cccd_qr", "Lượt tiếp đón"):
            assert text in done.stdout

    def test_it_shows_the_indicators_that_are_made_of_the_measure(self, hospital: Hospital) -> None:
        hospital.configure(measures=("checkins_insured",))
        assert " ÷ (" in hospital.run("explain", "checkins_insured").stdout

    def test_a_measure_that_nobody_counts_is_exit_1_and_an_unknown_one_exit_2(self, hospital: Hospital) -> None:
        assert hospital.run("explain", "payments").returncode == 1
        assert hospital.run("explain", "no_such").returncode == 2


class TestPollOnce:
    def test_it_reads_and_pushes_and_says_what_waits(self, hospital: Hospital, faulty: FaultyCollector) -> None:
        hospital.come(TODAY, 3)
        done = hospital.run("poll-once")
        assert done.returncode == 0, done.stderr
        assert faulty.counts(TODAY) == {"cccd_qr": 3}
        assert "Còn chờ 0" in done.stdout

    def test_days_the_collector_knows_otherwise_are_settled_in_the_same_run(
        self, hospital: Hospital, faulty: FaultyCollector
    ) -> None:
        hospital.come(TODAY, 3)
        faulty.stored["12001", "his", "checkins", str(TODAY)] = (7, {"cccd_qr": 1})
        assert hospital.run("poll-once").returncode == 0
        assert faulty.stored["12001", "his", "checkins", str(TODAY)] == (8, {"cccd_qr": 3})

    def test_without_a_collector_it_is_exit_1_and_nothing_is_lost(
        self, hospital: Hospital, faulty: FaultyCollector
    ) -> None:
        hospital.come(TODAY, 3)
        faulty.faults.append(answer(500, {}))
        done = hospital.run("poll-once")
        assert done.returncode == 1
        assert "500" in done.stderr and "Traceback" not in done.stderr
        assert hospital.run("poll-once").returncode == 0
        assert faulty.counts(TODAY) == {"cccd_qr": 3}

    def test_a_source_that_is_away_is_exit_1_and_the_collector_is_told(
        self, hospital: Hospital, faulty: FaultyCollector
    ) -> None:
        hospital.database.unlink()
        assert hospital.run("poll-once").returncode == 1
        assert faulty.pushes[-1]["sources"][0]["ok"] is False

    def test_a_ledger_full_of_zeros_is_put_aside_and_the_source_read_again(
        self, hospital: Hospital, faulty: FaultyCollector
    ) -> None:
        hospital.come(TODAY, 3)
        assert hospital.run("poll-once").returncode == 0
        hospital.ledger.write_bytes(bytes(hospital.ledger.stat().st_size))
        hospital.come(TODAY, 1)
        done = hospital.run("poll-once")
        assert done.returncode == 0, done.stderr
        assert "hỏng" in done.stderr
        assert faulty.counts(TODAY) == {"cccd_qr": 4}
        report = json.loads(hospital.run("status", "--json").stdout)
        assert len(report["damaged_ledgers"]) == 1


class TestBackfill:
    def test_older_days_are_read_and_sent(self, hospital: Hospital, faulty: FaultyCollector) -> None:
        day = TODAY - timedelta(days=100)
        hospital.come(day, 3)
        done = hospital.run("backfill", "--from", str(day), "--to", str(day + timedelta(days=9)))
        assert done.returncode == 0, done.stderr
        assert len(faulty.stored) == 10
        assert faulty.counts(day) == {"cccd_qr": 3}

    def test_an_old_day_that_vanished_is_sent_only_with_accept_empty(
        self, hospital: Hospital, faulty: FaultyCollector
    ) -> None:
        day = str(TODAY - timedelta(days=100))
        faulty.stored["12001", "his", "checkins", day] = (4, {"cccd_qr": 3})
        assert hospital.run("backfill", "--from", day, "--to", day).returncode == 0
        assert faulty.stored["12001", "his", "checkins", day] == (4, {"cccd_qr": 3})
        report = json.loads(hospital.run("status", "--json").stdout)
        assert [one["code"] for one in report["refused"]] == ["vanished"]
        assert hospital.run("backfill", "--from", day, "--to", day, "--accept-empty").returncode == 0
        assert faulty.stored["12001", "his", "checkins", day] == (5, {})

    @pytest.mark.parametrize(
        "arguments",
        [("--from", "2026-02-01", "--to", "2026-01-01"), ("--from", "1/2/2026", "--to", "2026-02-01"), ()],
    )
    def test_wrong_days_are_exit_2(self, hospital: Hospital, arguments: tuple[str, ...]) -> None:
        assert hospital.run("backfill", *arguments).returncode == 2


class TestStatus:
    def test_before_the_first_run_it_is_exit_2(self, hospital: Hospital) -> None:
        assert hospital.run("status").returncode == 2
        assert not hospital.data.exists()

    def test_it_names_sources_refusals_unmapped_values_and_the_last_ack(
        self, hospital: Hospital, faulty: FaultyCollector
    ) -> None:
        hospital.come(TODAY, 3, method="MOI")
        faulty.refused = {"checkins": "facility_closed"}
        hospital.run("poll-once")
        report = json.loads(hospital.run("status", "--json").stdout)
        assert (report["waiting"], report["parked"]) == (0, 36)
        assert report["last_ack"] is not None
        assert report["sources"][0]["ok"] is True
        assert report["refused"][0]["code"] == "facility_closed"
        assert report["unmapped"] == {"his": {"12001": {"checkins": {"MOI": 3}}}}
        shown = hospital.run("status").stdout
        for text in ("his", "facility_closed", "MOI", "36"):
            assert text in shown


def test_what_stands_beside_the_figures_is_not_told_at_debug_nor_sent(
    hospital: Hospital, faulty: FaultyCollector
) -> None:
    hospital.come(TODAY, 3)
    one = hospital.run("--debug", "poll-once")
    text = hospital.config.read_text()
    hospital.config.write_text(text.replace("COUNT(*) AS count", "max(patient) AS count"))
    others = [hospital.run(*arguments) for arguments in (("--debug", "poll-once"), ("status",))]
    said = "".join(done.stdout + done.stderr for done in (one, *others))
    assert one.returncode == 0 and others[0].returncode == 1
    assert "count" in said
    for content in (said.encode(), *faulty.bodies, *traces(hospital.data).values()):
        assert b"MARK" not in content
        assert TOKEN.encode() not in content
    assert MARK in hospital.database.read_bytes().decode("utf-8", "replace")


def test_the_agents_own_process_loads_no_driver_and_no_parser() -> None:
    code = (
        "import sys, agent.__main__, agent.schedule\n"
        "print([name for name in ('sqlalchemy', 'lxml', 'fastapi') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_agent_that_has_polled_still_has_loaded_none(hospital: Hospital) -> None:
    code = (
        "import sys; from pathlib import Path; from agent.app import start; from agent.settings import load\n"
        "from contract.days import now\n"
        f"agent = start(load(Path({str(hospital.config)!r})), now())\n"
        "assert agent.poll(agent.settings.sources[0]).ok; agent.close()\n"
        "print([name for name in ('sqlalchemy', 'lxml', 'adapters') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_data_directory_that_cannot_be_made_is_said_without_a_traceback(hospital: Hospital) -> None:
    hospital.config.write_text(hospital.config.read_text().replace('"data"', '"his.url/data"'))
    done = hospital.run("poll-once")
    assert done.returncode == 1
    assert "sổ của agent" in done.stderr and "Traceback" not in done.stderr


def test_a_large_first_read_takes_seconds(hospital: Hospital, faulty: FaultyCollector) -> None:
    first = TODAY - timedelta(days=1500)
    hospital.configure(agent="deep_reread_days = 1500")
    hospital.come(first, 3)
    started = now()
    assert hospital.run("poll-once").returncode == 0
    assert (now() - started).total_seconds() < 30
    assert len(faulty.stored) == 1501


def test_a_ledger_that_waits_is_counted_in_status_while_another_process_writes(hospital: Hospital) -> None:
    disk = Disk(hospital.ledger, now())
    Ledger(disk).record("his", [DayCount("12001", "checkins", TODAY, {"cccd_qr": 1})], Rule(TODAY))
    with disk.transaction():
        report = json.loads(hospital.run("status", "--json").stdout)
    disk.close()
    assert report["waiting"] == 1


def test_every_command_of_the_contract_has_a_help_text(hospital: Hospital) -> None:
    shown = hospital.run("--help").stdout
    for command in ("init", "enrol", "check", "explain", "poll-once", "run", "backfill", "status"):
        assert re.search(rf"^  {command} +\S", shown, re.M)
