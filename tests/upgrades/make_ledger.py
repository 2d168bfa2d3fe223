"""`python -m tests.upgrades.make_ledger`: writes the fixture of the agent's ledger as this version keeps it.

Done when its schema changes (agent/disk.py), for the version before the change; a fixture is never made again.
"""

import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from agent.disk import _VERSION, Disk, row_sum
from contract.days import now

LEDGERS = Path(__file__).parent.parent / "fixtures" / "ledgers"
_KEY = {"source": "his", "facility": "12001", "measure": "checkins"}
_EMPTY: Mapping[str, Any] = {"acked": 0, "stored": None, "parked": None, "reason": None}


def _summed(row: Mapping[str, Any]) -> Mapping[str, Any]:
    cells = ("source", "facility", "measure", "day", "revision", "counts", "stored")
    return {**row, "sum": row_sum(*(row[name] for name in cells))}


ROWS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "tally": [
        {**_KEY, **_EMPTY, "day": "2026-10-01", "counts": '{"cccd_qr":3}', "revision": 4, "acked": 4},
        {**_KEY, **_EMPTY, "day": "2026-10-02", "counts": "{}", "revision": 2, "acked": 1},
        {**_KEY, **_EMPTY, "day": "2026-10-03", "counts": '{"manual":1}', "revision": 1, "stored": 9},
        {**_KEY, **_EMPTY, "day": "2026-10-04", "counts": '{"vneid":1}', "revision": 1, "parked": "not_owner",
         "reason": "nguồn “his2” đang đếm số này"},
    ],
    "progress": [{"source": "his", "measure": "checkins", "last_good_day": "2026-10-04"}],
    "source": [
        {"name": "his", "identity": "his.sql sqlite", "first_day": "2026-01-01", "ok": 0,
         "read_at": "2026-10-04T08:00:00+07:00", "since": "2026-10-04T09:00:00+07:00", "error": "không tới được",
         "failed": '{"payments":"không tới được"}', "strangers": '{"BV09":3}', "seconds": '{"checkins":0.5}'},
    ],
    "unmapped": [
        {"source": "his", "facility": "12001", "measure": "checkins", "day": "2026-10-04", "value": "MOI", "cases": 12}
    ],
    "file": [{"source": "hoadon", "path": b"a/1.xml", "identity": "1-2-3", "problem": "không đọc được", "away": 1}],
    "entry": [
        {"source": "hoadon", "path": b"a/2.xml", "measure": "invoices", "case": b"\x00hmac", "rank": "01",
         "category": "valid", "facility": "12001", "day": "2026-10-04", "cases": 1},
    ],
    "touched": [{"source": "hoadon", "measure": "invoices", "facility": "12001", "day": "2026-10-04"}],
    "state": [
        {"name": "store_id", "value": "0123456789abcdef"},
        {"name": "nightly_at", "value": "2026-10-04T02:40:00+07:00"},
    ],
}  # fmt: skip


def main() -> None:
    """The dump of a ledger with rows in every table."""
    LEDGERS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nhipso-") as directory:
        file = Path(directory) / "ledger.sqlite"
        Disk(file, now()).close()
        with closing(sqlite3.connect(file)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
            assert tables == ROWS.keys(), tables ^ ROWS.keys()
            for table, rows in ROWS.items():
                for row in map(_summed, rows) if table == "tally" else rows:
                    names, marks = ", ".join(f'"{one}"' for one in row), ", ".join("?" * len(row))
                    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))
            connection.commit()
            dump = "\n".join([*connection.iterdump(), f"PRAGMA user_version = {_VERSION};", ""])
    (LEDGERS / f"{_VERSION}.sql").write_text(dump, "utf-8")


if __name__ == "__main__":
    main()
