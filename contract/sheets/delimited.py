"""Reads a CSV file as Excel and others save it: in any of their encodings, divided by semicolon, tab or comma."""

import codecs
import csv
import io
from collections.abc import Iterator
from typing import BinaryIO

from contract.errors import SourceChangedError
from contract.sheets.xlsx import MOST_COLUMNS, Line, Sheet

LARGEST_BYTES = 16 * 1024 * 1024
_DELIMITERS = ";\t,"
_BOMS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_LONGEST_TEXT = 300


def readings(stream: BinaryIO) -> Iterator[Sheet]:
    """The file as one sheet, in every way in which it may be meant; the caller takes the first that makes sense.

    Raises SourceChangedError when it is no text of a table.
    """
    content = stream.read(LARGEST_BYTES + 1) or b""
    if len(content) > LARGEST_BYTES:
        raise SourceChangedError(f"tệp CSV lớn hơn {LARGEST_BYTES // 1024**2} MB, không đọc")
    if content.removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"<":
        raise SourceChangedError("tệp là HTML hoặc XML mang đuôi khác: mở bằng Excel và lưu lại dạng .xlsx")
    for text in _texts(content):
        for delimiter in _DELIMITERS:
            yield Sheet("", "", _lines(text, delimiter))


def _texts(content: bytes) -> Iterator[str]:
    """The content in the encodings that it may have, the surest first."""
    for mark, encoding in _BOMS.items():
        if content.startswith(mark):
            yield content[len(mark) :].decode(encoding, "replace")
            return
    if content[1:2] == b"\0":
        yield content.decode("utf-16-le", "replace")
        return
    try:
        yield content.decode("utf-8")
    except UnicodeDecodeError:
        yield content.decode("cp1258", "replace")
        # in which TCVN3 shows as what it is
        yield content.decode("cp1252", "replace")


def _lines(text: str, delimiter: str) -> Iterator[Line]:
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    number = 0
    while True:
        number += 1
        try:
            row = next(rows, None)
        except csv.Error:
            raise SourceChangedError(f"CSV hỏng ở dòng {number}: dấu ngoặc kép không đóng?") from None
        if row is None:
            return
        cells = {
            column: said for column, cell in enumerate(row[:MOST_COLUMNS]) if (said := cell.strip()[:_LONGEST_TEXT])
        }
        if cells:
            yield Line(number, dict(cells), {})
