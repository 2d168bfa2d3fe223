"""A hospital under test: its sources, and the agent.toml that reads them."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from random import Random

from contract.days import DayRange
from tests.faults.sources import His, Invoices
from tests.faults.truth import Truth

# Agents read the last eight days at every poll; sources change the last five, so that midnight may pass meanwhile.
REREAD_DAYS, CHANGED_DAYS = 7, 5


def changing(today: date) -> DayRange:
    """The days that may still change."""
    return DayRange.ending(today, CHANGED_DAYS)


class Hospital:
    """`directory`, which it makes, with a HIS and, where it is of one facility, a folder of invoices."""

    def __init__(
        self, directory: Path, facilities: Sequence[str], collector: str, truth: Truth, today: date, agent: str = ""
    ) -> None:
        """`agent`: more lines for `[agent]`."""
        directory.mkdir()
        self.name = directory.name
        self.config = directory / "agent.toml"
        self.token = directory / "token"
        self.ledger = directory / "data" / "ledger.sqlite"
        self._his = His(directory, facilities, DayRange.ending(today, REREAD_DAYS + 1), truth)
        self._invoices = Invoices(directory, facilities[0], truth) if len(facilities) == 1 else None
        quoted = ", ".join(f'"{one}"' for one in facilities)
        self.config.write_text(
            f"""\
[agent]
facilities = [{quoted}]
collector = "{collector}"
token_file = "token"
data_dir = "data"
reread_days = {REREAD_DAYS}
deep_reread_days = {REREAD_DAYS}
{agent}
{self._his.toml}{self._invoices.toml if self._invoices else ""}""",
            "utf-8",
        )

    @property
    def his_file(self) -> Path:
        """The database of its HIS."""
        return self._his.file

    def change(self, random: Random, days: DayRange) -> None:
        """Something happens in one of its sources on some of `days`, of which the last is today."""
        self._open(days.last)
        if self._invoices and random.random() < 0.3:
            self._invoices.change(random, days)
        else:
            self._his.change(random, days)

    def change_all(self, random: Random, days: DayRange) -> None:
        """Something happens in each of its sources."""
        self._open(days.last)
        self._his.change(random, days)
        if self._invoices:
            self._invoices.change(random, days)

    def _open(self, today: date) -> None:
        self._his.open_days(DayRange.ending(today, REREAD_DAYS + 1))
