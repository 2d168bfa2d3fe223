"""A living hospital, or several branches of one, on HisPro: patients come, stay, pay, and are written about.

Its truth is derived from its own list of what happened.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from random import Random

from contract.days import DayRange
from demo.chance import People, about, moments, recent, weighted
from demo.hispro_rows import (
    BILL,
    DAY_PATIENT,
    DEPOSIT,
    EMR_TABLES,
    EXAM,
    HIS_TABLES,
    INPATIENT,
    METHODS,
    OUTPATIENT,
    REFUND,
    Document,
    DocumentType,
    PayForm,
    Transaction,
    Treatment,
    day_of,
    number14,
    record_state,
)
from demo.rows import Database
from demo.truth import Sums, Truth

MEASURES = ("payments", "payment_amount", "receipts", "records", "record_documents")
PAY_FORMS = {
    "01": "Tiền mặt (mặc định)",
    "TM": "Tiền mặt",
    "CK": "Chuyển khoản",
    "THE": "Thẻ khám bệnh",
    "QUET_THE": "Quẹt thẻ",
    "TMCK": "Tiền mặt và chuyển khoản",
    "TMQT": "Tiền mặt và quẹt thẻ",
    "QR": "Mã QR",
    "VI_MOI": "Ví mới, chưa ai khai báo",
}
_FORM_IDS = {code: number for number, code in enumerate(PAY_FORMS, 1)}
_FORM_CODES = {number: code for code, number in _FORM_IDS.items()}
_CASH = {"01": 3.0, "TM": 6.0, "TMCK": 0.8, "TMQT": 0.4, None: 0.1}
_CASHLESS = {"CK": 3.0, "THE": 0.5, "QUET_THE": 1.5, "QR": 5.0, "TMCK": 0.5, "VI_MOI": 0.1}
DOCUMENT_TYPES = {
    "01": "Bệnh án",
    "02": "Tờ điều trị",
    "03": "Phiếu chăm sóc",
    "04": "Tóm tắt hồ sơ bệnh án",
    "05": "Giấy ra viện",
    "06": "Phiếu in nội bộ",
}
_UNSIGNED_TYPE = 6
_DOCTOR, _HEAD = "MARK-BS-ky1", "MARK-BS-ky2"


@dataclass(frozen=True)
class Branch:
    """One BRANCH_ID and the habits of its people. Cases are a day, the rest are shares."""

    id: int
    facility: str | None
    """The facility it is registered as; None for one that nobody counts for."""
    exams: float
    admissions: float
    sundays: float = 0.3
    electronic: float = 0.8
    cashless: float = 0.6
    invoiced: float = 0.9


@dataclass(slots=True, eq=False)
class _Stay:
    treatment: Treatment
    branch: Branch
    leaves: date
    on_paper: bool
    deposits: Decimal = Decimal(0)


class HisPro:
    """Two SQLite files in `directory`, his_rs.sqlite and emr_rs.sqlite, to be attached as schemas of those names."""

    def __init__(self, directory: Path, branches: tuple[Branch, ...], random: Random, late_days: int) -> None:
        self.happened: Counter[str] = Counter()
        self._random = random
        self._late_days = late_days
        self._branches = {branch.id: branch for branch in branches}
        self._people = People(directory.name)
        self._numbers = count(1)
        self._treatments: dict[int, Treatment] = {}
        self._exams: list[Treatment] = []
        self._closed: list[Treatment] = []
        self._staying: list[_Stay] = []
        self._transactions: list[Transaction] = []
        self._documents: list[Document] = []
        self._documents_of: defaultdict[str, list[Document]] = defaultdict(list)
        self._database = Database(
            {
                "his_rs": (directory / "his_rs.sqlite", HIS_TABLES),
                "emr_rs": (directory / "emr_rs.sqlite", EMR_TABLES),
            }
        )
        self._database.keep(*(PayForm(_FORM_IDS[code], code, name) for code, name in PAY_FORMS.items()))
        self._database.keep(
            *(DocumentType(at, code, name) for at, (code, name) in enumerate(DOCUMENT_TYPES.items(), 1))
        )

    # ------------------------------------------------------------------ life

    def live(self, day: date, until: datetime) -> None:
        """Live one day of history, up to `until`."""
        for at, act in sorted(self._plan(day), key=lambda planned: planned[0]):
            if at <= until:
                act(at)
        self._database.write()

    def step(self, now: datetime, pace: float) -> None:
        """A moment of the running day; `pace` is about how many examinations it brings to the largest branch."""
        largest = max(branch.exams for branch in self._branches.values())
        for branch in self._branches.values():
            share = pace * branch.exams / largest
            for _ in range(about(self._random, share)):
                self._exam(branch, now)
            if self._random.random() < share / 3:
                self._admit(branch, now)
        for stay in self._chosen(self._staying, pace):
            self._discharge(stay, now)
        for stay in self._chosen(self._staying, 2 * pace):
            self._write_about(stay.treatment, 2, now, fresh=0.7)
        for _ in range(about(self._random, 2 * pace)):
            self._sign(now)
        self._correct(now, pace)
        self._database.write()

    def close(self) -> None:
        """Let the files go."""
        self._database.close()

    def _plan(self, day: date) -> Iterator[tuple[datetime, Callable[[datetime], None]]]:
        for branch in self._branches.values():
            factor = branch.sundays if day.isoweekday() == 7 else 1.0
            yield from ((at, partial(self._exam, branch)) for at in self._moments(day, branch.exams * factor))
            yield from ((at, partial(self._admit, branch)) for at in self._moments(day, branch.admissions * factor))
        for stay in list(self._staying):
            if stay.leaves <= day:
                yield from ((at, partial(self._discharge, stay)) for at in self._moments(day, 1)[:1])
            else:
                act = partial(self._write_about, stay.treatment, 2)
                yield from ((at, act) for at in self._moments(day, 0.0 if stay.on_paper else 1.0))

    def _moments(self, day: date, expected: float) -> list[datetime]:
        return moments(self._random, day, expected)

    def _chosen(self, stays: list[_Stay], expected: float) -> list[_Stay]:
        there = [stay for stay in stays if self._branches[stay.branch.id].facility is not None]
        return self._random.sample(there, min(len(there), about(self._random, expected / 3)))

    def _exam(self, branch: Branch, at: datetime) -> None:
        """An examination: registered, paid for, perhaps written about, over."""
        treatment = self._register(branch, EXAM, at)
        treatment.out_time, treatment.is_pause = treatment.in_time, 1
        self._exams.append(treatment)
        if self._random.random() < 0.03:
            self._sell_medicine(at)
        if self._random.random() < 0.8:
            # A patient fully covered by insurance pays 0: no payment, and nothing to invoice.
            price = Decimal(0) if self._random.random() < 0.15 else self._price(400_000)
            self._bill(treatment, branch, price, at)
        if self._random.random() < 0.15 * branch.electronic:
            self._write_about(treatment, 2, at)

    def _admit(self, branch: Branch, at: datetime) -> None:
        kind = weighted(self._random, {INPATIENT: 7, DAY_PATIENT: 2, OUTPATIENT: 1})
        treatment = self._register(branch, kind, at)
        leaves = at.date() + timedelta(days=self._random.randint(1, 2 if kind == DAY_PATIENT else 8))
        stay = _Stay(treatment, branch, leaves, on_paper=self._random.random() > branch.electronic)
        self._staying.append(stay)
        if not stay.on_paper:
            self._write_about(treatment, 1, at)
        if self._random.random() < 0.7:
            self._deposit(stay, at)

    def _discharge(self, stay: _Stay, at: datetime) -> None:
        self._staying.remove(stay)
        treatment = stay.treatment
        treatment.out_time, treatment.is_pause = number14(at), 1
        self._closed.append(treatment)
        self._database.keep(treatment)
        if not stay.on_paper:
            self._write_about(treatment, 4, at)
            self._write_about(treatment, 5, at)
        if self._random.random() < 0.95:
            price = self._price(6_000_000)
            self._bill(treatment, stay.branch, price, at, carried=min(stay.deposits, price))
            if stay.deposits > price:
                self._transact(treatment, stay.branch, REFUND, stay.deposits - price, at)

    def _register(self, branch: Branch, kind: int, at: datetime) -> Treatment:
        number, person = next(self._numbers), self._people.next()
        insured = self._random.random() < 0.85
        treatment = Treatment(
            id=number,
            treatment_code=f"{number:012}",
            branch_id=branch.id,
            tdl_treatment_type_id=kind,
            in_time=number14(at),
            tdl_patient_name=person.name,
            tdl_patient_cccd_number=person.cccd if self._random.random() < 0.9 else None,
            tdl_patient_phone=person.phone,
            tdl_hein_card_number=person.card if insured else None,
        )
        self._treatments[number] = treatment
        self._database.keep(treatment)
        return treatment

    # ----------------------------------------------------------------- money

    def _price(self, most: int) -> Decimal:
        # A share of 20 % leaves fractions of a đồng, which only the day's sum may round.
        return Decimal(self._random.randrange(most // 20, most)) * self._random.choice((Decimal("0.2"), Decimal(1)))

    def _deposit(self, stay: _Stay, at: datetime) -> None:
        deposit = Decimal(self._random.randrange(5, 40) * 100_000)
        stay.deposits += deposit
        self._transact(stay.treatment, stay.branch, DEPOSIT, deposit, at)

    def _bill(self, treatment: Treatment, branch: Branch, price: Decimal, at: datetime, carried: Decimal | None = None) -> None:
        bill = self._transact(treatment, branch, BILL, price, at)
        bill.kc_amount = carried
        left = price - (carried or 0)
        if self._random.random() < 0.04:
            bill.exemption = left * self._random.choice((Decimal("0.5"), Decimal(1)))
        elif self._random.random() < 0.03:
            bill.tdl_bill_fund_amount = left * Decimal("0.5")
        if self._random.random() < branch.invoiced:
            self._invoice(bill)
        self._split(bill)

    def _transact(self, treatment: Treatment, branch: Branch, kind: int, amount: Decimal, at: datetime) -> Transaction:
        form = weighted(self._random, _CASHLESS if self._random.random() < branch.cashless else _CASH)
        number = next(self._numbers)
        transaction = Transaction(
            id=number,
            transaction_code=f"{number:012}",
            transaction_time=number14(at),
            transaction_type_id=kind,
            pay_form_id=None if form is None else _FORM_IDS[form],
            amount=amount,
            treatment_id=treatment.id,
            tdl_treatment_code=treatment.treatment_code,
            tdl_patient_name=treatment.tdl_patient_name,
        )
        fate = self._random.random()
        transaction.is_cancel = 1 if fate < 0.02 else None
        transaction.is_delete = int(0.02 <= fate < 0.03)
        self._split(transaction)
        self._transactions.append(transaction)
        self._database.keep(transaction)
        return transaction

    def _split(self, transaction: Transaction) -> None:
        """What of a mixed payment was not cash: a part, or (as people type it) more than was due, or nothing at all."""
        paid = transaction.amount * self._random.choice((Decimal("0.2"), Decimal("0.6"), Decimal(1)))
        paid_or_not = None if self._random.random() < 0.05 else paid
        code = _FORM_CODES.get(transaction.pay_form_id or 0)
        transaction.transfer_amount = paid_or_not if code == "TMCK" else None
        transaction.swipe_amount = paid_or_not if code == "TMQT" else None

    def _invoice(self, bill: Transaction) -> None:
        bill.einvoice_num_order = f"{bill.id:08}"
        bill.is_cancel_einvoice = 1 if self._random.random() < 0.01 else None

    def _sell_medicine(self, at: datetime) -> None:
        number, person = next(self._numbers), self._people.next()
        sale = Transaction(
            number, f"{number:012}", number14(at), BILL, _FORM_IDS["TM"], self._price(200_000), None, None, person.name
        )
        sale.sale_type_id = 1
        self._transactions.append(sale)
        self._database.keep(sale)

    # ------------------------------------------------------------- documents

    def _write_about(self, treatment: Treatment, type_id: int, at: datetime, fresh: float = 0.02) -> None:
        """A new document; `fresh` is the chance that it still waits for a signature."""
        number = next(self._numbers)
        fate = weighted(self._random, {"signed": 1 - fresh, "waiting": fresh, "scanned": 0.02, "none": 0.02})
        document = Document(
            id=number,
            document_code=f"{number:012}",
            document_type_id=_UNSIGNED_TYPE if fate == "none" else type_id,
            document_name=f"{DOCUMENT_TYPES[f'{type_id:02}']} {treatment.tdl_patient_name}",
            treatment_code=treatment.treatment_code,
            create_date=number14(at),
        )
        if fate == "signed":
            document.signers = _DOCTOR
        elif fate == "waiting":
            document.next_signer, document.un_signers = _DOCTOR, f"{_DOCTOR},{_HEAD}"
        elif fate == "scanned":
            document.is_capture = 1
        document.is_delete = int(self._random.random() < 0.01)
        self._documents.append(document)
        self._documents_of[treatment.treatment_code].append(document)
        self._database.keep(document)

    def _sign(self, now: datetime) -> None:
        """The next signer of a document signs: it is signed only when nobody is left to."""
        document = self._recent_document(now, "waiting")
        if document is None:
            return
        if document.next_signer == _DOCTOR and self._random.random() < 0.4:
            document.signers, document.next_signer, document.un_signers = _DOCTOR, _HEAD, _HEAD
        else:
            document.signers, document.next_signer, document.un_signers = f"{_DOCTOR},{_HEAD}", None, None
            self._note("document signed" if self._is_today(document.create_date, now) else "old document signed")
        self._database.keep(document)

    def _recent_document(self, now: datetime, state: str) -> Document | None:
        return recent(
            self._random,
            self._documents,
            lambda one: one.state == state and not one.is_delete and self._is_open(one.create_date, now),
        )

    # ----------------------------------------------------------- corrections

    def _correct(self, now: datetime, pace: float) -> None:
        """Late corrections, each of them now and then."""
        for correction in (
            self._cancel_payment,
            self._delete_payment,
            self._change_method,
            self._issue_late_invoice,
            self._cancel_invoice,
            self._move_record,
            self._reopen_record,
            self._delete_treatment,
            self._reject_document,
            self._delete_document,
        ):
            if self._random.random() < 0.15 * pace:
                correction(now)

    def _cancel_payment(self, now: datetime) -> None:
        if payment := self._old_payment(now, lambda one: one.net > 0):
            payment.is_cancel = 1
            self._note("payment cancelled", payment)

    def _delete_payment(self, now: datetime) -> None:
        if payment := self._old_payment(now, lambda one: one.net > 0):
            payment.is_delete = 1
            self._note("payment deleted", payment)

    def _change_method(self, now: datetime) -> None:
        if payment := self._old_payment(now, lambda one: one.net > 0):
            payment.pay_form_id = _FORM_IDS["QR" if payment.pay_form_id == _FORM_IDS["TM"] else "TM"]
            self._split(payment)
            self._note("payment method changed", payment)

    def _issue_late_invoice(self, now: datetime) -> None:
        if bill := self._old_payment(now, lambda one: one.receipt == "not_invoiced"):
            bill.einvoice_num_order, bill.is_cancel_einvoice = f"{bill.id:08}", None
            self._note("receipt invoiced late", bill)

    def _cancel_invoice(self, now: datetime) -> None:
        if bill := self._old_payment(now, lambda one: one.receipt == "invoiced"):
            bill.is_cancel_einvoice = 1
            self._note("invoice of a receipt cancelled", bill)

    def _move_record(self, now: datetime) -> None:
        if record := recent(self._random, self._closed, lambda one: self._is_old_record(one, now)):
            # The hour is kept; the day is any that the agents still read again.
            day = now.date() - timedelta(days=self._random.randint(0, self._late_days))
            record.out_time = int(day.strftime("%Y%m%d")) * 10**6 + (record.out_time or 0) % 10**6
            self._note("record moved", record)

    def _reopen_record(self, now: datetime) -> None:
        if record := recent(self._random, self._closed, lambda one: self._is_old_record(one, now)):
            record.out_time = record.is_pause = None
            self._closed.remove(record)
            branch = self._branches[record.branch_id]
            on_paper = not self._documents_of[record.treatment_code]
            self._staying.append(_Stay(record, branch, now.date(), on_paper))
            self._note("record reopened", record)

    def _delete_treatment(self, now: datetime) -> None:
        """A record opened by mistake goes, with its documents; its money is cancelled apart."""
        if record := recent(self._random, self._closed, lambda one: self._is_old_record(one, now)):
            documents = self._documents_of[record.treatment_code]
            if all(self._is_open(document.create_date, now) for document in documents):
                record.is_delete = 1
                for document in documents:
                    document.is_delete = 1
                self._note("record deleted", record, *documents)

    def _reject_document(self, now: datetime) -> None:
        if document := self._recent_document(now, "waiting"):
            document.rejecter = document.next_signer
            self._note("document rejected", document)

    def _delete_document(self, now: datetime) -> None:
        if document := self._recent_document(now, "signed"):
            document.is_delete = 1
            self._note("document deleted", document)

    def _old_payment(self, now: datetime, fits: Callable[[Transaction], bool]) -> Transaction | None:
        return recent(
            self._random,
            self._transactions,
            lambda one: one.valid
            and self._is_open(one.transaction_time, now)
            and not self._is_today(one.transaction_time, now)
            and fits(one),
        )

    def _is_old_record(self, record: Treatment, now: datetime) -> bool:
        return record.closed_record and record.out_time is not None and self._is_open(record.out_time, now)

    def _is_open(self, number: int, now: datetime) -> bool:
        """Recent enough to be corrected: the agents read these days again at every poll."""
        return day_of(number) >= now.date() - timedelta(days=self._late_days)

    @staticmethod
    def _is_today(number: int, now: datetime) -> bool:
        return day_of(number) == now.date()

    def _note(self, what: str, *rows: object) -> None:
        self.happened[what] += 1
        self._database.keep(*rows)

    # ----------------------------------------------------------------- truth

    def truth(self, days: DayRange) -> Truth:
        """The counts of `days`, from what happened here."""
        sums = Sums(days)
        sums.expect((one.facility for one in self._branches.values() if one.facility), MEASURES)
        for transaction in self._transactions:
            self._count_transaction(transaction, sums)
        for treatment in self._treatments.values():
            self._count_treatment(treatment, sums)
        return sums.truth()

    def _count_transaction(self, transaction: Transaction, sums: Sums) -> None:
        if not transaction.valid or transaction.treatment_id is None:
            return
        facility = self._branches[self._treatments[transaction.treatment_id].branch_id].facility
        day = day_of(transaction.transaction_time)
        if facility is None or day not in sums.days:
            return
        if transaction.receipt is not None:
            sums.add(facility, "receipts", day, transaction.receipt)
        if transaction.net > 0:
            code = _FORM_CODES.get(transaction.pay_form_id or 0)
            sums.add(facility, "payments", day, METHODS.get(code or "", "unknown"))
            for category, amount in transaction.parts(code).items():
                sums.add(facility, "payment_amount", day, category, amount)

    def _count_treatment(self, treatment: Treatment, sums: Sums) -> None:
        facility = self._branches[treatment.branch_id].facility
        if facility is None:
            return
        documents = self._documents_of.get(treatment.treatment_code, [])
        if treatment.closed_record and treatment.out_time is not None:
            sums.add(facility, "records", day_of(treatment.out_time), record_state(documents))
        for document in documents:
            if not document.is_delete and document.state is not None:
                sums.add(facility, "record_documents", day_of(document.create_date), document.state)
