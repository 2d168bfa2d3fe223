"""Bkav eHoadon: ExecCommand with gzip + AES-256-CBC under the partner's token, command 853 by page."""

import base64
import gzip
import json
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.providers.server import Reply, Request
from tests.providers.vnpt import soap_fields, soap_reply

KEY, VECTOR = bytes(range(32)), bytes(range(16))
TOKEN = f"{base64.b64encode(KEY).decode()}:{base64.b64encode(VECTOR).decode()}"


def row(number: int, status: int = 2, day: str = "2026-11-20", **more: Any) -> dict[str, Any]:
    return {
        "InvoiceGUID": f"00000000-0000-0000-0000-{number:012}",
        "InvoiceForm": "1",
        "InvoiceSerial": "C26TYY",
        "InvoiceNo": number,
        "InvoiceDate": f"{day}T10:00:00",
        "InvoiceStatusID": status,
        "MaCuaCQT": "M1-26-ABCDE-00000000001",
        "BuyerName": "MARK-BUYER",
        "BuyerTaxCode": "MARK-TAX",
        **more,
    }


def closed(plain: bytes, key: bytes = KEY) -> str:
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES256(key), modes.CBC(VECTOR)).encryptor()
    padded = padder.update(plain) + padder.finalize()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def opened(text: str) -> bytes | None:
    decryptor = Cipher(algorithms.AES256(KEY), modes.CBC(VECTOR)).decryptor()
    unpadder = padding.PKCS7(128).unpadder()
    try:
        padded = decryptor.update(base64.b64decode(text)) + decryptor.finalize()
        return gzip.decompress(unpadder.update(padded) + unpadder.finalize())
    except (ValueError, OSError):
        return None


@dataclass(slots=True)
class BkavApp:
    """`as_text`: the list comes as a text that holds JSON; `wrapped`: each invoice in an object of its own."""

    rows: list[dict[str, Any]]
    as_text: bool = True
    wrapped: bool = False
    page_size: int = 3
    repeats: bool = False

    def __call__(self, request: Request) -> Reply:
        asked = soap_fields(request)
        plain = opened(asked["CommandData"])
        if plain is None or asked["partnerGUID"] != "guid-1":
            message = {"Status": 1, "Object": "Padding is invalid and cannot be removed. MARK-CLEAR", "isError": True}
            return soap_reply("ExecCommand", json.dumps(message))
        command = json.loads(plain)
        assert command["CmdType"] == 853
        return soap_reply(
            "ExecCommand", closed(gzip.compress(json.dumps(self._list(command["CommandObject"])).encode()))
        )

    def _list(self, asked: dict[str, Any]) -> dict[str, Any]:
        first, last = asked["InvoiceDateFrom"], asked["InvoiceDateTo"]
        found = [one for one in self.rows if first <= one["InvoiceDate"][:10] <= last]
        start = 0 if self.repeats else (asked["PageNumber"] - 1) * self.page_size
        page: Any = found[start : start + self.page_size]
        page = [{"Invoice": one, "ListInvoiceDetailsWS": []} for one in page] if self.wrapped else page
        return {"Status": 0, "Object": json.dumps(page) if self.as_text else page, "Code": None, "isError": False}


def as_result(result: str) -> Reply:
    return soap_reply("ExecCommand", result)
