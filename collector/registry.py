"""The registry of facilities: reading the lists that people keep (CSV, XLSX) into it; codes and pauses."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from openpyxl import load_workbook
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from collector import collation
from collector.store import Connection, Store, people, registry
from collector.store.people import OPERATOR
from collector.store.registry import Code, Facility, Pause
from collector.typography import clean
from contract.catalogue import Catalogue, Level
from contract.days import local_day
from contract.errors import ConfigError, NotFoundError
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
_LONGEST_REASON = 300
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

    @field_validator("name", "area", "email", mode="before")
    @classmethod
    def _text(cls, value: object) -> object:
        return clean(value) if isinstance(value, str) else value

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


def headings() -> dict[str, tuple[str, ...]]:
    """Column → the headings under which it is understood, the first its own; letters and accents do not matter."""
    return dict(_HEADINGS)


def read(file: Path) -> list[tuple[str, Line]]:
    """(place, line) of every row of a CSV or XLSX file. Raises ConfigError naming every bad row."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: không đọc được tệp ({type(error).__name__})") from None
    return parse(str(file), content)


def parse(file: str, content: bytes) -> list[tuple[str, Line]]:
    """The same from the bytes of a file of this name. Raises ConfigError naming every bad row."""
    try:
        rows: list[Sequence[object]] = list(_xlsx(content) if file.lower().endswith(".xlsx") else _csv(content))
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


def register(
    store: Store, lines: Sequence[tuple[str, Line]], catalogue: Catalogue, at: datetime, by: str = OPERATOR
) -> int:
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
        before = _described(connection, known.values())
        facilities = [_facility(line, known.get(line.id), at) for _, line in lines]
        _refuse_to_reopen(known, lines, facilities)
        coded = {one.facility for one in registry.codes(connection)}
        codes = [_code(line, line.id in coded, local_day(at)) for _, line in lines if line.bhxh_code]
        registry.save(connection, facilities, codes)
        after = _described(connection, facilities)
        for one in facilities:
            _note(connection, one.id, before.get(one.id), after[one.id], at, by)
    return len(facilities)


def pause(store: Store, one: Pause, at: datetime, by: str = OPERATOR) -> None:
    """Nothing is expected of a facility on these days. Raises ConfigError."""
    one = replace(one, reason=clean(one.reason))
    problems = []
    if one.first_day > one.last_day:
        problems.append("ngày đầu phải không sau ngày cuối")
    if not 0 < len(one.reason) <= _LONGEST_REASON:
        problems.append(f"lý do phải có từ 1 đến {_LONGEST_REASON} ký tự")
    with store.write() as connection:
        if not registry.facilities(connection, [one.facility]):
            problems.append(f"chưa đăng ký cơ sở “{one.facility}”")
        if problems:
            raise ConfigError(problems)
        registry.add_pause(connection, one)
        people.note(connection, at, by, "pause_added", one.facility, facility=one.facility, after=_paused(one))


def unpause(store: Store, facility: str, pause_id: int, at: datetime, by: str = OPERATOR) -> None:
    """The days of a pause are expected again. Raises NotFoundError."""
    with store.write() as connection:
        for one in registry.pauses(connection, [facility]):
            if one.id == pause_id:
                registry.remove_pause(connection, one)
                people.note(connection, at, by, "pause_removed", facility, facility=facility, before=_paused(one))
                return
    raise NotFoundError("không có đợt tạm dừng này")


def _paused(one: Pause) -> dict[str, str]:
    return {"first_day": str(one.first_day), "last_day": str(one.last_day), "reason": one.reason}


def _refuse_to_reopen(
    known: Mapping[str, Facility], lines: Sequence[tuple[str, Line]], facilities: Sequence[Facility]
) -> None:
    """The days of a facility that was merged are the merger's. Raises ConfigError."""
    problems = []
    for (place, _), one in zip(lines, facilities, strict=True):
        was = known.get(one.id)
        if was is not None and was.merger is not None and was.active_to != one.active_to:
            problems.append(
                f"{place}: cơ sở {one.id} đã sáp nhập vào {was.merger.into} từ ngày {was.merger.day:%d/%m/%Y}: "
                "không đổi được ngày ngừng hoạt động"
            )
    if problems:
        raise ConfigError(problems)


def _described(connection: Connection, facilities: Iterable[Facility]) -> dict[str, dict[str, Any]]:
    """What the audit keeps of facilities, by id."""
    codes: dict[str, list[str]] = defaultdict(list)
    for code in registry.codes(connection):
        codes[code.facility].append(f"{code.code} từ {code.valid_from}")
    found = {}
    for one in facilities:
        values = {name: getattr(one, name) for name in Line.model_fields if name in Facility.__slots__ and name != "id"}
        plain = {name: str(value) if isinstance(value, date) else value for name, value in values.items()}
        found[one.id] = {**plain, "bhxh_codes": codes.get(one.id, [])}
    return found


def _note(
    connection: Connection,
    facility: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any],
    at: datetime,
    by: str,
) -> None:
    """A new facility whole; of a known one only what has changed."""
    if before is None:
        people.note(connection, at, by, "facility_added", facility, facility=facility, after=dict(after))
    elif before != after:
        changed = [name for name in after if before[name] != after[name]]
        was, now = ({name: of[name] for name in changed} for of in (before, after))
        people.note(connection, at, by, "facility_changed", facility, facility=facility, before=was, after=now)


def _facility(line: Line, known: Facility | None, at: datetime) -> Facility:
    values = line.model_dump(exclude={"bhxh_code", "bhxh_from"})
    if known is None:
        return Facility(**values, registered_at=at)
    return replace(known, **{name: value for name, value in values.items() if name in line.model_fields_set})


def _code(line: Line, has_one: bool, today: date) -> Code:
    """A code without a date of its own: the first one was always in force, another one is from today."""
    begin = today if has_one else line.active_from or today
    return Code(line.id, line.bhxh_code, line.bhxh_from or begin, None)


def _columns(file: str, heading: Sequence[object]) -> tuple[dict[str, int], list[str]]:
    columns: dict[str, int] = {}
    problems = []
    for place, cell in enumerate(heading):
        folded = collation.folded(str(cell or ""))
        name = next((name for name, forms in _HEADINGS.items() if folded in forms), None)
        if name in columns:
            problems.append(f"{file}: dòng 1: cột {name} có hai lần")
        elif name is not None:
            columns[name] = place
        elif folded:
            problems.append(f"{file}: dòng 1: không hiểu tiêu đề “{cell}”")
    missing = [name for name in ("id", "name", "level") if name not in columns]
    return columns, problems + [f"{file}: dòng 1: thiếu cột {name}" for name in missing]


def _csv(content: bytes) -> Iterator[list[str]]:
    text = content.decode("utf-8-sig")
    # Excel in Vietnamese saves CSV with semicolons.
    delimiter = ";" if text.split("\n", 1)[0].count(";") > text.split("\n", 1)[0].count(",") else ","
    yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)


def _xlsx(content: bytes) -> Iterator[list[object]]:
    book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
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
    folded = collation.folded(str(value or ""))
    return next((code for code, forms in names.items() if folded == code or folded in forms), value)


assert set(_LEVELS) == set(get_args(Level))
