"""Which agents may speak: enrolment codes and tokens. What is given out is stored only as a hash."""

import hashlib
import os
import secrets
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from collector.store import Connection, Store, access, people, registry
from collector.store.access import Enrolment
from collector.store.people import OPERATOR
from collector.throttle import Throttle
from contract.errors import ConfigError, UnauthorisedError

CODE_LIVES = timedelta(days=7)
FAILURES_OF_ADDRESS, FAILURES_OF_ALL = 20, 200
"""Wrong codes a minute from one network address, and from all together."""
NOT_IN_FORCE = "mã truy cập không đúng hoặc đã bị thu hồi"
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
        self._throttle = Throttle(store, "enrol", FAILURES_OF_ADDRESS, FAILURES_OF_ALL)
        self._known: set[str] = set()

    def make_code(self, facilities: Sequence[str], agent: str | None, at: datetime, by: str = OPERATOR) -> str:
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
            said = {"facilities": list(enrolment.facilities), "expires_at": (at + CODE_LIVES).isoformat()}
            where = _only(enrolment.facilities)
            people.note(
                connection, at, by, "code_made", agent or ", ".join(enrolment.facilities), facility=where, after=said
            )
        return code

    def enrol(self, code: str, at: datetime, address: str = "") -> tuple[str, str, list[str]]:
        """(agent, token, facilities) for a code that was not used before.

        A token is `agent.secret`, so that an agent knows its own id from it. Raises UnauthorisedError; BusyError after
        20 wrong codes from one network address in a minute, or 200 from all.
        """
        self._throttle.take(address, at)
        with self._store.write() as connection:
            enrolment = access.use_code(connection, hashed(code.replace("-", "").strip().upper()), at)
            if enrolment is None:
                raise UnauthorisedError("mã ghi danh không đúng, đã dùng hoặc đã hết hạn")
            agent = enrolment.agent or f"a{secrets.token_hex(5)}"
            if enrolment.agent is None:
                access.add_agent(connection, agent, at)
            before = access.facilities_of(connection, agent)
            access.set_facilities(connection, agent, enrolment.facilities)
            # whoever holds a code may use it: the audit knows the agent only
            people.note(
                connection, at, agent, "agent_enrolled", agent, facility=_only(enrolment.facilities),
                before={"facilities": before} if enrolment.agent else None,
                after={"facilities": sorted(enrolment.facilities)},
            )  # fmt: skip
            token = f"{agent}.{secrets.token_urlsafe(32)}"
            access.add_token(connection, hashed(token), agent, at)
        self._throttle.give_back(address, at)
        return agent, token, list(enrolment.facilities)

    def speaker(self, token: str, at: datetime) -> Speaker:
        """Whose token this is; its first use revokes the agent's older ones. Raises UnauthorisedError."""
        found = self.speakers({token}, at).get(token)
        if found is None:
            raise UnauthorisedError(NOT_IN_FORCE)
        return found

    def speakers(self, tokens: Set[str], at: datetime) -> dict[str, Speaker]:
        """The same for several at once; a token that is not in force is left out."""
        by_hash = {hashed(one): one for one in tokens}
        with self._store.read() as connection:
            found = access.speakers(connection, by_hash)
        self._known -= by_hash.keys() - found.keys()
        self._known |= found.keys()
        for token_hash, (agent, used, _) in found.items():
            if not used:
                self._first_use(token_hash, agent, at)
        return {by_hash[one]: Speaker(agent, facilities) for one, (agent, _, facilities) in found.items()}

    def has_known(self, token: str) -> bool:
        """Whether it was in force when it was last asked for here; it may have been revoked since."""
        return hashed(token) in self._known

    def _first_use(self, token_hash: str, agent: str, at: datetime) -> None:
        with self._store.write() as connection:
            replaced = access.first_use(connection, token_hash, agent, at)
            if replaced:
                self._note(connection, at, agent, "token_replaced", agent, len(replaced))
            self._remember(replaced)

    def revoke(self, agent: str, at: datetime, by: str = OPERATOR) -> int:
        """Revoke all tokens of an agent, also for databases restored later. Returns how many."""
        with self._store.write() as connection:
            hashes = access.revoke(connection, agent, at)
            if hashes:
                self._note(connection, at, by, "tokens_revoked", agent, len(hashes))
            self._remember(hashes)
        return len(hashes)

    def apply_revocations(self, at: datetime) -> None:
        """What was revoked stays revoked, whatever backup the database came from."""
        if self._revocations.exists():
            hashes = self._revocations.read_text("ascii").split()
            with self._store.write() as connection:
                access.revoke_hashes(connection, hashes, at)

    def _note(self, connection: Connection, at: datetime, by: str, action: str, agent: str, count: int) -> None:
        where = _only(access.facilities_of(connection, agent))
        people.note(connection, at, by, action, agent, facility=where, before={"tokens": count})

    def _remember(self, hashes: Sequence[str]) -> None:
        if not hashes:
            return
        self._revocations.parent.mkdir(parents=True, exist_ok=True)
        with self._revocations.open("a", encoding="ascii") as file:
            file.write("".join(f"{one}\n" for one in hashes))
            file.flush()
            os.fsync(file.fileno())


def _only(facilities: Sequence[str]) -> str | None:
    """The facility that a line of the audit is of; None when there are several."""
    return facilities[0] if len(facilities) == 1 else None


def spoken() -> str:
    """A secret of 80 bits that can be read out and typed: `4T7K-…`, four groups."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))


def hashed(secret: str) -> str:
    """SHA-256: the secrets that we make are random and long, so a slow password hash would add nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()
