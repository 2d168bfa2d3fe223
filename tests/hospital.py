"""A hospital for tests: one table in a real SQLite file, and the agent.toml that counts it."""

import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import date
from pathlib import Path

MARK = "MARK-Nguyễn Văn A-0912345678"
"""Stands in every column that no figure is made of, and must never be seen outside of the source."""

QUERY = """
[sources.{source}.queries.{measure}]
time = "datetime"
sql = \"\"\"
SELECT substr(in_time, 1, 10) AS day, method AS category, COUNT(*) AS count
FROM {table} WHERE in_time >= :start AND in_time < :end GROUP BY 1, 2
\"\"\"
[sources.{source}.queries.{measure}.categories]
QR = "cccd_qr"
TAY = "manual"
"""


class Hospital:
    """`directory` with his.sqlite (a table for each measure), his.url, agent.toml, and the agent's own files."""

    def __init__(self, directory: Path, facility: str = "12001", collector: str = "http://127.0.0.1:9") -> None:
        self.directory = directory
        self.facility = facility
        self.collector = collector
        self.config = directory / "agent.toml"
        self.data = directory / "data"
        self.ledger = self.data / "ledger.sqlite"
        self.token = directory / "token"
        self.database = directory / "his.sqlite"
        (directory / "his.url").write_text(f"sqlite:///{self.database}")
        self.sql("CREATE TABLE checkins (patient TEXT, in_time TEXT, method TEXT)")
        self.sql("CREATE TABLE checkins_insured (patient TEXT, in_time TEXT, method TEXT)")
        self.configure()

    def sql(self, statement: str, *parameters: object) -> None:
        """Change the source."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute(statement, parameters)

    def come(self, day: date, cases: int = 1, method: str | None = "QR", table: str = "checkins") -> None:
        """So many more cases on `day`."""
        rows = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {cases})"
        self.sql(f"{rows} INSERT INTO {table} SELECT ?, ?, ? FROM n", MARK, f"{day} 08:30:00", method)

    def vanish(self, day: date, table: str = "checkins") -> None:
        """All cases of `day` are gone."""
        self.sql(f"DELETE FROM {table} WHERE in_time LIKE ?", f"{day}%")

    def configure(self, agent: str = "", source: str = "", measures: tuple[str, ...] = ("checkins",)) -> None:
        """Write agent.toml; `agent` and `source` are lines added to these tables."""
        queries = "".join(QUERY.format(source="his", measure=one, table=one) for one in measures)
        self.config.write_text(
            f"""\
[agent]
facility = "{self.facility}"
collector = "{self.collector}"
token_file = "token"
data_dir = "data"
{agent}
[sources.his]
kind = "his.sql"
database_file = "his.url"
{source}
{queries}""",
            "utf-8",
        )

    def run(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """`nhipso-agent --config … ARGUMENTS`, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "agent", "--config", str(self.config), *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment(),
            cwd=self.directory,
        )

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """`nhipso-agent --config … ARGUMENTS`, running; what it says goes to the file `log`."""
        with (self.directory / "log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "agent", "--config", str(self.config), *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                env=environment(),
                cwd=self.directory,
            )

    @property
    def log(self) -> str:
        """What the programs of `start` have said."""
        return (self.directory / "log").read_text("utf-8")


def environment() -> dict[str, str]:
    """With a proxy that nobody may use, so that a forgotten one is noticed."""
    proxies = {name: "http://127.0.0.1:1" for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "ALL_PROXY")}
    return {**os.environ, **proxies, "NO_PROXY": "", "no_proxy": "", "COLUMNS": "200", "PYTHONWARNINGS": "error"}


def readers_of(pid: int) -> list[int]:
    """The readers whose parent is `pid`; not the servers that a test may have started in the same process."""
    children = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if int(fields[1]) == pid and fields[0] != "Z" and b"agent.reader" in command:
                children.append(int(entry.name))
    return children


class HungServer:
    """Accepts connections and never says a word."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(16)
        self.port = int(self._socket.getsockname()[1])

    def __enter__(self) -> "HungServer":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
