"""The invoices that the HIS knows, for providers that list nothing by date: asked of the hospital's own database."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from adapters.einvoice.listing import plain_tax_code
from adapters.sql import Database, Time, describe_window
from contract.adapter import SourceConfig
from contract.days import DayRange
from contract.errors import ConfigError, SourceChangedError

# Only a short code may be sent on to the provider: not a name, were the wrong column chosen.
_ID = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")


class IdTable(BaseModel):
    """`[sources.NAME.ids]`: where and how to ask for the invoices of some days."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    database_file: str = Field(min_length=1)
    sql: str = Field(min_length=1)
    time: Time = "datetime"


class Known(NamedTuple):
    """An invoice that the HIS knows. `seller`: its tax code, '' when the source has one seller only."""

    id: str
    day: date
    seller: str


class InvoiceIds:
    """One query on the hospital's database."""

    def __init__(self, config: SourceConfig, table: IdTable, problems: list[str]) -> None:
        """Adds to `problems` what is wrong with the table."""
        self._sql, self._time = table.sql.strip().rstrip(";"), table.time
        self._several = len(config.facility_map) > 1
        place = f"{config.place[:-1]}.ids]"
        bare = re.sub(r"--[^\n]*|/\*.*?\*/", " ", self._sql, flags=re.DOTALL)
        if not re.match(r"(?i)\s*\(*\s*(select|with)\b", bare) or ";" in re.sub(r"'[^']*'", "", bare):
            problems.append(f"{place}: sql: chỉ nhận một câu SELECT")
        problems += [f"{place}: sql: thiếu :{name}" for name in ("start", "end") if f":{name}" not in bare]
        self._database: Database | None = None
        file = config.directory / table.database_file
        try:
            self._database = Database(file.read_text("utf-8"), {}, config.directory, config.timeout_seconds)
        except (OSError, UnicodeDecodeError):
            problems.append(f"{place}: database_file: không đọc được tệp {file}")
        except ConfigError as error:
            problems += [f"{place}: database_file: {problem}" for problem in error.problems]

    @property
    def where(self) -> str:
        """Which database."""
        return self._database.name if self._database else ""

    @property
    def explanation(self) -> str:
        """The query and its bindings, in Vietnamese."""
        return f"Mã hóa đơn và ngày lập lấy từ {self.where}; {describe_window(self._time)}\n{self._sql}"

    def probe(self) -> None:
        """Connect, nothing more. Raises SourceError."""
        assert self._database
        with self._database.session():
            pass

    def read(self, days: DayRange) -> list[Known]:
        """The invoices of `days`. Raises SourceError, naming a column, never a value."""
        assert self._database
        with self._database.session() as session:
            rows = [*session.rows(self._sql, self._time, days, {})]
        known = dict.fromkeys(self._known(row) for row in rows)
        if any(one.day not in days for one in known):
            raise SourceChangedError("câu truy vấn ids: cột day nằm ngoài những ngày được hỏi")
        return [*known]

    def _known(self, row: Mapping[str, Any]) -> Known:
        names = ("id", "day", "seller") if self._several else ("id", "day")
        if missing := [name for name in names if name not in row]:
            raise SourceChangedError(f"câu truy vấn ids không trả về cột {', '.join(missing)}")
        written = str(row["id"] or "").strip()
        if not _ID.fullmatch(written):
            raise SourceChangedError("câu truy vấn ids: cột id rỗng hoặc không giống một mã hóa đơn")
        seller = plain_tax_code(str(row["seller"] or "")) if self._several else ""
        return Known(written, _day(row["day"]), seller)


def _day(value: object) -> date:
    """A date, a datetime, ISO text, or yyyyMMdd… as text or number."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    written = value.strip() if isinstance(value, str) else str(value).removesuffix(".0")
    try:
        if re.fullmatch(r"\d{8}(\d{4}|\d{6})?", written):
            return datetime.strptime(written[:8], "%Y%m%d").date()  # noqa: DTZ007 (a local day)
        return date.fromisoformat(written[:10])
    except ValueError:
        raise SourceChangedError("câu truy vấn ids: cột day không phải là một ngày") from None
