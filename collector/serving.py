"""How the collector is reached: TLS by itself, or bare HTTP where the config says so, and what is to be said of it."""

import logging
import ssl
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from collector.settings import Settings
from contract import tls
from contract.errors import ConfigError

log = logging.getLogger(__name__)
# Forward secrecy only; TLS 1.3 has its own list. 1.2 is Python's floor.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def context(settings: Settings) -> ssl.SSLContext | None:
    """What to serve with; None: without TLS. A certificate that is renewed on disk is used from then on.

    Raises ConfigError when a file cannot be used.
    """
    files = [one for one in (settings.certificate_file, settings.key_file, settings.client_ca_file) if one]
    if not files:
        return None
    try:
        first, seen = _loaded(settings), _stamps(files)
    except (OSError, ssl.SSLError, ValueError):
        names = ", ".join(str(one) for one in files)
        raise ConfigError(f"{settings.file}: collector: không dùng được chứng thư hoặc khóa trong {names}") from None
    current = first

    def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        nonlocal current, seen
        with suppress(OSError, ssl.SSLError, ValueError):  # half of a renewal: the old ones serve until it is whole
            if (now := _stamps(files)) != seen:
                current, seen = _loaded(settings), now
                log.warning("đã nạp chứng thư mới từ %s", settings.certificate_file)
        connection.context = current

    first.sni_callback = choose
    return first


def warnings(settings: Settings, moment: datetime) -> list[str]:
    """What whoever runs this must be told before it hurts, at each start and every day."""
    found = []
    if not settings.certificate_file and not settings.is_loopback:
        found.append(f"{settings.file}: collector: {tls.ALLOWED}")
    for file in (settings.certificate_file, settings.client_ca_file):
        if file and (said := tls.expiry_of(file, moment)):
            found.append(f"chứng thư {file} {said}: gia hạn đi, agent vẫn giữ số đếm và sẽ gửi sau")
    return found


def warn(settings: Settings, moment: datetime) -> None:
    """Log the warnings."""
    for one in warnings(settings, moment):
        log.warning("%s", one)


def _loaded(settings: Settings) -> ssl.SSLContext:
    assert settings.certificate_file
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.set_ciphers(_CIPHERS)
    # An encrypted key would make OpenSSL ask at a terminal that is not there.
    made.load_cert_chain(settings.certificate_file, settings.key_file, password="")
    if settings.client_ca_file:
        made.load_verify_locations(settings.client_ca_file)
        made.verify_mode = ssl.CERT_REQUIRED
    return made


def _stamps(files: list[Path]) -> list[int]:
    return [one.stat().st_mtime_ns for one in files]
