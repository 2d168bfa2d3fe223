"""Two hospitals and everybody who may call: each caller as the headers that he can show."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from collector import confirm, deputies, evidence, manual, merging
from collector.manual import NewFigure
from collector.people import SESSION_COOKIE, Session
from collector.store import Store, alerts, jobs, registry, tallies, uploads
from collector.store import deputies as stored_deputies
from collector.store import people as stored
from collector.store.people import Person
from collector.store.registry import Merger, Pause
from collector.store.uploads import Upload
from contract import plan
from contract.days import local_day, now
from tests.office import Office, a_source, a_tally, bearer, serving

OWN, OTHER = "saomai", "khuevan"
"""The facility that requests are about, and the other one. The words stand in all that is said of each."""
MERGED = f"{OWN}-cu"
"""One that has become a part of the own."""
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
# What loops write, and what logging in writes.
_RESTLESS = {"baseline", "below", "lease", "month_count", "reminder"} | {"audit", "session", "throttle"}

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
    known: dict[str, object] = field(default_factory=dict)
    """Ids of things of the own hospital: alert, deputy, upload, figure, report, pause, person, source, agent."""
    _before: dict[str, Caller] = field(default_factory=dict)

    def caller(self, name: str, is_new: bool = True) -> Caller:
        """By name: `nobody`, `… token`, `… session`, and the few others of `callers`; `is_new`: with a new session."""
        if is_new or name not in self._before:
            self._before[name] = _CALLERS[name](self)
        return self._before[name]

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
def province(directory: Path, url: str | None = None, **config: Any) -> Iterator[Province]:
    """The collector listens until the end; `url`: of another database than SQLite's; `config`: uvicorn's."""
    office = Office(url or f"sqlite:///{directory / 'collector.sqlite'}", directory)
    for one in (OWN, OTHER, MERGED):
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
    with closing(office.store), serving(app, **config) as http, closing(Store(office.url)) as watching:
        found = Province(office, http, tokens, watching)
        _fill(found)
        yield found


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
        body, headers = {"version": "4", "alerts": [alert]}, one.caller("alertmanager").headers
        assert one.http.post("/api/v1/alerts", json=body, headers=headers).status_code == 200
    _know(one)


def _know(one: Province) -> None:
    """Things of the own hospital that are asked for by an id, each holding its word."""
    office, today = one.office, local_day(NOW)
    admin = stored_person(office, "admin")
    office.people.add(Person("deputy", "reader", OWN), NOW)
    deputies.name(office.store, admin, OWN, "deputy", (today, today), NOW)
    office.people.add(Person("spare", "reader", OWN), NOW)
    merging.merge(office.store, office.catalogue, MERGED, Merger(OWN, today, None), NOW, "admin")
    with office.store.write() as connection:
        report = jobs.add(connection, OWN, MONTH, "csv", "admin", NOW)
        assert jobs.take(connection, "test", NOW, timedelta(days=1)) is not None
        assert jobs.finish(connection, report, "test", NOW, f"{OWN}.csv", OWN.encode())
        registry.add_pause(connection, Pause(OWN, today - timedelta(days=90), today - timedelta(days=90), OWN))
        upload = uploads.add(connection, Upload(0, OWN, "admin", NOW, 1, (), ()))
        shown = evidence.checked("a.pdf", b"%PDF-1.4 " + OWN.encode())
        new = NewFigure.model_validate(
            {"plan": "so-y-te-2026", "code": "units_inspected", "value": "20", "day": "2026-05-31", "evidence": "BB 1"}
        )
        plans = [plan.load([PLANS / "so-y-te-2026.toml"], office.catalogue)[0]]
        manual.enter(connection, plans, new, "admin", NOW, shown)
        one.known |= {
            "alert": next(each.id for each in alerts.alerts(connection, OWN, "open", 1)),
            "deputy": next(each.id for each in stored_deputies.of(connection, [OWN])),
            "upload": upload,
            "figure": 1,
            "report": report,
            "pause": next(each.id for each in registry.pauses(connection, [OWN])),
            "person": stored.named(connection, "spare").person.id,
            "source": next(each.id for each in tallies.sources(connection, [OWN])),
            "agent": one.tokens["revoked agent"].partition(".")[0],
        }


def stored_person(office: Office, name: str) -> Person:
    """Somebody, with their id."""
    with office.store.read() as connection:
        return stored.named(connection, name).person
