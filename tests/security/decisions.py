"""Who may do what: the one table of decisions. A route that is not here fails the test.

A route has one or more cases; a case is a request about the own hospital (`OWN`) and the row of what each caller gets.
A row names groups of callers by what they are answered; everybody else gets the first argument:

    ok          a status that the case names (200 unless it says so)
    s403, …     refused with this status
    login       led to the page for logging in
    password    led to the page for a new password

To add a page: one line in DECISIONS, with a row that exists or a new one, and a value in PARTS for each new parameter
of its path. A page that changes something is a `form`: it is sent with the caller's form token.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.security.province import MERGED, MONTH, OWN, PASSWORD, PEOPLE, Province, callers

OK = "ok"
Outcome = str | int
Row = Mapping[str, Outcome]
Arguments = Mapping[str, Any]


def who(*names: str, by: tuple[str, ...] = ("token", "session")) -> frozenset[str]:
    """The callers that these people are."""
    return frozenset(f"{name} {how}" for name in names for how in by)


def row(otherwise: Outcome, **groups: frozenset[str]) -> Row:
    """What each caller gets."""
    named: dict[str, Outcome] = {}
    for outcome, names in groups.items():
        for name in names:
            assert name not in named, name
            named[name] = int(outcome[1:]) if outcome[1:].isdigit() else outcome
    return {name: named.get(name, otherwise) for name in callers()}


TOKEN, SESSION = ("token",), ("session",)
DEPARTMENT, OWNERS, OTHERS = ("admin", "reader"), ("confirmer", "facility reader"), ("other confirmer", "other reader")
MUST_CHANGE = frozenset({"must change session"})
LOGGED_IN = who(*PEOPLE, by=SESSION)
MEMBERS = {OWN: who(*OWNERS) | {"agent"}, "other": who(*OTHERS) | {"other agent"}}

# --- rows of programs: a session reads through the API, and changes nothing
EVERYBODY = row(OK)
NOWHERE = row(404)
AGENTS = row(401, ok=frozenset({"agent", "other agent"}))
PROMETHEUS = row(401, ok=frozenset({"prometheus"}))
ALERTMANAGER = row(401, ok=frozenset({"alertmanager"}))
READ = row(401, ok=who(*PEOPLE))
READ_OF_FACILITY = row(401, ok=who(*DEPARTMENT, *OWNERS), s404=who(*OTHERS))
READ_OF_DEPARTMENT = row(401, ok=who(*DEPARTMENT), s404=who(*OWNERS, *OTHERS))
CONFIRM = row(
    401,
    ok=who("confirmer", by=TOKEN),
    s403=who(*DEPARTMENT, "facility reader", by=TOKEN),
    s404=who(*OTHERS, by=TOKEN),
)
ANSWER = row(
    401,
    ok=who("admin", "confirmer", by=TOKEN),
    s403=who("reader", "facility reader", by=TOKEN),
    s404=who(*OTHERS, by=TOKEN),
)
ENTER = row(401, ok=who("admin", by=TOKEN), s403=who("reader", by=TOKEN), s404=who(*OWNERS, *OTHERS, by=TOKEN))

# --- rows of pages: a token opens none


def page(ok: frozenset[str], s403: frozenset[str] = frozenset(), s404: frozenset[str] = frozenset()) -> Row:
    """Everybody else is led to the door; who must change the password, to that."""
    return row("login", ok=ok, s403=s403, s404=s404, password=MUST_CHANGE)


PAGE = page(LOGGED_IN)
PAGE_OF_FACILITY = page(who(*DEPARTMENT, *OWNERS, by=SESSION), s404=who(*OTHERS, by=SESSION))
PAGE_OF_DEPARTMENT = page(who(*DEPARTMENT, by=SESSION), s404=who(*OWNERS, *OTHERS, by=SESSION))
ADMIN = page(who("admin", by=SESSION), s403=who("reader", by=SESSION), s404=who(*OWNERS, *OTHERS, by=SESSION))
# the confirmers of a facility, and whoever administers
FORM_OF_FACILITY = page(
    who("admin", "confirmer", by=SESSION),
    s403=who("reader", "facility reader", by=SESSION),
    s404=who(*OTHERS, by=SESSION),
)
SIGN = page(
    who("confirmer", by=SESSION),
    s403=who(*DEPARTMENT, "facility reader", by=SESSION),
    s404=who(*OTHERS, by=SESSION),
)
DOOR = row("login", ok=LOGGED_IN | MUST_CHANGE)
LOG_OUT = row("login")

PARTS: Mapping[str, Callable[[Province], object]] = {
    "facility": lambda _: OWN,
    "indicator": lambda _: "cashless",
    "period": lambda _: MONTH,
    "plan": lambda _: "so-y-te-2026",
    "code": lambda _: "units_inspected",
    "alert_id": lambda one: one.known["alert"],
    "alert": lambda one: one.known["alert"],
    "number": lambda one: one.known["deputy"],
    "upload": lambda one: one.known["upload"],
    "figure": lambda one: one.known["figure"],
    "job": lambda one: one.known["report"],
    "pause": lambda one: one.known["pause"],
    "person_id": lambda one: one.known["person"],
    "source": lambda one: one.known["source"],
    "agent": lambda one: one.known["agent"],
    "kind": lambda _: "csv",
    "format": lambda _: "docx",
    "what": lambda _: "change",
}
"""A value for each parameter of a path: something of the own hospital."""


@dataclass(frozen=True)
class Case:
    """A request and what each caller gets.

    `arguments`: the client's (`params`, `json`, `headers` …), or how they come from the province; a form (`data`) is
    sent with the caller's form token. `ok`: the statuses that are success. `parts`: other values than those of PARTS.
    """

    row: Row
    arguments: Arguments | Callable[[Province], Arguments] = field(default_factory=dict)
    ok: tuple[int, ...] = (200,)
    is_form: bool = False
    parts: Mapping[str, str] = field(default_factory=dict)

    def request(self, province: Province, form_token: str | None) -> dict[str, Any]:
        """The client's arguments."""
        made = dict(self.arguments(province) if callable(self.arguments) else self.arguments)
        return {**made, "data": {**made.get("data", {}), "form_token": form_token or ""}} if self.is_form else made

    def path(self, province: Province, pattern: str) -> str:
        """The address that is asked."""
        return pattern.format_map({name: value(province) for name, value in PARTS.items()} | dict(self.parts))


def case(row: Row, *ok: int, **arguments: Any) -> Case:
    """A request with these arguments."""
    return Case(row, arguments, ok or (200,))


def form(row: Row, *ok: int, files: Any = None, **fields: str) -> Case:
    """A form that is sent; as most of them are answered, by leading to another page."""
    return Case(row, {"data": fields, **({} if files is None else {"files": files})}, ok or (303,), True)


def _of(what: str, row: Row) -> Case:
    """A page of several that share a pattern."""
    return Case(row, parts={"what": what})


def _confirmed(province: Province) -> Arguments:
    return {"json": {"facility": OWN, "period": MONTH, "digest": province.digest(), "decision": "confirm"}}


def _form_of_month(province: Province) -> Arguments:
    answers = {f"answer-{code}": "right" for code in ("cashless", "kiosk")}
    return {"data": {**answers, "decision": "confirm", "digest": province.digest(), "figures": "{}"}}


_FIGURE = {"plan": "so-y-te-2026", "code": "units_inspected", "value": "20", "day": "2026-06-30", "evidence": "BB 12"}
_ABOUT = {"facility": OWN}
_CSV = {"Accept": "text/csv"}
_BAD_FILE = {"file": ("x.xlsx", b"no workbook")}

DECISIONS: dict[tuple[str, str], list[Case]] = {
    # agents
    ("POST", "/api/v1/tallies"): [case(AGENTS, 422, json={})],
    ("GET", "/api/v1/digests"): [case(AGENTS, params={"from": "2026-01-01", "to": "2026-12-31"})],
    ("GET", "/api/v1/catalogue"): [case(EVERYBODY)],
    ("POST", "/api/v1/enrolments"): [case(EVERYBODY, 422, json={})],
    # Prometheus, Alertmanager, who watches the process
    ("GET", "/metrics"): [case(PROMETHEUS)],
    ("POST", "/api/v1/alerts"): [case(ALERTMANAGER, json={"version": "4", "alerts": []})],
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
        case(READ, headers=_CSV),
        case(READ_OF_FACILITY, params=_ABOUT, headers=_CSV),
    ],
    ("GET", "/api/v1/alerts"): [case(READ), case(READ_OF_FACILITY, params=_ABOUT)],
    ("POST", "/api/v1/alerts/{alert_id}/answer"): [case(ANSWER, json={"answer": "Đang sửa"})],
    ("GET", "/api/v1/manual"): [case(READ_OF_DEPARTMENT)],
    ("POST", "/api/v1/manual"): [case(ENTER, 201, json=_FIGURE)],
    ("GET", "/api/v1/confirmations"): [case(READ_OF_FACILITY, params={**_ABOUT, "period": MONTH})],
    ("POST", "/api/v1/confirmations"): [Case(CONFIRM, _confirmed)],
    # the door; the single sign-on of a Sở that has none (test_sso.py: of one that has)
    ("GET", "/login"): [case(EVERYBODY, 200, 303)],
    ("POST", "/login"): [form(EVERYBODY, name="reader", password=PASSWORD)],
    ("GET", "/login/sso"): [case(NOWHERE)],
    ("GET", "/login/sso/callback"): [case(NOWHERE)],
    ("POST", "/logout"): [form(LOG_OUT)],
    ("GET", "/password"): [case(DOOR)],
    ("POST", "/password"): [form(DOOR, 400, new="x", again="y")],
    ("POST", "/language"): [form(EVERYBODY, language="vi")],
    # the province and its facilities
    ("GET", "/"): [case(PAGE, 200, 303)],
    ("GET", "/overview.{kind}"): [case(PAGE_OF_DEPARTMENT)],
    ("GET", "/indicators/{indicator}"): [case(PAGE_OF_DEPARTMENT)],
    ("GET", "/indicators/{indicator}/trend.svg"): [case(PAGE_OF_DEPARTMENT)],
    ("GET", "/facilities/{facility}"): [case(PAGE_OF_FACILITY)],
    ("GET", "/facilities/{facility}/indicators/{indicator}"): [case(PAGE_OF_FACILITY)],
    ("GET", "/facilities/{facility}/indicators/{indicator}/share.svg"): [case(PAGE_OF_FACILITY)],
    ("GET", "/facilities/{facility}/indicators/{indicator}/categories.svg"): [case(PAGE_OF_FACILITY)],
    ("POST", "/facilities/{facility}/alerts/{alert}/answer"): [form(FORM_OF_FACILITY, text="Đang sửa")],
    ("GET", "/docs/runbook"): [case(EVERYBODY)],
    # months and their signatures
    ("GET", "/confirmations"): [case(PAGE), case(PAGE_OF_FACILITY, params=_ABOUT)],
    ("GET", "/confirmations.csv"): [case(PAGE)],
    ("GET", "/facilities/{facility}/confirmations/{period}"): [case(PAGE_OF_FACILITY)],
    # it may be signed by then
    ("POST", "/facilities/{facility}/confirmations/{period}"): [Case(SIGN, _form_of_month, (303, 409), True)],
    ("GET", "/facilities/{facility}/confirmations/{period}/sheet.{format}"): [case(PAGE_OF_FACILITY)],
    ("POST", "/confirmations/deputies"): [form(FORM_OF_FACILITY, 400, facility=OWN, first="1/1/2020", last="1/1/2020")],
    ("POST", "/confirmations/deputies/{number}/end"): [form(FORM_OF_FACILITY, facility=OWN)],
    # sheets of hospitals without an agent
    ("GET", "/facilities/{facility}/sheets"): [case(FORM_OF_FACILITY)],
    ("GET", "/facilities/{facility}/sheets/template.xlsx"): [case(FORM_OF_FACILITY)],
    ("POST", "/facilities/{facility}/sheets"): [form(FORM_OF_FACILITY, 400, files=_BAD_FILE)],
    ("GET", "/facilities/{facility}/sheets/{upload}"): [case(FORM_OF_FACILITY)],
    ("POST", "/facilities/{facility}/sheets/{upload}"): [form(FORM_OF_FACILITY, 303, 409, digest="x")],
    # targets that no system tells
    ("GET", "/manual"): [case(PAGE_OF_DEPARTMENT)],
    ("GET", "/manual/{plan}/{code}"): [case(PAGE_OF_DEPARTMENT)],
    ("POST", "/manual/{plan}/{code}"): [form(ADMIN, value="20", day="30/06/2026", evidence="BB 12")],
    ("GET", "/evidence/{figure}"): [case(PAGE_OF_DEPARTMENT)],
    # reports
    ("GET", "/reports"): [case(PAGE)],
    ("POST", "/reports"): [form(PAGE_OF_FACILITY, 400, facility=OWN, period=MONTH)],
    ("GET", "/reports/{job}"): [case(PAGE_OF_FACILITY)],
    ("GET", "/reports/{job}/file"): [case(PAGE_OF_FACILITY)],
    # administration: forms are sent empty, which those who may are told (400)
    **{
        ("GET", f"/admin{path}"): [case(ADMIN)]
        for path in (
            *("", "/facilities", "/facilities/new", "/facilities/import", "/facilities/{facility}"),
            *("/facilities/{facility}/merge", "/facilities/{facility}/pauses"),
            "/facilities/{facility}/pauses/{pause}/remove",
            *("/people", "/people/new", "/people/{person_id}", "/people/{person_id}/change"),
            *("/agents", "/agents/code", "/agents/{agent}", "/agents/{agent}/revoke"),
            *("/sources", "/sources/{source}", "/plans", "/calendar", "/audit", "/audit.csv"),
        )
    },
    **{
        ("POST", f"/admin{path}"): [form(ADMIN, 400)]
        for path in (
            *("/facilities/new", "/facilities/{facility}/change", "/facilities/{facility}/code"),
            *("/facilities/{facility}/merge", "/facilities/{facility}/pauses"),
            *("/people/new", "/people/{person_id}/change", "/agents/code"),
            *("/sources/{source}/retire", "/sources/{source}/rename", "/sources/{source}/move"),
        )
    },
    ("GET", "/admin/facilities/{facility}/{what}"): [_of(one, ADMIN) for one in ("change", "days", "code")],
    ("GET", "/admin/people/{person_id}/{what}"): [_of(one, ADMIN) for one in ("disable", "password", "token")],
    ("GET", "/admin/sources/{source}/{what}"): [_of(one, ADMIN) for one in ("retire", "rename", "move")],
    ("GET", "/admin/facilities/{facility}/unmerge"): [Case(ADMIN, parts={"facility": MERGED})],
    ("POST", "/admin/facilities/{facility}/unmerge"): [
        Case(ADMIN, ok=(303,), is_form=True, parts={"facility": MERGED})
    ],
    ("POST", "/admin/facilities/import"): [form(ADMIN, 400, files=_BAD_FILE)],
    ("POST", "/admin/facilities/{facility}/days"): [form(ADMIN, 303, active_from="", active_to="")],
    ("POST", "/admin/facilities/{facility}/pauses/{pause}/remove"): [form(ADMIN)],
    ("POST", "/admin/people/{person_id}/disable"): [form(ADMIN)],
    ("POST", "/admin/people/{person_id}/password"): [form(ADMIN, 200, 400)],
    ("POST", "/admin/people/{person_id}/token"): [form(ADMIN, 200, 400)],
    ("POST", "/admin/agents/{agent}/revoke"): [form(ADMIN)],
    # files that everybody may have
    ("GET", "/static"): [case(EVERYBODY)],
    ("GET", "/static/fonts"): [case(EVERYBODY)],
}
FILES = {"/static": "/static/portal.css", "/static/fonts": "/static/fonts/BeVietnamPro-Regular.ttf"}
"""A file of each folder."""
