"""A living hospital on Open Hospital: outpatient visits, admissions, bills and their payments.

What counts is written down from "Definitions by source" of the design, not from the adapter's query.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from random import Random

from contract.days import LOCAL, DayRange
from demo.chance import People, Person, about, fitting, moments
from demo.rows import Database, Table
from demo.truth import Sums, Truth

MEASURES = ("visits", "payments", "payment_amount")


@dataclass(slots=True)
class Patient:
    """oh_patient."""

    pat_id: int
    pat_name: str
    pat_tele: str
    pat_taxcode: str


@dataclass(slots=True)
class OpdVisit:
    """oh_opd."""

    opd_id: int
    opd_date: str
    opd_pat_id: int
    opd_note: str
    opd_active: int = 1


@dataclass(slots=True)
class Admission:
    """oh_admission."""

    adm_id: int
    adm_pat_id: int
    adm_date_adm: str
    adm_date_dis: str | None = None
    adm_deleted: str = "N"
    adm_active: int = 1


@dataclass(slots=True)
class Bill:
    """oh_bills; the status is O (open), C (closed) or D (deleted)."""

    bll_id: int
    bll_date: str
    bll_id_pat: int
    bll_pat_name: str
    bll_status: str
    bll_amount: int
    bll_balance: int
    bll_active: int = 1


@dataclass(slots=True)
class Payment:
    """oh_billpayments; money given back is a negative amount."""

    blp_id: int
    blp_id_bill: int
    blp_date: str
    blp_amount: int
    blp_active: int = 1


_TABLES = (
    Table("oh_patient", Patient),
    Table("oh_opd", OpdVisit, ("opd_date",)),
    Table("oh_admission", Admission, ("adm_date_adm",)),
    Table("oh_bills", Bill),
    Table("oh_billpayments", Payment, ("blp_date",)),
)


class OpenHospital:
    """`directory`/openhospital.sqlite, with about `visits` outpatients a day."""

    def __init__(self, directory: Path, facility: str, visits: float, random: Random, late_days: int) -> None:
        self.happened: Counter[str] = Counter()
        self._facility = facility
        self._expected = visits
        self._random = random
        self._late = timedelta(days=late_days)
        self._people = People(directory.name)
        self._numbers = count(1)
        self._visits: list[OpdVisit] = []
        self._admissions: list[Admission] = []
        self._bills: dict[int, Bill] = {}
        self._payments: list[Payment] = []
        self._database = Database({"oh": (directory / "openhospital.sqlite", _TABLES)})

    def live(self, day: date, until: datetime) -> None:
        """Live one day of history, up to `until`."""
        factor = 0.2 if day.isoweekday() == 7 else 1.0
        for at in moments(self._random, day, self._expected * factor):
            if at <= until:
                self._come(at)
        self._database.write()

    def step(self, now: datetime, pace: float) -> None:
        """A moment of the running day, which brings about `pace` patients."""
        for _ in range(about(self._random, pace)):
            self._come(now)
        for correction in (
            self._drop_visit,
            self._move_visit,
            self._delete_admission,
            self._delete_bill,
            self._drop_payment,
        ):
            if self._random.random() < 0.15 * pace:
                correction(now)
        self._database.write()

    def truth(self, days: DayRange) -> Truth:
        """The counts of `days`."""
        sums = Sums(days)
        sums.expect([self._facility], MEASURES)
        add = partial(sums.add, self._facility)
        for visit in self._visits:
            if visit.opd_active == 1:
                add("visits", _day(visit.opd_date), "outpatient")
        for admission in self._admissions:
            if _stands(admission):
                add("visits", _day(admission.adm_date_adm), "inpatient")
        for payment in self._payments:
            if (
                payment.blp_active == 1
                and payment.blp_amount > 0
                and self._bills[payment.blp_id_bill].bll_status != "D"
            ):
                # Open Hospital does not keep how a bill was paid.
                add("payments", _day(payment.blp_date), "unknown")
                add("payment_amount", _day(payment.blp_date), "unknown", payment.blp_amount)
        return sums.truth()

    def close(self) -> None:
        """Let the file go."""
        self._database.close()

    # Life

    def _come(self, at: datetime) -> None:
        person, number = self._people.next(), next(self._numbers)
        self._database.keep(Patient(number, person.name, person.phone, person.cccd))
        if self._random.random() < 0.12:
            admission = Admission(next(self._numbers), number, _text(at))
            self._admissions.append(admission)
            self._database.keep(admission)
        else:
            visit = OpdVisit(next(self._numbers), _text(at), number, f"MARK-GHICHU {person.name}")
            self._visits.append(visit)
            self._database.keep(visit)
        if self._random.random() < 0.7:
            self._pay(number, person, at)

    def _pay(self, patient: int, person: Person, at: datetime) -> None:
        amount = self._random.randrange(20, 900) * 1_000
        parts = [amount] if self._random.random() < 0.8 else [amount // 2, amount - amount // 2]
        bill = Bill(next(self._numbers), _text(at), patient, person.name, "C", amount, 0)
        if self._random.random() < 0.05:
            parts.append(-amount // 4)
            bill.bll_status, bill.bll_balance = "O", amount // 4
        self._bills[bill.bll_id] = bill
        payments = [Payment(next(self._numbers), bill.bll_id, _text(at), part) for part in parts]
        self._payments += payments
        self._database.keep(bill, *payments)

    # Corrections

    def _drop_visit(self, now: datetime) -> None:
        if visit := fitting(
            self._random, self._visits, lambda one: one.opd_active == 1 and self._late_in(one.opd_date, now)
        ):
            visit.opd_active = 0
            self._note("visit dropped", visit)

    def _move_visit(self, now: datetime) -> None:
        if visit := fitting(
            self._random, self._visits, lambda one: one.opd_active == 1 and self._late_in(one.opd_date, now)
        ):
            visit.opd_date = f"{now.date() - timedelta(days=self._random.choice((0, 1, 2)))}{visit.opd_date[10:]}"
            self._note("visit moved", visit)

    def _delete_admission(self, now: datetime) -> None:
        if admission := fitting(
            self._random, self._admissions, lambda one: _stands(one) and self._late_in(one.adm_date_adm, now)
        ):
            admission.adm_deleted = "Y"
            self._note("admission deleted", admission)

    def _delete_bill(self, now: datetime) -> None:
        if payment := fitting(self._random, self._payments, self._counted_late(now)):
            bill = self._bills[payment.blp_id_bill]
            bill.bll_status = "D"
            self._note("bill deleted", bill)

    def _drop_payment(self, now: datetime) -> None:
        if payment := fitting(self._random, self._payments, self._counted_late(now)):
            payment.blp_active = 0
            self._note("payment dropped", payment)

    def _counted_late(self, now: datetime) -> Callable[[Payment], bool]:
        return lambda one: (
            one.blp_active == 1
            and one.blp_amount > 0
            and self._bills[one.blp_id_bill].bll_status != "D"
            and self._late_in(one.blp_date, now)
        )

    def _late_in(self, time: str, now: datetime) -> bool:
        """Of some days ago, yet recent enough for the agents to read it again at every poll."""
        return now.date() - self._late <= _day(time) < now.date()

    def _note(self, what: str, row: object) -> None:
        self.happened[what] += 1
        self._database.keep(row)


def _stands(admission: Admission) -> bool:
    return admission.adm_deleted == "N" and admission.adm_active == 1


def _text(moment: datetime) -> str:
    return moment.astimezone(LOCAL).strftime("%Y-%m-%d %H:%M:%S")


def _day(time: str) -> date:
    return date.fromisoformat(time[:10])
