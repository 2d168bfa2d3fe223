"""Sets of days as bits say the same as sets of days."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from contract import daybits
from contract.calendar import Calendar
from contract.days import DayRange
from contract.tally import FIRST_DAY

DAYS = st.dates(FIRST_DAY, date(2040, 12, 31))
SETS = st.sets(DAYS, max_size=40)


@st.composite
def ranges(draw: st.DrawFn) -> DayRange:
    first = draw(st.dates(FIRST_DAY - timedelta(days=400), date(2030, 1, 1)))
    return DayRange(first, first + timedelta(days=draw(st.integers(0, 800))))


@given(SETS)
def test_a_set_comes_back_in_order_with_its_size_and_its_last_day(some: set[date]) -> None:
    found = daybits.bits(some)
    assert list(daybits.days(found)) == sorted(some)
    assert found.bit_count() == len(some)
    assert daybits.last(found) == max(some, default=None)


@given(SETS, ranges())
def test_a_span_holds_the_days_of_its_range_that_a_tally_can_have(some: set[date], span: DayRange) -> None:
    assert set(daybits.days(daybits.bits(some) & daybits.span(span))) == {day for day in some if day in span}
    assert daybits.span(span).bit_count() == sum(day >= FIRST_DAY for day in span)


@given(SETS, st.dates())
def test_since_and_until_share_exactly_their_day(some: set[date], day: date) -> None:
    found = daybits.bits(some)
    assert set(daybits.days(found & daybits.since(day))) == {one for one in some if one >= day}
    assert set(daybits.days(found & daybits.until(day))) == {one for one in some if one <= day}


@given(ranges(), st.sets(DAYS, max_size=5), st.sets(DAYS, max_size=5))
def test_working_days_are_those_that_the_calendar_calls_so(span: DayRange, off: set[date], work: set[date]) -> None:
    calendar = Calendar(dict.fromkeys(off - work, "Bão"), dict.fromkeys(work, "Làm bù"))
    working = [day for day in span if day >= FIRST_DAY and calendar.is_working(day)]
    assert list(daybits.days(calendar.working(span))) == working
