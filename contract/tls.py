"""What both ends of a connection hold to: TLS unless the config says otherwise aloud, and one set of words for it.

A certificate that cannot be used is a fault of the line like any other: nothing is lost, the next try comes.
"""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from contract.days import LOCAL

WARN_DAYS = 21
REFUSED = (
    "phải là https://…: qua mạng mà không có TLS thì ai cũng đọc và sửa được. "
    "Nếu mạng này thực sự chỉ có người tin cậy, ghi allow_plain_http = true"
)
ALLOWED = "allow_plain_http: số liệu và mật khẩu đi qua mạng KHÔNG MÃ HÓA, ai trên đường truyền cũng đọc và sửa được"
CUT = "máy chủ ngắt kết nối: có thể vì đòi chứng thư của máy này (client_cert_file), hoặc không nhận chứng thư đó"
# X509_V_ERR_… of OpenSSL's x509_vfy.h.
_NOT_YET, _OVER, _OTHER_NAME, _OTHER_ADDRESS = 9, 10, 62, 64
# What the other side says of our own certificate (RFC 8446, 6.2).
_ASKED_FOR = ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "PEER_DID_NOT_RETURN_A_CERTIFICATE")
_REFUSED = ("BAD_CERTIFICATE", "UNKNOWN_CA", "UNSUPPORTED_CERTIFICATE", "CERTIFICATE_UNKNOWN", "CERTIFICATE_REVOKED")
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNEXPECTED_MESSAGE")


def is_loopback(host: str) -> bool:
    """Whether what is said to `host` stays on this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_bare(url: str) -> bool:
    """Whether a call of `url` goes over a network without TLS."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False  # no address at all: nothing will be sent there
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def failure(error: BaseException) -> str | None:
    """Why TLS did not come about, in words for whoever can mend it; None when it was something else.

    OpenSSL's own text is not passed on: it quotes names of the certificate.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _distrust(cause.verify_code)
    reason = str(getattr(cause, "reason", None) or "")
    if cause is None or isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return None
    if reason.endswith("CERTIFICATE_EXPIRED"):
        return "chứng thư của máy này (client_cert_file) đã hết hạn, máy chủ không nhận: xin chứng thư mới"
    if reason.endswith(_ASKED_FOR):
        return "máy chủ đòi chứng thư của máy này: khai báo client_cert_file và client_key_file"
    if reason.endswith(_REFUSED):
        return "máy chủ không nhận chứng thư của máy này (client_cert_file): chứng thư do nơi khác cấp, hoặc đã thu hồi"
    if reason.endswith(_NO_TLS):
        return "máy chủ không nói TLS ở cổng này: địa chỉ phải là http:// hay sai cổng?"
    return "không bắt tay TLS được với máy chủ"


def _distrust(code: int) -> str:
    if code in (_OTHER_NAME, _OTHER_ADDRESS):
        return "chứng thư TLS của máy chủ mang tên máy khác: sai địa chỉ, hoặc có máy khác trả lời thay"
    if code == _OVER:
        return "chứng thư TLS của máy chủ đã hết hạn: báo nơi quản lý máy chủ gia hạn, hoặc đồng hồ máy này sai"
    if code == _NOT_YET:
        return "chứng thư TLS của máy chủ chưa đến ngày có hiệu lực: kiểm tra đồng hồ máy này"
    return "chứng thư TLS của máy chủ không được tin cậy: nơi cấp không có trong ca_file hay trong máy này"


def expires(file: Path) -> datetime:
    """Until when the first certificate of a PEM file holds (RFC 5280, 4.1.2.5). Raises OSError, ValueError."""
    text = file.read_text("ascii")
    start, end = text.find(ssl.PEM_HEADER), text.find(ssl.PEM_FOOTER)
    if start < 0 or end < start:
        raise ValueError("no certificate")
    try:
        content, _ = _element(_element(ssl.PEM_cert_to_DER_cert(text[start : end + len(ssl.PEM_FOOTER)]))[0])
        if content[0] == 0xA0:  # the version may be left out
            _, content = _element(content)
        for _name in ("serial number", "algorithm", "issuer"):
            _, content = _element(content)
        _, last = _element(_element(content)[0])
        shape = "%y%m%d%H%M%SZ" if last[0] == 0x17 else "%Y%m%d%H%M%SZ"  # UTCTime ends with 2049
        return datetime.strptime(_element(last)[0].decode("ascii"), shape).replace(tzinfo=UTC)
    except IndexError:
        raise ValueError("no certificate") from None


def _element(data: bytes) -> tuple[bytes, bytes]:
    """(content of the first DER element, what follows it)."""
    length, start = data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    return data[start : start + length], data[start + length :]


def expiry(until: datetime, moment: datetime) -> str | None:
    """What is to be said of a certificate that holds `until`; None while that is far."""
    day = f"{until.astimezone(LOCAL):%H:%M %d/%m/%Y}"
    if until <= moment:
        return f"đã hết hạn lúc {day}"
    if until - moment < timedelta(days=WARN_DAYS):
        return f"sắp hết hạn (lúc {day})"
    return None


def expiry_of(file: Path, moment: datetime) -> str | None:
    """The same of a PEM file; None too for one that cannot be read: whoever uses it says so."""
    try:
        return expiry(expires(file), moment)
    except (OSError, ValueError):
        return None
