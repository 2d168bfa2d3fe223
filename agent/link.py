"""The agent's only door to httpx: how it speaks with the collector (contract: "Push API")."""

import gzip
import random
import re
import ssl
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from agent.settings import Settings
from contract import __version__, catalogue, tls
from contract.catalogue import Catalogue
from contract.errors import CollectorDeniedError, CollectorUnavailableError, ConfigError
from contract.tally import Ack, MonthDigest

_TIMEOUT = httpx.Timeout(60, connect=10)
# More than any true answer: a digest of ten years of 600 facilities is smaller.
_MAX_ANSWER, _LONGEST_ANSWER = 64 * 1024 * 1024, 300.0
_Answer = TypeVar("_Answer")


class Enrolment(BaseModel):
    """The answer to a one-time code."""

    agent: str
    token: str
    facilities: list[str]


class TooMuchError(CollectorDeniedError):
    """The body was over a limit on the way: send less at once."""


class Link:
    """A connection to one collector; the token is read anew for each use of `Link`."""

    def __init__(self, settings: Settings) -> None:
        """Raises ConfigError when a certificate file cannot be used, or the address would need TLS."""
        self._settings = settings
        self.certificate_until: datetime | None = None
        """Until when the certificate holds that the collector showed last."""
        self._client: httpx.Client | None = self._connected()

    def _connected(self) -> httpx.Client:
        settings = self._settings
        if tls.is_bare(settings.collector) and not settings.allow_plain_http:
            raise ConfigError(f"{settings.file}: [agent]: collector: {tls.REFUSED}")
        try:
            context = ssl.create_default_context(cafile=settings.ca_file and str(settings.ca_file))
            if settings.client_cert_file:
                key = settings.client_key_file
                # An encrypted key would make OpenSSL ask at a terminal that is not there.
                context.load_cert_chain(str(settings.client_cert_file), key and str(key), password="")
            return httpx.Client(
                base_url=settings.collector,
                verify=context,
                proxy=settings.proxy,
                timeout=_TIMEOUT,
                headers={"User-Agent": f"nhipso-agent/{__version__}"},
                trust_env=False,  # agent.toml names the proxy, nobody else
            )
        except (OSError, ssl.SSLError, ValueError, httpx.InvalidURL, ImportError):
            raise ConfigError(
                f"{settings.file}: [agent]: ca_file, client_cert_file, client_key_file hoặc proxy không dùng được"
            ) from None

    def enrol(self, code: str) -> Enrolment:
        """Trade a one-time code for a token. Raises PushError."""
        return self._call("POST", "/api/v1/enrolments", Enrolment.model_validate_json, json={"code": code})

    def push(self, body: bytes) -> Ack:
        """Send one batch (JSON). Raises TooMuchError, PushError; after an error it may or may not be stored."""
        headers = {**self._bearer(), "Content-Type": "application/json", "Content-Encoding": "gzip"}
        content = gzip.compress(body, compresslevel=6, mtime=0)
        return self._call("POST", "/api/v1/tallies", Ack.model_validate_json, content=content, headers=headers)

    def catalogue(self) -> Catalogue:
        """The catalogue that the collector uses. Raises PushError."""
        tables = TypeAdapter(dict[str, Any]).validate_json
        return self._call(
            "GET", "/api/v1/catalogue", lambda text: catalogue.received(tables(text)), headers=self._bearer()
        )

    def digests(self, first: date, last: date) -> list[MonthDigest]:
        """What the collector holds for this agent between two days, a digest a month. Raises PushError."""
        months = TypeAdapter(dict[str, list[MonthDigest]])
        return self._call(
            "GET",
            "/api/v1/digests",
            lambda text: months.validate_json(text)["months"],
            params={"from": str(first), "to": str(last)},
            headers=self._bearer(),
        )

    def close(self) -> None:
        """End all connections; the next call makes new ones."""
        if self._client:
            self._client.close()
        self._client = None

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {read_token(self._settings.token_file)}"}

    def _call(self, method: str, path: str, parse: Callable[[bytes], _Answer], **arguments: Any) -> _Answer:
        latest = time.monotonic() + _LONGEST_ANSWER
        try:
            # After a fault of the line certificates are read anew: they may have been renewed since.
            self._client = self._client or self._connected()
            with self._client.stream(method, path, **arguments) as response:
                self._look_at(response)
                content = bytearray()
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > _MAX_ANSWER or time.monotonic() > latest:
                        raise CollectorUnavailableError("máy chủ Sở trả lời quá dài")
        except httpx.HTTPError as error:
            self.close()
            raise CollectorUnavailableError(f"không tới được máy chủ Sở ({self._why(error)})") from None
        except ConfigError as error:
            raise CollectorUnavailableError(str(error)) from None
        _raise_for(response)
        try:
            return parse(bytes(content))
        except (ValidationError, ConfigError, KeyError):
            raise CollectorUnavailableError("câu trả lời của máy chủ Sở không đúng dạng (proxy chen vào?)") from None

    def _why(self, error: httpx.HTTPError) -> str:
        # Python's own TLS server hangs up on a client without a right certificate and does not say why.
        is_cut = isinstance(error, httpx.RemoteProtocolError) and self._settings.collector.startswith("https:")
        return tls.failure(error) or (tls.CUT if is_cut else type(error).__name__)

    def _look_at(self, response: httpx.Response) -> None:
        """Remember until when the collector's certificate holds."""
        stream = response.extensions.get("network_stream")
        channel = stream and stream.get_extra_info("ssl_object")
        if channel:
            until = ssl.cert_time_to_seconds(str((channel.getpeercert() or {})["notAfter"]))
            self.certificate_until = datetime.fromtimestamp(until, UTC)


def warnings(settings: Settings, certificate_until: datetime | None, moment: datetime) -> list[str]:
    """What is to be said at each start, each night and in `status`: no TLS, certificates that run out.

    `certificate_until`: that of the collector, as far as it is known.
    """
    found = [f"{settings.file}: {table}: {tls.ALLOWED}" for table in settings.bare]
    ours = settings.client_cert_file
    if ours and (said := tls.expiry_of(ours, moment)):
        found.append(f"chứng thư của agent ({ours}) {said}: xin chứng thư mới, nếu không Sở sẽ không nhận")
    if certificate_until and (said := tls.expiry(certificate_until, moment)):
        found.append(f"chứng thư của máy chủ Sở {said}: báo Sở gia hạn; số đếm vẫn được giữ và gửi sau")
    return found


def read_token(file: Path) -> str:
    """The token. Raises CollectorDeniedError when this agent has not been enrolled."""
    try:
        token = file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        token = ""
    if not re.fullmatch(r"[!-~]{1,64}?\.[!-~]+", token):
        raise CollectorDeniedError(f"chưa có mã truy cập trong {file}: chạy nhipso-agent enrol")
    return token


def _raise_for(response: httpx.Response) -> None:
    status = response.status_code
    if status in (200, 201):
        return
    if status in (401, 403):
        raise CollectorDeniedError("máy chủ Sở từ chối mã truy cập của agent này: xin mã ghi danh mới rồi chạy enrol")
    if status == 413:
        raise TooMuchError("máy chủ Sở từ chối gói quá lớn")
    if status in (408, 425, 429) or status >= 500 or 300 <= status < 400:
        raise CollectorUnavailableError(f"máy chủ Sở chưa nhận (HTTP {status})", _retry_after(response))
    raise CollectorDeniedError(f"máy chủ Sở không hiểu yêu cầu (HTTP {status}): nhipso-agent quá cũ hoặc sai địa chỉ?")


def _retry_after(response: httpx.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    # A little later than asked, each agent by another amount, so that they do not come back all at once.
    return min(float(text), 3600.0) * random.uniform(1, 1.5) if text.isdecimal() else None  # noqa: S311  # nosec B311
