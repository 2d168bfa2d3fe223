"""How the demo shows itself: a live table on a terminal, one plain line now and then elsewhere."""

import time
from collections.abc import Iterable
from types import TracebackType

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table

from contract.days import now
from demo.compare import Line
from demo.config import FACILITIES

_LINE_SECONDS = 10


class Screen:
    """Shows lines while it is open."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._said = 0.0

    def __enter__(self) -> "Screen":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def show(self, lines: list[Line], note: str) -> None:
        """Show where things stand; `note` says what is going on."""
        if self._live:
            self._live.update(table(lines, note), refresh=True)
        elif time.monotonic() - self._said >= _LINE_SECONDS:
            self._said = time.monotonic()
            equal, days = sum(line.days_equal for line in lines), sum(line.days for line in lines)
            self._console.print(f"{now():%H:%M:%S} {note}: {equal}/{days} ngày số liệu đã khớp", highlight=False)


def table(lines: Iterable[Line], note: str) -> Table:
    """One row a facility and measure; a facility without any says so."""
    shown = Table(title=note, title_justify="left", box=SIMPLE_HEAD)
    shown.add_column("Cơ sở")
    shown.add_column("Số đếm")
    for heading in ("Hôm nay, đã đến", "Hôm nay, sự thật", "Ngày khớp"):
        shown.add_column(heading, justify="right")
    by_facility: dict[str, list[Line]] = {id_: [] for id_, *_ in FACILITIES}
    for line in lines:
        by_facility.setdefault(line.facility, []).append(line)
    names = {id_: f"{id_} {name}" for id_, name, *_ in FACILITIES}
    for facility, own in by_facility.items():
        name = names.get(facility, facility)
        for at, line in enumerate(own):
            colour = "green" if line.days_equal == line.days else "yellow"
            shown.add_row(
                "" if at else name,
                line.measure,
                _number(line.arrived_today),
                _number(line.truth_today),
                f"[{colour}]{line.days_equal}/{line.days}[/]",
            )
        if not own:
            shown.add_row(name, "chưa có agent", "–", "–", "–")
    return shown


def _number(count: int | None) -> str:
    return "–" if count is None else f"{count:,}".replace(",", ".")
