"""The providers' kinds against local servers that speak their protocols, quirks and faults included."""

import gzip
import importlib
import json
import logging
import re
import sqlite3
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from adapters.http import MOST_BYTES
from contract import catalogue
from contract.adapter import Adapter, Reading, SourceConfig
from contract.days import DayRange
from contract.errors import ConfigError, SourceChangedError, SourceDeniedError, SourceError, SourceUnavailableError
from tests.providers import bkav, fpt, misa, viettel, vnpt
from tests.providers.server import HTML, App, Reply, Request, Served, as_json, serving

CATALOGUE = catalogue.load()
DAY = date(2026, 11, 20)
WEEK = DayRange(date(2026, 11, 16), date(2026, 11, 22))
SELLER = "0109999991"
PASSWORDS = {"password": "MARK-SECRET", "vnpt_password": "MARK-SECRET <&>", "token": bkav.TOKEN}
SQL = "SELECT id, day, seller FROM invoices WHERE day >= :start AND day < :end"
IDS = {"database_file": "his.url", "sql": SQL, "time": "date"}
ACCOUNT = {"username": "bv", "password_file": "password", "tax_code": SELLER}
OPTIONS: dict[str, dict[str, Any]] = {
    "viettel": ACCOUNT,
    "vnpt": {"username": "bvservice", "password_file": "vnpt_password"},
    "bkav": {"partner_guid": "guid-1", "partner_token_file": "token"},
    "misa": {**ACCOUNT, "app_id": "app", "ids": IDS},
    "fpt": {**ACCOUNT, "ids": IDS},
}
KINDS = list(OPTIONS)


class NoMemory:
    """A kind that lists needs none."""

    def hide(self, text: str) -> bytes:
        raise AssertionError

    def files(self) -> Mapping[bytes, str]:
        raise AssertionError


@dataclass(slots=True)
class Hospital:
    """A directory with the secrets and, for the kinds that need it, the HIS's own list of invoices."""

    directory: Path

    def knows(self, *ids: str, day: str = "2026-11-20", seller: str = SELLER) -> "Hospital":
        with closing(sqlite3.connect(self.directory / "his.sqlite")) as connection:
            connection.executemany("INSERT INTO invoices VALUES (?, ?, ?)", [(one, day, seller) for one in ids])
            connection.commit()
        return self

    def config(self, provider: str, address: str, **changed: Any) -> SourceConfig:
        facilities = changed.pop("facilities", {})
        options = {"url": address} | OPTIONS[provider] | changed
        return SourceConfig(
            name="invoices",
            kind=f"einvoice.{provider}",
            facilities=tuple(dict.fromkeys((facilities or {"": "12001"}).values())),
            facility_map=facilities,
            measures=None,
            timeout_seconds=changed.get("timeout_seconds", 5),
            options={name: value for name, value in options.items() if value is not None},
            directory=self.directory,
        )

    def open(self, provider: str, address: str, **changed: Any) -> Adapter:
        return make(self.config(provider, address, **changed))


def make(config: SourceConfig) -> Adapter:
    module = importlib.import_module(f"adapters.{config.kind}")
    made: Adapter = module.adapter(config, CATALOGUE)
    return made


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    for name, content in PASSWORDS.items():
        (tmp_path / name).write_text(content, "utf-8")
    (tmp_path / "his.url").write_text("sqlite:///his.sqlite")
    with closing(sqlite3.connect(tmp_path / "his.sqlite")) as connection:
        connection.execute("CREATE TABLE invoices (id, day, seller)")
    return Hospital(tmp_path)


def counts(readings: list[Reading]) -> dict[str, dict[str, dict[str, int]]]:
    """Facility → day → state → invoices, days without any left out."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for reading in readings:
        for one in reading.tallies:
            if one.counts:
                found.setdefault(one.facility, {})[str(one.day)] = dict(one.counts)
    return found


def read(reader: Adapter, days: DayRange = WEEK) -> list[Reading]:
    return list(reader.read(days, ("invoices",), NoMemory()))


def day_of(readings: list[Reading], facility: str = "12001") -> dict[str, int]:
    """What was counted, all of it on the one day."""
    [(day, states)] = counts(readings)[facility].items()
    assert day == str(DAY)
    return states


@contextmanager
def asked(hospital: Hospital, provider: str, app: App, **changed: Any) -> Iterator[tuple[Served, Adapter]]:
    with serving(app) as served:
        yield served, hospital.open(provider, served.url, **changed)


def empty(provider: str) -> App:
    apps: dict[str, App] = {
        "viettel": viettel.ViettelApp([]),
        "vnpt": vnpt.VnptApp([]),
        "bkav": bkav.BkavApp([]),
        "misa": misa.MisaApp([]),
        "fpt": fpt.FptApp([]),
    }
    return apps[provider]


# All of them


@pytest.mark.parametrize("provider", KINDS)
def test_every_day_asked_for_gets_a_count_and_the_probe_leaves_no_trace(provider: str, hospital: Hospital) -> None:
    with asked(hospital, provider, empty(provider)) as (served, reader):
        reader.probe()
        [*_, last] = read(reader)
        assert [(one.facility, one.day, one.counts) for one in last.tallies] == [("12001", day, {}) for day in WEEK]
        assert reader.silence_is_zero
        assert {one.method for one in served.requests} <= {"GET", "POST"}


def bomb() -> Reply:
    return Reply(gzip.compress(b"[" + b" " * (MOST_BYTES + 1) + b"]"), headers={"Content-Encoding": "gzip"})


FAULTS: dict[str, tuple[Callable[[], Reply], type[SourceError]]] = {
    "HTML instead of data": (lambda: HTML, SourceChangedError),
    "500": (lambda: Reply(b"MARK-STACK at Server.Name()", 500), SourceUnavailableError),
    "429": (lambda: Reply(b"MARK-SLOW", 429), SourceUnavailableError),
    "403": (lambda: Reply(b"MARK-IP", 403), SourceDeniedError),
    "redirect": (lambda: Reply(b"", 302, headers={"Location": "https://MARK.example"}), SourceChangedError),
    "zip bomb": (bomb, SourceChangedError),
    "truncated": (lambda: Reply(b'{"MARK": [', length=500), SourceUnavailableError),
    "nothing": (lambda: Reply(b""), SourceChangedError),
    "deep": (lambda: Reply(b"[" * 100_000), SourceChangedError),
    "another shape": (lambda: as_json([["MARK"]]), SourceChangedError),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("provider", KINDS)
def test_a_fault_is_named_in_our_own_words(
    provider: str, fault: str, hospital: Hospital, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    make_reply, kind = FAULTS[fault]
    hospital.knows("REF-1")
    with asked(hospital, provider, empty(provider)) as (served, reader):
        # The login works; what is asked for afterwards does not.
        served.fault = lambda request: None if request.path in LOGINS else make_reply()
        with pytest.raises(kind) as caught:
            read(reader)
        assert "MARK" not in str(caught.value) + caplog.text


LOGINS = {"/auth/login", "/auth/token", "/c_signin"}


@pytest.mark.parametrize("provider", KINDS)
def test_a_wrong_secret_is_denied_and_quoted_nowhere(provider: str, hospital: Hospital) -> None:
    (hospital.directory / "password").write_text("MARK-OTHER")
    (hospital.directory / "vnpt_password").write_text("MARK-OTHER")
    other = bkav.TOKEN.replace("A", "B", 1)
    (hospital.directory / "token").write_text(other)
    hospital.knows("REF-1")
    with asked(hospital, provider, empty(provider)) as (_, reader):
        for ask in (reader.probe, lambda: read(reader)):
            with pytest.raises(SourceDeniedError) as caught:
                ask()
            assert "MARK" not in str(caught.value)


@pytest.mark.parametrize(("provider", "app"), [(one, empty(one)) for one in ("viettel", "misa", "fpt")])
def test_a_token_that_ends_midway_is_renewed_once(provider: str, app: Any, hospital: Hospital) -> None:
    hospital.knows(*(f"REF-{number}" for number in range(3)))
    app.uses = 1
    with asked(hospital, provider, app) as (served, reader):
        read(reader)
        logins = [one.path for one in served.requests if one.path in LOGINS]
        others = [one for one in served.requests if one.path not in LOGINS]
        assert len(logins) >= 2
        # Each token was used, and refused at most once.
        assert len(others) <= 2 * len(logins)


@pytest.mark.parametrize(("provider", "app"), [(one, empty(one)) for one in ("viettel", "misa", "fpt")])
def test_a_token_that_is_never_taken_is_denied_after_one_new_login(provider: str, app: Any, hospital: Hospital) -> None:
    hospital.knows("REF-1")
    app.uses = 0
    with asked(hospital, provider, app) as (served, reader):
        with pytest.raises(SourceDeniedError):
            read(reader)
        assert len([one for one in served.requests if one.path in LOGINS]) == 2


@pytest.mark.parametrize("provider", KINDS)
def test_the_explanation_says_calls_and_states_and_no_secret(provider: str, hospital: Hospital) -> None:
    reader = hospital.open(provider, "http://localhost:1")
    said = reader.explain("invoices") + reader.identity
    assert reader.identity.startswith(f"einvoice.{provider} http://localhost:1")
    assert all(state in said for state in ("valid", "replaced", "cancelled", "pending", "unknown"))
    assert "MARK" not in said
    assert bkav.TOKEN not in said
    assert "không đếm" in reader.explain("visits")


@pytest.mark.parametrize("provider", KINDS)
@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"url": "http://example.com"}, "https"),
        ({"url": "nonsense"}, "url"),
        ({"colour": "red"}, "colour"),
        ({"password_file": "missing", "partner_token_file": "missing"}, "_file"),
        ({"ca_file": "password"}, "ca_file"),
    ],
)
def test_a_mistake_in_the_table_is_named(
    provider: str, changed: dict[str, Any], words: str, hospital: Hospital
) -> None:
    known = {name: value for name, value in changed.items() if name not in _foreign(provider)}
    with pytest.raises(ConfigError, match=words) as caught:
        hospital.open(provider, "http://localhost:1", **known)
    assert "MARK" not in str(caught.value)


def _foreign(provider: str) -> set[str]:
    return {"password_file"} if provider == "bkav" else {"partner_token_file"}


@pytest.mark.parametrize("provider", KINDS)
def test_other_measures_and_several_facilities_without_a_table_are_refused(provider: str, hospital: Hospital) -> None:
    config = hospital.config(provider, "http://localhost:1")
    for wrong in (replace(config, measures=("visits",)), replace(config, facilities=("12001", "12002"))):
        with pytest.raises(ConfigError):
            make(wrong)


@pytest.mark.parametrize("provider", ["viettel", "misa", "fpt"])
def test_a_tax_code_is_needed_and_must_be_one(provider: str, hospital: Hospital) -> None:
    for wrong in (None, "MARK", "../../x"):
        with pytest.raises(ConfigError, match="mã số thuế"):
            hospital.open(provider, "http://localhost:1", tax_code=wrong)
    with pytest.raises(ConfigError, match="bỏ khóa này"):
        hospital.open(provider, "http://localhost:1", facilities={SELLER: "12001"})


# Viettel


@pytest.mark.parametrize(
    ("row", "state"),
    [
        (viettel.row(1), "valid"),
        (viettel.row(1, kind="3"), "replacing"),
        (viettel.row(1, kind="5"), "adjusting"),
        (viettel.row(1, kind="9"), "adjusting"),
        (viettel.row(1, kind="7"), "cancelled"),
        (viettel.row(1, kind="11"), "unknown"),
        (viettel.row(1, exchangeStatus="INVOICE_HAS_CODE_SENT"), "pending"),
        (viettel.row(1, exchangeStatus="INVOICE_HAS_CODE_NOT_SENT"), "pending"),
        (viettel.row(1, exchangeStatus="INVOICE_HAS_CODE_DIS_APPROVED"), "unknown"),
        (viettel.row(1, exchangeStatus=None), "unknown"),
        (viettel.row(1, invoiceSeri="K26TYY", exchangeStatus=None), "valid"),
        (viettel.row(1, invoiceNo=None), None),
    ],
)
def test_viettel_states(row: dict[str, Any], state: str | None, hospital: Hospital) -> None:
    with asked(hospital, "viettel", viettel.ViettelApp([row])) as (_, reader):
        readings = read(reader)
        assert counts(readings) == ({"12001": {str(DAY): {state: 1}}} if state else {})
        assert [one.cases for one in readings[-1].unmapped] == ([1] if state == "unknown" else [])
        assert "MARK" not in repr(readings)


def test_viettel_epoch_milliseconds_fall_on_the_local_day(hospital: Hospital) -> None:
    rows = [viettel.row(1, "2026-11-20T00:00:00"), viettel.row(2, "2026-11-20T23:59:59")]
    with asked(hospital, "viettel", viettel.ViettelApp(rows)) as (_, reader):
        assert day_of(read(reader)) == {"valid": 2}


@pytest.mark.parametrize("wrong", ["20/11/2026", None, 1_764_000_000, True, 9.5])
def test_viettel_another_form_of_date_is_a_change(wrong: object, hospital: Hospital) -> None:
    with asked(hospital, "viettel", viettel.ViettelApp([])) as (served, reader):
        served.fault = lambda request: (
            None
            if request.path in LOGINS
            else as_json({"totalRow": 1, "invoices": [viettel.row(1) | {"issueDate": wrong}]})
        )
        with pytest.raises(SourceChangedError, match="issueDate"):
            read(reader)


def test_viettel_replaced_is_known_from_a_later_replacement_only(hospital: Hospital) -> None:
    then, later = "2024-11-20T08:00:00", "2024-12-10T08:00:00"
    rows = [
        *(viettel.row(number, then) for number in range(1, 6)),
        viettel.row(10, then, kind="3", originalInvoiceId="C26TYY1"),
        viettel.row(11, later, kind="3", originalInvoiceId="C26TYY2"),
        viettel.row(12, later, kind="5", originalInvoiceId="C26TYY3"),
        viettel.row(13, later, kind="3", originalInvoiceId="C26TYY4", exchangeStatus="INVOICE_HAS_CODE_SENT"),
        viettel.row(14, later, kind="3", originalInvoiceId="C26TYY5", templateCode="2/001"),
    ]
    day = DayRange(date(2024, 11, 20), date(2024, 11, 20))
    with asked(hospital, "viettel", viettel.ViettelApp(rows)) as (_, reader):
        assert counts(read(reader, day)) == {"12001": {"2024-11-20": {"valid": 3, "replaced": 2, "replacing": 1}}}


def test_viettel_pages_are_followed_with_a_sign_of_life_and_never_over_a_month(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.einvoice.viettel._PAGE", 10)
    with asked(hospital, "viettel", viettel.ViettelApp([viettel.row(n) for n in range(25)])) as (served, reader):
        readings = read(reader)
        assert day_of(readings) == {"valid": 25}
        assert len([one for one in readings if not one.tallies]) >= 3
        lists = [one.json for one in served.requests if one.path not in LOGINS]
        spans = [date.fromisoformat(one["endDate"]) - date.fromisoformat(one["startDate"]) for one in lists]
        assert max(span.days for span in spans) < 31


def test_viettel_a_list_that_ends_early_is_a_change(hospital: Hospital) -> None:
    app = viettel.ViettelApp([viettel.row(1)], hidden=5)
    with asked(hospital, "viettel", app) as (_, reader), pytest.raises(SourceChangedError, match="kết thúc trước"):
        read(reader)


def test_viettel_an_error_code_with_http_200_is_a_change(hospital: Hospital) -> None:
    with asked(hospital, "viettel", viettel.ViettelApp([])) as (served, reader):
        answer = as_json({"errorCode": "JSON_PARSE_ERROR", "description": "MARK"})
        served.fault = lambda request: None if request.path in LOGINS else answer
        with pytest.raises(SourceChangedError, match="errorCode không phải là số"):
            read(reader)


def test_viettel_several_sellers_are_several_facilities(hospital: Hospital) -> None:
    rows = [
        viettel.row(1),
        viettel.row(2, supplierTaxCode="0109999991-001"),
        viettel.row(3, supplierTaxCode=None, invoiceNo="C26TYY3"),
    ]
    facilities = {SELLER: "12001", "0109999991-001": "12002"}
    with asked(hospital, "viettel", viettel.ViettelApp(rows), facilities=facilities, tax_code=None) as (served, reader):
        readings = read(reader)
        assert day_of(readings, "12001") == day_of(readings, "12002") == {"valid": 2}
        assert {one.path.rsplit("/", 1)[1] for one in served.requests if one.path not in LOGINS} == set(facilities)


# VNPT


@pytest.mark.parametrize(
    ("status", "state"),
    [("0", "pending"), ("1", "valid"), ("2", "valid"), ("3", "replaced"), ("4", "valid"), ("5", "cancelled")],
)
@pytest.mark.parametrize("by_key", [False, True])
def test_vnpt_states(status: str, state: str, by_key: bool, hospital: Hospital) -> None:
    changed = {"ids": {**IDS, "sql": SQL.replace(", seller", "")}} if by_key else {}
    hospital.knows("HD7")
    with asked(hospital, "vnpt", vnpt.VnptApp([vnpt.item(7, status)]), **changed) as (served, reader):
        readings = read(reader)
        assert day_of(readings) == {state: 1}
        assert "MARK" not in repr(readings)
        asked_for = [vnpt.soap_fields(one) for one in served.requests]
        assert {one["key"] for one in asked_for} == ({"HD7"} if by_key else {""})
        assert len(asked_for) == (1 if by_key else 7)


def test_vnpt_unheard_of_states_drafts_and_repeats(hospital: Hospital) -> None:
    items = [
        vnpt.item(1, "9"),
        vnpt.item(2, "0", invNum="0"),
        vnpt.item(3),
        vnpt.item(3),
        vnpt.item(3, serial="C26TZZ"),
    ]
    with asked(hospital, "vnpt", vnpt.VnptApp(items)) as (_, reader):
        readings = read(reader)
        assert day_of(readings) == {"valid": 2, "unknown": 1}
        assert [one.value for one in readings[-1].unmapped] == ["status 9"]


def test_vnpt_keys_of_the_his_that_vnpt_does_not_know_are_unknown_and_drafts_do_not_count(hospital: Hospital) -> None:
    hospital.knows("HD1", "HD2", "HD3")
    app = vnpt.VnptApp([vnpt.item(1), vnpt.item(2, "0", invNum="")])
    with asked(hospital, "vnpt", app, ids={**IDS, "sql": SQL}) as (_, reader):
        reader.probe()
        readings = read(reader)
        assert day_of(readings) == {"valid": 1, "unknown": 1}
        assert [one.value for one in readings[-1].unmapped] == ["VNPT không thấy mã này"]


@pytest.mark.parametrize(
    ("when", "day"),
    [
        ("11/3/2026 12:00:00 AM", "2026-11-03"),
        ("11/3/2026 11:59:59 pm", "2026-11-03"),
        ("03/11/2026 08:00:00", None),
        ("2026-11-03T08:00:00", None),
        ("", None),
    ],
)
def test_vnpt_dates_are_american_or_a_change(when: str, day: str | None, hospital: Hospital) -> None:
    days = DayRange(date(2026, 11, 3), date(2026, 11, 3))
    item = vnpt.item(1) | {"publishDate": when}
    data = "".join(f"<{name}>{value}</{name}>" for name, value in item.items() if name != "name")
    app = vnpt.VnptApp([], error=f"OK:<Data><Item>{data}</Item></Data>")
    with asked(hospital, "vnpt", app) as (_, reader):
        if day:
            assert counts(read(reader, days)) == {"12001": {day: {"valid": 1}}}
        else:
            with pytest.raises(SourceChangedError, match="publishDate"):
                read(reader, days)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("ERR:1", SourceDeniedError),
        ("ERR:4", SourceDeniedError),
        ("ERR:7", SourceDeniedError),
        ("ERR:6", SourceChangedError),
        ("ERR:", SourceChangedError),
        ("ERR:MARK Nguyễn Văn A", SourceChangedError),
        ("MARK", SourceChangedError),
        ("<Data><Item>MARK", SourceChangedError),
        ('<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><Data><Item>&e;</Item></Data>', SourceChangedError),
    ],
)
def test_vnpt_errors_come_with_http_200(error: str, kind: type[SourceError], hospital: Hospital) -> None:
    with asked(hospital, "vnpt", vnpt.VnptApp([], error=error)) as (_, reader):
        for ask in (reader.probe, lambda: read(reader)):
            with pytest.raises(kind) as caught:
                ask()
            assert "MARK" not in str(caught.value)


# Bkav


@pytest.mark.parametrize(
    ("row", "state"),
    [
        *((bkav.row(1, status), "valid") for status in (2, 10, 13)),
        *((bkav.row(1, status), "pending") for status in (5, 7, 11, 14)),
        *((bkav.row(1, status), "adjusting") for status in (8, 15)),
        *((bkav.row(1, status), None) for status in (1, 4)),
        (bkav.row(1, 6), "replacing"),
        (bkav.row(1, 9), "replaced"),
        (bkav.row(1, 3), "cancelled"),
        (bkav.row(1, 12), "unknown"),
        (bkav.row(1, MaCuaCQT=None), "pending"),
        (bkav.row(1, MaCuaCQT="", TaxStatus=36), "pending"),
        (bkav.row(1, MaCuaCQT="", TaxStatus=35), "unknown"),
        (bkav.row(1, 9, MaCuaCQT="", TaxStatus=35), "replaced"),
        (bkav.row(1, MaCuaCQT="", InvoiceSerial="K26TYY"), "valid"),
    ],
)
def test_bkav_states(row: dict[str, Any], state: str | None, hospital: Hospital) -> None:
    with asked(hospital, "bkav", bkav.BkavApp([row])) as (_, reader):
        readings = read(reader)
        assert counts(readings) == ({"12001": {str(DAY): {state: 1}}} if state else {})
        assert "MARK" not in repr(readings)


@pytest.mark.parametrize("shape", [{}, {"as_text": False}, {"wrapped": True}, {"repeats": True}])
def test_bkav_pages_are_followed_until_one_brings_nothing_new(shape: dict[str, bool], hospital: Hospital) -> None:
    app = bkav.BkavApp([bkav.row(number) for number in range(7)], **shape)
    with asked(hospital, "bkav", app) as (served, reader):
        assert day_of(read(reader)) == {"valid": 3 if shape == {"repeats": True} else 7}
        assert len(served.requests) == (2 if shape == {"repeats": True} else 4)
        assert b"853" not in served.requests[0].body


def test_bkav_a_bomb_inside_the_encrypted_body_stops_at_the_limit(hospital: Hospital) -> None:
    result = bkav.closed(gzip.compress(b" " * (MOST_BYTES * 4)))
    with asked(hospital, "bkav", bkav.BkavApp([])) as (served, reader):
        served.fault = lambda request: bkav.as_result(result)
        with pytest.raises(SourceChangedError, match="quá dài"):
            read(reader)


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        ("MARK", SourceChangedError),
        (bkav.closed(b"MARK"), SourceChangedError),
        (bkav.closed(gzip.compress(b"[]")), SourceChangedError),
        (bkav.closed(gzip.compress(b'{"Status": 1, "Object": "MARK", "Code": "MARK x"}')), SourceChangedError),
        (bkav.closed(gzip.compress(b'{"Status": 0, "Object": {"MARK": 1}}')), SourceChangedError),
        (
            bkav.closed(gzip.compress(json.dumps({"Object": [bkav.row(1, day="20/11/2026")]}).encode())),
            SourceChangedError,
        ),
        ("Padding is invalid and cannot be removed. MARK", SourceDeniedError),
    ],
    ids=["not base64", "not gzip", "a list", "a refusal", "no rows", "a foreign date", "another key"],
)
def test_bkav_other_answers_are_named(result: str, kind: type[SourceError], hospital: Hospital) -> None:
    with asked(hospital, "bkav", bkav.BkavApp([])) as (served, reader):
        served.fault = lambda request: bkav.as_result(result)
        with pytest.raises(kind) as caught:
            read(reader)
        assert "MARK" not in str(caught.value)


@pytest.mark.parametrize("token", ["MARK", "a:b", "AAAA:AAAA", ":"])
def test_bkav_a_token_of_another_form_is_a_mistake_in_the_table(token: str, hospital: Hospital) -> None:
    (hospital.directory / "token").write_text(token)
    with pytest.raises(ConfigError, match="KHÓA:IV") as caught:
        hospital.open("bkav", "http://localhost:1")
    assert "MARK" not in str(caught.value)


# MISA


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (misa.status(1), "valid"),
        (misa.status(1, 5), "valid"),
        (misa.status(1, 8), "valid"),
        (misa.status(1, 2), "cancelled"),
        (misa.status(1, IsDelete=True), "cancelled"),
        (misa.status(1, 3), "replaced"),
        (misa.status(1, 7), "replaced"),
        (misa.status(1, 3, 1), "replacing"),
        (misa.status(1, 7, 1), "replacing"),
        (misa.status(1, 5, 2), "adjusting"),
        (misa.status(1, 1, 5), "adjusting"),
        (misa.status(1, 99), "unknown"),
        (misa.status(1, PublishStatus=4), "pending"),
        (misa.status(1, SendTaxStatus=0, InvoiceCode=""), "pending"),
        (misa.status(1, SendTaxStatus=1, InvoiceCode=None), "pending"),
        (misa.status(1, SendTaxStatus=3, InvoiceCode=None), "unknown"),
        (misa.status(1, SendTaxStatus=0, InvoiceCode="", InvSeries="1K26TYY", flags=("false", "false")), "valid"),
        (misa.status(1, InvSeries="1C26MYY", flags=("true", "true")), "valid"),
        (misa.status(1, PublishStatus=0, InvNo=""), None),
        (misa.status(2), "unknown"),
    ],
)
def test_misa_states(status: dict[str, Any], state: str | None, hospital: Hospital) -> None:
    hospital.knows("ref-1")
    with asked(hospital, "misa", misa.MisaApp([status])) as (_, reader):
        readings = read(reader)
        assert counts(readings) == ({"12001": {str(DAY): {state: 1}}} if state else {})
        assert "MARK" not in repr(readings)


@pytest.mark.parametrize("in_body", [True, False])
def test_misa_asks_in_batches_of_fifty_and_renews_its_token(in_body: bool, hospital: Hospital) -> None:
    hospital.knows(*(f"T{number}" for number in range(120)))
    app = misa.MisaApp([misa.status(number) for number in range(120)], uses=2, expired_in_body=in_body)
    with asked(hospital, "misa", app, id_type="transaction") as (served, reader):
        assert day_of(read(reader)) == {"valid": 120}
        assert len(app.tokens) == 2
        assert [len(one.json) for one in served.asked("/invoice/status")] == [50, 50, 20, 20]


def test_misa_several_sellers_have_a_token_each_and_strangers_are_named(hospital: Hospital) -> None:
    hospital.knows("REF-1").knows("REF-2", "REF-3", seller="0109999991001").knows("REF-4", seller="0108888882")
    hospital.knows("REF-5", seller="8012345678")
    facilities = {SELLER: "12001", "0109999991-001": "12002"}
    app = misa.MisaApp([misa.status(number) for number in range(1, 6)], sellers=tuple(facilities))
    with asked(hospital, "misa", app, facilities=facilities, tax_code=None) as (_, reader):
        readings = read(reader)
        assert day_of(readings, "12001") == {"valid": 1}
        assert day_of(readings, "12002") == {"valid": 2}
        assert readings[-1].strangers == {"0108888882": 1, "(không nêu, có thể là mã của cá nhân)": 1}


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ({"sql": "DELETE FROM invoices"}, "SELECT"),
        ({"sql": "SELECT 1; DROP TABLE x"}, "SELECT"),
        ({"sql": "SELECT id, day FROM invoices"}, ":start"),
        ({"database_file": "missing"}, "database_file"),
        ({"time": "never"}, "time"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_mistake_in_the_table_of_ids_is_named(ids: dict[str, Any], words: str, hospital: Hospital) -> None:
    with pytest.raises(ConfigError, match=words):
        hospital.open("misa", "http://localhost:1", ids=IDS | ids)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT id FROM invoices WHERE day >= :start AND day < :end", "cột day"),
        ("SELECT id, 'MARK' AS day FROM invoices WHERE day >= :start AND day < :end", "không phải là một ngày"),
        ("SELECT id, '20200101' AS day FROM invoices WHERE day >= :start AND day < :end", "nằm ngoài"),
        ("SELECT 'MARK Văn A' AS id, day FROM invoices WHERE day >= :start AND day < :end", "mã hóa đơn"),
        ("SELECT NULL AS id, day FROM invoices WHERE day >= :start AND day < :end", "mã hóa đơn"),
        ("SELECT id, day FROM nothing WHERE day >= :start AND day < :end", "câu truy vấn"),
    ],
)
def test_a_query_that_gives_something_else_sends_nothing_to_the_provider(
    sql: str, words: str, hospital: Hospital
) -> None:
    hospital.knows("REF-1")
    with asked(hospital, "misa", misa.MisaApp([]), ids=IDS | {"sql": sql}) as (served, reader):
        with pytest.raises(SourceChangedError, match=words) as caught:
            read(reader)
        assert "MARK" not in str(caught.value)
        assert served.requests == []


@pytest.mark.parametrize(
    "day", ["2026-11-20", "2026-11-20 08:30:00", 20261120, "20261120", 20261120083000, "20261120.0"]
)
def test_the_day_of_the_his_is_read_in_its_usual_forms(day: object, hospital: Hospital) -> None:
    shown = f"'{day}'" if isinstance(day, str) else day
    if day == "20261120.0":
        shown = 20261120.0
    sql = f"SELECT id, {shown} AS day FROM invoices WHERE day >= :start AND day < :end"
    hospital.knows("REF-1")
    with asked(hospital, "misa", misa.MisaApp([misa.status(1)]), ids=IDS | {"sql": sql}) as (_, reader):
        assert day_of(read(reader)) == {"valid": 1}


def test_a_database_that_is_away_is_unavailable(hospital: Hospital) -> None:
    (hospital.directory / "his.sqlite").unlink()
    reader = hospital.open("fpt", "http://localhost:1")
    for ask in (reader.probe, lambda: read(reader)):
        with pytest.raises(SourceUnavailableError):
            ask()


# FPT


@pytest.mark.parametrize(
    ("invoice", "state"),
    [
        (fpt.invoice(1), "valid"),
        (fpt.invoice(1, 7), "valid"),
        (fpt.invoice(1, 1), "pending"),
        (fpt.invoice(1, 2), "pending"),
        (fpt.invoice(1, 4), "cancelled"),
        (fpt.invoice(1, 9), "cancelled"),
        (fpt.invoice(1, 4, cde="Bị thay thế bởi HĐ số MARK"), "replaced"),
        (fpt.invoice(1, cde="Bị điều chỉnh bởi HĐ số MARK"), "valid"),
        (fpt.invoice(1, adjdes="Thay thế cho HĐ số MARK"), "replacing"),
        (fpt.invoice(1, adjdes="Điều chỉnh cho HĐ số MARK"), "adjusting"),
        (fpt.invoice(1, adj={"seq": "MARK"}), "unknown"),
        (fpt.invoice(1, 6), "unknown"),
        (fpt.invoice(1, status_received=1), "pending"),
        (fpt.invoice(1, status_received=9), "unknown"),
        (fpt.invoice(1, status_received=None), "unknown"),
        (fpt.invoice(1, status_received=None, type="01/MTT"), "valid"),
        (fpt.invoice(1, status_received=None, serial="K26TYY"), "valid"),
        (fpt.invoice(2), "unknown"),
    ],
)
def test_fpt_states(invoice: dict[str, Any], state: str, hospital: Hospital) -> None:
    hospital.knows("HD1")
    with asked(hospital, "fpt", fpt.FptApp([invoice])) as (_, reader):
        readings = read(reader)
        assert day_of(readings) == {state: 1}
        assert "MARK" not in repr(readings)


@pytest.mark.parametrize("token_as", ["text", "json", "object"])
@pytest.mark.parametrize("shape", ["list", "object", "inv"])
def test_fpt_tokens_and_invoices_come_in_several_shapes(token_as: str, shape: str, hospital: Hospital) -> None:
    hospital.knows("HD1", "HD2")
    app = fpt.FptApp([fpt.invoice(1)], token_as=token_as, shape=shape)
    with asked(hospital, "fpt", app) as (served, reader):
        reader.probe()
        readings = read(reader)
        assert day_of(readings) == {"valid": 1, "unknown": 1}
        assert [one.value for one in readings[-1].unmapped] == ["FPT không thấy mã này"]
        assert {one.json["type"] for one in served.asked("/search-icr")} == {"json"}


def test_a_token_that_would_break_a_header_is_a_change(hospital: Hospital) -> None:
    hospital.knows("HD1")

    def fault(request: Request) -> Reply | None:
        return as_json({"token": "a\r\nMARK: b", "access_token": "a; MARK", "Data": "a\nMARK"})

    for provider in ("viettel", "misa", "fpt"):
        with asked(hospital, provider, empty(provider)) as (served, reader):
            served.fault = fault
            with pytest.raises(SourceChangedError, match="đăng nhập") as caught:
                reader.probe()
            assert "MARK" not in str(caught.value)


# Samples


def bare(text: str) -> str:
    """A sample with all that is commented out put to use."""
    return re.sub(r'(?m)^# (?=\w+ = |\[|SELECT|WHERE|FROM|"""|"\d)', "", text)


@pytest.mark.parametrize("provider", KINDS)
def test_the_sample_shows_every_option_under_a_sentence_and_is_accepted(provider: str, hospital: Hospital) -> None:
    text = (Path(__file__).parent / f"{provider}.sample.toml").read_text("utf-8")
    module = importlib.import_module(f"adapters.einvoice.{provider}")
    whole = tomllib.loads(bare(text))["sources"]["invoices"]
    tables = {"ids", "facilities"} & whole.keys()
    assert set(module.Options.model_fields) <= whole.keys()
    assert set(whole) - {"kind", "measures", "timeout_seconds", "facilities"} == set(module.Options.model_fields)
    assert tables >= ({"facilities"} if "tax_code" in whole else set())
    for match in re.finditer(r"(?m)^(?:# )?\w+ = ", text):
        before = text[: match.start()].rstrip("\n").rsplit("\n", 1)[-1]
        assert re.match(r"# \w.*\.$", before), match[0]
    here = tomllib.loads(text)["sources"]["invoices"]
    files = {name: {"partner_token_file": "token"}.get(name, "password") for name in here if name.endswith("_file")}
    ids = {"ids": here["ids"] | {"database_file": "his.url"}} if "ids" in here else {}
    config = hospital.config(provider, "https://x")
    options = {name: value for name, value in (here | files | ids).items() if name != "kind"}
    assert here["kind"] == config.kind
    make(replace(config, options=options))


@pytest.mark.parametrize("provider", KINDS)
def test_the_readme_says_that_the_live_service_was_never_tried(provider: str) -> None:
    text = (Path(__file__).parent / f"{provider}.md").read_text("utf-8")
    assert "Written from published client code, never tried against the live service." in text
    headings = re.findall(r"(?m)^## (.*)$", text)
    assert headings == ["What it reads", "What the hospital must grant", "Configuration", "Known limits"]
