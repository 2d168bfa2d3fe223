"""The adapters' only door to httpx: calls to a hospital's or a provider's web service, and their errors in our words.

An answer is hostile until read: its length is limited while it is being unpacked, it may take no longer than the
source's time limit, a redirect is not followed, and its text is never passed on, because servers quote what they hold.
"""

import base64
import json
import logging
import math
import os
import ssl
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, NoReturn

import httpx
from pydantic import BaseModel, ConfigDict, Field

from contract import __version__, tls
from contract.adapter import SourceConfig
from contract.errors import ConfigError, SourceChangedError, SourceDeniedError, SourceError, SourceUnavailableError

# Parsed JSON may take twenty times the memory of its text; a page of some hundred invoices or encounters is under 1 MB.
MOST_BYTES = 16 * 1024 * 1024
_CONNECT_SECONDS = 10.0
_PIECE = 64 * 1024
_BUSY = {408, 425, 429}

# They log addresses and the headers of answers.
for _talker in ("httpx", "httpcore"):
    logging.getLogger(_talker).setLevel(logging.WARNING)


class Connection(BaseModel):
    """The keys of an HTTP source that say how to reach it; a kind with more derives from it."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    url: str = Field(min_length=1)
    ca_file: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None
    proxy: str | None = None
    allow_plain_http: bool = False


class Answer(NamedTuple):
    """What a server said, unpacked."""

    status: int
    body: bytes


class Http:
    """One web service. Nothing is taken from the environment: a proxy is used only when configured."""

    def __init__(self, config: SourceConfig, options: Connection, authorization: str = "") -> None:
        """`authorization` goes with every call (`basic`, `bearer`). Raises ConfigError; reads the files named only."""
        self._base = _base(config, options)
        self._timeout = config.timeout_seconds
        headers = {"User-Agent": f"nhipso-agent/{__version__}", "Accept-Encoding": "gzip"}
        self._new_client = partial(
            httpx.Client,
            verify=_context(config, options, self._base.scheme),
            proxy=options.proxy or None,
            timeout=httpx.Timeout(self._timeout, connect=min(self._timeout, _CONNECT_SECONDS)),
            headers=headers | ({"Authorization": authorization} if authorization else {}),
            trust_env=False,
        )
        try:
            self._new_client().close()
        except (ValueError, httpx.InvalidURL):
            raise ConfigError(f"{config.place}: proxy: không phải là một địa chỉ proxy") from None
        self._client: httpx.Client | None = None

    @property
    def where(self) -> str:
        """The address, as it may be shown."""
        return str(self._base).rstrip("/")

    @contextmanager
    def open(self) -> Iterator[None]:
        """Calls can be made, over connections that are kept until the end."""
        with self._new_client() as self._client:
            try:
                yield
            finally:
                self._client = None

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
        json: object = None,
        content: bytes | None = None,
    ) -> Answer:
        """Send one request; `path` is relative to the source's address or lies on the same server.

        Any status is an answer (see `checked`). Raises SourceUnavailableError, SourceChangedError.
        """
        assert self._client, "open() first"
        target, until = self._target(path), time.monotonic() + self._timeout
        query = httpx.QueryParams([*params]) if params else None
        try:
            with self._client.stream(
                method, target, params=query, headers=headers, json=json, content=content
            ) as response:
                encoding = response.headers.get("Content-Encoding", "").strip().lower()
                return Answer(response.status_code, self._body(response.iter_raw(_PIECE), encoding, until))
        except httpx.TimeoutException:
            self._overdue()
        except httpx.HTTPError as error:
            raise SourceUnavailableError(_why(error)) from None

    def _target(self, path: str) -> httpx.URL:
        try:
            target = self._base.join(path)
        except (httpx.InvalidURL, ValueError):
            target = None
        ours = (self._base.scheme, self._base.host, self._base.port)
        if target is None or (target.scheme, target.host, target.port) != ours or target.userinfo:
            raise SourceChangedError("máy chủ dẫn sang một địa chỉ khác; nhipso không đi theo")
        return target

    def _body(self, pieces: Iterator[bytes], encoding: str, until: float) -> bytes:
        body = bytearray()
        for piece in _unpacked(pieces, encoding):
            body += piece
            if len(body) > MOST_BYTES:
                raise SourceChangedError(f"máy chủ trả lời quá dài (hơn {MOST_BYTES // 2**20} MB)")
            if time.monotonic() > until:
                self._overdue()
        return bytes(body)

    def _overdue(self) -> NoReturn:
        raise SourceUnavailableError(f"máy chủ không trả lời xong trong {self._timeout:g} giây") from None


class Login:
    """A token that a login gives: kept until shortly before it runs out, and asked for anew once when refused."""

    def __init__(self, ask: Callable[[], tuple[str, float]]) -> None:
        """`ask` logs in and gives a token and the seconds for which it holds. Raises SourceError."""
        self._ask = ask
        self._token = ""
        self._until = -math.inf

    def use(self, send: Callable[[str], Answer], is_refused: Callable[[Answer], bool]) -> Answer:
        """The answer to `send(token)`, with a new token if the first was refused. Raises SourceError."""
        if time.monotonic() >= self._until:
            self.renew()
        answer = send(self._token)
        if is_refused(answer):
            self.renew()
            answer = send(self._token)
        return answer

    def renew(self) -> None:
        """Log in, whatever is known from before. Raises SourceError."""
        self._token, seconds = self._ask()
        self._until = time.monotonic() + seconds * 0.8


def checked(answer: Answer) -> bytes:
    """The body of a successful answer. Raises SourceError by its status."""
    if 200 <= answer.status < 300:
        return answer.body
    raise status_error(answer.status)


def status_error(status: int) -> SourceError:
    """What an unsuccessful status means."""
    if status in (401, 403):
        return SourceDeniedError(f"máy chủ từ chối tài khoản, mật khẩu hoặc quyền đọc (HTTP {status})")
    if status in _BUSY or status >= 500:
        return SourceUnavailableError(f"máy chủ đang bận hoặc có lỗi (HTTP {status})")
    if 300 <= status < 400:
        return SourceChangedError(f"máy chủ chuyển hướng (HTTP {status}); nhipso không đi theo: địa chỉ url đã đúng?")
    return SourceChangedError(f"máy chủ không hiểu yêu cầu (HTTP {status}): địa chỉ url đã đúng?")


def parsed(body: bytes) -> Any:
    """The JSON value of an answer. Raises SourceChangedError.

    Bytes that are not valid text (an old font in a name) cost that text only; nothing of a name is kept anyway.
    """
    try:
        return json.loads(body.decode(json.detect_encoding(body), "replace"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise SourceChangedError("câu trả lời không phải là JSON (trang đăng nhập, proxy chen vào?)") from None


def unzipped(data: bytes) -> bytes:
    """What a gzip, zlib or bare deflate stream holds. Raises SourceChangedError when broken, cut short or too long."""
    try:
        return b"".join(_inflated(iter([data]), 47 if data[:1] in (b"\x1f", b"\x78") else -15))
    except SourceUnavailableError:
        raise SourceChangedError("câu trả lời nén bị hỏng hoặc bị cắt cụt") from None


def basic(username: str, password: str) -> str:
    """An Authorization header."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def bearer(token: str) -> str:
    """An Authorization header."""
    return f"Bearer {token}"


def secret(config: SourceConfig, key: str, path: str | None, problems: list[str]) -> str:
    """The one line of the file that option `key` names; a problem, and '', when it cannot be used."""
    if path is None:
        return ""
    file = config.directory / path
    try:
        text = file.read_text("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError):
        problems.append(f"{config.place}: {key}: không đọc được tệp {file}")
        return ""
    if not text or not text.isprintable():
        problems.append(f"{config.place}: {key}: tệp {file} phải có đúng một dòng chữ")
        return ""
    return text


def _base(config: SourceConfig, options: Connection) -> httpx.URL:
    try:
        base = httpx.URL(options.url.rstrip("/") + "/")
    except (httpx.InvalidURL, ValueError):
        base = httpx.URL("")
    if base.scheme not in ("http", "https") or not base.host:
        raise ConfigError(f"{config.place}: url: phải là một địa chỉ https://… hoặc http://…")
    if base.userinfo or base.query or base.fragment:
        raise ConfigError(f"{config.place}: url: không ghi tài khoản, mật khẩu, dấu ? hoặc # trong địa chỉ")
    if base.scheme == "http" and not tls.is_loopback(base.host) and not options.allow_plain_http:
        raise ConfigError(f"{config.place}: url: {tls.REFUSED}")
    return base


def _context(config: SourceConfig, options: Connection, scheme: str) -> ssl.SSLContext:
    if scheme == "http" and not (options.ca_file or options.client_cert_file or options.client_key_file):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody: loading the system's authorities takes a while

    def place(path: str | None) -> str | None:
        # Made absolute without asking the disk, which is asked by ssl just after.
        return path and os.path.abspath(config.directory / path)  # noqa: PTH100

    try:
        context = ssl.create_default_context(cafile=place(options.ca_file))
    except (OSError, ssl.SSLError):
        raise ConfigError(f"{config.place}: ca_file: không đọc được chứng thư từ {options.ca_file}") from None
    if options.client_key_file and not options.client_cert_file:
        raise ConfigError(f"{config.place}: client_key_file: cần có cả client_cert_file")
    if options.client_cert_file:
        try:
            # An encrypted key would make OpenSSL ask at a terminal that is not there.
            certificate, key = str(place(options.client_cert_file)), place(options.client_key_file)
            context.load_cert_chain(certificate, key, password="")
        except (OSError, ssl.SSLError, ValueError):
            raise ConfigError(
                f"{config.place}: client_cert_file, client_key_file: không đọc được chứng thư và khóa của agent"
            ) from None
    return context


def _unpacked(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    if encoding in ("", "identity"):
        return pieces
    if encoding in ("gzip", "x-gzip", "deflate"):
        return _inflated(pieces, 47)
    raise SourceChangedError("máy chủ nén câu trả lời theo kiểu không được yêu cầu")


def _inflated(pieces: Iterator[bytes], window_bits: int) -> Iterator[bytes]:
    """Unpack in small pieces, so that whoever takes them can stop long before a bomb has gone off."""
    unpacker, length = zlib.decompressobj(window_bits), 0
    try:
        for piece in pieces:
            full = True
            while piece or full:
                part = unpacker.decompress(piece, _PIECE)
                length += len(part)
                if length > MOST_BYTES:
                    raise SourceChangedError(f"máy chủ trả lời quá dài (hơn {MOST_BYTES // 2**20} MB khi giải nén)")
                yield part
                # What did not fit is asked for again; it may lie in zlib itself when all input is taken.
                piece, full = unpacker.unconsumed_tail, len(part) == _PIECE
    except zlib.error:
        raise SourceChangedError("câu trả lời nén bị hỏng") from None
    if not unpacker.eof:
        raise SourceUnavailableError("câu trả lời bị cắt cụt trên đường truyền")


def _why(error: httpx.HTTPError) -> str:
    if why := tls.failure(error):
        return why
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        return "không kết nối được tới máy chủ"
    return "máy chủ ngắt kết nối giữa chừng"


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
