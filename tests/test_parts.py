"""Several sources of one measure, and one source of many facilities, from the agent's commands to a real collector."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from collector.figures import FacilityData, load
from collector.store import registry
from collector.yardstick import Yardstick
from conftest import free_port
from contract import catalogue
from contract.days import local_day, now
from tests.hospital import QUERY, Hospital
from tests.office import exposition_of
from tests.real_collector import RealCollector

TODAY = local_day(now())
DAY = TODAY - timedelta(days=1)
STATIONS = tuple(f"TYT{number:03}" for number in range(200))
pytestmark = pytest.mark.slow


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[RealCollector]:
    (tmp_path / "so-y-te").mkdir()
    with closing(RealCollector(tmp_path / "so-y-te", free_port(), ("12001", *STATIONS))) as one:
        yield one


def hospital(directory: Path, collector: RealCollector, facilities: tuple[str, ...], sources: str) -> Hospital:
    """Enrolled, with these lines of agent.toml after `[agent]`."""
    made = Hospital(directory)
    listed = ", ".join(f'"{one}"' for one in facilities)
    made.config.write_text(
        f'[agent]\nfacilities = [{listed}]\ncollector = "{collector.url}"\ntoken_file = "token"\ndata_dir = "data"\n'
        f"deep_reread_days = 3\n{sources}",
        "utf-8",
    )
    done = made.run("enrol", "--code", collector.code(*facilities))
    assert done.returncode == 0, done.stderr
    return made


def source(name: str, table: str, more: str = "") -> str:
    """A source that counts `checkins` from a table of its own."""
    query = QUERY.format(source=name, measure="checkins", table=table)
    return f'[sources.{name}]\nkind = "his.sql"\ndatabase_file = "his.url"\n{more}\n{query}\n'


def poll(one: Hospital) -> None:
    done = one.run("poll-once")
    assert (done.returncode, done.stderr) == (0, done.stderr), done.stderr
    assert "Còn chờ 0, bị từ chối hoặc để riêng 0" in done.stdout


def data(collector: RealCollector, facility: str = "12001") -> FacilityData:
    """All that the collector makes figures of."""
    with collector.store.read() as connection:
        found = registry.facilities(connection, [facility])
        return load(connection, catalogue.load(), found, TODAY - timedelta(days=40), TODAY)[0]


def differences(collector: RealCollector) -> list[str]:
    """The exported differences of check sources."""
    exposition = exposition_of(collector.store, Yardstick(catalogue.load()), 1000)
    exposition.refresh(now())
    lines = exposition.body(None).decode().splitlines()
    return [line for line in lines if "source_check_difference_ratio{" in line]


def test_two_sources_with_a_part_each_add_up(tmp_path: Path, collector: RealCollector) -> None:
    tables = source("noi_tru", "checkins", 'part = "noi_tru"') + source("kiosk", "checkins_insured", 'part = "kiosk"')
    one = hospital(tmp_path, collector, ("12001",), tables)
    one.come(DAY, 3)
    one.come(DAY, 2, method="TAY")
    one.come(DAY, 40, table="checkins_insured")
    poll(one)
    found = data(collector)
    assert found.counts("checkins", [DAY]) == Counter(cccd_qr=43, manual=2)
    assert sorted((claim.source.name, str(claim.source.part)) for claim in found.counted("checkins")) == [
        ("kiosk", "kiosk"),
        ("noi_tru", "noi_tru"),
    ]
    # a part that changes alone changes the sum alone
    one.come(DAY, 1, table="checkins_insured")
    poll(one)
    assert data(collector).counts("checkins", [DAY]) == Counter(cccd_qr=44, manual=2)


def test_a_second_source_that_says_neither_part_nor_check_is_refused_before_anything_is_read(
    tmp_path: Path, collector: RealCollector
) -> None:
    one = Hospital(tmp_path)
    one.config.write_text(
        one.config.read_text("utf-8") + source("kiosk", "checkins_insured"),
        "utf-8",
    )
    done = one.run("check")
    assert done.returncode == 2
    assert "[sources.his], [sources.kiosk] cùng đếm “checkins”" in done.stderr


def test_a_check_source_is_compared_and_never_added(tmp_path: Path, collector: RealCollector) -> None:
    tables = source("his", "checkins") + source("so_tay", "checkins_insured", 'role = "check"')
    one = hospital(tmp_path, collector, ("12001",), tables)
    one.come(DAY, 10)
    one.come(DAY, 9, table="checkins_insured")
    poll(one)
    assert data(collector).counts("checkins", [DAY]) == Counter(cccd_qr=10)
    [line] = differences(collector)
    assert 'facility="12001",source="so_tay",measure="checkins"' in line
    assert line.endswith(" -0.1")


def test_one_query_over_200_commune_stations_arrives_as_the_tallies_of_200_facilities(
    tmp_path: Path, collector: RealCollector
) -> None:
    table = """
[sources.tram]
kind = "his.sql"
database_file = "his.url"
[sources.tram.queries.checkins]
sql = \"\"\"
SELECT substr(in_time, 1, 10) AS day, tram AS facility, method AS category, COUNT(*) AS count
FROM tram WHERE in_time >= :start AND in_time < :end GROUP BY 1, 2, 3
\"\"\"
[sources.tram.queries.checkins.categories]
QR = "cccd_qr"
[sources.tram.facilities]
""" + "\n".join(f'"{number}" = "{facility}"' for number, facility in enumerate(STATIONS))
    one = hospital(tmp_path, collector, STATIONS, table)
    one.sql("CREATE TABLE tram (tram INTEGER, in_time TEXT, method TEXT)")
    one.sql(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 198),"
        " c(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM c WHERE k < 198)"
        f" INSERT INTO tram SELECT i, '{DAY} 08:00:00', 'QR' FROM n JOIN c ON k <= i"
    )
    one.sql("INSERT INTO tram VALUES (999, ?, 'QR')", f"{DAY} 08:00:00")
    poll(one)
    # station i had i + 1 cases; the last had none, which is told too; the one that nobody knows is not counted
    for number, facility in enumerate(STATIONS[:-1]):
        assert collector.counts("checkins", facility)[DAY] == {"cccd_qr": number + 1}, facility
    assert collector.counts("checkins", STATIONS[-1])[DAY] == {}
    assert collector.counts("checkins") == {}
    assert '"999": 1' in one.run("status", "--json").stdout
