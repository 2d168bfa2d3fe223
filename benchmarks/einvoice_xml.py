"""`einvoice.xml`: throughput against a bare lxml parse, memory for a file of 100 MB, the next poll of 100,000 files."""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.folders import memory, next_poll, put, show, throughput

KIND = "einvoice.xml"
LARGE_BYTES = 100 * 1024 * 1024

_LINE = (
    "<HHDVu><TChat>1</TChat><STT>1</STT><MHHDVu>DV001</MHHDVu><THHDVu>Khám bệnh, ngày giường, xét nghiệm</THHDVu>"
    "<DVTinh>Lần</DVTinh><SLuong>1</SLuong><DGia>50000</DGia><TLCKhau>0</TLCKhau><STCKhau>0</STCKhau>"
    "<ThTien>50000</ThTien><TSuat>KCT</TSuat></HHDVu>\n"
)
_SIGNATURE = (
    '<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo><CanonicalizationMethod Algorithm="x"/>'
    f'<Reference URI="#data"><DigestValue>{"A" * 44}</DigestValue></Reference></SignedInfo>'
    f"<SignatureValue>{'B' * 344}</SignatureValue><KeyInfo><X509Data><X509Certificate>{'C' * 1800}</X509Certificate>"
    "</X509Data></KeyInfo></Signature>"
)


def invoice(number: int) -> bytes:
    """An HDon with six lines and two signatures."""
    return (
        '<HDon><DLHDon Id="data"><TTChung><PBan>2.0.1</PBan><THDon>Hóa đơn bán hàng</THDon><KHMSHDon>2</KHMSHDon>'
        f"<KHHDon>C25TAA</KHHDon><SHDon>{number}</SHDon><NLap>2025-11-03</NLap><DVTTe>VND</DVTTe><TGia>1</TGia>"
        "<HTTToan>TM/CK</HTTToan><MSTTCGP>0108888882</MSTTCGP></TTChung>\n<NDHDon><NBan><Ten>Bệnh viện Mẫu</Ten>"
        "<MST>0109999991</MST><DChi>Số 1 đường Mẫu</DChi></NBan><NMua><Ten>Nguyễn Thị Mẫu</Ten><DChi>Số 2</DChi>"
        f"</NMua>\n<DSHHDVu>{_LINE * 6}</DSHHDVu><TToan><TgTTTBSo>300000</TgTTTBSo></TToan></NDHDon></DLHDon>"
        f"<MCCQT>00FAKE{number:028d}</MCCQT><DSCKS><NBan>{_SIGNATURE}</NBan><CQT>{_SIGNATURE}</CQT></DSCKS></HDon>\n"
    ).encode()


def message(invoices: list[bytes]) -> bytes:
    """A TDiep around them."""
    return b"<TDiep><TTChung><PBan>2.0.1</PBan></TTChung><DLieu>\n" + b"".join(invoices) + b"</DLieu></TDiep>\n"


def run() -> list[dict[str, Any]]:
    """Measure. Takes about two minutes, most of it to write 100,000 files and read them once."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        single, many, large = (Path(name) / part for part in ("single", "many", "large"))
        for folder in (single, many, large):
            folder.mkdir()
        for number in range(1, 3001):
            put(single / f"{number}.xml", invoice(number))
        put(many / "1.xml", message([invoice(number) for number in range(1, 3001)]))
        wanted = LARGE_BYTES // len(invoice(1)) + 1
        put(large / "1.xml", message([invoice(number) for number in range(1, wanted + 1)]))
        rows.append(throughput(f"{KIND}: 3,000 files of one invoice", KIND, single, None))
        rows.append(throughput(f"{KIND}: one file of 3,000 invoices", KIND, many, None))
        rows.append(memory(f"{KIND}: memory for a file of 100 MB", KIND, large))
    rows.append(
        next_poll(f"{KIND}: next poll of 100,000 files", KIND, lambda path, number: put(path, invoice(number + 1)))
    )
    return rows


if __name__ == "__main__":
    show(run())
