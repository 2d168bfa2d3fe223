"""Every page that people come to by links, at both widths: accessible, silent, alone, no wider than the screen."""

import io
import re
import zipfile
from collections.abc import Iterator
from functools import cache
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from starlette.routing import compile_path

from collector.people import SESSION_COOKIE
from collector.store.people import Person
from tests.browser.conftest import Visitor
from tests.browser.province import ADMIN, CLERK, DIRECTOR, OFFICER, OTHER, OWN, Province
from tests.browser.visiting import SCREENS, Screen
from tests.browsing import BROWSER, Page

pytestmark = pytest.mark.slow


def client(province: Province, who: Person) -> httpx.Client:
    """A program's way to the portal with the session of somebody."""
    cookies = {SESSION_COOKIE: province.enter(who).secret}
    return httpx.Client(base_url=province.url, cookies=cookies, headers=BROWSER, timeout=60, trust_env=False)


def routes(province: Province) -> list[str]:
    """The patterns of all that the app answers to GET, in its order."""
    return [str(one.path) for one in iter_route_contexts(province.app.routes) if "GET" in (one.methods or ())]


def pattern(province: Province, path: str) -> str:
    """The route that answers a path."""
    plain = urlsplit(path).path
    return next((one for one in routes(province) if compile_path(one)[0].match(plain)), plain)


def is_page(answer: httpx.Response) -> bool:
    return str(answer.headers.get("Content-Type", "")).startswith("text/html")


@cache
def reached(province: Province, who: Person) -> dict[str, httpx.Response]:
    """Path → answer, for all that links lead to from the front page; of each route a few, with and without a query."""
    found: dict[str, httpx.Response] = {}
    seen: dict[tuple[str, bool], int] = {}
    with client(province, who) as http:
        waiting = ["/"]
        while waiting:
            path = waiting.pop(0).partition("#")[0]
            kind = (pattern(province, path), "?" in path)
            if path in found or not path.startswith("/") or seen.get(kind, 0) >= 2:
                continue
            seen[kind] = seen.get(kind, 0) + 1
            answer = http.get(path)
            found[path] = answer
            if is_page(answer):
                waiting += sorted(Page(answer).links())
            elif answer.is_redirect:
                waiting.append(answer.headers["Location"])
    return found


def reached_pages(province: Province, who: Person) -> Iterator[str]:
    """One page of each kind that this person comes to by links."""
    kinds = set()
    for path, answer in reached(province, who).items():
        kind = pattern(province, path)
        if answer.status_code == 200 and is_page(answer) and kind not in kinds:
            kinds.add(kind)
            yield path


# the others see the same pages, with less on them
@pytest.mark.parametrize("who", [None, DIRECTOR, ADMIN], ids=lambda who: who.name if who else "nobody")
@pytest.mark.parametrize("screen", SCREENS)
def test_every_page_is_accessible_alone_and_no_wider_than_the_screen(
    visit: Visitor, province: Province, who: Person | None, screen: Screen
) -> None:
    paths = list(reached_pages(province, who)) if who else ["/login"]
    wrong = {}
    visitor = visit(who, screen)
    for path in paths:
        visitor.go(path)
        if faults := visitor.faults():
            wrong[path] = faults
    assert wrong == {}
    assert who is None or len(paths) > 4


def test_no_page_has_a_script(province: Province) -> None:
    for who in (DIRECTOR, ADMIN):
        pages = {path: one for path, one in reached(province, who).items() if is_page(one)}
        assert [path for path, one in pages.items() if Page(one).every("script")] == []


def test_no_link_leads_nowhere(province: Province) -> None:
    for who in (DIRECTOR, CLERK, OFFICER, ADMIN):
        dead = {path: one.status_code for path, one in reached(province, who).items() if one.is_error}
        assert dead == {}, who.name


def text_of(answer: httpx.Response) -> str:
    """What a person can read of an answer: of an office document its XML."""
    if answer.content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(answer.content)) as parcel:
            return " ".join(parcel.read(name).decode("utf-8", "replace") for name in parcel.namelist())
    return answer.text


def test_a_facilitys_people_reach_nothing_of_another_by_any_address(province: Province) -> None:
    others = [one.name for one in province.facilities() if one.id != OWN]
    known = set(reached(province, OFFICER)) | set(reached(province, ADMIN)) | set(of_facility(province, OTHER))
    for who in (DIRECTOR, CLERK):
        with client(province, who) as http:
            answers = {path: http.get(path) for path in sorted(known)}
        for path, answer in answers.items():
            assert answer.status_code in (200, 303, 400, 401, 403, 404, 422), (path, answer.status_code)
            assert [name for name in others if name in text_of(answer)] == [], (who.name, path)
            assert answer.status_code != 200 or f"/{OTHER}" not in path, (who.name, path)
            assert f'"{OTHER}"' not in answer.text, (who.name, path)


def of_facility(province: Province, facility: str) -> Iterator[str]:
    """Every address of a facility that the portal and its API have, whether a link leads there or not."""
    period = province.months[1]
    fill = {"facility": facility, "period": period, "indicator": "emr", "format": "pdf", "kind": "csv"}
    for path in routes(province):
        filled = re.sub(r"{(\w+)(?::\w+)?}", lambda one: fill.get(one[1], "1"), path)
        if "{facility}" in path:
            yield filled
        elif path.startswith(("/api/", "/confirmations", "/reports", "/overview")):
            yield f"{filled}?facility={facility}&period={period}&month={period}&from={period}-01&to={period}-02"
