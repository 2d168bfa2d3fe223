"""Reading a request's body within limits: the size is checked while it comes in and while it is unpacked."""

import zlib
from collections.abc import Container, Iterable, Mapping
from typing import Any

from fastapi import Request
from starlette.requests import ClientDisconnect

from contract.errors import MalformedError, TooLargeError
from contract.tally import MAX_BYTES

_TOO_LARGE = "gói quá 1 MiB (sau khi giải nén): gửi ít hơn mỗi lần"
_MOST_PLACES = 20


async def read(request: Request, limit: int = MAX_BYTES) -> bytes:
    """The body, unpacked. Raises TooLargeError at the limit (never after), MalformedError."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise MalformedError("Content-Encoding phải là gzip hoặc không có")
    unpack = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
    body, received = bytearray(), 0
    try:
        async for chunk in request.stream():
            received += len(chunk)
            body += chunk if unpack is None else unpack.decompress(chunk, limit + 1 - len(body))
            # a packed body may also hold nothing but empty blocks, without end
            if len(body) > limit or received > 2 * limit:
                raise TooLargeError(_TOO_LARGE)
            if unpack is not None and unpack.unused_data:
                raise MalformedError("sau phần gzip còn dữ liệu khác")
    except zlib.error:
        raise MalformedError("thân yêu cầu không phải là gzip đúng") from None
    except ClientDisconnect:
        raise MalformedError("thân yêu cầu bị cắt ngang") from None
    if unpack is not None and not unpack.eof:
        raise MalformedError("thân yêu cầu gzip bị cắt ngang")
    return bytes(body)


def places(errors: Iterable[Mapping[str, Any]], names: Container[str]) -> str:
    """Where a request is not of the agreed shape, and by which rule; what was sent is not repeated, keys included."""
    found = []
    for one in list(errors)[:_MOST_PLACES]:
        path = (str(part) if isinstance(part, int) or part in names else "…" for part in one["loc"])
        found.append(f"{'.'.join(path)}: {one['type']}")
    return "; ".join(found)
