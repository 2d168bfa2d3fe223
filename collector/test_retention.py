"""What is no longer kept, and that nothing else goes with it (docs/operations.md, "Giữ dữ liệu bao lâu")."""

from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from collector import confirm, retention
from collector.confirm import Asked
from collector.retention import Retention, horizon
from collector.store import retention as old
from collector.store import signatures, tallies
from collector.store.people import Person
from collector.store.tables import audit, metadata, tally, tally_log
from collector.store.tallies import Row
from collector.thresholds import Confirmation
from contract.days import LOCAL, DayRange
from contract.errors import NotFoundError
from tests.office import CATALOGUE, NOON, TODAY, YESTERDAY, Office, a_plan, a_source, a_tally

TWO_YEARS = Retention(tally_years=2, log_years=1)
LATER = NOON.replace(year=2029)
"""Tallies of 2026 are then too old for `TWO_YEARS`, those of 2027 are not."""
OLD = DayRange(date(2026, 1, 1), date(2026, 12, 31))
NEW = DayRange(date(2027, 1, 1), date(2027, 6, 30))


def fill(office: Office, days: DayRange, measure: str = "payments", counts: str = '{"cash":3,"qr":1}') -> None:
    """Tallies of source `his`, past the wire, for it takes years at once."""
    source = office.source().id
    with office.store.write() as connection:
        rows = [Row(source, measure, day, 1, counts) for day in days]
        tallies.insert(connection, rows, datetime(2027, 7, 1, tzinfo=LOCAL))


@pytest.fixture
def full(office: Office) -> Office:
    """A year and a half of two measures at 12001, one of whose days is of the year that goes."""
    office.push(office.speaker("12001"), [a_tally()], [a_source(measures=["payments", "checkins"])])
    with office.store.write() as connection:
        connection.execute(tally.delete())
    for days in (OLD, NEW):
        fill(office, days)
        fill(office, days, "checkins", '{"manual":2}')
    return office


def forget(
    office: Office,
    at: datetime = LATER,
    rules: Retention = TWO_YEARS,
    rest: Callable[[float], object] = lambda _: None,
) -> Counter[str]:
    return retention.forget(office.store, rules, office.yardstick.plans, at, rest)


def days_of(office: Office, measure: str = "payments") -> set[date]:
    return {day for _, _, day in office.stored(measure)}


def test_whole_years_are_kept_and_every_day_of_a_plan_in_force() -> None:
    assert horizon(Retention(), (), TODAY) == date(2016, 1, 1)
    assert horizon(TWO_YEARS, (), date(2029, 1, 1)) == horizon(TWO_YEARS, (), date(2029, 12, 31)) == date(2027, 1, 1)
    plan = a_plan({"indicator": "cashless"}, first_day="2025-03-01", last_day="2030-12-31")
    assert horizon(TWO_YEARS, (plan,), date(2029, 6, 1)) == date(2025, 3, 1)
    assert horizon(TWO_YEARS, (plan,), date(2031, 6, 1)) == date(2029, 1, 1)


def test_less_than_what_the_windows_of_a_year_and_the_year_before_need_cannot_be_set() -> None:
    with pytest.raises(ValidationError):
        Retention(tally_years=1)
    with pytest.raises(ValidationError):
        Retention(log_years=0)


def test_tallies_of_years_long_past_go_and_all_others_stay(full: Office) -> None:
    assert forget(full)["tally"] == 2 * len(OLD)
    assert days_of(full) == days_of(full, "checkins") == set(NEW)
    assert forget(full)["tally"] == 0


def test_while_a_plan_is_in_force_that_began_in_them_they_stay(full: Office) -> None:
    full.set_plans(a_plan({"indicator": "cashless"}, first_day="2026-01-01", last_day="2030-12-31"))
    assert forget(full)["tally"] == 0


def test_what_is_shown_of_the_facilities_is_the_same_before_and_after(full: Office) -> None:
    fill(full, DayRange(date(2029, 6, 1), date(2029, 11, 19)))
    before = full.metrics(LATER)
    assert forget(full)["tally"] > 0
    assert full.metrics(LATER) == before


def test_what_goes_is_said_in_the_audit_and_nothing_is_said_of_nothing(full: Office) -> None:
    forget(full, NOON)
    with full.store.read() as connection:
        assert old.kept_from(connection) is None
    forget(full)
    with full.store.read() as connection:
        assert old.kept_from(connection) == date(2027, 1, 1)
        lines = connection.execute(sa.select(audit.c.person, audit.c.subject, audit.c.before)).all()
        assert (retention.WHO, "số đếm trước ngày 01/01/2027", '{"kept_from":"2027-01-01","tallies":730}') in lines
    count = len(lines)
    forget(full)
    with full.store.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(audit)) == count


def test_a_signature_stays_with_all_that_was_signed_and_its_month_says_why_it_has_no_figures(full: Office) -> None:
    an, rules, month = Person("An", "confirmer", "12001"), Confirmation(), "2026-10"
    full.people.add(an, NOON)
    with full.store.read() as connection:
        _, now = confirm.look(connection, full.yardstick, rules, "12001", month, NOON)
    asked = Asked(facility="12001", period=month, digest=now.digest, decision="confirm", reasons={})
    confirm.sign(full.store, full.yardstick, rules, an, asked, NOON)
    forget(full)
    with full.store.read() as connection:
        (signed,) = signatures.of(connection, ["12001"], [month])["12001"]
        assert signed.figures == now.text
        with pytest.raises(NotFoundError, match=r"tháng 10/2026 đã hết hạn lưu, chỉ còn từ 01/01/2027"):
            confirm.look(connection, full.yardstick, rules, "12001", month, LATER)
        assert confirm.look(connection, full.yardstick, rules, "12001", "2027-01", LATER)


def test_pushes_come_through_between_two_batches(full: Office) -> None:
    agent = full.speaker("12002")
    taken: list[int] = []

    def push(_: float) -> None:
        revision = len(taken) + 1
        sent = [a_tally(YESTERDAY, revision, {"qr": revision}, facility="12002")]
        taken.append(full.push(agent, sent, [a_source(facilities=["12002"])], at=LATER).accepted)

    assert forget(full, rest=push)["tally"] == 2 * len(OLD)
    assert len(taken) > 3
    assert set(taken) == {1}


def test_the_log_of_corrections_is_kept_for_its_years_only(full: Office) -> None:
    long_ago, lately = LATER - timedelta(days=366), LATER - timedelta(days=364)
    plain = {"source": full.source().id, "measure": "payments", "day": YESTERDAY, "revision": 1, "counts": "{}"}
    with full.store.write() as connection:
        for at, count in ((long_ago, 2_500), (lately, 10)):
            rows = [{**plain, "received_at": at, "replaced_at": at} for _ in range(count)]
            connection.execute(tally_log.insert(), rows)
    assert forget(full, rules=Retention(tally_years=10, log_years=1)) == {"tally_log": 2_500}
    with full.store.read() as connection:
        assert set(connection.scalars(sa.select(tally_log.c.replaced_at))) == {lately}


def test_every_table_is_kept_for_ever_bounded_by_what_is_registered_or_forgotten() -> None:
    """A table that is added has to be decided on."""
    forgotten = {"tally", "month_count", *old.BY_MOMENT}
    forgotten_elsewhere = {"session", "report", "throttle", "lease", "below"}
    # as many as there are facilities, agents, people, and what people do by hand
    grow_with_people = {
        *("meta", "facility", "facility_code", "pause", "agent", "agent_facility", "token", "enrolment_code", "person"),
        *("source", "claim", "baseline", "manual_figure", "evidence", "signature", "deputy"),
    }
    assert forgotten | forgotten_elsewhere | grow_with_people == set(metadata.tables)


def size(office: Office) -> int:
    """Bytes that the tallies take on disk, once the database has put in order what was deleted."""
    with office.store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if office.store.is_sqlite:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            return Path(office.url.removeprefix("sqlite:///")).stat().st_size
        connection.exec_driver_sql("VACUUM tally")  # what autovacuum does by itself
        return int(connection.exec_driver_sql("SELECT pg_total_relation_size('tally')").scalar_one())


def test_what_was_taken_on_disk_is_used_again(full: Office) -> None:
    measures = list(CATALOGUE.measures)[:10]
    with full.store.read() as connection:
        claimed = {one.measure for one in tallies.claims(connection, [full.source()])}
    with full.store.write() as connection:
        tallies.add_claims(connection, full.source(), set(measures) - claimed)
    sizes = []
    for year in range(2028, 2035):
        for measure in measures:
            fill(full, DayRange(date(year, 1, 1), date(year, 12, 31)), measure, '{"cash":123456789012345}')
        forget(full, LATER.replace(year=year))
        sizes.append(size(full))
    assert sizes[-1] <= sizes[4] * 1.1, sizes
