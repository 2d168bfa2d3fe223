"""No mark that stands in a source comes out of it: one test over all kinds, by the real commands."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

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
        (directory / "token").write_text(TOKEN)
        (directory / "agent.toml").write_text(
            f"[agent]\nfacilities = {json.dumps(example.facilities)}\n"
            f'collector = "{collector.url}"\ntoken_file = "token"\ndata_dir = "data"\ndeep_reread_days = 5\n{example.toml}',
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

    def run_side_by_side(self, stage: str, commands: Sequence[Sequence[str]]) -> None:
        """Several commands that only look."""
        with ThreadPoolExecutor(len(commands)) as pool:
            list(pool.map(lambda arguments: self.run(stage, *arguments), commands))

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
        ward.run_side_by_side("whole", [["check", "--json"], ["status", "--json"], ["explain", example.measure]])
        assert ward.leaks() == []
        found = collector.stored[example.facilities[0], "x", example.measure, str(TODAY)][1]
        assert example.counts.items() <= found.items()
        checked = json.loads(ward.run("whole", "check", "--json").stdout)["sources"][0]
        assert checked["ok"]
        for name, spoil in example.breaks.items():
            spoil()
            ward.run(name, "poll-once")
            assert ward.leaks() == []
        ward.run_side_by_side("broken", [["check"], ["status"]])
        assert ward.leaks() == []
