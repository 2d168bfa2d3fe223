"""From a file that a person keeps to what it says: the one reading that agents and the portal share."""

import os
from collections.abc import Mapping
from datetime import date
from typing import BinaryIO

from contract.catalogue import UNKNOWN, Cadence, Catalogue, Measure
from contract.errors import SourceChangedError
from contract.sheets import delimited, xlsx
from contract.sheets.cells import heading, plain
from contract.sheets.table import HEADINGS, TCVN3, UNKNOWN_NAMES, Findings, Role, Words, take

_OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def words(
    catalogue: Catalogue,
    cadences: Mapping[str, Cadence],
    facilities: Mapping[str, str],
    alone: str | None,
    today: date,
    *,
    categories: Mapping[str, str] | None = None,
    columns: Mapping[str, Role] | None = None,
) -> Words:
    """What the words of a sheet mean.

    `cadences`: of each measure that it may hold. `facilities`: name → id, `alone`: the id of a line that names none.
    `categories`, `columns`: the sheet's own words → category code, its own headings → role, beside ours.
    """
    headings: dict[str, Role] = {heading(name): role for role, names in HEADINGS.items() for name in names}
    headings |= {heading(name): role for name, role in (columns or {}).items()}
    every = catalogue.measures
    return Words(
        measures={code: every[code] for code in cadences},
        measure_names={plain(name): code for code, one in every.items() for name in (one.en, one.vi, code)},
        headings=headings,
        facilities=_facilities(facilities),
        categories={code: _category_words(every[code], categories or {}) for code in cadences},
        cadences=cadences,
        alone=alone,
        today=today,
    )


def read(stream: BinaryIO, words: Words, largest: int = xlsx.LARGEST_UNPACKED) -> Findings:
    """What the file says, whatever it is named; `largest`: of how many bytes a workbook may be unpacked.

    Raises SourceChangedError for a file that is unreadable as a whole, or holds no table.
    """
    findings = _findings(stream, words, largest)
    if not findings.tables:
        raise SourceChangedError(
            "không thấy dòng tiêu đề có cột Ngày và các cột số lượng" + (TCVN3 if findings.is_tcvn3 else "")
        )
    return findings


def _findings(stream: BinaryIO, words: Words, largest: int) -> Findings:
    start = stream.read(8) or b""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    if not start.strip(b"\0"):
        raise SourceChangedError(xlsx.UNFINISHED)
    if start == _OLD_EXCEL:
        raise SourceChangedError("tệp Excel kiểu cũ (.xls) hoặc có mật khẩu: bỏ mật khẩu và lưu lại dạng .xlsx")
    findings = Findings()
    if start.startswith(b"PK"):
        if size > xlsx.LARGEST_BYTES:
            raise SourceChangedError(f"tệp XLSX lớn hơn {xlsx.LARGEST_BYTES // 1024**2} MB, không đọc")
        for sheet in xlsx.sheets(stream, largest):
            take(sheet, words, findings)
        return findings
    for sheet in delimited.readings(stream):
        findings = Findings(is_tcvn3=findings.is_tcvn3)
        take(sheet, words, findings)
        if findings.tables:
            break
    return findings


def _category_words(measure: Measure, own: Mapping[str, str]) -> dict[str, str]:
    named = [(name, UNKNOWN) for name in UNKNOWN_NAMES]
    named += [(name, code) for code, one in measure.categories.items() for name in (one.en, one.vi, code)]
    named += [(raw, code) for raw, code in own.items() if code in measure.codes]
    return {form(name): code for name, code in named for form in (heading, plain)}


def _facilities(names: Mapping[str, str]) -> dict[str, str]:
    """How a facility may be written, without the leading zeros that Excel eats too, where that is clear."""
    known = {plain(name): facility for name, facility in names.items()}
    short: dict[str, set[str]] = {}
    for name, facility in known.items():
        if name.isdecimal():
            short.setdefault(name.lstrip("0"), set()).add(facility)
    return {name: min(facilities) for name, facilities in short.items() if len(facilities) == 1} | known
