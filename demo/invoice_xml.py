"""Electronic invoices as files of the tax authority's format, in the forms that real systems leave behind."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from demo.chance import Person

NAMESPACE = "http://hoadondientu.gdt.gov.vn/2021/MLT"
SELLER = "MARK-Bệnh viện Đa khoa tỉnh"
TAX_NUMBER = "6200012001"


@dataclass(slots=True, eq=False)
class Invoice:
    """One invoice; its number is (seller, form, series, number, year of the date)."""

    form: str
    series: str
    number: int
    day: date
    total: int
    buyer: Person
    code: str | None
    """MCCQT, the tax authority's code."""
    relation: int | None = None
    """TCHDon: 1 replaces, 2 adjusts the `related` one."""
    related: "Invoice | None" = None

    @property
    def pending(self) -> bool:
        """A series with code that has none yet."""
        return self.series.startswith("C") and self.code is None


def one(invoice: Invoice, namespace: bool = False, padded: bool = False) -> bytes:
    """A file with a bare HDon; `padded` writes the number with leading zeros."""
    return _text(_invoice(invoice, padded), namespace)


def wrapped(invoices: list[Invoice], namespace: bool = False) -> bytes:
    """A file with a TDiep around any number of HDon, as it is sent to the tax authority."""
    message = Element("TDiep")
    head = SubElement(message, "TTChung")
    _fill(head, PBan="2.1.0", MLTDiep="200", MST=TAX_NUMBER, SLuong=str(len(invoices)))
    SubElement(message, "DLieu").extend(_invoice(invoice, False) for invoice in invoices)
    return _text(message, namespace)


def put(file: Path, content: bytes) -> None:
    """Write the file so that nobody ever sees half of it."""
    part = file.with_suffix(".part")
    part.write_bytes(content)
    part.replace(file)


def _invoice(invoice: Invoice, padded: bool) -> Element:
    root = Element("HDon")
    data = SubElement(root, "DLHDon", Id=f"data-{invoice.series}-{invoice.number}")
    head = SubElement(data, "TTChung")
    _fill(
        head,
        PBan="2.1.0",
        THDon="Hóa đơn giá trị gia tăng",
        KHMSHDon=invoice.form,
        KHHDon=invoice.series,
        SHDon=_number(invoice, padded),
        NLap=str(invoice.day),
        DVTTe="VND",
        TGia="1",
        HTTToan="TM/CK",
    )
    if invoice.relation and invoice.related:
        _relate(head, invoice.relation, invoice.related, padded)
    content = SubElement(data, "NDHDon")
    _fill(SubElement(content, "NBan"), Ten=SELLER, MST=TAX_NUMBER)
    buyer = invoice.buyer
    _fill(SubElement(content, "NMua"), Ten=buyer.name, SDThoai=buyer.phone, CCCDan=buyer.cccd)
    line = SubElement(SubElement(content, "DSHHDVu"), "HHDVu")
    _fill(line, TChat="1", STT="1", THHDVu="Viện phí", SLuong="1", ThTien=str(invoice.total), TSuat="KCT")
    _fill(SubElement(content, "TToan"), TgTCThue=str(invoice.total), TgTThue="0", TgTTTBSo=str(invoice.total))
    if invoice.code:
        SubElement(root, "MCCQT").text = invoice.code
    SubElement(SubElement(root, "DSCKS"), "NBan")
    return root


def _relate(head: Element, relation: int, related: Invoice, padded: bool) -> None:
    _fill(
        SubElement(head, "TTHDLQuan"),
        TCHDon=str(relation),
        LHDCLQuan="1",
        KHMSHDCLQuan=related.form,
        KHHDCLQuan=related.series,
        SHDCLQuan=_number(related, not padded),
        NLHDCLQuan=str(related.day),
    )


def _number(invoice: Invoice, padded: bool) -> str:
    return f"{invoice.number:08}" if padded else str(invoice.number)


def _fill(parent: Element, **children: str) -> None:
    for name, value in children.items():
        SubElement(parent, name).text = value


def _text(root: Element, namespace: bool) -> bytes:
    if namespace:
        # ElementTree writes a prefix of its own for it (ns0), as some vendors do.
        for element in root.iter():
            element.tag = f"{{{NAMESPACE}}}{element.tag}"
    else:
        indent(root)
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))
