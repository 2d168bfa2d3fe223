"""Two hospitals and everybody who may call: each caller as the headers that he can show."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from collector import confirm
from collector.people import SESSION_COOKIE, Session
from collector.store import Store
from collector.store import people as stored
from collector.store.people import Person
from contract.days import local_day, now
from tests.office import Office, a_source, a_tally, bearer, serving

OWN, OTHER = "saomai", "khuevan"
"""The facility that requests are about, and the other one. The words stand in all that is said of each."""
NOW = now()
MONTH = confirm.closed(NOW)[-1]
METRICS, ALERTS = "ma-doc-metrics", "ma-gui-canh-bao"
PASSWORD = "một câu để thử đăng nhập"
PLANS = Path(__file__).parents[2] / "config" / "plans"
PEOPLE = {
    "admin": Person("admin", "admin", None),
    "reader": Person("reader", "reader", None),
    "confirmer": Person("confirmer", "confirmer", OWN),
    "facility reader": Person("facility reader", "reader", OWN),
    "other confirmer": Person("other confirmer", "confirmer", OTHER),
    "other reader": Person("other reader", "reader", OTHER),
}
"""Who may have a personal token and a session, by the name under which the callers are known."""
# What moves by itself, or by logging in.
_RESTLESS = {"session", "audit", "lease", "throttle", "person", "meta"}

Headers = Mapping[str, str]


@dataclass
class Caller:
    """One who calls: what he shows, made anew for each request. `form_token` None: he has no session."""

    headers: dict[str, str] = field(default_factory=dict)
    form_token: str | None = None


@dataclass
class Province:
    """A collector that listens, with something in it to see and to change of both hospitals."""

    office: Office
    http: httpx.Client
    tokens: dict[str, str]
    watching: Store

    def caller(self, name: str) -> Caller:
        """By name: `nobody`, `… token`, `… session`, and the few others of `callers`."""
        return _CALLERS[name](self)

    def session(self, name: str) -> Session:
        """A new session of somebody."""
        with self.office.store.read() as connection:
            account = stored.named(connection, name)
        return self.office.people.open(account, now())

    def digest(self) -> str:
        """Of the month of the own hospital that may be signed."""
        answer = self.http.get(
            "/api/v1/confirmations",
            params={"facility": OWN, "period": MONTH},
            headers=bearer(self.tokens["admin"]),
        )
        return str(answer.json()["digest"])

    def alert(self, facility: str = OWN) -> int:
        """The id of an alert of a hospital."""
        answer = self.http.get("/api/v1/alerts", params={"facility": facility}, headers=bearer(self.tokens["admin"]))
        return int(answer.json()["alerts"][0]["id"])

    def content(self) -> dict[str, list[Any]]:
        """All that is kept, table by table, but for what moves by itself."""
        with self.watching.read() as connection:
            tables = [name for name in sa.inspect(connection).get_table_names() if name not in _RESTLESS]
            return {
                name: sorted(map(repr, connection.execute(sa.text(f"SELECT * FROM {name}")))) for name in sorted(tables)
            }


def callers() -> list[str]:
    """The names of all callers."""
    return list(_CALLERS)


def _token(name: str) -> Callable[[Province], Caller]:
    return lambda province: Caller(dict(bearer(province.tokens[name])))


def _session(name: str) -> Callable[[Province], Caller]:
    def make(province: Province) -> Caller:
        session = province.session(name)
        return Caller({"Cookie": f"{SESSION_COOKIE}={session.secret}"}, session.form_token)

    return make


def _ended(province: Province) -> Caller:
    session = province.session("admin")
    province.office.people.log_out(session)
    return Caller({"Cookie": f"{SESSION_COOKIE}={session.secret}"}, session.form_token)


def _disabled(province: Province) -> Caller:
    """A session of the time before: as a restored backup would hold it."""
    with province.office.store.read() as connection:
        account = stored.named(connection, "gone")
    session = province.office.people.open(account, now())
    return Caller({"Cookie": f"{SESSION_COOKIE}={session.secret}"}, session.form_token)


_CALLERS: dict[str, Callable[[Province], Caller]] = {
    "nobody": lambda _: Caller(),
    "unknown token": lambda _: Caller(dict(bearer("a1b2.khong-co"))),
    "empty token": lambda _: Caller({"Authorization": "Bearer"}),
    "basic": lambda _: Caller({"Authorization": "Basic YWRtaW46YWRtaW4="}),
    "agent": _token("agent"),
    "other agent": _token("other agent"),
    "revoked agent": _token("revoked agent"),
    "prometheus": lambda _: Caller({"Authorization": f"Bearer {METRICS}"}),
    "alertmanager": lambda _: Caller({"Authorization": f"Bearer {ALERTS}"}),
    "disabled token": _token("gone"),
    "disabled session": _disabled,
    "ended session": _ended,
    "unknown session": lambda _: Caller({"Cookie": f"{SESSION_COOKIE}=khong-co"}, "x"),
    "must change session": _session("new"),
    **{f"{name} token": _token(name) for name in PEOPLE},
    **{f"{name} session": _session(name) for name in PEOPLE},
}


@contextmanager
def province(directory: Path, **config: Any) -> Iterator[Province]:
    """The collector listens until the end; `config`: uvicorn's."""
    office = Office(f"sqlite:///{directory / 'collector.sqlite'}", directory)
    for one in (OWN, OTHER):
        since = NOW - timedelta(days=100)
        office.register(one, at=since, name=f"Bệnh viện {one}", area=f"Xã {one}", indicators="cashless,kiosk")
    tokens = {"agent": office.enrol(OWN), "other agent": office.enrol(OTHER), "revoked agent": office.enrol(OWN)}
    office.access.revoke(tokens["revoked agent"].partition(".")[0], NOW)
    tokens |= {name: office.people.add(one, NOW) for name, one in PEOPLE.items()}
    tokens["gone"] = office.people.add(Person("gone", "admin", None), NOW)
    office.people.disable("gone", NOW)
    office.people.add(Person("new", "admin", None), NOW)
    office.people.first_password("new", NOW)
    _with_password(office, "reader")
    app = office.app(metrics_token=METRICS, alerts_token=ALERTS, plan_files=(PLANS / "so-y-te-2026.toml",))
    with serving(app, **config) as http, closing(Store(office.url)) as watching:
        found = Province(office, http, tokens, watching)
        _fill(found)
        yield found
    office.store.close()


def _with_password(office: Office, name: str) -> None:
    first = office.people.first_password(name, NOW)
    office.people.choose_password(office.people.log_in(name, first, NOW), first, PASSWORD, NOW)


def _fill(one: Province) -> None:
    """Figures, sources and alerts of both."""
    today = local_day(NOW)
    for facility, name in ((OWN, "agent"), (OTHER, "other agent")):
        speaker = one.office.access.speaker(one.tokens[name], NOW)
        days = [*confirm.days_of(MONTH), today - timedelta(days=1), today]
        sent = [a_tally(day, facility=facility, source=f"his-{facility}", counts={"cash": 5, "qr": 5}) for day in days]
        source = a_source(
            f"his-{facility}", facilities=[facility], read_at=NOW.isoformat(), error=f"lỗi của {facility}"
        )
        assert one.office.push(speaker, sent, [source], at=NOW).accepted == len(days)
        alert = {
            "status": "firing",
            "labels": {"alertname": "SourceDown", "facility": facility},
            "annotations": {"summary": f"Cảnh báo của {facility}"},
            "startsAt": NOW.isoformat(),
            "fingerprint": f"a{facility}",
        }
        told = one.http.post(
            "/api/v1/alerts", json={"version": "4", "alerts": [alert]}, headers=one.caller("alertmanager").headers
        )
        assert told.status_code == 200


def address(path: str, **parts: object) -> str:
    """A route's pattern with its parameters filled."""
    return path.format(**parts)
