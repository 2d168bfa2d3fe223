"""Who may do what: the one table of decisions. A route that is not here fails the test.

A route has one or more cases; a case is a request about the own hospital (`OWN`) and the row of what each caller gets.
A row names groups of callers by what they are answered; everybody else gets `otherwise`:

    OK        the status that the case names (200 unless it says so)
    401 …     refused by the API
    "login"   led to the page for logging in
    "password"  led to the page for a new password

To add a page: one line below, with a row that exists or a new one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.security.province import MONTH, OWN, PASSWORD, PEOPLE, Province, callers

OK = "ok"
Outcome = str | int
Row = Mapping[str, Outcome]


def _who(*names: str, by: tuple[str, ...] = ("token", "session")) -> frozenset[str]:
    return frozenset(f"{name} {how}" for name in names for how in by)


def row(otherwise: Outcome, **groups: frozenset[str]) -> Row:
    """What each caller gets. The groups: ok, login, password, and s401, s403, s404 for statuses."""
    named: dict[str, Outcome] = {}
    for outcome, names in groups.items():
        for name in names:
            assert name not in named, name
            named[name] = int(outcome[1:]) if outcome[1:].isdigit() else outcome
    return {name: named.get(name, otherwise) for name in callers()}


TOKEN, SESSION = ("token",), ("session",)
DEPARTMENT, OWNERS, OTHERS = ("admin", "reader"), ("confirmer", "facility reader"), ("other confirmer", "other reader")
MUST_CHANGE = frozenset({"must change session"})
LOGGED_IN = _who(*PEOPLE, by=SESSION)

EVERYBODY = row(OK)
# the single sign-on of a Sở that has none (test_sso.py: one that has)
NOWHERE = row(404)
AGENTS = row(401, ok=frozenset({"agent", "other agent"}))
PROMETHEUS = row(401, ok=frozenset({"prometheus"}))
ALERTMANAGER = row(401, ok=frozenset({"alertmanager"}))
# programs and pages that read the API
READ = row(401, ok=_who(*PEOPLE))
READ_OF_FACILITY = row(401, ok=_who(*DEPARTMENT, *OWNERS), s404=_who(*OTHERS))
READ_OF_DEPARTMENT = row(401, ok=_who(*DEPARTMENT), s404=_who(*OWNERS, *OTHERS))
# a session changes nothing through the API
CONFIRM = row(
    401,
    ok=_who("confirmer", by=TOKEN),
    s403=_who(*DEPARTMENT, "facility reader", by=TOKEN),
    s404=_who(*OTHERS, by=TOKEN),
)
ANSWER = row(
    401,
    ok=_who("admin", "confirmer", by=TOKEN),
    s403=_who("reader", "facility reader", by=TOKEN),
    s404=_who(*OTHERS, by=TOKEN),
)
ENTER = row(
    401,
    ok=_who("admin", by=TOKEN),
    s403=_who("reader", by=TOKEN),
    s404=_who(*OWNERS, *OTHERS, by=TOKEN),
)
# pages: a token opens none
PAGE = row("login", ok=LOGGED_IN, password=MUST_CHANGE)
PAGE_OF_FACILITY = row(
    "login",
    ok=_who(*DEPARTMENT, *OWNERS, by=SESSION),
    s404=_who(*OTHERS, by=SESSION),
    password=MUST_CHANGE,
)
PAGE_OF_DOOR = row("login", ok=LOGGED_IN | MUST_CHANGE)
LOG_OUT = row("login")


Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """A request and what each caller gets.

    `arguments`: the client's (`params`, `json`, `headers` …), or how they come from the province; a form (`data`) is
    sent with the caller's form token. `path`: the parameters of the pattern. `ok`: the statuses that are success.
    """

    row: Row
    arguments: Arguments | Callable[[Province], Arguments] = field(default_factory=dict)
    path: Mapping[str, Callable[[Province], object]] = field(default_factory=dict)
    ok: tuple[int, ...] = (200,)
    is_form: bool = False

    def request(self, province: Province, form_token: str | None) -> dict[str, Any]:
        """The client's arguments."""
        made = dict(self.arguments(province) if callable(self.arguments) else self.arguments)
        return {**made, "data": {**made.get("data", {}), "form_token": form_token or ""}} if self.is_form else made


def case(row: Row, *ok: int, **arguments: Any) -> Case:
    """A request with these arguments."""
    return Case(row, arguments, ok=ok or (200,), is_form="data" in arguments)


def _confirmed(province: Province) -> Arguments:
    return {"json": {"facility": OWN, "period": MONTH, "digest": province.digest(), "decision": "confirm"}}


_FIGURE = {"plan": "so-y-te-2026", "code": "units_inspected", "value": "20", "day": "2026-06-30", "evidence": "BB 12"}
_TOLD = {"json": {"version": "4", "alerts": []}}
_ABOUT = {"facility": OWN}
_FACILITY = {"facility": lambda _: OWN}

DECISIONS: dict[tuple[str, str], list[Case]] = {
    # agents
    ("POST", "/api/v1/tallies"): [case(AGENTS, 422, json={})],
    ("GET", "/api/v1/digests"): [case(AGENTS, params={"from": "2026-01-01", "to": "2026-12-31"})],
    ("GET", "/api/v1/catalogue"): [case(EVERYBODY)],
    ("POST", "/api/v1/enrolments"): [case(EVERYBODY, 422, json={})],
    # Prometheus, Alertmanager, who watches the process
    ("GET", "/metrics"): [case(PROMETHEUS)],
    ("POST", "/api/v1/alerts"): [case(ALERTMANAGER, **_TOLD)],
    ("GET", "/healthz"): [case(EVERYBODY)],
    ("GET", "/readyz"): [case(EVERYBODY)],
    ("GET", "/openapi.json"): [case(EVERYBODY)],
    ("HEAD", "/openapi.json"): [case(EVERYBODY)],
    # people's programs
    ("GET", "/api/v1/facilities"): [case(READ)],
    ("GET", "/api/v1/standings"): [case(READ), case(READ_OF_FACILITY, params=_ABOUT)],
    ("GET", "/api/v1/scopes"): [case(READ_OF_DEPARTMENT)],
    ("GET", "/api/v1/tallies"): [
        case(READ),
        case(READ_OF_FACILITY, params=_ABOUT),
        case(READ, headers={"Accept": "text/csv"}),
        case(READ_OF_FACILITY, params=_ABOUT, headers={"Accept": "text/csv"}),
    ],
    ("GET", "/api/v1/alerts"): [case(READ), case(READ_OF_FACILITY, params=_ABOUT)],
    ("POST", "/api/v1/alerts/{alert_id}/answer"): [
        Case(ANSWER, {"json": {"answer": "Đang sửa"}}, {"alert_id": lambda province: province.alert()})
    ],
    ("GET", "/api/v1/manual"): [case(READ_OF_DEPARTMENT)],
    ("POST", "/api/v1/manual"): [case(ENTER, 201, json=_FIGURE)],
    ("GET", "/api/v1/confirmations"): [case(READ_OF_FACILITY, params={**_ABOUT, "period": MONTH})],
    ("POST", "/api/v1/confirmations"): [Case(CONFIRM, _confirmed)],
    # the door
    ("GET", "/login"): [case(EVERYBODY, 200, 303)],
    ("POST", "/login"): [case(EVERYBODY, 303, data={"name": "reader", "password": PASSWORD})],
    ("POST", "/logout"): [case(LOG_OUT, data={})],
    ("GET", "/login/sso"): [case(NOWHERE)],
    ("GET", "/login/sso/callback"): [case(NOWHERE)],
    ("GET", "/password"): [case(PAGE_OF_DOOR)],
    ("POST", "/password"): [case(PAGE_OF_DOOR, 400, data={"new": "x", "again": "y"})],
    ("POST", "/language"): [case(EVERYBODY, 303, data={"language": "vi"})],
    # pages
    ("GET", "/"): [case(PAGE)],
    ("GET", "/facilities/{facility}"): [Case(PAGE_OF_FACILITY, path=_FACILITY)],
    ("GET", "/docs/runbook"): [case(EVERYBODY)],
    # files that everybody may have
    ("GET", "/static"): [case(EVERYBODY)],
    ("GET", "/static/fonts"): [case(EVERYBODY)],
}
FILES = {"/static": "/static/portal.css", "/static/fonts": "/static/fonts/BeVietnamPro-Regular.ttf"}
"""A file of each folder."""
