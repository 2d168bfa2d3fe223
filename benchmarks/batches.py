"""What the agents of a province push: batches of 105 tallies, fifteen measures of seven days of one facility each."""

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random

from benchmarks.senders import request
from collector import registry
from collector.store import Store, access
from contract import catalogue
from contract.days import LOCAL, local_day, now

DAYS = 7
_AREAS = 20
_CATALOGUE = catalogue.load()
_ASKED = dict.fromkeys(one.measure for one in _CATALOGUE.indicators.values() if "province" in one.levels)
MEASURES = {one: sorted(_CATALOGUE.measures[one].categories) for one in (*_ASKED, "visits")}
"""Category codes by measure: those that the indicators of a hospital of the province are made from, and one more."""
TALLIES = len(MEASURES) * DAYS


@dataclass(frozen=True)
class Batch:
    """What one facility counted in one week, or the last `days` of it; `week` 0 ends today.

    Another `revision` has other counts.
    """

    facility: str
    week: int
    revision: int = 1
    days: int = DAYS

    def tallies(self) -> Iterator[tuple[str, date, dict[str, int]]]:
        """(measure, day, counts)."""
        chance = Random(f"{self.facility} {self.week} {self.revision}")
        last = local_day(now()) - timedelta(days=DAYS * self.week)
        for n in range(self.days):
            for measure, codes in MEASURES.items():
                yield measure, last - timedelta(days=n), {code: chance.randint(1, 500) for code in codes}

    def push(self, token: str) -> bytes:
        """The request of an agent, as it packs and sends it."""
        at = now().isoformat()
        source: dict[str, object] = {
            "name": "his",
            "kind": "his.sql",
            "role": "count",
            "part": None,
            "from": None,
            "cadence": None,
        }
        source |= {"facilities": [self.facility], "measures": list(MEASURES), "ok": True, "read_at": at, "failed": []}
        source |= {"newest_day": {self.facility: str(local_day(now()))}, "since": None, "error": None}
        rows = [
            {"facility": self.facility, "source": "his", "measure": measure, "day": str(day),
             "revision": self.revision, "counts": counts}
            for measure, day, counts in self.tallies()
        ]  # fmt: skip
        agent = {"id": self.facility, "version": "1.0.0", "sent_at": at, "waiting": TALLIES, "parked": 0}
        body = json.dumps({"agent": agent, "sources": [source], "tallies": rows}, ensure_ascii=False).encode()
        packed = gzip.compress(body, compresslevel=6, mtime=0)
        head = {"Authorization": f"Bearer {token}", "Content_Type": "application/json", "Content_Encoding": "gzip"}
        return request("POST", "/api/v1/tallies", packed, **head)

    def samples(self, stamped: bool) -> bytes:
        """The same counts in Prometheus' text form; the day is a sample's time where it may be, else a label."""
        lines = []
        for measure, day, counts in self.tallies():
            label = "" if stamped else f',day="{day}"'
            end = f" {datetime.combine(day, time(12), LOCAL).timestamp() * 1000:.0f}" if stamped else ""
            labels = f'facility="{self.facility}",source="his",measure="{measure}"{label}'
            lines += [f'nhipso_tally{{{labels},category="{code}"}} {n}{end}\n' for code, n in counts.items()]
        return "".join(lines).encode()


def enrol(store: Store, facilities: int) -> dict[str, str]:
    """Register so many facilities, each with an agent that has spoken before; facility → token."""
    ids, moment = [f"{40_000 + n}" for n in range(facilities)], now()
    cells = [
        {"id": one, "name": f"Bệnh viện số {n}", "level": "province", "area": f"Phường {n % _AREAS}"}
        for n, one in enumerate(ids)
    ]
    registry.register(store, [(one["id"], registry.line(one["id"], one)) for one in cells], _CATALOGUE, moment)
    tokens = {one: f"{one}.{hashlib.sha256(one.encode()).hexdigest()}" for one in ids}
    with store.write() as connection:
        for one, token in tokens.items():
            access.add_agent(connection, one, moment)
            access.set_facilities(connection, one, [one])
            token_hash = hashlib.sha256(token.encode()).hexdigest()
            access.add_token(connection, token_hash, one, moment)
            access.first_use(connection, token_hash, one, moment)
    return tokens
