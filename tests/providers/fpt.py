"""FPT eInvoice: /c_signin, /search-icr by sid."""

from dataclasses import dataclass, field
from typing import Any

from tests.providers.server import HTML, Reply, Request, as_json


def invoice(number: int, status: int = 3, **more: Any) -> dict[str, Any]:
    return {
        "sid": f"HD{number}",
        "stax": "0109999991",
        "type": "01GTKT",
        "form": "1",
        "serial": "C26TYY",
        "seq": f"{number:08}",
        "status": status,
        "status_received": 10,
        "bname": "MARK-BUYER",
        "buyer": "MARK-BUYER",
        **more,
    }


@dataclass(slots=True)
class FptApp:
    """`token_as`: text, json or object; `shape`: how an invoice is wrapped."""

    invoices: list[dict[str, Any]]
    uses: int = 1_000
    token_as: str = "object"
    shape: str = "list"
    tokens: dict[str, int] = field(default_factory=dict)

    def __call__(self, request: Request) -> Reply:
        if request.path == "/c_signin":
            return self._log_in(request.json)
        if request.path != "/search-icr":
            return HTML
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.tokens.get(token, 0) <= 0:
            return Reply(b"MARK-UNAUTHORISED", 401, "text/plain")
        self.tokens[token] -= 1
        asked = request.json
        found = [one for one in self.invoices if (one["sid"], one["stax"]) == (asked["sid"], asked["stax"])]
        if not found:
            return as_json([]) if self.shape == "list" else Reply(b"MARK-NONE", 404)
        return as_json({"list": found, "object": found[0], "inv": {"inv": found[0]}}[self.shape])

    def _log_in(self, asked: dict[str, Any]) -> Reply:
        if asked != {"username": "bv", "password": "MARK-SECRET"}:
            return Reply(b"MARK-REFUSED", 401, "text/plain")
        token = f"eyJ.{len(self.tokens)}"
        self.tokens[token] = self.uses
        if self.token_as == "text":
            return Reply(token.encode(), type="text/plain")
        return as_json(token if self.token_as == "json" else {"token": token})
