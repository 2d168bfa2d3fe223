"""The registry of facilities: reading the lists that people keep (CSV, XLSX) into it."""

import csv
import io
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Literal, get_args

from openpyxl import load_workbook
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from collector.store import Store, registry
from collector.store.registry import Code, Facility
from contract.catalogue import Catalogue, Level
from contract.days import local_day
from contract.errors import ConfigError
from contract.problems import sentences

_HEADINGS = {
    "id": ("id", "ma", "ma co so"),
    "name": ("name", "ten", "ten co so"),
    "level": ("level", "cap", "loai co so"),
    "ownership": ("ownership", "so huu", "loai hinh"),
    "area": ("area", "dia ban"),
    "email": ("email", "thu dien tu", "lien he"),
    "active_from": ("active_from", "hoat dong tu", "tu ngay"),
    "active_to": ("active_to", "hoat dong den", "den ngay"),
    "bhxh_code": ("bhxh_code", "ma bhxh", "ma cskcb"),
    "bhxh_from": ("bhxh_from", "ma bhxh tu ngay"),
    "indicators": ("indicators", "chi so"),
}
_LEVELS = {
    "province": ("tuyen tinh", "tinh"),
    "regional": ("khu vuc", "trung tam y te khu vuc"),
    "commune_station": ("tram y te", "tram y te xa"),
    "clinic": ("phong kham",),
    "department": ("so y te",),
}
_OWNERSHIPS = {"public": ("cong lap", "cong"), "private": ("tu nhan", "ngoai cong lap", "tu")}


class Line(BaseModel):
    """One row of a list of facilities, its headings already in English."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    id: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,40}$")
    name: str = Field(min_length=1, max_length=200)
    level: Level
    ownership: Literal["public", "private"] = "public"
    area: str = Field(default="", max_length=100)
    email: str = Field(default="", max_length=300)
    active_from: date | None = None
    active_to: date | None = None
    bhxh_code: str = Field(default="", pattern=r"^([0-9]{5})?$")
    bhxh_from: date | None = None
    indicators: tuple[str, ...] | None = None

    @field_validator("level", mode="before")
    @classmethod
    def _level(cls, value: object) -> object:
        return _known(value, _LEVELS)

    @field_validator("ownership", mode="before")
    @classmethod
    def _ownership(cls, value: object) -> object:
        return _known(value, _OWNERSHIPS) or "public"

    @field_validator("active_from", "active_to", "bhxh_from", mode="before")
    @classmethod
    def _date(cls, value: object) -> object:
        """Excel's dates, dd/MM/yyyy, and ISO dates."""
        if isinstance(value, datetime):
            return value.date()
        if not isinstance(value, str):
            return value
        for form in ("%d/%m/%Y", "%Y-%m-%d"):
            with suppress(ValueError):
                return datetime.strptime(value.strip(), form).date()  # noqa: DTZ007
        return "?" if value.strip() else None

    @field_validator("indicators", mode="before")
    @classmethod
    def _indicators(cls, value: object) -> object:
        return tuple(value.replace(",", " ").split()) or None if isinstance(value, str) else value


def read(file: Path) -> list[tuple[str, Line]]:
    """(place, line) of every row of a CSV or XLSX file. Raises ConfigError naming every bad row."""
    try:
        rows: list[Sequence[object]] = list(_xlsx(file) if file.suffix.lower() == ".xlsx" else _csv(file))
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: không phải là UTF-8: hãy lưu lại dạng “CSV UTF-8” hoặc XLSX") from None
    except Exception as error:  # openpyxl lets through whatever a broken workbook makes it stumble over
        raise ConfigError(f"{file}: không đọc được tệp ({type(error).__name__})") from None
    if not rows:
        raise ConfigError(f"{file}: không có dòng nào")
    columns, problems = _columns(file, rows[0])
    lines: list[tuple[str, Line]] = []
    for number, row in enumerate(rows[1:], start=2):
        cells = {name: _cell(row[place]) for name, place in columns.items() if place < len(row)}
        if not any(cells.values()):
            continue
        try:
            lines.append((f"{file}: dòng {number}", line(f"{file}: dòng {number}", cells)))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return lines


def line(place: str, cells: Mapping[str, object]) -> Line:
    """One facility from cells by English heading; `place` is named in each problem. Raises ConfigError."""
    try:
        found = Line.model_validate(cells)
    except ValidationError as error:
        raise ConfigError(sentences(place, error)) from None
    if found.active_from and found.active_to and found.active_from > found.active_to:
        raise ConfigError(f"{place}: active_from phải không sau active_to")
    return found


def register(store: Store, lines: Sequence[tuple[str, Line]], catalogue: Catalogue, at: datetime) -> int:
    """Add or update the facilities of `lines`; returns how many. What a line does not name stays as it was.

    Raises ConfigError, and then nothing is changed.
    """
    problems = [
        f"{place}: indicators: không có chỉ số “{code}”"
        for place, line in lines
        for code in line.indicators or ()
        if code not in catalogue.indicators
    ]
    seen: dict[str, str] = {}
    for place, line in lines:
        if line.id in seen:
            problems.append(f"{place}: id “{line.id}” đã có ở {seen[line.id]}")
        seen.setdefault(line.id, place)
    if problems:
        raise ConfigError(problems)
    with store.write() as connection:
        known = {one.id: one for one in registry.facilities(connection)}
        coded = {one.facility for one in registry.codes(connection)}
        facilities = [_facility(line, known.get(line.id), at) for _, line in lines]
        codes = [_code(line, line.id in coded, local_day(at)) for _, line in lines if line.bhxh_code]
        registry.save(connection, facilities, codes)
    return len(facilities)


def _facility(line: Line, known: Facility | None, at: datetime) -> Facility:
    values = line.model_dump(exclude={"bhxh_code", "bhxh_from"})
    if known is None:
        return Facility(**values, registered_at=at)
    return replace(known, **{name: value for name, value in values.items() if name in line.model_fields_set})


def _code(line: Line, has_one: bool, today: date) -> Code:
    """A code without a date of its own: the first one was always in force, another one is from today."""
    begin = today if has_one else line.active_from or today
    return Code(line.id, line.bhxh_code, line.bhxh_from or begin, None)


def _columns(file: Path, heading: Sequence[object]) -> tuple[dict[str, int], list[str]]:
    columns: dict[str, int] = {}
    problems = []
    for place, cell in enumerate(heading):
        folded = _folded(cell)
        name = next((name for name, forms in _HEADINGS.items() if folded in forms), None)
        if name in columns:
            problems.append(f"{file}: dòng 1: cột {name} có hai lần")
        elif name is not None:
            columns[name] = place
        elif folded:
            problems.append(f"{file}: dòng 1: không hiểu tiêu đề “{cell}”")
    missing = [name for name in ("id", "name", "level") if name not in columns]
    return columns, problems + [f"{file}: dòng 1: thiếu cột {name}" for name in missing]


def _csv(file: Path) -> Iterator[list[str]]:
    text = file.read_text("utf-8-sig")
    # Excel in Vietnamese saves CSV with semicolons.
    delimiter = ";" if text.split("\n", 1)[0].count(";") > text.split("\n", 1)[0].count(",") else ","
    yield from csv.reader(io.StringIO(text), delimiter=delimiter)


def _xlsx(file: Path) -> Iterator[list[object]]:
    book = load_workbook(file, read_only=True, data_only=True)
    try:
        for row in book.worksheets[0].iter_rows(values_only=True):
            yield list(row)
    finally:
        book.close()


def _cell(value: object) -> object:
    """A cell as a person reads it: an id or a code that Excel has made a number is text again."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, date) else str("" if value is None else value).strip()


def _known(value: object, names: Mapping[str, Sequence[str]]) -> object:
    folded = _folded(value)
    return next((code for code, forms in names.items() if folded == code or folded in forms), value)


def _folded(value: object) -> str:
    """Lower case, no diacritics, single spaces: how headings and words are compared."""
    text = unicodedata.normalize("NFD", str(value or "").replace("Đ", "D").replace("đ", "d"))
    return " ".join("".join(char for char in text if not unicodedata.combining(char)).lower().split())


assert set(_LEVELS) == set(get_args(Level))
