"""The check-in log of a hospital's own kiosk: a table that no vendor knows, beside the HIS."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from itertools import count
from pathlib import Path
from random import Random

from contract.days import DayRange
from demo.chance import People, about, fitting, moments, weighted
from demo.hispro.rows import day_of, number14
from demo.rows import Database, Table
from demo.truth import Sums, Truth

MEASURES = ("checkins", "checkins_insured")
METHODS = {
    "QR": "cccd_qr",
    "CHIP": "cccd_chip",
    "VNEID": "vneid",
    "VSSID": "vssid",
    "THE": "insurance_card",
    "TAY": "manual",
    "KHONG": "no_id",
}
# None: the kiosk could not tell. VI_MOI: something new that nobody has mapped yet.
_USED = {"QR": 40, "CHIP": 10, "VNEID": 15, "VSSID": 8, "THE": 12, "TAY": 10, "KHONG": 2, None: 2, "VI_MOI": 1}


@dataclass(slots=True)
class Checkin:
    """One patient at the kiosk."""

    id: int
    in_time: int
    method: str | None
    insured: int
    patient_name: str
    cccd: str
    phone: str


class Kiosk:
    """`kiosk_checkin` in `file`, a database that others write to as well; `checkins` of them a day."""

    def __init__(self, file: Path, facility: str, checkins: float, random: Random) -> None:
        self.happened: Counter[str] = Counter()
        self._facility = facility
        self._expected = checkins
        self._random = random
        self._people = People("kiosk")
        self._numbers = count(1)
        self._checkins: list[Checkin] = []
        self._database = Database({"his_rs": (file, (Table("kiosk_checkin", Checkin, ("in_time",)),))})

    def live(self, day: date, until: datetime) -> None:
        """Live one day of history, up to `until`."""
        factor = 0.3 if day.isoweekday() == 7 else 1.0
        for at in moments(self._random, day, self._expected * factor):
            if at <= until:
                self._check_in(at)
        self._database.write()

    def step(self, now: datetime, pace: float) -> None:
        """A moment of the running day, which brings about `pace` patients."""
        for _ in range(about(self._random, pace)):
            self._check_in(now)
        if self._random.random() < 0.1 * pace:
            self._tell_later(now)
        self._database.write()

    def truth(self, days: DayRange) -> Truth:
        """The counts of `days`."""
        sums = Sums(days)
        sums.expect([self._facility], MEASURES)
        for one in self._checkins:
            category = METHODS.get(one.method or "", "unknown")
            sums.add(self._facility, "checkins", day_of(one.in_time), category)
            if one.insured:
                sums.add(self._facility, "checkins_insured", day_of(one.in_time), category)
        return sums.truth()

    def close(self) -> None:
        """Let the file go."""
        self._database.close()

    def _check_in(self, at: datetime) -> None:
        person, method = self._people.next(), weighted(self._random, _USED)
        insured = int(self._random.random() < 0.85)
        one = Checkin(next(self._numbers), number14(at), method, insured, person.name, person.cccd, person.phone)
        self._checkins.append(one)
        self._database.keep(one)

    def _tell_later(self, now: datetime) -> None:
        """Somebody fills in how a patient of the last days was identified."""
        yesterday = now.date().toordinal() - 1
        one = fitting(
            self._random,
            self._checkins,
            lambda one: one.method is None and day_of(one.in_time).toordinal() >= yesterday,
        )
        if one is not None:
            one.method = "QR"
            self.happened["check-in told later"] += 1
            self._database.keep(one)
