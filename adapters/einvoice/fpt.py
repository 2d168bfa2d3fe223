"""Kind `einvoice.fpt`: FPT eInvoice, POST /search-icr, one invoice by its `sid`.

Published clients search by the `sid` that the HIS gave the invoice (or by series and number), never by dates, so which
invoices there are, and of which day, the HIS says (`[sources.NAME.ids]`). Calls, fields and states: public client code
(Java, Dart and ABAP clients; appendices I and II of the vendor's document quoted there). Buyers are not looked at.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import Field

from adapters.einvoice.ids import IdTable, InvoiceIds, Known
from adapters.einvoice.listing import (
    Invoice,
    Listing,
    checked_options,
    code,
    has_code,
    plain_tax_code,
    sellers_of,
    text,
)
from adapters.http import Answer, Connection, Http, Login, bearer, checked, parsed, secret
from contract.adapter import Adapter, SourceConfig
from contract.catalogue import UNKNOWN, Catalogue
from contract.days import DayRange
from contract.errors import ConfigError, SourceChangedError, SourceDeniedError

_TOKEN_SECONDS = 3600.0
_ISSUED, _CANCELLED, _WAITING = {"3", "7"}, {"4", "9"}, {"1", "2"}
_CHECKING, _FAILED, _CODED = {"0", "1", "8"}, {"2", "9"}, "10"


class Options(Connection):
    """The keys of the source beyond the common ones."""

    url: str = "https://api.einvoice.fpt.com.vn"
    username: str = Field(min_length=1)
    password_file: str = Field(min_length=1)
    tax_code: str | None = None
    ids: IdTable


def adapter(config: SourceConfig, catalogue: Catalogue) -> Adapter:
    """Read the account that `config` names. Raises ConfigError with every problem of its table."""
    problems: list[str] = []
    options = checked_options(config, catalogue, Options, problems)
    sellers = sellers_of(config, options.tax_code, problems)
    password = secret(config, "password_file", options.password_file, problems)
    ids = InvoiceIds(config, options.ids, problems)
    if problems:
        raise ConfigError(problems)
    account = {"username": options.username, "password": password}
    return Listing(config, Fpt(Http(config, options), account, list(sellers), ids), sellers)


class Fpt:
    """An account of FPT eInvoice."""

    def __init__(self, http: Http, account: dict[str, str], sellers: list[str], ids: InvoiceIds) -> None:
        self._http = http
        self._account = account
        self._sellers = {plain_tax_code(seller): seller for seller in sellers}
        self._ids = ids
        self._login = Login(self._log_in)

    @property
    def where(self) -> str:
        """Address, tax codes, and the database that knows the ids."""
        return f"{self._http.where} {','.join(self._sellers.values())} {self._ids.where}"

    @property
    def explanation(self) -> str:
        """Calls and states."""
        return f"{_EXPLANATION}\n{self._ids.explanation}"

    def probe(self) -> None:
        """Connect to the database, and log in. Raises SourceError."""
        self._ids.probe()
        with self._http.open():
            self._login.renew()

    def pages(self, days: DayRange) -> Iterator[list[Invoice]]:
        """A list of one for each invoice that the HIS knows. Raises SourceError."""
        known = self._ids.read(days)
        alone = next(iter(self._sellers)) if len(self._sellers) == 1 else ""
        with self._http.open():
            for one in known:
                plain = one.seller or alone
                if plain in self._sellers:
                    found = self._search(self._sellers[plain], one)
                    yield [Invoice(one.id, one.day, *_state(found), plain)]
                else:
                    yield [Invoice(one.id, one.day, UNKNOWN, "", plain)]

    def _search(self, seller: str, one: Known) -> dict[str, Any] | None:
        asked = {"stax": seller, "type": "json", "sid": one.id, "user": self._account}

        def send(token: str) -> Answer:
            return self._http.call("POST", "search-icr", headers={"Authorization": bearer(token)}, json=asked)

        answer = self._login.use(send, lambda one: one.status == 401)
        if answer.status == 404:
            return None
        found = parsed(checked(answer))
        if isinstance(found, list):
            found = found[0] if found else {}
        if not isinstance(found, dict):
            raise SourceChangedError("câu trả lời của FPT không phải là một hóa đơn")
        invoice = found.get("inv") if isinstance(found.get("inv"), dict) else found
        return invoice or None

    def _log_in(self) -> tuple[str, float]:
        answer = self._http.call("POST", "c_signin", json=self._account)
        if answer.status in (400, 401, 403):
            raise SourceDeniedError(f"FPT từ chối tên đăng nhập hoặc mật khẩu (HTTP {answer.status})")
        body = checked(answer)
        # Clients disagree: the token alone, as text or JSON, or an object that holds it.
        said: Any = parsed(body) if body.lstrip()[:1] in (b"{", b'"') else body.decode("ascii", "replace").strip()
        if isinstance(said, dict):
            said = said.get("token") or said.get("access_token")
        if not isinstance(said, str) or not said or not said.isascii() or not said.isprintable() or " " in said:
            raise SourceChangedError("FPT không trả về mã truy cập khi đăng nhập")
        return said, _TOKEN_SECONDS


def _state(invoice: dict[str, Any] | None) -> tuple[str, str]:
    """State and, when unknown, why."""
    if invoice is None:
        return UNKNOWN, "FPT không thấy mã này"
    status, received = text(invoice, "status"), text(invoice, "status_received")
    # Free texts that begin with these words, and go on with numbers and dates.
    became, is_a = text(invoice, "cde").casefold(), text(invoice, "adjdes").casefold()
    if became.startswith("bị thay thế"):
        return "replaced", ""
    if status in _CANCELLED:
        return "cancelled", ""
    if status in _WAITING:
        return "pending", ""
    if status not in _ISSUED:
        return UNKNOWN, f"status {code(status)}"
    if received in _FAILED:
        return UNKNOWN, f"status_received {code(received)}"
    if has_code(text(invoice, "serial")) and received != _CODED and not text(invoice, "type").endswith("/MTT"):
        return ("pending", "") if received in _CHECKING else (UNKNOWN, f"status_received {code(received)}")
    if is_a.startswith("thay thế"):
        return "replacing", ""
    if is_a.startswith("điều chỉnh"):
        return "adjusting", ""
    return (UNKNOWN, "adj không rõ") if invoice.get("adj") and not is_a else ("valid", "")


_EXPLANATION = """\
Gọi: POST /c_signin, rồi POST /search-icr cho từng mã hóa đơn (sid) mà HIS giữ: các ứng dụng đã công bố không tìm theo
ngày. Mỗi mã tính một lần, vào ngày mà câu truy vấn trả về.
Trạng thái, dòng đầu tiên đúng thì dùng:
  replaced   cde bắt đầu bằng “Bị thay thế”
  cancelled  status 4, 9
  pending    status 1 (chờ cấp số), 2 (chờ duyệt)
  unknown    status khác 3, 7; status_received 2, 9 (gửi lỗi, không hợp lệ); hoặc FPT không thấy mã này
  pending    ký hiệu có mã, không phải máy tính tiền, status_received 0, 1, 8 (khác 10: unknown)
  replacing  adjdes bắt đầu bằng “Thay thế”
  adjusting  adjdes bắt đầu bằng “Điều chỉnh” (hóa đơn bị điều chỉnh vẫn giữ trạng thái của mình)
  valid      còn lại"""
