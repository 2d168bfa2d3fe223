"""No mark that stands in a source comes out of it: one test over all kinds, by the real commands."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.conftest import run
from tests.examples import EXAMPLES, MARK, TODAY, Example
from tests.faulty_collector import TOKEN, FaultyCollector
from tests.hospital import Hospital, environment
from tests.test_kinds import kinds

pytestmark = pytest.mark.slow


class Ward:
    """The agent beside one source, and all that it has said."""

    def __init__(self, directory: Path, example: Example, collector: FaultyCollector) -> None:
        self.directory = directory
        self.collector = collector
        self.said: dict[str, bytes] = {}
        (directory / "tmp").mkdir()
        (directory / "agent.token").write_text(TOKEN)
        (directory / "agent.toml").write_text(
            f"[agent]\nfacilities = {json.dumps(example.facilities)}\n"
            f'collector = "{collector.url}"\ntoken_file = "agent.token"\ndata_dir = "data"\n'
            f"deep_reread_days = 1\n{example.toml}",
            "utf-8",
        )

    def run(self, stage: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """`nhipso-agent --debug … ARGUMENTS`, to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "agent", "--debug", "--config", "agent.toml", *arguments],
            capture_output=True,
            timeout=60,
            cwd=self.directory,
            env={**environment(), "TMPDIR": str(self.directory / "tmp")},
        )
        self.said[f"{stage}: {' '.join(arguments)}"] = done.stdout + done.stderr
        return done

    def run_side_by_side(
        self, stage: str, commands: Sequence[Sequence[str]]
    ) -> list[subprocess.CompletedProcess[bytes]]:
        """Several commands at once."""
        with ThreadPoolExecutor(len(commands)) as pool:
            return list(pool.map(lambda arguments: self.run(stage, *arguments), commands))

    def leaks(self) -> list[str]:
        """Where a mark is: what was said and sent, and every file that the agent keeps or forgot."""
        places = dict(self.said)
        places |= {f"request {number}": body for number, body in enumerate(self.collector.bodies)}
        places["addresses asked"] = repr(self.collector.asked).encode()
        kept = [file for name in ("data", "tmp") for file in (self.directory / name).rglob("*")]
        places |= {f"file {file}": file.read_bytes() for file in kept if file.is_file()}
        places["names of files"] = " ".join(map(str, kept)).encode()
        return [place for place, content in places.items() if _has_mark(content)]


def _has_mark(content: bytes) -> bool:
    """In any case, as text of any width."""
    return b"mark-" in content.lower() or "mark-".encode("utf-16-le") in content.lower()


@pytest.fixture
def collector() -> Iterator[FaultyCollector]:
    with FaultyCollector() as one:
        yield one


def test_every_kind_has_an_example_and_no_example_is_without_a_kind() -> None:
    assert sorted(EXAMPLES) == sorted(kinds())


@pytest.mark.parametrize("kind", kinds())
def test_nothing_of_a_person_leaves_a_source_whether_it_is_whole_or_broken(
    kind: str, tmp_path: Path, collector: FaultyCollector
) -> None:
    with EXAMPLES[kind](tmp_path) as example:
        ward = Ward(tmp_path, example, collector)
        done = ward.run("whole", "poll-once")
        assert done.returncode == 0, done.stderr.decode()
        looks = [["check", "--json"], ["status", "--json"], ["explain", example.measure]]
        assert [one.returncode for one in ward.run_side_by_side("whole", looks)] == [0, 0, 0]
        assert ward.leaks() == []
        found = collector.stored[example.facilities[0], "x", example.measure, str(TODAY)][1]
        assert example.counts.items() <= found.items()
        *before, last = example.breaks
        for name in before:
            example.breaks[name]()
            ward.run(name, "poll-once")
            assert ward.leaks() == []
        example.breaks[last]()
        ward.run_side_by_side(last, [["poll-once"], ["check"]])
        [status] = json.loads(ward.run(last, "status", "--json").stdout)["sources"]
        assert status["problems"] or not status["ok"]  # it did break
        assert ward.leaks() == []


@pytest.mark.parametrize("server", ["postgres_url", "mariadb_url"])
def test_a_database_that_quotes_the_cell_it_could_not_cast_is_not_quoted(
    server: str, tmp_path: Path, collector: FaultyCollector, request: pytest.FixtureRequest
) -> None:
    url = str(request.getfixturevalue(server))
    run(url, "CREATE TABLE visits (luc TIMESTAMP NULL, ten VARCHAR(200))")
    run(url, f"INSERT INTO visits VALUES ('{TODAY} 08:00:00', '{MARK}')")
    (tmp_path / "db.url").write_text(url, "utf-8")
    queries = "".join(
        f'[sources.x.queries.{measure}]\nsql = "SELECT {day} AS day, {category} AS category, {count} AS count'
        ' FROM visits WHERE luc >= :start AND luc < :end"\n'
        for measure, day, category, count in (
            ("visits", "luc", "'outpatient'", "1"),
            ("prescriptions", "CAST(ten AS date)", "'paper'", "1"),
            ("telemedicine", "luc", "'completed'", "CAST(ten AS decimal)"),
            ("documents", "luc", "khong_co", "CAST(ten AS decimal)"),
            ("inspections", "luc", "extractvalue(ten, ten)" if "mysql" in url else "ten::xml::text", "1"),
        )
    )
    toml = f'[sources.x]\nkind = "his.sql"\ndatabase_file = "db.url"\n{queries}'
    ward = Ward(tmp_path, Example(toml, "visits", {}, {}), collector)
    polled = ward.run("broken", "poll-once")
    ward.run_side_by_side("broken", [["check"], ["check", "--json"], ["status", "--json"]])
    assert "prescriptions" in polled.stderr.decode()
    assert collector.stored["12001", "x", "visits", str(TODAY)][1] == {"outpatient": 1}
    assert ward.leaks() == []


def test_a_raw_value_leaves_only_when_it_is_frequent_and_is_kept_for_check_and_status(tmp_path: Path) -> None:
    days = [TODAY - timedelta(days=back) for back in range(3)]
    hospital = Hospital(tmp_path)
    for day in days:
        hospital.come(day, 4, method="THUONG-GAP")  # 12 cases, 3 days
        hospital.come(day, 3, method="IT-CA")  # 9 cases, 3 days
    for day in days[:2]:
        hospital.come(day, 30, method="IT-NGAY")  # 60 cases, 2 days
    with FaultyCollector() as collector:
        hospital.collector = collector.url
        hospital.configure()
        hospital.token.write_text(TOKEN)
        assert hospital.run("poll-once").returncode == 0
        sent = b"".join(collector.bodies).lower()
        assert [value for value in (b"thuong-gap", b"it-ca", b"it-ngay") if value in sent] == [b"thuong-gap"]
        assert MARK.encode() not in sent and b"mark-" not in sent
        checked = json.loads(hospital.run("check", "--json").stdout)["sources"][0]["unmapped"]["checkins"]
        status = json.loads(hospital.run("status", "--json").stdout)["unmapped"]["his"]["12001"]["checkins"]
        expected = {"it-ngay": 60, "thuong-gap": 12, "it-ca": 9}
        assert {value.lower(): cases for value, cases in checked.items()} == expected
        assert {value.lower(): cases for value, cases in status.items()} == expected
