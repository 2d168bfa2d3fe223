"""People log in: passwords (argon2), lockout, server-side sessions.

A session is a random secret in a cookie; the store knows its hash. The form token against cross-site requests is made
from that secret, so nothing more is kept.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from collector.store import Store, people
from collector.store.people import Account, Person
from contract.errors import BadRequestError, UnauthorisedError

SHORTEST = 12
"""Characters of a password (NIST SP 800-63B-4: length, no composition rules)."""
IDLE = timedelta(hours=1)
LONGEST = timedelta(hours=12)
_FAILURES = 5
_LOCKED = timedelta(minutes=15)
# How often a session in use is written down as used.
_SEEN_EVERY = timedelta(minutes=1)
_hasher = PasswordHasher()
# Checked for names that do not exist, so that they take as long as those that do.
_NOBODY = _hasher.hash(secrets.token_hex())


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is logged in. `must_change`: only the page for a new password is open to them."""

    person: Person
    secret: str
    must_change: bool

    @property
    def form_token(self) -> str:
        """What every form sends back."""
        return hmac.new(self.secret.encode(), b"form", hashlib.sha256).hexdigest()

    def is_from_us(self, form_token: str | None) -> bool:
        """Whether a form was shown to this session."""
        return hmac.compare_digest((form_token or "").encode(), self.form_token.encode())


class People:
    """The door to the portal."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def log_in(self, name: str, password: str, at: datetime) -> Session:
        """A new session. Raises UnauthorisedError; five failures in a row lock the account for 15 minutes."""
        with self._store.read() as connection:
            found = people.account(connection, name.strip())
        usable = found is not None and found.password_hash is not None and found.disabled_at is None
        is_right = _matches(found.password_hash if found and usable else _NOBODY, password)  # type: ignore[arg-type]
        if found is None or not usable:
            raise UnauthorisedError("tên đăng nhập hoặc mật khẩu không đúng")
        if found.locked_until is not None and at < found.locked_until:
            raise UnauthorisedError(f"tài khoản tạm khóa đến {found.locked_until:%H:%M} vì nhập sai nhiều lần")
        if not is_right:
            with self._store.write() as connection:
                if people.fail(connection, found.person.id) >= _FAILURES:
                    people.change(connection, found.person.id, failures=0, locked_until=at + _LOCKED)
                    people.note(connection, at, found.person.name, "account_locked", found.person.name)
            raise UnauthorisedError("tên đăng nhập hoặc mật khẩu không đúng")
        return self.open(found, at)

    def open(self, account: Account, at: datetime) -> Session:
        """A session for somebody who has proved who they are."""
        secret = secrets.token_urlsafe(32)
        with self._store.write() as connection:
            people.change(connection, account.person.id, failures=0, locked_until=None)
            people.open_session(connection, _hash(secret), account.person.id, at)
            people.note(connection, at, account.person.name, "log_in", account.person.name)
        return Session(account.person, secret, account.must_change)

    def session(self, secret: str, at: datetime) -> Session | None:
        """The session of a cookie; None when there is none, or it has run out."""
        with self._store.read() as connection:
            found = people.session_of(connection, _hash(secret))
        if found is None:
            return None
        account, opened_at, seen_at = found
        if account.disabled_at is not None or at > seen_at + IDLE or at > opened_at + LONGEST:
            return None
        if at - seen_at > _SEEN_EVERY:
            with self._store.write() as connection:
                people.see_session(connection, _hash(secret), at)
        return Session(account.person, secret, account.must_change)

    def log_out(self, session: Session) -> None:
        """End the session."""
        with self._store.write() as connection:
            people.close_session(connection, _hash(session.secret))

    def choose_password(self, session: Session, old: str, new: str, at: datetime) -> None:
        """A new password by its owner; ends their other sessions. Raises BadRequestError."""
        with self._store.read() as connection:
            found = people.account(connection, session.person.name)
        if found is None or found.password_hash is None or not _matches(found.password_hash, old):
            raise BadRequestError("mật khẩu hiện tại không đúng")
        if len(new) < SHORTEST or new in (old, session.person.name):
            raise BadRequestError(f"mật khẩu mới phải có ít nhất {SHORTEST} ký tự, khác mật khẩu cũ và tên đăng nhập")
        with self._store.write() as connection:
            people.change(connection, found.person.id, password_hash=_hasher.hash(new), must_change=False)
            people.close_sessions(connection, found.person.id, but=_hash(session.secret))
            people.note(connection, at, found.person.name, "password_changed", found.person.name)

    def first_password(self, name: str, at: datetime, by: str) -> str:
        """A password that must be changed at first use; the only time that it is shown. Raises BadRequestError."""
        password = secrets.token_urlsafe(12)
        with self._store.write() as connection:
            found = people.account(connection, name)
            if found is None:
                raise BadRequestError(f"không có người dùng “{name}”")
            values = {"password_hash": _hasher.hash(password), "must_change": True, "failures": 0, "locked_until": None}
            people.change(connection, found.person.id, **values)
            people.close_sessions(connection, found.person.id)
            people.note(connection, at, by, "password_reset", name, facility=found.person.facility)
        return password


def _matches(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


def _hash(secret: str) -> str:
    """SHA-256: the secret is random and long."""
    return hashlib.sha256(secret.encode()).hexdigest()
