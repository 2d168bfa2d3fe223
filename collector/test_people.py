"""People: accounts, tokens, passwords, lockout, sessions. Time is passed in."""

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from collector.access import hashed
from collector.people import FAILURES, FAILURES_OF_ADDRESS, HASHER, IDLE, LOCKED, LONGEST, NOBODY, Session
from collector.store import people as stored
from collector.store.people import Change, Person
from collector.throttle import Throttle
from contract.errors import BadRequestError, BusyError, ConfigError, NotFoundError, UnauthorisedError
from tests.office import NOON, Office

AN = Person("an", "confirmer", "12001", "Nguyễn Văn An", "an@example.org")
SECOND = timedelta(seconds=1)
OWN = "trời hôm nay có mây"


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Office]:
    """A Sở on SQLite alone: for what no database has a part in."""
    office = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    office.register("12001")
    yield office
    office.store.close()


def entered(office: Office, one: Person = AN, at: datetime = NOON) -> str:
    """Somebody who has been given a password; the password."""
    if one.facility is not None:
        office.register(one.facility)
    office.people.add(one, at)
    return office.people.first_password(one.name, at)


def logged_in(office: Office, one: Person = AN, at: datetime = NOON) -> Session:
    """Somebody who has chosen `OWN`."""
    first = entered(office, one, at)
    session = office.people.log_in(one.name, first, at)
    office.people.choose_password(session, first, OWN, at)
    return session


def opens(office: Office, password: str, at: datetime = NOON, name: str = "an") -> bool:
    try:
        office.people.log_in(name, password, at)
    except UnauthorisedError:
        return False
    return True


def is_open(office: Office, session: Session, at: datetime = NOON) -> bool:
    return office.people.session(session.secret, at) is not None


def audit(office: Office, facility: str | None = None) -> list[Change]:
    """What is said of people, the oldest first."""
    with office.store.read() as connection:
        found = reversed(stored.changes(connection, facility))
    return [one for one in found if not one.action.startswith("facility_")]


# --- accounts and tokens


def test_a_person_is_known_by_a_personal_token_until_a_new_one_is_made(office: Office) -> None:
    office.register("12001")
    old = office.people.add(AN, NOON)
    assert office.people.by_token(old) == AN
    new = office.people.add(Person("an", "reader", None), NOON)
    found = office.people.by_token(new)
    assert (found.role, found.facility, found.full_name, found.email) == ("reader", None, AN.full_name, AN.email)
    with pytest.raises(UnauthorisedError):
        office.people.by_token(old)


def test_who_is_added_again_keeps_id_password_session_and_history(office: Office) -> None:
    session = logged_in(office)
    before = session.person.id
    office.people.add(Person("an", "reader", "12001"), NOON)
    found = office.people.session(session.secret, NOON)
    assert found is not None
    assert (found.person.id, found.person.role) == (before, "reader")  # rights are those of this moment
    assert opens(office, OWN)
    assert "log_in" in [one.action for one in audit(office)]


@pytest.mark.parametrize(
    ("one", "problem"),
    [
        (Person("An", "boss", None), "vai trò"),
        (Person("An", "confirmer", None), "vai trò"),
        (Person("An", "admin", "12001"), "vai trò"),
        (Person("An", "reader", "12009"), "12009"),
        (Person("", "reader", None), "tên đăng nhập"),
        (Person(" \x00 ", "reader", None), "tên đăng nhập"),
        (Person("x" * 65, "reader", None), "tên đăng nhập"),
        (Person("An", "reader", None, email="an"), "email"),
        (Person("An", "reader", None, email="an@x\r\nBcc: y@z"), "email"),
    ],
)
def test_a_person_that_cannot_be_is_refused_and_nothing_is_written(lone: Office, one: Person, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        lone.people.add(one, NOON)
    assert audit(lone) == []


def test_an_agents_token_is_no_personal_token_and_the_reverse(lone: Office) -> None:
    token, person = lone.enrol("12001"), lone.people.add(AN, NOON)
    with pytest.raises(UnauthorisedError):
        lone.people.by_token(token)
    with pytest.raises(UnauthorisedError):
        lone.access.speaker(person, NOON)


def test_a_disabled_account_has_no_way_in(office: Office) -> None:
    session = logged_in(office)
    token = office.people.add(AN, NOON)
    office.people.disable("an", NOON)
    assert not is_open(office, session)
    assert not opens(office, OWN)
    with pytest.raises(UnauthorisedError):
        office.people.by_token(token)
    with pytest.raises(BadRequestError, match="ngừng"):
        office.people.first_password("an", NOON)
    # back again: with a new token, and without the old password
    assert office.people.by_token(office.people.add(AN, NOON)) == AN
    assert not opens(office, OWN)
    assert opens(office, office.people.first_password("an", NOON))


def test_nobody_is_given_a_password_or_disabled_who_does_not_exist(lone: Office) -> None:
    for action in (lone.people.first_password, lone.people.disable):
        with pytest.raises(NotFoundError):
            action("ai đó", NOON)


# --- logging in


def test_the_first_password_opens_the_door_and_must_be_changed(office: Office) -> None:
    first = entered(office)
    session = office.people.log_in(" an ", first, NOON)
    assert (session.person, session.must_change) == (AN, True)
    office.people.choose_password(session, first, OWN, NOON)
    found = office.people.session(session.secret, NOON)
    assert found is not None
    assert not found.must_change
    assert not opens(office, first)
    assert not office.people.log_in("an", OWN, NOON).must_change


def test_a_password_is_the_same_however_a_keyboard_writes_its_letters(lone: Office) -> None:
    session = logged_in(lone)
    decomposed = "trời hôm nay có mây".replace("ời", "o\u031b\u0300i")
    assert decomposed != OWN
    assert opens(lone, decomposed)
    with pytest.raises(BadRequestError, match="khác mật khẩu cũ"):
        lone.people.choose_password(session, OWN, decomposed, NOON)


@pytest.mark.parametrize("new", ["", "mười một ch", OWN, "nguyen.van.an"])
def test_a_new_password_that_is_short_or_old_or_the_name_is_refused(lone: Office, new: str) -> None:
    one = Person("nguyen.van.an", "reader", None)
    session = logged_in(lone, one)
    with pytest.raises(BadRequestError, match="ít nhất 12"):
        lone.people.choose_password(session, OWN, new, NOON)
    assert opens(lone, OWN, name=one.name)


def test_every_refusal_sounds_the_same_and_takes_a_hash(lone: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    entered(lone)
    entered(lone, Person("khoa", "reader", None))
    lone.people.add(Person("không", "reader", None), NOON)
    entered(lone, Person("nghỉ", "reader", None))
    lone.people.disable("nghỉ", NOON)
    for _ in range(FAILURES):
        assert not opens(lone, "sai", name="khoa")
    hashes: list[str] = []
    verify = PasswordHasher.verify

    def watched(self: PasswordHasher, hash_: str, password: bytes) -> bool:
        hashes.append(hash_)
        return bool(verify(self, hash_, password))

    monkeypatch.setattr(PasswordHasher, "verify", watched)
    said = set()
    for name in ("an", "khoa", "không", "nghỉ", "ai đó", "", "\x00", "x" * 200):
        with pytest.raises(UnauthorisedError) as caught:
            lone.people.log_in(name, "sai", NOON)
        said.add(str(caught.value))
    assert len(said) == 1
    # one each, and a real one: nobody is answered faster for not existing
    assert [one[:10] for one in hashes] == ["$argon2id$"] * 8


def test_the_hash_for_names_that_do_not_exist_costs_what_the_others_cost() -> None:
    assert not HASHER.check_needs_rehash(NOBODY)


def test_five_wrong_passwords_in_a_row_lock_for_15_minutes(office: Office) -> None:
    right = entered(office)
    for _ in range(FAILURES - 1):
        assert not opens(office, "sai")
    assert opens(office, right)  # which starts the count again
    for _ in range(FAILURES):
        assert not opens(office, "sai")
    assert not opens(office, right)
    assert not opens(office, right, NOON + LOCKED - SECOND)
    assert not opens(office, "sai", NOON + LOCKED - SECOND)  # neither counted nor prolonging
    assert opens(office, right, NOON + LOCKED)
    assert [one.action for one in audit(office, "12001")].count("account_locked") == 1


def test_after_a_lock_has_run_out_the_count_starts_again(office: Office) -> None:
    right = entered(office)
    for _ in range(FAILURES):
        assert not opens(office, "sai")
    for _ in range(FAILURES - 1):
        assert not opens(office, "sai", NOON + LOCKED)
    assert opens(office, right, NOON + LOCKED)


def test_a_new_first_password_unlocks(lone: Office) -> None:
    entered(lone)
    for _ in range(FAILURES):
        assert not opens(lone, "sai")
    assert opens(lone, lone.people.first_password("an", NOON))


def test_of_many_guesses_at_once_only_five_are_looked_at(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    entered(office)
    looked: list[str] = []
    ready = threading.Barrier(12)

    def matches(password_hash: str, _: str) -> bool:
        if password_hash != NOBODY:
            looked.append(password_hash)
        return False

    monkeypatch.setattr("collector.people._matches", matches)

    def guess() -> None:
        ready.wait()
        opens(office, "sai")

    threads = [threading.Thread(target=guess) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(looked) == FAILURES
    assert [one.action for one in audit(office)].count("account_locked") == 1


def test_a_stolen_session_is_no_way_to_guess_the_password(lone: Office) -> None:
    session = logged_in(lone)
    for _ in range(FAILURES):
        with pytest.raises(BadRequestError, match="hiện tại"):
            lone.people.choose_password(session, "sai", "một câu khác hẳn", NOON)
    with pytest.raises(BadRequestError, match="hiện tại"):
        lone.people.choose_password(session, OWN, "một câu khác hẳn", NOON)


def test_one_address_may_be_wrong_20_times_a_minute_and_right_without_end(office: Office) -> None:
    throttle = Throttle(office.store, "x", FAILURES_OF_ADDRESS, 10 * FAILURES_OF_ADDRESS)
    at = NOON + 45 * SECOND
    for _ in range(2 * FAILURES_OF_ADDRESS):
        throttle.take("10.0.0.1", at)
        throttle.give_back("10.0.0.1", at)
    for _ in range(FAILURES_OF_ADDRESS):
        throttle.take("10.0.0.1", at)
    with pytest.raises(BusyError) as caught:
        throttle.take("10.0.0.1", at)
    assert caught.value.retry_after == 15
    throttle.take("10.0.0.2", at)
    throttle.take("10.0.0.1", at + 15 * SECOND)
    throttle.give_back("10.0.0.2", at)  # of the minute before
    throttle.take("10.0.0.2", at + 16 * SECOND)


def test_logging_in_counts_wrong_passwords_by_address_whatever_the_name(
    lone: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.people._matches", lambda *_: False)
    for number in range(FAILURES_OF_ADDRESS):
        with pytest.raises(UnauthorisedError):
            lone.people.log_in(f"người {number}", "sai", NOON, "10.0.0.1")
    with pytest.raises(BusyError):
        lone.people.log_in("an", "sai", NOON, "10.0.0.1")
    with pytest.raises(UnauthorisedError):
        lone.people.log_in("an", "sai", NOON, "10.0.0.2")


def test_right_passwords_of_a_whole_hospital_behind_one_address_do_not_count(
    lone: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered(lone)
    monkeypatch.setattr("collector.people._matches", lambda *_: True)
    for _ in range(FAILURES_OF_ADDRESS + 1):
        lone.people.log_in("an", "đúng", NOON, "10.0.0.1")
    with pytest.raises(UnauthorisedError):  # a name that does not exist has no right password
        lone.people.log_in("ai đó", "đúng", NOON, "10.0.0.1")


# --- sessions


def test_a_session_ends_after_an_hour_without_use_and_after_12_hours_at_most(office: Office) -> None:
    idle, used = logged_in(office), office.people.log_in("an", OWN, NOON)
    assert is_open(office, idle, NOON + IDLE - SECOND)
    assert not is_open(office, used, NOON + IDLE)
    used, at = office.people.log_in("an", OWN, NOON), NOON
    while at < NOON + LONGEST - timedelta(minutes=50):
        at += timedelta(minutes=50)
        assert is_open(office, used, at)
    assert is_open(office, used, NOON + LONGEST - SECOND)
    assert not is_open(office, used, NOON + LONGEST)


def test_who_logs_out_is_out_and_other_sessions_stay(lone: Office) -> None:
    one = logged_in(lone)
    other = lone.people.log_in("an", OWN, NOON)
    lone.people.log_out(one)
    assert not is_open(lone, one)
    assert is_open(lone, other)
    assert lone.people.session("", NOON) is None
    assert lone.people.session("x" * 43, NOON) is None


def test_a_new_password_ends_the_sessions_elsewhere_and_a_reset_ends_all(office: Office) -> None:
    here = logged_in(office)
    elsewhere = office.people.log_in("an", OWN, NOON)
    office.people.choose_password(here, OWN, "một câu khác hẳn", NOON)
    assert is_open(office, here)
    assert not is_open(office, elsewhere)
    office.people.first_password("an", NOON)
    assert not is_open(office, here)


def test_sessions_that_have_run_out_are_forgotten_and_others_are_not(office: Office) -> None:
    old = logged_in(office)
    young = office.people.log_in("an", OWN, NOON + IDLE)
    office.people.forget_sessions(NOON + IDLE + SECOND)
    with office.store.read() as connection:
        kept = [stored.session_of(connection, hashed(one.secret)) is not None for one in (old, young)]
    assert kept == [False, True]


def test_a_form_token_belongs_to_one_session(lone: Office) -> None:
    one = logged_in(lone)
    other = lone.people.log_in("an", OWN, NOON)
    assert one.is_from_us(one.form_token)
    for wrong in ("", "x", other.form_token, one.secret, one.form_token[:-1], "đ"):
        assert not one.is_from_us(wrong)


# --- what is kept


def test_the_audit_says_who_did_what_without_a_secret(office: Office) -> None:
    logged_in(office)
    office.people.add(Person("an", "reader", "12001"), NOON, by="sở")
    office.people.disable("an", NOON, by="sở")
    found = audit(office, "12001")
    assert [(one.person, one.action) for one in found] == [
        ("nhipso-collector", "person_added"),
        ("nhipso-collector", "password_reset"),
        ("an", "log_in"),
        ("an", "password_changed"),
        ("sở", "person_changed"),
        ("sở", "person_disabled"),
    ]
    before, after = (json.loads(text or "") for text in (found[4].before, found[4].after))
    assert {key: (before[key], after[key]) for key in before if before[key] != after[key]} == {
        "role": ("confirmer", "reader")
    }
    assert audit(office, "12009") == []


def test_secrets_of_people_are_in_the_database_file_only_as_hashes(tmp_path: Path) -> None:
    office = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    token = office.people.add(Person("an", "reader", None), NOON)
    first = office.people.first_password("an", NOON)
    session = office.people.log_in("an", first, NOON)
    office.people.choose_password(session, first, OWN, NOON)
    office.store.close()
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for secret in (token, first, first.replace("-", ""), session.secret, session.form_token, OWN):
        assert secret.encode() not in content
    assert b"$argon2id$" in content  # the search itself works
