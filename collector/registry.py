"""The registry of facilities: reading the lists that people keep (CSV, XLSX) into it."""

import csv
import io
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import get_args

from openpyxl import load_workbook
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from collector.store import Store, registry
from collector.store.registry import Code, Facility
from contract.catalogue import Catalogue, Level
from contract.days import local_day
from contract.errors import ConfigError

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
    ownership: str = Field(default="public", pattern="^(public|private)$")
    area: str = Field(default="", max_length=100)
    email: str = Field(default="", max_length=300)
    active_from: date | None = None
    active_to: date | None = None
    bhxh_code: str = Field(default="", pattern=r"^(\d{5})?$")
    bhxh_from: date | None = None
    indicators: tuple[str, ...] | None = None

    @field_validator("level", mode="before")
    @classmethod
    def _level(cls, value: object) -> object:
        return _known(value, _LEVELS)

    @field_validator("ownership", mode="before")
    @classmethod
    def _ownership(cls, value: object) -> object:
        return _known(value, _OWNERSHIPS)

    @field_validator("active_from", "active_to", "bhxh_from", mode="before")
    @classmethod
    def _date(cls, value: object) -> object:
        """Excel's dates, dd/MM/yyyy, and ISO dates."""
        if isinstance(value, datetime):
            return value.date()
        if isinstance(value, str) and "/" in value:
            day, month, year = value.split("/")
            return date(int(year), int(month), int(day))
        return value

    @field_validator("indicators", mode="before")
    @classmethod
    def _indicators(cls, value: object) -> object:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


def read(file: Path) -> list[tuple[str, Line]]:
    """(place, line) of every row of a CSV or XLSX file. Raises ConfigError naming every bad row."""
    try:
        rows: list[Sequence[object]] = list(_xlsx(file) if file.suffix.lower() == ".xlsx" else _csv(file))
    except (OSError, UnicodeDecodeError, ValueError, KeyError, csv.Error) as error:
        raise ConfigError(f"{file}: không đọc được tệp ({type(error).__name__})") from None
    if not rows:
        raise ConfigError(f"{file}: không có dòng nào")
    columns, problems = _columns(file, rows[0])
    lines: list[tuple[str, Line]] = []
    for number, row in enumerate(rows[1:], start=2):
        cells = {
            name: row[place] for name, place in columns.items() if place < len(row) and row[place] not in (None, "")
        }
        if not cells:
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
        return Line.model_validate(cells)
    except ValidationError as error:
        raise ConfigError(f"{place}: {one['loc'][0]}: {one['msg']}" for one in error.errors()) from None


def register(store: Store, lines: Sequence[tuple[str, Line]], catalogue: Catalogue, at: datetime) -> int:
    """Add or update the facilities of `lines`; returns how many. Raises ConfigError, and then nothing is changed."""
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
    today = local_day(at)
    facilities = [
        Facility(
            line.id,
            line.name,
            line.level,
            line.ownership,
            line.area,
            line.email,
            line.active_from,
            line.active_to,
            line.indicators,
            at,
        )
        for _, line in lines
    ]
    codes = [
        Code(line.id, line.bhxh_code, line.bhxh_from or line.active_from or today, None)
        for _, line in lines
        if line.bhxh_code
    ]
    with store.write() as connection:
        registry.save(connection, facilities, codes)
    return len(facilities)


def _columns(file: Path, heading: Sequence[object]) -> tuple[dict[str, int], list[str]]:
    columns: dict[str, int] = {}
    problems = []
    for place, cell in enumerate(heading):
        folded = _folded(cell)
        name = next((name for name, forms in _HEADINGS.items() if folded in forms), None)
        if name is not None:
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
            # an id or a code that Excel has made a number is text again
            yield [str(cell) if isinstance(cell, int | float) else cell for cell in row]
    finally:
        book.close()


def _known(value: object, names: Mapping[str, Sequence[str]]) -> object:
    folded = _folded(value)
    return next((code for code, forms in names.items() if folded == code or folded in forms), value)


def _folded(value: object) -> str:
    """Lower case, no diacritics, single spaces: how headings and words are compared."""
    text = unicodedata.normalize("NFD", str(value or "").replace("Đ", "D").replace("đ", "d"))
    return " ".join("".join(char for char in text if not unicodedata.combining(char)).lower().split())


assert set(_LEVELS) == set(get_args(Level))
