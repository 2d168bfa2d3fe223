"""Declared queries over SQLite: what agent.toml may say, and every way in which it or the file can be wrong."""

import os
import re
import sqlite3
import tempfile
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.conftest import DAY, asking, opened, payments, read, run, shipped, source
from adapters.his.sql import adapter
from adapters.sql import Database, describe_window
from contract.days import LOCAL, DayRange
from contract.errors import ConfigError, SourceChangedError, SourceDeniedError, SourceError, SourceUnavailableError

SELECT = "SELECT day, method AS category, n AS count FROM paid WHERE at >= :start AND at < :end"


def problems(directory: Path, url: str = "sqlite:///his.sqlite", **table: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        opened(directory, url, **table)
    return caught.value.problems


def own(sql: str = SELECT, **query: Any) -> dict[str, Any]:
    return {"queries": {"own": {"measure": "payments", "time": "number14", "sql": sql} | query}}


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A table of payments: two of the day, one of the next midnight; a person's name in every row."""
    with closing(sqlite3.connect(tmp_path / "his.sqlite")) as connection, connection:
        connection.execute("CREATE TABLE paid (at INTEGER, day, method, n, name TEXT)")
        connection.executemany(
            "INSERT INTO paid VALUES (?, ?, ?, ?, 'MARK-NAME')",
            [
                (20261120000000, 20261120, "TM", 1),
                (20261120235959, 20261120, "ck", 2),
                (20261121000000, 20261121, "TM", 4),
            ],
        )
    return "sqlite:///his.sqlite"


MAPPED = {"TM": "cash", "CK": "transfer"}


def test_every_day_asked_for_gets_a_tally_also_where_nothing_happened(tmp_path: Path, url: str) -> None:
    said = read(asking(tmp_path, url, SELECT, categories=MAPPED), DAY - timedelta(days=3), DAY)
    assert (said.days, payments(said)) == (4, {"2026-11-20": {"cash": 1, "transfer": 2}})


def test_a_query_may_answer_with_the_codes_of_the_catalogue(tmp_path: Path, url: str) -> None:
    reader = asking(tmp_path, url, SELECT.replace("method", "'cash'"))
    assert payments(read(reader)) == {"2026-11-20": {"cash": 3}}


def test_two_queries_of_one_measure_add_up(tmp_path: Path, url: str) -> None:
    queries = {name: {"measure": "payments", "time": "number14", "sql": SELECT} for name in ("a", "b")}
    said = read(opened(tmp_path, url, queries=queries))
    assert payments(said) == {"2026-11-20": {"unknown": 6}}
    assert said.unmapped == {"TM": 2, "ck": 4}


def test_colons_and_percent_signs_in_quotes_and_comments_are_left_alone(tmp_path: Path, url: str) -> None:
    sql = """
    -- from :start to ':end', don't ask; at 100 %
    SELECT day, 'HH24:MI :start a::b %s %(x)s C:\\dir -- x' AS category, n AS count  /* :nothing ; INSERT */
    FROM paid "p:q" WHERE at >= :start AND at < :end AND 'x:y' <> ';' AND CAST(n AS TEXT) NOT LIKE '%:%'
    """
    said = read(asking(tmp_path, url, sql))
    assert (said.failed, said.unmapped) == ({}, {"HH24:MI :start a::b %s %(x)s C:\\dir -- x": 3})


def test_all_mistakes_of_a_table_are_named_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "oracle://:bad:port@host:x/y",
        measures=("visits",),
        vendor="hispo",
        attach={"a b": "x.sqlite", "main": "y.sqlite", "n": 3},
        colour="blue",
        facilities=("12001", "BV02"),
        facility_map={"a": "12001", "A ": "BV02"},
        queries={
            "checkin": {"sql": "SELECT 1 FROM t WHERE :start < :end"},
            "payments": {"sql": "DELETE FROM t", "time": "number15", "categories": {"TM": "money", "tm": "cash"}},
            "receipts": {"sql": "SELECT 1 WHERE at > :start AND x = :branch", "note": "x"},
            "records": {"time": "date"},
        },
    )
    own = "[sources.his.queries"
    for part in (
        "[sources.his]: vendor: không có “hispo”; đang có: ",
        "[sources.his]: không có khóa “colour”",
        "[sources.his]: attach.n: phải là chữ",
        "[sources.his]: attach: “a b” không dùng làm tên schema được",
        "[sources.his]: attach: “main” không dùng làm tên schema được",
        "[sources.his]: facilities: “A ” được khai báo hai lần",
        "[sources.his]: measures: không câu truy vấn nào đếm “visits”",
        "[sources.his]: database_file: không phải là một địa chỉ cơ sở dữ liệu",
        f"{own}.checkin]: measure: danh mục không có “checkin”",
        "[sources.his]: queries.payments.time: phải là một trong: 'datetime', 'date', ",
        f"{own}.payments]: sql: chỉ nhận một câu SELECT",
        f"{own}.payments]: categories: “money” không phải là category của payments (cash, transfer,",
        f"{own}.payments]: categories: “tm” được khai báo hai lần",
        "[sources.his]: queries.receipts.note: không có khóa này",
        f"{own}.receipts]: sql: thiếu :end",
        f"{own}.receipts]: sql: không có giá trị nào cho :branch",
        f"{own}.records]: sql: chưa có câu truy vấn",
    ):
        assert sum(problem.startswith(part) for problem in found) == 1, part
    assert len(found) == 17


@pytest.mark.parametrize(
    ("table", "part"),
    [
        ({"queries": 3}, "queries: phải là một bảng"),
        ({"queries": {"own": "SELECT"}}, "queries.own: phải là một bảng"),
        ({"queries": {}}, "chưa có câu truy vấn: khai báo vendor hoặc [sources.his.queries.…]"),
        ({"vendor": "../his/vendors/hispro"}, "vendor: không có “../his/vendors/hispro”; đang có:"),
        ({"vendor": "hispro", "required_documents": []}, "required_documents: phải là danh sách chữ, không rỗng"),
        ({"vendor": "hispro", "required_documents": [1]}, "required_documents: phải là danh sách chữ, không rỗng"),
        ({"vendor": "openhospital", "required_documents": ["1"]}, "không có khóa “required_documents”"),
        ({"vendor": "hispro", "database_file": 3}, "database_file: phải là chữ, đặt trong dấu ngoặc kép"),
        ({"vendor": "hispro", "database_file": "none.url"}, "database_file: không đọc được tệp "),
        (
            {"vendor": "hispro", "facilities": ("1", "2")},
            "nguồn phục vụ nhiều cơ sở, cần bảng [sources.his.facilities]",
        ),
        ({**own(), "facility_map": {"1": "a", "1 ": "b"}}, "facilities: “1 ” được khai báo hai lần"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_is_named_alone(tmp_path: Path, table: dict[str, Any], part: str) -> None:
    assert [problem.startswith(f"[sources.his]: {part}") for problem in problems(tmp_path, **table)] == [True]


def test_a_database_file_that_is_not_named_is_a_mistake(tmp_path: Path) -> None:
    config = source(tmp_path, "", **own())
    table = {key: value for key, value in config.options.items() if key != "database_file"}
    with pytest.raises(ConfigError, match="database_file: thiếu khóa bắt buộc này"):
        adapter(type(config)("his", "his.sql", ("12001",), {}, None, 60, table, tmp_path), shipped())


@pytest.mark.parametrize(
    "sql",
    [
        *("", "  ;", "-- SELECT :start :end"),
        *("UPDATE paid SET n = :start WHERE at < :end", f"{SELECT}; DELETE FROM paid"),
        *("EXPLAIN " + SELECT, "WITH gone AS (DELETE FROM paid RETURNING *) SELECT :start, :end FROM gone"),
        *("SELECT n INTO copied FROM paid WHERE at >= :start AND at < :end", SELECT + " FOR UPDATE"),
        *(SELECT + "\nDROP TABLE paid", SELECT + " exec xp_cmdshell 'x'", "SELECT 'it''s'; SELECT :start, :end"),
    ],
)
def test_only_one_select_is_taken(tmp_path: Path, sql: str) -> None:
    [problem] = problems(tmp_path, **own(sql))
    assert re.match(r"\[sources.his.queries.own\]: sql: (chỉ nhận một câu SELECT|chưa có câu truy vấn)", problem)


@pytest.mark.parametrize(
    "sql",
    [
        *(
            SELECT,
            f" ( {SELECT} )",
            f"/* x */ {SELECT} ;;",
            f"-- don't\n{SELECT}",
            f"with p as ({SELECT}) select * from p",
        ),
        *(SELECT + " AND method <> 'a;b -- UPDATE'", SELECT + ' AND "update" = 1', SELECT + " AND t.delete IS NULL"),
        *(SELECT.replace("n AS", "REPLACE(n, ',', '') AS"), SELECT + " AND is_delete = 0 AND updated < inserted::date"),
    ],
)
def test_what_only_reads_is_taken(tmp_path: Path, sql: str) -> None:
    assert opened(tmp_path, "sqlite://", **own(sql)).measures == ("payments",)


@pytest.mark.parametrize(
    ("url", "part"),
    [
        *(("mssql://u:MARK@h/d", "thiếu trình điều khiển cho mssql: pip install 'nhipso[sqlserver]'"),),
        *(("mssql+pyodbc://u:MARK@h/d", "thiếu trình điều khiển cho mssql: pip install 'nhipso[sqlserver]'"),),
        *(("db2://u:MARK@h/d", "không đọc được loại cơ sở dữ liệu “db2”; đang có: sqlite, postgresql,"),),
        *((url, "không phải là một địa chỉ") for url in ("", "MARK", "postgresql:/x", "mysql://u:p@MARK:w@h:1/d")),
    ],
)
def test_an_address_that_cannot_be_used_is_named_without_its_password(tmp_path: Path, url: str, part: str) -> None:
    [problem] = problems(tmp_path, url, vendor="openhospital")
    assert problem.startswith(f"[sources.his]: database_file: {part}")
    assert "MARK" not in problem


def test_files_to_attach_belong_to_sqlite(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, "postgresql://h/d", vendor="openhospital", attach={"a": "a.sqlite"})
    assert problem == "[sources.his]: database_file: attach chỉ dùng được với SQLite"


def test_an_oracle_client_belongs_to_oracle_and_one_that_does_not_load_is_named(tmp_path: Path) -> None:
    [problem] = problems(tmp_path, "postgresql://h/d", vendor="openhospital", oracle_client="instantclient")
    assert problem == "[sources.his]: database_file: oracle_client chỉ dùng được với Oracle"
    url = "oracle://u:MARK@127.0.0.1:1/?service_name=x"
    [problem] = problems(tmp_path, url, vendor="openhospital", oracle_client="instantclient")
    assert problem.startswith(f"[sources.his]: database_file: không nạp được Oracle Instant Client ở {tmp_path}")
    assert "MARK" not in problem


def test_an_address_that_notepad_wrote_is_read_and_the_identity_holds_no_password(tmp_path: Path) -> None:
    reader = opened(tmp_path, "\ufeffpostgresql+psycopg2://agent:MARK@db.local:5433/his\r\n", vendor="openhospital")
    assert reader.identity == "his.sql openhospital postgresql://db.local:5433/his"
    assert "MARK" not in "".join(reader.explain(measure) for measure in reader.measures)


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("SELECT 20261120 AS ngay, 1 AS count WHERE :start < :end", "không trả về cột day"),
        ("SELECT 20261120 AS day, 1 AS n WHERE :start < :end", "không trả về cột count"),
        ("SELECT 20261120 AS day, 1 AS count WHERE :start < :end", "không trả về cột category"),
        (SELECT.replace("n AS", "name AS"), "cột count không phải là số nguyên từ 0 đến 10^15"),
        (SELECT.replace("day,", "name AS day,"), "cột day không phải là một ngày"),
        (SELECT.replace("day,", "NULL AS day,"), "cột day không phải là một ngày"),
        (SELECT.replace("< :end", "<= :end"), "cột day nằm ngoài những ngày được hỏi"),
        (SELECT.replace("n AS", "-n AS"), "cột count không phải là số nguyên từ 0 đến 10^15"),
        (SELECT.replace("n AS", "n / 2.0 AS"), "cột count không phải là số nguyên từ 0 đến 10^15"),
        (SELECT.replace("n AS", "n * 1e300 AS"), "cột count không phải là số nguyên từ 0 đến 10^15"),
        (SELECT.replace("paid", "unpaid"), "không có bảng hoặc cột mà câu truy vấn gọi tên (mã SQLITE_ERROR)"),
        (SELECT.replace("method", "form"), "không có bảng hoặc cột mà câu truy vấn gọi tên (mã SQLITE_ERROR)"),
        (SELECT.replace("FROM", "FRON"), "cơ sở dữ liệu không chạy được câu truy vấn (mã SQLITE_ERROR)"),
        (SELECT.replace("n AS", "json(name) AS"), "cơ sở dữ liệu không chạy được câu truy vấn (mã SQLITE_ERROR)"),
        (SELECT.replace("n AS", "FLOOR(name) AS"), "cơ sở dữ liệu không chạy được câu truy vấn (mã SQLITE_ERROR)"),
        (SELECT.replace("n AS", "SUM(9223372036854775807) OVER () AS"), "cơ sở dữ liệu không chạy được câu truy vấn"),
    ],
)
def test_a_query_that_does_not_hold_to_the_contract_is_refused_and_shows_no_cell(
    tmp_path: Path, url: str, sql: str, sentence: str
) -> None:
    said = read(asking(tmp_path, url, sql))
    assert type(said.error) is SourceChangedError
    assert sentence in str(said.error)
    assert (said.days, "MARK" in f"{said!r}{said.error!r}") == (0, False)


def test_a_measure_that_fails_costs_no_other(tmp_path: Path, url: str) -> None:
    many = "WITH RECURSIVE k(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM k WHERE n < 1000000)"
    queries = {
        "payments": {
            "sql": f"{many} SELECT 20261120 AS day, 'MARK-' || n AS category, 1 AS count FROM k WHERE :start < :end"
        },
        "receipts": {"sql": SELECT.replace("day,", "name AS day,")},
        "visits": {"sql": "SELECT x AS day FROM nothing WHERE :start < :end"},
        "checkins": {"sql": SELECT.replace("method", "'vneid'")},
    }
    said = read(opened(tmp_path, url, queries={name: {"time": "number14", **one} for name, one in queries.items()}))
    assert said.counts == {("checkins", "12001", "2026-11-20"): {"vneid": 3}}
    assert list(said.failed) == ["payments", "receipts", "visits"]
    assert "hơn 1000 giá trị lạ" in str(said.failed["payments"])
    assert "MARK" not in f"{said!r}"


def test_bytes_that_are_no_utf8_cost_one_value_and_not_the_read(tmp_path: Path, url: str) -> None:
    run(f"sqlite:///{tmp_path / 'his.sqlite'}", "UPDATE paid SET method = CAST(x'54CD' AS TEXT) WHERE method = 'ck'")
    said = read(asking(tmp_path, url, SELECT, categories=MAPPED))
    assert payments(said) == {"2026-11-20": {"cash": 1, "unknown": 2}}
    assert said.unmapped == {"T�": 2}


def failure(directory: Path, url: str, kind: type[SourceError], **table: Any) -> str:
    """The sentence of a source that answers neither to a probe nor to a read."""
    reader = asking(directory, url, SELECT, **table)
    with pytest.raises(kind) as probed:
        reader.probe()
    with pytest.raises(kind) as caught:
        read(reader)
    assert str(probed.value) == str(caught.value)
    return str(caught.value)


def test_a_file_that_is_missing_or_no_database_is_named_by_a_probe_too(tmp_path: Path) -> None:
    assert "không thấy tệp" in failure(tmp_path, "sqlite:///his.sqlite", SourceUnavailableError)
    (tmp_path / "his.sqlite").write_bytes(b"MARK-" * 1000)
    assert "không phải là cơ sở dữ liệu" in failure(tmp_path, "sqlite:///his.sqlite", SourceChangedError)
    attach = {"attach": {"his_rs": "his.sqlite"}}
    assert "không phải là cơ sở dữ liệu" in failure(tmp_path, "sqlite://", SourceChangedError, **attach)
    attach = {"attach": {"his_rs": "none.sqlite"}}
    assert "không thấy tệp" in failure(tmp_path, "sqlite://", SourceUnavailableError, **attach)


def test_a_file_that_another_program_locks_is_unavailable(tmp_path: Path, url: str) -> None:
    with closing(sqlite3.connect(tmp_path / "his.sqlite")) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "mã SQLITE_BUSY" in failure(tmp_path, url, SourceUnavailableError, timeout=0.2)


def test_a_folder_in_place_of_the_file_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "his.sqlite").mkdir()
    assert "mã SQLITE_" in failure(tmp_path, "sqlite:///his.sqlite", SourceUnavailableError)


def test_a_probe_and_a_read_leave_no_trace(tmp_path: Path, url: str) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.suffix != ".url"}
    reader = asking(tmp_path, url, SELECT)
    reader.probe()
    read(reader)
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.suffix != ".url"}
    assert before == after


def test_nothing_can_be_written_even_by_a_query_that_tries(tmp_path: Path, url: str) -> None:
    with Database(url, {}, tmp_path, 5).session() as session:
        for sql in ("DELETE FROM paid WHERE :start < :end", "CREATE TABLE x AS SELECT :start, :end"):
            with pytest.raises(SourceError):
                list(session.rows(sql, "number14", DayRange(DAY, DAY), {}))
    assert payments(read(asking(tmp_path, url, SELECT))) == {"2026-11-20": {"unknown": 3}}


def test_explain_shows_query_bindings_mapping_options_and_facilities(tmp_path: Path) -> None:
    (tmp_path / "his_rs.sqlite").touch()
    reader = opened(
        tmp_path,
        "sqlite://",
        vendor="hispro",
        attach={"his_rs": "his_rs.sqlite", "emr_rs": "his_rs.sqlite"},
        required_documents=["BA01", "BA02", "BA01"],
        facility_map={"1": "12001"},
        queries={"payments": {"categories": {"VI": "wallet"}}},
    )
    text = reader.explain("records")
    for part in (
        "Hồ sơ bệnh án",
        ":required_documents = BA01, BA02",
        ":start = 20261120000000",
        "FROM his_rs.his_treatment t",
    ):
        assert part in text
    assert "1 → 12001; giá trị khác không được đếm" in text
    text = reader.explain("payments")
    assert ":required_documents" not in text
    for part in ("vi → wallet", "tm → cash", "Hoàn ứng (loại 2) không tính", "giá trị khác hoặc rỗng → unknown"):
        assert part in text


def test_a_file_closed_to_the_account_of_the_agent_is_denied(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to other accounts
        file = Path(folder, "his.sqlite")
        file.touch(0)
        Path(folder).chmod(0o755)
        reader = asking(tmp_path, f"sqlite:///{file}", SELECT)
        if os.geteuid() == 0:
            os.seteuid(65534)
        try:
            with pytest.raises(SourceDeniedError, match="không được đọc tệp"):
                reader.probe()
        finally:
            os.seteuid(os.getuid())


def test_a_window_is_bound_as_the_column_keeps_its_times(tmp_path: Path, url: str) -> None:
    shown = {time: describe_window(time) for time in ("datetime", "date", "number14", "text14", "text12", "text8")}
    for time, start in {
        "datetime": "2026-11-20 00:00:00",
        "date": "2026-11-20",
        "number14": "20261120000000",
        "text14": "20261120000000",
        "text12": "202611200000",
        "text8": "20261120",
    }.items():
        assert f":start = {start} (0 giờ ngày 20/11/2026)" in shown[time]
    assert ":start = 1795107600000 " in describe_window("epoch_ms")
    assert datetime.fromtimestamp(1795107600, LOCAL).isoformat() == "2026-11-20T00:00:00+07:00"
