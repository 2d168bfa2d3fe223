"""Kind `einvoice.bkav`: Bkav eHoadon, WSPublicEHoaDon.asmx, ExecCommand 853 (invoices by date).

Command and answer travel as Base64(AES-256-CBC(gzip(JSON))), key and initial vector from PartnerToken ("key:iv", both
Base64), PKCS#7. Established from public client code: PHP and JavaScript clients that encrypt ExecCommand, and
phanmn/ex_bkav_invoice (commands, state tables, answer envelope). Buyers' fields are not looked at.
"""

import base64
import gzip
import json
from collections.abc import Iterator
from datetime import date
from typing import Any

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from pydantic import Field

from adapters.einvoice import soap
from adapters.einvoice.listing import Invoice, Listing, checked_options, code, has_code, iso_day, number, records, text
from adapters.http import Connection, Http, parsed, secret, unzipped
from contract.adapter import Adapter, SourceConfig
from contract.catalogue import UNKNOWN, Catalogue
from contract.days import DayRange, now
from contract.errors import ConfigError, SourceChangedError, SourceDeniedError, SourceError

_BY_DATE = 853
_MOST_PAGES = 2_000
# InvoiceStatusID; 1 and 4 were never issued (a draft, a deleted draft) and do not count.
_STATES = {
    "2": "valid",
    "10": "valid",
    "13": "valid",
    "6": "replacing",
    "8": "adjusting",
    "15": "adjusting",
    "9": "replaced",
    "3": "cancelled",
    "5": "pending",
    "7": "pending",
    "11": "pending",
    "14": "pending",
}
_NEVER_ISSUED = {"1", "4"}
# TaxStatus of an invoice that has no code yet: not sent, being looked at, waiting for the code.
_WAITING = {"0", "32", "36"}


class Options(Connection):
    """The keys of the source beyond the common ones."""

    url: str = "https://ws.ehoadon.vn"
    partner_guid: str = Field(min_length=1)
    partner_token_file: str = Field(min_length=1)


def adapter(config: SourceConfig, catalogue: Catalogue) -> Adapter:
    """Read the account that `config` names. Raises ConfigError with every problem of its table."""
    problems: list[str] = []
    options = checked_options(config, catalogue, Options, problems, one_seller=True)
    token = secret(config, "partner_token_file", options.partner_token_file, problems)
    box = _Box.of(token)
    if token and box is None:
        problems.append(f"{config.place}: partner_token_file: phải có dạng KHÓA:IV (Base64, 32 và 16 byte)")
    if problems or box is None:
        raise ConfigError(problems)
    return Listing(config, Bkav(Http(config, options), options.partner_guid, box), {})


class Bkav:
    """An account of eHoadon."""

    def __init__(self, http: Http, partner_guid: str, box: "_Box") -> None:
        self._http = http
        self._partner_guid = partner_guid
        self._box = box

    @property
    def where(self) -> str:
        """Address and the beginning of the partner's id."""
        return f"{self._http.where} {self._partner_guid[:8]}…"

    @property
    def explanation(self) -> str:
        """Call and states."""
        return _EXPLANATION

    def probe(self) -> None:
        """Ask for today's first page. Raises SourceError."""
        today = now().date()
        with self._http.open():
            self._page(DayRange(today, today), 1)

    def pages(self, days: DayRange) -> Iterator[list[Invoice]]:
        """A list for each page, until one brings nothing new. Raises SourceError."""
        seen = set[str]()
        with self._http.open():
            for page in range(1, _MOST_PAGES + 1):
                rows = self._page(days, page)
                keys = {_key(row) for row in rows}
                yield [one for row in rows if (one := _invoice(row))]
                if keys <= seen:
                    return
                seen |= keys
        raise SourceChangedError(f"danh sách hóa đơn dài hơn {_MOST_PAGES} trang")

    def _page(self, days: DayRange, page: int) -> list[dict[str, Any]]:
        window = {"InvoiceDateFrom": str(days.first), "InvoiceDateTo": str(days.last), "PageNumber": page}
        command = json.dumps({"CmdType": _BY_DATE, "CommandObject": window}).encode()
        asked = {"partnerGUID": self._partner_guid, "CommandData": self._box.close(command)}
        answer = self._opened(soap.call(self._http, "WSPublicEHoaDon.asmx", "ExecCommand", asked))
        if answer.get("isError") is True or answer.get("isOk") is False or text(answer, "Status") not in ("", "0"):
            raise _refusal(answer)
        found = answer.get("Object")
        if isinstance(found, str):
            found = parsed(found.encode()) if found.strip() else []
        rows = records(found or [], "danh sách Object")
        # 853 has been seen described with each invoice inside an object of its own, as in 800.
        return [row["Invoice"] if isinstance(row.get("Invoice"), dict) else row for row in rows]

    def _opened(self, result: str) -> dict[str, Any]:
        plain = self._box.open(result)
        if plain is None:
            # eHoadon answers in the clear when it cannot read the command: with another key it sees bad padding.
            if "padding" in result.lower() or "partner" in result.lower():
                raise SourceDeniedError("Bkav từ chối partner_guid hoặc partner_token")
            plain = result.encode()
        answer = parsed(plain)
        if not isinstance(answer, dict):
            raise SourceChangedError("câu trả lời của Bkav không đúng dạng")
        return answer


class _Box:
    """What PartnerToken closes and opens."""

    def __init__(self, key: bytes, vector: bytes) -> None:
        self._cipher = Cipher(algorithms.AES256(key), modes.CBC(vector))

    @classmethod
    def of(cls, token: str) -> "_Box | None":
        """The box of a PartnerToken; None when it is not one."""
        try:
            key, vector = (base64.b64decode(part, validate=True) for part in token.split(":"))
        except ValueError:
            return None
        return cls(key, vector) if (len(key), len(vector)) == (32, 16) else None

    def close(self, plain: bytes) -> str:
        """gzip, pad, encrypt, Base64."""
        padder, encryptor = padding.PKCS7(128).padder(), self._cipher.encryptor()
        padded = padder.update(gzip.compress(plain, mtime=0)) + padder.finalize()
        return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()

    def open(self, closed: str) -> bytes | None:
        """The reverse; None when it was not closed with this key. Raises SourceChangedError for a bomb."""
        unpadder, decryptor = padding.PKCS7(128).unpadder(), self._cipher.decryptor()
        try:
            padded = decryptor.update(base64.b64decode(closed, validate=True)) + decryptor.finalize()
            packed = unpadder.update(padded) + unpadder.finalize()
        except ValueError:
            return None
        return unzipped(packed)


def _refusal(answer: dict[str, Any]) -> SourceError:
    said = str(answer.get("Object") or "").lower()
    if "padding" in said or "partnerguid" in said or "partnertoken" in said:
        return SourceDeniedError("Bkav từ chối partner_guid hoặc partner_token")
    return SourceChangedError(f"Bkav không lập được danh sách hóa đơn (Code {number(text(answer, 'Code'))})")


def _key(row: dict[str, Any]) -> str:
    names = ("InvoiceForm", "InvoiceSerial", "InvoiceNo")
    return text(row, "InvoiceGUID").lower() or "|".join(text(row, name) for name in names)


def _invoice(row: dict[str, Any]) -> Invoice | None:
    """What a row counts as; None for what was never issued."""
    status = text(row, "InvoiceStatusID")
    if status in _NEVER_ISSUED:
        return None
    state, raw = _state(row, status)
    return Invoice(_key(row), _day(row), state, raw)


def _state(row: dict[str, Any], status: str) -> tuple[str, str]:
    state = _STATES.get(status)
    if state is None:
        return UNKNOWN, f"InvoiceStatusID {code(status)}"
    waits = has_code(text(row, "InvoiceSerial")) and "MaCuaCQT" in row and not text(row, "MaCuaCQT")
    if waits and state in ("valid", "replacing", "adjusting"):
        tax = text(row, "TaxStatus")
        return ("pending", "") if tax in _WAITING or not tax else (UNKNOWN, f"TaxStatus {code(tax)}")
    return state, ""


def _day(row: dict[str, Any]) -> date:
    return iso_day(text(row, "InvoiceDate"), "InvoiceDate")


_EXPLANATION = """\
Gọi SOAP ExecCommand, lệnh 853 (InvoiceDateFrom, InvoiceDateTo, PageNumber), nội dung nén gzip và mã hóa AES bằng
PartnerToken. Mỗi hóa đơn (InvoiceGUID) tính một lần, vào ngày của InvoiceDate.
Trạng thái theo InvoiceStatusID:
  1 mới tạo, 4 đã xóa: chưa từng phát hành, không tính
  2 đã phát hành, 10 bị điều chỉnh, 13 chờ hủy → valid; 6 thay thế → replacing; 8, 15 điều chỉnh → adjusting
  9 bị thay thế → replaced; 3 đã hủy → cancelled; 5, 7, 14 chờ thay thế, chờ điều chỉnh, 11 chờ ký → pending
  giá trị khác → unknown
Ký hiệu có mã (bắt đầu bằng C) mà MaCuaCQT trống thì valid, replacing, adjusting thành pending khi TaxStatus là 0, 32,
36 hoặc trống, thành unknown khi TaxStatus là giá trị khác (lỗi, cần rà soát)."""
