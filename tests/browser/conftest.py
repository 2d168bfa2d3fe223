"""One browser for a module (its event loop must not outlive it), one province for all."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack

import pytest
from playwright.sync_api import Browser, expect

from collector.store.people import Person
from tests.browser.province import Province
from tests.browser.province import province as a_province
from tests.browser.visiting import Screen, Visit, chromium, visiting

Visitor = Callable[..., Visit]
expect.set_options(timeout=20_000)  # a busy machine is slow, not wrong


@pytest.fixture(scope="session")
def province(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Province]:
    """Tests that change something each have a month of their own."""
    with a_province(tmp_path_factory.mktemp("province")) as one:
        yield one


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture
def visit(browser: Browser, province: Province) -> Iterator[Visitor]:
    """`visit(who, screen, script)`: somebody opens the portal; ends with the test."""
    with ExitStack() as stack:

        def open_(who: Person | None, screen: Screen = "desktop", script: bool = True) -> Visit:
            opened: AbstractContextManager[Visit] = visiting(browser, province, who, screen, script)
            return stack.enter_context(opened)

        yield open_
