"""Kind `einvoice.vnpt`: VNPT Invoice, PortalService.asmx, listInvByCusFkey.

Call, `ERR:n` and the `<Data><Item>` list: the vendor's service description as found in public repositories, and
public client code (odoo and .NET modules). An error comes with HTTP 200. Buyers' fields of an item are not looked at.
"""

import io
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from pydantic import Field

from adapters.einvoice import soap
from adapters.einvoice.ids import IdTable, InvoiceIds
from adapters.einvoice.listing import Invoice, Listing, checked_options, code, number
from adapters.http import Connection, Http, secret
from contract.adapter import Adapter, SourceConfig
from contract.catalogue import UNKNOWN, Catalogue
from contract.days import DayRange, now
from contract.errors import ConfigError, SourceChangedError, SourceDeniedError, SourceError
from contract.xml import elements, fields

_ACTION = "listInvByCusFkey"
# `status` of an item. One that replaces or adjusts another is not told apart from other issued ones.
_STATES = {"0": "pending", "1": "valid", "2": "valid", "3": "replaced", "4": "valid", "5": "cancelled"}


class Options(Connection):
    """The keys of the source beyond the common ones."""

    username: str = Field(min_length=1)
    password_file: str = Field(min_length=1)
    ids: IdTable | None = None


def adapter(config: SourceConfig, catalogue: Catalogue) -> Adapter:
    """Read the account that `config` names. Raises ConfigError with every problem of its table."""
    problems: list[str] = []
    options = checked_options(config, catalogue, Options, problems, one_seller=True)
    password = secret(config, "password_file", options.password_file, problems)
    ids = InvoiceIds(config, options.ids, problems) if options.ids else None
    if problems:
        raise ConfigError(problems)
    return Listing(config, Vnpt(Http(config, options), options.username, password, ids), {})


class Vnpt:
    """A hospital's own PortalService.asmx."""

    def __init__(self, http: Http, username: str, password: str, ids: InvoiceIds | None) -> None:
        self._http = http
        self._account = {"userName": username, "userPass": password}
        self._ids = ids

    @property
    def where(self) -> str:
        """Address, and the database that knows the keys."""
        return f"{self._http.where} {self._ids.where}" if self._ids else self._http.where

    @property
    def explanation(self) -> str:
        """Calls and states."""
        each = "lần lượt từng mã (fkey) mà HIS giữ" if self._ids else "từng ngày, để trống key"
        day = "ngày mà câu truy vấn trả về" if self._ids else "ngày của publishDate"
        return _EXPLANATION.format(each=each, day=day, ids=f"\n{self._ids.explanation}" if self._ids else "")

    def probe(self) -> None:
        """Ask for today's invoices, or for a key that does not exist. Raises SourceError."""
        if self._ids:
            self._ids.probe()
        today = now().date()
        with self._http.open():
            self._items("nhipso", None) if self._ids else self._items("", today)

    def pages(self, days: DayRange) -> Iterator[list[Invoice]]:
        """A list after each call: of each day, or of each key that the HIS knows. Raises SourceError."""
        known = self._ids.read(days) if self._ids else []
        with self._http.open():
            for day in () if self._ids else days:
                yield [one for item in self._items("", day) if (one := _invoice(item, None))]
            for wanted in known:
                items = self._items(wanted.id, None)
                found = [one for item in items if (one := _invoice(item, wanted.day))]
                unheard_of = Invoice(wanted.id, wanted.day, UNKNOWN, "VNPT không thấy mã này")
                yield [found[0]._replace(key=wanted.id)] if found else [] if items else [unheard_of]

    def _items(self, key: str, day: date | None) -> list[dict[str, Any]]:
        when = f"{day:%d/%m/%Y}" if day else ""
        asked = {"key": key, "fromDate": when, "toDate": when, **self._account}
        result = soap.call(self._http, "PortalService.asmx", _ACTION, asked).removeprefix("OK:").strip()
        if result.startswith("ERR"):
            if key and result == "ERR:6":
                return []
            raise _refusal(result)
        if result and not result.startswith("<"):
            raise SourceChangedError("VNPT không trả về danh sách <Data><Item>")
        return [fields(item) for item in elements(io.BytesIO(result.encode()), "Item")] if result else []


def _refusal(result: str) -> SourceError:
    """What `ERR:n` means; the same number means the same in all calls of the portal service."""
    said = number(result.removeprefix("ERR:").strip())
    match said:
        case "1":
            return SourceDeniedError("VNPT từ chối tài khoản hoặc mật khẩu, hoặc tài khoản chưa có quyền (ERR:1)")
        case "4":
            return SourceDeniedError("VNPT: công ty chưa được đăng ký mẫu hóa đơn nào (ERR:4)")
        case "7":
            return SourceDeniedError("VNPT: tài khoản không thuộc công ty nào, địa chỉ url đã đúng chưa? (ERR:7)")
    return SourceChangedError(f"VNPT không lập được danh sách hóa đơn (ERR:{said})")


def _invoice(item: dict[str, Any], day: date | None) -> Invoice | None:
    """What an item counts as; None for a draft, which has no number yet. `day`: where the HIS knows it."""
    invoice_number = item.get("invNum", "").strip().lstrip("0")
    if not invoice_number:
        return None
    status = item.get("status", "").strip()
    raw = "" if status in _STATES else f"status {code(status)}"
    key = f"{item.get('pattern', '')}|{item.get('serial', '')}|{invoice_number}"
    return Invoice(key, day or _day(item.get("publishDate", "")), _STATES.get(status, UNKNOWN), raw)


def _day(written: str) -> date:
    """`11/3/2025 2:15:00 PM` is the 3rd of November; without AM or PM day and month could be the other way round."""
    try:
        return datetime.strptime(written.strip().upper(), "%m/%d/%Y %I:%M:%S %p").date()  # noqa: DTZ007 (local time)
    except ValueError:
        raise SourceChangedError("publishDate không có dạng tháng/ngày/năm giờ:phút:giây AM/PM") from None


_EXPLANATION = """\
Gọi SOAP listInvByCusFkey của PortalService.asmx, {each}. Mỗi (mẫu số, ký hiệu, số) tính một lần, vào {day}; bản nháp
chưa có số (invNum) không tính.
Trạng thái theo status: 0 (vừa khởi tạo, chưa ký) → pending; 1 (đủ chữ ký), 2 (đã khai thuế) và 4 (bị điều chỉnh, vẫn
giữ hiệu lực) → valid; 3 (bị thay thế) → replaced; 5 (hủy) → cancelled; giá trị khác → unknown.
VNPT không cho biết hóa đơn nào là hóa đơn thay thế hay điều chỉnh: chúng nằm trong valid.{ids}"""
