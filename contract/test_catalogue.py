"""The catalogue: the shipped one is that of the plans, a broken one is refused whole."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from contract.catalogue import UNKNOWN, Catalogue, load, parse
from contract.errors import ConfigError

# Written from indicators.md, not from catalogue.toml: the two must agree.
MEASURES = """
checkins: cccd_qr cccd_chip vneid vssid insurance_card manual no_id
checkins_insured: cccd_qr cccd_chip vneid vssid insurance_card manual no_id
checkin_channels: kiosk app counter
records: electronic hybrid paper
record_documents: signed waiting rejected scanned
payments: cash transfer card qr wallet mixed
payment_amount: cash transfer card qr wallet
receipts: invoiced not_invoiced
invoices: valid replacing adjusting replaced cancelled pending
health_records: accepted sent rejected unsent
claims: accepted sent rejected unsent
visits: outpatient inpatient day_treatment emergency other
prescriptions: electronic paper
telemedicine w: completed cancelled
work_records w: online paper
documents w: digitally_signed not_signed
document_exchange w: network paper
satisfaction y: satisfied neutral dissatisfied
procedure_filings w: online counter
procedure_results w: on_time late
procedure_payments w: national_portal other_online offline
procedure_files w: digitised not_digitised
procedure_outputs w: electronic paper
procedure_reuse w: reused not_reused
procedure_opinions q: satisfied neutral dissatisfied
inspections q: digital on_site
"""
INDICATORS = """
emr: records = electronic
emr_signed: record_documents = signed, not scanned
digital_checkin: checkins_insured = cccd_qr cccd_chip vneid vssid, not no_id
kiosk: checkin_channels = kiosk app
cashless: payments = transfer card qr wallet
cashless_amount: payment_amount = transfer card qr wallet
einvoice: receipts = invoiced
health_record: health_records = accepted
claim: claims = accepted
prescription: prescriptions = electronic
work_record: work_records = online
document_signed: documents = digitally_signed
document_online: document_exchange = network
satisfaction: satisfaction = satisfied
procedure_online: procedure_filings = online
procedure_on_time: procedure_results = on_time
procedure_online_payment: procedure_payments = national_portal other_online
procedure_portal_payment: procedure_payments = national_portal
procedure_digitised: procedure_files = digitised
procedure_electronic_result: procedure_outputs = electronic
procedure_reuse: procedure_reuse = reused
procedure_satisfaction: procedure_opinions = satisfied
inspection_digital: inspections = digital
"""
LETTERS = {"daily": "", "working": " w", "monthly": " m", "quarterly": " q", "yearly": " y"}


def shipped() -> dict[str, Any]:
    return tomllib.loads(resources.files("contract").joinpath("catalogue.toml").read_text("utf-8"))


def problems_of(content: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(content, "sai.toml")
    return caught.value.problems


def test_the_shipped_measures_are_those_of_the_table() -> None:
    lines = [f"{code}{LETTERS[one.cadence]}: {' '.join(one.categories)}" for code, one in load().measures.items()]
    assert lines == MEASURES.strip().splitlines()


def test_the_shipped_indicators_are_those_of_the_table() -> None:
    lines = [
        f"{code}: {one.measure} = {' '.join(one.adopted)}" + (f", not {' '.join(one.excluded)}" if one.excluded else "")
        for code, one in load().indicators.items()
    ]
    assert lines == INDICATORS.strip().splitlines()


def test_only_amounts_are_in_money_and_only_inspections_need_no_thirty_cases() -> None:
    measures = load().measures
    assert {code for code, one in measures.items() if one.unit == "VND"} == {"payment_amount"}
    unusual = {code: one.min_base for code, one in measures.items() if one.min_base != 30}
    assert unusual == {"inspections": 1, "payment_amount": 30 * 100_000}


def test_what_is_counted_has_a_word_that_sentences_use() -> None:
    nouns = {code: one.noun_vi for code, one in load().measures.items()}
    asked = {"payments": "ca", "payment_amount": "đồng", "documents": "văn bản", "work_records": "hồ sơ"}
    assert {code: nouns[code] for code in asked} == asked
    assert nouns["satisfaction"] == nouns["procedure_opinions"] == "ý kiến"
    content = shipped()
    content["measures"]["payments"]["noun_vi"] = ""
    (problem,) = problems_of(content)
    assert "payments.noun_vi" in problem


def test_the_procedures_of_the_department_apply_to_it_alone() -> None:
    indicators = load().indicators
    own = [code for code in indicators if code.startswith("procedure_") or code == "inspection_digital"]
    assert all(indicators[code].levels == ("department",) for code in own)
    assert all("department" not in indicators[code].levels for code in ("emr", "cashless", "satisfaction"))


def test_every_measure_takes_unknown_and_none_declares_it() -> None:
    assert all(UNKNOWN in one.codes and UNKNOWN not in one.categories for one in load().measures.values())


def test_some_measures_are_shown_but_never_made_a_share() -> None:
    known = load()
    assert [code for code in known.measures if not list(known.indicators_of(code))] == [
        "checkins",
        "invoices",
        "visits",
        "telemedicine",
    ]


def test_a_broken_catalogue_is_refused_with_every_problem_named() -> None:
    content = shipped()
    del content["measures"]["records"]["en"]
    content["measures"]["payments"]["cadence"] = "hourly"
    content["measures"]["receipts"]["categories"] = {}
    content["measures"]["claims"]["colour"] = "red"
    content["measures"]["Thanh toán"] = content["measures"]["visits"]
    content["indicators"]["emr"]["levels"] = []
    problems = problems_of(content)
    assert len(problems) == 6
    assert all(problem.startswith("sai.toml: ") for problem in problems)
    keys = ("records.en", "payments.cadence", "receipts.categories", "claims.colour", "Thanh toán", "emr.levels")
    assert all(any(key in problem for problem in problems) for key in keys)


def test_an_indicator_that_contradicts_its_measure_is_refused_with_every_problem_named() -> None:
    content = shipped()
    content["measures"]["payments"]["categories"]["unknown"] = {"vi": "Chưa rõ", "en": "Unknown"}
    content["indicators"]["emr"]["measure"] = "recordings"
    content["indicators"]["kiosk"] |= {"adopted": ["kiosk", "kiosk", "robot"], "excluded": ["kiosk"]}
    content["indicators"]["prescription"] |= {"adopted": ["electronic", "paper"]}
    text = "\n".join(problems_of(content))
    for part in ("payments.categories.unknown", "recordings", "robot", "lặp lại", "vừa ở adopted", "prescription: "):
        assert part in text


def test_an_override_is_laid_over_key_by_key(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.toml"
    file.write_text(
        '[indicators.cashless]\nadopted = ["qr"]\n[measures.visits.categories.home]\nvi = "Tại nhà"\nen = "Home"\n'
    )
    known, before = load(file), load()
    assert known.indicators["cashless"].adopted == ("qr",)
    assert known.indicators["cashless"].vi == before.indicators["cashless"].vi
    assert set(known.measures["visits"].categories) == {*before.measures["visits"].categories, "home"}
    assert known.measures["payments"] == before.measures["payments"]


@pytest.mark.parametrize(
    "text", ["[measures", "\xff\xfe", '[indicators.cashless]\nadopted = ["gold"]', "[other]\nx = 1"]
)
def test_an_override_that_cannot_be_used_is_refused_by_its_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "catalogue.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"catalogue\.toml"):
        load(file)
    with pytest.raises(ConfigError, match=r"none\.toml"):
        load(tmp_path / "none.toml")


def test_the_digest_is_stable_and_moves_with_every_definition(tmp_path: Path) -> None:
    known = load()
    assert known.digest == load().digest
    assert known.digest.startswith("sha256:")
    assert len(known.digest) == 71
    file = tmp_path / "catalogue.toml"
    file.write_text('[measures.visits]\nen = "Visits of patients"\n')
    assert load(file).digest != known.digest


def test_what_an_agent_fetches_is_the_same_catalogue() -> None:
    known = load()
    fetched = Catalogue.model_validate_json(known.model_dump_json())
    assert fetched == known
    assert fetched.digest == known.digest
    assert list(fetched.measures) == list(known.measures)
