"""A province of five facilities, four of which have a source system that lives; everything it writes is invented."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Protocol

from contract.days import LOCAL, DayRange, local_day
from demo.config import HISPRO_BRANCHES, HISPRO_WITH_KIOSK, OPENHOSPITAL, agent_toml, facilities_csv
from demo.hispro.life import HisPro
from demo.hispro.past import Branch
from demo.invoices import InvoiceFolder
from demo.kiosk import Kiosk
from demo.openhospital import OpenHospital
from demo.truth import Truth

LATE_DAYS = 6
"""Days back that anything but an invoice may be corrected: fewer than the agents read again at every poll."""
COUNTED_DAYS = 35
"""Days of history that an agent reads by itself, if it starts on the day the province is made or the day after."""
_LIVED_DAYS = 42
# About how many of the large hospital's examinations go with one case of each other system.
_PACES = {"12001": 1.0, "12002-12003": 0.6, "12004": 0.5}


class SourceSystem(Protocol):
    """A system of a hospital that lives and knows the truth about itself."""

    @property
    def happened(self) -> Counter[str]:
        """How often each kind of late correction was made."""
        ...

    def live(self, day: date, until: datetime) -> None:
        """Live one day of history, up to `until`."""
        ...

    def step(self, now: datetime, pace: float) -> None:
        """A moment of the running day."""
        ...

    def truth(self, days: DayRange) -> Truth:
        """What truly happened on `days`."""
        ...

    def close(self) -> None:
        """Let the files go."""
        ...


@dataclass(frozen=True)
class Agent:
    """One agent that is to run: the facilities it speaks for and the file that configures it."""

    name: str
    facilities: tuple[str, ...]
    config: Path


@dataclass(frozen=True)
class _Hospital:
    name: str
    facilities: tuple[str, ...]
    url: str
    sources: str
    build: Callable[[Path, Random, float], list[SourceSystem]]

    def found(self, directory: Path, collector: str, poll_minutes: float) -> Agent:
        """Make its folder with the files that configure its agent."""
        folder = directory / self.name
        folder.mkdir()
        config = folder / "agent.toml"
        text = agent_toml(self.facilities, collector, poll_minutes, LATE_DAYS + 1, COUNTED_DAYS, self.sources)
        config.write_text(text, "utf-8")
        (folder / "his.url").write_text(self.url + "\n", "utf-8")
        return Agent(self.name, self.facilities, config)


class Province:
    """Source systems, an agent.toml beside each, and facilities.csv, all in `directory`, which must be empty.

    The same `seed`, `now` and `size` give the same world. `size` multiplies the number of cases.
    `hospitals`: those that live, by the name of their folder; the others are registered and silent. Default: all.
    `step` and `truth` may be called from any thread, by one at a time.
    """

    def __init__(
        self,
        directory: Path,
        now: datetime,
        *,
        seed: int = 1,
        size: float = 1.0,
        collector: str = "http://127.0.0.1:8080",
        poll_minutes: float = 0.05,
        hospitals: Collection[str] | None = None,
    ) -> None:
        self.directory = directory.resolve()
        self.first_day = local_day(now) - timedelta(days=COUNTED_DAYS - 1)
        self.registered_at = now - timedelta(days=_LIVED_DAYS)
        """When the Sở entered the facilities into its registry."""
        self.facilities_csv = self.directory / "facilities.csv"
        self.facilities_csv.write_text(facilities_csv(local_day(now) - timedelta(days=_LIVED_DAYS)), "utf-8")
        self.agents: list[Agent] = []
        self._systems: dict[str, list[SourceSystem]] = {}
        for hospital in (one for one in _HOSPITALS if hospitals is None or one.name in hospitals):
            self.agents.append(hospital.found(self.directory, collector, poll_minutes))
            # Each hospital has its own chance, so that one more system does not change the others.
            chance = Random(f"{seed} {hospital.name}")
            self._systems[hospital.name] = hospital.build(self.directory / hospital.name, chance, size)
        self._live(now.astimezone(LOCAL))

    def step(self, now: datetime, pace: float = 1.0) -> None:
        """A moment of the running day: about `pace` new cases in each system, and now and then a late correction."""
        for name, systems in self._systems.items():
            for system in systems:
                system.step(now.astimezone(LOCAL), pace * _PACES[name])

    def truth(self, days: DayRange) -> Truth:
        """What truly happened on `days`, as it should have arrived; a facility without an agent is absent."""
        truth: Truth = {}
        for systems in self._systems.values():
            for system in systems:
                truth |= system.truth(days)
        return truth

    def days(self, now: datetime) -> DayRange:
        """The days whose truth must arrive by itself."""
        return DayRange(self.first_day, local_day(now))

    def hispro(self, hospital: str) -> HisPro:
        """The HisPro of a hospital that has one, to be meddled with."""
        return next(system for system in self._systems[hospital] if isinstance(system, HisPro))

    @property
    def happened(self) -> Counter[str]:
        """How often each kind of late correction was made."""
        return sum((system.happened for systems in self._systems.values() for system in systems), Counter())

    def close(self) -> None:
        """Let all files go; they stay where they are."""
        for systems in self._systems.values():
            for system in systems:
                system.close()

    def _live(self, now: datetime) -> None:
        today = local_day(now)
        for day in DayRange(today - timedelta(days=_LIVED_DAYS - 1), today):
            for systems in self._systems.values():
                for system in systems:
                    system.live(day, now)


def _provincial(folder: Path, random: Random, size: float) -> list[SourceSystem]:
    only = Branch(1, "12001", exams=180 * size, admissions=28 * size, electronic=0.85, cashless=0.6, invoiced=0.93)
    return [
        HisPro(folder, (only,), random, LATE_DAYS),
        Kiosk(folder / "his_rs.sqlite", "12001", 300 * size, random),
        InvoiceFolder(folder / "hoadon", "12001", 18 * size, random),
    ]


def _branches(folder: Path, random: Random, size: float) -> list[SourceSystem]:
    branches = (
        Branch(1, "12002", exams=60 * size, admissions=9 * size, electronic=0.97, cashless=0.8, invoiced=0.97),
        Branch(
            2, "12003", exams=25 * size, admissions=3 * size, sundays=0, electronic=0.4, cashless=0.25, invoiced=0.6
        ),
        # A branch that was closed and that nobody mapped: its cases belong to no facility.
        Branch(9, None, exams=1.5 * size, admissions=0.2 * size),
    )
    return [HisPro(folder, branches, random, LATE_DAYS)]


def _regional(folder: Path, random: Random, size: float) -> list[SourceSystem]:
    return [OpenHospital(folder, "12004", 55 * size, random, LATE_DAYS)]


_HOSPITALS = (
    _Hospital("12001", ("12001",), "sqlite://", HISPRO_WITH_KIOSK, _provincial),
    _Hospital("12002-12003", ("12002", "12003"), "sqlite://", HISPRO_BRANCHES, _branches),
    _Hospital("12004", ("12004",), "sqlite:///openhospital.sqlite", OPENHOSPITAL, _regional),
)
