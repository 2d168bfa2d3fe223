"""The confirmation sheet: a month's figures in the form of an administrative document, for the hospital to sign.

It has the hospital's own letterhead and no number: both are the business of the hospital's own system.
"""

from collections.abc import Iterator
from datetime import datetime

from collector import confirm
from collector.letterhead import BLANK, Letterhead
from collector.reports.blocks import Block, Cell, Column, Paragraph, Report, Table
from collector.statements import Statement
from collector.store.signatures import Signature
from collector.typography import NBSP, clean, day, month, number, percent, threshold
from collector.versions import Figure, Target
from contract.catalogue import Catalogue
from contract.days import LOCAL, local_day
from contract.verdict import Verdict

KIND = "PHIẾU XÁC NHẬN SỐ LIỆU"
# Characters of a digest by which people tell versions apart.
SHORT = 12
_SIGNER = "THỦ TRƯỞNG ĐƠN VỊ"
_FIGURES = (
    Column("STT", 7, "centre"),
    Column("Chỉ số", 27),
    Column("Kết quả", 20, "centre"),
    Column("Tháng trước", 12, "centre"),
    Column("Chỉ tiêu", 11, "centre"),
    Column("Kết luận", 12, "centre"),
    Column("Ý kiến của cơ sở", 18),
)
_SIGNED = (
    Column("Người ký", 36),
    Column("Thời điểm", 22, "centre"),
    Column("Quyết định", 20, "centre"),
    Column("Mã số liệu", 22, "centre"),
)
_DECISIONS = {"confirmed": "Xác nhận", "disputed": "Có ý kiến"}


def sheet(one: Statement, catalogue: Catalogue, province: Letterhead, moment: datetime) -> Report:
    """The sheet of a statement; `province`: the letterhead of the Sở, to which it is addressed."""
    days = confirm.days_of(one.month.period)
    table = Table("Số liệu", _FIGURES, list(_rows(one, catalogue)))
    return Report(
        letterhead=_letterhead(one, province),
        kind=KIND,
        subject=[
            month(days.first),
            f"(Số liệu từ ngày{NBSP}{day(days.first)} đến ngày{NBSP}{day(days.last)})",
        ],
        drawn_up=local_day(moment),
        body=list(_body(one, table, moment)),
        annexes=[],
        figures=table,
        stem=f"phieu-xac-nhan-{one.month.period}-{one.facility.id}",
    )


def target(one: Target | None) -> str:
    """What a figure is held against, as a cell: `≥ 95 %`."""
    if one is None:
        return ""
    return f"{'≥' if one.operator == '>=' else '>'}{NBSP}{threshold(one.share)}"


def _letterhead(one: Statement, province: Letterhead) -> Letterhead:
    is_public = one.facility.ownership == "public"
    return Letterhead(
        parent=province.issuer if is_public else BLANK,
        issuer=clean(one.facility.name),
        place=province.place,
        number_suffix=BLANK,
        signer_title=(_SIGNER,),
        recipients=(f"{province.issuer} (b/c)", "Lưu: VT"),
    )


def _body(one: Statement, table: Table, moment: datetime) -> Iterator[Block]:
    name, named = clean(one.facility.name), confirm.named(one.month.period)
    says = "có ý kiến về" if one.reasons else "xác nhận"
    yield Paragraph(f"{name} {says} số liệu chuyển đổi số {named} của đơn vị như sau:")
    yield table
    if one.month.signatures:
        yield Paragraph("Đã ký trên cổng nhịp số:")
        yield Table("Chữ ký", _SIGNED, [_signed(each, one) for each in one.month.signatures])
    yield Paragraph(_state(one, moment))
    yield Paragraph("Mã của bản số liệu này (SHA-256), để đối chiếu với bản trên cổng:", is_note=True)
    yield Paragraph(one.shown.digest, is_note=True)


def _state(one: Statement, moment: datetime) -> str:
    printed = f"{moment.astimezone(LOCAL):%H:%M} ngày{NBSP}{day(local_day(moment))}"
    if one.month.state == "confirmed":
        return f"Số liệu trên đã được xác nhận và khóa trên cổng; phiếu in lúc {printed}."
    if one.month.state == "disputed":
        return f"Cơ sở đã có ý kiến về số liệu trên cổng; số liệu trong phiếu là của lúc {printed}."
    if one.month.state == "reopened":
        return f"Xác nhận trên cổng đã được mở lại do số liệu thay đổi; số liệu trong phiếu là của lúc {printed}."
    return f"Số liệu trên chưa được xác nhận trên cổng; số liệu trong phiếu là của lúc {printed}."


def _rows(one: Statement, catalogue: Catalogue) -> Iterator[list[Cell]]:
    before = one.before.figures if one.before else {}
    codes = [code for code in catalogue.indicators if code in one.shown.figures]
    for place, code in enumerate(codes, 1):
        figure, past = one.shown.figures[code], before.get(code)
        said = one.reasons.get(code)
        yield [
            place,
            clean(catalogue.indicators[code].vi),
            _result(figure),
            past.share if past else None,
            target(figure.target) or None,
            Verdict[figure.verdict.upper()].vi,
            f"Chưa đúng: {clean(said)}" if said else "Đúng" if one.month.state == "confirmed" else "",
        ]


def _result(one: Figure) -> str:
    if one.share is None:
        return Verdict[one.verdict.upper()].vi if one.verdict == "no_data" else "Không phát sinh"
    return f"{percent(one.share)} ({number(one.numerator)}/{number(one.denominator)})"


def _signed(each: Signature, one: Statement) -> list[Cell]:
    who = f"{clean(one.who(each))}{' (ký thay)' if one.is_by_deputy(each) else ''}"
    at = f"{each.at.astimezone(LOCAL):%H:%M %d/%m/%Y}"
    return [who, at, _DECISIONS[each.decision], short(each.digest)]


def short(digest: str) -> str:
    """The beginning of a digest: `3fa9c1d2e4b5`."""
    return digest.removeprefix("sha256:")[:SHORT]
