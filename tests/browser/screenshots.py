"""Pictures of the portal's main pages for docs/: `python -m tests.browser.screenshots` writes docs/screenshots."""

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from collector.store.people import Person
from tests.browser.province import ADMIN, DIRECTOR, OFFICER, OTHER, OWN, Province, province
from tests.browser.visiting import SCREENS, Screen, Visit, chromium, visiting

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
MOST_BYTES = 200_000
HEIGHTS: dict[Screen, int] = {"desktop": 900, "phone": 1300}
"""What is lower on a page is left out of its picture."""

Path_ = Callable[[Province], str]
PAGES: dict[str, tuple[Person | None, Path_]] = {
    "login": (None, lambda _: "/login"),
    "overview": (OFFICER, lambda _: "/"),
    "facility": (OFFICER, lambda _: f"/facilities/{OTHER}"),
    "figure": (OFFICER, lambda _: f"/facilities/{OTHER}/indicators/cashless"),
    "indicator": (OFFICER, lambda _: "/indicators/emr"),
    "months": (OFFICER, lambda _: "/confirmations"),
    "confirm": (DIRECTOR, lambda one: f"/facilities/{OWN}/confirmations/{one.months_before(1)}"),
    "reopened": (DIRECTOR, lambda one: f"/facilities/{OWN}/confirmations/{one.months_before(2)}"),
    "sheets": (DIRECTOR, lambda _: f"/facilities/{OWN}/sheets"),
    "reports": (OFFICER, lambda _: "/reports"),
    "manual": (OFFICER, lambda _: "/manual"),
    "admin": (ADMIN, lambda _: "/admin"),
}


def main() -> None:
    """Write them all. Ends with 1 when one is too large for the docs."""
    FOLDER.mkdir(exist_ok=True)
    large = []
    with TemporaryDirectory() as directory, province(Path(directory)) as one, chromium() as browser:
        one.confirm(DIRECTOR, one.months_before(2))
        one.correct(OWN, one.months_before(2))
        for name, (who, path) in PAGES.items():
            for screen in SCREENS:
                with visiting(browser, one, who, screen) as visit:
                    visit.go(path(one))
                    file = FOLDER / f"{name}-{SCREENS[screen]['width']}.png"
                    photograph(visit, file, HEIGHTS[screen])
                    size = file.stat().st_size
                    sys.stdout.write(f"{file.name}\t{size // 1000} kB\n")
                    large += [file.name] if size > MOST_BYTES else []
    if large:
        sys.exit(f"over {MOST_BYTES // 1000} kB: {', '.join(large)}")


def photograph(visit: Visit, file: Path, most: int) -> None:
    """The page from its top, at most so many pixels of it."""
    width = visit.page.evaluate("document.documentElement.clientWidth")
    height = visit.page.evaluate("document.documentElement.scrollHeight")
    clip = {"x": 0.0, "y": 0.0, "width": float(width), "height": float(min(height, most))}
    visit.page.screenshot(path=file, full_page=True, clip=clip)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
