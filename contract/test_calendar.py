"""Working days in Vietnam, and the Sở's file laid over them (architecture.md, "Windows")."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.calendar import Calendar, load
from contract.errors import ConfigError

PLAIN = Calendar()


@pytest.mark.parametrize(
    "day",
    [
        "2025-01-01",
        "2025-01-28",  # the eve of Tết
        "2025-01-29",  # Tết
        "2025-04-07",  # Giỗ Tổ: the tenth of the third lunar month
        "2025-04-30",
        "2025-05-01",
        "2025-05-02",  # swapped for Saturday, 26 April
        "2025-09-01",
        "2025-09-02",
        "2026-02-16",
        "2026-02-17",
        "2026-04-27",  # in place of Sunday, 26 April
        "2026-04-30",
        "2026-08-31",  # swapped for Saturday, 22 August
        "2026-11-24",  # the day of culture, since 2026
        "2027-05-03",  # in place of Saturday, 1 May
    ],
)
def test_public_holidays_are_days_off_and_have_a_name(day: str) -> None:
    assert not PLAIN.is_working(date.fromisoformat(day))
    assert PLAIN.holiday(date.fromisoformat(day))


@pytest.mark.parametrize("day", ["2026-11-20", "2026-04-29", "2026-12-25", "2025-11-24", "2026-02-23"])
def test_other_weekdays_are_worked(day: str) -> None:
    assert PLAIN.is_working(date.fromisoformat(day))
    assert PLAIN.holiday(date.fromisoformat(day)) is None


def test_weekends_are_off_without_being_holidays() -> None:
    for day in (date(2026, 11, 21), date(2026, 11, 22)):
        assert (PLAIN.is_working(day), PLAIN.holiday(day)) == (False, None)


@pytest.mark.parametrize("day", ["2024-05-04", "2025-04-26", "2026-08-22"])
def test_a_saturday_that_is_worked_for_a_day_off_is_a_working_day(day: str) -> None:
    assert PLAIN.is_working(date.fromisoformat(day))


def test_the_names_are_vietnamese() -> None:
    assert PLAIN.holiday(date(2026, 2, 17)) == "Tết Nguyên Đán"


@given(st.dates(date(2020, 1, 1), date(2035, 12, 31)))
def test_a_day_with_a_holidays_name_is_never_worked(day: date) -> None:
    if PLAIN.holiday(day) is not None:
        assert not PLAIN.is_working(day)
    elif day.weekday() < 5:
        assert PLAIN.is_working(day)


def written(directory: Path, text: str) -> Path:
    file = directory / "calendar.toml"
    file.write_text(text, "utf-8")
    return file


OFF = '[[off]]\nfirst_day = {}\nlast_day = {}\nname = "Bão số 3"\n'
WORK = '[[work]]\nday = {}\nname = "Làm bù"\n'


def test_days_off_that_the_department_adds_are_off_to_their_last(tmp_path: Path) -> None:
    calendar = load(written(tmp_path, OFF.format("2026-11-16", "2026-11-18")))
    worked = [day for day in range(16, 21) if calendar.is_working(date(2026, 11, day))]
    assert worked == [19, 20]
    assert calendar.holiday(date(2026, 11, 18)) == "Bão số 3"


def test_days_that_the_department_has_worked_are_working_days(tmp_path: Path) -> None:
    saturday, holiday = date(2026, 1, 10), date(2026, 4, 30)
    calendar = load(written(tmp_path, WORK.format(saturday) + WORK.format(holiday)))
    assert all(calendar.is_working(day) for day in (saturday, holiday))
    assert calendar.holiday(holiday) is None


def test_a_swapped_saturday_that_the_department_takes_off_is_off(tmp_path: Path) -> None:
    calendar = load(written(tmp_path, OFF.format("2026-08-22", "2026-08-22")))
    assert not calendar.is_working(date(2026, 8, 22))


def test_a_day_that_is_said_to_be_worked_is_worked_whatever_else_is_said(tmp_path: Path) -> None:
    calendar = load(written(tmp_path, OFF.format("2026-11-16", "2026-11-20") + WORK.format("2026-11-18")))
    assert calendar.is_working(date(2026, 11, 18))
    assert not calendar.is_working(date(2026, 11, 17))


def test_without_a_file_there_are_the_public_holidays() -> None:
    assert load(None) == PLAIN


def test_the_sample_that_is_shipped_can_be_read_and_so_can_what_it_proposes(tmp_path: Path) -> None:
    file = Path(__file__).parent.parent / "config" / "calendar.toml"
    assert load(file) == PLAIN
    lines = file.read_text("utf-8").splitlines()
    keys = ("# [[", "# first_day", "# last_day", "# name", "# day")
    proposed = load(written(tmp_path, "\n".join(one.removeprefix("# ") for one in lines if one.startswith(keys))))
    assert (len(proposed.off), len(proposed.work)) == (5, 1)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (OFF.format("2026-11-18", "2026-11-16"), ["Bão số 3", "first_day"]),
        (OFF.format('"mai"', "2026-11-16"), ["off.0.first_day"]),
        ('[[off]]\nfirst_day = 2026-11-16\nname = "x"\n', ["off.0.last_day"]),
        ('[[off]]\nfirst_day = 2026-11-16\nlast_day = 2026-11-16\nname = ""\n', ["off.0.name"]),
        ("[[work]]\nday = 2026-02-30\n", ["TOML"]),
        (WORK.format("2026-11-16T07:30:00"), ["work.0.day"]),
        ('[[holiday]]\nday = 2026-11-16\nname = "x"\n', ["holiday"]),
        (WORK.format("2026-11-21") + 'note = "x"\n', ["work.0.note"]),
        ("off = 3\n", ["off"]),
        ("không phải TOML", ["TOML"]),
    ],
)
def test_mistakes_are_named_with_the_file_and_the_place(tmp_path: Path, text: str, named: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text))
    (problem,) = caught.value.problems
    assert all(one in problem for one in ["calendar.toml", *named])


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    backwards = OFF.format("2026-11-18", "2026-11-16")
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, backwards + backwards.replace("Bão số 3", "Lụt")))
    assert len(caught.value.problems) == 2


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    for name in ("missing.toml", "binary.toml"):
        with pytest.raises(ConfigError, match=name):
            load(tmp_path / name)
