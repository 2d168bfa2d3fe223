"""Life in a hospital on HisPro: patients come, stay, pay, are written about, and leave."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

from contract.days import DayRange
from demo.chance import People, about, moments, weighted
from demo.hispro.corrections import correct, record_as, record_as_cash, sign
from demo.hispro.money import Cashier
from demo.hispro.past import DOCUMENT_TYPES, Branch, Past, Stay
from demo.hispro.rows import DAY_PATIENT, EXAM, INPATIENT, OUTPATIENT, Document, Transaction, Treatment, number14
from demo.truth import Truth

_UNSIGNED_TYPE = 6


class HisPro:
    """A hospital whose databases lie in `directory`: his_rs.sqlite and emr_rs.sqlite, schemas of the same names."""

    def __init__(self, directory: Path, branches: tuple[Branch, ...], random: Random, late_days: int) -> None:
        self._random = random
        self._people = People(directory.name)
        self._past = Past(directory, branches, late_days)
        self._cashier = Cashier(self._past, self._people, random)
        self._were: list[tuple[Transaction, int | None]] = []

    @property
    def happened(self) -> Counter[str]:
        """How often each kind of correction was made."""
        return self._past.happened

    def live(self, day: date, until: datetime) -> None:
        """Live one day of history, up to `until`."""
        for at, act in sorted(self._plan(day), key=lambda planned: planned[0]):
            if at <= until:
                act(at)
        self._past.write()

    def step(self, now: datetime, pace: float) -> None:
        """A moment of the running day; `pace` is about how many examinations it brings to the largest branch."""
        largest = max(branch.exams for branch in self._past.branches.values())
        for branch in self._past.branches.values():
            share = pace * branch.exams / largest
            for _ in range(about(self._random, share)):
                self._exam(branch, now)
            if self._random.random() < share / 3:
                self._admit(branch, now)
        for stay in self._some(self._past.staying, pace / 3):
            self._discharge(stay, now)
        for stay in self._some(self._past.staying, pace / 2):
            self._write_about(stay.treatment, 2, now, fresh=0.7)
        for _ in range(about(self._random, pace)):
            sign(self._past, self._random, now)
        correct(self._past, self._random, now, pace)
        self._past.write()

    def drop_cashless(self, now: datetime) -> None:
        """A late correction makes cash of what was paid without it on the days that may still be corrected."""
        self._were += record_as_cash(self._past, now)
        self._past.write()

    def restore_cashless(self) -> None:
        """Another one says that the first was a mistake."""
        record_as(self._past, self._were)
        self._were.clear()
        self._past.write()

    def truth(self, days: DayRange) -> Truth:
        """The counts of `days`."""
        return self._past.truth(days)

    def close(self) -> None:
        """Let the files go."""
        self._past.close()

    def _plan(self, day: date) -> Iterator[tuple[datetime, Callable[[datetime], None]]]:
        for branch in self._past.branches.values():
            factor = branch.sundays if day.isoweekday() == 7 else 1.0
            yield from ((at, partial(self._exam, branch)) for at in moments(self._random, day, branch.exams * factor))
            yield from (
                (at, partial(self._admit, branch)) for at in moments(self._random, day, branch.admissions * factor)
            )
        for stay in list(self._past.staying):
            if day.isoweekday() == 7 and not stay.branch.sundays:
                continue
            if stay.leaves <= day:
                yield from ((at, partial(self._discharge, stay)) for at in moments(self._random, day, 1)[:1])
            elif not stay.on_paper:
                act = partial(self._write_about, stay.treatment, 2)
                yield from ((at, act) for at in moments(self._random, day, 1))

    def _some(self, stays: list[Stay], expected: float) -> list[Stay]:
        return self._random.sample(stays, min(len(stays), about(self._random, expected)))

    def _exam(self, branch: Branch, at: datetime) -> None:
        """An examination: registered, paid for, perhaps written about, over."""
        treatment = self._register(branch, EXAM, at)
        treatment.out_time, treatment.is_pause = treatment.in_time, 1
        self._cashier.settle_exam(treatment, branch, at)
        if self._random.random() < 0.15 * branch.electronic:
            self._write_about(treatment, 2, at)

    def _admit(self, branch: Branch, at: datetime) -> None:
        kind = weighted(self._random, {INPATIENT: 7, DAY_PATIENT: 2, OUTPATIENT: 1})
        treatment = self._register(branch, kind, at)
        leaves = at.date() + timedelta(days=self._random.randint(1, 2 if kind == DAY_PATIENT else 8))
        stay = Stay(treatment, branch, leaves, on_paper=self._random.random() > branch.electronic)
        self._past.staying.append(stay)
        if not stay.on_paper:
            self._write_about(treatment, 1, at)
        if self._random.random() < 0.7:
            self._cashier.take_deposit(stay, at)

    def _discharge(self, stay: Stay, at: datetime) -> None:
        self._past.staying.remove(stay)
        treatment = stay.treatment
        treatment.out_time, treatment.is_pause = number14(at), 1
        self._past.closed.append(treatment)
        self._past.change(treatment)
        if not stay.on_paper:
            self._write_about(treatment, 4, at)
            self._write_about(treatment, 5, at)
        if self._random.random() < 0.95:
            self._cashier.settle_stay(stay, at)

    def _register(self, branch: Branch, kind: int, at: datetime) -> Treatment:
        number, person = self._past.number(), self._people.next()
        treatment = Treatment(
            id=number,
            treatment_code=f"{number:012}",
            branch_id=branch.id,
            tdl_treatment_type_id=kind,
            in_time=number14(at),
            tdl_patient_name=person.name,
            tdl_patient_cccd_number=person.cccd if self._random.random() < 0.9 else None,
            tdl_patient_phone=person.phone,
            tdl_hein_card_number=person.card if self._random.random() < 0.85 else None,
        )
        self._past.treatments[number] = treatment
        self._past.change(treatment)
        return treatment

    def _write_about(self, treatment: Treatment, type_id: int, at: datetime, fresh: float = 0.02) -> None:
        """A new document; `fresh` is the chance that it still waits for a signature."""
        number = self._past.number()
        fate = weighted(self._random, {"signed": 1 - fresh, "waiting": fresh, "scanned": 0.02, "unsigned": 0.02})
        document = Document(
            id=number,
            document_code=f"{number:012}",
            document_type_id=_UNSIGNED_TYPE if fate == "unsigned" else type_id,
            document_name=f"{DOCUMENT_TYPES[f'{type_id:02}']} {treatment.tdl_patient_name}",
            treatment_code=treatment.treatment_code,
            create_date=number14(at),
            is_capture=1 if fate == "scanned" else None,
            is_delete=int(self._random.random() < 0.01),
        )
        if fate == "signed":
            document.signers = "MARK-BS-1"
        elif fate == "waiting":
            document.next_signer, document.un_signers = "MARK-BS-1", "MARK-BS-1,MARK-BS-2"
        self._past.documents.append(document)
        self._past.documents_of[treatment.treatment_code].append(document)
        self._past.change(document)
