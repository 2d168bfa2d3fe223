"""A hospital confirms a version of its figures for a month (architecture.md, "Confirmation").

The state of a month is worked out from its signatures and the present figures, never stored: it reopens by itself when
a signed share to one decimal, a signed verdict or a definition changes, and holds again when the change is undone.
Everybody with the role of confirmer at the facility may sign, by name, and so may its deputies (deputies.py).
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from collector import deputies, windows
from collector.figures import FacilityData, load
from collector.store import Connection, Store, registry, retention, signatures
from collector.store.people import Person
from collector.store.registry import Facility
from collector.store.signatures import Signature
from collector.thresholds import Confirmation
from collector.versions import Change, Version, changes, says_the_same, sentence, version
from collector.yardstick import Yardstick, applies
from contract.days import LOCAL, DayRange, local_day, midnight
from contract.errors import BadRequestError, ConflictError, ForbiddenError, NotFoundError
from contract.findings import Words
from contract.tally import FIRST_DAY

State = Literal["open", "confirmed", "disputed", "reopened"]
STATES: Mapping[State, Words] = {
    "reopened": Words(
        "Mở lại",
        "Reopened",
        "Số liệu gửi sau đã làm thay đổi kết quả đã ký.",
        "Data that arrived later has changed a signed result.",
    ),
    "open": Words(
        "Chưa xác nhận",
        "Not confirmed",
        "Chưa ai ký, hoặc còn chờ người thứ hai.",
        "Nobody has signed, or a second person still has to.",
    ),
    "disputed": Words(
        "Có ý kiến",
        "Disputed",
        "Cơ sở cho là có số liệu chưa đúng.",
        "The facility says that a figure is not right.",
    ),
    "confirmed": Words("Đã xác nhận", "Confirmed", "Đã ký, số liệu được khóa.", "Signed and locked."),
}
"""What people read of each state; what needs work comes first."""
Decision = Literal["confirm", "dispute"]
LONGEST_REASON = 2000
_STORED: Mapping[Decision, str] = {"confirm": "confirmed", "dispute": "disputed"}
_PERIOD = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")
# what neither a database nor an office document takes
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Asked(BaseModel):
    """What a person decides. `digest`: of the version that the person saw; `reasons`: indicator → why disputed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    facility: str
    period: str
    digest: str
    decision: Decision
    reasons: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Month:
    """Where the confirmation of a facility's month stands.

    `due`: None when the facility was registered only after the month. `waiting_for_second`: who has signed, when one
    more person must. `settled`: the signatures that confirmed or disputed the month last, whether they still hold or
    not; `changes`: what differs from the version that they signed.
    """

    facility: str
    period: str
    state: State
    due: datetime | None
    waiting_for_second: str | None
    changes: list[Change]
    signatures: Sequence[Signature]
    settled: Sequence[Signature] = ()

    def is_overdue(self, moment: datetime) -> bool:
        """Whether it should have been confirmed (or disputed: that is an answer too) by now."""
        return self.state in ("open", "reopened") and self.due is not None and moment > self.due

    def days_left(self, moment: datetime) -> int | None:
        """Days until the date: 0 on that very day, less than 0 after it; None: there is no date."""
        return None if self.due is None else (local_day(self.due) - local_day(moment)).days


# --- months


def days_of(period: str) -> DayRange:
    """The days of a month `yyyy-mm`. Raises BadRequestError."""
    if not _PERIOD.fullmatch(period) or period < f"{FIRST_DAY:%Y-%m}":
        raise BadRequestError("tháng phải viết theo dạng 2026-10")
    return windows.period("monthly", date.fromisoformat(f"{period}-01"))


def over(period: str, moment: datetime) -> DayRange:
    """The days of a month that is over. Raises BadRequestError."""
    days = days_of(period)
    after = days.last + timedelta(days=1)
    if moment < midnight(after):
        raise BadRequestError(f"{named(period)} chưa kết thúc: xác nhận được từ ngày {after:%d/%m/%Y}")
    return days


def due(period: str, day_of_month: int) -> datetime:
    """The end of that day (1 … 28) of the following month. Raises BadRequestError for no month."""
    first = days_of(period).last + timedelta(days=1)
    return datetime.combine(first.replace(day=day_of_month), time(23, 59, 59), LOCAL)


def closed(moment: datetime) -> list[str]:
    """The last two months that are over, the older first."""
    last = local_day(moment).replace(day=1) - timedelta(days=1)
    before = last.replace(day=1) - timedelta(days=1)
    return [f"{before:%Y-%m}", f"{last:%Y-%m}"]


# --- reading


def recent(
    data: FacilityData, yardstick: Yardstick, rules: Confirmation, found: Sequence[Signature], moment: datetime
) -> list[Month]:
    """The last two closed months that are asked of the facility, the older first.

    `data` must reach back to the first day of the older; `found`: the facility's signatures of these months. Figures
    are worked out only for a month that somebody has signed.
    """
    months = []
    for period in closed(moment):
        days = days_of(period)
        signed = [one for one in found if one.period == period]
        if is_asked(data.facility, yardstick, days):
            now = version(data, yardstick, days) if signed else None
            months.append(_month(data.facility, period, signed, now, rules))
    return months


def is_asked(facility: Facility, yardstick: Yardstick, days: DayRange) -> bool:
    """Whether there is something to confirm: the facility was active in these days, and some indicator applies."""
    indicators = yardstick.catalogue.indicators.items()
    return facility.was_active(days) and any(applies(one, code, facility) for code, one in indicators)


def of(
    data: FacilityData, yardstick: Yardstick, rules: Confirmation, period: str, signed: Sequence[Signature]
) -> Month:
    """Where a closed month stands that somebody has signed (`signed`: its signatures, the oldest first).

    `data` must reach back to its first day.
    """
    return _month(data.facility, period, signed, version(data, yardstick, days_of(period)), rules)


def unsigned(facility: Facility, rules: Confirmation, period: str) -> Month:
    """A closed month that nobody has signed: no figures are needed to know where it stands."""
    return _month(facility, period, (), None, rules)


def changed(months: Sequence[Month]) -> list[tuple[str, str]]:
    """The finding `changed_after_confirmation`: each indicator that reopened a month, and a sentence that says how."""
    found: dict[str, list[str]] = {}
    for month in months:
        for one in month.changes if month.state == "reopened" else ():
            if one.reopens:
                text = f"{named(month.period).capitalize()} đã xác nhận {sentence(one)}."
                found.setdefault(one.indicator, []).append(text)
    return [(indicator, " ".join(sentences)) for indicator, sentences in found.items()]


def look(
    connection: Connection, yardstick: Yardstick, rules: Confirmation, facility: str, period: str, moment: datetime
) -> tuple[Month, Version]:
    """Where a month stands, and its figures now.

    Raises NotFoundError (no facility, tallies no longer kept), BadRequestError (not over, not active).
    """
    places = registry.facilities(connection, [facility])
    if not places:
        raise NotFoundError("không có cơ sở này")
    days = over(period, moment)
    if not places[0].was_active(days):
        raise BadRequestError(f"cơ sở không hoạt động trong {named(period)}")
    refuse_forgotten(connection, days)
    data = load(connection, yardstick.catalogue, places, days.first, days.last)[0]
    now = version(data, yardstick, days)
    signed = signatures.of(connection, [facility], [period])[facility]
    return _month(places[0], period, signed, now, rules), now


def refuse_forgotten(connection: Connection, days: DayRange) -> None:
    """Raises NotFoundError for days whose tallies are no longer kept: what was signed cannot be held against them."""
    since = retention.kept_from(connection)
    if since is not None and days.first < since:
        what = named(f"{days.first:%Y-%m}")
        raise NotFoundError(
            f"số đếm của {what} đã hết hạn lưu, chỉ còn từ {since:%d/%m/%Y}; bản đã ký vẫn còn trong kho"
        )


# --- signing


def sign(
    store: Store, yardstick: Yardstick, rules: Confirmation, person: Person, asked: Asked, moment: datetime
) -> tuple[Month, Version]:
    """Keep what a person decided on the figures that the person saw, and say where the month stands now.

    The same decision of the same person again changes nothing and is answered alike. Raises NotFoundError,
    ForbiddenError (not a confirmer of this facility), BadRequestError, ConflictError (locked, already signed by this
    person, or the figures have changed meanwhile).
    """
    facility = asked.facility
    may_see(person, facility)
    with store.write() as connection:
        if not deputies.may_sign(connection, person, facility, moment):
            raise ForbiddenError("chỉ người xác nhận của chính cơ sở, hoặc người được cử ký thay, mới được ký số liệu")
        # a push waits for this too, so that the figures stay those that are signed
        registry.lock(connection, [facility])
        month, now = look(connection, yardstick, rules, facility, asked.period, moment)
        mine = Signature(
            facility=facility,
            period=asked.period,
            decision=_STORED[asked.decision],
            digest=asked.digest,
            figures=now.text,
            reasons=_told(asked, now),
            person=person.name,
            at=moment,
        )
        if _is_repeated(mine, month):
            return month, now
        _refuse_if_locked(mine, month, now)
        signatures.add(connection, mine)
        registry.touch(connection, [facility])
        return look(connection, yardstick, rules, facility, asked.period, moment)


def may_see(person: Person, facility: str) -> None:
    """People of a facility see that one only. Raises NotFoundError."""
    if person.facility not in (None, facility):
        raise NotFoundError("không có cơ sở này")


def _told(asked: Asked, now: Version) -> dict[str, str]:
    """The reasons as they are kept: NFC, one kind of line end, no blanks around. Raises BadRequestError."""
    if not now.figures:
        raise BadRequestError("không có chỉ số nào áp dụng cho cơ sở này")
    if asked.decision == "confirm" and asked.reasons:
        raise BadRequestError("xác nhận thì không kèm lý do; có chỉ số chưa đúng thì gửi decision = dispute")
    if asked.decision == "dispute" and not asked.reasons:
        raise BadRequestError("hãy nêu chỉ số chưa đúng và lý do")
    if not asked.reasons.keys() <= now.figures.keys():
        raise BadRequestError("lý do nêu cho một chỉ số không có trong số liệu của tháng này")
    told = {
        code: unicodedata.normalize("NFC", text).replace("\r\n", "\n").strip() for code, text in asked.reasons.items()
    }
    if any(not 1 <= len(text) <= LONGEST_REASON or _CONTROL.search(text) for text in told.values()):
        raise BadRequestError("mỗi lý do dài từ 1 đến 2.000 ký tự, không có ký tự điều khiển")
    return told


def _is_repeated(mine: Signature, month: Month) -> bool:
    """Whether this very decision stands already: a request that was sent again because its answer was lost."""
    rounds = _rounds(month.signatures)
    return bool(rounds) and any(
        (one.person, one.decision, one.digest, dict(one.reasons))
        == (mine.person, mine.decision, mine.digest, mine.reasons)
        for one in rounds[-1]
    )


def _refuse_if_locked(mine: Signature, month: Month, now: Version) -> None:
    told = named(month.period)
    if month.state == "confirmed":
        raise ConflictError(f"số liệu {told} đã được xác nhận và khóa; chỉ ký lại khi xác nhận được mở lại")
    if mine.digest != now.digest:
        raise ConflictError("số liệu vừa thay đổi, xin xem lại trước khi ký")
    if mine.decision == "confirmed" and month.waiting_for_second == mine.person:
        raise ConflictError(f"số liệu {told} còn chờ một người khác của cơ sở cùng ký")


# --- the state


# the state, who waits for a second person, what has changed, and since which signatures
_Standing = tuple[State, str | None, Sequence[Change], Sequence[Signature]]
_NOTHING: _Standing = ("open", None, (), ())


def _month(
    facility: Facility, period: str, signed: Sequence[Signature], now: Version | None, rules: Confirmation
) -> Month:
    if now is None:
        state, waiting, differing, settled = _NOTHING
    else:
        state, waiting, differing, settled = _standing(signed, now, rules.confirm_by)
    after = midnight(days_of(period).last + timedelta(days=1))
    was_known = facility.registered_at < after
    until = due(period, rules.due_day) if was_known else None
    return Month(facility.id, period, state, until, waiting, list(differing), signed, settled)


def _standing(signed: Sequence[Signature], now: Version, needed: int) -> _Standing:
    rounds = _rounds(signed)
    settled = next((one for one in reversed(rounds) if _is_settled(one, needed)), None)
    waiting = None
    if rounds and not _is_settled(rounds[-1], needed) and says_the_same(_signed(rounds[-1]), now):
        waiting = rounds[-1][-1].person
    if settled is None:
        return "open", waiting, (), ()
    differing = changes(_signed(settled), now)
    if settled[-1].decision == "disputed":
        return "open" if waiting else "disputed", waiting, differing, settled
    return "reopened" if any(one.reopens for one in differing) else "confirmed", waiting, differing, settled


def _rounds(signed: Sequence[Signature]) -> list[list[Signature]]:
    """Signatures in order: each dispute for itself; confirmations by different people of versions that say the same.

    Small corrections arrive every night; a second person must not have to sign on the day of the first.
    """
    rounds: list[list[Signature]] = []
    for one in signed:
        last = rounds[-1] if rounds else []
        joins = (
            len(last) > 0
            and one.decision == last[-1].decision == "confirmed"
            and one.person not in {other.person for other in last}
            and says_the_same(_signed(last), Version(one.figures))
        )
        if joins:
            last.append(one)
        else:
            rounds.append([one])
    return rounds


def _is_settled(one: Sequence[Signature], needed: int) -> bool:
    return one[-1].decision == "disputed" or len(one) >= needed


def _signed(one: Sequence[Signature]) -> Version:
    return Version(one[-1].figures)


def named(period: str) -> str:
    """`tháng 10/2026`."""
    return f"tháng {period[5:]}/{period[:4]}"
