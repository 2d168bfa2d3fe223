"""Which agents may speak: enrolment codes and tokens. What is given out is stored only as a hash."""

import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from collector.store import Store, access, registry
from collector.store.access import Enrolment
from contract.errors import ConfigError, UnauthorisedError

CODE_LIVES = timedelta(days=7)
# Crockford's alphabet: no letter that is read as a digit over the telephone.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class Speaker:
    """An agent that has shown a token in force, and the facilities it may speak for."""

    agent: str
    facilities: frozenset[str]


class Access:
    """Gives out and checks what callers show."""

    def __init__(self, store: Store, revocations: Path) -> None:
        self._store = store
        self._revocations = revocations

    def make_code(self, facilities: Sequence[str], agent: str | None, at: datetime) -> str:
        """A one-time code that lives a week; `agent`: for one that enrols again. Raises ConfigError."""
        with self._store.write() as connection:
            known = {one.id for one in registry.facilities(connection, facilities)}
            problems = [f"chưa đăng ký cơ sở “{one}”" for one in facilities if one not in known]
            if agent is not None and not access.agent_exists(connection, agent):
                problems.append(f"không có agent “{agent}”")
            if problems:
                raise ConfigError(problems)
            code = spoken()
            enrolment = Enrolment(agent, tuple(dict.fromkeys(facilities)))
            access.add_code(connection, hashed(code.replace("-", "")), enrolment, at, at + CODE_LIVES)
        return code

    def enrol(self, code: str, at: datetime) -> tuple[str, str, list[str]]:
        """(agent, token, facilities) for a code that was not used before. Raises UnauthorisedError.

        A token is `agent.secret`, so that an agent knows its own id from it.
        """
        with self._store.write() as connection:
            enrolment = access.use_code(connection, hashed(code.replace("-", "").strip().upper()), at)
            if enrolment is None:
                raise UnauthorisedError("mã ghi danh không đúng, đã dùng hoặc đã hết hạn")
            agent = enrolment.agent or f"a{secrets.token_hex(5)}"
            if enrolment.agent is None:
                access.add_agent(connection, agent, at)
            access.set_facilities(connection, agent, enrolment.facilities)
            token = f"{agent}.{secrets.token_urlsafe(32)}"
            access.add_token(connection, hashed(token), agent, at)
        return agent, token, list(enrolment.facilities)

    def speaker(self, token: str, at: datetime) -> Speaker:
        """Whose token this is; its first use revokes the agent's older ones. Raises UnauthorisedError."""
        token_hash = hashed(token)
        with self._store.read() as connection:
            found = access.agent_of(connection, token_hash)
            facilities = access.facilities_of(connection, found[0]) if found else []
        if found is None:
            raise UnauthorisedError("mã truy cập không đúng hoặc đã bị thu hồi")
        agent, used = found
        if not used:
            with self._store.write() as connection:
                self._remember(access.first_use(connection, token_hash, agent, at))
        return Speaker(agent, frozenset(facilities))

    def revoke(self, agent: str, at: datetime) -> int:
        """Revoke all tokens of an agent, also for databases restored later. Returns how many."""
        with self._store.write() as connection:
            hashes = access.revoke(connection, agent, at)
            self._remember(hashes)
        return len(hashes)

    def apply_revocations(self, at: datetime) -> None:
        """What was revoked stays revoked, whatever backup the database came from."""
        if self._revocations.exists():
            hashes = self._revocations.read_text("ascii").split()
            with self._store.write() as connection:
                access.revoke_hashes(connection, hashes, at)

    def _remember(self, hashes: Sequence[str]) -> None:
        if not hashes:
            return
        self._revocations.parent.mkdir(parents=True, exist_ok=True)
        with self._revocations.open("a", encoding="ascii") as file:
            file.write("".join(f"{one}\n" for one in hashes))
            file.flush()
            os.fsync(file.fileno())


def spoken() -> str:
    """A secret of 80 bits that can be read out and typed: `4T7K-…`, four groups."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))


def hashed(secret: str) -> str:
    """SHA-256: the secrets that we make are random and long, so a slow password hash would add nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()
