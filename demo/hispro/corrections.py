"""What is put right later in a hospital on HisPro: payments, invoices, records and documents of some days ago."""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

from demo.chance import fitting
from demo.hispro.money import split
from demo.hispro.past import FORM_CODES, FORM_IDS, Past, Stay
from demo.hispro.rows import Document, Transaction, Treatment, day_of

_CASHLESS = ("CK", "THE", "QUET_THE", "QR")


def correct(past: Past, random: Random, now: datetime, pace: float) -> None:
    """Each kind of correction, now and then."""
    for correction in _CORRECTIONS:
        if random.random() < 0.15 * pace:
            correction(past, random, now)


def sign(past: Past, random: Random, now: datetime) -> None:
    """The next signer of a document signs; it is signed only when nobody is left to."""
    document = _document(past, random, now, "waiting")
    if document is None:
        return
    if document.next_signer == "MARK-BS-1" and random.random() < 0.4:
        document.signers, document.next_signer, document.un_signers = "MARK-BS-1", "MARK-BS-2", "MARK-BS-2"
        past.change(document)
        return
    document.signers, document.next_signer, document.un_signers = "MARK-BS-1,MARK-BS-2", None, None
    late = day_of(document.create_date) < now.date()
    past.note("document signed late" if late else "document signed", document)


def record_as_cash(past: Past, now: datetime) -> list[tuple[Transaction, int | None]]:
    """Somebody finds that whoever paid without cash in the last days had paid in cash: each, and its form before."""
    fits = past.earlier(lambda one: FORM_CODES.get(one.pay_form_id) in _CASHLESS, now)
    found = [(one, one.pay_form_id) for one in past.transactions if fits(one)]
    record_as(past, [(one, FORM_IDS["TM"]) for one, _ in found])
    return found


def record_as(past: Past, forms: list[tuple[Transaction, int | None]]) -> None:
    """Each of these was paid by this form."""
    for payment, form in forms:
        payment.pay_form_id = form
        past.note("payment method put right", payment)


def _cancel_payment(past: Past, random: Random, now: datetime) -> None:
    if payment := _payment(past, random, now, lambda one: one.net > 0):
        payment.is_cancel = 1
        past.note("payment cancelled", payment)


def _delete_payment(past: Past, random: Random, now: datetime) -> None:
    if payment := _payment(past, random, now, lambda one: one.net > 0):
        payment.is_delete = 1
        past.note("payment deleted", payment)


def _change_method(past: Past, random: Random, now: datetime) -> None:
    if payment := _payment(past, random, now, lambda one: one.net > 0):
        payment.pay_form_id = FORM_IDS["QR" if payment.pay_form_id == FORM_IDS["TM"] else "TMCK"]
        split(payment, random)
        past.note("payment method changed", payment)


def _invoice_late(past: Past, random: Random, now: datetime) -> None:
    if bill := _payment(past, random, now, lambda one: one.receipt == "not_invoiced"):
        bill.einvoice_num_order, bill.is_cancel_einvoice = f"{bill.id:08}", None
        past.note("receipt invoiced late", bill)


def _cancel_invoice(past: Past, random: Random, now: datetime) -> None:
    if bill := _payment(past, random, now, lambda one: one.receipt == "invoiced"):
        bill.is_cancel_einvoice = 1
        past.note("invoice of a receipt cancelled", bill)


def _move_record(past: Past, random: Random, now: datetime) -> None:
    if record := _record(past, random, now):
        # The hour stays; the day becomes another that may still be corrected.
        day = now.date() - timedelta(days=random.choice((0, 1, 2)))
        record.out_time = int(day.strftime("%Y%m%d")) * 10**6 + (record.out_time or 0) % 10**6
        past.note("record moved", record)


def _reopen_record(past: Past, random: Random, now: datetime) -> None:
    if record := _record(past, random, now):
        record.out_time = record.is_pause = None
        past.closed.remove(record)
        on_paper = not past.documents_of[record.treatment_code]
        past.staying.append(Stay(record, past.branches[record.branch_id], now.date(), on_paper))
        past.note("record reopened", record)


def _delete_record(past: Past, random: Random, now: datetime) -> None:
    """A record opened by mistake goes, and its documents with it; its money is a matter of its own."""
    record = _record(past, random, now)
    documents = past.documents_of.get(record.treatment_code, []) if record else []
    if record and all(past.correctable(document.create_date, now) for document in documents):
        record.is_delete = 1
        for document in documents:
            document.is_delete = 1
        past.note("record deleted", record, *documents)


def _reject_document(past: Past, random: Random, now: datetime) -> None:
    if document := _document(past, random, now, "waiting"):
        document.rejecter = document.next_signer
        past.note("document rejected", document)


def _delete_document(past: Past, random: Random, now: datetime) -> None:
    if document := _document(past, random, now, "signed"):
        document.is_delete = 1
        past.note("document deleted", document)


def _payment(past: Past, random: Random, now: datetime, fits: Callable[[Transaction], bool]) -> Transaction | None:
    return fitting(random, past.transactions, past.earlier(fits, now))


def _record(past: Past, random: Random, now: datetime) -> Treatment | None:
    return fitting(random, past.closed, lambda one: one.closed_record and past.correctable(one.out_time, now))


def _document(past: Past, random: Random, now: datetime, state: str) -> Document | None:
    return fitting(
        random,
        past.documents,
        lambda one: one.state == state and not one.is_delete and past.correctable(one.create_date, now),
    )


_CORRECTIONS = (
    _cancel_payment,
    _delete_payment,
    _change_method,
    _invoice_late,
    _cancel_invoice,
    _move_record,
    _reopen_record,
    _delete_record,
    _reject_document,
    _delete_document,
)
