"""Every change leaves a line in the audit: each command and route is tried, each function that writes is looked at."""

import ast
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from click.testing import CliRunner
from fastapi.routing import APIRoute

from collector import sheets
from collector.__main__ import main
from collector.audit import WORDS
from collector.confirm import closed
from collector.people import SESSION_COOKIE
from collector.store import people as stored
from collector.store import registry, uploads
from collector.store.people import OPERATOR, Change, Person
from contract.days import local_day, now
from tests.browsing import Page, enter
from tests.office import Office, a_source, a_tally, bearer, serving

TODAY = local_day(now())
YESTERDAY = TODAY - timedelta(days=1)
LAST_MONTH = closed(now())[-1]
PLAN = """
issuer = "Sở Y tế"
title = "Kế hoạch"
short = "Kế hoạch"
first_day = 2020-01-01
last_day = 2099-12-31
[[manual]]
code = "units"
vi = "Kiểm tra"
en = "Inspections"
value = 20
section = "I"
words = "20 %"
"""
LIST = "id,name,level\n12009,Phòng khám,clinic\n"


def lines(office: Office) -> list[Change]:
    with office.store.read() as connection:
        return stored.changes(connection, most=10_000)


# --- commands

COMMANDS: dict[str, tuple[str, ...]] = {
    "manual set": ("plan", "units", "20,5", "--day", str(YESTERDAY), "--evidence", "Biên bản", "--person", "Lan Anh"),
    "facility add": ("12001", "--name", "Bệnh viện", "--level", "province"),
    "facility import": ("list.csv",),
    "facility pause": ("12001", "--from", "2026-12-20", "--to", "2026-12-25", "--reason", "chuyển máy"),
    "facility merge": ("12009", "12001", "--day", str(TODAY)),
    "facility unmerge": ("12009",),
    "enrol-code": ("12001",),
    "token revoke": ("{agent}",),
    "source rename": ("12001", "his", "his2"),
    "source move": ("12001", "his2", "--agent", "{other}"),
    "source retire": ("12001", "his2", "--last-day", str(YESTERDAY)),
    "user add": ("lan", "--role", "reader"),
    "user password": ("lan",),
    "user disable": ("lan",),
    "restore": ("{copy}",),
}
"""In an order in which each can be done."""
CHANGE_NOTHING = {
    *("init", "migrate", "serve", "plan check", "manual list", "report", "facility list", "user list", "backup"),
    *("export", "prune"),
}
"""They read, or write files beside the database; prune removes what has run out by its own rule."""


def commands(group: click.Group, prefix: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}"


def test_every_command_that_changes_something_says_so_in_the_audit(tmp_path: Path) -> None:
    config, data = tmp_path / "collector.toml", tmp_path / "data"
    (tmp_path / "plan.toml").write_text(PLAN, "utf-8")
    config.write_text('[collector]\ndata_dir = "data"\nplan_files = ["plan.toml"]\n')
    (tmp_path / "list.csv").write_text(LIST, "utf-8")
    data.mkdir()
    office = Office(f"sqlite:///{data / 'collector.sqlite'}", data)
    office.register("12001", name="Cơ sở")
    his, other = office.speaker("12001"), office.speaker("12001")
    office.push(his, [a_tally(YESTERDAY)], at=now())
    copy = tmp_path / "copy"

    def run(*arguments: str) -> None:
        done = CliRunner().invoke(main, ["--config", str(config), *arguments])
        assert done.exit_code == 0, (arguments, done.output, done.exception)

    run("backup", str(copy))
    for name, arguments in COMMANDS.items():
        before = 0 if name == "restore" else len(lines(office))
        names = {
            "{agent}": his.agent,
            "{other}": other.agent,
            "{copy}": str(copy),
            "list.csv": str(tmp_path / "list.csv"),
        }
        run(*name.split(), *(names.get(one, one) for one in arguments))
        found = lines(office)
        assert len(found) > before, f"{name} leaves no line in the audit"
        assert found[0].person == ("Lan Anh" if name == "manual set" else OPERATOR), name
    assert lines(office)[0].action == "store_restored"
    unknown = set(commands(main)) - COMMANDS.keys() - CHANGE_NOTHING
    assert unknown == set(), "say here what these commands do, and try those that change something"
    office.store.close()


# --- routes


class Desk:
    """A served office, an administrator and a confirmer who have logged in, and programs with their tokens."""

    def __init__(self, office: Office, http: httpx.Client) -> None:
        self.office = office
        self.base = http.base_url
        self.tokens = {name: office.people.add(one, now()) for name, one in PEOPLE.items()}
        self.clients = {name: httpx.Client(base_url=self.base, trust_env=False, timeout=60) for name in PEOPLE}
        self.forms = {name: enter(office, client, name).form_token for name, client in self.clients.items()}

    def form(self, name: str, path: str, /, **fields: Any) -> httpx.Response:
        """Send a form as this person."""
        files = fields.pop("files", None)
        data = {"form_token": self.forms[name], **fields}
        return self.clients[name].post(path, data=data, files=files)

    def shown(self, name: str, path: str) -> dict[str, str]:
        """The hidden fields of a page."""
        found = Page(self.clients[name].get(path)).every("input")
        return {one["name"]: one["value"] for one in found if one.get("type") == "hidden" and one["name"] != "next"}

    def api(self, name: str, path: str, body: Any) -> httpx.Response:
        """Call as this person's program."""
        return httpx.post(f"{self.base}{path}", json=body, headers=bearer(self.tokens[name]), trust_env=False)

    def person(self, name: str) -> int:
        with self.office.store.read() as connection:
            return stored.named(connection, name).person.id


PEOPLE = {
    "sep": Person("sep", "admin", None, "Sếp"),
    "an": Person("an", "confirmer", "12001", "An"),
    "binh": Person("binh", "reader", "12001", "Bình"),
    "chi": Person("chi", "confirmer", "12002", "Chi"),
    "em": Person("em", "confirmer", "12003", "Em"),
}


def _confirm_by_api(desk: Desk) -> httpx.Response:
    query = {"facility": "12002", "period": LAST_MONTH}
    seen = httpx.get(
        f"{desk.base}/api/v1/confirmations", params=query, headers=bearer(desk.tokens["chi"]), trust_env=False
    ).json()
    return desk.api("chi", "/api/v1/confirmations", {**query, "digest": seen["digest"], "decision": "confirm"})


def _confirm_by_page(desk: Desk) -> httpx.Response:
    path = f"/facilities/12001/confirmations/{LAST_MONTH}"
    choices = Page(desk.clients["an"].get(path)).every("input")
    right = {one["name"]: "right" for one in choices if one.get("name", "").startswith("answer")}
    return desk.form("an", path, **{**desk.shown("an", path), **right, "decision": "confirm"})


def _tell(desk: Desk) -> int:
    alert = {
        "status": "firing",
        "labels": {"alertname": "FacilitySilent", "facility": "12001", "severity": "warning"},
        "startsAt": now().isoformat(),
        "fingerprint": f"f{len(lines(desk.office))}",
    }
    told = httpx.post(f"{desk.base}/api/v1/alerts", json={"version": "4", "alerts": [alert]}, trust_env=False)
    assert told.status_code == 200
    found = httpx.get(f"{desk.base}/api/v1/alerts", headers=bearer(desk.tokens["an"]), trust_env=False)
    return int(found.json()["alerts"][0]["id"])


def _take_sheet(desk: Desk) -> httpx.Response:
    content = f"Lần nộp tiền của người bệnh\nNgày;Tiền mặt;Mã QR\n{YESTERDAY:%d/%m/%Y};30;70".encode()
    with desk.office.store.read() as connection:
        (one,) = registry.facilities(connection, ["12003"])
    said = sheets.read(one, (), content, desk.office.catalogue, "em", now())
    with desk.office.store.write() as connection:
        kept = uploads.add(connection, said)
    path = f"/facilities/12003/sheets/{kept}"
    return desk.form("em", path, **desk.shown("em", path))


def _end_deputy(desk: Desk) -> httpx.Response:
    return desk.form("an", "/confirmations/deputies/1/end", facility="12001")


def _pause(desk: Desk) -> int:
    with desk.office.store.read() as connection:
        return registry.pauses(connection, ["12001"])[0].id


ROUTES: dict[str, Callable[[Desk], httpx.Response]] = {
    "/api/v1/enrolments": lambda desk: httpx.post(
        f"{desk.base}/api/v1/enrolments",
        json={"code": desk.office.access.make_code(["12001"], None, now())},
        trust_env=False,
    ),
    "/api/v1/manual": lambda desk: desk.api(
        "sep", "/api/v1/manual", {"plan": "plan", "code": "units", "value": 5, "day": str(TODAY), "evidence": "x"}
    ),
    "/api/v1/alerts/{alert_id}/answer": lambda desk: desk.api(
        "an", f"/api/v1/alerts/{_tell(desk)}/answer", {"answer": "Đang sửa"}
    ),
    "/api/v1/confirmations": _confirm_by_api,
    "/facilities/{facility}/confirmations/{period}": _confirm_by_page,
    "/facilities/{facility}/alerts/{alert}/answer": lambda desk: desk.form(
        "an", f"/facilities/12001/alerts/{_tell(desk)}/answer", answer="Đang sửa", text="Đang sửa"
    ),
    "/facilities/{facility}/sheets/{upload}": _take_sheet,
    "/confirmations/deputies": lambda desk: desk.form(
        "an", "/confirmations/deputies", facility="12001", who="binh", first=str(TODAY), last=str(TODAY)
    ),
    "/confirmations/deputies/{number}/end": _end_deputy,
    "/manual/{plan}/{code}": lambda desk: desk.form(
        "sep", "/manual/plan/units", value="6", day=f"{TODAY:%d/%m/%Y}", evidence="Biên bản"
    ),
    "/admin/facilities/new": lambda desk: desk.form(
        "sep", "/admin/facilities/new", id="12005", name="Mới", level="clinic"
    ),
    "/admin/facilities/import": lambda desk: desk.form(
        "sep", "/admin/facilities/import", files={"file": ("list.csv", LIST.encode())}
    ),
    "/admin/facilities/{facility}/change": lambda desk: desk.form(
        "sep", "/admin/facilities/12005/change", name="Tên mới", level="clinic"
    ),
    "/admin/facilities/{facility}/days": lambda desk: desk.form(
        "sep", "/admin/facilities/12005/days", active_from="2026-01-01"
    ),
    "/admin/facilities/{facility}/code": lambda desk: desk.form(
        "sep", "/admin/facilities/12005/code", bhxh_code="12905"
    ),
    "/admin/facilities/{facility}/pauses": lambda desk: desk.form(
        "sep", "/admin/facilities/12001/pauses", first=str(TODAY), last=str(TODAY), reason="lụt"
    ),
    "/admin/facilities/{facility}/pauses/{pause}/remove": lambda desk: desk.form(
        "sep", f"/admin/facilities/12001/pauses/{_pause(desk)}/remove"
    ),
    "/admin/facilities/{facility}/merge": lambda desk: desk.form(
        "sep", "/admin/facilities/12009/merge", into="12001", day=str(TODAY)
    ),
    "/admin/facilities/{facility}/unmerge": lambda desk: desk.form("sep", "/admin/facilities/12009/unmerge"),
    "/admin/people/new": lambda desk: desk.form("sep", "/admin/people/new", name="dung", kind="reader"),
    "/admin/people/{person_id}/change": lambda desk: desk.form(
        "sep", f"/admin/people/{desk.person('dung')}/change", kind="admin"
    ),
    "/admin/people/{person_id}/password": lambda desk: desk.form(
        "sep", f"/admin/people/{desk.person('dung')}/password"
    ),
    "/admin/people/{person_id}/token": lambda desk: desk.form("sep", f"/admin/people/{desk.person('dung')}/token"),
    "/admin/people/{person_id}/disable": lambda desk: desk.form("sep", f"/admin/people/{desk.person('dung')}/disable"),
    "/admin/agents/code": lambda desk: desk.form("sep", "/admin/agents/code", facilities="12001"),
    "/admin/sources/{source}/rename": lambda desk: desk.form("sep", "/admin/sources/1/rename", name="his2"),
    "/admin/sources/{source}/move": lambda desk: desk.form(
        "sep", "/admin/sources/1/move", agent=desk.office.speaker("12001").agent
    ),
    "/admin/sources/{source}/retire": lambda desk: desk.form("sep", "/admin/sources/1/retire", last_day=str(TODAY)),
    "/admin/agents/{agent}/revoke": lambda desk: desk.form(
        "sep", f"/admin/agents/{desk.office.source('12002').agent}/revoke"
    ),
}
"""By path, in an order in which each can be done."""
NOT_A_PERSONS_CHANGE = {
    "/api/v1/tallies": "agents push",
    "/api/v1/alerts": "Alertmanager tells",
    "/login": "a wrong password changes nothing; a log-in has its line (test_people.py)",
    "/logout": "ends the caller's own session",
    "/password": "has its line (test_people.py)",
    "/language": "a cookie",
    "/facilities/{facility}/sheets": "a preview: nothing counts before it is taken",
    "/reports": "a file to read",
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    directory = tmp_path_factory.mktemp("audit")
    (directory / "plan.toml").write_text(PLAN, "utf-8")
    office = Office(f"sqlite:///{directory / 'collector.sqlite'}", directory)
    office.register("12001", "12002", "12003", at=now() - timedelta(days=100))
    for one in ("12001", "12002"):
        days = [YESTERDAY - timedelta(days=n) for n in range(70)]
        agent = office.speaker(one)
        office.push(
            agent,
            [a_tally(day, facility=one, counts={"qr": 9, "cash": 1}) for day in days],
            [a_source(facilities=[one], read_at=now().isoformat())],
            at=now(),
        )
    with serving(office.app(plan_files=(directory / "plan.toml",))) as http:
        desk = Desk(office, http)
        yield desk
        for client in desk.clients.values():
            client.close()
    office.store.close()


def routes(found: list[Any]) -> Iterator[tuple[str, str]]:
    """(method, path) of all that is served, also of routers inside others."""
    for one in found:
        inner = getattr(one, "original_router", None)
        if inner is not None:
            assert one.include_context.prefix == ""
            yield from routes(inner.routes)
        elif isinstance(one, APIRoute):
            yield from ((method, one.path) for method in one.methods or ())


def test_every_route_that_changes_something_says_so_in_the_audit(desk: Desk) -> None:
    writing = {path for method, path in routes(desk.office.app().routes) if method not in ("GET", "HEAD", "OPTIONS")}
    assert {"/api/v1/tallies", "/admin/people/new"} <= writing
    assert writing - ROUTES.keys() - NOT_A_PERSONS_CHANGE.keys() == set(), "try these routes here"
    for path, act in ROUTES.items():
        before = len(lines(desk.office))
        answer = act(desk)
        assert answer.status_code in (200, 201, 303), (path, answer.status_code, answer.text[-1500:])
        found = lines(desk.office)
        assert len(found) > before, f"{path} leaves no line in the audit"
        assert found[0].person in {*PEOPLE, found[0].subject}, path  # an agent enrols itself
    secrets = json.dumps([(one.before, one.after) for one in lines(desk.office)])
    assert not any(token in secrets for token in desk.tokens.values())
    assert not any(client.cookies[SESSION_COOKIE] in secrets for client in desk.clients.values())


def test_every_action_has_a_name(desk: Desk) -> None:
    actions = {one.action for one in lines(desk.office)} | set(noted_literally())
    assert actions - WORDS.keys() == set()


# --- functions that write

# functions that leave the line themselves, by the names under which they are called
NOTE = {"signatures.add", "lives.answer", "manual.enter", "sheets.accept"}
WRITES_WITHOUT_A_LINE = {
    "access.py: apply_revocations": "what was revoked before",
    "alerts.py: _keep": "Alertmanager tells",
    "ingest.py: _taken": "agents push",
    "pages/reporting.py: ask": "a file to read",
    "pages/sheets.py: _sheet_page": "looks, while no push can change what it sees",
    "pages/sheets.py: send_sheet": "a preview: nothing counts before it is taken",
    "people.py: forget_sessions": "sessions that have run out",
    "people.py: log_out": "the caller's own session",
    "people.py: session": "a session is used",
    "reminders.py: _send": "a mail was sent",
    "retention.py: _batch": "one of many that `forget` tells of",
    "roads.py: freeze": "worked out",
    "sheets.py: forget": "previews that nobody took",
    "sources.py: _changing": "retire, rename and move tell of it (test_ownership.py)",
}
AT_WORK_BY_ITSELF = ("loops.py", "province.py", "throttle.py", "reports/background.py")
"""Modules in which nobody changes anything: leases, what is worked out, counters, files to read."""


def writers() -> Iterator[tuple[str, set[str]]]:
    """`file: function` of all that open a transaction to write, and what they call, also through their own module."""
    folder = Path(__file__).parent
    for file, tree in trees():
        if file.parent.name in ("store", "versions"):
            continue
        functions = {
            node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        for name, node in functions.items():
            here = calls(node)
            if any(one.endswith(".write") and "store" in one for one in here):
                inside = {own for one in here if (own := one.rpartition(".")[2]) in functions and own != name}
                for own in inside:
                    here |= calls(functions[own])
                yield f"{file.relative_to(folder)}: {name}", here


def test_every_function_that_writes_leaves_a_line_or_says_why_not() -> None:
    found = {one: called for one, called in writers() if not one.startswith(AT_WORK_BY_ITSELF)}
    assert len(found) > 20
    silent = {one for one, called in found.items() if not any(c in NOTE or c.endswith("note") for c in called)}
    assert silent - WRITES_WITHOUT_A_LINE.keys() == set()
    assert WRITES_WITHOUT_A_LINE.keys() - silent == set(), "no longer true"


@cache
def trees() -> list[tuple[Path, ast.Module]]:
    """The modules of the collector."""
    files = [file for file in sorted(Path(__file__).parent.rglob("*.py")) if not file.name.startswith("test_")]
    return [(file, ast.parse(file.read_text("utf-8"))) for file in files]


def calls(node: ast.AST) -> set[str]:
    return {ast.unparse(one.func) for one in ast.walk(node) if isinstance(one, ast.Call)}


def noted_literally() -> Iterator[str]:
    """The actions that the code names."""
    for _, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("note", "_note")):
                texts = [one.value for one in node.args if isinstance(one, ast.Constant)]
                yield from (one for one in texts if isinstance(one, str) and "_" in one)
