"""VNPT PortalService.asmx: listInvByCusFkey; an error is a text, with HTTP 200."""

import re
from dataclasses import dataclass
from datetime import datetime
from html import escape, unescape
from typing import Any

from tests.providers.server import HTML, Reply, Request

_CHILDREN = ("index", "cusCode", "fkey", "name", "publishDate", "signStatus", "pattern", "serial", "invNum", "status")


def item(number: int, status: str = "1", when: str = "2026-11-20T14:15:00", **more: Any) -> dict[str, str]:
    moment = datetime.fromisoformat(when)
    hour = f"{moment.hour % 12 or 12}:{moment:%M:%S} {'PM' if moment.hour >= 12 else 'AM'}"
    return {
        "index": str(number),
        "cusCode": "MARK-CUSTOMER",
        "fkey": f"HD{number}",
        "name": "MARK-BUYER <Nguyễn & A>",
        "publishDate": f"{moment.month}/{moment.day}/{moment.year} {hour}",
        "signStatus": "1",
        "pattern": "1/001",
        "serial": "C26TYY",
        "invNum": f"{number:08}",
        "status": status,
        **more,
    }


def soap_reply(action: str, result: str) -> Reply:
    body = (
        '<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/">'
        f'<soap:Body><{action}Response xmlns="http://tempuri.org/"><{action}Result>{escape(result)}</{action}Result>'
        f"</{action}Response></soap:Body></soap:Envelope>"
    )
    return Reply(body.encode(), type="text/xml; charset=utf-8")


def soap_fields(request: Request) -> dict[str, str]:
    found = re.findall(r"<(\w+)>([^<]*)</\1>", request.body.decode())
    return {name: unescape(value) for name, value in found}


@dataclass(slots=True)
class VnptApp:
    """`error` is the result of every call; an empty key lists a day, which is not established of the real one."""

    items: list[dict[str, str]]
    error: str = ""
    prefix: str = '<?xml version="1.0" encoding="utf-16"?>'

    def __call__(self, request: Request) -> Reply:
        if request.path != "/PortalService.asmx":
            return HTML
        if request.headers.get("soapaction") != '"http://tempuri.org/listInvByCusFkey"':
            return Reply(b"<soap:Fault>MARK-FAULT</soap:Fault>", 500)
        asked = soap_fields(request)
        if asked["userName"] != "bvservice" or asked["userPass"] != "MARK-SECRET <&>":
            return soap_reply("listInvByCusFkey", "ERR:1")
        return soap_reply("listInvByCusFkey", self.error or self._list(asked))

    def _list(self, asked: dict[str, str]) -> str:
        if asked["key"]:
            found = [one for one in self.items if one["fkey"] == asked["key"]]
        else:
            day = datetime.strptime(asked["fromDate"], "%d/%m/%Y").date()  # noqa: DTZ007
            wanted = f"{day.month}/{day.day}/{day.year} "
            found = [one for one in self.items if one["publishDate"].startswith(wanted)]
        if asked["key"] and not found:
            return "ERR:6"
        texts = ("".join(f"<{name}>{escape(one[name])}</{name}>" for name in _CHILDREN) for one in found)
        return f"{self.prefix}<Data>{''.join(f'<Item>{text}</Item>' for text in texts)}</Data>"
