"""SOAP 1.1 as the providers' `.asmx` services speak it: text fields in, one text out."""

import io
from collections.abc import Mapping
from html import escape

from adapters.http import Http, checked
from contract.errors import SourceChangedError
from contract.xml import elements

_NAMESPACE = "http://tempuri.org/"
_ENVELOPE = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
    '<{action} xmlns="{namespace}">{fields}</{action}></soap:Body></soap:Envelope>'
)


def call(http: Http, path: str, action: str, fields: Mapping[str, str]) -> str:
    """The text that `action` results in. Raises SourceError; a fault of the service is a 500 to it, so: unavailable."""
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
    envelope = _ENVELOPE.format(action=action, namespace=_NAMESPACE, fields=inner)
    headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{_NAMESPACE}{action}"'}
    body = checked(http.call("POST", path, headers=headers, content=envelope.encode()))
    results = [element.text or "" for element in elements(io.BytesIO(body), f"{action}Result")]
    if not results:
        raise SourceChangedError(f"câu trả lời SOAP không có {action}Result (trang đăng nhập, proxy chen vào?)")
    return results[0].strip()
