"""Mail to people: `[mail]` of collector.toml, and the only door to smtplib.

A mail is handed over at most once. Whoever sends learns which of three things has happened: the server took it (or may
have: the line was cut while it answered), it refuses this address, or the server could not be used.
"""

import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from email.utils import format_datetime

from contract.errors import NhipsoError

# Seconds for each step that waits for the server.
_PATIENCE = 20.0
IMPLICIT_TLS = 465
_SENDER = "nhịp số"
# what servers everywhere take: ASCII, one @
_ADDRESS = re.compile(r"[!#-'*+./0-9=?A-Z^-~-]+@[0-9A-Za-z.-]+")


class MailError(NhipsoError):
    """The mail server could not be used; the next turn tries again."""


class RefusedError(NhipsoError):
    """The mail server does not take mail for this address; `for_good`: until whoever keeps the address corrects it."""

    def __init__(self, message: str, for_good: bool) -> None:
        self.for_good = for_good
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class MailServer:
    """`[mail]`, with its file read. `user` None: no login."""

    host: str
    port: int
    sender: str
    starttls: bool = True
    user: str | None = None
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail to one address. `key` names it for ever: the same letter has the same Message-ID."""

    to: str
    subject: str
    text: str
    key: str
    written_at: datetime


class Post:
    """An open connection to the mail server."""

    def __init__(self, smtp: smtplib.SMTP, server: MailServer) -> None:
        self._smtp = smtp
        self._server = server

    def send(self, letter: Letter) -> None:
        """Hand the letter over. Raises RefusedError, MailError."""
        content = _content(letter, self._server)
        try:
            code, _ = self._smtp.mail(self._server.sender)
            if code != 250:
                raise MailError(f"máy chủ thư {self._server.host} không nhận thư của {self._server.sender} ({code})")
            code, _ = self._smtp.rcpt(letter.to)
            if code not in (250, 251):
                self._smtp.rset()
                raise RefusedError(f"máy chủ thư trả lời {code}", for_good=code >= 500)
        except (OSError, smtplib.SMTPException) as error:
            raise _away(self._server, error) from None
        self._hand_over(content)

    def _hand_over(self, content: bytes) -> None:
        try:
            code, _ = self._smtp.data(content)
        except smtplib.SMTPDataError as error:
            raise _away(self._server, error) from None
        except (OSError, smtplib.SMTPException):
            return  # it may have been taken: nobody shall get it twice
        if code != 250:
            raise MailError(f"máy chủ thư {self._server.host} không nhận nội dung thư ({code})")


@contextmanager
def connected(server: MailServer) -> Iterator[Post]:
    """A connection on which letters go out one after the other. Raises MailError."""
    try:
        smtp = _opened(server)
    except (OSError, smtplib.SMTPException) as error:
        raise _away(server, error) from None
    try:
        yield Post(smtp, server)
    finally:
        with suppress(OSError, smtplib.SMTPException):
            smtp.quit()


def _opened(server: MailServer) -> smtplib.SMTP:
    trusted = ssl.create_default_context()
    if server.port == IMPLICIT_TLS:
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=_PATIENCE, context=trusted)
    else:
        smtp = smtplib.SMTP(server.host, server.port, timeout=_PATIENCE)
    try:
        smtp.ehlo_or_helo_if_needed()
        if server.starttls and server.port != IMPLICIT_TLS:
            smtp.starttls(context=trusted)
            smtp.ehlo()
        if server.user is not None:
            smtp.login(server.user, server.password)
    except BaseException:
        smtp.close()
        raise
    return smtp


def _away(server: MailServer, error: Exception) -> MailError:
    """What happened, without the server's words: they may quote what was sent."""
    code = getattr(error, "smtp_code", None)
    what = f"{type(error).__name__}, {code}" if code else type(error).__name__
    return MailError(f"không gửi được thư qua {server.host}:{server.port} ({what})")


def _content(letter: Letter, server: MailServer) -> bytes:
    """Raises RefusedError for an address that is none."""
    message = EmailMessage(policy=POLICY)
    message["From"] = Address(_SENDER, addr_spec=server.sender)
    try:
        message["To"] = Address(addr_spec=letter.to if _ADDRESS.fullmatch(letter.to) else "")
    except (MessageError, ValueError, IndexError):
        raise RefusedError("không phải là địa chỉ thư dùng được", for_good=True) from None
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(letter.written_at)
    message["Message-ID"] = f"<{letter.key}@{server.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message["Content-Language"] = "vi"
    message.set_content(letter.text, cte="base64")
    return message.as_bytes()
