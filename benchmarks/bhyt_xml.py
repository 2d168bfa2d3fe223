"""`his.bhyt_xml`: throughput against a bare lxml parse plus base64 decode, memory for 100 MB, the next poll.

The peer parses the envelopes and decodes every NOIDUNGFILE; it does not even parse what it has decoded.
"""

import tempfile
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.folders import memory, next_poll, put, show, throughput

KIND = "his.bhyt_xml"
LARGE_BYTES = 100 * 1024 * 1024

_XML1 = """
STT MA_BN HO_TEN SO_CCCD NGAY_SINH GIOI_TINH NHOM_MAU MA_QUOCTICH MA_DANTOC MA_NGHE_NGHIEP DIA_CHI MATINH_CU_TRU
MAHUYEN_CU_TRU MAXA_CU_TRU DIEN_THOAI MA_THE_BHYT MA_DKBD GT_THE_TU GT_THE_DEN NGAY_MIEN_CCT LY_DO_VV LY_DO_VNT
MA_LY_DO_VNT CHAN_DOAN_VAO CHAN_DOAN_RV MA_BENH_CHINH MA_BENH_KT MA_BENH_YHCT MA_PTTT_QT MA_DOITUONG_KCB MA_NOI_DI
MA_NOI_DEN MA_TAI_NAN NGAY_VAO NGAY_VAO_NOI_TRU NGAY_RA GIAY_CHUYEN_TUYEN SO_NGAY_DTRI PP_DIEU_TRI KET_QUA_DTRI
MA_LOAI_RV GHI_CHU NGAY_TTOAN T_THUOC T_VTYT T_TONGCHI_BV T_TONGCHI_BH T_BNTT T_BNCCT T_BHTT T_NGUONKHAC T_BHTT_GDV
NAM_QT THANG_QT MA_LOAI_KCB MA_KHOA MA_CSKCB MA_KHUVUC CAN_NANG CAN_NANG_CON NAM_NAM_LIEN_TUC NGAY_TAI_KHAM MA_HSBA
MA_TTDV DU_PHONG
"""
_SAID = {"MA_DOITUONG_KCB": "1.1", "NGAY_VAO": "202511030815", "NGAY_RA": "202511031030", "MA_LOAI_KCB": "01"}
_SAID |= {"MA_CSKCB": "79029", "HO_TEN": "Nguyễn Thị Mẫu", "DIA_CHI": "Số 1 đường Mẫu, phường Mẫu", "GHI_CHU": ""}
# Table → root, list, row, number of columns, rows: an ordinary outpatient visit.
_TABLES = {
    "XML2": ("CHITIEU_CHITIET_THUOC", "DSACH_CHI_TIET_THUOC", "CHI_TIET_THUOC", 38, 3),
    "XML3": ("CHITIEU_CHITIET_DVKT_VTYT", "DSACH_CHI_TIET_DVKT", "CHI_TIET_DVKT", 47, 3),
    "XML4": ("CHITIEU_CHITIET_DICHVUCANLAMSANG", "DSACH_CHI_TIET_CLS", "CHI_TIET_CLS", 12, 4),
    "XML5": ("CHITIEU_CHITIET_DIENBIENLAMSANG", "DSACH_CHI_TIET_DIEN_BIEN_BENH", "CHI_TIET_DIEN_BIEN_BENH", 9, 1),
}


def visit(number: int) -> bytes:
    """A HOSO of XML1 to XML5."""
    key = f"<MA_LK>V{number:08d}</MA_LK>"
    summary = "".join(f"  <{name}>{_SAID.get(name, 'một giá trị')}</{name}>\n" for name in _XML1.split())
    tables = {"XML1": f"<TONG_HOP>\n  {key}\n{summary}</TONG_HOP>"}
    for label, (root, rows, row, columns, count) in _TABLES.items():
        cells = "".join(f"<COT_SO_{column}>giá trị {column}</COT_SO_{column}>\n" for column in range(columns))
        tables[label] = f"<{root}><{rows}>{f'<{row}>{key}{cells}</{row}>' * count}</{rows}></{root}>"
    files = (
        f"<FILEHOSO><LOAIHOSO>{label}</LOAIHOSO><NOIDUNGFILE>{b64encode(text.encode()).decode()}</NOIDUNGFILE></FILEHOSO>\n"
        for label, text in tables.items()
    )
    return f"<HOSO>\n{''.join(files)}</HOSO>\n".encode()


def small_visit(number: int) -> bytes:
    """A HOSO of an XML1 that says no more than is looked at."""
    said = "".join(f"<{name}>{value}</{name}>" for name, value in _SAID.items())
    summary = f"<TONG_HOP><MA_LK>V{number}</MA_LK>{said}</TONG_HOP>"
    return f"<HOSO><FILEHOSO><LOAIHOSO>XML1</LOAIHOSO><NOIDUNGFILE>{summary}</NOIDUNGFILE></FILEHOSO></HOSO>".encode()


def envelope(visits: Iterator[bytes], least_bytes: int = 0) -> bytes:
    """A file of `visits`; of so many as make `least_bytes`, if that is said."""
    taken, size = [], 0
    for one in visits:
        taken.append(one)
        size += len(one)
        if least_bytes and size >= least_bytes:
            break
    head = (
        '<?xml version="1.0" encoding="utf-8"?>\n<GIAMDINHHS><THONGTINDONVI><MACSKCB>79029</MACSKCB></THONGTINDONVI>\n'
        f"<THONGTINHOSO><NGAYLAP>20251104</NGAYLAP><SOLUONGHOSO>{len(taken)}</SOLUONGHOSO><DANHSACHHOSO>\n"
    )
    return head.encode() + b"".join(taken) + b"</DANHSACHHOSO></THONGTINHOSO><CHUKYDONVI/></GIAMDINHHS>\n"


def run() -> list[dict[str, Any]]:
    """Measure. Takes about two minutes, most of it to write 100,000 files and read them once."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        single, many, large = (Path(name) / part for part in ("single", "many", "large"))
        for folder in (single, many, large):
            folder.mkdir()
        for number in range(1000):
            put(single / f"{number}.xml", envelope(iter([visit(number)])))
        put(many / "1.xml", envelope(visit(number) for number in range(1000)))
        put(large / "1.xml", envelope((visit(number) for number in range(10**6)), LARGE_BYTES))
        rows.append(throughput(f"{KIND}: 1,000 files of one visit", KIND, single, "NOIDUNGFILE"))
        rows.append(throughput(f"{KIND}: one file of 1,000 visits", KIND, many, "NOIDUNGFILE"))
        rows.append(memory(f"{KIND}: memory for a file of 100 MB", KIND, large))
    claim = f"{KIND}: next poll of 100,000 files"
    rows.append(next_poll(claim, KIND, lambda path, number: put(path, envelope(iter([small_visit(number)])))))
    return rows


if __name__ == "__main__":
    show(run())
