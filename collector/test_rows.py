"""Any number of rows goes into one statement, and comes out as it went in."""

from datetime import date, timedelta

import pytest

from collector.store import tallies
from collector.store.tallies import Row
from tests.office import NOON, Office, a_source


@pytest.mark.parametrize("number", [0, 1, 2, 255, 256, 257, 700])
def test_any_number_of_rows_is_stored_and_found(office: Office, number: int) -> None:
    office.push(office.speaker("12001"), [], [a_source()])
    source, first = office.source().id, date(2021, 1, 1)
    days = {first + timedelta(days=n + n // 100) for n in range(number)}  # with gaps
    rows = [Row(source, "payments", day, n + 1, f'{{"qr":{n + 1}}}') for n, day in enumerate(sorted(days))]
    with office.store.write() as connection:
        tallies.insert(connection, rows, NOON)
    wanted = {(source, "payments"): days, (source, "records"): days}
    with office.store.read() as connection:
        found = tallies.stored(connection, wanted)
    assert list(found.values()) == sorted(rows)
    assert list(found) == [row[:3] for row in rows]


def test_only_the_days_asked_for_are_read(office: Office) -> None:
    office.push(office.speaker("12001"), [], [a_source()])
    source, first = office.source().id, date(2021, 1, 1)
    with office.store.write() as connection:
        rows = [Row(source, "payments", first + timedelta(days=n), 1, "{}") for n in range(30)]
        tallies.insert(connection, rows, NOON)
        days = {first + timedelta(days=n) for n in (0, 1, 5, 7, 8, 40)}
        assert {row.day for row in tallies.stored(connection, {(source, "payments"): days}).values()} == {
            one for one in days if one < first + timedelta(days=30)
        }
