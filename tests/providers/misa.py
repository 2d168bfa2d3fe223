"""MISA meInvoice integration API: /auth/token, /invoice/status; ids of another kind of series are left out silently."""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.providers.server import HTML, Reply, Request, as_json


def status(number: int, kind: int = 1, relation: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "RefID": f"REF-{number}",
        "TransactionID": f"T{number}",
        "InvNo": f"{number:08}",
        "InvSeries": "1C26TYY",
        "PublishStatus": 1,
        "EInvoiceStatus": kind,
        "ReferenceType": relation,
        "SendTaxStatus": 2,
        "InvoiceCode": "M1-26-ABCDE",
        "IsDelete": False,
        "BuyerName": "MARK-BUYER",
        "DeletedReason": "MARK-REASON",
        "flags": ("true", "false"),
        **more,
    }


@dataclass(slots=True)
class MisaApp:
    """`uses`: calls a token is good for; `expired_in_body`: the refusal comes with HTTP 200 and an ErrorCode."""

    invoices: list[dict[str, Any]]
    uses: int = 1_000
    expired_in_body: bool = True
    sellers: tuple[str, ...] = ("0109999991",)
    tokens: dict[str, int] = field(default_factory=dict)

    def __call__(self, request: Request) -> Reply:
        if request.path == "/auth/token":
            return self._log_in(request.json)
        if request.path != "/invoice/status":
            return HTML
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.tokens.get(token, 0) <= 0 or not token.startswith(request.headers["companytaxcode"]):
            body = {"success": False, "errorCode": "TokenExpiredCode", "descriptionErrorCode": "MARK-EXPIRED"}
            return as_json(body, 200 if self.expired_in_body else 401)
        self.tokens[token] -= 1
        flags = (*request.all("invoiceWithCode"), *request.all("invoiceCalcu"))
        name = {"1": "TransactionID", "2": "RefID"}[request.all("inputType")[0]]
        wanted = {one.lower() for one in request.json}
        assert len(wanted) <= 50
        found = [one for one in self.invoices if one[name].lower() in wanted and one["flags"] == flags]
        return as_json({"success": True, "errorCode": None, "data": json.dumps(found)})

    def _log_in(self, asked: dict[str, Any]) -> Reply:
        known = {"appid": "app", "username": "bv", "password": "MARK-SECRET"}
        if asked["taxcode"] not in self.sellers or known != {name: asked[name] for name in known}:
            return as_json({"Success": False, "Data": None, "ErrorCode": "UnAuthorize", "Errors": ["MARK-ERRORS"]})
        token = f"{asked['taxcode']}-{len(self.tokens)}"
        self.tokens[token] = self.uses
        return as_json({"Success": True, "Data": token, "ErrorCode": ""})
