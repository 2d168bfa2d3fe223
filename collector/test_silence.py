"""Silence: a source that is no longer read changes no figure, until it is forgotten (architecture.md, "Silence")."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from collector import sources, windows
from collector.access import Speaker
from collector.standings import Standing, next_silence, standings
from contract.catalogue import Cadence
from contract.days import LOCAL, DayRange, midnight
from contract.verdict import Verdict
from tests.office import NOON, TODAY, YESTERDAY, Office, a_plan, a_push, a_source, a_tally, samples

DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)
READ = NOON
"""The last read, a Friday: daily measures are silent from SILENT on, forgotten from GONE on."""
SILENT = READ + DAY
GONE = SILENT + timedelta(days=30)


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """Standings are made in Python: one database is enough here."""
    return f"sqlite:///{tmp_path / 'collector.sqlite'}"


@pytest.fixture
def his(office: Office) -> Speaker:
    office.set_plans(a_plan({}))
    return office.speaker("12001")


def read_at(moment: datetime, name: str = "his", **other: Any) -> dict[str, Any]:
    """A source that was read with success at `moment`."""
    return a_source(name, **{"read_at": moment.isoformat(), **other})


def tell(office: Office, agent: Speaker, days: Iterable[date], *roster: dict[str, Any], **other: Any) -> None:
    """Ten payments a day, two of them in cash; the push arrives at READ."""
    counts = other.pop("counts", {"cash": 2, "qr": 8})
    sent = [a_tally(day, 1, counts, **other) for day in days]
    assert office.push(agent, sent, [*roster] or [read_at(READ)], at=READ).accepted == len(sent)


def at(
    office: Office, moment: datetime, indicator: str = "cashless", window: str = "30d", facility: str = "12001"
) -> Standing:
    [found] = standings(office.data(facility, moment.date()), office.yardstick, moment, (window,), indicator)
    return found


def shown(one: Standing) -> tuple[object, ...]:
    return one.numerator, one.denominator, one.unknown, one.share, one.verdict, one.missing, one.as_of, one.days


LONG_DAYS = DayRange(date(2026, 1, 1), TODAY)


def test_a_measure_is_silent_when_it_was_not_read_for_24_hours(office: Office, his: Speaker) -> None:
    tell(office, his, LONG_DAYS)
    assert at(office, SILENT - SECOND).silent_since is None
    assert at(office, SILENT).silent_since == READ


@pytest.mark.parametrize("window", windows.WINDOWS[1:])
def test_nothing_but_completeness_changes_from_the_last_moment_before_the_silence(
    office: Office, his: Speaker, window: str
) -> None:
    tell(office, his, LONG_DAYS)
    before = at(office, SILENT - SECOND, window=window)
    for later in (SILENT, SILENT + DAY, SILENT + timedelta(days=11), GONE - SECOND):
        assert shown(at(office, later, window=window)) == shown(before)
    assert before.as_of == TODAY
    assert at(office, SILENT, window=window).completeness == before.completeness
    assert (at(office, GONE - SECOND).completeness or 0) <= Fraction(1, 30)


def test_completeness_goes_on_falling_and_takes_no_verdict_away(office: Office, his: Speaker) -> None:
    tell(office, his, LONG_DAYS)
    found = [at(office, SILENT + n * DAY) for n in range(30)]
    # the day of the read was told; of what follows each day that ends is one more without a tally
    assert [one.completeness for one in found] == [Fraction(30 - n, 30) for n in range(30)]
    assert {one.verdict for one in found} == {Verdict.BELOW}


def test_silence_makes_no_verdict_of_a_month_that_was_incomplete_before(office: Office, his: Speaker) -> None:
    tell(office, his, DayRange.ending(TODAY, 12))
    assert at(office, SILENT - SECOND).verdict is Verdict.NO_DATA
    assert at(office, SILENT).verdict is Verdict.NO_DATA


def test_what_was_silent_for_over_30_days_has_no_data(office: Office, his: Speaker) -> None:
    tell(office, his, LONG_DAYS)
    one = at(office, GONE + SECOND)
    assert (one.verdict, one.silent_since) == (Verdict.NO_DATA, READ)
    later = at(office, GONE + timedelta(days=1))
    assert (later.as_of, later.share, later.denominator) == (None, None, 0)


@pytest.mark.parametrize("days", [31, 45, 60, 75, 90, 200])
def test_what_is_forgotten_shows_no_figure_of_a_window_that_is_only_half_remembered(
    office: Office, his: Speaker, days: int
) -> None:
    tell(office, his, LONG_DAYS)
    found = samples(office.metrics(SILENT + timedelta(days=days)))
    assert found['nhipso_indicator_verdict{facility="12001",indicator="cashless"}'] == Verdict.NO_DATA
    assert 'nhipso_indicator_denominator{facility="12001",indicator="cashless",window="30d"}' not in found


def test_how_long_a_silence_lasts_is_a_setting(office: Office, his: Speaker) -> None:
    office.set_plans(a_plan({}), silent_hours=6, forgotten_days=60)
    tell(office, his, LONG_DAYS)
    assert at(office, READ + 6 * HOUR - SECOND).silent_since is None
    assert at(office, READ + 6 * HOUR).silent_since == READ
    assert at(office, READ + 6 * HOUR + timedelta(days=60) - SECOND).verdict is Verdict.BELOW
    assert at(office, READ + 6 * HOUR + timedelta(days=60) + SECOND).verdict is Verdict.NO_DATA
    # what /metrics loads reaches back as far
    found = samples(office.metrics(READ + timedelta(days=60)))
    assert found['nhipso_indicator_denominator{facility="12001",indicator="cashless",window="30d"}'] == 300
    assert found['nhipso_indicator_previous_denominator{facility="12001",indicator="cashless"}'] == 300


def test_the_running_day_is_not_frozen(office: Office, his: Speaker) -> None:
    tell(office, his, LONG_DAYS)
    one = at(office, SILENT + DAY, window="today")
    assert (one.as_of, one.verdict, one.days.last) == (None, Verdict.NO_DATA, SILENT.date() + DAY)


def test_a_read_ends_the_silence_and_the_window_is_the_present_one(office: Office, his: Speaker) -> None:
    tell(office, his, LONG_DAYS)
    back = SILENT + timedelta(days=5)
    office.push(his, [], [read_at(back)], at=back, sent_at=back.isoformat())
    one = at(office, back + HOUR)
    assert (one.silent_since, one.days.last) == (None, back.date() - DAY)
    assert (one.denominator, one.present) == (250, 25)


def test_a_push_without_a_new_read_ends_no_silence_and_its_late_figures_count(office: Office, his: Speaker) -> None:
    tell(office, his, DayRange(date(2026, 1, 1), YESTERDAY))
    late = SILENT + timedelta(days=3)
    office.push(his, [a_tally(TODAY, 1, {"qr": 100})], [read_at(READ)], at=late, sent_at=late.isoformat())
    one = at(office, late)
    assert (one.silent_since, one.as_of, one.denominator) == (READ, TODAY, 390)
    assert at(office, late).verdict is Verdict.BELOW


def test_pushes_that_say_that_a_source_fails_do_not_keep_it_from_falling_silent(office: Office, his: Speaker) -> None:
    tell(office, his, LONG_DAYS)
    for hours in (12, 30, 60):
        then = READ + hours * HOUR
        failing = read_at(READ, ok=False, since=(READ + HOUR).isoformat(), error="không kết nối được")
        office.push(his, [], [failing], at=then, sent_at=then.isoformat())
    assert at(office, READ + 60 * HOUR).silent_since == READ


def test_a_measure_that_fails_falls_silent_though_others_of_its_source_are_read(office: Office, his: Speaker) -> None:
    both = ["payments", "receipts"]
    tell(office, his, LONG_DAYS, read_at(READ, measures=both))
    failed = READ + HOUR
    for hours in range(1, 61):
        then = READ + hours * HOUR
        roster = read_at(then, ok=False, measures=both, failed=["payments"], since=failed.isoformat(), error="…")
        office.push(his, [], [roster], at=then, sent_at=then.isoformat())
    now = READ + 60 * HOUR
    assert at(office, now).silent_since is not None
    assert at(office, now, "einvoice").silent_since is None


def test_a_measure_that_fails_once_is_not_silent_because_another_has_failed_for_long(
    office: Office, his: Speaker
) -> None:
    """A hospital without an EMR never reads `records`; its payments must not vanish at the first hiccup."""
    both = ["payments", "records"]
    since = READ - timedelta(days=60)
    for then, failed in ((READ - HOUR, ["records"]), (READ, ["payments", "records"])):
        roster = read_at(READ - HOUR, ok=False, measures=both, failed=failed, since=since.isoformat(), error="…")
        sent = [a_tally(day, 1, {"qr": 9}) for day in DayRange.ending(YESTERDAY, 40)]
        office.push(his, sent, [roster], at=then, sent_at=then.isoformat())
    assert at(office, READ).silent_since is None
    assert at(office, READ).verdict is Verdict.MET
    # it counts from the last poll in which it was read
    assert at(office, READ + 23 * HOUR).silent_since == READ - HOUR


def test_a_source_that_has_left_the_roster_falls_silent_like_any_other(office: Office, his: Speaker) -> None:
    tell(office, his, LONG_DAYS)
    office.push(his, [], [], at=READ + HOUR)
    before = at(office, SILENT - SECOND)
    assert (before.silent_since, before.denominator) == (None, 300)
    assert at(office, SILENT).silent_since == READ
    assert shown(at(office, SILENT + timedelta(days=20))) == shown(before)


def test_a_retired_source_is_not_waited_for(office: Office, his: Speaker) -> None:
    tell(office, his, LONG_DAYS)
    sources.retire(office.store, "12001", "his", TODAY, NOON)
    assert at(office, SILENT + timedelta(days=5)).silent_since is None
    assert at(office, SILENT + timedelta(days=5)).present == 25


def test_while_one_of_several_parts_is_read_the_measure_is_not_silent_but_incomplete(
    office: Office, his: Speaker
) -> None:
    parts = {name: read_at(READ, name, part=name) for name in ("desk", "ward")}
    tell(office, his, [], *parts.values())
    for name in parts:
        sent = [a_tally(day, 1, {"qr": 9}, source=name) for day in DayRange.ending(TODAY, 60)]
        assert office.push(his, sent, [*parts.values()]).accepted == 60
    later = READ + timedelta(days=20)
    sent = [a_tally(TODAY + n * DAY, 1, {"qr": 9}, source="desk") for n in range(21)]
    office.push(his, sent, [read_at(later, "desk", part="desk"), parts["ward"]], at=later, sent_at=later.isoformat())
    one = at(office, later)
    assert (one.silent_since, one.present, one.verdict) == (None, 11, Verdict.NO_DATA)


def test_a_rival_that_is_read_does_not_keep_the_owner_from_falling_silent(office: Office, his: Speaker) -> None:
    tell(office, his, LONG_DAYS)
    later = READ + timedelta(days=3)
    # it claims the same measure, and every tally of it is refused: not_owner
    office.push(his, [], [read_at(READ), read_at(later, "emr")], at=later, sent_at=later.isoformat())
    assert at(office, later).silent_since == READ


def test_a_check_source_does_not_keep_the_owner_from_falling_silent(office: Office, his: Speaker) -> None:
    tell(office, his, LONG_DAYS)
    later = READ + timedelta(days=3)
    office.push(his, [], [read_at(READ), read_at(later, "b", role="check")], at=later, sent_at=later.isoformat())
    assert at(office, later).silent_since == READ


@pytest.mark.parametrize(
    ("read", "silent"),
    [
        ("2026-11-19T10:00", "2026-11-20T10:00"),  # Thursday
        ("2026-11-20T10:00", "2026-11-23T10:00"),  # Friday: Monday; 24/11 is a holiday
        ("2026-11-21T10:00", "2026-11-23T10:00"),  # a read on Saturday
        ("2026-11-23T10:00", "2026-11-25T10:00"),  # Monday before a holiday
        ("2026-02-13T10:00", "2026-02-23T10:00"),  # Friday before Tết
        ("2026-08-21T10:00", "2026-08-22T10:00"),  # Friday before a Saturday that is worked
    ],
)
def test_of_what_is_counted_on_working_days_a_weekend_is_no_silence(
    office: Office, his: Speaker, read: str, silent: str
) -> None:
    last, begin = (datetime.fromisoformat(one).replace(tzinfo=LOCAL) for one in (read, silent))
    days = [day for day in DayRange.ending(last.date(), 60) if day.weekday() < 5]
    sent = [a_tally(day, 1, {"online": 9}, measure="work_records") for day in days]
    office.push(his, sent, [read_at(last, measures=["work_records"])], at=last, sent_at=last.isoformat())
    assert at(office, begin - SECOND, "work_record").silent_since is None
    assert at(office, begin, "work_record").silent_since == last
    assert shown(at(office, begin, "work_record")) == shown(at(office, begin - SECOND, "work_record"))


@pytest.mark.parametrize(
    ("cadence", "read", "silent"),
    [
        ("monthly", "2026-12-01", "2027-01-01"),
        ("quarterly", "2026-10-03", "2027-01-03"),
        ("yearly", "2026-01-03", "2027-01-04"),
    ],
)
def test_of_a_longer_cadence_one_period_without_a_read_is_silence_and_its_verdict_is_kept(
    office: Office, his: Speaker, cadence: Cadence, read: str, silent: str
) -> None:
    office.set_plans(a_plan({}, last_day="2028-12-31"))
    last, begin = (datetime.combine(date.fromisoformat(one), NOON.timetz()) for one in (read, silent))
    day = windows.period(cadence, last.date()).first - DAY
    sent = [a_tally(day, 1, {"cash": 90, "qr": 10})]
    office.push(his, sent, [read_at(last, cadence=cadence)], at=last, sent_at=last.isoformat())
    before = at(office, begin - SECOND)
    assert (before.silent_since, before.verdict, before.as_of) == (None, Verdict.BELOW, day)
    for later in (begin, begin + timedelta(days=29)):
        assert at(office, later).silent_since == last
        assert shown(at(office, later)) == shown(before)
    assert at(office, begin + timedelta(days=30, seconds=1)).verdict is Verdict.NO_DATA


@pytest.mark.parametrize(
    ("clock", "true_read"),
    [
        (READ, READ - HOUR),
        (READ + 30 * HOUR, READ - HOUR),
        (READ - 30 * HOUR, READ - HOUR),
        (READ.replace(year=2020), READ - HOUR),
        (READ.replace(year=2096), READ - HOUR),
    ],
    ids=["right", "hours ahead", "hours behind", "years behind", "years ahead"],
)
def test_a_wrong_clock_of_the_agent_neither_hides_nor_makes_a_silence(
    office: Office, his: Speaker, clock: datetime, true_read: datetime
) -> None:
    office.push(his, [], [read_at(clock - HOUR)], at=READ, sent_at=clock.isoformat())
    assert office.source().read_at == true_read
    assert at(office, true_read + DAY - SECOND).silent_since is None
    assert at(office, true_read + DAY).silent_since == true_read


@pytest.mark.parametrize(
    ("read", "sent"),
    [
        # the clock was ahead when the source was read, and set right before the push
        (READ + timedelta(days=400), READ),
        # it was right then, and has lost its battery since
        (READ - HOUR, READ.replace(year=1990)),
        (READ - HOUR, datetime(1, 1, 1, tzinfo=LOCAL)),
    ],
)
def test_nothing_is_ever_read_in_the_future(office: Office, his: Speaker, read: datetime, sent: datetime) -> None:
    office.push(his, [], [read_at(read)], at=READ, sent_at=sent.isoformat())
    assert office.source().read_at == READ
    assert at(office, SILENT).silent_since == READ


def test_a_measure_that_nobody_has_read_yet_is_not_silent(office: Office, his: Speaker) -> None:
    office.push(his, [], [a_source(read_at=None, ok=False)])
    assert (at(office, SILENT).silent_since, at(office, SILENT).verdict) == (None, Verdict.NO_DATA)


def test_the_next_silence_is_that_of_the_measure_that_was_not_read_for_longest(office: Office, his: Speaker) -> None:
    older = read_at(READ - 2 * HOUR, "emr", measures=["records"])
    office.push(his, [], [read_at(READ), older], at=READ)
    moments = [READ]
    while (following := next_silence(office.data(), office.yardstick, moments[-1])) is not None:
        moments.append(following)
    assert moments[1:] == [SILENT - 2 * HOUR, SILENT, GONE - 2 * HOUR, GONE]


def test_the_pushs_own_words_carry_the_agents_clock() -> None:
    """What the tests above lean on: `sent_at` is the agent's."""
    assert a_push("a", [], sent_at="2020-01-01T00:00:00+07:00")["agent"]["sent_at"].startswith("2020")
    assert midnight(TODAY) < NOON
