"""What the providers' kinds share: invoices of some days, listed by a web service, counted by day and state.

A provider says of each invoice its day and state; here they are counted, each once. Where a provider lists nothing,
nothing was issued: every day asked for gets a count. States: indicators.md, measure `invoices`.
"""

import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple, Protocol, TypeVar

from adapters.http import Connection
from adapters.options import options_of
from contract import tls
from contract.adapter import DayCount, Memory, Reading, SourceConfig, Unmapped
from contract.catalogue import UNKNOWN, Catalogue
from contract.days import DayRange, local_day
from contract.errors import ConfigError, SourceChangedError

MEASURE = "invoices"
_MOST_RAW = 60
Options = TypeVar("Options", bound=Connection)


class Invoice(NamedTuple):
    """One invoice. `key` tells it from others of the same seller; `raw`: why the state is unknown, never free text."""

    key: str
    day: date
    state: str
    raw: str = ""
    seller: str = ""


class Provider(Protocol):
    """A service that lists invoices."""

    @property
    def where(self) -> str:
        """Address and account, without a secret: another one is another source."""
        ...

    @property
    def explanation(self) -> str:
        """Calls, states and limits, in Vietnamese."""
        ...

    def probe(self) -> None:
        """Ask whether a read would work. Raises SourceError."""
        ...

    def pages(self, days: DayRange) -> Iterator[list[Invoice]]:
        """Invoices of `days`, a list after each call; some may be of other days, or come twice. Raises SourceError."""
        ...


class Listing:
    """Counts what a provider lists."""

    def __init__(self, config: SourceConfig, provider: Provider, sellers: Mapping[str, str]) -> None:
        """`sellers`: tax code → facility; empty when all invoices belong to the source's only facility."""
        self._config = config
        self._provider = provider
        self._facilities = {plain_tax_code(seller): facility for seller, facility in sellers.items()}

    @property
    def measures(self) -> tuple[str, ...]:
        """Invoices only."""
        return (MEASURE,)

    @property
    def identity(self) -> str:
        """Kind, address and account."""
        return f"{self._config.kind} {self._provider.where}"

    @property
    def silence_is_zero(self) -> bool:
        """A listing by date says nothing where nothing was issued."""
        return True

    def explain(self, measure: str) -> str:
        """Calls, states and facility, in Vietnamese."""
        if measure != MEASURE:
            return f"Nguồn {self._config.place} không đếm “{measure}”."
        pairs = "; ".join(f"mã số thuế {one} → cơ sở {place}" for one, place in self._config.facility_map.items())
        facility = pairs or f"mọi hóa đơn thuộc cơ sở {self._config.serves[0]}"
        return (
            f"Hóa đơn điện tử (invoices), hỏi {self._provider.where}.\n{self._provider.explanation}\nCơ sở: {facility}."
        )

    def probe(self) -> None:
        """Ask whether a read would work. Raises SourceError."""
        self._provider.probe()

    def read(self, days: DayRange, measures: tuple[str, ...], memory: Memory) -> Iterator[Reading]:
        """One step, and before it an empty one after each call. Raises SourceError."""
        if MEASURE not in measures:
            return
        started = time.monotonic()
        found: dict[tuple[str, str], Invoice] = {}
        for invoices in self._provider.pages(days):
            # The later page knows it newer.
            found.update(((one.seller, one.key), one) for one in invoices if one.day in days)
            yield Reading()
        reading = self._reading(days, found)
        reading.seconds[MEASURE] = time.monotonic() - started
        yield reading

    def _reading(self, days: DayRange, found: Mapping[tuple[str, str], Invoice]) -> Reading:
        counts: dict[tuple[str, date], Counter[str]] = defaultdict(Counter)
        unmapped, strangers = Counter[tuple[str, date, str]](), Counter[str]()
        for one in found.values():
            facility = self._facilities.get(one.seller) if self._facilities else self._config.serves[0]
            if facility is None:
                strangers[_shown(one.seller)] += 1
                continue
            counts[facility, one.day][one.state] += 1
            if one.state == UNKNOWN:
                unmapped[facility, one.day, one.raw[:_MOST_RAW]] += 1
        return Reading(
            tallies=[
                DayCount(facility, MEASURE, day, dict(counts.get((facility, day), {})))
                for facility in self._config.serves
                for day in days
            ],
            unmapped=[Unmapped(place, MEASURE, day, raw, n) for (place, day, raw), n in unmapped.items()],
            strangers=dict(strangers),
        )


def checked_options(
    config: SourceConfig, catalogue: Catalogue, model: type[Options], problems: list[str], one_seller: bool = False
) -> Options:
    """The source's options; what else is wrong with its table is added to `problems`. Raises ConfigError.

    `one_seller`: the account itself stands for one seller, whom the answers do not name.
    """
    problems += _contradictions(config, catalogue, one_seller)
    try:
        options = options_of(config, model)
    except ConfigError as error:
        raise ConfigError([*error.problems, *problems]) from None
    if tls.is_bare(options.url) and not options.allow_plain_http:
        problems.append(f"{config.place}: url: {tls.REFUSED}")
    return options


def _contradictions(config: SourceConfig, catalogue: Catalogue, one_seller: bool) -> Iterator[str]:
    for measure in config.measures or ():
        if measure != MEASURE:
            yield f"{config.place}: measures: {config.kind} không đếm “{measure}”, chỉ đếm “{MEASURE}”"
    if MEASURE not in catalogue.measures:
        yield f"{config.place}: danh mục số đếm đang dùng không có “{MEASURE}”"
    if one_seller and len(config.serves) != 1:
        yield f"{config.place}: một tài khoản {config.kind} là của một cơ sở: khai báo mỗi cơ sở một nguồn"
    elif not config.facility_map and len(config.facilities) != 1:
        yield (
            f"{config.place}: agent phục vụ nhiều cơ sở: cần bảng [sources.{config.name}.facilities], "
            "mỗi dòng: mã số thuế người bán = mã cơ sở"
        )


def sellers_of(config: SourceConfig, tax_code: str | None, problems: list[str]) -> dict[str, str]:
    """Tax code → facility: the table of facilities, or the option `tax_code` for the only one."""
    if tax_code and config.facility_map:
        problems.append(f"{config.place}: tax_code: đã có bảng [sources.{config.name}.facilities] thì bỏ khóa này")
    if not tax_code and not config.facility_map:
        problems.append(f"{config.place}: tax_code: cần mã số thuế của người bán, ghi trong dấu ngoặc kép")
    sellers = dict(config.facility_map) or {str(tax_code): config.serves[0]}
    for seller in sellers if tax_code or config.facility_map else ():
        if not re.fullmatch(r"\d{10}(-?\d{3})?|\d{12}", seller):
            problems.append(f"{config.place}: “{seller}” không phải là mã số thuế")
    return sellers


def plain_tax_code(written: str) -> str:
    """A branch is written 0100109106-001 or 0100109106001."""
    return written.replace("-", "").replace(" ", "")


def has_code(series: str) -> bool:
    """Whether invoices of a series (C25TYY, or 1C25TYY with the form before it) need the tax office's code."""
    return bool(re.match(r"[1-6]?C", series.strip().upper()))


def records(value: object, what: str) -> list[dict[str, Any]]:
    """A list of objects. Raises SourceChangedError."""
    if isinstance(value, list) and all(isinstance(one, dict) for one in value):
        return value
    raise SourceChangedError(f"câu trả lời không có {what} đúng dạng")


def text(record: Mapping[str, Any], name: str) -> str:
    """A text or whole number of a record, as text; '' for anything else."""
    value = record.get(name)
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def code(value: str) -> str:
    """A state as people in the hospital may see it: a short word or number; a free text is not."""
    return value if re.fullmatch(r"[A-Za-z0-9_]{1,40}", value) else ("trống" if not value else "(giá trị lạ)")


def number(value: str) -> str:
    """A code as an error may show it: a number, since errors travel and a word could be anything."""
    return value if re.fullmatch(r"-?[0-9]{1,6}", value) else ("trống" if not value else "không phải là số")


def iso_day(written: str, what: str) -> date:
    """The local day of an ISO date or date and time. Raises SourceChangedError."""
    try:
        moment = datetime.fromisoformat(written)
        return local_day(moment) if moment.tzinfo else moment.date()
    except (ValueError, OverflowError):
        raise SourceChangedError(f"{what} không có dạng năm-tháng-ngày") from None


def _shown(seller: str) -> str:
    # The tax code of an organisation. Those of persons begin with 8, or are their ID number: never shown.
    return seller if re.fullmatch(r"[0-79]\d{9}(\d{3})?", seller) else "(không nêu, có thể là mã của cá nhân)"
