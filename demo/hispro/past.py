"""All that has happened in a hospital on HisPro, the two databases that show it, and the truth about it."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

from contract.days import DayRange
from demo.hispro.rows import (
    EMR_TABLES,
    HIS_TABLES,
    METHODS,
    Document,
    DocumentType,
    PayForm,
    Transaction,
    Treatment,
    day_of,
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
FORM_IDS = {code: number for number, code in enumerate(PAY_FORMS, 1)}
FORM_CODES: dict[int | None, str] = {number: code for code, number in FORM_IDS.items()}
DOCUMENT_TYPES = {
    "01": "Bệnh án",
    "02": "Tờ điều trị",
    "03": "Phiếu chăm sóc",
    "04": "Tóm tắt hồ sơ bệnh án",
    "05": "Giấy ra viện",
    "06": "Phiếu in nội bộ",
}


@dataclass(frozen=True)
class Branch:
    """One BRANCH_ID and the habits of its people: cases are a day, the rest are shares."""

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
class Stay:
    """A patient who has not been discharged yet."""

    treatment: Treatment
    branch: Branch
    leaves: date
    on_paper: bool
    deposits: Decimal = Decimal(0)


class Past:
    """Everything that happened, in `directory`/his_rs.sqlite and emr_rs.sqlite and here; rows are kept by reference.

    `late_days` is how many days back anything may still be corrected.
    """

    def __init__(self, directory: Path, branches: tuple[Branch, ...], late_days: int) -> None:
        self.happened: Counter[str] = Counter()
        self.branches = {branch.id: branch for branch in branches}
        self.treatments: dict[int, Treatment] = {}
        self.closed: list[Treatment] = []
        self.staying: list[Stay] = []
        self.transactions: list[Transaction] = []
        self.documents: list[Document] = []
        self.documents_of: defaultdict[str, list[Document]] = defaultdict(list)
        self._late = timedelta(days=late_days)
        self._numbers = count(1)
        self._database = Database(
            {
                "his_rs": (directory / "his_rs.sqlite", HIS_TABLES),
                "emr_rs": (directory / "emr_rs.sqlite", EMR_TABLES),
            }
        )
        self.change(*(PayForm(FORM_IDS[code], code, name) for code, name in PAY_FORMS.items()))
        self.change(*(DocumentType(int(code), code, name) for code, name in DOCUMENT_TYPES.items()))

    def number(self) -> int:
        """The next number for a row."""
        return next(self._numbers)

    def change(self, *rows: object) -> None:
        """These rows are new or have changed."""
        self._database.keep(*rows)

    def note(self, what: str, *rows: object) -> None:
        """A correction `what` was made, and changed these rows."""
        self.happened[what] += 1
        self._database.keep(*rows)

    def write(self) -> None:
        """Let everybody see what happened."""
        self._database.write()

    def close(self) -> None:
        """Let the files go."""
        self._database.close()

    def correctable(self, time: int | None, now: datetime) -> bool:
        """Recent enough to be corrected: the agents read these days again at every poll."""
        return time is not None and day_of(time) >= now.date() - self._late

    def earlier(self, fits: Callable[[Transaction], bool], now: datetime) -> Callable[[Transaction], bool]:
        """The test for a valid transaction of some days ago that `fits`."""
        return lambda one: (
            one.valid
            and self.correctable(one.transaction_time, now)
            and day_of(one.transaction_time) < now.date()
            and fits(one)
        )

    def truth(self, days: DayRange) -> Truth:
        """The counts of `days`, from what happened here."""
        sums = Sums(days)
        sums.expect((branch.facility for branch in self.branches.values() if branch.facility), MEASURES)
        for transaction in self.transactions:
            self._count_transaction(transaction, sums)
        for treatment in self.treatments.values():
            self._count_treatment(treatment, sums)
        return sums.truth()

    def _count_transaction(self, transaction: Transaction, sums: Sums) -> None:
        day = day_of(transaction.transaction_time)
        if day not in sums.days or not transaction.valid or transaction.treatment_id is None:
            return
        facility = self.branches[self.treatments[transaction.treatment_id].branch_id].facility
        if facility is None:
            return
        if transaction.receipt is not None:
            sums.add(facility, "receipts", day, transaction.receipt)
        if transaction.net > 0:
            code = FORM_CODES.get(transaction.pay_form_id)
            sums.add(facility, "payments", day, METHODS.get(code or "", "unknown"))
            for category, amount in transaction.parts(code).items():
                sums.add(facility, "payment_amount", day, category, amount)

    def _count_treatment(self, treatment: Treatment, sums: Sums) -> None:
        facility = self.branches[treatment.branch_id].facility
        if facility is None:
            return
        documents = self.documents_of.get(treatment.treatment_code, [])
        if treatment.closed_record and treatment.out_time is not None:
            sums.add(facility, "records", day_of(treatment.out_time), record_state(documents))
        for document in documents:
            if not document.is_delete and document.state is not None:
                sums.add(facility, "record_documents", day_of(document.create_date), document.state)
