"""Source systems of the harness, which note in a Truth what they are about to say: a HIS and a folder of invoices."""

import os
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from random import Random

from contract.days import DayRange
from contract.tally import Key
from demo.chance import People
from demo.invoice_xml import Invoice, put, wrapped
from tests.faults.truth import Truth

CATEGORIES = {"checkins": ("cccd_qr", "vneid", "manual"), "payments": ("cash", "qr", "transfer")}
_SETTLED_NS = 60 * 10**9
_QUERY = """
[sources.his.queries.{measure}]
time = "datetime"
sql = \"\"\"
SELECT facility, substr(at, 1, 10) AS day, category, SUM(cases) AS count
FROM {measure} WHERE at >= :start AND at < :end GROUP BY 1, 2, 3
\"\"\"
"""


class His:
    """A database with one table a measure, read by `his.sql` through queries of its own.

    One change is one transaction, so whatever a query sees, the source has said it.
    """

    def __init__(self, directory: Path, facilities: Sequence[str], days: DayRange, truth: Truth) -> None:
        self.file = directory / "his.sqlite"
        self._facilities = facilities
        self._truth = truth
        self._cases: dict[Key, Counter[str]] = {}
        (directory / "his.url").write_text(f"sqlite:///{self.file.name}")
        with closing(sqlite3.connect(self.file)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            for measure in CATEGORIES:
                connection.execute(
                    f"CREATE TABLE {measure} (facility, at, category, cases, PRIMARY KEY (facility, at, category))"
                )
        self.open_days(days)

    @property
    def toml(self) -> str:
        """Its tables in agent.toml."""
        queries = "".join(_QUERY.format(measure=measure) for measure in CATEGORIES)
        return f'[sources.his]\nkind = "his.sql"\ndatabase_file = "his.url"\n{queries}'

    def open_days(self, days: DayRange) -> None:
        """These days begin with no case: the silence of a database is a zero."""
        for facility in self._facilities:
            for measure in CATEGORIES:
                for day in days:
                    key = Key(facility, "his", measure, day)
                    if key not in self._cases:
                        self._cases[key] = Counter()
                        self._truth.become(key, {})

    def change(self, random: Random, days: DayRange) -> None:
        """Cases come, are taken back, or turn out to belong to another category or another day."""
        facility, measure = random.choice(self._facilities), random.choice(list(CATEGORIES))
        codes = CATEGORIES[measure]
        keys = [Key(facility, "his", measure, day) for day in random.choices(list(days), k=2)]
        taken = random.choice(codes)
        moved = random.randint(0, self._cases[keys[0]][taken])
        self._cases[keys[0]][taken] -= moved
        self._cases[random.choice(keys)][random.choice(codes)] += random.choice((0, moved)) + random.randint(0, 3)
        self._write(keys)

    def _write(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._truth.become(key, self._cases[key])
        with closing(sqlite3.connect(self.file, timeout=30)) as connection, connection:
            for key in keys:
                rows = [(key.facility, f"{key.day} 08:30:00", *one) for one in self._cases[key].items()]
                connection.executemany(f"INSERT OR REPLACE INTO {key.measure} VALUES (?, ?, ?, ?)", rows)
                connection.execute(f"DELETE FROM {key.measure} WHERE cases = 0")


class Invoices:
    """A folder of e-invoices, one file a day, read by `einvoice.xml`.

    A day is one file, because a folder has no transaction: two files are never seen as of one moment.
    """

    def __init__(self, directory: Path, facility: str, truth: Truth) -> None:
        self._folder = directory / "invoices"
        self._folder.mkdir()
        self._facility = facility
        self._truth = truth
        self._people = People("faults")

    @property
    def toml(self) -> str:
        """Its table in agent.toml."""
        return '[sources.invoices]\nkind = "einvoice.xml"\nfolder = "invoices"\n'

    def change(self, random: Random, days: DayRange) -> None:
        """The file of a day is written, or written anew with more or fewer invoices, some without their code."""
        day = random.choice(list(days))
        coded = [random.random() < 0.7 for _ in range(random.randint(1, 12))]
        counts = {"valid": coded.count(True), "pending": coded.count(False)}
        self._truth.become(Key(self._facility, "invoices", "invoices", day), counts)
        invoices = [self._invoice(day, number, has_code) for number, has_code in enumerate(coded, 1)]
        file = self._folder / f"{day}.xml"
        put(file, wrapped(invoices))
        # A file that is younger than some seconds may still be written, and is left for the next poll.
        written = time.time_ns() - _SETTLED_NS
        os.utime(file, ns=(written, written))

    def _invoice(self, day: date, number: int, has_code: bool) -> Invoice:
        series = f"C{day:%y}T{day:%m%d}"
        code = f"00MARK{day:%y%m%d}{number:022}" if has_code else None
        return Invoice("1", series, number, day, 100_000, self._people.next(), code)
