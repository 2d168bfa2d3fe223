"""Every vendor file of `his.sql` reads with SELECT on the tables that it names and nothing else, in transactions that
the server itself keeps read-only; and the grants that the docs give are exactly these.

DHG.Hospital is PostgreSQL's alone: its text casts as that server does.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
import sqlglot
from sqlalchemy.engine import make_url
from sqlglot import exp

from adapters.conftest import Said, asking, opened, read, run
from adapters.his import test_his
from adapters.sql import Database
from contract.errors import SourceDeniedError

HERE = Path(test_his.__file__).parent
HEADINGS = re.findall(r"```sql\n-- (.+)\n", (HERE / "README.md").read_text("utf-8"))
DAYS = {
    "hispro": (date(2026, 11, 18), date(2026, 11, 22)),
    "openhospital": (date(2021, 1, 1), date(2024, 12, 31)),
    "dhg": (date(2025, 11, 1), date(2025, 11, 5)),
}
READ_ONLY = {"postgresql": "25006", "mysql": "1792"}


@cache
def tables(vendor: str) -> frozenset[str]:
    """The tables that a vendor file and what it includes name."""
    from importlib import resources

    from adapters.queries import _vendor_file

    queries = _vendor_file(resources.files("adapters.his").joinpath(f"vendors/{vendor}.toml")).queries.values()
    texts = [text for query in queries for text in (query.sql or "", *query.instead.values())]
    found = set()
    for tree in (sqlglot.parse_one(text, dialect="postgres") for text in texts):
        defined = {one.alias for one in tree.find_all(exp.CTE)}
        found |= {f"{one.db}.{one.name}".strip(".").lower() for one in tree.find_all(exp.Table)} - defined
    return frozenset(found)


@dataclass
class Site:
    """A vendor's database on one server, as its owner, and as the account that the hospital made for nhipso."""

    vendor: str
    owner: str
    account: str

    def read(self, directory: Path, url: str) -> Said:
        return read(opened(directory, url, vendor=self.vendor), *DAYS[self.vendor])


def fill(directory: Path, vendor: str, url: str) -> None:
    """The vendor's tables with rows in them."""
    if vendor == "hispro":
        names = ("payments", "payment_amount", "receipts", "records", "record_documents")
        case = test_his.case_of("pay_forms") | {"expected": {name: {} for name in names}}
        test_his.hispro(directory, url, case)
    elif vendor == "openhospital":
        test_his.load(url, "excerpt")
    else:
        run(url, test_his.DHG.format(flag="int", yes="1", no="0"))
    run(url, "CREATE TABLE neighbours (ten varchar(100))", "INSERT INTO neighbours VALUES ('MARK')")


@contextmanager
def granted(vendor: str, url: str) -> Iterator[str]:
    """An account with SELECT on the vendor's tables; nothing else was ever granted to it."""
    name, parsed = f"n{uuid4().hex[:8]}", make_url(url)
    if parsed.get_backend_name() == "postgresql":
        schemas = {one.partition(".")[0] for one in tables(vendor) if "." in one}
        usage = [f"GRANT USAGE ON SCHEMA {schema} TO {name}" for schema in schemas]
        run(url, f"CREATE ROLE {name} LOGIN", *usage, *(f"GRANT SELECT ON {one} TO {name}" for one in tables(vendor)))
        leave, account = [f"DROP OWNED BY {name}", f"DROP ROLE {name}"], parsed.set(username=name)
    else:
        who = f"{name}@'127.0.0.1'"
        run(url, f"CREATE USER {who}", *(f"GRANT SELECT ON {one} TO {who}" for one in tables(vendor)))
        leave, account = [f"DROP USER {who}"], parsed.set(username=name)
        if vendor != "openhospital":
            account = account._replace(database=None)
    try:
        yield account.render_as_string(hide_password=False)
    finally:
        schemas = {"his_rs", "emr_rs"} if vendor == "hispro" and "mysql" in url else set()
        run(url, *leave, *(f"DROP DATABASE {schema}" for schema in schemas))


@pytest.fixture(
    params=[
        ("hispro", "postgres_url"),
        ("hispro", "mariadb_url"),
        ("openhospital", "postgres_url"),
        ("openhospital", "mariadb_url"),
        ("dhg", "postgres_url"),
    ],
    ids=lambda pair: f"{pair[0]} {pair[1].removesuffix('_url')}",
)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    vendor, server = request.param
    url = str(request.getfixturevalue(server))
    fill(tmp_path, vendor, url)
    with granted(vendor, url) as account:
        yield Site(vendor, url, account)


def refused(url: str, statement: str) -> str:
    """The server's own code against a statement outside of any adapter."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with pytest.raises(sa.exc.DBAPIError) as caught, engine.begin() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()
    return code_of(caught.value)


def code_of(caught: sa.exc.DBAPIError) -> str:
    """SQLSTATE, or MariaDB's number."""
    error: Any = caught.orig
    return str(error.args[0]) if isinstance(error.args[0], int) else str(error.sqlstate)


@pytest.mark.slow
def test_a_vendor_file_needs_nothing_but_select_on_its_tables(site: Site, tmp_path: Path) -> None:
    said = site.read(tmp_path, site.account)
    assert said.failed == {} and said.counts == site.read(tmp_path, site.owner).counts
    assert len({measure for measure, _, _ in said.counts}) >= 2
    sql = "SELECT 20261120 AS day, ten AS category, 1 AS count FROM {} WHERE :start < :end"
    neighbours = "neighbours" if make_url(site.account).database else f"{make_url(site.owner).database}.neighbours"
    assert type(read(asking(tmp_path, site.account, sql.format(neighbours))).error) is SourceDeniedError
    for table in tables(site.vendor):
        for statement in (f"DELETE FROM {table}", f"INSERT INTO {table} SELECT * FROM {table}", f"DROP TABLE {table}"):
            assert refused(site.account, statement) in ("42501", "1142")
    assert site.read(tmp_path, site.owner).counts == said.counts


@pytest.mark.slow
def test_a_vendor_file_reads_in_transactions_that_the_server_keeps_read_only(site: Site, tmp_path: Path) -> None:
    before = site.read(tmp_path, site.owner).counts
    with Database(site.owner, {}, tmp_path, 10).session() as session:  # what an adapter opens, even as the owner
        for table in tables(site.vendor):
            with pytest.raises(sa.exc.DBAPIError) as caught, session._connection.begin():
                session._connection.exec_driver_sql(f"DELETE FROM {table}")
            assert code_of(caught.value) == READ_ONLY[make_url(site.owner).get_backend_name()]
    postgres = site.owner.startswith("postgresql")
    database = make_url(site.owner).database
    on, off = (
        (f"ALTER DATABASE {database} SET default_transaction_read_only = on", "SELECT 1")
        if postgres
        else ("SET GLOBAL tx_read_only = 1", "SET GLOBAL tx_read_only = 0")
    )
    run(site.owner, on)
    try:
        code = READ_ONLY[make_url(site.owner).get_backend_name()]
        assert refused(site.owner, f"DELETE FROM {min(tables(site.vendor))}") == code  # also for who may do all
        assert site.read(tmp_path, site.account).counts == before
    finally:
        if postgres:
            run(site.owner, "SET TRANSACTION READ WRITE", f"ALTER DATABASE {database} RESET ALL")
        else:
            run(site.owner, off)


@pytest.mark.parametrize("vendor", [file.stem for file in sorted((HERE / "vendors").glob("*.toml"))])
def test_the_docs_give_grants_for_exactly_the_tables_of_a_vendor_file(vendor: str) -> None:
    name = {"hispro": "HisPro", "openhospital": "Open Hospital", "dhg": "DHG.Hospital"}[vendor]
    headings = [heading for heading in HEADINGS if heading.startswith(f"{name}, ")]
    assert headings
    for heading in headings:
        statements = " ".join(test_his.grants(heading))
        given = re.findall(r"GRANT SELECT(?: \([^)]*\))?\s+ON ([\w.]+) TO", statements)
        assert {one.lower().removeprefix("openhospital.") for one in given} == tables(vendor), heading
        others = set(re.findall(r"GRANT ([A-Z ]+?)(?: \(| ON| TO)", statements)) - {"SELECT", "USAGE", "CREATE SESSION"}
        assert others == set(), heading
