"""Mail that reminds hospitals to confirm a month: some days before the date, and once after it.

Each mail is claimed in the database before it is handed over and released only when the server certainly did not take
it. So nobody gets the same one twice, however often this runs, in however many collectors; the price is that a mail
whose collector dies in between is not sent at all, and the next stage reminds.
"""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from collector import confirm, mail
from collector.confirm import Month
from collector.confirmations import Confirmations
from collector.mail import Letter, MailError, MailServer, Post, RefusedError
from collector.store import Connection, Store, deputies, people
from collector.store import reminders as stored
from collector.store.registry import Facility
from collector.store.reminders import Reminder
from collector.thresholds import Confirmation
from collector.typography import clean, day, number
from contract.days import local_day

AFTER = -1
HOUR = 8
"""Of the day: mail comes when people come to work."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Due:
    """A facility that has not answered for a month, and which reminder is due."""

    facility: Facility
    month: Month
    stage: int


def remind(
    store: Store,
    confirmations: Confirmations,
    rules: Confirmation,
    server: MailServer,
    public_url: str,
    moment: datetime,
) -> int:
    """Send what is due; returns how many mails. Raises MailError: what was not sent is due again; AwayError."""
    due = list(_due(confirmations, rules, moment))
    with store.read() as connection:
        mails = _mails(connection, due, moment)
    if not mails:
        return 0
    sent, failures = 0, list[MailError]()
    with mail.connected(server) as post:
        for reminders, letter_of in mails:
            try:
                sent += _send(store, post, reminders, letter_of, public_url, moment)
            except MailError as error:
                failures.append(error)
    if failures:
        raise failures[0]
    return sent


def stage(month: Month, rules: Confirmation, moment: datetime) -> int | None:
    """Which reminder is due for a month: a number of `remind_days`, AFTER, or None."""
    left = month.days_left(moment)
    if left is None or month.state not in ("open", "reopened"):
        return None
    return AFTER if left < 0 else min((days for days in rules.remind_days if days >= left), default=None)


def _due(confirmations: Confirmations, rules: Confirmation, moment: datetime) -> Iterator[Due]:
    for period in confirm.closed(moment):
        for facility, month in confirmations.of_all(period, moment):
            found = stage(month, rules, moment)
            if found is not None:
                yield Due(facility, month, found)


_Mail = tuple[list[Reminder], Mapping[Reminder, Due]]


def _mails(connection: Connection, due: Sequence[Due], moment: datetime) -> list[_Mail]:
    """One mail an address, month and stage, whatever the number of facilities: some keep the figures of many."""
    done = stored.claimed(connection, sorted({one.month.period for one in due}))
    addresses = _addresses(connection, due, moment)
    grouped: dict[tuple[str, int, str], dict[Reminder, Due]] = defaultdict(dict)
    for one in due:
        for address in addresses[one.facility.id, one.month.period]:
            reminder = Reminder(one.facility.id, one.month.period, one.stage, address)
            if reminder not in done:
                grouped[one.month.period, one.stage, address][reminder] = one
    return [(sorted(about), about) for _, about in sorted(grouped.items())]


def _addresses(connection: Connection, due: Sequence[Due], moment: datetime) -> dict[tuple[str, str], set[str]]:
    """(facility, month) → who is reminded: the facility's contact, and whoever can sign and has not yet."""
    of: dict[str, list[people.Person]] = defaultdict(list)
    for account in people.accounts(connection):
        if account.person.role == "confirmer" and account.person.facility and account.disabled_at is None:
            of[account.person.facility].append(account.person)
    for each in deputies.of(connection, [one.facility.id for one in due]):
        if each.may_sign(moment) and each.person.facility == each.facility:
            of[each.facility].append(each.person)
    found = {}
    for one in due:
        mine = [each.email for each in of[one.facility.id] if each.name != one.month.waiting_for_second]
        contacts = one.facility.email.replace(";", ",").split(",")
        told = {address.strip().lower() for address in (*contacts, *mine)}
        found[one.facility.id, one.month.period] = told - {""}
    return found


def _send(
    store: Store, post: Post, reminders: Sequence[Reminder], about: Mapping[Reminder, Due], url: str, moment: datetime
) -> int:
    """One mail; returns 1 when it was handed over. Raises MailError."""
    with store.write() as connection:
        mine = [one for one in reminders if stored.claim(connection, one, moment)]
    if not mine:
        return 0
    try:
        post.send(letter([about[one] for one in mine], mine[0].address, url, moment))
    except (MailError, RefusedError) as error:
        if isinstance(error, MailError) or not error.for_good:
            with store.write() as connection:
                for one in mine:
                    stored.release(connection, one)
        if isinstance(error, MailError):
            raise
        log.warning("không gửi được thư nhắc xác nhận cho một địa chỉ của %s: %s", mine[0].facility, error)
        return 0
    return 1


# --- what it says


def letter(due: Sequence[Due], address: str, public_url: str, moment: datetime) -> Letter:
    """The mail about these facilities (all of one month and stage, at least one)."""
    month = due[0].month
    assert month.due is not None
    named, last = confirm.named(month.period), day(local_day(month.due))
    left = month.days_left(moment) or 0
    if left < 0:
        subject = f"Quá hạn xác nhận số liệu {named}"
        until = f"Hạn xác nhận là hết ngày {last}, đã quá {number(-left)} ngày."
    else:
        remaining = f"còn {number(left)} ngày" if left else "hôm nay là ngày cuối"
        subject = f"Nhắc xác nhận số liệu {named}: {remaining}"
        until = f"Hạn xác nhận: hết ngày {last}, {remaining}."
    if len(due) > 1:
        subject += f" ({number(len(due))} cơ sở)"
    parts = ["Kính gửi Anh/Chị,", until]
    parts += [f"{_told(one)}\n{_address(one, public_url)}" for one in due]
    parts += [
        "Mở liên kết trên để xem số liệu rồi xác nhận. Số nào chưa đúng thì chọn “Chưa đúng” và ghi lý do: như vậy cũng"
        " là đã trả lời, không phải chờ sửa xong.",
        "Thư này được gửi tự động, xin không trả lời thư này.",
    ]
    lines = "\n".join(f"{one.facility.id} {one.month.period} {one.stage}" for one in due)
    key = hashlib.sha256(f"{address}\n{lines}".encode()).hexdigest()[:32]
    return Letter(address, subject, "\n\n".join(parts) + "\n", key, moment)


def _told(one: Due) -> str:
    """Why this facility is reminded."""
    name, named = clean(one.facility.name), confirm.named(one.month.period)
    if one.month.waiting_for_second:
        return f"{name}: số liệu {named} đã có một người ký, còn chờ một người nữa của cơ sở cùng ký."
    if one.month.state == "reopened":
        return f"{name}: xác nhận {named} được mở lại, vì số liệu gửi sau đã làm thay đổi kết quả đã ký."
    return f"{name}: số liệu {named} chưa được xác nhận."


def _address(one: Due, public_url: str) -> str:
    return f"{public_url.rstrip('/')}/facilities/{one.facility.id}/confirmations/{one.month.period}"
