"""A collector in a process of its own, its agents, Prometheus and people, for a number of days."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx

from collector.test_commands import Desk, add, enrolled, ready
from contract.days import local_day, now
from tests.hospital import Hospital
from tests.office import a_push, a_source, a_tally, bearer
from tests.soak.measuring import memory, size

MEASURES = ("payments", "checkins", "records", "invoices")
CATEGORIES = {"payments": "qr", "checkins": "cccd_qr", "records": "electronic", "invoices": "valid"}
_LATE_DAYS = 3


@dataclass
class Figures:
    """What was taken at the end of each day: bytes. `tallies`, `logged`: how many are stored."""

    days: int
    pushes: int = 0
    scrapes: int = 0
    tallies: int = 0
    logged: int = 0
    collector_memory: list[int] = field(default_factory=list)
    collector_disk: list[int] = field(default_factory=list)
    collector_wal: list[int] = field(default_factory=list)
    """What waits beside the database to be taken into it; in the figure before too."""
    agent_memory: list[int] = field(default_factory=list)
    agent_disk: list[int] = field(default_factory=list)
    backup_bytes: int = 0


def growth(taken: Sequence[int]) -> float:
    """How much the last third takes more than the middle third, in parts of it; the first third warms up."""
    third = len(taken) // 3
    middle, last = taken[third : 2 * third], taken[2 * third :]
    return (sum(last) / len(last)) / (sum(middle) / len(middle)) - 1


def run(directory: Path, days: int, facilities: int, polls: int) -> Figures:
    """So many days with so many polls of each facility; one more facility has a real agent."""
    figures = Figures(days)
    desk = Desk(directory)
    desk.run("migrate")
    ids = [f"{12001 + number}" for number in range(facilities)]
    for one in (*ids, "13001"):
        add(desk, one)
    reader = desk.run("user", "add", "soak", "--role", "reader")
    with serving(desk) as (process, client):
        tokens = {one: enrolled(desk, client, one) for one in ids}
        hospital = real_hospital(directory / "hospital", client, enrolled(desk, client, "13001"))
        with agent_month(hospital, days, polls) as said:
            today = local_day(now())
            for number in range(days):
                for poll in range(polls):
                    a_round(client, tokens, today - timedelta(days=days - number), poll, figures)
                people_look(client, reader, ids[0])
                figures.collector_memory.append(memory(process.pid))
                figures.collector_disk.append(size(directory / "data"))
                figures.collector_wal.append((directory / "data" / "collector.sqlite-wal").stat().st_size)
            for line in said:
                figures.agent_memory.append(line["memory"])
                figures.agent_disk.append(line["disk"])
        desk.run("backup", str(directory / "copy"))
        figures.backup_bytes = (directory / "copy").stat().st_size
    with closing(sqlite3.connect(directory / "data" / "collector.sqlite")) as connection:
        (figures.tallies,) = connection.execute("SELECT COUNT(*) FROM tally").fetchone()
        (figures.logged,) = connection.execute("SELECT COUNT(*) FROM tally_log").fetchone()
    return figures


@contextmanager
def serving(desk: Desk) -> Iterator[tuple["subprocess.Popen[bytes]", httpx.Client]]:
    """The collector's process, and a client of it."""
    process = desk.start()
    try:
        with ready(desk.port) as client:
            yield process, client
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def a_round(client: httpx.Client, tokens: dict[str, str], day: date, poll: int, figures: Figures) -> None:
    """Each facility pushes once: the running day has moved on; at night `day` is told whole, and late days corrected.

    The running day is always today, for the collector's clock is not moved.
    """
    for facility, token in tokens.items():
        moved = figures.pushes + 1  # higher each time
        sent = [tally(facility, one, local_day(now()), moved, {CATEGORIES[one]: moved}) for one in MEASURES]
        if poll == 0:
            sent += [tally(facility, one, day, 1, {CATEGORIES[one]: 100}) for one in MEASURES]
            # what was late, or has been signed since
            late = [(day - timedelta(days=back), back + 1) for back in range(1, _LATE_DAYS + 1)]
            sent += [tally(facility, "payments", one, number, {"qr": 100, "cash": number}) for one, number in late]
        source = a_source(facilities=[facility], measures=list(MEASURES), read_at=now().isoformat())
        body = a_push(token.partition(".")[0], sent, [source], sent_at=now().isoformat())
        answer = client.post("/api/v1/tallies", json=body, headers=bearer(token))
        assert (answer.json()["accepted"], answer.json()["stale"]) == (len(sent), []), answer.text
        figures.pushes += 1
        if poll == 0:
            asked = {"from": str(day - timedelta(days=35)), "to": str(day)}
            client.get("/api/v1/digests", params=asked, headers=bearer(token)).raise_for_status()
    client.get("/metrics").raise_for_status()
    figures.scrapes += 1


def tally(facility: str, measure: str, day: date, revision: int, counts: dict[str, int]) -> dict[str, Any]:
    """As it travels."""
    return a_tally(day, revision, counts, facility=facility, measure=measure)


def people_look(client: httpx.Client, reader: str, facility: str) -> None:
    """What is asked for once a day."""
    for path in ("/api/v1/standings?window=30d", "/api/v1/scopes?window=30d", f"/api/v1/standings?facility={facility}"):
        client.get(path, headers=bearer(reader)).raise_for_status()
    client.get("/login").raise_for_status()


def real_hospital(directory: Path, client: httpx.Client, token: str) -> Hospital:
    """A HIS with an agent that knows its token."""
    directory.mkdir()
    hospital = Hospital(directory, "13001", str(client.base_url).rstrip("/"))
    (directory / "token").write_text(token)
    return hospital


@contextmanager
def agent_month(hospital: Hospital, days: int, polls: int) -> Iterator[Iterator[dict[str, int]]]:
    """What the agent says after each of its days; it works while the others do."""
    command = [sys.executable, "-m", "tests.soak.agent_month", str(hospital.config), str(days), str(polls)]
    root = Path(__file__).parent.parent.parent
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
    assert process.stdout is not None
    try:
        yield map(json.loads, process.stdout)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
