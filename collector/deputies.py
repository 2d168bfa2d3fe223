"""Deputies: a confirmer, or the Sở's administrator, names who of the facility signs in their place on some days."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from collector.store import Connection, Store, deputies, people, registry
from collector.store.deputies import Deputy
from collector.store.people import Person
from contract.days import local_day
from contract.errors import BadRequestError, ForbiddenError, NotFoundError

LONGEST = timedelta(days=366)


def may_name(person: Person, facility: str) -> bool:
    """Whether a person may name and end the deputies of a facility."""
    return person.role == "admin" or (person.role == "confirmer" and person.facility == facility)


def may_sign(connection: Connection, person: Person, facility: str, moment: datetime) -> bool:
    """Whether a person signs for a facility at `moment`: it is their role, or they are a deputy."""
    if person.facility != facility:
        return False
    if person.role == "confirmer":
        return True
    return any(one.person.id == person.id and one.may_sign(moment) for one in deputies.of(connection, [facility]))


def candidates(connection: Connection, facility: str) -> list[Person]:
    """Who can be named: people of the facility who only read, and whose account is open."""
    found = people.accounts(connection, facility)
    return [one.person for one in found if one.person.role == "reader" and one.disabled_at is None]


def name(store: Store, by: Person, facility: str, who: str, days: tuple[date, date], at: datetime) -> None:
    """Let `who` (a person's name) sign for the facility on `days` (first, last; both included).

    Raises ForbiddenError, NotFoundError (no such facility), BadRequestError.
    """
    with store.write() as connection:
        _refuse_unless_named_by(connection, by, facility)
        person = next((one for one in candidates(connection, facility) if one.name == who), None)
        if person is None:
            raise BadRequestError("hãy chọn một người của cơ sở có tài khoản đang hoạt động")
        _refuse_if_wrong(days, at)
        same = [one for one in deputies.of(connection, [facility]) if one.person.id == person.id]
        if any(_overlaps(one, days) for one in same):
            raise BadRequestError("người này đã được cử ký thay trong những ngày đó")
        deputies.add(connection, facility, person.id, days, by.name, at)
        people.note(connection, at, by.name, "deputy_named", person.name, facility=facility, after=_plain(days))


def end(store: Store, by: Person, facility: str, id_: int, at: datetime) -> None:
    """From now on the deputy signs no longer; what was signed stays. Raises ForbiddenError, NotFoundError."""
    with store.write() as connection:
        _refuse_unless_named_by(connection, by, facility)
        one = next((one for one in deputies.of(connection, [facility]) if one.id == id_), None)
        if one is None:
            raise NotFoundError("không có lần cử ký thay này")
        if one.ended_at is None:
            deputies.end(connection, id_, at)
            days = _plain((one.first_day, one.last_day))
            people.note(connection, at, by.name, "deputy_ended", one.person.name, facility=facility, before=days)


def in_force(found: Sequence[Deputy], today: date) -> list[Deputy]:
    """Those that hold now or will, the first to begin first."""
    return sorted(
        (one for one in found if one.ended_at is None and one.last_day >= today),
        key=lambda one: (one.first_day, one.id),
    )


def _refuse_unless_named_by(connection: Connection, by: Person, facility: str) -> None:
    if by.facility not in (None, facility) or not registry.facilities(connection, [facility]):
        raise NotFoundError("không có cơ sở này")
    if not may_name(by, facility):
        raise ForbiddenError("chỉ người xác nhận của cơ sở hoặc quản trị của Sở mới được cử người ký thay")


def _refuse_if_wrong(days: tuple[date, date], at: datetime) -> None:
    first, last = days
    if first < local_day(at):
        raise BadRequestError("ngày bắt đầu ký thay không được ở trong quá khứ")
    if last < first:
        raise BadRequestError("ngày kết thúc ký thay phải từ ngày bắt đầu trở đi")
    if last - first > LONGEST:
        raise BadRequestError("mỗi lần cử ký thay không quá một năm")


def _overlaps(one: Deputy, days: tuple[date, date]) -> bool:
    return one.ended_at is None and one.first_day <= days[1] and days[0] <= one.last_day


def _plain(days: tuple[date, date]) -> dict[str, str]:
    return {"first_day": str(days[0]), "last_day": str(days[1])}
