"""The vendor files of `his.sql` on real databases.

HisPro: each folder of `cases/hispro/` is rows of its tables and the counts that the definitions ask for. `case.toml`:
`about`; rows by table (under `rows` where options stand before them), whose missing columns take the defaults below and
where 0 or "" is NULL for a key; `options` and `facilities` of the source; `last` day (first is 20/11/2026); `expected`:
measure → facility → day → counts; `unmapped`, `strangers`.
Open Hospital: its demo data (an excerpt in `cases/openhospital/`, all of it where the samples are), counted twice.
"""

import csv
import re
import sqlite3
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import sqlglot
from sqlalchemy.dialects.oracle.base import RESERVED_WORDS
from sqlalchemy.engine import make_url
from sqlglot import exp

from adapters.conftest import DAY, Said, asking, opened, read, run
from adapters.his.sql import adapter as his_adapter
from adapters.sql import describe_window
from agent.reader import IndexMemory
from conftest import SAMPLES
from contract.adapter import Adapter, SourceConfig
from contract.catalogue import load as load_catalogue
from contract.days import DayRange
from contract.errors import SourceChangedError, SourceDeniedError

HERE = Path(__file__).parent
CASES = sorted(path.name for path in (HERE / "cases" / "hispro").iterdir())
FORMS = ("TM", "01", "CK", "THE", "QUET_THE", "QR", "TMCK", "TMQT", "VI_MOI", "ck ")
TYPES = ("BA01", "BA02", "BA03")

# The columns that are read, as the Oracle schema has them, and personal ones that are not.
HISPRO = {
    "his_rs.his_pay_form": "id numeric(19), pay_form_code varchar(20), pay_form_name varchar(100)",
    "his_rs.his_treatment": "id numeric(19), treatment_code varchar(12), branch_id numeric(19), in_time numeric(14),"
    " out_time numeric(14), tdl_treatment_type_id numeric(19), is_delete numeric(2), is_pause numeric(2),"
    " tdl_patient_name varchar(200), tdl_patient_cccd_number varchar(50), tdl_hein_card_number varchar(50)",
    "his_rs.his_transaction": "id numeric(19), transaction_code varchar(12), transaction_time numeric(14),"
    " transaction_type_id numeric(19), pay_form_id numeric(19), treatment_id numeric(19), amount numeric(19, 4),"
    " kc_amount numeric(19, 4), exemption numeric(19, 4), tdl_bill_fund_amount numeric(19, 4),"
    " transfer_amount numeric(19, 4), swipe_amount numeric(19, 4), sale_type_id numeric(19), is_cancel numeric(2),"
    " is_delete numeric(2), einvoice_num_order varchar(50), is_cancel_einvoice numeric(2),"
    " tdl_patient_name varchar(200), buyer_phone varchar(50)",
    "emr_rs.emr_document_type": "id numeric(19), document_type_code varchar(20), document_type_name varchar(200)",
    "emr_rs.emr_document": "id numeric(19), document_code varchar(20), document_name varchar(200),"
    " treatment_code varchar(12), document_type_id numeric(19), create_date numeric(14), is_delete numeric(2),"
    " is_capture numeric(2), signers varchar(2000), un_signers varchar(2000), next_signer varchar(200),"
    " rejecter varchar(200)",
}
DEFAULTS: dict[str, dict[str, Any]] = {
    "his_treatment": {
        "treatment_code": "T1",
        "branch_id": 1,
        "in_time": 20261118080000,
        "out_time": 20261120100000,
        "tdl_treatment_type_id": 3,
        "is_delete": 0,
        "tdl_patient_name": "MARK-NAME",
        "tdl_patient_cccd_number": "MARK-CCCD",
        "tdl_hein_card_number": "MARK-CARD",
    },
    "his_transaction": {
        "transaction_time": 20261120093000,
        "transaction_type_id": 3,
        "pay_form": "TM",
        "treatment_code": "T1",
        "is_delete": 0,
        "tdl_patient_name": "MARK-NAME",
        "buyer_phone": "MARK-PHONE",
    },
    "emr_document": {
        "create_date": 20261120090000,
        "treatment_code": "T1",
        "type": "BA03",
        "is_delete": 0,
        "document_name": "MARK-DOCUMENT",
    },
}


def hispro_rows(case: Mapping[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """INSERT → rows, for all tables."""
    given = case.get("rows", case)
    treatments = [DEFAULTS["his_treatment"] | row for row in given.get("his_treatment", [{"out_time": 0}])]
    keys = {row["treatment_code"]: number for number, row in enumerate(treatments, 1)}
    forms = {code: number for number, code in enumerate(FORMS, 1)}
    types = {code: number for number, code in enumerate(TYPES, 1)}
    tables: dict[str, list[dict[str, Any]]] = {
        "his_rs.his_pay_form": [{"pay_form_code": code} for code in FORMS],
        "his_rs.his_treatment": [
            row | {"branch_id": row["branch_id"] or None, "out_time": row["out_time"] or None} for row in treatments
        ],
        "his_rs.his_transaction": [
            {"pay_form_id": forms.get(row.pop("pay_form")), "treatment_id": keys.get(row.pop("treatment_code"))} | row
            for row in (DEFAULTS["his_transaction"] | row for row in given.get("his_transaction", []))
        ],
        "emr_rs.emr_document_type": [{"document_type_code": code} for code in TYPES],
        "emr_rs.emr_document": [
            {"document_type_id": types[row.pop("type")]} | row
            for row in (DEFAULTS["emr_document"] | row for row in given.get("emr_document", []))
        ],
    }
    for table, rows in tables.items():
        columns = re.findall(r"(\w+) (?:numeric|varchar)", HISPRO[table])
        assert {key for row in rows for key in row} <= set(columns), table
        complete = [dict.fromkeys(columns) | {"id": number} | row for number, row in enumerate(rows, 1)]
        if complete:
            yield f"INSERT INTO {table} ({', '.join(columns)}) VALUES (:{', :'.join(columns)})", complete


def case_of(name: str) -> dict[str, Any]:
    return tomllib.loads((HERE / "cases" / "hispro" / name / "case.toml").read_text("utf-8"))


def hispro(directory: Path, url: str, case: Mapping[str, Any]) -> Adapter:
    """A source over HisPro's tables that hold the rows of `case`: two SQLite files, or two schemas at `url`."""
    attach = {} if url else {name: f"{name}.sqlite" for name in ("his_rs", "emr_rs")}
    schemas = [f"ATTACH '{directory / file}' AS {name}" for name, file in attach.items()]
    schemas = schemas or ["CREATE SCHEMA his_rs", "CREATE SCHEMA emr_rs"]
    tables = [f"CREATE TABLE {table} ({columns})" for table, columns in HISPRO.items()]
    run(url or "sqlite://", *schemas, *tables, rows=hispro_rows(case))
    facility_map = case.get("facilities", {})
    return opened(
        directory,
        url or "sqlite://",
        vendor="hispro",
        facilities=tuple(dict.fromkeys(facility_map.values())) or ("12001",),
        facility_map=facility_map,
        measures=tuple(case["expected"]),
        **({"attach": attach} if attach else {}),
        **case.get("options", {}),
    )


def expected_of(case: Mapping[str, Any]) -> dict[tuple[str, str, str], dict[str, int]]:
    return {
        (measure, facility, day): counts
        for measure, facilities in case["expected"].items()
        for facility, days in facilities.items()
        for day, counts in days.items()
    }


def holds(case: Mapping[str, Any], said: Said) -> None:
    assert said.failed == {}
    assert said.counts == expected_of(case)
    assert (said.unmapped, said.strangers) == (case.get("unmapped", {}), case.get("strangers", {}))
    assert "MARK" not in repr(said)


@pytest.mark.parametrize("name", CASES)
def test_hispro_on_sqlite_says_what_the_definitions_ask_for(name: str, tmp_path: Path) -> None:
    case = case_of(name)
    holds(case, read(hispro(tmp_path, "", case), DAY, case.get("last", DAY)))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_hispro_on_postgresql_says_the_same(name: str, tmp_path: Path, postgres_url: str) -> None:
    case = case_of(name)
    holds(case, read(hispro(tmp_path, postgres_url, case), DAY, case.get("last", DAY)))


def test_hispro_of_a_day_without_rows_is_zero_and_not_missing(tmp_path: Path) -> None:
    case = case_of("pay_forms")
    said = read(hispro(tmp_path, "", case), date(2026, 10, 1), date(2026, 10, 7))
    assert (said.days, said.counts, said.failed) == (14, {}, {})


def test_hispro_with_a_form_of_the_hospitals_own_mapped(tmp_path: Path) -> None:
    wallet = {name: {"categories": {"vi_moi": "wallet"}} for name in ("payments", "payment_amount")}
    case = case_of("pay_forms")
    said = read(hispro(tmp_path, "", {**case, "options": {"queries": wallet}}))
    assert said.counts["payments", "12001", "2026-11-20"]["wallet"] == 1
    assert said.counts["payment_amount", "12001", "2026-11-20"]["wallet"] == 256
    assert said.unmapped == {}


def test_a_query_of_the_hospitals_own_replaces_the_vendors_and_may_use_its_options(tmp_path: Path) -> None:
    case = {**case_of("records_with_required_documents"), "expected": {"records": {}}}
    sql = """
    SELECT 20261120 AS day, 'electronic' AS category, COUNT(*) * 100 + :required_documents_count AS count
    FROM emr_rs.emr_document_type
    WHERE document_type_code IN (:required_documents) AND 20261120000000 >= :start AND 20261120000000 < :end
    """
    own = {"queries": {"records": {"sql": sql}}, "required_documents": ["BA01", "BA02", "KHAC"]}
    said = read(hispro(tmp_path, "", {**case, "options": own}))
    assert said.counts == {("records", "12001", "2026-11-20"): {"electronic": 203}}


def vendor_queries() -> dict[str, tuple[str, str]]:
    """Name → (vendor, text) of every query that a vendor file holds."""
    found = {}
    for file in sorted((HERE / "vendors").glob("*.toml")):
        for name, query in tomllib.loads(file.read_text("utf-8"))["queries"].items():
            texts = {"": query["sql"], **query.get("instead", {})}
            found.update({f"{file.stem}.{name} {option}".strip(): (file.stem, text) for option, text in texts.items()})
    return found


QUERIES = vendor_queries()


@pytest.mark.parametrize("name", [name for name, (vendor, _) in QUERIES.items() if vendor == "hispro"])
def test_hispros_text_is_oracles_too(name: str) -> None:
    sql = QUERIES[name][1]
    tree = sqlglot.parse_one(sql, dialect="oracle")
    assert not list(tree.find_all(exp.Limit, exp.Boolean, exp.Cast))
    # a name for a table or a subquery is followed by a clause, one for a column by a comma or FROM
    assert not re.search(r"\bAS\s+\w+\s*(WHERE|GROUP|ORDER|LEFT|JOIN|ON\b|UNION|\)|$)", sql, re.IGNORECASE)
    assert "''" not in sql and "||" not in sql
    for select in tree.find_all(exp.Select):
        assert select.args.get("from_") or select.args.get("from")
        grouped_as_oracle_wants(select)
    for alias in tree.find_all(exp.Alias, exp.TableAlias):
        name_ = str(alias.alias_or_name)
        assert len(name_) <= 30 and name_.lower() not in {word.lower() for word in RESERVED_WORDS}


def grouped_as_oracle_wants(select: exp.Select) -> None:
    """GROUP BY knows columns and not the names that SELECT gives; what is shown is grouped or an aggregate."""
    group = select.args.get("group")
    if group is None:
        return
    grouped = {one.sql() for one in group.expressions}
    for shown in select.expressions:
        plain = shown.unalias()
        if isinstance(shown, exp.Alias) and shown.alias in grouped:
            assert isinstance(plain, exp.Column) and plain.name == shown.alias
        columns = [one.sql() for one in plain.find_all(exp.Column) if not one.find_ancestor(exp.AggFunc)]
        assert set(columns) <= grouped


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_a_vendors_query_leaves_its_time_column_bare(name: str) -> None:
    for found in re.findall(r"(\S+) (?:>=|<) :(?:start|end)", QUERIES[name][1]):
        assert re.fullmatch(r"\w+\.\w+", found)
    assert len(re.findall(r">= :start\b", QUERIES[name][1])) == len(re.findall(r"< :end\b", QUERIES[name][1])) > 0


# --- Open Hospital ---------------------------------------------------------------------------------------------------

DEMO = SAMPLES / "openhospital" / "openhospital_demo.sqlite"
OH = {
    "oh_opd": "OPD_ID INT, OPD_DATE DATETIME, OPD_ACTIVE SMALLINT",
    "oh_admission": "ADM_ID INT, ADM_DATE_ADM DATETIME, ADM_DELETED CHAR(1), ADM_ACTIVE SMALLINT",
    "oh_bills": "BLL_ID INT, BLL_STATUS VARCHAR(1), BLL_PAT_NAME VARCHAR(100)",
    "oh_billpayments": "BLP_ID INT, BLP_ID_BILL INT, BLP_DATE DATETIME, BLP_AMOUNT DOUBLE, BLP_ACTIVE SMALLINT",
}
# One more of each kind that the demo data lacks: cases on the edges of a day, soft-deleted rows, a deleted bill.
EXTRA: dict[str, list[tuple[Any, ...]]] = {
    "oh_opd": [(9001, "2022-11-30 00:00:00", 1), (9002, "2022-11-30 23:59:59", 1), (9003, "2022-11-30 12:00:00", 0)],
    "oh_admission": [(9001, "2022-11-30 00:00:00", "N", 1), (9002, "2022-11-30 08:00:00", "N", 0)],
    "oh_bills": [(9001, "D", "MARK-NAME"), (9002, "C", "MARK-NAME")],
    "oh_billpayments": [
        (9001, 9001, "2022-11-30 08:00:00", 7, 1),
        (9002, 9002, "2022-11-30 08:00:00", 7.25, 1),
        (9003, 9002, "2022-11-30 23:59:59", 0.5, 1),
        (9004, 9002, "2022-11-30 08:00:00", 0, 1),
        (9005, 9002, "2022-11-30 08:00:00", 7, 0),
    ],
}


def columns_of(table: str) -> list[str]:
    return re.findall(r"([A-Z_]+) [A-Z]", OH[table])


def demo_rows(data: str) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of the four tables: those of the excerpt, or all of the sample."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for table in OH:
        if data == "excerpt":
            with (HERE / "cases" / "openhospital" / f"{table}.csv").open(newline="") as file:
                rows = [tuple(row.get(column) for column in columns_of(table)) for row in csv.DictReader(file)]
        else:
            with closing(sqlite3.connect(DEMO)) as connection:
                rows = connection.execute(f"SELECT {', '.join(columns_of(table))} FROM {table}").fetchall()
        found[table] = rows + EXTRA[table]
    return found


def load(url: str, data: str) -> None:
    """Make the tables as that database would have them, and fill them."""
    backend = make_url(url).get_backend_name()
    double = {"postgresql": [("DATETIME", "TIMESTAMP"), ("DOUBLE", "DOUBLE PRECISION")]}.get(backend, [])
    creates = []
    for table, columns in OH.items():
        for here, there in double:
            columns = columns.replace(f" {here}", f" {there}")
        creates.append(f"CREATE TABLE {table} ({columns})")
    rows = [
        (
            f"INSERT INTO {table} VALUES ({', '.join(f':{column}' for column in columns_of(table))})",
            [dict(zip(columns_of(table), row, strict=True)) for row in rows],
        )
        for table, rows in demo_rows(data).items()
    ]
    run(url, *creates, rows=rows)


def plain_counts(data: str) -> dict[tuple[str, str, str], dict[str, int]]:
    """The same by plain counting, in another way than the vendor file: row by row, in Python."""
    rows = {
        table: [dict(zip(columns_of(table), row, strict=True)) for row in rows]
        for table, rows in demo_rows(data).items()
    }
    status = {int(row["BLL_ID"]): row["BLL_STATUS"] for row in rows["oh_bills"]}
    sums: dict[tuple[str, str, str], dict[str, float]] = {}

    def add(measure: str, moment: str, category: str, amount: float) -> None:
        counts = sums.setdefault((measure, "12004", moment[:10]), {})
        counts[category] = counts.get(category, 0) + amount

    for row in rows["oh_opd"]:
        if int(row["OPD_ACTIVE"]) == 1:
            add("visits", row["OPD_DATE"], "outpatient", 1)
    for row in rows["oh_admission"]:
        if int(row["ADM_ACTIVE"]) == 1 and row["ADM_DELETED"] == "N":
            add("visits", row["ADM_DATE_ADM"], "inpatient", 1)
    for row in rows["oh_billpayments"]:
        if int(row["BLP_ACTIVE"]) == 1 and float(row["BLP_AMOUNT"]) > 0 and status[int(row["BLP_ID_BILL"])] != "D":
            add("payments", row["BLP_DATE"], "unknown", 1)
            add("payment_amount", row["BLP_DATE"], "unknown", float(row["BLP_AMOUNT"]))
    return {key: {code: int(sum_ + 0.5) for code, sum_ in counts.items()} for key, counts in sums.items()}


DATA = [
    "excerpt",
    pytest.param("sample", marks=pytest.mark.skipif(not DEMO.exists(), reason="the samples are not here")),
]


def counts_equal(directory: Path, url: str, data: str) -> None:
    load(url, data)
    reader = opened(directory, url, vendor="openhospital", facilities=("12004",))
    said, expected = read(reader, date(2021, 1, 1), date(2024, 12, 31)), plain_counts(data)
    assert said.failed == {} and said.counts == expected
    assert said.days == 1461 * 3
    assert len({day for _, _, day in expected}) > 20
    assert expected["payment_amount", "12004", "2022-11-30"] == {"unknown": 8}
    for _, _, day in sorted(expected)[::9]:  # a day alone says the same as within four years
        alone = read(reader, date.fromisoformat(day), date.fromisoformat(day)).counts
        assert alone == {key: counts for key, counts in expected.items() if key[2] == day}


@pytest.mark.parametrize("data", DATA)
def test_open_hospital_on_sqlite_equals_plain_counts(tmp_path: Path, data: str) -> None:
    counts_equal(tmp_path, f"sqlite:///{tmp_path / 'oh.sqlite'}", data)


@pytest.mark.slow
@pytest.mark.parametrize("data", DATA)
def test_open_hospital_on_mariadb_equals_plain_counts(tmp_path: Path, data: str, mariadb_url: str) -> None:
    counts_equal(tmp_path, mariadb_url, data)


@pytest.mark.slow
@pytest.mark.parametrize("data", DATA)
def test_open_hospital_on_postgresql_equals_plain_counts(tmp_path: Path, data: str, postgres_url: str) -> None:
    counts_equal(tmp_path, postgres_url, data)


@pytest.mark.skipif(not DEMO.exists(), reason="the samples are not here")
def test_the_file_of_the_sample_itself_equals_plain_sql(tmp_path: Path) -> None:
    reader = opened(tmp_path, f"sqlite:///{DEMO}", vendor="openhospital", facilities=("12004",), measures=("visits",))
    said = read(reader, date(2021, 1, 1), date(2024, 12, 31))
    expected: dict[tuple[str, str, str], dict[str, int]] = {}
    with closing(sqlite3.connect(f"file:{DEMO}?mode=ro", uri=True)) as connection:
        for category, sql in {
            "outpatient": "SELECT substr(OPD_DATE, 1, 10), COUNT(*) FROM oh_opd GROUP BY 1",
            "inpatient": "SELECT substr(ADM_DATE_ADM, 1, 10), COUNT(*) FROM oh_admission"
            " WHERE ADM_DELETED = 'N' GROUP BY 1",
        }.items():
            for day, count in connection.execute(sql):
                expected.setdefault(("visits", "12004", day), {})[category] = count
    assert said.counts == expected


# --- What the README asks a hospital to grant -------------------------------------------------------------------------


def grants(heading: str) -> list[str]:
    """The statements of the README's block that begins with this comment."""
    blocks = re.findall(r"```sql\n(.*?)```", (HERE / "README.md").read_text("utf-8"), re.DOTALL)
    [block] = [block for block in blocks if block.startswith(f"-- {heading}\n")]
    return [one.strip() for one in block.removeprefix(f"-- {heading}\n").split(";") if one.strip()]


@pytest.fixture
def nhipso_role(postgres_url: str) -> Iterator[sa.URL]:
    """The role that the README's grants make; the test must have them run."""
    yield make_url(postgres_url).set(username="nhipso")
    run(postgres_url, "DROP OWNED BY nhipso", "DROP ROLE nhipso")


@pytest.mark.slow
def test_the_grants_of_the_readme_are_enough_for_hispro_and_no_more(
    tmp_path: Path, postgres_url: str, nhipso_role: sa.URL
) -> None:
    case = {**case_of("records_with_required_documents"), "expected": {"records": {}}}
    hispro(tmp_path, postgres_url, case)
    run(postgres_url, *grants("HisPro, PostgreSQL"))
    account = nhipso_role.render_as_string(hide_password=False)
    given: list[dict[str, Any]] = [{}, case["options"]]
    for options in given:
        said = read(opened(tmp_path, account, vendor="hispro", **options))
        assert said.failed == {} and said.counts["records", "12001", "2026-11-20"]["paper"] == 2
    select = "SELECT 20261120 AS day, {} AS category, 1 AS count FROM his_rs.his_treatment WHERE :start < :end"
    assert type(read(asking(tmp_path, account, select.format("tdl_patient_name"))).error) is SourceDeniedError
    engine = sa.create_engine(account, poolclass=sa.NullPool)
    for sql in (
        "DELETE FROM his_rs.his_treatment",
        "SET default_transaction_read_only = off; DELETE FROM his_rs.his_treatment",
    ):
        with engine.connect() as connection, pytest.raises(sa.exc.DBAPIError):
            for one in sql.split("; "):
                connection.exec_driver_sql(one)
                connection.commit()


@pytest.mark.slow
@pytest.mark.parametrize("heading", ["Open Hospital, MariaDB", "Open Hospital, PostgreSQL"])
def test_the_grants_of_the_readme_are_enough_for_open_hospital_and_no_more(
    tmp_path: Path, request: pytest.FixtureRequest, heading: str
) -> None:
    maria = heading.endswith("MariaDB")
    url = str(request.getfixturevalue("mariadb_url" if maria else "postgres_url"))
    load(url, "excerpt")
    database = str(make_url(url).database)
    statements = [
        one.replace("10.0.0.5", "127.0.0.1").replace("openhospital.", f"{database}.") for one in grants(heading)
    ]
    password = re.search("'(doi-[^']*)'", " ".join(statements))
    run(url, *statements)
    try:
        account = make_url(url).set(username="nhipso", password=password[1] if password else "")
        text = account.render_as_string(hide_password=False)
        said = read(
            opened(tmp_path, text, vendor="openhospital", facilities=("12004",)), date(2021, 1, 1), date(2024, 12, 31)
        )
        assert said.failed == {} and said.counts == plain_counts("excerpt")
        names = "SELECT 20261120 AS day, BLL_PAT_NAME AS category, 1 AS count FROM oh_bills WHERE :start < :end"
        assert type(read(asking(tmp_path, text, names)).error) is SourceDeniedError
        engine = sa.create_engine(text, poolclass=sa.NullPool)
        with engine.connect() as connection, pytest.raises(sa.exc.DBAPIError):
            connection.exec_driver_sql("DELETE FROM oh_bills")
    finally:
        run(url, *(["DROP USER nhipso@'127.0.0.1'"] if maria else ["DROP OWNED BY nhipso", "DROP ROLE nhipso"]))


def test_a_column_of_another_type_is_refused_and_its_cells_are_not_shown(tmp_path: Path) -> None:
    case = {
        **case_of("branches_with_a_table"),
        "expected": {"payments": {}, "payment_amount": {}, "receipts": {}},
    }
    reader = hispro(tmp_path, "", case)
    with closing(sqlite3.connect(tmp_path / "his_rs.sqlite")) as connection, connection:
        connection.execute("UPDATE his_transaction SET amount = 'MARK-AMOUNT' WHERE id = 1")
        connection.execute("UPDATE his_transaction SET transaction_time = 20261120999999.5 WHERE id = 2")
        connection.execute("ALTER TABLE his_transaction DROP COLUMN einvoice_num_order")
    said = read(reader)
    assert {type(error) for error in said.failed.values()} <= {SourceChangedError}
    assert "receipts" in said.failed and "MARK" not in repr(said)


# --- The sample and the README ----------------------------------------------------------------------------------------


def test_the_sample_is_a_source_that_works_as_it_stands_and_with_all_its_options(tmp_path: Path) -> None:
    text = (HERE / "sample.toml").read_text("utf-8")
    for content in (text, re.sub(r'^# (?=\w+ = |\[|"|SELECT|FROM|WHERE|GROUP|""")', "", text, flags=re.MULTILINE)):
        table = tomllib.loads(content)["sources"]["his"]
        given = {key: value for key, value in table.items() if key not in ("kind", "timeout_seconds", "database_file")}
        facility_map = given.pop("facilities", {})
        measures = given.pop("measures", None)
        given.pop("oracle_client", None)  # is loaded at once, and there is none here
        url = "sqlite://" if "attach" in given else "oracle://nhipso:x@10.0.0.9:1521/?service_name=HISPRO"
        reader = opened(
            tmp_path,
            url,
            facilities=tuple(facility_map.values()) or ("12001",),
            facility_map=facility_map,
            measures=tuple(measures) if measures else None,
            **given,
        )
        assert reader.identity.startswith("his.sql hispro ")
        assert set(reader.measures) >= {"payments", "records"}


def test_each_line_of_the_readme_about_bindings_says_what_is_bound() -> None:
    text = (HERE / "README.md").read_text("utf-8")
    for time, shown in re.findall(r"^\| `(\w+)` \| [^|]* \| `([^`]*)`", text, re.MULTILINE):
        assert f":start = {shown} " in describe_window(time), time


DHG = """
CREATE SCHEMA current; CREATE SCHEMA xml130;
CREATE TABLE current.psdangky (makb text PRIMARY KEY, mabn text, ngaydk timestamp);
CREATE TABLE current.bnnoitru (makb text, namvien int, bant int, bangay int, ngayrv timestamp);
CREATE TABLE xml130.psxml (makb text, daguibhxh {flag}, hoso_error text, ngay_ttoan timestamp);
INSERT INTO current.psdangky VALUES ('a', 'MARK-1', '2025-11-03 00:00:00'), ('b', 'MARK-2', '2025-11-03 23:59:59'),
  ('c', 'MARK-3', '2025-11-03 09:00:00'),
  ('d', 'MARK-4', '2025-11-04 00:00:00'), ('e', 'MARK-5', '2025-11-03 10:00:00');
INSERT INTO current.bnnoitru VALUES ('b', 1, 0, 0, NULL), ('c', 1, 0, 1, NULL), ('e', 0, 1, 0, NULL);
INSERT INTO xml130.psxml VALUES ('a', {yes}, NULL, '2025-11-03 08:00:00'),
  ('b', {yes}, 'MARK-6', '2025-11-03 08:00:00'),
  ('c', {no}, NULL, '2025-11-03 08:00:00'), ('d', {no}, '', '2025-11-03 08:00:00'), ('e', {yes}, NULL, NULL);
"""


@pytest.mark.slow
@pytest.mark.parametrize(("flag", "yes", "no"), [("int", "1", "0"), ("boolean", "true", "NULL")])
def test_dhg_says_what_the_definitions_ask_for(flag: str, yes: str, no: str, tmp_path: Path, postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(DHG.format(flag=flag, yes=yes, no=no))
    engine.dispose()
    (tmp_path / "url").write_text(postgres_url)
    options = {"vendor": "dhg", "database_file": "url"}
    reader = his_adapter(SourceConfig("his", "his.sql", ("12001",), {}, None, 30, options, tmp_path), load_catalogue())
    day = date(2025, 11, 3)
    readings = list(reader.read(DayRange(day, day), reader.measures, IndexMemory(None, "his")))
    assert [reading.failed for reading in readings] == [{}, {}]
    found = {one.measure: dict(one.counts) for reading in readings for one in reading.tallies}
    assert found == {
        "visits": {"outpatient": 2, "inpatient": 1, "day_treatment": 1},
        "claims": {"sent": 1, "rejected": 1, "unsent": 2},
    }
