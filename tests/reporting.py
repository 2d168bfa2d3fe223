"""A small province for the tests of the report: every verdict and every kind of missing thing, in October 2026.

What each facility sent is written here; the tests name these facilities.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from collector import confirm
from collector.letterhead import Letterhead
from collector.reports import draw_up
from collector.reports.blocks import Report, Table
from collector.reports.periods import Period, parse
from collector.store import alerts, signatures
from collector.store import manual as manual_figures
from collector.store.alerts import Told
from collector.store.manual import ManualFigure
from collector.store.signatures import Signature
from collector.thresholds import Confirmation
from contract.days import LOCAL, DayRange
from contract.plan import Plan
from tests.office import Office, a_plan, a_source, a_tally

OCTOBER = DayRange(date(2026, 10, 1), date(2026, 10, 31))
SEPTEMBER = DayRange(date(2026, 9, 1), date(2026, 9, 30))
DRAWN_UP = datetime(2026, 11, 5, 9, tzinfo=LOCAL)
RULES = Confirmation()
LETTERHEAD = Letterhead(
    parent="Ủy ban nhân dân tỉnh Sông Đà",
    issuer="Sở Y tế",
    place="Sông Đà",
    signer_title=("KT. GIÁM ĐỐC", "PHÓ GIÁM ĐỐC"),
    recipients=("UBND tỉnh (b/c)", "Sở Nội vụ (b/c)", "Các đơn vị trực thuộc Sở", "Lưu: VT, NVY"),
)
# facility → name, payments in September and October (cash, qr, unknown) a day; None: nothing was sent
NAMES = {
    "12001": "Bệnh viện Đa khoa tỉnh",
    "12002": "Bệnh viện <Sản & Nhi>",
    "12003": "Trung tâm Y tế khu vực Đông",
    "12004": "Trung tâm Y tế khu vực Đà Bắc",
    "12005": "Trung tâm Y tế khu vực Ân Hòa",
    "12006": "Trung tâm Y tế khu vực An Bình",
    "12007": "Phòng khám Đa khoa Hồng Ngọc",
}
DAILY: Mapping[str, tuple[Mapping[str, int] | None, Mapping[str, int] | None]] = {
    "12001": ({"cash": 60, "qr": 140}, {"cash": 10, "qr": 190}),  # 70 % → 95 %: met
    "12002": ({"cash": 30, "qr": 70}, {"cash": 40, "qr": 60}),  # 70 % → 60 %: below
    "12003": ({"cash": 10, "qr": 90}, {"cash": 11, "qr": 89}),  # 90 % → 89 %: near
    "12004": ({"cash": 20, "qr": 30}, None),  # fell silent on 1 October
    "12005": (None, {"cash": 5, "qr": 5, "unknown": 40}),  # what it sends is not classified
    "12006": (None, None),  # an agent that never sent
    "12007": (None, {"qr": 0}),  # nothing was paid: no case, not 0 %
}
SAID = {"en": "…", "section": "II.3", "words": "…"}
PLAN = a_plan(
    {"ratio": "0.9", "section": "II.7", "words": "90% lần thu không dùng tiền mặt"},
    {
        "indicator": "emr",
        "unit": "facilities",
        "ratio": 1,
        "uses_at": "0.95",
        "uses_at_reason": "…",
        "applies_to": {"levels": ["province"]},
        "section": "II.7",
    },
    {"indicator": "procedure_online", "ratio": None, "applies_to": {"levels": ["department"]}, "section": "II.3"},
    id="ke-hoach-2026",
    title="Kế hoạch Cải cách hành chính của Sở Y tế năm 2026",
    short="Kế hoạch cải cách hành chính 2026",
    number="12/KH-SYT",
    signed="2026-01-09",
    manual=[
        {"code": "units_inspected", "vi": "Phòng, đơn vị được kiểm tra", "value": 20, **SAID, "section": "II.1"},
        {"code": "apologies", "vi": "Hồ sơ quá hạn có văn bản xin lỗi", "value": 100, **SAID},
    ],
    follow=[{"measure": "telemedicine", "section": "III.2", "words": "…"}],
)  # fmt: skip


def a_province(office: Office, plan: Plan = PLAN) -> None:
    """Facilities 12001 … 12007 and what they sent; confirmations, answers to alerts, a figure of the Sở."""
    office.set_plans(plan)
    for one, name in NAMES.items():
        level = "province" if one < "12003" else "clinic" if one == "12007" else "regional"
        office.register(one, level=level, name=name, indicators="cashless emr", at=datetime(2026, 8, 1, tzinfo=LOCAL))
        if one != "12006":
            _send(office, one)
    sign(office, "12001", "confirmed")
    sign(office, "12002", "disputed", {"cashless": "Phần mềm chưa tách lần thu qua thẻ = 12 ca/ngày"})
    answer(office, "12003", "cashless", "Máy POS hỏng từ ngày 20/10, đã sửa xong.")
    answer(office, "12004", None, "Máy chủ HIS đang được thay.")
    with office.store.write() as connection:
        at = datetime(2026, 10, 30, 15, tzinfo=LOCAL)
        manual_figures.add(connection, a_figure(at.date(), "18.5", at))


def a_figure(day: date, value: str, at: datetime) -> ManualFigure:
    """What the Sở says of inspected units."""
    return ManualFigure(PLAN.id, "units_inspected", day, Decimal(value), "Biên bản số 12/BB-SYT", "Lan", at)


def _send(office: Office, one: str) -> None:
    speaker = office.speaker(one)
    sent: list[dict[str, Any]] = []
    for month, counts in zip((SEPTEMBER, OCTOBER), DAILY[one], strict=True):
        for day in month if counts is not None else ():
            sent.append(a_tally(day, counts=counts, facility=one))
            if one < "12003":
                records = {"electronic": 97, "paper": 3} if one == "12001" else {"electronic": 50, "paper": 50}
                sent.append(a_tally(day, counts=records, facility=one, measure="records"))
    if one == "12001":
        sent += [
            a_tally(day, counts={"completed": 2, "cancelled": 1}, facility=one, measure="telemedicine")
            for day in OCTOBER
        ]
    measures = ["payments", "records", "telemedicine"]
    at = (DAILY[one][1] is not None and "2026-11-05T08:00:00+07:00") or "2026-10-01T00:30:00+07:00"
    ack = office.push(speaker, sent, [a_source(facilities=[one], measures=measures, read_at=at)], at=DRAWN_UP)
    assert ack.accepted == len(sent), ack


def sign(
    office: Office, one: str, decision: str, reasons: Mapping[str, str] | None = None, period: str = "2026-10"
) -> None:
    """A confirmer of the facility has decided (`confirmed`, `disputed`) on a month."""
    moment = confirm.due(period, 5) - timedelta(days=3)
    with office.store.read() as connection:
        _, now = confirm.look(connection, office.yardstick, RULES, one, period, moment)
    kept = Signature(one, period, decision, now.digest, now.text, reasons or {}, "An", moment)
    with office.store.write() as connection:
        signatures.add(connection, kept)


def answer(office: Office, one: str, indicator: str | None, text: str) -> None:
    """An alert of October, and what the facility said of it."""
    begun = datetime(2026, 10, 20, 8, tzinfo=LOCAL)
    labels = {"alertname": "BelowTarget", "facility": one}
    told = Told(f"{one}{indicator}", begun, None, "BelowTarget", "warning", one, indicator, "…", "…", labels)
    with office.store.write() as connection:
        alerts.keep(connection, told, begun, None)
        newest = alerts.alerts(connection, one, "all", 1)[0]
        alerts.answer(connection, newest.id, text, "Bình", begun + timedelta(days=1))


def a_report(
    office: Office, period: Period | str = "2026-10", facility: str | None = None, moment: datetime = DRAWN_UP
) -> Report:
    """The report of the office."""
    asked = parse(period) if isinstance(period, str) else period
    with office.store.read() as connection:
        return draw_up(connection, office.yardstick, RULES, LETTERHEAD, asked, facility, moment)


def tables(report: Report, name: str) -> list[Table]:
    """The tables of a name, of the body and of the annexes."""
    blocks = [*report.body, *(block for annex in report.annexes for block in annex.blocks), report.figures]
    return [one for one in blocks if isinstance(one, Table) and one.name == name]


def text_of(report: Report) -> str:
    """All sentences of the body, one a line, with plain blanks."""
    return "\n".join(one.text for one in report.body if not isinstance(one, Table)).replace("\u00a0", " ")
