"""What foreign systems could let slip, and where it may end: a mark in every free text that reaches the collector.

An agent sends its own sentences and frequent raw values only (tests/test_privacy.py holds that); here it is taken to
be broken or hostile. The table says where a mark is by design; docs/threat-model.md says why. Anywhere else it is a
leak: above all in metrics, logs, reports, exports, and answers to others.
"""

import io
import json
import logging
import time
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from collector import reports
from collector.letterhead import Letterhead
from collector.reports import periods
from collector.thresholds import Confirmation
from contract.days import local_day, now
from tests.browsing import BROWSER
from tests.office import Office, a_push, a_source, a_tally
from tests.security.province import NOW, OWN, Province, province

PAGES = frozenset({"pages"})
STORED = frozenset({"database"})
WHERE: dict[str, frozenset[str]] = {
    # the agent's sentence about a source that cannot be read: for people of the hospital and of the Sở
    "error": STORED | PAGES,
    # raw values that no mapping knows: for who writes the mapping
    "rawvalue": STORED | PAGES,
    # what the rules say of a facility: Alertmanager tells it, people and programs read it
    "summary": STORED | PAGES | {"api"},
    "description": STORED | PAGES | {"api"},
    "label": STORED | {"api"},
    # what the hospital's IT writes into agent.toml, and the program's own version
    "part": STORED | PAGES,
    "kind": STORED | PAGES | {"metrics"},
    "version": STORED | PAGES | {"metrics"},
    "sourcename": STORED | PAGES | {"metrics"},
}
"""Mark → where it may be. A mark that is not here may be nowhere."""


def mark(name: str) -> str:
    """A text that stands nowhere else, and is a name of letters so that every rule of shape takes it."""
    return f"nguyenvan{name}0912"


def send(here: Province) -> Iterator[httpx.Response]:
    """Marks in all that is sent; the answers."""
    agent, day = here.tokens["agent"].partition(".")[0], local_day(NOW)
    source = a_source(
        mark("sourcename"), kind=mark("kind"), part=mark("part"), facilities=[OWN, mark("facility")], ok=False,
        measures=["payments", mark("measures")], error=mark("error"), failed=[mark("failed")], since=NOW.isoformat(),
        newest_day={mark("newest"): str(day)},
        unmapped={
            OWN: {"payments": {mark("rawvalue"): 12}, mark("unmappedmeasure"): {mark("unmappedvalue"): 1}},
            mark("unmappedfacility"): {"payments": {mark("unmappedother"): 1}},
        },
        unmapped_cases={OWN: {mark("casesmeasure"): 1}},
    )  # fmt: skip
    refused: list[Any] = [
        a_tally(day, facility=OWN, measure=mark("measure")),
        a_tally(day, facility=OWN, counts={mark("category"): 1}),
        a_tally(day, facility=OWN, counts={"cash": mark("count")}),
        a_tally(day, facility=OWN, counts=mark("counts")),
        a_tally(mark("day"), facility=OWN),
        a_tally(day, facility=mark("tallyfacility")),
        a_tally(day, facility=OWN, source=f"{mark('tallysource')} x"),
        a_tally(day, facility=OWN, revision=mark("revision")),
        mark("tally"),
        {mark("key"): mark("value")},
    ]
    body = a_push(
        agent, [a_tally(day, 9, facility=OWN, source=f"his-{OWN}"), *refused], [source], sent_at=NOW.isoformat()
    )
    body["agent"] |= {"version": mark("version"), mark("agentkey"): mark("agentvalue")}
    body[mark("envelopekey")] = mark("envelopevalue")
    yield here.http.post("/api/v1/tallies", json=body, headers=here.caller("agent").headers)
    for wrong in (
        {**body, "agent": {**body["agent"], "id": mark("agentid")}},
        {**body, "agent": {**body["agent"], "sent_at": mark("sentat")}},
        {**body, "sources": [{**source, "cadence": mark("cadence"), "name": f"{mark('name')} x"}]},
        {**body, "sources": [{**source, "unmapped": {mark("shape"): mark("shapes")}}]},
    ):
        yield here.http.post("/api/v1/tallies", json=wrong, headers=here.caller("agent").headers)
    yield from _told(here)
    yield from _asked(here)


def _told(here: Province) -> Iterator[httpx.Response]:
    """By Alertmanager."""
    alert = {
        "status": "firing",
        "labels": {"alertname": "SourceDown", "facility": OWN, "source": mark("label")},
        "annotations": {"summary": mark("summary"), "description": mark("description"), "x": mark("annotation")},
        "startsAt": NOW.isoformat(),
        "fingerprint": "abcdef",
        "generatorURL": mark("url"),
    }
    headers = here.caller("alertmanager").headers
    yield here.http.post("/api/v1/alerts", json={"version": "4", "alerts": [alert]}, headers=headers)
    wrong = {"version": "4", "alerts": [{**alert, "status": mark("status")}], "receiver": mark("receiver")}
    yield here.http.post("/api/v1/alerts", json=wrong, headers=headers)


def _asked(here: Province) -> Iterator[httpx.Response]:
    """By browsers and programs, of which some are answered with an error."""
    http, admin = here.http, here.caller("admin session")
    yield http.post("/api/v1/enrolments", json={"code": mark("code")})
    yield http.get("/api/v1/facilities", headers={"Authorization": f"Bearer {mark('token')}"})
    yield http.get(f"/{mark('path')}", headers={"User-Agent": mark("useragent"), "Referer": mark("referer")})
    for kind in (BROWSER, {}):
        headers = {**admin.headers, **kind}
        yield http.get("/api/v1/standings", params={"window": mark("query"), mark("querykey"): "x"}, headers=headers)
        yield http.get(f"/facilities/{mark('facilitypath')}", headers=headers)
        yield http.get("/confirmations", params={"month": mark("month")[:7], "state": mark("state")}, headers=headers)
        yield http.post("/api/v1/manual", json={mark("manual"): mark("manualvalue")}, headers=headers)
    sheet = f"Cơ sở;Ngày;Số đếm;{mark('heading')}\n{mark('cell')};{mark('cellday')};{mark('cellmeasure')};1\n"
    files = {"file": (f"{mark('filename')}.csv", sheet.encode())}
    data = {"form_token": admin.form_token or ""}
    yield http.post(f"/facilities/{OWN}/sheets", files=files, data=data, headers=admin.headers)
    http.cookies.clear()


def told(here: Province, tmp_path: Path, log: str) -> dict[str, str]:
    """All that the collector keeps and says afterwards, by place."""
    http, admin = here.http, here.caller("admin session").headers
    pages = [
        *("/", "/confirmations", "/manual", "/reports", f"/facilities/{OWN}", f"/facilities/{OWN}/sheets"),
        f"/facilities/{OWN}/indicators/cashless",
        *("/admin", "/admin/sources", "/admin/agents", "/admin/audit", f"/admin/facilities/{OWN}"),
    ]
    api = ("facilities", "standings", "tallies", "alerts", "scopes", "manual", "digests?from=2026-01-01&to=2026-12-31")
    token = here.caller("admin token").headers
    answers = {
        "metrics": [_scraped(here)],
        "pages": [http.get(path, headers={**admin, **BROWSER}) for path in pages],
        "api": [http.get(f"/api/v1/{path}", headers=token) for path in api]
        + [http.get("/api/v1/tallies", headers={**token, "Accept": "text/csv"})],
        "exports": [
            http.get(path, headers=admin)
            for path in ("/overview.csv", "/overview.xlsx", "/confirmations.csv", "/admin/audit.csv")
        ],
    }
    assert {one.status_code for name in ("metrics", "pages", "exports") for one in answers[name]} == {200}
    places = {name: "".join(_text(one.content) for one in found) for name, found in answers.items()}
    places["reports"] = "".join(_text(content) for content in _reports(here.office))
    here.office.store.close()
    kept = [file for file in tmp_path.rglob("*") if file.is_file()]
    places["database"] = "".join(file.read_bytes().decode("utf-8", "replace") for file in kept)
    places["names of files"] = " ".join(map(str, kept))
    places["log"] = log
    return places


def _scraped(here: Province) -> httpx.Response:
    """/metrics once it tells of all that it is to tell; what is of agents comes every five seconds."""
    headers, deadline = here.caller("prometheus").headers, time.monotonic() + 10
    asked = [mark(name) for name, places in WHERE.items() if "metrics" in places]
    while True:
        found = here.http.get("/metrics", headers=headers)
        if all(one in found.text for one in asked) or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def _reports(office: Office) -> Iterator[bytes]:
    period = periods.parse(f"{local_day(now()):%Y}")
    for facility in (None, OWN):
        with office.store.read() as connection:
            report = reports.draw_up(
                connection, office.yardstick, Confirmation(), Letterhead(), period, facility, now() + timedelta(days=1)
            )
        for kind in ("csv", "docx", "xlsx"):
            yield reports.write(report, kind)


def _text(content: bytes) -> str:
    """Also of what is packed in an office file."""
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            content = b"".join(archive.read(name) for name in archive.namelist())
    return content.decode("utf-8", "replace")


def test_what_foreign_systems_say_is_where_the_design_puts_it_and_nowhere_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with province(tmp_path) as here:
        answers = list(send(here))
        assert (answers[0].status_code, answers[0].json()["accepted"]) == (200, 1)
        said = "".join(one.text + json.dumps(dict(one.headers)) for one in answers)
        # what the test's own client logs is not the collector's
        ours = [one.getMessage() for one in caplog.records if one.name.partition(".")[0] not in ("httpx", "httpcore")]
        places = {**told(here, tmp_path, "\n".join(ours)), "answers": said}
    places["log"] += "".join(capfd.readouterr())
    found: dict[str, set[str]] = {}
    for place, text in places.items():
        for piece in text.lower().split("nguyenvan")[1:]:
            name = piece.partition("0912")[0]
            found.setdefault(name if len(name) < 30 else "?", set()).add(place)
    assert found == {name: set(where) for name, where in WHERE.items()}


def test_a_name_that_somebody_mistyped_at_the_door_is_shown_to_nobody_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with province(tmp_path) as here:
        # people type passwords into the field of the name
        answer = here.http.post("/login", data={"name": mark("name"), "password": mark("password")}, headers=BROWSER)
        assert (answer.status_code, mark("password") in answer.text) == (401, False)
        ours = [one.getMessage() for one in caplog.records if one.name.partition(".")[0] not in ("httpx", "httpcore")]
        places = told(here, tmp_path, "\n".join(ours))
    assert [place for place, text in places.items() if "nguyenvan" in text.lower()] == []
