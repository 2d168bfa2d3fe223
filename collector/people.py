"""People: who they are, personal API tokens, passwords (argon2), lockout, sessions kept by the server.

A session is a random secret in a cookie; the store knows its hash. The form token against cross-site requests is made
from that secret, so nothing more is kept.
"""

import hashlib
import hmac
import secrets
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from collector.access import hashed, spoken
from collector.store import Connection, Store, people, registry
from collector.store.people import OPERATOR, Account, Person
from collector.throttle import Throttle
from collector.typography import clean
from contract.errors import BadRequestError, BusyError, ConfigError, UnauthorisedError

ROLES = ("admin", "reader", "confirmer")
SESSION_COOKIE = "nhipso"
SHORTEST = 12
"""Characters of a password (NIST SP 800-63B-4: length, no composition rules)."""
IDLE = timedelta(hours=1)
LONGEST = timedelta(hours=12)
FAILURES = 5
LOCKED = timedelta(minutes=15)
FAILURES_OF_ADDRESS = 20
"""Wrong passwords a minute that one network address may send; a hospital may stand behind one."""
FAILURES_OF_ALL = 300
"""Wrong passwords a minute from all addresses together, at all collectors of one database."""
WRONG = "tên đăng nhập hoặc mật khẩu không đúng; nhập sai năm lần liên tiếp thì tài khoản bị khóa 15 phút"
WRONG_OLD = "mật khẩu hiện tại không đúng; nhập sai năm lần liên tiếp thì tài khoản bị khóa 15 phút"
DISABLED = "tài khoản này đã ngừng: thêm lại (user add, hoặc trang Người dùng) trước khi cấp mật khẩu hay mã truy cập"
WEAK = f"mật khẩu mới phải có ít nhất {SHORTEST} ký tự, khác mật khẩu cũ và tên đăng nhập"
_LONGEST_NAME = 64
# How often a session in use is written down as used.
_SEEN_EVERY = timedelta(minutes=1)
# OWASP Password Storage Cheat Sheet, argon2id: 19 MiB, two passes, one lane.
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# However many come at once, so many hashes are made at once: a login must not take the machine's memory and cores.
_hashing = threading.BoundedSemaphore(4)
# Those who wait for that each hold a thread of the server; the others are left to everybody else.
_in_line = threading.BoundedSemaphore(16)
# Of a password that was thrown away: checked for names that do not exist, so that they take as long as those that do.
NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$/PTIYXqSmtkP75Hg2+nO8g$O2fAzF1dRmsFWehHzFsb+U7MYUVBA+EXDNOpIHyMgyc"


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

    def is_from_us(self, form_token: str) -> bool:
        """Whether a form was shown to this session."""
        return hmac.compare_digest(form_token.encode(), self.form_token.encode())


class People:
    """The people of one collector."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._throttle = Throttle(store, "login", FAILURES_OF_ADDRESS, FAILURES_OF_ALL)

    def add(self, one: Person, at: datetime, by: str = OPERATOR) -> str:
        """Register somebody and return a personal API token. Raises ConfigError.

        Whose name is known gets the new role, facility and token, and what else is said of them; the rest stays.
        Somebody who was disabled is back, without a password.
        """
        one, token = _checked(one), secrets.token_urlsafe(32)
        with self._store.write() as connection:
            _known_place(connection, one)
            known = people.account(connection, one.name)
            if known is not None:
                was = known.person
                one = replace(one, full_name=one.full_name or was.full_name, email=one.email or was.email)
            people.save(connection, one, at, token_hash=hashed(token), disabled_at=None)
            action, before = ("person_changed", _plain(known.person)) if known else ("person_added", None)
            people.note(connection, at, by, action, one.name, facility=one.facility, before=before, after=_plain(one))
        return token

    def enter(self, one: Person, at: datetime, by: str = OPERATOR) -> None:
        """Register somebody new, without password and token. Raises ConfigError."""
        one = _checked(one)
        with self._store.write() as connection:
            _known_place(connection, one)
            if people.account(connection, one.name) is not None:
                raise ConfigError(f"tên đăng nhập “{one.name}” đã có người dùng")
            people.save(connection, one, at)
            people.note(connection, at, by, "person_added", one.name, facility=one.facility, after=_plain(one))

    def revise(self, one: Person, at: datetime, by: str = OPERATOR) -> None:
        """Role, facility and what else is known of somebody, whole; a disabled account is open again, without password.

        The same again changes nothing. Raises ConfigError, NotFoundError, BadRequestError when it is one's own role.
        """
        one = _checked(one)
        with self._store.write() as connection:
            _known_place(connection, one)
            known = people.named(connection, one.name)
            before, after = _plain(known.person), _plain(one)
            if one.name == by and (before["role"], before["facility"]) != (after["role"], after["facility"]):
                raise BadRequestError("không tự đổi vai trò của chính mình: đề nghị một quản trị viên khác")
            if before == after and known.disabled_at is None:
                return
            people.save(connection, one, at, disabled_at=None)
            people.note(
                connection, at, by, "person_changed", one.name, facility=one.facility, before=before, after=after
            )

    def new_token(self, name: str, at: datetime, by: str = OPERATOR) -> str:
        """A personal API token, shown only now; the one before stops working. Raises NotFoundError, BadRequestError."""
        token = secrets.token_urlsafe(32)
        with self._store.write() as connection:
            found = people.named(connection, clean(name))
            if found.disabled_at is not None:
                raise BadRequestError(DISABLED)
            people.change(connection, found.person.id, token_hash=hashed(token))
            people.note(connection, at, by, "person_token_made", found.person.name, facility=found.person.facility)
        return token

    def disable(self, name: str, at: datetime, by: str = OPERATOR) -> None:
        """From now on neither password, nor token, nor an open session works. Raises NotFoundError, BadRequestError."""
        with self._store.write() as connection:
            found = people.named(connection, clean(name)).person
            if found.name == by:
                raise BadRequestError("không tự ngừng tài khoản của chính mình: đề nghị một quản trị viên khác")
            nothing = {"password_hash": None, "token_hash": None, "subject": None, "must_change": False}
            people.change(connection, found.id, disabled_at=at, **nothing)
            people.close_sessions(connection, found.id)
            people.note(connection, at, by, "person_disabled", found.name, facility=found.facility)

    def by_token(self, token: str) -> Person:
        """Whose personal API token this is. Raises UnauthorisedError."""
        with self._store.read() as connection:
            found = people.by_token(connection, hashed(token))
        if found is None:
            raise UnauthorisedError("mã truy cập cá nhân không đúng")
        return found

    def log_in(self, name: str, password: str, at: datetime, address: str = "") -> Session:
        """A new session. Raises UnauthorisedError; BusyError after 20 wrong passwords from one address in a minute.

        Five wrong passwords in a row lock the account for 15 minutes. Who is refused is not told why: neither whether
        the name exists, nor whether the password would be right later.
        """
        self._throttle.take(address, at)
        found = self._prove(clean(name), password, at)
        if found is None:
            raise UnauthorisedError(WRONG)
        self._throttle.give_back(address, at)
        return self.open(found, at)

    def open(self, account: Account, at: datetime, how: str = "password") -> Session:
        """A session for somebody who has proved who they are; `how` is for the audit."""
        secret, who = secrets.token_urlsafe(32), account.person
        with self._store.write() as connection:
            people.open_session(connection, hashed(secret), who.id, at)
            people.note(connection, at, who.name, "log_in", who.name, facility=who.facility, after={"how": how})
        return Session(who, secret, account.must_change)

    def session(self, secret: str, at: datetime) -> Session | None:
        """The session of a cookie; None when there is none, or it has run out."""
        with self._store.read() as connection:
            found = people.session_of(connection, hashed(secret))
        if found is None:
            return None
        account, opened_at, seen_at = found
        if account.disabled_at is not None or at >= seen_at + IDLE or at >= opened_at + LONGEST:
            return None
        if at - seen_at > _SEEN_EVERY:
            with self._store.write() as connection:
                people.see_session(connection, hashed(secret), at)
        return Session(account.person, secret, account.must_change)

    def log_out(self, session: Session) -> None:
        """End the session."""
        with self._store.write() as connection:
            people.close_session(connection, hashed(session.secret))

    def forget_sessions(self, at: datetime) -> None:
        """Drop sessions that have run out."""
        with self._store.write() as connection:
            people.forget_sessions(connection, at - IDLE)

    def choose_password(self, session: Session, old: str, new: str, at: datetime) -> None:
        """A new password by its owner; ends their other sessions. Raises BadRequestError.

        A wrong old one counts as a wrong password anywhere: a stolen session must not be a way to guess it.
        """
        who = session.person
        if self._prove(who.name, old, at) is None:
            raise BadRequestError(WRONG_OLD)
        if len(_bytes(new).decode()) < SHORTEST or _bytes(new) in (_bytes(old), _bytes(who.name)):
            raise BadRequestError(WEAK)
        with self._store.write() as connection:
            people.change(connection, who.id, password_hash=_made(new), must_change=False)
            people.close_sessions(connection, who.id, but=hashed(session.secret))
            people.note(connection, at, who.name, "password_changed", who.name, facility=who.facility)

    def first_password(self, name: str, at: datetime, by: str = OPERATOR) -> str:
        """A password to be changed at first use, shown only now; unlocks. Raises NotFoundError, BadRequestError."""
        password = spoken()
        with self._store.write() as connection:
            found = people.named(connection, clean(name))
            if found.disabled_at is not None:
                raise BadRequestError(DISABLED)
            values = {"password_hash": _made(password), "must_change": True, "failures": 0, "locked_until": None}
            people.change(connection, found.person.id, **values)
            people.close_sessions(connection, found.person.id)
            people.note(connection, at, by, "password_reset", found.person.name, facility=found.person.facility)
        return password

    def _prove(self, name: str, password: str, at: datetime) -> Account | None:
        """The account that this password opens now. Every try is written down before the password is looked at.

        Raises BusyError, before that, while too many are being looked at.
        """
        with _turn():
            with self._store.write() as connection:
                count = people.attempt(connection, name, at, FAILURES, at + LOCKED)
                found = people.account(connection, name)
            known = found.password_hash if found is not None and count is not None else None
            is_right = _matches(known or NOBODY, password)
        if found is None or known is None:
            return None
        with self._store.write() as connection:
            if is_right:
                people.change(connection, found.person.id, failures=0, locked_until=None)
            elif count == FAILURES:
                people.note(connection, at, name, "account_locked", name, facility=found.person.facility)
        return found if is_right else None


def state(one: Account, at: datetime) -> str:
    """What an operator reads of an account: whether its owner can log in."""
    if one.disabled_at is not None:
        return "đã ngừng"
    if one.locked_until is not None and at < one.locked_until:
        return f"tạm khóa đến {one.locked_until:%H:%M %d/%m/%Y}"
    if one.password_hash is None:
        return "chưa có mật khẩu"
    return "chưa đổi mật khẩu được cấp" if one.must_change else "hoạt động"


def _known_place(connection: Connection, one: Person) -> None:
    if one.facility is not None and not registry.facilities(connection, [one.facility]):
        raise ConfigError(f"chưa đăng ký cơ sở “{one.facility}”")


def _checked(one: Person) -> Person:
    """As people are kept. Raises ConfigError with every mistake."""
    one = replace(one, name=clean(one.name), full_name=clean(one.full_name), email=one.email.strip())
    of_facility = {"admin": False, "confirmer": True}.get(one.role, one.facility is not None)
    problems = []
    if not 0 < len(one.name) <= _LONGEST_NAME:
        problems.append(f"tên đăng nhập phải có từ 1 đến {_LONGEST_NAME} ký tự")
    if one.role not in ROLES or of_facility != (one.facility is not None):
        problems.append(f"vai trò không đúng: {one.role} (admin của Sở; confirmer phải kèm cơ sở; reader)")
    if one.email and ("@" not in one.email or clean(one.email) != one.email or " " in one.email):
        problems.append("email không đúng")
    if problems:
        raise ConfigError(problems)
    return one


def _plain(one: Person) -> dict[str, Any]:
    """What the audit keeps of a person."""
    return {key: value for key, value in asdict(one).items() if key not in ("id", "name")}


def _bytes(password: str) -> bytes:
    """NFC: keyboards write the same Vietnamese letter in different ways."""
    return unicodedata.normalize("NFC", password).encode()


@contextmanager
def _turn() -> Iterator[None]:
    if not _in_line.acquire(blocking=False):
        raise BusyError("đang có quá nhiều người đăng nhập cùng lúc: hãy thử lại sau vài giây")
    try:
        yield
    finally:
        _in_line.release()


def _made(password: str) -> str:
    with _hashing:
        return HASHER.hash(_bytes(password))


def _matches(password_hash: str, password: str) -> bool:
    try:
        with _hashing:
            return HASHER.verify(password_hash, _bytes(password))
    except (VerificationError, InvalidHashError):
        return False
