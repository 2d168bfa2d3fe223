"""A person at a screen: Debian's Chromium, one context a visit, and what the browser complained of."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from collector.people import SESSION_COOKIE
from collector.store.people import Person
from conftest import program
from tests.browser.province import Province

Screen = Literal["desktop", "phone"]
SCREENS: dict[Screen, dict[str, int]] = {
    "desktop": {"width": 1366, "height": 768},
    "phone": {"width": 390, "height": 844},
}
_axe = Axe()
_ASKED = {"resultTypes": ["violations"], "preload": False}


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's; nothing is downloaded. While it is open, this thread has an event loop that runs."""
    with sync_playwright() as playwright:
        # who runs tests in a container is root there, and its /dev/shm is small
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=program("chromium"), args=arguments)
        yield browser
        browser.close()


@dataclass
class Visit:
    """One person's visit. `complaints`: what the browser's console said; `elsewhere`: requests to another host."""

    page: Page
    province: Province
    complaints: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        """To a page that is there."""
        answer = self.page.goto(f"{self.province.url}{path}")
        assert answer is not None and answer.status == 200, (path, answer and answer.status)

    def forgive(self, words: str) -> None:
        """The browser complains of every answer that is an error: of these it was meant to."""
        assert any(words in one for one in self.complaints), self.complaints
        self.complaints[:] = [one for one in self.complaints if words not in one]

    def path(self) -> str:
        """Where the person is, with the query."""
        parts = urlsplit(self.page.url)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    def faults(self) -> list[str]:
        """What axe-core finds serious or critical on this page, and whether one must scroll sideways."""
        found = _axe.run(self.page, options=_ASKED).response["violations"]
        grave = [one for one in found if one["impact"] in ("serious", "critical")]
        told = [f"{one['id']}: {_places(one['nodes'])}" for one in grave]
        if self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            told.append("the page scrolls sideways")
        return told

    def tab_to(self, words: str, most: int = 150) -> None:
        """Press Tab until the focus is on what is named so (its text, or its label)."""
        for _ in range(most):
            self.page.keyboard.press("Tab")
            if words in self.page.evaluate(_FOCUSED):
                return
        raise AssertionError(f"Tab never came to “{words}” on {self.path()}")


# the text of the focused element, or of its label
_FOCUSED = """() => {
  const one = document.activeElement, labels = one.labels || [];
  return [one.innerText, one.ariaLabel, one.value, ...[...labels].map(label => label.innerText)].join(" ");
}"""


def _places(nodes: list[dict[str, Any]]) -> str:
    return "; ".join(f"{one['html'][:120]} ({(one.get('failureSummary') or '')[-160:]})" for one in nodes[:3])


@contextmanager
def visiting(
    browser: Browser, province: Province, who: Person | None, screen: Screen = "desktop", script: bool = True
) -> Iterator[Visit]:
    """Somebody opens the portal; `who` None: has not logged in. Whoever comes back found nothing to complain of."""
    context = browser.new_context(
        viewport=SCREENS[screen],  # type: ignore[arg-type]
        java_script_enabled=script,
        locale="vi-VN",
        accept_downloads=True,
    )
    context.set_default_timeout(30_000)
    try:
        if who is not None:
            _carry(context, province, who)
        visit = Visit(context.new_page(), province)
        _listen(visit)
        yield visit
    finally:
        context.close()
    assert not visit.complaints and not visit.elsewhere, (visit.complaints, visit.elsewhere)


def _carry(context: BrowserContext, province: Province, who: Person) -> None:
    context.add_cookies([{"name": SESSION_COOKIE, "value": province.enter(who).secret, "url": province.url}])


def _listen(visit: Visit) -> None:
    def console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            visit.complaints.append(f"{visit.page.url}: {message.text}")

    visit.page.on("console", console)
    visit.page.on("pageerror", lambda error: visit.complaints.append(f"{visit.page.url}: {error}"))
    visit.page.on(
        "request",
        lambda asked: visit.elsewhere.append(asked.url) if not asked.url.startswith(visit.province.url) else None,
    )
