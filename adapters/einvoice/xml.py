"""Kind `einvoice.xml`: a folder of standard e-invoice XML (TT 78/2021 and after), counted by state.

Only the header, the seller's tax code and the tax authority's code of an invoice are looked at, never the buyer.
Element names: domain notes, section 2.1; states: indicators.md, "Definitions by source".
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from adapters.folder import Folder, FolderOptions, Remarks
from adapters.options import options_of
from contract.adapter import Adapter, Entry, Memory, Reading, SourceConfig
from contract.catalogue import UNKNOWN, Catalogue
from contract.days import DayRange, local_day, now
from contract.errors import ConfigError, SourceChangedError
from contract.tally import FIRST_DAY
from contract.xml import Element, child, elements, fields, text

MEASURE = "invoices"

_STATES = {"": "valid", "1": "replacing", "2": "adjusting"}
# The tax code of an organisation. Those of persons begin with 8, or are their 12-digit ID number: never shown.
_ORGANISATION = re.compile(r"[0-79]\d{9}(\d{3})?")


class _Invoice(NamedTuple):
    """One HDon. `key` and `replaces` are canonical keys: seller|KHMSHDon|KHHDon|SHDon|year."""

    key: str
    seller: str
    day: date
    has_code: bool
    category: str
    replaces: str | None


def adapter(config: SourceConfig, catalogue: Catalogue) -> Adapter:
    """Read the folder that `config` names. Raises ConfigError with every problem of its table."""
    problems = list(_contradictions(config, catalogue))
    try:
        options = options_of(config, FolderOptions)
    except ConfigError as error:
        raise ConfigError([*error.problems, *problems]) from None
    if problems:
        raise ConfigError(problems)
    return InvoiceFolder(config, options)


def _contradictions(config: SourceConfig, catalogue: Catalogue) -> Iterator[str]:
    for measure in config.measures or ():
        if measure != MEASURE:
            yield f"{config.place}: measures: {config.kind} không đếm “{measure}”, chỉ đếm “{MEASURE}”"
    if MEASURE not in catalogue.measures:
        yield f"{config.place}: danh mục số đếm đang dùng không có “{MEASURE}”"
    if not config.facility_map and len(config.facilities) != 1:
        yield (
            f"{config.place}: agent phục vụ nhiều cơ sở: cần bảng [sources.{config.name}.facilities], "
            "mỗi dòng: mã số thuế người bán = mã cơ sở"
        )


class InvoiceFolder:
    """Counts the invoices in a folder. A day without an invoice gets no row: a folder's silence is not a zero."""

    def __init__(self, config: SourceConfig, options: FolderOptions) -> None:
        self._config = config
        self._options = options
        # Made absolute without asking the disk: the folder may lie on a share that hangs.
        self._folder = Folder(Path(os.path.abspath(config.directory / options.folder)), options.pattern)  # noqa: PTH100
        self._facilities = {_tax_code(seller): facility for seller, facility in config.facility_map.items()}

    @property
    def measures(self) -> tuple[str, ...]:
        """Invoices only."""
        return (MEASURE,)

    @property
    def identity(self) -> str:
        """Kind and absolute path of the folder."""
        return f"{self._config.kind} {self._folder.root}"

    @property
    def silence_is_zero(self) -> bool:
        """A day of which the folder holds no invoice may just not have been exported yet."""
        return False

    def explain(self, measure: str) -> str:
        """Folder, states, key and facility, in Vietnamese; the same for every folder but for its own names."""
        if measure != MEASURE:
            return f"Nguồn {self._config.place} không đếm “{measure}”."
        lines = (f"mã số thuế {seller} → cơ sở {facility}" for seller, facility in self._config.facility_map.items())
        facility = f"mọi hóa đơn thuộc cơ sở {self._config.facilities[0]}" if not self._facilities else "; ".join(lines)
        return _EXPLANATION.format(
            folder=self._folder.root,
            pattern=self._options.pattern,
            facility=facility,
            stranger=" Người bán có mã số thuế khác: không tính, nêu trong status." if self._facilities else "",
        )

    def probe(self) -> None:
        """List the folder. Raises SourceError."""
        self._folder.probe()

    def read(self, days: DayRange, measures: tuple[str, ...], memory: Memory) -> Iterator[Reading]:
        """Read new and changed files, whatever their days. Raises SourceError."""
        if MEASURE in measures:
            tomorrow = now().date() + timedelta(days=1)
            yield from self._folder.read(memory, partial(self._file, memory.hide, tomorrow))

    def _file(
        self, hide: Callable[[str], bytes], latest: date, stream: BinaryIO, mtime_ns: int
    ) -> tuple[list[Entry], str | None]:
        entries: list[Entry] = []
        remarks = Remarks("hóa đơn")
        moment = f"{max(mtime_ns, 0):020d}"
        position = 0
        for element in elements(stream, "HDon"):
            position += 1
            try:
                invoice = _invoice(element, latest)
                facility = self._facility_of(invoice.seller)
            except SourceChangedError as error:
                remarks.add(f"không tính vì {error}", position)
                continue
            # Of two copies the one with a code counts, then the newer file.
            order = f"{moment}{position:08d}"
            rank = f"11{order}" if invoice.has_code else f"10{order}"
            entries.append(Entry(MEASURE, hide(invoice.key), rank, invoice.category, facility, invoice.day))
            if invoice.replaces:
                # Outranks every copy of the invoice it names, and says nothing of its day.
                entries.append(Entry(MEASURE, hide(invoice.replaces), f"2{order}", "replaced"))
            elif invoice.category == "replacing":
                remarks.add("có tính, nhưng không rõ thay thế hóa đơn nào (TTHDLQuan)", position)
        if position == 0:
            raise SourceChangedError("tệp XML không có hóa đơn nào (phần tử HDon)")
        return entries, remarks.sentence()

    def _facility_of(self, seller: str) -> str:
        if not self._facilities:
            return self._config.facilities[0]
        if facility := self._facilities.get(seller):
            return facility
        shown = seller if _ORGANISATION.fullmatch(seller) else "(không nêu, có thể là mã của cá nhân)"
        raise SourceChangedError(
            f"mã số thuế người bán {shown} không có trong bảng [sources.{self._config.name}.facilities]"
        )


def _invoice(element: Element, latest: date) -> _Invoice:
    """What an HDon says. Raises SourceChangedError with a reason that quotes nothing."""
    data = child(element, "DLHDon")
    header = child(data, "TTChung")
    said = fields(header)
    seller = _tax_code(text(data, "NDHDon", "NBan", "MST"))
    form, series, number = said.get("KHMSHDon", ""), said.get("KHHDon", "").upper(), said.get("SHDon", "")
    day = _day(said.get("NLap", ""))
    if not (seller and series and day and _is_number(number) and FIRST_DAY <= day <= latest):
        raise SourceChangedError(_reason(seller, said))
    has_code = bool(said.get("MCCQT") or text(element, "MCCQT"))
    related = fields(child(header, "TTHDLQuan")) if "TTHDLQuan" in said else {}
    category = _STATES.get(related.get("TCHDon", "").lstrip("0"), UNKNOWN)
    if series.startswith("C") and not has_code:
        category = "pending"
    key = f"{seller}|{form}|{series}|{int(number)}|{day.year}"
    replaces = _replaced(related, seller, form, day.year) if category == "replacing" else None
    return _Invoice(key, seller, day, has_code, category, replaces if replaces != key else None)


def _reason(seller: str, said: Mapping[str, str]) -> str:
    """Why an invoice cannot be counted."""
    values = {"NBan/MST": seller, **{name: said.get(name, "") for name in ("KHHDon", "SHDon", "NLap")}}
    if missing := [name for name, value in values.items() if not value]:
        return f"thiếu {', '.join(missing)}"
    if not _is_number(said["SHDon"]):
        return "số hóa đơn (SHDon) không phải là số"
    if _day(said["NLap"]) is None:
        return "ngày lập (NLap) không có dạng năm-tháng-ngày"
    return "ngày lập (NLap) trước năm 2020 hoặc sau ngày mai"


def _replaced(related: Mapping[str, str], seller: str, form: str, year: int) -> str | None:
    """The key of the invoice that a replacing one names; None if it names none.

    `form` and `year` are the replacing invoice's own, for what the naming leaves out.
    """
    series, number = related.get("KHHDCLQuan", "").upper(), related.get("SHDCLQuan", "")
    if not series or not _is_number(number):
        return None
    if named := _day(related.get("NLHDCLQuan", "")):
        year = named.year
    elif _is_number(series[1:3]):
        year = 2000 + int(series[1:3])
    return f"{seller}|{related.get('KHMSHDCLQuan') or form}|{series}|{int(number)}|{year}"


def _tax_code(written: str) -> str:
    """A branch is written 0100109106-001 or 0100109106001."""
    return written if written.isdigit() else written.replace("-", "").replace(" ", "")


def _is_number(written: str) -> bool:
    return written.isascii() and written.isdigit() and len(written) <= 20


@lru_cache(maxsize=4096)
def _day(written: str) -> date | None:
    """The local day of an ISO date or date and time; None for anything else."""
    try:
        moment = datetime.fromisoformat(written)
        return local_day(moment) if moment.tzinfo else moment.date()
    except (ValueError, OverflowError):
        return None


_EXPLANATION = """\
Hóa đơn điện tử (invoices), đọc từ thư mục {folder}, cả thư mục con, các tệp {pattern}.
Mỗi hóa đơn (phần tử HDon) tính một lần, vào ngày lập (NLap). Hai bản là một hóa đơn khi trùng: mã số thuế người bán
(NBan/MST), KHMSHDon, KHHDon, SHDon (so theo số: 00000012 là 12) và năm của NLap. Trong các bản trùng nhau, bản có mã
của cơ quan thuế (MCCQT) được dùng, rồi đến tệp mới hơn.
Trạng thái, dòng đầu tiên đúng thì dùng:
  replaced   một hóa đơn thay thế khác (TCHDon = 1, không phải đang chờ cấp mã) nêu đúng số của nó
  pending    ký hiệu có mã (KHHDon bắt đầu bằng C) mà chưa có MCCQT; khi đó nó chưa thay thế hóa đơn nào
  replacing  TCHDon = 1: thay thế hóa đơn khác
  adjusting  TCHDon = 2: điều chỉnh hóa đơn khác, hóa đơn kia vẫn giữ trạng thái của mình
  unknown    có thông tin hóa đơn liên quan (TTHDLQuan) nhưng TCHDon là giá trị khác
  valid      còn lại
Hóa đơn bị hủy (cancelled) chỉ biết được từ nhà cung cấp, không đọc được từ tệp XML.
Không tính, và nêu trong status: hóa đơn thiếu MST người bán, KHHDon, SHDon hoặc NLap; ngày lập trước năm 2020 hoặc
sau ngày mai.
Cơ sở: {facility}.{stranger}
"""
