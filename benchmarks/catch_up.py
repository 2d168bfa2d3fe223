"""600 agents return after 30 days: how long until the fresh day of each is there, and all, and what memory it takes.

The collector is a real one on SQLite that holds the month before. The agents run in two processes, 300 each, with the
agent's own ledger, pusher, link and waits: each has been refused for a month, so that it is somewhere within one of its
longest waits when the line is back, and it obeys `Retry-After`. In life each has a machine of its own: here their
ledgers lie in memory, and the collector goes before them on the processors that it shares with them. Time is counted
from the moment at which the line is back.

The agent's own memory is that of one more, in a process of its own: it reads fifteen measures while the line is cut,
as many days as a first read takes (36), and then delivers them.

No peer does this: Pushgateway keeps one value of each series, and remote write's receivers refuse what is older than
an hour or two unless they are told otherwise.
"""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

from agent.disk import Disk
from agent.ledger import Ledger, Rule
from agent.link import Link
from agent.pusher import Pusher
from agent.reader import Description
from agent.settings import Settings, load
from agent.waits import Waits
from benchmarks.batches import MEASURES
from benchmarks.folders import row, show
from benchmarks.processes import MIB, children, peak, processor, pss
from benchmarks.province import fill, serving
from collector.store import Store
from contract import catalogue
from contract.adapter import DayCount
from contract.days import DayRange, local_day, now
from contract.errors import CollectorUnavailableError
from contract.tally import Ack

AGENTS, PROCESSES, DAYS = 600, 2, 30
FIRST_READ = 36
"""Days: `deep_reread_days` and today."""
FRESH_SECONDS, LARGEST = 60.0, 1024
"""Goals: seconds until the fresh day is there (the 99th of 100 agents), and MiB."""
_KNOWN = catalogue.load()
_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
TODAY = local_day(now())


def run() -> list[dict[str, Any]]:
    """Measure. Takes about two minutes."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with closing(Store(f"sqlite:///{directory / 'collector.sqlite'}")) as store:
            store.migrate()
            tokens = fill(store, AGENTS + 1, DAYS, TODAY - timedelta(days=DAYS))
        facility, token = tokens.popitem()
        with serving(directory, {}) as (address, _):
            [collector] = children(os.getpid())
            before, busy = peak(collector) / MIB, processor(collector)
            seconds, fresh = _return(address, tokens)
            most, busy = peak(collector) / MIB, processor(collector) - busy
            print(f"the collector took {busy:.0f} s of the processor")
            agent = _one_agent(address, facility, token) / MIB
        found = _count(directory)
    expected = (AGENTS + 1) * 2 * DAYS * len(MEASURES)
    late = sorted(fresh)[int(len(fresh) * 0.99)]
    agents, largest, tallies = f"{AGENTS} agents after {DAYS} days", f"< {LARGEST} MiB", AGENTS * DAYS * len(MEASURES)
    stored = f"s ({found} of {expected} tallies are stored)"
    return [
        row(f"catch-up: fresh day of {agents}, p99", late, None, "s", f"< {FRESH_SECONDS:.0f} s", late < FRESH_SECONDS),
        row(f"catch-up: all {tallies} tallies of {agents}", seconds, None, stored, "all", found == expected),
        row("catch-up: the collector's peak", most, None, f"MiB (RSS; before: {before:.0f})", largest, most < LARGEST),
        row(f"catch-up: agent's peak, {FIRST_READ} days waiting", agent, None, "MiB (PSS)", largest, agent < LARGEST),
    ]


def _count(directory: Path) -> int:
    with closing(sqlite3.connect(directory / "collector.sqlite")) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM tally").fetchone()[0])


def _return(address: str, tokens: dict[str, str]) -> tuple[float, list[float]]:
    """Seconds from the line's return until all is delivered, and until the fresh day of each agent was there."""
    agents = list(tokens.items())
    parts = [[address, agents[number::PROCESSES]] for number in range(PROCESSES)]
    with ExitStack() as stack:
        herds = [stack.enter_context(_herd()) for _ in parts]
        for herd, part in zip(herds, parts, strict=True):
            _say(herd, part)
        for herd in herds:
            assert _hear(herd) == "ready"
        back = time.monotonic()  # one clock for all processes of a machine
        for herd in herds:
            _say(herd, back)
        delivered = [one for herd in herds for one in _hear(herd)]
    print(
        f"{sum(one['pushes'] for one in delivered)} pushes of {sum(one['bytes'] for one in delivered) / MIB:.0f} MiB, "
        f"{sum(one['told_to_wait'] for one in delivered)} told to come later; half of the agents had delivered all "
        f"after {sorted(one['all'] for one in delivered)[len(delivered) // 2]:.0f} s"
    )
    return max(one["all"] for one in delivered), [one["fresh"] for one in delivered]


@contextmanager
def _herd() -> Iterator["subprocess.Popen[str]"]:
    # 300 agents in one process need not read the machine's certificates 300 times: the line is a loopback
    environment = {**os.environ, "SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}
    command = [sys.executable, "-m", "benchmarks.catch_up", "agents"]
    herd = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        yield herd
    finally:
        herd.kill()
        herd.communicate()


def _say(herd: "subprocess.Popen[str]", what: object) -> None:
    assert herd.stdin
    print(json.dumps(what), file=herd.stdin, flush=True)


def _hear(herd: "subprocess.Popen[str]") -> Any:
    assert herd.stdout
    return json.loads(herd.stdout.readline())


class _Line(Link):
    """The agent's link, and when its pushes were acked."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.acked: list[float] = []
        self.bytes = 0

    def push(self, body: bytes) -> Ack:
        ack = super().push(body)
        assert not ack.refused and not ack.stale, ack
        self.acked.append(time.monotonic())
        self.bytes += len(body)
        return ack


class _Agent:
    """An agent whose ledger holds what nobody has taken for `DAYS` days."""

    def __init__(self, directory: Path, address: str, facility: str, token: str) -> None:
        self._settings = load(_configured(directory, address, facility, token))
        self._random = Random(facility)
        disk = Disk(self._settings.data_dir / "ledger.sqlite", now())
        counts = [
            DayCount(facility, measure, day, {code: self._random.randint(1, 200) for code in codes})
            for day in DayRange.ending(TODAY, DAYS)
            for measure, codes in MEASURES.items()
        ]
        Ledger(disk).record("his", counts, Rule(vanish_before=date.min))
        # an agent has read its catalogue before; 300 in a process share no such memory
        told = {"digest": _KNOWN.digest, "catalogue": _KNOWN.model_dump(mode="json")}
        (directory / "catalogue.json").write_text(json.dumps(told), "utf-8")
        self.line = _Line(self._settings)
        self._pusher = Pusher(self._settings, disk, self.line)
        self._kinds = {"his": Description(tuple(MEASURES), "his", True, {})}
        self.told_to_wait = 0

    def deliver(self, back: float) -> None:
        """As `Service` does, from the moment at which the line is back."""
        waits = Waits()
        time.sleep(max(0.0, back + self._next_try(waits) - time.monotonic()))
        while True:
            try:
                return self._pusher.push(self._kinds)
            except CollectorUnavailableError as error:
                self.told_to_wait += 1
                time.sleep(waits.after(error))

    def _next_try(self, waits: Waits) -> float:
        """Seconds from the line's return to the agent's next try: it has been trying for hours."""
        tries, hours = 0.0, 3600.0 * self._random.uniform(1, 2)
        while tries < hours:
            tries += waits.after(CollectorUnavailableError("không tới được"))
        return tries - hours


def _configured(directory: Path, address: str, facility: str, token: str, sources: str = "") -> Path:
    """agent.toml of one facility."""
    directory.mkdir()
    (directory / "token").write_text(token)
    config = directory / "agent.toml"
    config.write_text(
        f'[agent]\nfacility = "{facility}"\ncollector = "{address}"\ntoken_file = "token"\ndata_dir = "."\n'
        f'poll_minutes = 60\n[sources.his]\nkind = "his.sql"\ndatabase_file = "url"\n{sources}',
        "utf-8",
    )
    return config


def _main() -> None:
    """Run agents: which ones, and since when the line is back, comes on standard input; how each fared goes out."""
    os.nice(10)
    address, mine = json.loads(sys.stdin.readline())
    with tempfile.TemporaryDirectory(dir=_MEMORY) as name:
        agents = [_Agent(Path(name) / facility, address, facility, token) for facility, token in mine]
        print(json.dumps("ready"), flush=True)
        back = json.loads(sys.stdin.readline())
        threads = [threading.Thread(target=one.deliver, args=[back]) for one in agents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    said = [
        {
            "fresh": one.line.acked[0] - back,
            "all": one.line.acked[-1] - back,
            "pushes": len(one.line.acked),
            "bytes": one.line.bytes,
            "told_to_wait": one.told_to_wait,
        }
        for one in agents
    ]
    print(json.dumps(said), flush=True)


def _one_agent(address: str, facility: str, token: str) -> int:
    """The most PSS of a real agent with its readers, while nothing is taken and while all is delivered."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name) / "agent"
        queries = "".join(
            f'[sources.his.queries.{measure}]\nsql = """SELECT substr(at, 1, 10) AS day, kind AS category, count(*) AS '
            f'count FROM cases WHERE at >= :start AND at < :end GROUP BY 1, 2"""\ncategories = {{ A = "{codes[0]}" }}\n'
            for measure, codes in MEASURES.items()
        )
        config = _configured(directory, "http://127.0.0.1:9", facility, token, queries)
        (directory / "url").write_text("sqlite:///his.sqlite")
        with closing(sqlite3.connect(directory / "his.sqlite")) as connection, connection:
            connection.execute("CREATE TABLE cases (at TEXT, kind TEXT)")
            days = [(f"{day} 08:00:00", "A") for day in DayRange.ending(TODAY, 60) for _ in range(100)]
            connection.executemany("INSERT INTO cases VALUES (?, ?)", days)
        waiting = _weighed(config, directory, lambda left: left == FIRST_READ * len(MEASURES))
        config.write_text(config.read_text("utf-8").replace("http://127.0.0.1:9", address), "utf-8")
        return max(waiting, _weighed(config, directory, lambda left: left == 0))


def _weighed(config: Path, directory: Path, is_done: Callable[[int], bool]) -> int:
    """The most PSS of the agent and its readers until so many tallies wait, and a second longer."""
    ledger = (directory / "ledger.sqlite").as_uri() + "?mode=ro"
    with (directory / "log").open("ab") as log:
        command = [sys.executable, "-m", "agent", "--config", str(config), "run"]
        agent = subprocess.Popen(command, stdout=log, stderr=log)
    most, deadline, until = 0, time.monotonic() + 120, 0.0
    try:
        while time.monotonic() < (until or deadline):
            most = max(most, pss(agent.pid) + sum(map(pss, children(agent.pid))))
            if not until:
                until = time.monotonic() + 1 if is_done(_waiting(ledger)) else 0.0
            time.sleep(0.02)
    finally:
        agent.terminate()
        agent.wait(30)
    if not until:
        raise TimeoutError("the agent did not come to that")
    return most


def _waiting(ledger: str) -> int:
    """How many tallies wait to be sent; -1 while there is no ledger."""
    try:
        with closing(sqlite3.connect(ledger, uri=True)) as connection:
            return int(connection.execute("SELECT COUNT(*) FROM tally WHERE revision > acked").fetchone()[0])
    except sqlite3.Error:
        return -1


if __name__ == "__main__":
    _main() if sys.argv[1:] == ["agents"] else show(run())
