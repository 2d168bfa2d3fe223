"""Viettel SInvoice v2: login with a short-lived token in a cookie, getInvoices by page, epoch milliseconds."""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from contract.days import LOCAL, local_day
from tests.providers.server import HTML, Reply, Request, as_json

PREFIX = "/services/einvoiceapplication/api/InvoiceAPI/InvoiceUtilsWS/getInvoices/"


def milliseconds(written: str) -> int:
    return int(datetime.fromisoformat(written).replace(tzinfo=LOCAL).timestamp() * 1000)


def row(number: int, when: str = "2026-11-20T10:00:00", kind: str = "1", **more: Any) -> dict[str, Any]:
    return {
        "invoiceId": 1000 + number,
        "adjustmentType": kind,
        "templateCode": "1/001",
        "invoiceSeri": "C26TYY",
        "invoiceNo": f"C26TYY{number}",
        "issueDate": milliseconds(when),
        "exchangeStatus": "INVOICE_HAS_CODE_APPROVED",
        "state": None,
        "supplierTaxCode": "0109999991",
        "buyerName": "MARK-BUYER Nguyễn Văn A",
        "buyerIdNo": "079099123456",
        "description": "MARK-DESCRIPTION",
        "originalInvoiceId": None,
        **more,
    }


@dataclass(slots=True)
class ViettelApp:
    """`uses`: how many calls a token is good for; `hidden`: rows that are announced and never given."""

    rows: list[dict[str, Any]]
    uses: int = 1_000
    hidden: int = 0
    password: str = "MARK-SECRET"
    tokens: dict[str, int] = field(default_factory=dict)

    def __call__(self, request: Request) -> Reply:
        if request.path == "/auth/login":
            return self._log_in(request)
        if not request.path.startswith(PREFIX):
            return HTML
        token = request.headers.get("cookie", "").removeprefix("access_token=")
        if self.tokens.get(token, 0) <= 0:
            return as_json({"error": "invalid_token", "error_description": "MARK-TOKEN"}, 401)
        self.tokens[token] -= 1
        return self._list(request.path.removeprefix(PREFIX), request.json)

    def _log_in(self, request: Request) -> Reply:
        if request.json != {"username": "bv", "password": self.password}:
            return as_json({"code": 400, "message": "BAD_CREDENTIAL", "data": "MARK-PASSWORD"}, 400)
        token = f"t{len(self.tokens)}"
        self.tokens[token] = self.uses
        return as_json({"access_token": token, "token_type": "bearer", "expires_in": 300})

    def _list(self, seller: str, asked: dict[str, Any]) -> Reply:
        first, last = date.fromisoformat(asked["startDate"]), date.fromisoformat(asked["endDate"])
        if (last - first).days > 31:
            return as_json({"errorCode": "DATE_RANGE", "description": "MARK-RANGE"})
        found = [
            one
            for one in self.rows
            if first <= local_day(datetime.fromtimestamp(one["issueDate"] / 1000, LOCAL)) <= last
            and one["supplierTaxCode"] in (seller, None)
            and asked.get("adjustmentType") in (None, one["adjustmentType"])
        ]
        size, page = asked["rowPerPage"], asked["pageNum"]
        start = (page - 1) * size
        answer = {"errorCode": None, "description": None, "totalRow": len(found) + self.hidden}
        return as_json({**answer, "invoices": found[start : start + size]})
