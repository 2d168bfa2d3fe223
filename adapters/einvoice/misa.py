"""Kind `einvoice.misa`: MISA meInvoice, integration API, states by id.

The API lists nothing by date: which invoices there are, and of which day, the HIS says (`[sources.NAME.ids]`); MISA
says their states. Calls, flags and fields: public client code (C#, Go and TypeScript clients of /auth/token and
/invoice/status). Buyers' fields come with the states and are not looked at.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Literal

from pydantic import Field

from adapters.einvoice.ids import IdTable, InvoiceIds, Known
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
from adapters.http import Answer, Connection, Http, Login, bearer, checked, parsed, secret
from contract.adapter import Adapter, SourceConfig
from contract.catalogue import UNKNOWN, Catalogue
from contract.days import DayRange
from contract.errors import ConfigError, SourceChangedError, SourceDeniedError, SourceError

_BATCH = 50
# A published client keeps it for a day less than the two weeks it is said to hold; ours lives as long as one read.
_TOKEN_SECONDS = 24 * 3600.0
# invoiceWithCode, invoiceCalcu (cash register). An id asked for under the wrong kind of series is left out silently.
_SERIES = (("true", "false"), ("true", "true"), ("false", "false"))
_DENIED = {"unauthorize", "unauthorized", "invalidappid", "inactiveappid", "invalidtaxcode", "tokenexpiredcode"}
_EXPIRED = {"tokenexpiredcode", "unauthorize", "unauthorized"}


class Options(Connection):
    """The keys of the source beyond the common ones."""

    url: str = "https://api.meinvoice.vn/api/integration"
    app_id: str = Field(min_length=1)
    username: str = Field(min_length=1)
    password_file: str = Field(min_length=1)
    tax_code: str | None = None
    id_type: Literal["ref", "transaction"] = "ref"
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
    account = {"appid": options.app_id, "username": options.username, "password": password}
    return Listing(config, Misa(Http(config, options), account, list(sellers), ids, options.id_type), sellers)


class Misa:
    """An account of meInvoice, with a token for each seller."""

    def __init__(
        self, http: Http, account: dict[str, str], sellers: Sequence[str], ids: InvoiceIds, id_type: str
    ) -> None:
        self._http = http
        self._account = account
        self._sellers = {plain_tax_code(seller): seller for seller in sellers}
        self._ids = ids
        self._id_type = id_type
        self._logins = {seller: Login(partial(self._log_in, seller)) for seller in sellers}

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
            for login in self._logins.values():
                login.renew()

    def pages(self, days: DayRange) -> Iterator[list[Invoice]]:
        """Every invoice that the HIS knows, in batches. Raises SourceError."""
        known = self._ids.read(days)
        with self._http.open():
            for plain, seller in self._sellers.items():
                ours = [one for one in known if one.seller in ("", plain)]
                for start in range(0, len(ours), _BATCH):
                    yield from self._batch(plain, seller, ours[start : start + _BATCH])
        sellers = {"", *self._sellers}
        yield [Invoice(one.id, one.day, UNKNOWN, "", one.seller) for one in known if one.seller not in sellers]

    def _batch(self, plain: str, seller: str, batch: list[Known]) -> Iterator[list[Invoice]]:
        found: dict[str, dict[str, Any]] = {}
        for with_code, cash_register in _SERIES:
            missing = [one.id for one in batch if one.id.lower() not in found]
            if missing:
                for row in self._statuses(seller, missing, with_code, cash_register):
                    name = text(row, "refid" if self._id_type == "ref" else "transactionid")
                    found[name.lower()] = row
                yield []
        yield [
            Invoice(one.id, one.day, *_state(found.get(one.id.lower())), plain)
            for one in batch
            if not _is_draft(found.get(one.id.lower()))
        ]

    def _statuses(self, seller: str, ids: list[str], with_code: str, cash_register: str) -> list[dict[str, Any]]:
        params = [("invoiceWithCode", with_code), ("invoiceCalcu", cash_register)]
        params.append(("inputType", "2" if self._id_type == "ref" else "1"))

        def send(token: str) -> Answer:
            headers = {"Authorization": bearer(token), "CompanyTaxCode": seller}
            return self._http.call("POST", "invoice/status", params=params, headers=headers, json=ids)

        said = _envelope(self._logins[seller].use(send, _is_expired))
        data = said.get("data")
        # The list comes as a text that holds JSON, or as it is.
        rows = parsed(data.encode()) if isinstance(data, str) and data.strip() else data or []
        return [_lower(row) for row in records(rows, "danh sách data")]

    def _log_in(self, seller: str) -> tuple[str, float]:
        answer = self._http.call("POST", "auth/token", json={**self._account, "taxcode": seller})
        if answer.status == 400:
            raise SourceDeniedError("MISA từ chối app_id, tài khoản, mật khẩu hoặc mã số thuế (HTTP 400)")
        token = text(_envelope(answer), "data")
        if not token or not token.isascii() or not token.isprintable():
            raise SourceChangedError("MISA không trả về mã truy cập khi đăng nhập")
        return token, _TOKEN_SECONDS


def _envelope(answer: Answer) -> dict[str, Any]:
    said = parsed(checked(answer))
    if not isinstance(said, dict):
        raise SourceChangedError("câu trả lời của MISA không đúng dạng")
    said = _lower(said)
    failed = text(said, "errorcode")
    if failed or said.get("success") is False:
        raise _refusal(failed)
    return said


def _refusal(failed: str) -> SourceError:
    if failed.lower() in _DENIED:
        return SourceDeniedError(f"MISA từ chối app_id, tài khoản, mật khẩu hoặc mã số thuế ({failed.lower()})")
    return SourceChangedError(f"MISA không trả lời được (ErrorCode {number(failed)})")


def _is_expired(answer: Answer) -> bool:
    if answer.status == 401:
        return True
    try:
        said = parsed(answer.body)
    except SourceChangedError:
        return False
    return isinstance(said, dict) and text(_lower(said), "errorcode").lower() in _EXPIRED


def _lower(record: dict[str, Any]) -> dict[str, Any]:
    """Names are written in either case by the same service."""
    return {str(name).lower(): value for name, value in record.items()}


def _is_draft(row: dict[str, Any] | None) -> bool:
    return row is not None and text(row, "publishstatus") == "0" and not text(row, "invno")


def _state(row: dict[str, Any] | None) -> tuple[str, str]:
    """State and, when unknown, why. See README for where public clients contradict each other."""
    if row is None:
        return UNKNOWN, "MISA không thấy mã này"
    kind, relation = text(row, "einvoicestatus"), text(row, "referencetype")
    if row.get("isdelete") is True or kind == "2":
        return "cancelled", ""
    if relation == "0" and kind in ("3", "7"):
        return "replaced", ""
    sent = text(row, "sendtaxstatus")
    if sent == "3":
        return UNKNOWN, "SendTaxStatus 3"
    if text(row, "publishstatus") != "1":
        return "pending", ""
    if has_code(text(row, "invseries")) and not text(row, "invoicecode") and sent != "2":
        return "pending", ""
    if relation in ("1", "2", "5"):
        return ("replacing" if relation == "1" else "adjusting"), ""
    if kind in ("", "1", "5", "8") and relation in ("", "0"):
        return "valid", ""
    return UNKNOWN, f"EInvoiceStatus {code(kind)}, ReferenceType {code(relation)}"


_EXPLANATION = """\
Gọi: POST /auth/token, rồi POST /invoice/status, mỗi lần 50 mã hóa đơn mà HIS giữ (MISA không cho tìm theo ngày). Mỗi
mã tính một lần, vào ngày mà câu truy vấn trả về; bản nháp chưa có số không tính.
Trạng thái, dòng đầu tiên đúng thì dùng:
  cancelled  IsDelete là true, hoặc EInvoiceStatus 2
  replaced   ReferenceType 0 (hóa đơn gốc) và EInvoiceStatus 3 hoặc 7
  unknown    cơ quan thuế từ chối (SendTaxStatus 3); hoặc MISA không thấy mã này
  pending    PublishStatus khác 1; hoặc ký hiệu có mã mà chưa có InvoiceCode
  replacing  ReferenceType 1
  adjusting  ReferenceType 2, 5
  valid      EInvoiceStatus 1, 5, 8 hoặc trống (hóa đơn bị điều chỉnh vẫn giữ trạng thái của mình)
  unknown    còn lại"""
