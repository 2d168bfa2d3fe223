"""The cashier of a hospital on HisPro: deposits, bills, refunds, and the pharmacy's till."""

from datetime import datetime
from decimal import Decimal
from random import Random

from demo.chance import People, weighted
from demo.hispro.past import FORM_CODES, FORM_IDS, Branch, Past, Stay
from demo.hispro.rows import BILL, DEPOSIT, REFUND, Transaction, Treatment, number14

# How people who mean to pay in cash, or not to, end up being recorded; None is a pay form nobody filled in.
_CASH: dict[str | None, float] = {"01": 3.0, "TM": 6.0, "TMCK": 0.8, "TMQT": 0.4, None: 0.1}
_CASHLESS: dict[str | None, float] = {"CK": 3.0, "THE": 0.5, "QUET_THE": 1.5, "QR": 5.0, "TMCK": 0.5, "VI_MOI": 0.1}


class Cashier:
    """Takes money in and writes it into the past."""

    def __init__(self, past: Past, people: People, random: Random) -> None:
        self._past = past
        self._people = people
        self._random = random

    def settle_exam(self, treatment: Treatment, branch: Branch, at: datetime) -> None:
        """Most examinations are billed; some patients buy medicine too, which is no hospital fee."""
        if self._random.random() < 0.03:
            self._sell_medicine(at)
        if self._random.random() < 0.8:
            # A patient fully covered by insurance pays 0: no payment, and nothing to invoice.
            price = Decimal(0) if self._random.random() < 0.15 else self._price(400_000)
            self._bill(treatment, branch, price, None, at)

    def take_deposit(self, stay: Stay, at: datetime) -> None:
        """Tạm ứng."""
        deposit = Decimal(self._random.randrange(5, 40) * 100_000)
        stay.deposits += deposit
        self._transact(stay.treatment, stay.branch, DEPOSIT, deposit, at)

    def settle_stay(self, stay: Stay, at: datetime) -> None:
        """The bill of a stay: the deposits are carried over, what they exceed it by is given back."""
        price = self._price(6_000_000)
        carried = min(stay.deposits, price)
        self._bill(stay.treatment, stay.branch, price, carried or None, at)
        if stay.deposits > price:
            self._transact(stay.treatment, stay.branch, REFUND, stay.deposits - price, at)

    def _bill(
        self, treatment: Treatment, branch: Branch, price: Decimal, carried: Decimal | None, at: datetime
    ) -> None:
        bill = self._transact(treatment, branch, BILL, price, at)
        bill.kc_amount = carried
        left, fate = price - (carried or 0), self._random.random()
        if fate < 0.02:
            bill.exemption = left // 2
        elif fate < 0.04 and left == left.to_integral_value():
            bill.exemption = left
        elif fate < 0.07:
            bill.tdl_bill_fund_amount = left // 2
        if self._random.random() < branch.invoiced:
            bill.einvoice_num_order = f"{bill.id:08}"
            bill.is_cancel_einvoice = 1 if self._random.random() < 0.01 else None

    def _transact(self, treatment: Treatment, branch: Branch, kind: int, amount: Decimal, at: datetime) -> Transaction:
        form = weighted(self._random, _CASHLESS if self._random.random() < branch.cashless else _CASH)
        number, fate = self._past.number(), self._random.random()
        transaction = Transaction(
            id=number,
            transaction_code=f"{number:012}",
            transaction_time=number14(at),
            transaction_type_id=kind,
            pay_form_id=None if form is None else FORM_IDS[form],
            amount=amount,
            treatment_id=treatment.id,
            tdl_treatment_code=treatment.treatment_code,
            tdl_patient_name=treatment.tdl_patient_name,
            is_cancel=1 if fate < 0.02 else None,
            is_delete=int(0.02 <= fate < 0.03),
        )
        split(transaction, self._random)
        self._past.transactions.append(transaction)
        self._past.change(transaction)
        return transaction

    def _sell_medicine(self, at: datetime) -> None:
        number, price = self._past.number(), self._price(200_000)
        sale = Transaction(
            id=number,
            transaction_code=f"{number:012}",
            transaction_time=number14(at),
            transaction_type_id=BILL,
            pay_form_id=FORM_IDS["TM"],
            amount=price,
            treatment_id=None,
            tdl_treatment_code=None,
            tdl_patient_name=self._people.next().name,
            sale_type_id=1,
        )
        self._past.transactions.append(sale)
        self._past.change(sale)

    def _price(self, most: int) -> Decimal:
        # The patient's 20 % of an insured price has fractions of a đồng, which only the day's sum may round.
        # Fifths never add up to a half, so the rounding of a float sum is the same everywhere.
        return Decimal(self._random.randrange(most // 20, most)) * self._random.choice((Decimal("0.2"), Decimal(1)))


def split(transaction: Transaction, random: Random) -> None:
    """What of a mixed payment was not cash: a part, or (as people type it) more than was due, or nothing at all."""
    part = random.choice((transaction.amount // 5, transaction.amount // 2, transaction.amount))
    typed = None if random.random() < 0.05 else part
    code = FORM_CODES.get(transaction.pay_form_id)
    transaction.transfer_amount = typed if code == "TMCK" else None
    transaction.swipe_amount = typed if code == "TMQT" else None
