"""The oracle: every ack is an obligation, and no count may be anything that no source ever said.

It hears each answer of the collector as the proxy does, also those that the agent never gets to see.
"""

import gzip
import json
import threading
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, NamedTuple

from contract.tally import Counts, Key
from tests.faults.truth import Truth


class Stored(NamedTuple):
    """A tally that the collector shows."""

    key: Key
    revision: int
    counts: Counts


class Difference(NamedTuple):
    """A tally of the collector that is not the truth; None where there is none."""

    key: Key
    truth: Counts | None
    stored: Counts | None


def stored(answer: Mapping[str, Any]) -> list[Stored]:
    """The tallies of `GET /api/v1/tallies`."""
    return [Stored(_key(one), one["revision"], one["counts"]) for one in answer["tallies"]]


class Oracle:
    """May be told things from any thread."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._lock = threading.Lock()
        self._obligations: dict[Key, int] = {}
        self._seen: dict[tuple[Key, int], Counts] = {}
        self.acks = 0
        """Tallies that the collector said it has."""
        self.duplicates = 0
        """Those of them that it had said so before, at that revision."""
        self.broken: dict[str, None] = {}
        """What was lost or invented on the way, in words."""

    def heard(self, sent: bytes, answer: bytes) -> None:
        """A push (gzip) was answered with 200."""
        push, ack = json.loads(gzip.decompress(sent)), json.loads(answer)
        not_taken = {one["index"] for one in (*ack["stale"], *ack["refused"])}
        with self._lock:
            for one in ack["refused"]:
                self.broken[f"refused: {push['tallies'][one['index']]} {one['code']}"] = None
            for index, one in enumerate(push["tallies"]):
                if index not in not_taken:
                    self._oblige(Stored(_key(one), one["revision"], one["counts"]))

    def _oblige(self, one: Stored) -> None:
        self.acks += 1
        known = self._seen.setdefault((one.key, one.revision), one.counts)
        self.duplicates += one.key in self._obligations and self._obligations[one.key] >= one.revision
        self._obligations[one.key] = max(one.revision, self._obligations.get(one.key, 0))
        if known != one.counts:
            self.broken[f"two contents of one revision: {one} and {known}"] = None
        self._hold_to_truth(one)

    def _hold_to_truth(self, one: Stored) -> None:
        if not self._truth.ever_was(one.key, one.counts):
            self.broken[f"invented: {one}"] = None

    def obligations(self) -> dict[Key, int]:
        """The least revision that the collector must have from now on."""
        with self._lock:
            return dict(self._obligations)

    def look(self, obligations: Mapping[Key, int], found: Iterable[Stored]) -> None:
        """What is stored must be at least what was promised before it was looked at, and nothing invented."""
        held = {}
        with self._lock:
            for one in found:
                held[one.key] = one.revision
                self._hold_to_truth(one)
            for key, revision in obligations.items():
                if held.get(key, 0) < revision:
                    self.broken[f"lost: {key} was acked at revision {revision}, stored is {held.get(key)}"] = None

    def differences(self, found: Iterable[Stored]) -> list[Difference]:
        """Where the collector does not say what the sources say now."""
        truth, here = self._truth.now(), {one.key: one.counts for one in found}
        pairs = (Difference(key, truth.get(key), here.get(key)) for key in sorted(truth.keys() | here.keys()))
        return [one for one in pairs if one.truth != one.stored]

    def invented(self, found: Iterable[Stored]) -> int:
        """How many tallies of the collector no source ever held."""
        return sum(not self._truth.ever_was(one.key, one.counts) for one in found)


def _key(row: Mapping[str, Any]) -> Key:
    return Key(row["facility"], row["source"], row["measure"], date.fromisoformat(row["day"]))
