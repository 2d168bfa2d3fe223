"""Who may sign what when, and when a signature holds no longer (architecture.md, "Confirmation")."""

import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

import pytest

from collector import confirm
from collector.access import Speaker
from collector.confirm import Asked, Decision, Month
from collector.store import backup, registry, signatures, tallies
from collector.store.people import Person
from collector.store.signatures import Signature
from collector.thresholds import Confirmation
from collector.versions import Change, Version
from contract.days import LOCAL, DayRange
from contract.errors import BadRequestError, ConflictError, ForbiddenError, NotFoundError, PortalError
from contract.plan import Plan, Target
from tests.office import NOON, Office, a_tally

MONTH = "2026-10"
OCTOBER = DayRange(date(2026, 10, 1), date(2026, 10, 31))
SIGNING = datetime(2026, 11, 2, 9, tzinfo=LOCAL)
AN = Person("An", "confirmer", "12001")
BINH = Person("Bình", "confirmer", "12001")
ONE, TWO = Confirmation(), Confirmation(confirm_by=2)


def a_plan(ratio: str) -> Plan:
    held = Target.model_validate({"indicator": "cashless", "ratio": Decimal(ratio), "section": "I", "words": "w"})
    days = {"first_day": date(2026, 1, 1), "last_day": date(2026, 12, 31)}
    return Plan(id="p", issuer="Sở Y tế", title="t", short="s", targets=(held,), **days)


@dataclass
class Hospital:
    """Facility 12001 in a Sở: what its agent sends, and what its people decide."""

    office: Office
    agent: Speaker
    rules: Confirmation = ONE
    revision: int = 1

    def send(self, on: Iterable[date], **counts: int) -> None:
        sent = [a_tally(day, self.revision, counts) for day in on]
        self.revision += 1
        assert self.office.push(self.agent, sent).accepted == len(sent)

    def correct(self, **counts: int) -> None:
        """9 October has other counts than it had."""
        self.send([date(2026, 10, 9)], **counts)

    def look(self, period: str = MONTH, moment: datetime = SIGNING) -> tuple[Month, Version]:
        with self.office.store.read() as connection:
            return confirm.look(connection, self.office.yardstick, self.rules, "12001", period, moment)

    @property
    def month(self) -> Month:
        return self.look()[0]

    @property
    def digest(self) -> str:
        return self.look()[1].digest

    def decide(
        self,
        person: Person = AN,
        decision: Decision = "confirm",
        reasons: Mapping[str, str] | None = None,
        digest: str | None = None,
        facility: str = "12001",
        moment: datetime = SIGNING,
    ) -> Month:
        digest = self.digest if digest is None else digest
        asked = Asked(facility=facility, period=MONTH, digest=digest, decision=decision, reasons=dict(reasons or {}))
        return confirm.sign(self.office.store, self.office.yardstick, self.rules, person, asked, moment)[0]

    def dispute(self, person: Person = AN, reason: str = "HIS đếm thiếu", **other: Any) -> Month:
        return self.decide(person, "dispute", {"cashless": reason}, **other)

    def signed(self) -> list[Signature]:
        with self.office.store.read() as connection:
            return signatures.of(connection, ["12001"], [MONTH])["12001"]

    def recent(self, moment: datetime = NOON) -> list[Month]:
        """As the exposition asks."""
        with self.office.store.read() as connection:
            found = signatures.of(connection, ["12001"], confirm.closed(moment))["12001"]
        return confirm.recent(self.office.data(), self.office.yardstick, self.rules, found, moment)


@pytest.fixture
def hospital(office: Office) -> Hospital:
    """Cashless at 50 % of 310 payments in October, target 50 %."""
    office.register("12001", indicators="cashless,kiosk", at=datetime(2026, 9, 1, tzinfo=LOCAL))
    office.set_plans(a_plan("0.5"))
    one = Hospital(office, office.speaker("12001"))
    one.send(OCTOBER, cash=5, qr=5)
    return one


@pytest.fixture
def lone(tmp_path: Path) -> Hospital:
    """The same on SQLite: for what no database has a part in."""
    office = Office(f"sqlite:///{tmp_path / 'lone.sqlite'}", tmp_path)
    office.register("12001", indicators="cashless,kiosk", at=datetime(2026, 9, 1, tzinfo=LOCAL))
    office.set_plans(a_plan("0.5"))
    one = Hospital(office, office.speaker("12001"))
    one.send(OCTOBER, cash=5, qr=5)
    return one


def the_change(month: Month, indicator: str = "cashless") -> Change:
    (found,) = [one for one in month.changes if one.indicator == indicator]
    return found


# --- confirming


def test_a_month_is_open_until_somebody_confirms_the_version_that_they_saw(hospital: Hospital) -> None:
    before, seen = hospital.look()
    assert (before.state, before.signatures, before.changes, before.waiting_for_second) == ("open", [], [], None)
    after = hospital.decide(digest=seen.digest)
    assert (after.state, after.changes) == ("confirmed", [])
    (one,) = hospital.signed()
    assert (one.person, one.decision, one.at, one.reasons) == ("An", "confirmed", SIGNING, {})
    assert (one.figures, one.digest) == (seen.text, Version(one.figures).digest)


def test_a_confirmed_month_is_locked(hospital: Hospital) -> None:
    hospital.decide()
    for person, decide in ((BINH, hospital.decide), (AN, hospital.dispute), (BINH, hospital.dispute)):
        with pytest.raises(ConflictError, match="tháng 10/2026 đã được xác nhận và khóa"):
            decide(person)
    assert len(hospital.signed()) == 1


def test_the_same_decision_sent_again_is_answered_alike_and_kept_once(hospital: Hospital) -> None:
    seen = hospital.digest
    for _ in range(2):
        assert hospital.dispute(reason="Thiếu \r\nđêm 9/10 ", digest=seen).state == "disputed"
    assert len(hospital.signed()) == 1
    first = hospital.decide(digest=seen)
    again = hospital.decide(digest=seen, moment=SIGNING + timedelta(minutes=1))
    assert again == first
    assert len(hospital.signed()) == 2
    hospital.correct(cash=10)
    # the answer was lost, and the figures have moved meanwhile
    assert hospital.decide(digest=seen).state == "reopened"
    assert len(hospital.signed()) == 2


def test_figures_that_changed_after_they_were_seen_cannot_be_signed(hospital: Hospital) -> None:
    seen = hospital.digest
    hospital.correct(cash=5, qr=5, unknown=1)
    for decision in (hospital.decide, hospital.dispute):
        with pytest.raises(ConflictError, match="số liệu vừa thay đổi, xin xem lại"):
            decision(digest=seen)
    assert hospital.signed() == []


# --- disputing


def test_a_disputed_month_stays_so_with_what_changed_since_until_it_is_confirmed(hospital: Hospital) -> None:
    disputed = hospital.dispute(reason="Thiếu quầy thu số 3")
    assert (disputed.state, disputed.signatures[0].reasons) == ("disputed", {"cashless": "Thiếu quầy thu số 3"})
    hospital.correct(cash=5, qr=65)
    corrected = hospital.month
    assert corrected.state == "disputed"
    one = the_change(corrected)
    assert one.before is not None and one.after is not None
    assert (one.before.percent, one.after.percent) == ("50.0", "58.1")
    after = hospital.decide(BINH)
    assert (after.state, after.changes) == ("confirmed", [])
    assert [(one.person, one.decision) for one in after.signatures] == [("An", "disputed"), ("Bình", "confirmed")]


def test_a_dispute_may_be_put_in_other_words(hospital: Hospital) -> None:
    hospital.dispute(reason="Thiếu")
    assert hospital.dispute(reason="Thiếu quầy số 3").signatures[-1].reasons == {"cashless": "Thiếu quầy số 3"}
    assert len(hospital.signed()) == 2


@pytest.mark.parametrize(
    ("decision", "reasons"),
    [
        ("dispute", {}),
        ("dispute", {"cashless": " \n "}),
        ("dispute", {"cashless": "x" * 2001}),
        ("dispute", {"cashless": "có\x00không"}),
        ("dispute", {"cashless": "sai", "emr": "không có trong danh sách của cơ sở"}),
        ("confirm", {"cashless": "sai"}),
    ],
)
def test_each_disputed_figure_needs_a_reason_and_a_confirmation_has_none(
    lone: Hospital, decision: Decision, reasons: dict[str, str]
) -> None:
    with pytest.raises(BadRequestError):
        lone.decide(AN, decision, reasons)
    assert lone.signed() == []


def test_a_reason_is_kept_whole_and_composed(hospital: Hospital) -> None:
    hospital.decide(AN, "dispute", {"cashless": " Bệnh vie\u0302\u0323n\r\nthiếu ", "kiosk": "x" * 2000})
    assert hospital.signed()[0].reasons == {"cashless": "Bệnh viện\nthiếu", "kiosk": "x" * 2000}


# --- reopening


def test_a_late_correction_reopens_and_shows_before_and_after(hospital: Hospital) -> None:
    hospital.decide()
    old = hospital.digest
    hospital.correct(cash=6, qr=5)
    reopened = hospital.month
    assert reopened.state == "reopened"
    one = the_change(reopened)
    assert (one.what, one.reopens) == (("share", "verdict", "counts"), True)
    assert one.before is not None and one.after is not None
    assert (one.before.percent, one.before.verdict, one.before.denominator) == ("50.0", "met", 310)
    assert (one.after.percent, one.after.verdict, one.after.denominator) == ("49.8", "near", 311)
    with pytest.raises(ConflictError, match="vừa thay đổi"):
        hospital.decide(BINH, digest=old)
    assert hospital.decide().state == "confirmed"
    assert len(hospital.signed()) == 2
    # what was signed first is still there to be compared with
    assert Version(hospital.signed()[0].figures).figures["cashless"] == one.before


def test_a_smaller_correction_is_listed_and_the_month_stays_confirmed_and_locked(hospital: Hospital) -> None:
    hospital.decide()
    hospital.correct(cash=5, qr=5, unknown=1)
    month = hospital.month
    assert (month.state, the_change(month).what, the_change(month).reopens) == ("confirmed", ("counts",), False)
    with pytest.raises(ConflictError, match="khóa"):
        hospital.decide(BINH)


def test_a_correction_that_is_undone_leaves_the_confirmation_as_it_was(hospital: Hospital) -> None:
    hospital.decide()
    hospital.correct(cash=60)
    assert hospital.month.state == "reopened"
    hospital.correct(cash=5, qr=5)
    assert (hospital.month.state, hospital.month.changes) == ("confirmed", [])


def test_a_changed_definition_reopens(hospital: Hospital) -> None:
    hospital.decide()
    known = hospital.office.catalogue
    changed = known.indicators["cashless"].model_copy(update={"excluded": ("mixed",)})
    known = known.model_copy(update={"indicators": {**known.indicators, "cashless": changed}})
    hospital.office.yardstick = replace(hospital.office.yardstick, catalogue=known)
    assert (hospital.month.state, the_change(hospital.month).what) == ("reopened", ("definition",))
    assert hospital.decide().state == "confirmed"


def test_another_target_in_the_plan_reopens_with_the_other_verdict(hospital: Hospital) -> None:
    hospital.decide()
    hospital.office.set_plans(a_plan("0.9"))
    one = the_change(hospital.month)
    assert (hospital.month.state, one.what) == ("reopened", ("verdict", "definition"))
    assert one.after is not None and one.after.verdict == "below"
    assert one.after.target is not None and one.after.target.ratio == "0.9"


def test_the_cleared_month_of_another_facility_is_its_own(hospital: Hospital) -> None:
    hospital.office.register("12002", indicators="cashless")
    hospital.decide()
    with hospital.office.store.read() as connection:
        other, _ = confirm.look(connection, hospital.office.yardstick, Confirmation(), "12002", MONTH, SIGNING)
        assert signatures.of(connection, ["12001", "12002"], ["2026-09"]) == {}
        assert signatures.of(connection, ["12001", "12002"], ["2026-09", MONTH]).keys() == {"12001"}
    assert other.state == "open"
    assert hospital.look("2026-09")[0].state == "open"


# --- two people


def test_with_two_a_month_waits_for_a_second_person(hospital: Hospital) -> None:
    hospital.rules = TWO
    seen = hospital.digest
    first = hospital.decide()
    assert (first.state, first.waiting_for_second) == ("open", "An")
    assert hospital.decide().waiting_for_second == "An"
    assert len(hospital.signed()) == 1
    second = hospital.decide(BINH, digest=seen)
    assert (second.state, second.waiting_for_second) == ("confirmed", None)
    assert hospital.decide(AN, digest=seen).state == "confirmed"
    assert [one.person for one in hospital.signed()] == ["An", "Bình"]
    with pytest.raises(ConflictError, match="khóa"):
        hospital.decide(Person("Chi", "confirmer", "12001"))


def test_nobody_is_the_second_person_to_themselves(hospital: Hospital) -> None:
    hospital.rules = TWO
    hospital.decide()
    hospital.correct(cash=5, qr=5, unknown=1)
    with pytest.raises(ConflictError, match="chờ một người khác"):
        hospital.decide()
    hospital.correct(cash=60)
    assert hospital.month.waiting_for_second is None
    assert hospital.decide().state == "open"
    assert hospital.month.waiting_for_second == "An"


def test_one_person_twice_is_one_person_whatever_the_log_holds(hospital: Hospital) -> None:
    hospital.decide()
    (one,) = hospital.signed()
    with hospital.office.store.write() as connection:
        signatures.add(connection, one)
    hospital.rules = TWO
    assert (hospital.month.state, hospital.month.waiting_for_second) == ("open", "An")


def test_a_first_signature_outlives_small_corrections_and_no_others(hospital: Hospital) -> None:
    hospital.rules = TWO
    hospital.decide()
    hospital.correct(cash=60)
    other = hospital.decide(BINH)
    assert (other.state, other.waiting_for_second) == ("open", "Bình")
    hospital.correct(cash=60, unknown=1)
    assert hospital.month.waiting_for_second == "Bình"
    assert hospital.decide().state == "confirmed"
    assert [one.reopens for one in hospital.month.changes] == []


def test_with_two_a_reopened_month_is_confirmed_again_by_two(hospital: Hospital) -> None:
    hospital.rules = TWO
    for person in (AN, BINH):
        hospital.decide(person)
    hospital.correct(cash=60)
    assert hospital.month.state == "reopened"
    waiting = hospital.decide(BINH)
    assert (waiting.state, waiting.waiting_for_second) == ("reopened", "Bình")
    assert the_change(waiting).what == ("share", "verdict", "counts")
    assert hospital.decide(AN).state == "confirmed"


def test_the_first_of_two_may_still_dispute_and_the_second_may_too(hospital: Hospital) -> None:
    hospital.rules = TWO
    hospital.decide()
    disputed = hospital.dispute(BINH)
    assert (disputed.state, disputed.waiting_for_second) == ("disputed", None)
    again = hospital.decide(BINH)
    assert (again.state, again.waiting_for_second) == ("open", "Bình")
    assert hospital.dispute(BINH, reason="Vẫn thiếu").state == "disputed"
    hospital.decide(AN)
    hospital.correct(cash=60)
    # what was signed by one alone is gone: the dispute stands
    assert (hospital.month.state, hospital.month.waiting_for_second) == ("disputed", None)


# --- who, and when


@pytest.mark.parametrize(
    ("person", "error"),
    [
        (Person("Sở", "admin", None), ForbiddenError),
        (Person("Đọc", "reader", None), ForbiddenError),
        (Person("Kế hoạch", "reader", "12001"), ForbiddenError),
        (Person("Không ở đâu", "confirmer", None), ForbiddenError),
        (Person("Lạ", "confirmer", "12002"), NotFoundError),
        (Person("Lạ", "reader", "12002"), NotFoundError),
    ],
)
def test_only_confirmers_of_the_facility_itself_sign(lone: Hospital, person: Person, error: type[PortalError]) -> None:
    for decision in (lone.decide, lone.dispute):
        with pytest.raises(error):
            decision(person)
    assert lone.signed() == []


@pytest.mark.parametrize(("person", "may"), [("12001", True), (None, True), ("12002", False)])
def test_people_of_a_facility_see_that_one_only(person: str | None, may: bool) -> None:
    if may:
        confirm.may_see(Person("x", "reader", person), "12001")
    else:
        with pytest.raises(NotFoundError):
            confirm.may_see(Person("x", "reader", person), "12001")


def test_a_month_is_signed_from_the_first_moment_of_the_next(lone: Hospital) -> None:
    over = datetime(2026, 11, 1, tzinfo=LOCAL)
    seen = lone.digest
    with pytest.raises(BadRequestError, match="tháng 10/2026 chưa kết thúc: xác nhận được từ ngày 01/11/2026"):
        lone.decide(digest=seen, moment=over - timedelta(seconds=1))
    assert lone.decide(digest=seen, moment=over).state == "confirmed"


@pytest.mark.parametrize("period", ["2026-13", "2026-00", "2026-1", "2019-12", "26-10", "2026-10-01", "", "٢٠٢٦-10"])
def test_what_is_no_month_is_refused(lone: Hospital, period: str) -> None:
    with pytest.raises(BadRequestError, match="dạng 2026-10"):
        lone.look(period)


def test_an_unknown_facility_is_not_found(lone: Hospital) -> None:
    with pytest.raises(NotFoundError):
        lone.decide(Person("An", "confirmer", "99999"), facility="99999", digest="x")


@pytest.mark.parametrize(
    ("active", "was"),
    [
        ({"active_from": "2026-10-31"}, True),
        ({"active_from": "2026-11-01"}, False),
        ({"active_to": "2026-10-01"}, True),
        ({"active_to": "2026-09-30"}, False),
    ],
)
def test_only_a_facility_that_was_active_in_the_month_confirms_it(
    lone: Hospital, active: dict[str, Any], was: bool
) -> None:
    lone.office.register("12001", indicators="cashless", **active)
    assert [one.period for one in lone.recent()].count(MONTH) == was
    if was:
        assert lone.decide().state == "confirmed"
    else:
        with pytest.raises(BadRequestError, match="không hoạt động trong tháng 10/2026"):
            lone.look()


def test_a_facility_to_which_nothing_applies_has_nothing_to_sign(lone: Hospital) -> None:
    # an indicator of departments only
    lone.office.register("12001", indicators="inspection_digital")
    with pytest.raises(BadRequestError, match="không có chỉ số nào"):
        lone.decide()


@pytest.mark.parametrize(
    ("period", "day", "until"),
    [
        ("2026-10", 5, "2026-11-05T23:59:59+07:00"),
        ("2026-12", 5, "2027-01-05T23:59:59+07:00"),
        ("2028-01", 28, "2028-02-28T23:59:59+07:00"),
    ],
)
def test_a_month_is_due_at_the_end_of_a_day_of_the_next(period: str, day: int, until: str) -> None:
    assert confirm.due(period, day).isoformat() == until


def test_february_of_a_leap_year_ends_on_the_29th() -> None:
    assert confirm.days_of("2028-02") == DayRange(date(2028, 2, 1), date(2028, 2, 29))


@pytest.mark.parametrize(
    ("moment", "months"),
    [
        ("2026-10-31T23:59:59+07:00", ["2026-08", "2026-09"]),
        ("2026-10-31T17:00:00+00:00", ["2026-09", "2026-10"]),
        ("2027-01-31T12:00:00+07:00", ["2026-11", "2026-12"]),
        ("2028-03-01T00:00:00+07:00", ["2028-01", "2028-02"]),
    ],
)
def test_the_last_two_closed_months_are_local(moment: str, months: list[str]) -> None:
    assert confirm.closed(datetime.fromisoformat(moment)) == months


# --- what is shown of all facilities


class _Untouched(dict[Any, Any]):
    """Figures that must not be worked out."""

    def _no(self, *_: object) -> NoReturn:
        raise AssertionError("worked out without need")

    get = items = values = keys = __getitem__ = __iter__ = _no


def test_figures_are_worked_out_only_for_a_month_that_somebody_signed(lone: Hospital) -> None:
    data = replace(lone.office.data(), rows=_Untouched())
    months = confirm.recent(data, lone.office.yardstick, Confirmation(), [], NOON)
    assert [(one.period, one.state) for one in months] == [("2026-09", "open"), (MONTH, "open")]
    lone.decide()
    with pytest.raises(AssertionError, match="without need"):
        confirm.recent(data, lone.office.yardstick, Confirmation(), lone.signed(), NOON)


def test_the_last_two_months_are_told_with_their_state_and_their_date(hospital: Hospital) -> None:
    hospital.decide()
    september, october = hospital.recent()
    assert (september.period, september.state, september.due) == ("2026-09", "open", confirm.due("2026-09", 5))
    assert (october.period, october.state, october.due) == (MONTH, "confirmed", confirm.due(MONTH, 5))
    assert hospital.recent(datetime(2027, 1, 2, tzinfo=LOCAL))[0].period == "2026-11"


def test_a_month_is_overdue_from_the_end_of_its_day_while_nobody_has_answered(lone: Hospital) -> None:
    until = datetime(2026, 11, 5, 23, 59, 59, tzinfo=LOCAL)
    late = until + timedelta(seconds=1)
    assert (lone.month.is_overdue(until), lone.month.is_overdue(late)) == (False, True)
    assert not lone.dispute().is_overdue(late)
    assert not lone.decide().is_overdue(late)
    lone.correct(cash=60)
    assert lone.month.is_overdue(late)
    lone.rules = Confirmation(due_day=20)
    assert not lone.month.is_overdue(late)


def test_a_facility_is_not_late_for_months_before_it_was_registered(lone: Hospital) -> None:
    lone.office.register("12003", at=datetime(2026, 11, 1, tzinfo=LOCAL))
    lone.office.register("12004", at=datetime(2026, 10, 31, 23, tzinfo=LOCAL))
    found = {}
    for facility in ("12003", "12004"):
        data = lone.office.data(facility)
        found[facility] = confirm.recent(data, lone.office.yardstick, Confirmation(), [], NOON)[1]
    assert (found["12003"].due, found["12003"].is_overdue(NOON)) == (None, False)
    assert found["12004"].is_overdue(NOON)


def test_a_finding_says_which_indicators_changed_after_confirmation(hospital: Hospital) -> None:
    assert confirm.changed(hospital.recent()) == []
    hospital.decide()
    hospital.correct(cash=5, qr=5, unknown=1)
    assert confirm.changed(hospital.recent()) == []
    hospital.correct(cash=60)
    told = "Tháng 10/2026 đã xác nhận 50,0 % (155/310, Đạt), nay là 41,7 % (150/360, Chưa đạt)."
    assert confirm.changed(hospital.recent()) == [("cashless", told)]
    hospital.dispute()
    assert confirm.changed(hospital.recent()) == []


def test_one_finding_tells_of_both_months(lone: Hospital) -> None:
    lone.send(DayRange(date(2026, 9, 1), date(2026, 9, 30)), cash=5, qr=5)
    for period in ("2026-09", MONTH):
        digest = lone.look(period)[1].digest
        asked = Asked(facility="12001", period=period, digest=digest, decision="confirm")
        confirm.sign(lone.office.store, lone.office.yardstick, Confirmation(), AN, asked, SIGNING)
    lone.send([date(2026, 9, 9), date(2026, 10, 9)], cash=60)
    ((indicator, told),) = confirm.changed(lone.recent())
    assert indicator == "cashless"
    assert told.startswith("Tháng 09/2026 đã") and ". Tháng 10/2026 đã" in told


# --- the store


def test_a_signature_moves_the_counter_of_the_facility(hospital: Hospital) -> None:
    def count() -> int:
        with hospital.office.store.read() as connection:
            return registry.changes(connection)["12001"].past

    seen, before = hospital.digest, count()
    hospital.decide(digest=seen)
    assert count() > before
    before = count()
    hospital.decide(digest=seen)
    assert count() == before


def test_a_restored_database_keeps_what_was_signed_and_takes_more(hospital: Hospital, tmp_path: Path) -> None:
    hospital.dispute()
    hospital.decide(BINH)
    backup.backup(hospital.office.store, tmp_path / "copy")
    hospital.correct(cash=60)
    hospital.decide()
    before = hospital.signed()[:2]
    backup.restore(hospital.office.store, tmp_path / "copy")
    assert hospital.signed() == before
    states = [hospital.month.state]
    # the agent offers its ledger again: the correction comes back, and with it the change
    hospital.correct(cash=60)
    states.append(hospital.month.state)
    assert states == ["confirmed", "reopened"]
    assert hospital.decide().state == "confirmed"
    assert [one.decision for one in hospital.signed()] == ["disputed", "confirmed", "confirmed"]


def test_of_two_people_at_once_one_signs_and_the_other_is_told(hospital: Hospital) -> None:
    seen = hospital.digest
    together = threading.Barrier(4)

    def press(person: Person) -> str:
        together.wait()
        try:
            return hospital.decide(person, digest=seen).state
        except ConflictError:
            return "locked"

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(press, [AN, AN, BINH, BINH]))
    assert sorted(answers) == ["confirmed", "confirmed", "locked", "locked"]
    assert len(hospital.signed()) == 1


def test_a_correction_that_is_just_being_stored_is_waited_for(hospital: Hospital) -> None:
    seen = hospital.digest
    with ThreadPoolExecutor(1) as pool:
        with hospital.office.store.write() as connection:
            registry.lock(connection, ["12001"])
            (source,) = tallies.sources(connection, ["12001"])
            row = tallies.Row(source.id, "payments", date(2026, 10, 9), 9, '{"cash":60}')
            tallies.replace(connection, [row], [row], NOON)
            signing = pool.submit(hospital.decide, digest=seen)
            time.sleep(0.3)
            assert not signing.done()
        with pytest.raises(ConflictError, match="vừa thay đổi"):
            signing.result(timeout=30)
    assert hospital.signed() == []
