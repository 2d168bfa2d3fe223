"""Reads the values of an XLSX workbook, through the door to XML, without trusting it.

Only what a count needs is looked at: values, which numbers are dates, merged cells. No formula is ever computed.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from decimal import Decimal, InvalidOperation
from posixpath import join, normpath
from typing import BinaryIO, NamedTuple

from contract.errors import SourceChangedError
from contract.sheets.cells import Dated, Fault, Unit, Value, serial_day
from contract.tally import MAX_COUNT
from contract.xml import Element, child, elements, text

LARGEST_BYTES = 20 * 1024 * 1024
LARGEST_UNPACKED = 100 * 1024 * 1024
MOST_COLUMNS = 300
MOST_MERGED = 10_000
MOST_TEXTS = 1_000_000
_MOST_EMPTY = 20_000
_LONGEST_TEXT = 300
_MERGE = re.compile(rb"<(?:\w+:)?mergeCell\s[^<>]*?ref\s*=\s*[\"']([A-Z0-9:$]+)[\"']")
_LONGEST_MERGE = 200

UNFINISHED = "tệp chưa trọn vẹn, có thể đang được ghi hoặc chép"
# Number formats that every workbook has without declaring them.
_DAYS: tuple[int, ...] = (14, 15, 16, 22, *range(27, 37), *range(50, 59))
_BUILT_IN: Mapping[int, Unit] = {17: "month", **dict.fromkeys(_DAYS, "day")}
_UNCOMPUTED = Fault("là công thức chưa có kết quả: mở bằng Excel và lưu lại", "mở bằng Excel, lưu lại rồi gửi lại")
_UNREADABLE = Fault("không đọc được", "ghi lại ô này")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


class Line(NamedTuple):
    """A line that holds something: its number as Excel shows it, its cells, and what merged cells spread to it."""

    number: int
    cells: Mapping[int, Value]
    spread: Mapping[int, Value]


class Sheet(NamedTuple):
    """A sheet by its place in the file (its title may name a person) and title; its lines can be read once."""

    place: str
    title: str
    lines: Iterator[Line]


def sheets(stream: BinaryIO, largest: int = LARGEST_UNPACKED) -> Iterator[Sheet]:
    """Every sheet of the workbook, hidden ones too; `largest`: of how many bytes it may be unpacked.

    Raises SourceChangedError when it is something else, too large, or not whole.
    """
    with _translated(), zipfile.ZipFile(stream) as archive:
        workbook = _Workbook(archive, largest)
        yield from workbook.sheets()


@contextmanager
def _translated() -> Iterator[None]:
    """zipfile's errors in our words."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, UnicodeDecodeError):
        raise SourceChangedError(UNFINISHED) from None
    except (NotImplementedError, RuntimeError, KeyError):
        raise SourceChangedError("tệp XLSX có mật khẩu hoặc thiếu phần bắt buộc") from None


class _Workbook:
    def __init__(self, archive: zipfile.ZipFile, largest: int) -> None:
        self._archive = archive
        parts = archive.infolist()
        if sum(one.file_size for one in parts) > largest:
            raise SourceChangedError(f"tệp XLSX mở ra lớn hơn {largest // 1024**2} MB, không đọc")
        # Some exporters write \ for /, and capitals as they like.
        self._parts = {one.filename.replace("\\", "/").lstrip("/").lower(): one for one in parts}
        main = next((target for kind, target in self._related("").values() if kind == "officeDocument"), None)
        if main is None or main not in self._parts or not main.endswith(".xml"):
            raise SourceChangedError("không phải là tệp XLSX: mở bằng Excel và lưu lại dạng .xlsx")
        self._main = main
        self._relations = self._related(main)

    def sheets(self) -> Iterator[Sheet]:
        named: list[tuple[str, str]] = []
        is_1904 = False
        for element in self._elements(self._main, "workbookPr", "sheet"):
            if _local(element) == "workbookPr":
                is_1904 = element.get("date1904") in ("1", "true")
            else:
                kind, target = self._relations.get(_attribute(element, "id"), ("", ""))
                if kind == "worksheet":
                    named.append((element.get("name") or "", target))
        values = _Values(self._texts(), self._styles(), is_1904)
        for place, (title, part) in enumerate(named, 1):
            yield Sheet(f"trang {place}", title, self._lines(part, values))

    def _lines(self, part: str, values: "_Values") -> Iterator[Line]:
        merged = _Merged(self._merged(part))
        number = empty = 0
        for row in self._elements(part, "row"):
            written = row.get("r") or ""
            number = int(written) if written.isdecimal() and len(written) < 8 else number + 1
            cells = values.of(row)
            spread = merged.at(number, cells)
            empty = 0 if cells else empty + 1
            if cells:
                yield Line(number, cells, spread)
            elif empty > _MOST_EMPTY:
                return  # somebody formatted the sheet down to its last line

    def _merged(self, part: str) -> Iterator[str]:
        """The merged cells of a sheet, which are named behind its lines: looked for before it is parsed."""
        with _translated(), self._archive.open(self._parts[part]) as stream:
            rest = b""
            while chunk := stream.read(1024 * 1024):
                found = list(_MERGE.finditer(rest + chunk))
                yield from (one[1].decode() for one in found)
                rest = (rest + chunk)[found[-1].end() if found else 0 :][-_LONGEST_MERGE:]

    def _texts(self) -> list[str]:
        part = next((target for kind, target in self._relations.values() if kind == "sharedStrings"), None)
        if part not in self._parts:
            return []
        texts = []
        for element in self._elements(str(part), "si"):
            texts.append(_rich_text(element))
            if len(texts) > MOST_TEXTS:
                raise SourceChangedError("tệp XLSX có quá nhiều đoạn chữ, không phải bảng số liệu")
        return texts

    def _styles(self) -> list[Unit | None]:
        """Of each cell style, what of a date it shows."""
        part = next((target for kind, target in self._relations.values() if kind == "styles"), None)
        if part not in self._parts:
            return []
        units: dict[int, Unit | None] = dict(_BUILT_IN)
        styles: list[Unit | None] = []
        for element in self._elements(str(part), "numFmt", "cellXfs"):
            if _local(element) == "numFmt":
                units[_whole(element.get("numFmtId"))] = _unit_of(element.get("formatCode") or "")
            else:
                styles = [units.get(_whole(one.get("numFmtId"))) for one in element if _local(one) == "xf"]
        return styles

    def _related(self, part: str) -> dict[str, tuple[str, str]]:
        """Relation id → (last word of its type, path of the part) of a part; '' is the workbook file itself."""
        folder, _, name = part.rpartition("/")
        listing = join(folder, "_rels", f"{name}.rels")
        if listing not in self._parts:
            return {}
        found = {}
        for one in self._elements(listing, "Relationship"):
            target = one.get("Target") or ""
            path = target.lstrip("/") if target.startswith("/") else normpath(join(folder, target.replace("\\", "/")))
            found[one.get("Id") or ""] = ((one.get("Type") or "").rpartition("/")[2], path.lower())
        return found

    def _elements(self, part: str, *names: str) -> Iterator[Element]:
        with _translated(), self._archive.open(self._parts[part]) as stream:
            yield from elements(stream, *names)  # type: ignore[arg-type]  # typed IO[bytes], is a BinaryIO


class _Values:
    """Turns `<c>` elements into values."""

    def __init__(self, texts: list[str], styles: list[Unit | None], is_1904: bool) -> None:
        self._texts = texts
        self._styles = styles
        self._is_1904 = is_1904

    def of(self, row: Element) -> dict[int, Value]:
        """Column (from 0) → value of the cells of a row that are not empty."""
        found: dict[int, Value] = {}
        column = -1
        for cell in row:
            if _local(cell) != "c":
                continue
            column = _column(cell.get("r") or "", column + 1)
            if column < MOST_COLUMNS and (value := self._value(cell)) is not None:
                found[column] = value
        return found

    def _value(self, cell: Element) -> Value:
        kind, raw = cell.get("t") or "n", text(cell, "v")
        match kind:
            case "inlineStr":
                inline = child(cell, "is")
                return None if inline is None else _said(_rich_text(inline))
            case "s":
                number = _whole(raw)
                return _said(self._texts[number]) if 0 <= number < len(self._texts) else None
            case "e":
                return Fault("báo lỗi của Excel (#…)", "sửa công thức của ô, hoặc ghi thẳng số")
            case "b":
                return Fault("là đúng/sai, không phải số", "ghi số")
            case "str":
                return _said(raw)
        if not raw:
            return _UNCOMPUTED if _has_formula(cell) else None
        return _iso(raw) if kind == "d" else self._number(raw, _whole(cell.get("s") or "0"))

    def _number(self, raw: str, style: int) -> Value:
        try:
            number = Decimal(raw)
        except InvalidOperation:
            return _UNREADABLE
        if not number.is_finite() or not 0 <= number <= MAX_COUNT:
            return Fault("phải từ 0 đến 10^15", "ghi một số nguyên từ 0 trở lên")
        unit = self._styles[style] if 0 <= style < len(self._styles) else None
        if unit is None:
            return number
        day = serial_day(number, self._is_1904)
        return Dated(day, unit) if day else number


class _Merged:
    """What merged cells spread over the lines below their first, followed from the first line to the last."""

    def __init__(self, references: Iterator[str]) -> None:
        self._waiting: list[tuple[int, int, int, int]] = []
        for reference in references:
            first, _, last = reference.partition(":")
            corner, opposite = _place(first), _place(last)
            if corner and opposite:
                self._waiting.append((corner[0], corner[1], opposite[0], min(opposite[1], MOST_COLUMNS - 1)))
            if len(self._waiting) > MOST_MERGED:
                raise SourceChangedError(f"một trang có hơn {MOST_MERGED} vùng ô gộp, không đọc")
        self._waiting.sort(reverse=True)
        self._open: list[tuple[int, int, int, Value]] = []

    def at(self, number: int, cells: Mapping[int, Value]) -> dict[int, Value]:
        """Column → value for the cells of line `number` that belong to merged ones."""
        self._open = [one for one in self._open if one[0] >= number]
        while self._waiting and self._waiting[-1][0] <= number:
            top, left, bottom, right = self._waiting.pop()
            if top == number and left in cells:
                self._open.append((bottom, left, right, cells[left]))
        return {
            column: value
            for _, left, right, value in self._open
            for column in range(left, right + 1)
            if column not in cells
        }


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _has_formula(cell: Element) -> bool:
    return child(cell, "f") is not None


def _attribute(element: Element, name: str) -> str:
    """An attribute with a namespace, whichever it is (there are two of relations)."""
    return next((str(value) for key, value in element.attrib.items() if str(key).endswith("}" + name)), "")


def _rich_text(element: Element) -> str:
    """The text of a `si` or `is`: its `t`, or those of its runs; not the hints on pronunciation."""
    pieces = []
    for one in element:
        if _local(one) == "t":
            pieces.append(one.text or "")
        elif _local(one) == "r":
            pieces.append((getattr(child(one, "t"), "text", None)) or "")
    return "".join(pieces)[:_LONGEST_TEXT]


def _said(raw: str) -> str | None:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), raw[:_LONGEST_TEXT]).strip() or None


def _iso(raw: str) -> Value:
    try:
        return Dated(date.fromisoformat(raw[:10]), "day")
    except ValueError:
        return _UNREADABLE


def _unit_of(code: str) -> Unit | None:
    """What of a date a number format shows; None when it is none."""
    shown = re.sub(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]', "", code.partition(";")[0]).lower()
    if "general" in shown or not re.search("[dy]", shown):
        return None
    return "day" if "d" in shown else "month" if "m" in shown else "year"


def _whole(written: str | None) -> int:
    return int(written) if written and written.isdecimal() and len(written) < 10 else -1


def _place(reference: str) -> tuple[int, int] | None:
    """B3 → (3, 1)."""
    found = re.fullmatch(r"\$?([A-Za-z]{1,3})\$?(\d{1,7})", reference)
    return (int(found[2]), _column(found[1], 0)) if found else None


def _column(reference: str, otherwise: int) -> int:
    """The column of B3 is 1."""
    letters = re.match("[A-Za-z]{1,3}", reference)
    if not letters:
        return otherwise
    number = 0
    for letter in letters[0].upper():
        number = number * 26 + ord(letter) - 64
    return number - 1
