"""Reading a request's body within limits: the size is checked while it comes in and while it is unpacked."""

import zlib

from fastapi import Request

from contract.errors import BadRequestError, TooLargeError
from contract.tally import MAX_BYTES

_TOO_LARGE = "gói quá 1 MiB (sau khi giải nén): gửi ít hơn mỗi lần"


async def read(request: Request, limit: int = MAX_BYTES) -> bytes:
    """The body, unpacked. Raises TooLargeError at the limit (never after), BadRequestError."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise BadRequestError("Content-Encoding phải là gzip hoặc không có")
    unpack = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
    body = bytearray()
    async for chunk in request.stream():
        if unpack is None:
            body += chunk
        else:
            try:
                body += unpack.decompress(chunk, limit + 1 - len(body))
            except zlib.error:
                raise BadRequestError("thân yêu cầu không phải là gzip đúng") from None
        if len(body) > limit or (unpack and unpack.unconsumed_tail):
            raise TooLargeError(_TOO_LARGE)
    if unpack is not None and not unpack.eof:
        raise BadRequestError("thân yêu cầu gzip bị cắt ngang")
    return bytes(body)
