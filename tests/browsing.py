"""The portal read without a browser: somebody who has logged in, and what a page holds."""

from dataclasses import replace
from html.parser import HTMLParser

import httpx

from collector.people import SESSION_COOKIE, Session
from collector.store import people as stored
from contract.days import now
from tests.office import Office

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
"""What a browser says it takes."""


def enter(office: Office, http: httpx.Client, name: str) -> Session:
    """The client carries from now on the session of this registered person, and says that it is a browser."""
    with office.store.read() as connection:
        account = stored.named(connection, name)
    session = office.people.open(replace(account, must_change=False), now())
    with office.store.write() as connection:
        stored.change(connection, account.person.id, must_change=False)
    http.headers.update(BROWSER)
    http.cookies.set(SESSION_COOKIE, session.secret, http.base_url.host)
    return session


class Page(HTMLParser):
    """The elements of a page, in order, with their attributes."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(answer.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One more element."""
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def every(self, tag: str) -> list[dict[str, str]]:
        """The attributes of each element of this kind."""
        return [found for name, found in self.tags if name == tag]

    def links(self) -> set[str]:
        """Where its links lead, without those inside the page."""
        return {one["href"] for one in self.every("a") if not one["href"].startswith("#")}
