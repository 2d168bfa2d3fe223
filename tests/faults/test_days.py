"""A day is one of Asia/Ho_Chi_Minh, wherever the host believes it is, whatever its clock does that night."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from random import Random

import pytest

from contract.days import local_day, now
from tests.faults.hospital import changing
from tests.faults.programs import Programs
from tests.faults.run import quiet
from tests.faults.site import Site
from tests.faults.world import World, database

SiteSince = Callable[[date], Site]


@pytest.fixture
def host_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets the time zone of this process."""

    def move(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield move
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("UTC", date(2024, 2, 29)),
        ("America/New_York", date(2026, 3, 8)),
        ("America/New_York", date(2026, 11, 1)),
        ("Europe/London", date(2026, 10, 25)),
        ("Australia/Lord_Howe", date(2026, 4, 5)),
        ("Pacific/Kiritimati", date(2025, 12, 31)),
        ("Etc/GMT+12", date(2024, 2, 28)),
    ],
)
def test_around_a_leap_day_a_new_year_or_a_change_to_summer_time_every_case_is_on_its_day(
    host_in: Callable[[str], None], site_since: SiteSince, zone: str, day: date
) -> None:
    host_in(zone)
    site = site_since(day)
    for hours in range(0, 54, 5):
        moment = site.at(day, 0) + timedelta(hours=hours)
        site.change(changing(local_day(moment)))
        site.poll(moment.astimezone())
        site.push(moment)
    assert site.wrong() == []
    assert max(one.key.day for one in site.stored()) == day + timedelta(days=2)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Ho_Chi_Minh", "America/New_York"])
@pytest.mark.parametrize("day", [date(2026, 11, 20), date(2024, 2, 28), date(2024, 2, 29), date(2025, 12, 31)])
def test_the_last_second_before_midnight_and_the_first_after_it_are_two_days(
    host_in: Callable[[str], None], site_since: SiteSince, zone: str, day: date
) -> None:
    host_in(zone)
    site, next_day = site_since(day), day + timedelta(days=1)
    midnight = site.at(next_day, 0)

    def of_days() -> dict[date, dict[str, int]]:
        found = {one.key.day: dict(one.counts) for one in site.stored() if one.key.measure == "checkins"}
        return {key: found[key] for key in (day, next_day) if key in found}

    with closing(sqlite3.connect(site.hospital.his_file)) as his, his:
        his.execute("INSERT INTO checkins VALUES ('12001', ?, 'manual', 1)", (f"{day} 23:59:59",))
        his.execute("INSERT INTO checkins VALUES ('12001', ?, 'vneid', 1)", (f"{next_day} 00:00:00",))
    for moment, seen in ((midnight - timedelta(seconds=1), [day]), (midnight, [day, next_day])):
        site.poll(moment)
        site.push(moment)
        assert of_days() == {one: {"manual" if one == day else "vneid": 1} for one in seen}


@pytest.mark.slow
def test_programs_whose_hosts_are_on_another_date_agree_on_the_day(memory: Path) -> None:
    """It is always another date than in Vietnam either in Kiritimati or just east of the date line."""
    elsewhere = "Pacific/Kiritimati" if now().hour >= 17 else "Etc/GMT+12"
    with Programs(memory / "logs", elsewhere) as programs, database("sqlite", memory, programs) as url:
        with closing(World(memory, programs, "sqlite", url, Random(1))) as world:
            world.proxy.calm = True
            world.start()
            world.change_all()
            assert quiet(world) == ([], 0)
        assert programs.tracebacks() == []
