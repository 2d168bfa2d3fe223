"""Kind `einvoice.viettel`: Viettel SInvoice v2, invoices by date.

Calls and fields: the vendor's integration document as found in public repositories (section "Tra cứu hóa đơn",
getInvoices) and odoo/odoo addons/l10n_vn_edi_viettel for the login and the cookie. Buyers' fields come with the list
and are not looked at.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pydantic import Field

from adapters.einvoice.listing import (
    Invoice,
    Listing,
    checked_options,
    code,
    has_code,
    number,
    plain_tax_code,
    records,
    sellers_of,
    text,
)
from adapters.http import Answer, Connection, Http, Login, checked, parsed, secret
from contract.adapter import Adapter, SourceConfig
from contract.catalogue import UNKNOWN, Catalogue
from contract.days import DayRange, local_day, now
from contract.errors import ConfigError, SourceChangedError, SourceDeniedError

_LIST = "services/einvoiceapplication/api/InvoiceAPI/InvoiceUtilsWS/getInvoices"
_PAGE = 200
_MOST_PAGES = 500
_TOKEN_SECONDS = 300.0
# The service takes at most a month at once. A replacement is looked for as long after as the agent reads a day again.
_LONGEST, _LATER = 30, timedelta(days=35)
# adjustmentType; an original that was adjusted or replaced keeps 1.
_STATES = {"1": "valid", "3": "replacing", "5": "adjusting", "7": "cancelled", "9": "adjusting"}


class Options(Connection):
    """The keys of the source beyond the common ones."""

    url: str = "https://api-vinvoice.viettel.vn"
    username: str = Field(min_length=1)
    password_file: str = Field(min_length=1)
    tax_code: str | None = None


def adapter(config: SourceConfig, catalogue: Catalogue) -> Adapter:
    """Read the account that `config` names. Raises ConfigError with every problem of its table."""
    problems: list[str] = []
    options = checked_options(config, catalogue, Options, problems)
    sellers = sellers_of(config, options.tax_code, problems)
    password = secret(config, "password_file", options.password_file, problems)
    if problems:
        raise ConfigError(problems)
    return Listing(config, Viettel(Http(config, options), options.username, password, list(sellers)), sellers)


class Viettel:
    """An account of SInvoice."""

    def __init__(self, http: Http, username: str, password: str, sellers: list[str]) -> None:
        self._http = http
        self._account = {"username": username, "password": password}
        self._sellers = sellers
        self._login = Login(self._log_in)

    @property
    def where(self) -> str:
        """Address and tax codes."""
        return f"{self._http.where} {','.join(self._sellers)}"

    @property
    def explanation(self) -> str:
        """Calls and states."""
        return _EXPLANATION

    def probe(self) -> None:
        """Log in and ask for one row of today. Raises SourceError."""
        today = now().date()
        with self._http.open():
            self._login.renew()
            for seller in self._sellers:
                self._rows(seller, DayRange(today, today), 1, rows=1)

    def pages(self, days: DayRange) -> Iterator[list[Invoice]]:
        """Invoices of `days`; those that a later one replaces come again, as replaced. Raises SourceError."""
        with self._http.open():
            for seller in self._sellers:
                found: dict[str, Invoice] = {}
                for row in self._listed(seller, days):
                    if row and (invoice := _invoice(row, seller)):
                        found[invoice.key] = invoice
                    elif row is None:
                        yield []
                for key in self._replaced(seller, days):
                    if key is None:
                        yield []
                    elif key in found and found[key].state != "cancelled":
                        found[key] = found[key]._replace(state="replaced", raw="")
                yield list(found.values())

    def _replaced(self, seller: str, days: DayRange) -> Iterator[str | None]:
        """The keys that replacing invoices of these days and some after name, and None after each page."""
        first, last = days.first, max(days.last, min(days.last + _LATER, now().date()))
        while first <= last:
            piece = DayRange(first, min(last, first + timedelta(days=_LONGEST - 1)))
            for row in self._listed(seller, piece, adjustmentType="3"):
                if row is None:
                    yield None
                elif _state(row)[0] == "replacing":
                    yield _key(row, "originalInvoiceId")
            first = piece.last + timedelta(days=1)

    def _listed(self, seller: str, days: DayRange, **more: str) -> Iterator[dict[str, Any] | None]:
        """Every row, and None after each page."""
        given = 0
        for page in range(1, _MOST_PAGES + 1):
            rows, total = self._rows(seller, days, page, _PAGE, **more)
            yield from rows
            yield None
            given += len(rows)
            if given >= total:
                return
            if not rows:
                raise SourceChangedError("danh sách hóa đơn kết thúc trước số dòng mà máy chủ báo")
        raise SourceChangedError(f"danh sách hóa đơn dài hơn {_MOST_PAGES} trang")

    def _rows(self, seller: str, days: DayRange, page: int, rows: int, **more: str) -> tuple[list[dict[str, Any]], int]:
        asked = {"startDate": str(days.first), "endDate": str(days.last), "rowPerPage": rows, "pageNum": page, **more}

        def send(token: str) -> Answer:
            return self._http.call("POST", f"{_LIST}/{seller}", json=asked, headers={"Cookie": f"access_token={token}"})

        answer = parsed(checked(self._login.use(send, lambda one: one.status == 401)))
        if not isinstance(answer, dict):
            raise SourceChangedError("câu trả lời không phải là danh sách hóa đơn")
        if failed := text(answer, "errorCode"):
            raise SourceChangedError(f"máy chủ không lập được danh sách hóa đơn (errorCode {number(failed)})")
        found = records(answer.get("invoices") or [], "danh sách invoices")
        # The vendor's own document spells it both ways.
        totals = [answer[name] for name in ("totalRow", "totalRows") if isinstance(answer.get(name), int)]
        return found, max(totals, default=len(found))

    def _log_in(self) -> tuple[str, float]:
        answer = self._http.call("POST", "auth/login", json=self._account)
        if answer.status in (400, 401, 403, 404):
            raise SourceDeniedError(f"Viettel từ chối tên đăng nhập hoặc mật khẩu (HTTP {answer.status})")
        said = parsed(checked(answer))
        token = said.get("access_token") if isinstance(said, dict) else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or ";" in token:
            raise SourceChangedError("Viettel không trả về access_token khi đăng nhập")
        seconds = said.get("expires_in")
        return token, float(seconds) if isinstance(seconds, int) and 0 < seconds < 10**6 else _TOKEN_SECONDS


def _invoice(row: dict[str, Any], seller: str) -> Invoice | None:
    """What a row counts as; None without a number: a draft."""
    if not text(row, "invoiceNo"):
        return None
    state, raw = _state(row)
    key, named = _key(row, "invoiceNo"), text(row, "supplierTaxCode")
    return Invoice(key, _day(row), state, raw, plain_tax_code(named or seller))


def _key(row: dict[str, Any], name: str) -> str:
    """A series (with its year) and number are one invoice's only within a form: 1 of 1/770, 02GTTT0 of 02GTTT0/089."""
    return f"{text(row, 'templateCode').split('/')[0]}|{text(row, name)}"


def _state(row: dict[str, Any]) -> tuple[str, str]:
    kind, sent = text(row, "adjustmentType"), text(row, "exchangeStatus")
    state = _STATES.get(kind)
    if state is None:
        return UNKNOWN, f"adjustmentType {code(kind)}"
    if state == "cancelled":
        return state, ""
    if sent.endswith("_DIS_APPROVED"):
        return UNKNOWN, f"exchangeStatus {code(sent)}"
    if not has_code(text(row, "invoiceSeri")) or sent == "INVOICE_HAS_CODE_APPROVED":
        return state, ""
    if sent in ("INVOICE_HAS_CODE_NOT_SENT", "INVOICE_HAS_CODE_SENT"):
        return "pending", ""
    return UNKNOWN, f"exchangeStatus {code(sent)}"


def _day(row: dict[str, Any]) -> date:
    written = row.get("issueDate")
    if isinstance(written, int) and not isinstance(written, bool) and 10**12 < written < 10**13:
        return local_day(datetime.fromtimestamp(written / 1000, UTC))
    raise SourceChangedError("issueDate không phải là số mili giây từ năm 1970")


_EXPLANATION = """\
Gọi: POST /auth/login, rồi POST …/InvoiceUtilsWS/getInvoices/{mã số thuế} theo trang, từ ngày đến ngày. Mỗi số hóa đơn
(invoiceNo) tính một lần, vào ngày của issueDate (giờ Việt Nam); bản nháp chưa có số không tính.
Trạng thái, dòng đầu tiên đúng thì dùng:
  cancelled  adjustmentType 7
  replaced   một hóa đơn adjustmentType 3 (đã được chấp nhận) nêu số của nó, lập trong vòng 35 ngày sau những ngày đọc
  unknown    adjustmentType khác 1, 3, 5, 7, 9; hoặc cơ quan thuế từ chối (…_DIS_APPROVED); hoặc ký hiệu có mã mà
             exchangeStatus trống hay lạ
  pending    ký hiệu có mã (bắt đầu bằng C), exchangeStatus là INVOICE_HAS_CODE_NOT_SENT hoặc …_SENT
  replacing  adjustmentType 3
  adjusting  adjustmentType 5, 9 (hóa đơn bị điều chỉnh vẫn giữ trạng thái của mình)
  valid      adjustmentType 1"""
