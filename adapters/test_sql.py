"""The SQL door on real servers: time bindings, time zones, read-only sessions, and every way a server can fail."""

import socket
import threading
import time as clock
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from adapters.conftest import DAY, asking, opened, payments, read, run
from adapters.sql import Database
from conftest import free_port
from contract.days import DayRange
from contract.errors import SourceChangedError, SourceDeniedError, SourceError, SourceUnavailableError

MOMENTS = ("2026-11-19 23:59:59", "2026-11-20 00:00:00", "2026-11-20 23:59:59", "2026-11-21 00:00:00")
DIGITS = tuple(moment.translate({ord(char): None for char in "- :"}) for moment in MOMENTS)
EPOCHS = (1795107599999, 1795107600000, 1795193999999, 1795194000000)
TEXT = [(f"{kind}({size})", f"text{size}", [one[:size] for one in DIGITS], "SUBSTR(at, 1, 8)")
        for kind in ("CHAR", "VARCHAR") for size in (14, 12, 8)]  # fmt: skip
# Type of the column, binding, the four moments as that column keeps them, and the day as a query would say it.
EVERYWHERE: list[tuple[str, Any, list[Any], str]] = [
    ("DATE", "date", [one[:10] for one in MOMENTS], "at"),
    ("NUMERIC(14)", "number14", [int(one) for one in DIGITS], "FLOOR(at / 1000000)"),
    ("BIGINT", "number14", [int(one) for one in DIGITS], "FLOOR(at / 1000000)"),
    *TEXT,
]
ON: dict[str, list[tuple[str, Any, list[Any], str]]] = {
    "sqlite": [
        *EVERYWHERE,
        ("TEXT", "datetime", list(MOMENTS), "at"),
        ("TEXT", "datetime", [one.replace(" ", "T") for one in MOMENTS], "date(at)"),
        ("INTEGER", "epoch_ms", list(EPOCHS), "date(at / 1000, 'unixepoch', '+7 hours')"),
    ],
    "postgresql": [
        *EVERYWHERE,
        ("TIMESTAMP", "datetime", list(MOMENTS), "at"),
        ("TIMESTAMP", "datetime", list(MOMENTS), "to_char(at, 'YYYYMMDD')::int"),
        ("TIMESTAMPTZ", "datetime", [f"{one}+07" for one in MOMENTS], "at"),
        ("TIMESTAMPTZ", "datetime", [f"{one}+07" for one in MOMENTS], "at::date"),
        ("TIMESTAMPTZ", "date", [f"{one}+07" for one in MOMENTS], "CAST(at AS date)"),
        ("BIGINT", "epoch_ms", list(EPOCHS), "to_timestamp(at / 1000.0)::date"),
        ("DOUBLE PRECISION", "number14", [int(one) for one in DIGITS], "FLOOR(at / 1000000)"),
    ],
    "mariadb": [
        *EVERYWHERE,
        ("DATETIME", "datetime", list(MOMENTS), "at"),
        ("DATETIME", "datetime", list(MOMENTS), "DATE_FORMAT(at, '%Y-%m-%d %H:%i')"),
        ("TIMESTAMP NULL", "datetime", list(MOMENTS), "at"),
        ("TIMESTAMP NULL", "datetime", list(MOMENTS), "DATE(at)"),
        ("BIGINT", "epoch_ms", list(EPOCHS), "DATE(FROM_UNIXTIME(at / 1000))"),
        ("DOUBLE", "number14", [int(one) for one in DIGITS], "FLOOR(at / 1000000)"),
    ],
}
SERVERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("postgresql", "mariadb")]
ANSWER = "SELECT 20261120 AS day, 'cash' AS category, {} AS count WHERE :start < :end"
GOOD = {"measure": "receipts", "time": "number14", "sql": ANSWER.format("1").replace("cash", "invoiced")}


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database of the kind that the test's parameter names."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'his.sqlite'}"
    return str(request.getfixturevalue({"postgresql": "postgres_url", "mariadb": "mariadb_url"}[request.param]))


@pytest.mark.parametrize("url", ["sqlite", *SERVERS], indirect=True)
def test_each_binding_cuts_its_kind_of_column_at_local_midnight(tmp_path: Path, url: str) -> None:
    for number, (kind, time, moments, day) in enumerate(
        ON[make_url(url).get_backend_name().replace("mysql", "mariadb")]
    ):
        table = f"t{number}"
        # the rows are written by a session that is in local time, as a HIS is
        local = {"mysql": ["SET time_zone = '+07:00'"]}.get(make_url(url).get_backend_name(), [])
        values = ", ".join(f"({one!r})" for one in moments)
        run(url, *local, f"CREATE TABLE {table} (at {kind})", f"INSERT INTO {table} VALUES {values}")
        sql = f"SELECT {day} AS day, 'cash' AS category, 1 AS count FROM {table} WHERE at >= :start AND at < :end"
        said = read(asking(tmp_path, url, sql, time))
        assert payments(said) == {"2026-11-20": {"cash": 2}}, (kind, time, day)


@pytest.mark.parametrize("url", SERVERS, indirect=True)
def test_percent_signs_colons_and_casts_reach_a_server_as_they_are_written(tmp_path: Path, url: str) -> None:
    postgres = url.startswith("postgresql")
    category = "to_char(now(), '\"HH24:MI\"') || '%s' || '5'::text" if postgres else "CONCAT('\"HH24:MI\"', '%s', '5')"
    sql = f"""
    SELECT {category} AS category, 20261120 AS day, 1 AS count -- :start isn't 100 %
    FROM (SELECT 'a:b' AS x) t WHERE x LIKE '%:b' AND 7 % 4 = 3 AND :start < :end /* :other */
    """
    said = read(asking(tmp_path, url, sql))
    assert said.unmapped == {"HH24:MI%s5" if postgres else '"HH24:MI"%s5': 1}


@pytest.mark.parametrize("url", SERVERS, indirect=True)
def test_a_session_is_in_local_time_and_read_only_by_the_servers_own_word(tmp_path: Path, url: str) -> None:
    postgres = url.startswith("postgresql")
    asked, expected = (
        ([f"current_setting('{name}')" for name in ("TimeZone", "transaction_read_only", "statement_timeout")],
         ("Asia/Ho_Chi_Minh", "on", "9s"))
        if postgres
        else (["@@session.time_zone", "@@session.tx_read_only", "@@session.max_statement_time"], ("+07:00", 1, 9))
    )  # fmt: skip
    sql = "SELECT {} AS zone, {} AS read_only, {} AS patience WHERE :start < :end".format(*asked)
    for spelling in (url, url.replace("mysql+pymysql:", "mariadb:")):
        with Database(spelling, {}, tmp_path, 10).session() as session:
            [row] = session.rows(sql, "number14", DayRange(DAY, DAY), {})
        assert tuple(row.values()) == expected


@pytest.mark.parametrize("url", SERVERS, indirect=True)
def test_even_the_owner_of_the_tables_can_write_nothing(tmp_path: Path, url: str) -> None:
    body = (
        "CREATE FUNCTION w() RETURNS int LANGUAGE sql AS 'INSERT INTO paid VALUES (1); SELECT 1'"
        if url.startswith("postgresql")
        else "CREATE FUNCTION w() RETURNS int MODIFIES SQL DATA BEGIN INSERT INTO paid VALUES (1); RETURN 1; END"
    )
    run(url, "CREATE TABLE paid (n int)", body)
    assert type(read(asking(tmp_path, url, ANSWER.format("w()"))).error) is SourceChangedError
    with Database(url, {}, tmp_path, 10).session() as session:
        for sql in ("DELETE FROM paid WHERE :start < :end", "CREATE TABLE x AS SELECT :start AS a, :end AS b"):
            with pytest.raises(SourceError):
                list(session.rows(sql, "number14", DayRange(DAY, DAY), {}))
    assert payments(read(asking(tmp_path, url, ANSWER.format("(SELECT 7 + COUNT(*) FROM paid)")))) == {
        "2026-11-20": {"cash": 7}
    }


@pytest.mark.parametrize("url", SERVERS, indirect=True)
@pytest.mark.parametrize(
    ("sql", "part"),
    [
        ("SELECT at AS day, 1 AS count FROM nothing", "không có bảng hoặc cột mà câu truy vấn gọi tên"),
        ("SELECT day, form, n AS count FROM paid", "không có bảng hoặc cột mà câu truy vấn gọi tên"),
        ("SELECT day, n AS count FRON paid", "không chạy được câu truy vấn"),
        ("SELECT day, name AS count, 'cash' AS category FROM paid", "cột count không phải là số nguyên"),
        ("SELECT name AS day, n AS count FROM paid", "cột day không phải là một ngày"),
        ("SELECT day, n AS count FROM paid", "không trả về cột category"),
        ("SELECT day, CONCAT(name, a.n, b.n, c.n, d.n, e.n, f.n) AS category, 1 AS count FROM paid, ten a, ten b,"
         " ten c, ten d, ten e, ten f", "hơn 1000 giá trị lạ"),
    ],
    ids=["table", "column", "syntax", "count", "day", "category", "million"],
)  # fmt: skip
def test_a_query_that_fails_on_a_server_shows_no_cell_and_costs_no_other_measure(
    tmp_path: Path, url: str, sql: str, part: str
) -> None:
    run(
        url,
        "CREATE TABLE paid (at numeric(14), day int, n int, name varchar(20))",
        "INSERT INTO paid VALUES (20261120000000, 20261120, 1, 'MARK-NAME')",
        "CREATE TABLE ten (n int)",
        "INSERT INTO ten VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)",
    )
    bad = {"measure": "payments", "time": "number14", "sql": f"{sql} WHERE at >= :start AND at < :end"}
    said = read(opened(tmp_path, url, queries={"bad": bad, "good": GOOD}))
    assert said.counts == {("receipts", "12001", "2026-11-20"): {"invoiced": 1}}
    assert type(said.error) is SourceChangedError and part in str(said.error)
    assert "MARK" not in repr(said)


@pytest.mark.slow
@pytest.mark.parametrize(
    "expression",
    ["CAST(name AS int)", "to_date(name, 'YYYYMMDD')", "to_timestamp(name, 'YYYY')", "1 / (n - 1)", "name::uuid"],
)
def test_a_cast_that_breaks_on_a_cell_does_not_show_the_cell(
    tmp_path: Path, postgres_url: str, expression: str
) -> None:
    run(
        postgres_url,
        "CREATE TABLE paid (at numeric(14), n int, name varchar(20))",
        "INSERT INTO paid VALUES (20261120000000, 1, 'MARK-NAME')",
    )
    sql = f"SELECT 20261120 AS day, {expression} AS category, n AS count FROM paid WHERE at >= :start AND at < :end"
    error = read(asking(tmp_path, postgres_url, sql)).error
    assert type(error) is SourceChangedError
    assert "MARK" not in str(error) and str(error).startswith("cơ sở dữ liệu không chạy được câu truy vấn (mã ")


@pytest.mark.parametrize("url", SERVERS, indirect=True)
def test_a_time_bound_in_another_way_than_its_column_keeps_it_is_refused_or_finds_nothing(
    tmp_path: Path, url: str
) -> None:
    run(url, "CREATE TABLE paid (at varchar(14))", "INSERT INTO paid VALUES ('20261120000000')")
    sql = "SELECT 20261120 AS day, 'cash' AS category, 1 AS count FROM paid WHERE at >= :start AND at < :end"
    said = read(asking(tmp_path, url, sql, "datetime"))
    if url.startswith("postgresql"):
        assert (type(said.error), str(said.error)[-10:]) == (SourceChangedError, "(mã 42883)")
    else:
        assert said.counts == {}


@pytest.mark.parametrize("url", SERVERS, indirect=True)
def test_a_query_over_its_time_costs_its_own_measure_only(tmp_path: Path, url: str) -> None:
    slow = ANSWER.format("CASE WHEN pg_sleep(20) IS NOT NULL THEN 1 END" if "postgres" in url else "1 + SLEEP(20)")
    queries = {"slow": {"measure": "payments", "time": "number14", "sql": slow}, "good": GOOD}
    started = clock.monotonic()
    said = read(opened(tmp_path, url, queries=queries, timeout=2))
    assert clock.monotonic() - started < 3
    assert type(said.error) is SourceUnavailableError
    assert said.counts == {("receipts", "12001", "2026-11-20"): {"invoiced": 1}}


@pytest.mark.slow
def test_a_session_that_the_server_ends_is_not_taken_up_again_unprepared(tmp_path: Path, postgres_url: str) -> None:
    ended = ANSWER.format("CASE WHEN pg_terminate_backend(pg_backend_pid()) THEN 1 END")
    queries = {"ended": {"measure": "payments", "time": "number14", "sql": ended}, "good": GOOD}
    reader = opened(tmp_path, postgres_url, queries=queries)
    said = read(reader)
    assert {name: type(error) for name, error in said.failed.items()} == {
        "payments": SourceUnavailableError,
        "receipts": SourceUnavailableError,
    }
    assert read(reader, measures=("receipts",)).counts == {("receipts", "12001", "2026-11-20"): {"invoiced": 1}}


@pytest.mark.slow
def test_a_mariadb_session_that_is_killed_is_not_taken_up_again(tmp_path: Path, mariadb_url: str) -> None:
    slow = {"measure": "payments", "time": "number14", "sql": ANSWER.format("1 + SLEEP(20)")}
    reader = opened(tmp_path, mariadb_url, queries={"slow": slow, "good": GOOD})

    def kill() -> None:
        engine = sa.create_engine(mariadb_url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            find = "SELECT id FROM information_schema.processlist WHERE info LIKE 'SELECT 20261120%%SLEEP(20)%%'"
            while not (found := connection.exec_driver_sql(find).scalars().all()):
                clock.sleep(0.05)
            connection.exec_driver_sql(f"KILL {found[0]}")
        engine.dispose()

    killer = threading.Thread(target=kill)
    killer.start()
    said = read(reader)
    killer.join()
    assert {type(error) for error in said.failed.values()} == {SourceUnavailableError}
    assert list(said.failed) == ["payments", "receipts"]


def failure(directory: Path, url: str | sa.URL, kind: type[SourceError], **table: Any) -> str:
    """The sentence of a source that answers neither to a probe nor to a read."""
    text = url if isinstance(url, str) else url.render_as_string(hide_password=False)
    reader = asking(directory, text, ANSWER.format("1"), **table)
    for asked in (reader.probe, lambda: read(reader)):
        with pytest.raises(kind) as caught:
            asked()
        assert "MARK" not in str(caught.value)
    return str(caught.value)


@contextmanager
def hung() -> Iterator[int]:
    """A port on which connections are accepted and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("backend", ["postgresql", "mysql", "oracle"])
def test_a_server_that_is_stopped_is_unavailable(tmp_path: Path, backend: str) -> None:
    url = f"{backend}://MARK-U:MARK-P@127.0.0.1:{free_port()}/his"
    assert "không kết nối được tới máy chủ" in failure(tmp_path, url, SourceUnavailableError)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["postgresql", "mysql"])
def test_a_server_that_hangs_is_unavailable_in_time(tmp_path: Path, backend: str) -> None:
    with hung() as port:
        url = f"{backend}://MARK-U:MARK-P@127.0.0.1:{port}/his"
        started = clock.monotonic()
        assert "không kết nối được tới máy chủ" in failure(tmp_path, url, SourceUnavailableError, timeout=1)
        assert clock.monotonic() - started < 6  # asked twice; libpq waits two seconds at least


@pytest.mark.slow
def test_a_host_without_a_name_is_unavailable(tmp_path: Path) -> None:
    for backend in ("postgresql", "mysql", "oracle"):
        failure(tmp_path, f"{backend}://u:MARK@nowhere.invalid/his", SourceUnavailableError)


@pytest.fixture
def guarded(postgres_server: Any, postgres_url: str) -> Iterator[sa.URL]:
    """A role of PostgreSQL that must give its password, which is `right`."""
    hba = Path(postgres_server.pgdata) / "pg_hba.conf"
    before = hba.read_text()
    with psycopg.connect(postgres_server.get_uri(), autocommit=True) as connection:
        connection.execute("CREATE ROLE guarded LOGIN PASSWORD 'right'")
        connection.execute("CREATE ROLE closed NOLOGIN")
        hba.write_text("local all guarded scram-sha-256\nlocal all refused reject\n" + before)
        connection.execute("SELECT pg_reload_conf()")
        clock.sleep(0.3)
        yield make_url(postgres_url).set(username="guarded", password="right")
        hba.write_text(before)
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("DROP ROLE guarded")
        connection.execute("DROP ROLE closed")


@pytest.mark.slow
def test_what_postgresql_refuses_is_denied(tmp_path: Path, guarded: sa.URL) -> None:
    asking(tmp_path, guarded.render_as_string(hide_password=False), ANSWER.format("1")).probe()
    for url, part in [
        (guarded.set(password="MARK"), "từ chối tài khoản hoặc mật khẩu"),
        (guarded._replace(password=None), "từ chối tài khoản hoặc mật khẩu"),
        (guarded._replace(username="nobody", password=None), "từ chối tài khoản hoặc mật khẩu"),
        (guarded._replace(username="closed", password=None), "từ chối tài khoản hoặc mật khẩu"),
        (guarded._replace(username="refused", password=None), "từ chối tài khoản hoặc mật khẩu"),
        (guarded.set(database="nothing"), "không có cơ sở dữ liệu mang tên đã khai báo"),
    ]:
        assert part in failure(tmp_path, url, SourceDeniedError), url


@pytest.mark.slow
def test_a_table_that_is_not_granted_is_denied_on_postgresql(
    tmp_path: Path, guarded: sa.URL, postgres_url: str
) -> None:
    run(postgres_url, "CREATE TABLE paid (n int)", "CREATE SCHEMA closed", "CREATE TABLE closed.paid (n int)")
    for table in ("paid", "closed.paid"):
        sql = ANSWER.format(f"(SELECT COUNT(*) FROM {table})")
        error = read(asking(tmp_path, guarded.render_as_string(hide_password=False), sql)).error
        assert type(error) is SourceDeniedError and "chưa được cấp quyền đọc (SELECT)" in str(error)


@pytest.fixture
def account(mariadb_url: str) -> Iterator[sa.URL]:
    """An account of MariaDB with a password and nothing granted but to enter the database."""
    database = make_url(mariadb_url).database
    run(
        mariadb_url,
        "CREATE USER guarded@'127.0.0.1' IDENTIFIED BY 'right'",
        f"GRANT EXECUTE ON {database}.* TO guarded@'127.0.0.1'",
    )
    yield make_url(mariadb_url).set(username="guarded", password="right")
    run(mariadb_url, "DROP USER guarded@'127.0.0.1'")


@pytest.mark.slow
def test_what_mariadb_refuses_is_denied(tmp_path: Path, account: sa.URL, mariadb_url: str) -> None:
    asking(tmp_path, account.render_as_string(hide_password=False), ANSWER.format("1")).probe()
    for url, part in [
        (account.set(password="MARK"), "từ chối tài khoản hoặc mật khẩu (mã 1045)"),
        (account.set(username="MARK"), "từ chối tài khoản hoặc mật khẩu (mã 1045)"),
        (account.set(database="mysql"), "từ chối tài khoản hoặc mật khẩu (mã 1044)"),
        (make_url(mariadb_url).set(database="nothing"), "không có cơ sở dữ liệu mang tên đã khai báo (mã 1049)"),
    ]:
        assert part in failure(tmp_path, url, SourceDeniedError), url
    run(mariadb_url, "CREATE TABLE paid (n int)")
    sql = ANSWER.format("(SELECT COUNT(*) FROM paid)")
    error = read(asking(tmp_path, account.render_as_string(hide_password=False), sql)).error
    assert type(error) is SourceDeniedError and "mã 1142" in str(error)


@pytest.mark.slow
def test_bytes_of_another_encoding_in_mariadb_cost_one_value(tmp_path: Path, mariadb_url: str) -> None:
    run(
        mariadb_url,
        "CREATE TABLE paid (method varbinary(9), form varchar(9) CHARACTER SET latin1)",
        "INSERT INTO paid VALUES (x'746D', 'TM'), (x'54CD', x'54CD')",
    )
    for column in ("method", "form"):
        sql = f"SELECT 20261120 AS day, {column} AS category, 1 AS count FROM paid WHERE :start < :end"
        said = read(asking(tmp_path, mariadb_url, sql, categories={"TM": "cash"}))
        assert payments(said) == {"2026-11-20": {"cash": 1, "unknown": 1}}


@pytest.mark.slow
def test_a_postgresql_without_an_encoding_is_read_or_refused_in_our_own_words(
    tmp_path: Path, postgres_server: Any
) -> None:
    with psycopg.connect(postgres_server.get_uri(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE bytes ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    try:
        info = psycopg.conninfo.conninfo_to_dict(postgres_server.get_uri())
        url = sa.URL.create("postgresql", str(info["user"]), database="bytes", query={"host": str(info["host"])})
        text = url.render_as_string(hide_password=False)
        run(text.replace("postgresql:", "postgresql+psycopg:") + "&client_encoding=utf8",
            "CREATE TABLE paid (method varchar(9))", "INSERT INTO paid VALUES ('TM')")  # fmt: skip
        sql = "SELECT 20261120 AS day, method AS category, 1 AS count FROM paid WHERE :start < :end"
        said = read(asking(tmp_path, text, sql, categories={"TM": "cash"}))
        assert payments(said) == {"2026-11-20": {"cash": 1}}
    finally:
        with psycopg.connect(postgres_server.get_uri(), autocommit=True) as connection:
            connection.execute("DROP DATABASE bytes")
