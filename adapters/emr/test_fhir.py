"""Kind `emr.fhir` against a small real FHIR server, with Synthea's bundles and with documents made here."""

import gzip
import json
import logging
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.emr.fhir import Options, adapter
from adapters.http import MOST_BYTES
from contract import catalogue
from contract.adapter import Adapter, Reading, SourceConfig
from contract.days import DayRange
from contract.errors import (
    ConfigError,
    SourceChangedError,
    SourceDeniedError,
    SourceError,
    SourceUnavailableError,
)
from tests.providers import certificates
from tests.providers.fhir import FhirApp, Resource, outcome, resources_of
from tests.providers.server import HTML, Reply, Request, Served, as_json, serving

HERE = Path(__file__).parent
SAMPLES = HERE.parents[2] / "shared" / "samples" / "fhir-r4"
EXCERPT = HERE / "cases" / "fhir" / "synthea.json"
CATALOGUE = catalogue.load()
DAY = date(2026, 11, 20)
DAYS = DayRange(DAY, DAY)
WEEK = DayRange(date(2019, 10, 20), date(2019, 10, 27))


class NoMemory:
    """A kind that lists needs none."""

    def hide(self, text: str) -> bytes:
        raise AssertionError

    def files(self) -> Mapping[bytes, str]:
        raise AssertionError


def source(url: str, directory: Path, facilities: Mapping[str, str] | None = None, **options: Any) -> SourceConfig:
    return SourceConfig(
        name="emr",
        kind="emr.fhir",
        facilities=tuple(dict.fromkeys((facilities or {"": "12001"}).values())),
        facility_map=facilities or {},
        measures=options.pop("measures", None),
        timeout_seconds=options.pop("timeout_seconds", 5),
        options={"url": f"{url}/fhir"} | options,
        directory=directory,
    )


def opened(served: Served, directory: Path, facilities: Any = None, **options: Any) -> Adapter:
    return adapter(source(served.url, directory, facilities, **options), CATALOGUE)


def read(reader: Adapter, days: DayRange = DAYS, *measures: str) -> list[Reading]:
    return list(reader.read(days, measures or reader.measures, NoMemory()))


def counts(readings: list[Reading]) -> dict[str, dict[str, dict[str, int]]]:
    """Facility → measure and day → category → cases, days without any left out."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for reading in readings:
        for one in reading.tallies:
            if one.counts:
                found.setdefault(one.facility, {})[f"{one.measure} {one.day}"] = dict(one.counts)
    return found


def failure(readings: list[Reading], measure: str) -> SourceError:
    [error] = [reading.failed[measure] for reading in readings if measure in reading.failed]
    return error


@pytest.fixture
def served() -> Iterator[Served]:
    """A server without a resource; a test adds its own."""
    app = FhirApp([])
    with serving(app) as server:
        app.origin = server.url
        yield server


def fill(served: Served, *resources: Resource) -> FhirApp:
    app = served.app
    assert isinstance(app, FhirApp)
    app.resources += resources
    return app


def encounter(number: int, start: str = "2026-11-20T08:00:00+07:00", code: str = "AMB", **more: Any) -> Resource:
    return {
        "resourceType": "Encounter",
        "id": f"e{number}",
        "status": "finished",
        "class": {"code": code, "display": "MARK-CLASS"},
        "subject": {"display": "MARK-PATIENT Trần Văn B"},
        "period": {"start": start, "end": start},
        **more,
    }


def composition(number: int, status: str = "final", *modes: str, **more: Any) -> Resource:
    return {
        "resourceType": "Composition",
        "id": f"c{number}",
        "status": status,
        "date": "2026-11-20T09:00:00+07:00",
        "title": "MARK-TITLE",
        "attester": [{"mode": mode, "party": {"display": "MARK-DOCTOR"}} for mode in modes],
        **more,
    }


def document(number: int, stage: str | None = "final", kind: str = "application/pdf", **more: Any) -> Resource:
    content = {"attachment": {"contentType": kind, "title": "MARK-FILE", "data": "TUFSSy1EQVRB"}, **more.pop("as_", {})}
    return {
        "resourceType": "DocumentReference",
        "id": f"d{number}",
        "status": "current",
        "date": "2026-11-20T09:00:00+07:00",
        "description": "MARK-DESCRIPTION",
        "content": [content],
        **({"docStatus": stage} if stage else {}),
        **more,
    }


SIGNED: dict[str, Any] = {"authenticator": {"display": "MARK-AUTHENTICATOR"}}


# Synthea


@pytest.fixture(params=["samples", "excerpt"])
def synthea(request: pytest.FixtureRequest, served: Served) -> FhirApp:
    bundles = sorted(SAMPLES.glob("*.json")) if request.param == "samples" else [EXCERPT]
    if not bundles:
        pytest.skip("shared/samples is not here; the excerpt is")
    return fill(served, *resources_of(bundles))


def test_encounters_of_synthea_are_counted_on_their_local_day(synthea: FhirApp, served: Served, tmp_path: Path) -> None:
    found = counts(read(opened(served, tmp_path), WEEK, "visits"))["12001"]
    # 26/10/2019 19:08Z is 02:08 of the next day here.
    assert found["visits 2019-10-27"]["emergency"] == 1
    assert "visits 2019-10-26" not in found


def test_every_encounter_of_synthea_is_counted_once_over_all_its_days(
    synthea: FhirApp, served: Served, tmp_path: Path
) -> None:
    expected = Counter(one["class"]["code"] for one in synthea.resources if one["resourceType"] == "Encounter")
    reader, total = opened(served, tmp_path, page_size=5), Counter[str]()
    pieces = DayRange(date(1900, 1, 1), date(2021, 12, 31)).slices(366 * 10)
    for piece in pieces:
        for days in counts(read(reader, piece, "visits")).get("12001", {}).values():
            total.update(days)
    codes = {"outpatient": "AMB", "emergency": "EMER", "inpatient": "IMP"}
    assert {codes[category]: number for category, number in total.items()} == dict(expected)


# Counting


def test_visits_follow_the_class_and_leave_out_what_never_happened(served: Served, tmp_path: Path) -> None:
    codes = ["AMB", "EMER", "IMP", "ACUTE", "NONACUTE", "SS", "HH", "NGT"]
    states = [("planned", 20), ("cancelled", 21), ("entered-in-error", 22)]
    fill(served, *(encounter(number, code=code) for number, code in enumerate(codes)))
    fill(served, *(encounter(number, status=state) for state, number in states))
    fill(served, encounter(30, status="in-progress"), {**encounter(31), "class": {"display": "MARK"}})
    readings = read(opened(served, tmp_path), DAYS, "visits")
    assert counts(readings) == {
        "12001": {
            f"visits {DAY}": {
                "outpatient": 2,
                "emergency": 1,
                "inpatient": 3,
                "day_treatment": 1,
                "other": 2,
                "unknown": 1,
            }
        }
    }
    assert [one.value for one in readings[-1].unmapped] == ["Encounter.class trống"]


@pytest.mark.parametrize(
    ("start", "day"),
    [
        ("2026-11-20T23:59:59+07:00", "2026-11-20"),
        ("2026-11-19T17:00:00Z", "2026-11-20"),
        ("2026-11-20T16:59:59.999Z", "2026-11-20"),
        ("2026-11-20T17:00:00Z", None),
        ("2026-11-20", "2026-11-20"),
        ("2026-11", None),
        ("2026", None),
        ("hôm qua", None),
        (None, None),
    ],
)
def test_a_visit_counts_on_the_local_day_on_which_it_began(
    served: Served, tmp_path: Path, start: str | None, day: str | None
) -> None:
    fill(served, encounter(1, period={"start": start} if start else {})).ignores_dates = True
    found = counts(read(opened(served, tmp_path), DAYS, "visits"))
    assert found == ({"12001": {f"visits {day}": {"outpatient": 1}}} if day else {})


def test_a_stay_that_began_earlier_or_a_server_that_ignores_the_dates_adds_nothing(
    served: Served, tmp_path: Path
) -> None:
    app = fill(served, encounter(1, period={"start": "2026-11-01T08:00:00+07:00"}), encounter(2))
    reader = opened(served, tmp_path)
    expected = {"12001": {f"visits {DAY}": {"outpatient": 1}}}
    assert counts(read(reader, DAYS, "visits")) == expected
    fill(served, *(encounter(100 + n, f"2026-10-{n:02}T08:00:00+07:00") for n in range(1, 31)))
    app.ignores_dates = True
    assert counts(read(reader, DAYS, "visits")) == expected


def test_every_day_asked_for_gets_a_count_for_every_facility(served: Served, tmp_path: Path) -> None:
    reader = opened(served, tmp_path, {"Organization/1": "12001", "Organization/2": "12002"})
    [*_, last] = read(reader, DayRange(DAY - timedelta(6), DAY), "visits")
    assert len(last.tallies) == 14
    assert all(one.counts == {} for one in last.tallies)


@pytest.mark.parametrize(
    ("resource", "category"),
    [
        (composition(1, "final", "legal"), "signed"),
        (composition(1, "amended", "personal", "professional"), "signed"),
        (composition(1, "final", "personal"), "unknown"),
        (composition(1, "final"), "unknown"),
        (composition(1, "preliminary", "legal"), "waiting"),
        (composition(1, "MARK-STATUS"), "unknown"),
        (composition(1, "entered-in-error", "legal"), None),
        (document(1, **SIGNED), "signed"),
        (document(1, "final", "image/jpeg", **SIGNED), "signed"),
        (document(1, "amended", **SIGNED), "unknown"),
        (document(1, None, **SIGNED), "unknown"),
        (document(1, "preliminary"), "waiting"),
        (document(1, "final", "image/jpeg"), "scanned"),
        (document(1, None, "IMAGE/TIFF"), "scanned"),
        (document(1, as_={"format": {"code": "urn:ihe:iti:xds-sd:pdf:2008"}}), "scanned"),
        (document(1), "unknown"),
        (document(1, "entered-in-error", **SIGNED), None),
        (document(1, status="entered-in-error"), None),
        (document(1, status="superseded", **SIGNED), None),
    ],
)
def test_a_document_counts_by_its_state_and_signature(
    served: Served, tmp_path: Path, resource: Resource, category: str | None
) -> None:
    fill(served, resource)
    readings = read(opened(served, tmp_path), DAYS, "record_documents")
    assert counts(readings) == ({"12001": {f"record_documents {DAY}": {category: 1}}} if category else {})
    assert sum(one.cases for one in readings[-1].unmapped) == (category == "unknown")
    assert "MARK" not in repr(readings)


def about(where: str, **more: Any) -> Resource:
    return document(9, content=[{"attachment": {"url": where}}], **more)


@pytest.mark.parametrize(
    ("pointing", "expected"),
    [
        (about("Composition/c1"), {"unknown": 1}),
        (about("Composition/c1/_history/2", **SIGNED), {"signed": 1}),
        (about("BASE/Composition/c1", **SIGNED), {"signed": 1}),
        (document(9, **SIGNED, context={"related": [{"reference": "Composition/c1"}]}), {"signed": 1}),
        (about("Composition/c1", **SIGNED, date="2026-11-21T08:00:00+07:00"), {"unknown": 1}),
        (about("https://elsewhere.example/fhir/Composition/c1", **SIGNED), {"unknown": 1, "signed": 1}),
        (about("Binary/c1", **SIGNED), {"unknown": 1, "signed": 1}),
    ],
)
def test_a_composition_that_a_document_reference_points_to_counts_once(
    served: Served, tmp_path: Path, pointing: Resource, expected: dict[str, int]
) -> None:
    fill(served, composition(1), json.loads(json.dumps(pointing).replace("BASE", f"{served.url}/fhir")))
    for days in (DAYS, DayRange(DAY - timedelta(3), DAY + timedelta(3))):
        found = counts(read(opened(served, tmp_path), days, "record_documents"))
        assert found == {"12001": {f"record_documents {DAY}": expected}}


def test_a_server_without_compositions_counts_its_document_references(served: Served, tmp_path: Path) -> None:
    fill(served, about("Composition/c1", **SIGNED)).kinds = {"Encounter", "DocumentReference"}
    reader = opened(served, tmp_path)
    reader.probe()
    assert counts(read(reader)) == {"12001": {f"record_documents {DAY}": {"signed": 1}}}


def test_a_server_without_documents_at_all_fails_that_measure_and_reads_the_visits(
    served: Served, tmp_path: Path
) -> None:
    fill(served, encounter(1)).kinds = {"Encounter"}
    reader = opened(served, tmp_path)
    readings = read(reader)
    assert counts(readings) == {"12001": {f"visits {DAY}": {"outpatient": 1}}}
    assert isinstance(failure(readings, "record_documents"), SourceChangedError)
    with pytest.raises(SourceChangedError, match="không có loại tài nguyên này"):
        reader.probe()


def test_facilities_follow_the_organisation_and_others_are_named_by_reference(served: Served, tmp_path: Path) -> None:
    written = [
        {"reference": "Organization/1"},
        {"reference": "Organization/1/_history/3", "display": "MARK-ORGANISATION"},
        {"reference": f"{served.url}/fhir/Organization/1"},
        {"identifier": {"value": "79029"}},
        {"reference": "urn:uuid:b0e04623-b02c-3f8b-92ea-943fc4db60da"},
        {"reference": "Organization/7"},
        {"display": "MARK-ORGANISATION"},
        {"reference": "Bệnh viện MARK-ORGANISATION"},
    ]
    fill(served, *(encounter(number, serviceProvider=one) for number, one in enumerate(written)), encounter(99))
    fill(served, composition(1, "final", "legal", custodian={"reference": "Organization/1"}))
    facilities = {"Organization/1": "12001", "79029": "12002", "urn:uuid:b0e04623-b02c-3f8b-92ea-943fc4db60da": "12003"}
    readings = read(opened(served, tmp_path, facilities))
    assert counts(readings) == {
        "12001": {f"visits {DAY}": {"outpatient": 3}, f"record_documents {DAY}": {"signed": 1}},
        "12002": {f"visits {DAY}": {"outpatient": 1}},
        "12003": {f"visits {DAY}": {"outpatient": 1}},
    }
    strangers = Counter[str]()
    for reading in readings:
        strangers.update(reading.strangers)
    assert strangers == {"Organization/7": 1, "(không nêu, hoặc không phải là Organization/…)": 3}
    assert "MARK" not in repr(readings)


# Asking


def test_only_what_is_counted_is_asked_for_in_local_days(served: Served, tmp_path: Path) -> None:
    fill(served, encounter(1), composition(1), document(1))
    read(opened(served, tmp_path, page_size=50))
    visits, compositions, documents = served.requests
    assert visits.query == [
        ("date", "ge2026-11-20T00:00:00+07:00"),
        ("date", "lt2026-11-21T00:00:00+07:00"),
        ("_elements", "status,class,period,serviceProvider"),
        ("_count", "50"),
    ]
    assert [one.path for one in (compositions, documents)] == ["/fhir/Composition", "/fhir/DocumentReference"]
    assert {one.method for one in served.requests} == {"GET"}


def test_the_probe_asks_for_numbers_only(served: Served, tmp_path: Path) -> None:
    opened(served, tmp_path).probe()
    assert [one.all("_summary") for one in served.requests] == [["count"]] * 3


def test_pages_are_followed_with_a_sign_of_life_after_each_and_repeats_count_once(
    served: Served, tmp_path: Path
) -> None:
    fill(served, *(encounter(number) for number in range(25)), encounter(24), encounter(24))
    readings = read(opened(served, tmp_path, page_size=10), DAYS, "visits")
    assert counts(readings) == {"12001": {f"visits {DAY}": {"outpatient": 25}}}
    assert [len(reading.tallies) for reading in readings] == [0, 0, 0, 1]


def test_included_resources_and_warnings_in_a_page_are_passed_over(served: Served, tmp_path: Path) -> None:
    entries = [
        {"resource": encounter(1)},
        {"resource": encounter(2), "search": {"mode": "include"}},
        {"resource": {"resourceType": "OperationOutcome", "issue": []}, "search": {"mode": "outcome"}},
        {"resource": {"resourceType": "Patient", "id": "MARK"}},
        {"resource": None},
        "MARK",
    ]
    served.fault = lambda request: as_json({"resourceType": "Bundle", "entry": entries, "link": "MARK"})
    assert counts(read(opened(served, tmp_path), DAYS, "visits")) == {"12001": {f"visits {DAY}": {"outpatient": 1}}}


# Access


def test_basic_and_bearer_credentials_come_from_files(served: Served, tmp_path: Path) -> None:
    app = fill(served, encounter(1))
    (tmp_path / "password").write_text("mật khẩu\n", "utf-8")
    (tmp_path / "token").write_text("abc.def\n")
    app.authorization = "Basic bmhpcHNvOm3huq10IGto4bqpdQ=="
    opened(served, tmp_path, username="nhipso", password_file="password").probe()
    app.authorization = "Bearer abc.def"
    opened(served, tmp_path, token_file="token").probe()
    with pytest.raises(SourceDeniedError, match="401"):
        opened(served, tmp_path).probe()
    with pytest.raises(SourceDeniedError):
        read(opened(served, tmp_path))


def test_tls_with_a_private_authority_and_a_client_certificate(tmp_path: Path) -> None:
    made = certificates.make(tmp_path)
    app = FhirApp([encounter(1)])
    with serving(app, made.context(mutual=False)) as server:
        with pytest.raises(SourceUnavailableError, match="chứng thư TLS"):
            opened(server, tmp_path).probe()
        opened(server, tmp_path, ca_file="ca.pem").probe()
    with serving(app, made.context(mutual=True)) as server:
        with pytest.raises(SourceUnavailableError):
            opened(server, tmp_path, ca_file="ca.pem").probe()
        keys: dict[str, Any] = {"client_cert_file": "client.pem", "client_key_file": "client_key.pem"}
        found = counts(read(opened(server, tmp_path, ca_file="ca.pem", **keys), DAYS, "visits"))
        assert found == {"12001": {f"visits {DAY}": {"outpatient": 1}}}


def test_a_proxy_is_used_only_when_configured(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    opened(served, tmp_path).probe()
    with pytest.raises(SourceUnavailableError, match="không kết nối được"):
        opened(served, tmp_path, proxy="http://127.0.0.1:9").probe()


# Faults


def next_page(url: str) -> Reply:
    return as_json({"resourceType": "Bundle", "link": [{"relation": "next", "url": url}], "entry": []})


BIG = b'{"resourceType": "Bundle", "MARK": "' + b"a" * (MOST_BYTES + 1) + b'"}'
FAULTS: list[tuple[Reply, type[SourceError], str]] = [
    (outcome("invalid", 400), SourceChangedError, "HTTP 400"),
    (outcome("forbidden", 400), SourceDeniedError, "OperationOutcome"),
    (outcome("throttled", 422), SourceUnavailableError, "OperationOutcome"),
    (outcome("processing", 410), SourceChangedError, "HTTP 410"),
    (outcome("forbidden", 403), SourceDeniedError, "403"),
    (outcome("exception", 500), SourceUnavailableError, "500"),
    (Reply(b"busy", 429), SourceUnavailableError, "429"),
    (outcome("informational", 200), SourceChangedError, "Bundle"),
    (HTML, SourceChangedError, "JSON"),
    (Reply(HTML.body, 400), SourceChangedError, "400"),
    (Reply(b"", 302, headers={"Location": "http://127.0.0.1:9/MARK"}), SourceChangedError, "chuyển hướng"),
    (Reply(b'{"resourceType": "Bundle", "entry": [{"MARK'), SourceChangedError, "JSON"),
    (Reply(b'{"resourceType": "Bundle", "entry": [{"MARK', length=9_000), SourceUnavailableError, "ngắt kết nối"),
    (Reply(b'{"a": NaN}'), SourceChangedError, "JSON"),
    (Reply(b"[" * 200_000), SourceChangedError, "JSON"),
    (Reply(b"9" * 10_000), SourceChangedError, "JSON"),
    (as_json(["MARK"]), SourceChangedError, "Bundle"),
    (Reply(BIG), SourceChangedError, "quá dài"),
    (Reply(gzip.compress(BIG), headers={"Content-Encoding": "gzip"}), SourceChangedError, "quá dài"),
    (Reply(b"MARK", headers={"Content-Encoding": "gzip"}), SourceChangedError, "nén bị hỏng"),
    (Reply(gzip.compress(BIG)[:40], headers={"Content-Encoding": "gzip"}), SourceUnavailableError, "cắt cụt"),
    (Reply(b"MARK", headers={"Content-Encoding": "br"}), SourceChangedError, "nén"),
    (next_page("/fhir/Encounter?page=2"), SourceChangedError, "lặp lại"),
    (next_page("http://127.0.0.1:9/fhir/Encounter?MARK"), SourceChangedError, "địa chỉ khác"),
    (next_page("http://user:MARK@localhost/fhir"), SourceChangedError, "địa chỉ khác"),
    (next_page("file:///etc/MARK"), SourceChangedError, "địa chỉ khác"),
    (Reply(b"{}" + b" " * 1000, delay=0.8), SourceUnavailableError, "1 giây"),
]


@pytest.mark.parametrize(
    ("fault", "kind", "words"), FAULTS, ids=[f"{n}-{words}" for n, (_, _, words) in enumerate(FAULTS)]
)
def test_a_fault_is_named_in_our_own_words(
    served: Served,
    tmp_path: Path,
    fault: Reply,
    kind: type[SourceError],
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    fill(served, encounter(1))
    served.fault = lambda request: fault
    reader = opened(served, tmp_path, timeout_seconds=1)
    with pytest.raises(kind, match=words) as caught:
        read(reader, DAYS, "visits")
    assert "MARK" not in str(caught.value) + caplog.text
    assert caught.value.__cause__ is None


def test_paging_that_never_ends_is_stopped(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.emr.fhir._MOST_PAGES", 20)
    served.fault = lambda request: next_page(f"/fhir/Encounter?page={len(served.requests)}")
    with pytest.raises(SourceChangedError, match="không dừng"):
        read(opened(served, tmp_path), DAYS, "visits")
    assert len(served.requests) == 21


def test_bytes_that_are_no_text_cost_the_name_that_holds_them_only(served: Served, tmp_path: Path) -> None:
    body = json.dumps({"resourceType": "Bundle", "entry": [{"resource": encounter(1)}]}, ensure_ascii=False)
    served.fault = lambda request: Reply(body.encode().replace("Trần".encode(), b"Tr\xb8\xb5n"))
    found = counts(read(opened(served, tmp_path), DAYS, "visits"))
    assert found == {"12001": {f"visits {DAY}": {"outpatient": 1}}}


def test_gzip_answers_are_read(served: Served, tmp_path: Path) -> None:
    body = json.dumps({"resourceType": "Bundle", "entry": [{"resource": encounter(n)} for n in range(3000)]}).encode()
    served.fault = lambda request: Reply(gzip.compress(body), headers={"Content-Encoding": "gzip"})
    found = counts(read(opened(served, tmp_path), DAYS, "visits"))
    assert found == {"12001": {f"visits {DAY}": {"outpatient": 3000}}}


def test_a_server_that_is_away_is_unavailable(tmp_path: Path) -> None:
    with serving(FhirApp([])) as gone:
        pass
    with pytest.raises(SourceUnavailableError, match="không kết nối được"):
        opened(gone, tmp_path).probe()


def test_one_measure_that_fails_leaves_the_other(served: Served, tmp_path: Path) -> None:
    fill(served, encounter(1))

    def fault(request: Request) -> Reply | None:
        return outcome("exception", 500) if request.path.endswith("Composition") else None

    served.fault = fault
    readings = read(opened(served, tmp_path))
    assert counts(readings) == {"12001": {f"visits {DAY}": {"outpatient": 1}}}
    assert isinstance(failure(readings, "record_documents"), SourceUnavailableError)


# Configuration


def table(options: dict[str, Any]) -> dict[str, Any]:
    """Fields of SourceConfig for a whole table of options."""
    measures = options.pop("measures", None)
    return {"measures": measures, "options": {"url": "http://localhost:1/fhir"} | options}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "ftp://x"}, "url"),
        ({"url": "https://user:MARK@x"}, "tài khoản"),
        ({"url": "https://x/fhir?a=1"}, "url"),
        ({"url": ""}, "url"),
        ({"colour": "red"}, "colour"),
        ({"username": "a"}, "đi với nhau"),
        ({"password_file": "password"}, "đi với nhau"),
        ({"username": "a", "password_file": "password", "token_file": "password"}, "một trong hai"),
        ({"token_file": "missing"}, "token_file"),
        ({"token_file": "two_lines"}, "token_file"),
        ({"ca_file": "password"}, "ca_file"),
        ({"client_cert_file": "missing"}, "client_cert_file"),
        ({"client_key_file": "missing"}, "client_key_file"),
        ({"page_size": 0}, "page_size"),
        ({"proxy": "nonsense://"}, "proxy"),
        ({"measures": ("records",)}, "records"),
    ],
)
def test_a_mistake_in_the_table_is_named(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    (tmp_path / "password").write_text("MARK-SECRET")
    (tmp_path / "two_lines").write_text("a\nb")
    with pytest.raises(ConfigError, match=words) as caught:
        adapter(replace(source("http://localhost:1", tmp_path), **table(options)), CATALOGUE)
    assert "MARK" not in str(caught.value)


def test_several_facilities_need_a_table(tmp_path: Path) -> None:
    several = replace(source("http://localhost:1", tmp_path), facilities=("1", "2"))
    with pytest.raises(ConfigError, match="facilities"):
        adapter(several, CATALOGUE)


def test_the_explanation_shows_the_searches_and_no_secret(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("MARK-SECRET")
    reader = adapter(source("http://localhost:1", tmp_path, token_file="token"), CATALOGUE)
    for measure in reader.measures:
        assert "GET http://localhost:1/fhir/" in reader.explain(measure)
        assert "MARK" not in reader.explain(measure)
    assert reader.identity == "emr.fhir http://localhost:1/fhir"
    assert reader.silence_is_zero


def test_the_sample_shows_every_option_under_a_sentence_and_is_accepted(tmp_path: Path) -> None:
    text = (HERE / "fhir.sample.toml").read_text("utf-8")
    whole = tomllib.loads(re.sub(r'(?m)^# (?=\w+ = |\[|"\w)', "", text))["sources"]["emr"]
    assert set(whole) - {"kind", "measures", "timeout_seconds", "facilities"} == set(Options.model_fields)
    for match in re.finditer(r"(?m)^(?:# )?\w+ = ", text):
        before = text[: match.start()].rstrip("\n").rsplit("\n", 1)[-1]
        assert re.match(r"# \w.*\.$", before), match[0]
    here = tomllib.loads(text)["sources"]["emr"]
    assert here.pop("kind") == "emr.fhir"
    adapter(replace(source("http://localhost:1", tmp_path), options=here), CATALOGUE)
