"""The files of QĐ 4210, 130, 4750 and 3176: the envelope, the case files in it, the check-in table.

Six fields of a visit are looked at, none of them personal but the key of the visit itself, which its reader hides.
Element names: domain notes, sections 1.3 to 1.5.
"""

import re
from binascii import a2b_base64
from collections.abc import Iterator
from functools import lru_cache
from typing import BinaryIO, NamedTuple

from contract.errors import SourceChangedError
from contract.xml import Element, child, document, elements, first_with, text

_ENVELOPE = "GIAMDINHHS"
_CHECKINS = "CHI_TIEU_TRANG_THAI_KCB"
_FIELDS = ("MA_LK", "MA_CSKCB", "MA_LOAI_KCB", "MA_DOITUONG_KCB", "NGAY_VAO", "NGAY_RA")
_TAGS = tuple("{*}" + name for name in _FIELDS)
# A root's name stands near the beginning, in any encoding once its zero bytes are gone.
_HEAD_BYTES = 4096

_TABLE = re.compile(r"[\W_]*(?:XML)?[\W_]*0*(\d{1,2})[\W_]*", re.ASCII | re.IGNORECASE)
_SUMMARY, _CHECKIN = "1", ""
# Tables that want an XML1 beside them, and those of no known label; the others are papers that are also sent alone.
_SAYS_NOTHING_ALONE = {"2", "3", "4", "5", None}


class Header(NamedTuple):
    """What the envelope says of the file as a whole, as written; a check-in file says nothing."""

    facility: str
    made: str
    """NGAYLAP."""
    cases: str
    """SOLUONGHOSO: how many HOSO there should be."""


class Record(NamedTuple):
    """What XML1 or a check-in says of one visit, as written; '' where a field is missing."""

    is_checkin: bool
    visit: str
    facility: str
    form: str
    """MA_LOAI_KCB."""
    subject: str
    """MA_DOITUONG_KCB."""
    arrived: str
    left: str


def _is_checkin_file(stream: BinaryIO) -> bool:
    """Whether the file is a check-in table rather than an envelope. Leaves the stream at its beginning."""
    head = stream.read(_HEAD_BYTES)
    stream.seek(0)
    return _CHECKINS.encode() in head.replace(b"\0", b"") and _ENVELOPE.encode() not in head.replace(b"\0", b"")


def cases(stream: BinaryIO) -> Iterator[Element]:
    """Each HOSO of an envelope, or each row of a check-in table; the rules of `contract.xml.elements` hold.

    Raises SourceChangedError: also for a file of any other kind.
    """
    name, root = ("TRANG_THAI_KCB", _CHECKINS) if _is_checkin_file(stream) else ("HOSO", _ENVELOPE)
    element = None
    for element in elements(stream, name):
        if _name(element.getroottree().getroot()) != root:
            element = None
            break
        yield element
    if element is None:
        raise SourceChangedError(
            f"không phải tệp dữ liệu BHYT có hồ sơ: phần tử gốc phải là {_ENVELOPE} (có HOSO) hoặc {_CHECKINS}"
        )


def header(case: Element) -> Header:
    """What stands around `case` in its envelope."""
    root = case.getroottree().getroot()
    of_cases = child(root, "THONGTINHOSO")
    return Header(text(root, "THONGTINDONVI", "MACSKCB"), text(of_cases, "NGAYLAP"), text(of_cases, "SOLUONGHOSO"))


def records(case: Element) -> Iterator[Record]:
    """What `case` says; nothing where it holds only papers that are no visit.

    Raises SourceChangedError, possibly after some records were given, with a reason that quotes nothing.
    """
    if _name(case) != "HOSO":
        yield _record(case, is_checkin=True)
        return
    tables = set()
    for file in case.iterchildren("{*}FILEHOSO"):
        table = _table(text(file, "LOAIHOSO"))
        tables.add(table)
        if table == _SUMMARY:
            yield _record(first_with(_content(file), "MA_LK"), is_checkin=False)
            return
        if table == _CHECKIN:
            content = _content(file)
            yield from (_record(key.getparent(), is_checkin=True) for key in content.iter("{*}MA_LK"))
    if not tables or tables & _SAYS_NOTHING_ALONE:
        raise SourceChangedError("không có XML1")


@lru_cache(maxsize=256)
def _table(label: str) -> str | None:
    """`XMl13`, `xml1`, `XML_01` → the number as text without zeros ('' for XML0); None for anything else."""
    match = _TABLE.fullmatch(label)
    return match[1].lstrip("0") if match else None


def _content(file: Element) -> Element:
    """The inner document of a FILEHOSO: its elements as they stand, or base64, or text. Raises SourceChangedError."""
    content = child(file, "NOIDUNGFILE")
    if content is not None and len(content):
        return content
    written = "" if content is None else (content.text or "").lstrip("\ufeff \t\r\n")
    if not written:
        raise SourceChangedError("NOIDUNGFILE để trống")
    if written.startswith("<"):
        return _inner(written.encode())
    try:
        return _inner(a2b_base64(written))
    except ValueError:
        raise SourceChangedError("base64 trong NOIDUNGFILE hỏng hoặc bị cắt cụt") from None


def _inner(data: bytes) -> Element:
    try:
        return document(data)
    except SourceChangedError as error:
        raise SourceChangedError(f"nội dung NOIDUNGFILE không đọc được: {error}") from None


def _record(row: Element | None, is_checkin: bool) -> Record:
    if row is None:
        raise SourceChangedError("XML1 thiếu MA_LK")
    said = dict.fromkeys(_FIELDS, "")
    for one in row.iterchildren(*_TAGS):
        said[one.tag.rpartition("}")[2]] = (one.text or "").strip()
    visit, facility, form, subject, arrived, left = said.values()
    if not visit:
        raise SourceChangedError("thiếu MA_LK")
    return Record(is_checkin, visit, facility, form, subject, arrived, left)


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
