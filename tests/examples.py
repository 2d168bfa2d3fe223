"""A living example of every kind: a source full of MARK- values with a known count, and ways to break it.

`EXAMPLES[kind](directory)` is a context manager; the source lives until it ends. Its days are today's, so that any
command reads them. Marks stand wherever a person's data may stand, never in the category itself.
"""

import base64
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import openpyxl

from adapters.einvoice.test_providers import OPTIONS, PASSWORDS
from adapters.emr.test_fhir import composition, document, encounter
from adapters.his.test_his import HISPRO, hispro_rows
from contract.days import local_day, now
from tests.providers import bkav, fpt, misa, viettel, vnpt
from tests.providers.fhir import FhirApp, outcome
from tests.providers.server import App, Reply, Served, as_json, serving
from tests.test_kinds import ADAPTERS

TODAY = local_day(now())
MARK = "MARK-Nguyễn Văn A 079099123456 DN4790000000001 0912345678"
LOGINS = ("/auth/login", "/auth/token", "/c_signin")


@dataclass
class Example:
    """`toml` is the source's own table, named x; `counts` (of today) are among those that its facility must get."""

    toml: str
    measure: str
    counts: Mapping[str, int]
    breaks: Mapping[str, Callable[[], None]]
    """What goes wrong with the source, one after the other."""
    facilities: tuple[str, ...] = ("12001",)
    """The first has the counts."""
    served: Served | None = None
    """The server, where the source is one."""


# Databases

EXTRA = """
[sources.x.queries.extra_day]
measure = "prescriptions"
sql = "SELECT ngay AS day, 'electronic' AS category, 1 AS count FROM {table} WHERE luc >= :start AND luc < :end"
[sources.x.queries.extra_count]
measure = "telemedicine"
sql = "SELECT luc AS day, 'completed' AS category, so AS count FROM {table} WHERE luc >= :start AND luc < :end"
"""


def _execute(url: Path, *statements: str, rows: Any = (), attach: tuple[str, ...] = ()) -> None:
    with closing(sqlite3.connect(url)) as connection, connection:
        for name in attach:
            connection.execute(f"ATTACH DATABASE '{url.parent / name}.sqlite' AS {name}")
        for statement in statements:
            connection.execute(statement)
        for insert, values in rows:
            connection.executemany(insert, values)


def _extra(table: str = "extra") -> list[str]:
    """A table from which one query takes its day, another its count."""
    return [
        f"CREATE TABLE {table} (luc, ngay, so, ten)",
        f"INSERT INTO {table} VALUES ('{TODAY} 08:00:00', '{TODAY} 08:00:00', 2, '{MARK}')",
    ]


def _sql(
    directory: Path, toml: str, measure: str, counts: Mapping[str, int], attach: tuple[str, ...] = (), **more: Any
) -> Example:
    """The example of a database, `db.sqlite` or, with `attach`, the files of these schemas."""
    database = directory / "db.sqlite"
    table = f"{attach[0]}.extra" if attach else "extra"
    url = "sqlite://" if attach else f"sqlite:///{database}"
    (directory / "db.url").write_text(url, "utf-8")
    change = partial(_execute, database, attach=attach)

    def another_type() -> None:
        change(f"UPDATE {table} SET ngay = '{MARK}', so = '{MARK}'")

    def no_database() -> None:
        for file in [directory / f"{name}.sqlite" for name in attach] or [database]:
            file.write_bytes(f"{MARK}\n".encode() * 1000)

    breaks = {"another type": another_type, "no database": no_database}
    return Example(toml + EXTRA.format(table=table), measure, counts, breaks, **more)


@contextmanager
def _his_sql(directory: Path) -> Iterator[Example]:
    """HisPro: patients' names, cards and telephones beside what is counted."""
    attach = ("his_rs", "emr_rs")
    number = int(f"{TODAY:%Y%m%d}093000")
    personal = {"tdl_patient_name": MARK, "buyer_phone": "MARK-0912345678", "transaction_time": number}
    case = {
        "his_treatment": [{"out_time": number, "tdl_patient_name": MARK, "tdl_hein_card_number": "MARK-DN479"}],
        "his_transaction": [
            {**personal, "amount": 50_000, "pay_form": "TM"},
            {**personal, "amount": 70_000, "pay_form": "QR"},
            {**personal, "amount": 80_000, "pay_form": "QR"},
        ],
        "emr_document": [{"create_date": number, "document_name": MARK, "signers": MARK}],
    }
    tables = [f"CREATE TABLE {table} ({columns})" for table, columns in HISPRO.items()]
    _execute(directory / "db.sqlite", *tables, *_extra("his_rs.extra"), rows=list(hispro_rows(case)), attach=attach)
    toml = """
[sources.x]
kind = "his.sql"
vendor = "hispro"
database_file = "db.url"
attach = { his_rs = "his_rs.sqlite", emr_rs = "emr_rs.sqlite" }
"""
    yield _sql(directory, toml, "payments", {"cash": 1, "qr": 2}, attach)


def _case(path: str) -> list[str]:
    """The statements of a kind's own case, moved to today."""
    text = (ADAPTERS / path).read_text("utf-8")
    tomorrow = TODAY + timedelta(days=1)
    for then, moved in (("-11-20", TODAY), ("-11-21", tomorrow)):
        text = text.replace(f"2026{then}", str(moved)).replace(f"2026{then}".replace("-", ""), f"{moved:%Y%m%d}")
    return text.strip().rstrip(";").split(";\n")


@contextmanager
def _emr_sql(directory: Path) -> Iterator[Example]:
    """HisPro's EMR, whose documents and signers bear names."""
    attach = ("his_rs", "emr_rs")
    _execute(directory / "db.sqlite", *_case("emr/cases/sql/hispro.sql"), *_extra("his_rs.extra"), attach=attach)
    toml = """
[sources.x]
kind = "emr.sql"
vendor = "hispro"
database_file = "db.url"
attach = { his_rs = "his_rs.sqlite", emr_rs = "emr_rs.sqlite" }
"""
    yield _sql(directory, toml, "records", {"electronic": 2, "hybrid": 3, "paper": 2, "unknown": 1}, attach)


def _from_sample(kind: str) -> str:
    """The table of a kind's sample as it stands, named x."""
    folder = kind.partition(".")[0]
    text = (ADAPTERS / folder / "sample.toml").read_text("utf-8").replace(f"/etc/nhipso/{folder}.url", "db.url")
    return text.replace(f"[sources.{folder}", "[sources.x")


@contextmanager
def _office_sql(directory: Path) -> Iterator[Example]:
    """A document system: subjects, signers and receivers."""
    _execute(directory / "db.sqlite", *_case("office/cases/qlvb.sql"), *_extra())
    toml = _from_sample("office.sql")
    example = _sql(
        directory, toml, "documents", {"digitally_signed": 2, "not_signed": 2}, facilities=("12001", "12002")
    )
    # this sample has a table of facilities, so the queries beside it must say which
    for constant in ("'electronic'", "'completed'"):
        example.toml = example.toml.replace(f"{constant} AS category", f"'BVDK' AS facility, {constant} AS category")
    yield example


@contextmanager
def _survey_sql(directory: Path) -> Iterator[Example]:
    """Answers with names, telephones and free texts."""
    _execute(directory / "db.sqlite", *_case("survey/cases/survey.sql"), *_extra())
    yield _sql(directory, _from_sample("survey.sql"), "satisfaction", {"satisfied": 4, "neutral": 2})


# Folders


def _put(path: Path, content: bytes) -> None:
    """A file that nobody is writing any more."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    age = now().timestamp() - 3600 + len(content) % 1000
    os.utime(path, (age, age))


def _marked(number: int) -> str:
    """A file name as careless programs make them."""
    return f"{MARK} {number}"


def _bhyt(visit: int, form: str = "01", came: str = f"{TODAY:%Y%m%d}0800") -> bytes:
    summary = (
        f"<TONG_HOP><MA_LK>MARK-LK-{visit}</MA_LK><MA_BN>MARK-BN</MA_BN><HO_TEN>{MARK}</HO_TEN>"
        f"<SO_CCCD>MARK-CCCD</SO_CCCD><DIA_CHI>MARK-DIA CHI</DIA_CHI><DIEN_THOAI>MARK-0912</DIEN_THOAI>"
        f"<MA_THE_BHYT>MARK-DN479</MA_THE_BHYT><CHAN_DOAN_RV>MARK-HIV</CHAN_DOAN_RV><MA_BENH_CHINH>MARK-B20"
        f"</MA_BENH_CHINH><MA_DOITUONG_KCB>1.1</MA_DOITUONG_KCB><NGAY_VAO>{came}</NGAY_VAO><NGAY_RA>{came}</NGAY_RA>"
        f"<MA_LOAI_KCB>{form}</MA_LOAI_KCB><MA_CSKCB>79029</MA_CSKCB></TONG_HOP>"
    )
    return (
        "<GIAMDINHHS><THONGTINDONVI><MACSKCB>79029</MACSKCB></THONGTINDONVI><THONGTINHOSO>"
        f"<NGAYLAP>{TODAY:%Y%m%d}</NGAYLAP><DANHSACHHOSO><HOSO><FILEHOSO><LOAIHOSO>XML1</LOAIHOSO>"
        f"<NOIDUNGFILE>{base64.b64encode(summary.encode()).decode()}</NOIDUNGFILE></FILEHOSO></HOSO></DANHSACHHOSO>"
        "</THONGTINHOSO></GIAMDINHHS>"
    ).encode()


ENTITY = f'<!DOCTYPE x [<!ENTITY MARK-E "{MARK}"><!ENTITY o SYSTEM "file:///MARK-O">]><x>&MARK-E;&o;</x>'.encode()


@contextmanager
def _bhyt_xml(directory: Path) -> Iterator[Example]:
    """Insurance files; a patient's name is in everything, the file's own name too."""
    folder = directory / "in"
    for number, form in enumerate(("01", "01", "03"), 1):
        _put(folder / "accepted" / f"{_marked(number)}.xml", _bhyt(number, form))
    for name in ("sent", MARK):
        (folder / name).mkdir()

    def bad_values() -> None:
        _put(folder / "sent" / "1.xml", _bhyt(7, came="MARK-ngày vào"))
        _put(folder / "sent" / "2.xml", _bhyt(8).replace(b"<NOIDUNGFILE>", b"<NOIDUNGFILE>MARK-!!"))

    def malformed() -> None:
        for number, content in enumerate((ENTITY, f"<x><{MARK}".encode(), _bhyt(9)[:300], MARK.encode("utf-16"))):
            _put(folder / "sent" / f"{_marked(number)}.xml", content)
        for file in (folder / "accepted").iterdir():
            _put(file, f"<GIAMDINHHS><HO_TEN>{MARK}</{MARK}>".encode())

    toml = """
[sources.x]
kind = "his.bhyt_xml"
folder = "in"
[sources.x.folders]
accepted = "accepted"
sent = "sent"
"""
    yield Example(
        toml,
        "visits",
        {"outpatient": 2, "inpatient": 1},
        {"bad values": bad_values, "malformed": malformed},
    )


def _invoice(number: str, day: str = str(TODAY)) -> bytes:
    return (
        f"<HDon><DLHDon><TTChung><KHMSHDon>2</KHMSHDon><KHHDon>C{TODAY:%y}TAA</KHHDon><SHDon>{number}</SHDon>"
        f"<NLap>{day}</NLap></TTChung><NDHDon><NBan><Ten>MARK-BV</Ten><MST>0109999991</MST></NBan><NMua><Ten>{MARK}</Ten>"
        f"<MST>MARK-TAX</MST><DChi>MARK-DC</DChi><SDThoai>MARK-091</SDThoai><CCCDan>MARK-079</CCCDan><HVTNMHang>{MARK}"
        "</HVTNMHang></NMua><DSHHDVu><HHDVu><THHDVu>MARK-Xét nghiệm HIV</THHDVu></HHDVu></DSHHDVu></NDHDon></DLHDon>"
        "<MCCQT>00FAKE</MCCQT></HDon>"
    ).encode()


@contextmanager
def _einvoice_xml(directory: Path) -> Iterator[Example]:
    """Invoices to patients, in files that bear their names."""
    folder = directory / "in"
    for number in (1, 2):
        _put(folder / f"{_marked(number)}.xml", _invoice(str(number)))

    def bad_values() -> None:
        _put(folder / "3.xml", _invoice(MARK))
        _put(folder / "4.xml", _invoice("4", MARK))

    def malformed() -> None:
        for number, content in enumerate(
            (ENTITY, f"<HDon><{MARK}".encode(), _invoice("9")[:400], MARK.encode("utf-16"))
        ):
            _put(folder / MARK / f"{number}.xml", content)
        _put(folder / f"{_marked(1)}.xml", f"<HDon><Ten>{MARK}</{MARK}>".encode())

    toml = '[sources.x]\nkind = "einvoice.xml"\nfolder = "in"\n'
    yield Example(toml, "invoices", {"valid": 2}, {"bad values": bad_values, "malformed": malformed})


@contextmanager
def _sheet_file(directory: Path) -> Iterator[Example]:
    """A workbook and a CSV file kept by a person, who notes names beside the counts."""
    folder = directory / "in"
    folder.mkdir()

    def book(*rows: list[Any]) -> None:
        made = openpyxl.Workbook()
        sheet = made.active
        assert sheet is not None
        sheet.title = "MARK-TRANG"
        for row in [[MARK], ["Ngày", "Đã thực hiện", "Đã hủy", "MARK-Người bệnh"], *rows]:
            sheet.append(row)
        made.properties.creator = MARK
        made.save(directory / "made.xlsx")
        _put(folder / f"{_marked(1)}.xlsx", (directory / "made.xlsx").read_bytes())

    def bad_values() -> None:
        book(
            [TODAY, 5, 1, MARK], [MARK, 1, 1, MARK], [TODAY, MARK, 1, MARK], [TODAY, 1, MARK, MARK], [None, 1, 1, MARK]
        )

    def malformed() -> None:
        _put(folder / f"{_marked(1)}.xlsx", b"PK\x03\x04" + MARK.encode() * 50)
        _put(folder / "2.csv", f"{MARK};{MARK}\n{MARK};1\n".encode())
        _put(folder / "3.csv", f'Ngày;Đã thực hiện\n"{TODAY:%d/%m/%Y};{MARK}\n'.encode())
        _put(folder / "4.csv", MARK.encode("utf-16")[:-1])

    book([TODAY, 5, 1, MARK], [TODAY, 1, None, MARK])
    toml = '[sources.x]\nkind = "sheet.file"\nfolder = "in"\nmeasure = "telemedicine"\n'
    breaks = {"bad values": bad_values, "malformed": malformed}
    yield Example(toml, "telemedicine", {"completed": 6, "cancelled": 1}, breaks)


# Servers


def _quoted(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_quoted(inner)}" for name, inner in value.items()) + " }"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _fails(served: Served, reply: Reply) -> Callable[[], None]:
    """From now on the server answers so, except to a login."""

    def change() -> None:
        served.fault = lambda request: None if request.path in LOGINS else reply

    return change


def _server_breaks(served: Served) -> dict[str, Callable[[], None]]:
    return {
        "another shape": _fails(served, as_json([[MARK], {MARK: MARK}])),
        "an error page": _fails(served, Reply(f"<h1>{MARK}</h1>".encode(), 500, headers={"X-Error": "MARK-HEADER"})),
    }


WHEN = f"{TODAY}T07:00:00"
PROVIDERS: dict[str, tuple[Callable[[], App], Mapping[str, int]]] = {
    "viettel": (lambda: viettel.ViettelApp([viettel.row(1, WHEN), viettel.row(2, WHEN, buyerIdNo=MARK)]), {"valid": 2}),
    "vnpt": (lambda: vnpt.VnptApp([vnpt.item(1, when=WHEN), vnpt.item(2, when=WHEN, name=MARK)]), {"valid": 2}),
    "bkav": (lambda: bkav.BkavApp([bkav.row(n, day=str(TODAY), BuyerAddress=MARK) for n in (1, 2)]), {"valid": 2}),
    "misa": (lambda: misa.MisaApp([misa.status(1), misa.status(2, BuyerName=MARK)]), {"valid": 2}),
    "fpt": (lambda: fpt.FptApp([fpt.invoice(1), fpt.invoice(2, buyer=MARK)]), {"valid": 2}),
}
BAD_ROWS: dict[str, Callable[[Any], None]] = {
    "viettel": lambda app: app.rows.append(viettel.row(3, WHEN, invoiceSeri=MARK, exchangeStatus={MARK: MARK})),
    "vnpt": lambda app: app.items.append({**vnpt.item(3, when=WHEN, invNum=MARK), "publishDate": _vnpt_day() + MARK}),
    "bkav": lambda app: app.rows.append(bkav.row(3, day=str(TODAY)) | {"InvoiceDate": f"{TODAY}{MARK}"}),
    "misa": lambda app: app.invoices.append(misa.status(3, InvSeries=MARK, SendTaxStatus=MARK, InvNo=MARK)),
    "fpt": lambda app: app.invoices.append(fpt.invoice(3, serial=MARK, seq=MARK, status_received={MARK: MARK})),
}


def _vnpt_day() -> str:
    return f"{TODAY.month}/{TODAY.day}/{TODAY.year} "


@contextmanager
def _provider(provider: str, directory: Path) -> Iterator[Example]:
    """The provider's own server, with buyers' names in its rows, and an HIS that keeps the ids where it needs one."""
    for name, content in PASSWORDS.items():
        (directory / name).write_text(content, "utf-8")
    (directory / "his.url").write_text("sqlite:///his.sqlite")
    prefix = {"misa": "REF-", "fpt": "HD"}.get(provider, "")
    _execute(
        directory / "his.sqlite",
        "CREATE TABLE invoices (id, day, seller, buyer)",
        *(f"INSERT INTO invoices VALUES ('{prefix}{n}', '{TODAY}', '0109999991', '{MARK}')" for n in (1, 2)),
    )
    make, counts = PROVIDERS[provider]
    app = make()
    with serving(app) as served:

        def bad_values() -> None:
            BAD_ROWS[provider](app)
            _execute(
                directory / "his.sqlite",
                f"INSERT INTO invoices VALUES ('{prefix}3', '{TODAY}', '0109999991', '{MARK}')",
            )

        def bad_id() -> None:
            values = ", ".join(f"'{one}'" for one in (MARK, TODAY, "0109999991", MARK))
            _execute(directory / "his.sqlite", f"INSERT INTO invoices VALUES ({values})")

        options = {"url": served.url, **OPTIONS[provider]}
        table = "\n".join(f"{name} = {_quoted(value)}" for name, value in options.items())
        needs_ids = {"a bad id": bad_id} if "ids" in options else {}
        breaks = {"bad values": bad_values, **needs_ids, **_server_breaks(served)}
        if needs_ids:
            del breaks["another shape"]  # nothing is asked before the id is refused
        toml = f'[sources.x]\nkind = "einvoice.{provider}"\n{table}\n'
        yield Example(toml, "invoices", counts, breaks, served=served)


@contextmanager
def _fhir(directory: Path) -> Iterator[Example]:
    """A FHIR server whose resources are full of people."""
    when = f"{TODAY}T08:00:00+07:00"
    app = FhirApp(
        [
            encounter(1, when, reasonCode=[{"text": MARK}]),
            encounter(2, when, "IMP"),
            composition(1, "final", "legal", date=when, title=MARK),
            document(1, "preliminary", date=when, description=MARK),
        ]
    )
    with serving(app) as served:
        app.origin = served.url

        def bad_values() -> None:
            app.resources.append(composition(3, "final", date=when, attester=MARK, custodian={"reference": [MARK]}))
            app.resources.append(document(3, "final", date=when, content=MARK))
            app.resources.append(
                encounter(3, when) | {"class": [{"display": MARK}], "period": {"start": f"{TODAY}{MARK}"}}
            )
            app.ignores_dates = True

        breaks = {
            "bad values": bad_values,
            "an outcome": _fails(served, outcome("processing", 200)),
            "an error page": _server_breaks(served)["an error page"],
        }
        toml = f'[sources.x]\nkind = "emr.fhir"\nurl = "{served.url}/fhir"\n'
        yield Example(toml, "visits", {"outpatient": 1, "inpatient": 1}, breaks, served=served)


EXAMPLES: dict[str, Callable[[Path], AbstractContextManager[Example]]] = {
    "his.sql": _his_sql,
    "his.bhyt_xml": _bhyt_xml,
    "emr.sql": _emr_sql,
    "emr.fhir": _fhir,
    "einvoice.xml": _einvoice_xml,
    **{f"einvoice.{provider}": partial(_provider, provider) for provider in PROVIDERS},
    "office.sql": _office_sql,
    "survey.sql": _survey_sql,
    "sheet.file": _sheet_file,
}
