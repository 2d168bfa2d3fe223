"""A living folder of electronic invoices beside a HIS: issued, given their code later, replaced, adjusted, copied."""

from collections import Counter
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from random import Random

from contract.days import DayRange
from demo.chance import People, about, fitting, weighted
from demo.invoice_xml import Invoice, one, put, wrapped
from demo.truth import Sums, Truth

MEASURES = ("invoices",)
_REPLACES, _ADJUSTS = 1, 2
# Series with code, of a cash register with code, and without code.
_SERIES = {"C{year:02}TBV": 6, "C{year:02}MTT": 3, "K{year:02}TBV": 1}


class InvoiceFolder:
    """XML files in `folder`, which it makes; about `invoices` invoices a day."""

    def __init__(self, folder: Path, facility: str, invoices: float, random: Random) -> None:
        self.happened: Counter[str] = Counter()
        folder.mkdir()
        self._folder = folder
        self._facility = facility
        self._expected = invoices
        self._random = random
        self._people = People("hoadon")
        self._numbers: Counter[str] = Counter()
        self._files = 0
        self._invoices: list[Invoice] = []
        self._pending: list[Invoice] = []

    def live(self, day: date, until: datetime) -> None:
        """Live one day of history: one summary file on some days, else a file an invoice. Invoices have no hour."""
        if day.isoweekday() == 7:
            return
        fresh = [self._next(day) for _ in range(about(self._random, self._expected))]
        if self._random.random() < 0.3:
            self._put(wrapped(fresh))
        else:
            for invoice in fresh:
                self._file(invoice)
        for _ in range(about(self._random, self._expected / 10)):
            self._follow(day, self._random.choice((_REPLACES, _ADJUSTS)))

    def step(self, now: datetime, pace: float) -> None:
        """A moment of the running day, which brings about `pace` / 2 invoices."""
        for _ in range(about(self._random, pace / 2)):
            self._file(self._next(now.date()))
        for correction in (self._replace, self._adjust, self._give_code, self._give_code_in_place, self._copy):
            if self._random.random() < 0.15 * pace:
                correction(now)

    def truth(self, days: DayRange) -> Truth:
        """The counts of `days`; a day without an invoice is absent, for a folder cannot say that there was none."""
        sums = Sums(days)
        replaced = {
            id(invoice.related) for invoice in self._invoices if invoice.relation == _REPLACES and not invoice.pending
        }
        for invoice in self._invoices:
            sums.add(
                self._facility, "invoices", invoice.day, "replaced" if id(invoice) in replaced else _state(invoice)
            )
        return sums.truth()

    def close(self) -> None:
        """Nothing is held open."""

    # Life

    def _next(self, day: date) -> Invoice:
        series = weighted(self._random, _SERIES).format(year=day.year % 100)
        self._numbers[series] += 1
        number = self._numbers[series]
        invoice = Invoice(
            "1", series, number, day, self._random.randrange(50, 5_000) * 1_000, self._people.next(), None
        )
        if series.startswith("C") and self._random.random() < 0.95:
            invoice.code = _code(invoice)
        else:
            self._pending += [invoice] if invoice.pending else []
        self._invoices.append(invoice)
        return invoice

    def _file(self, invoice: Invoice) -> None:
        namespace = self._random.random() < 0.2
        if self._random.random() < 0.5:
            self._put(wrapped([invoice], namespace))
        else:
            self._put(one(invoice, namespace, padded=self._random.random() < 0.3))

    def _put(self, content: bytes) -> None:
        self._files += 1
        put(self._folder / f"hoadon-{self._files:06}.xml", content)

    # Corrections

    def _follow(self, day: date, relation: int) -> None:
        """An invoice that replaces or adjusts an earlier one, of any age."""
        old = self._chosen(lambda one: not one.pending and not self._is_replaced(one))
        if old is None:
            return
        invoice = self._next(day)
        invoice.relation, invoice.related = relation, old
        self._file(invoice)
        done = "invoice adjusted" if relation == _ADJUSTS else "invoice replaced"
        self.happened[f"{done}, waiting for its code" if invoice.pending else done] += 1

    def _replace(self, now: datetime) -> None:
        self._follow(now.date(), _REPLACES)

    def _adjust(self, now: datetime) -> None:
        self._follow(now.date(), _ADJUSTS)

    def _give_code(self, now: datetime) -> None:
        """A copy with the code arrives, beside the one without."""
        if self._pending:
            invoice = self._pending.pop(self._random.randrange(len(self._pending)))
            invoice.code = _code(invoice)
            self._file(invoice)
            self.happened["code arrived in a copy"] += 1

    def _give_code_in_place(self, now: datetime) -> None:
        """The file itself is written again: a file that has been read may change."""
        if self._pending:
            invoice = self._pending[0]
            file = self._folder / f"cho-ma-{invoice.series}-{invoice.number}.xml"
            if file.exists():
                self._pending.remove(invoice)
                invoice.code = _code(invoice)
                self.happened["code arrived in the same file"] += 1
            put(file, one(invoice))

    def _copy(self, now: datetime) -> None:
        """An old copy turns up again, its number written with zeros, half of the time without the code."""
        if invoice := self._chosen(lambda one: True):
            code, invoice.code = invoice.code, None if self._random.random() < 0.5 else invoice.code
            self._put(one(invoice, padded=True))
            invoice.code = code
            self.happened["invoice copied"] += 1

    def _chosen(self, fits: Callable[[Invoice], bool]) -> Invoice | None:
        return fitting(self._random, self._invoices, fits)

    def _is_replaced(self, old: Invoice) -> bool:
        return any(invoice.related is old and invoice.relation == _REPLACES for invoice in self._invoices)


def _state(invoice: Invoice) -> str:
    if invoice.pending:
        return "pending"
    return {_REPLACES: "replacing", _ADJUSTS: "adjusting"}.get(invoice.relation or 0, "valid")


def _code(invoice: Invoice) -> str:
    if invoice.series[3] == "M":
        return f"M1-{invoice.series[1:3]}-MARKA-{invoice.number:011}"
    return f"00MARK{invoice.series}{invoice.number:022}"
