"""Deputies and claims on each of the two databases: who may sign when, and that nobody is named or mailed twice."""

from datetime import datetime, timedelta

import pytest

from collector import confirm, deputies
from collector.confirm import Asked
from collector.store import deputies as stored
from collector.store import people, reminders
from collector.store.people import Person
from collector.store.reminders import Reminder
from collector.thresholds import Confirmation
from contract.days import LOCAL
from contract.errors import BadRequestError, ForbiddenError, NotFoundError
from tests.office import Office, a_tally

MONTH = "2026-10"
MORNING = datetime(2026, 11, 3, 9, tzinfo=LOCAL)
TODAY = MORNING.date()
ADMIN = Person("sở", "admin", None)


def day(after: int) -> datetime:
    return MORNING + timedelta(days=after)


@pytest.fixture
def reader(office: Office) -> Person:
    """Somebody of 12001 who only reads."""
    office.register("12001", "12002", at=datetime(2026, 9, 1, tzinfo=LOCAL), indicators="cashless")
    agent = office.speaker("12001")
    days = confirm.days_of(MONTH)
    assert office.push(agent, [a_tally(one, counts={"cash": 5, "qr": 5}) for one in days]).accepted == len(days)
    for one in (
        Person("an", "confirmer", "12001"),
        Person("bình", "reader", "12001"),
        Person("chi", "reader", "12002"),
    ):
        office.people.add(one, MORNING)
    with office.store.read() as connection:
        return people.named(connection, "bình").person


def name(office: Office, who: str = "bình", first: int = 0, last: int = 2, by: Person = ADMIN) -> None:
    deputies.name(office.store, by, "12001", who, (day(first).date(), day(last).date()), MORNING)


def may(office: Office, person: Person, moment: datetime) -> bool:
    with office.store.read() as connection:
        return deputies.may_sign(connection, person, "12001", moment)


def test_a_deputy_signs_like_a_confirmer_from_the_first_to_the_last_day(office: Office, reader: Person) -> None:
    name(office, first=1, last=2)
    assert [may(office, reader, day(after)) for after in (0, 1, 2, 3)] == [False, True, True, False]
    with office.store.read() as connection:
        _, now = confirm.look(connection, office.yardstick, Confirmation(), "12001", MONTH, MORNING)
    asked = Asked(facility="12001", period=MONTH, digest=now.digest, decision="confirm")
    for moment in (day(0), day(3)):
        with pytest.raises(ForbiddenError, match="người được cử ký thay"):
            confirm.sign(office.store, office.yardstick, Confirmation(), reader, asked, moment)
    month, _ = confirm.sign(office.store, office.yardstick, Confirmation(), reader, asked, day(1))
    assert (month.state, [one.person for one in month.settled]) == ("confirmed", ["bình"])
    with office.store.read() as connection:
        lines = {one.action: one for one in people.changes(connection, "12001")}
    assert (lines["deputy_named"].person, lines["deputy_named"].subject) == ("sở", "bình")
    assert lines["deputy_named"].after == '{"first_day":"2026-11-04","last_day":"2026-11-05"}'
    assert (lines["month_confirmed"].person, lines["month_confirmed"].subject) == ("bình", MONTH)
    assert now.digest in str(lines["month_confirmed"].after)


def test_what_was_signed_before_the_end_stays_and_no_more_is_signed_after_it(office: Office, reader: Person) -> None:
    name(office)
    with office.store.read() as connection:
        (one,) = stored.of(connection, ["12001"])
    deputies.end(office.store, ADMIN, "12001", one.id, MORNING + timedelta(hours=1))
    hours = [MORNING + timedelta(hours=after) for after in (0, 1)]
    assert [may(office, reader, moment) for moment in hours] == [True, False]
    name(office)  # again, on the same days
    with office.store.read() as connection:
        found = stored.of(connection, ["12001", "12002"])
        assert len(found) == 2
        assert [each.ended_at for each in deputies.in_force(found, TODAY)] == [None]
        assert deputies.in_force(found, day(3).date()) == []


def test_the_same_person_is_named_once_for_the_same_days(office: Office, reader: Person) -> None:
    name(office, first=1, last=3)
    for first, last in ((0, 1), (3, 5), (2, 2), (0, 9)):
        with pytest.raises(BadRequestError, match="đã được cử"):
            name(office, first=first, last=last)
    name(office, first=4, last=4)


@pytest.mark.parametrize("who", ["an", "chi", "nobody", ""])
def test_only_people_of_the_facility_who_read_are_named(office: Office, reader: Person, who: str) -> None:
    with pytest.raises(BadRequestError, match="hãy chọn một người của cơ sở"):
        name(office, who)
    office.people.disable("bình", MORNING)
    with pytest.raises(BadRequestError, match="hãy chọn một người của cơ sở"):
        name(office)


def test_only_confirmers_of_the_facility_and_administrators_name_and_end(office: Office, reader: Person) -> None:
    name(office, by=Person("an", "confirmer", "12001"))
    with office.store.read() as connection:
        (one,) = stored.of(connection, ["12001"])
    for by, error in (
        (reader, ForbiddenError),
        (Person("đọc", "reader", None), ForbiddenError),
        (Person("lạ", "confirmer", "12002"), NotFoundError),
    ):
        with pytest.raises(error):
            name(office, first=5, last=5, by=by)
        with pytest.raises(error):
            deputies.end(office.store, by, "12001", one.id, MORNING)
    # one of another facility's is not there, for the administrator neither
    with pytest.raises(NotFoundError):
        deputies.end(office.store, ADMIN, "12002", one.id, MORNING)
    assert may(office, reader, MORNING)


def test_a_reminder_is_claimed_by_one_and_released_for_another(office: Office, reader: Person) -> None:
    one = Reminder("12001", MONTH, 3, "a@b.vn")
    with office.store.write() as connection:
        assert [reminders.claim(connection, one, MORNING) for _ in range(2)] == [True, False]
        assert reminders.claim(connection, one._replace(stage=1), MORNING)
    with office.store.write() as connection:
        reminders.release(connection, one)
        assert reminders.claimed(connection, [MONTH]) == {one._replace(stage=1)}
        assert reminders.claimed(connection, ["2026-09"]) == set()
        assert reminders.claim(connection, one, MORNING)
