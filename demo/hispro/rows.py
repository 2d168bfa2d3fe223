"""The rows of HisPro's tables that are read, and what "Definitions by source" of the design says of each.

Written from the definitions and from no adapter, so that the two can be compared.
Times are numbers yyyyMMddHHmmss in local time; flags are NULL or 1, `is_delete` is 0 or 1.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from contract.days import LOCAL
from demo.rows import Table

DEPOSIT, REFUND, BILL = 1, 2, 3
EXAM, OUTPATIENT, INPATIENT, DAY_PATIENT = 1, 2, 3, 4
RECORD_TYPES = (OUTPATIENT, INPATIENT, DAY_PATIENT)
METHODS = {
    "01": "cash",
    "TM": "cash",
    "CK": "transfer",
    "THE": "card",
    "QUET_THE": "card",
    "QR": "qr",
    "TMCK": "mixed",
    "TMQT": "mixed",
}


def number14(moment: datetime) -> int:
    """The moment as HisPro keeps it."""
    return int(moment.astimezone(LOCAL).strftime("%Y%m%d%H%M%S"))


def day_of(number: int) -> date:
    """The day of a time as HisPro keeps it."""
    return date(number // 10**10, number // 10**8 % 100, number // 10**6 % 100)


@dataclass(slots=True)
class PayForm:
    """HIS_PAY_FORM."""

    id: int
    pay_form_code: str
    pay_form_name: str


@dataclass(slots=True)
class Treatment:
    """HIS_TREATMENT: an examination or a stay."""

    id: int
    treatment_code: str
    branch_id: int
    tdl_treatment_type_id: int
    in_time: int
    tdl_patient_name: str
    tdl_patient_cccd_number: str | None
    tdl_patient_phone: str
    tdl_hein_card_number: str | None
    out_time: int | None = None
    is_pause: int | None = None
    is_delete: int = 0

    @property
    def closed_record(self) -> bool:
        """A medical record that has ended."""
        return not self.is_delete and self.tdl_treatment_type_id in RECORD_TYPES and self.out_time is not None


@dataclass(slots=True)
class Transaction:
    """HIS_TRANSACTION: a deposit, a refund or a bill."""

    id: int
    transaction_code: str
    transaction_time: int
    transaction_type_id: int
    pay_form_id: int | None
    amount: Decimal
    treatment_id: int | None
    tdl_treatment_code: str | None
    tdl_patient_name: str
    kc_amount: Decimal | None = None
    exemption: Decimal | None = None
    tdl_bill_fund_amount: Decimal | None = None
    transfer_amount: Decimal | None = None
    swipe_amount: Decimal | None = None
    sale_type_id: int | None = None
    einvoice_num_order: str | None = None
    is_cancel_einvoice: int | None = None
    is_cancel: int | None = None
    is_delete: int = 0

    @property
    def valid(self) -> bool:
        """Counts at all."""
        return not self.is_delete and self.is_cancel is None and self.sale_type_id is None

    @property
    def due(self) -> Decimal:
        """What is left for the patient, before deposits."""
        return self.amount - (self.exemption or 0) - (self.tdl_bill_fund_amount or 0)

    @property
    def net(self) -> Decimal:
        """What the patient paid in with this transaction; not above 0 when nothing."""
        if self.transaction_type_id == DEPOSIT:
            return self.amount
        return self.due - (self.kc_amount or 0) if self.transaction_type_id == BILL else Decimal(0)

    @property
    def receipt(self) -> str | None:
        """The category of `receipts`, None if it is none."""
        if self.transaction_type_id != BILL or self.due <= 0:
            return None
        return "invoiced" if self.einvoice_num_order is not None and self.is_cancel_einvoice is None else "not_invoiced"

    def parts(self, code: str | None) -> dict[str, Decimal]:
        """How much was paid in by which method; `code` is that of the pay form."""
        method = METHODS.get(code or "", "unknown")
        if method != "mixed":
            return {method: self.net}
        other, paid = ("transfer", self.transfer_amount) if code == "TMCK" else ("card", self.swipe_amount)
        share = min(paid or Decimal(0), self.net)
        return {other: share, "cash": self.net - share}


@dataclass(slots=True)
class DocumentType:
    """EMR_DOCUMENT_TYPE."""

    id: int
    document_type_code: str
    document_type_name: str


@dataclass(slots=True)
class Document:
    """EMR_DOCUMENT."""

    id: int
    document_code: str
    document_type_id: int
    document_name: str
    treatment_code: str
    create_date: int
    is_capture: int | None = None
    signers: str | None = None
    un_signers: str | None = None
    next_signer: str | None = None
    rejecter: str | None = None
    is_delete: int = 0

    @property
    def state(self) -> str | None:
        """The category of `record_documents`; None for a document that never needed a signature."""
        if self.is_capture:
            return "scanned"
        if self.rejecter is not None:
            return "rejected"
        if self.next_signer is not None or self.un_signers is not None:
            return "waiting"
        return "signed" if self.signers is not None else None


def record_state(documents: list[Document]) -> str:
    """The category of `records` for a closed record that has these documents (the deleted among them)."""
    there = [document for document in documents if not document.is_delete]
    states = {document.state for document in there}
    if not there:
        return "paper"
    if states & {"scanned", "rejected", "waiting"}:
        return "hybrid"
    return "electronic" if "signed" in states else "unknown"


HIS_TABLES = (
    Table("his_pay_form", PayForm),
    Table("his_treatment", Treatment, ("treatment_code", "in_time", "out_time")),
    Table("his_transaction", Transaction, ("transaction_time", "treatment_id")),
)
EMR_TABLES = (
    Table("emr_document_type", DocumentType),
    Table("emr_document", Document, ("treatment_code", "create_date")),
)
