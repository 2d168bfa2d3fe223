"""`/metrics`: which series there are, which there are not, and when they change (contract.md, "Prometheus metrics")."""

import re
import subprocess
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from collector import sources
from collector.access import Speaker
from collector.exposition import Exposition
from collector.parts import Meters
from collector.store import backup, registry
from collector.store.registry import Pause
from conftest import program
from contract import metrics
from contract.days import DayRange, midnight
from contract.errors import AwayError, BadRequestError
from contract.verdict import Verdict
from tests.office import NOON, TODAY, YESTERDAY, Office, a_plan, a_source, a_tally, exposition_of, samples

CASHLESS = '{facility="12001",indicator="cashless"'


@pytest.fixture
def his(office: Office) -> Speaker:
    return office.speaker("12001")


def test_every_family_is_there_with_its_meaning_even_when_nothing_is_registered(office: Office) -> None:
    text = office.metrics()
    assert samples(text) == {}
    for family in (*metrics.OF_FACILITY, *metrics.OF_AGENT):
        assert f"# HELP {family.name} {family.help}\n# TYPE {family.name} gauge\n" in text


def test_the_families_are_those_of_the_contract_page() -> None:
    """Both ways: names, labels and, but for those of prometheus_client, meanings."""
    page = (Path(__file__).parent.parent / "docs" / "metrics.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \| (.+) \|$", page, re.M)
    told = {name: (set(filter(None, labels.split(", "))), meaning) for name, labels, meaning in rows}
    assert len(told) == len(rows)
    families = {one.name: one for one in (*metrics.OF_FACILITY, *metrics.OF_SCOPE, *metrics.OF_AGENT)}
    exported = {name: (set(one.labels), one.help) for name, one in families.items()}
    assert {name: row for name, row in told.items() if name in exported} == exported
    own = {name: labels for name, (labels, _) in told.items() if name not in exported}
    meters = Meters()
    for meter in (meters.requests, meters.seconds, meters.heartbeat, meters.period):
        (family,) = meter.describe()
        name = family.name + ("_total" if family.type == "counter" else "")
        meter.labels(**dict.fromkeys(own[name], "x"))  # ValueError: it has other labels
    found = {
        family.name if family.type == "histogram" else one.name: set(one.labels) - {"le"}
        for family in meters.registry.collect()
        for one in family.samples
        if not one.name.endswith("_created")
    }
    assert found == own


def test_a_silent_facility_is_present_from_the_day_it_is_registered(office: Office) -> None:
    office.register("12001", area="Xã Sìn Hồ", ownership="private")
    labels = 'facility="12001",name="Cơ sở 12001",level="province",ownership="private",area="Xã Sìn Hồ"'
    found = samples(office.metrics())
    assert found[f"nhipso_facility_info{{{labels}}}"] == 1
    assert found['nhipso_facility_last_push_timestamp_seconds{facility="12001"}'] == 0
    # nothing is expected of it while it installs its agent
    assert 'nhipso_facility_expected_since_timestamp_seconds{facility="12001"}' not in found
    assert found[f"nhipso_indicator_completeness_ratio{CASHLESS}}}"] == 0


def test_what_nobody_has_told_is_absent_and_what_is_zero_is_zero(office: Office, his: Speaker) -> None:
    silent = samples(office.metrics())
    assert not [name for name in silent if "ratio{" in name and "completeness" not in name]
    assert not [name for name in silent if name.startswith(("nhipso_tally", "nhipso_indicator_denominator"))]
    office.push(his, [a_tally(counts={}), a_tally(TODAY, counts={"unknown": 3})])
    found = samples(office.metrics())
    for window in ("today", "30d"):
        assert found[f'nhipso_indicator_denominator{CASHLESS},window="{window}"}}'] == 0
        assert found[f'nhipso_indicator_numerator{CASHLESS},window="{window}"}}'] == 0
        assert f'nhipso_indicator_ratio{CASHLESS},window="{window}"}}' not in found
    assert found[f"nhipso_indicator_known_ratio{CASHLESS}}}"] == 1
    assert found['nhipso_tally{facility="12001",measure="payments",category="cash"}'] == 0
    assert found['nhipso_tally{facility="12001",measure="payments",category="unknown"}'] == 3


def test_the_pushed_figures_are_those_exported(office: Office, his: Speaker) -> None:
    office.push(his, [a_tally(counts={"cash": 1, "qr": 2, "unknown": 1}), a_tally(TODAY, counts={"card": 5})])
    found = samples(office.metrics())
    assert found[f'nhipso_indicator_ratio{CASHLESS},window="30d"}}'] == 2 / 3
    assert found[f'nhipso_indicator_numerator{CASHLESS},window="30d"}}'] == 2
    assert found[f'nhipso_indicator_denominator{CASHLESS},window="30d"}}'] == 3
    assert found[f'nhipso_indicator_ratio{CASHLESS},window="today"}}'] == 1
    assert found[f"nhipso_indicator_known_ratio{CASHLESS}}}"] == 0.75
    assert found[f"nhipso_indicator_completeness_ratio{CASHLESS}}}"] == 1 / 30
    assert found[f"nhipso_indicator_as_of_timestamp_seconds{CASHLESS}}}"] == midnight(YESTERDAY).timestamp()


def test_the_health_of_sources_and_agents_is_exported(office: Office, his: Speaker) -> None:
    first = a_source("his", newest_day={"12001": "2026-11-20"}, unmapped_cases={"12001": {"payments": 12}})
    office.push(his, [], [first, a_source("new", ok=False, read_at=None)], waiting=7, parked=2)
    found = samples(office.metrics())
    where = '{facility="12001",source="his",kind="his.sql"}'
    assert found[f"nhipso_source_up{where}"] == 1
    assert found['nhipso_source_up{facility="12001",source="new",kind="his.sql"}'] == 0
    assert found[f"nhipso_source_read_timestamp_seconds{where}"] == (NOON - timedelta(minutes=1)).timestamp()
    assert found[f"nhipso_source_newest_day_timestamp_seconds{where}"] == midnight(TODAY).timestamp()
    assert 'nhipso_source_read_timestamp_seconds{facility="12001",source="new",kind="his.sql"}' not in found
    assert found['nhipso_source_unmapped{facility="12001",source="his",measure="payments"}'] == 12
    assert found[f'nhipso_agent_info{{agent="{his.agent}",version="1.0.0"}}'] == 1
    names = {"last_push_timestamp_seconds": NOON.timestamp(), "waiting": 7, "parked": 2, "clock_skew_seconds": 0}
    assert {name: found[f'nhipso_agent_{name}{{agent="{his.agent}"}}'] for name in names} == names
    assert found['nhipso_facility_last_push_timestamp_seconds{facility="12001"}'] == NOON.timestamp()


def test_an_agent_that_never_pushed_is_there_too(office: Office) -> None:
    exposition = exposition_of(office.store, office.yardstick)
    office.register("12001")
    exposition.refresh(NOON)
    agent = office.enrol("12001").partition(".")[0]
    exposition.refresh(NOON + timedelta(seconds=5))
    assert f'nhipso_agent_last_push_timestamp_seconds{{agent="{agent}"}} 0\n' in exposition.body().decode()


def test_what_agents_say_of_themselves_is_shown_within_five_seconds_though_nothing_else_moves(
    office: Office, his: Speaker
) -> None:
    exposition, waiting = started(office), f'nhipso_agent_waiting{{agent="{his.agent}"}}'
    for seconds, now in ((1, 7), (2, 8)):
        office.push(his, [], at=NOON + timedelta(seconds=seconds), waiting=now)
        exposition.refresh(NOON + timedelta(seconds=seconds))
    exposition.refresh(NOON + timedelta(seconds=5))
    assert shown(exposition)[waiting] == 8


def test_an_orphan_is_still_shown_and_a_retired_source_no_longer(office: Office, his: Speaker) -> None:
    office.push(his, [a_tally()])
    office.push(his, [], [])
    assert 'nhipso_source_up{facility="12001",source="his"' in office.metrics()
    sources.retire(office.store, "12001", "his", TODAY, NOON)
    assert 'nhipso_source_up{facility="12001",source="his"' in office.metrics()
    assert 'nhipso_source_up{facility="12001",source="his"' not in office.metrics(NOON + timedelta(days=1))


def expected_since(office: Office, day: date) -> float | None:
    found = samples(office.metrics(midnight(day)))
    return found.get('nhipso_facility_expected_since_timestamp_seconds{facility="12001"}')


def test_data_is_expected_seven_days_after_registration_or_from_the_end_of_a_pause(office: Office) -> None:
    office.register("12001")
    with office.store.write() as connection:
        registry.add_pause(connection, Pause("12001", date(2026, 12, 1), date(2026, 12, 3), "chuyển nhà"))
    assert expected_since(office, date(2026, 11, 30)) == (NOON + timedelta(days=7)).timestamp()
    assert expected_since(office, date(2026, 12, 1)) is None
    assert expected_since(office, date(2026, 12, 3)) is None
    assert expected_since(office, date(2026, 12, 4)) == midnight(date(2026, 12, 4)).timestamp()


def test_nothing_is_expected_before_a_facility_opens_or_after_it_closes(office: Office) -> None:
    office.register("12001", active_from="2027-01-01", active_to="2027-02-01")
    assert expected_since(office, date(2026, 12, 31)) is None
    assert expected_since(office, date(2027, 1, 2)) == midnight(date(2027, 1, 1)).timestamp()
    assert expected_since(office, date(2027, 2, 2)) is None


def test_only_indicators_that_apply_are_exported(office: Office) -> None:
    office.register("12001", indicators="cashless")
    found = samples(office.metrics())
    shown = [name for name in found if name.startswith("nhipso_indicator_") and 'indicator="cashless"' not in name]
    # the registry leaves these out: that is said, and nothing else; those of other levels are not there at all
    assert {name.partition("{")[0] for name in shown} == {"nhipso_indicator_verdict"}
    assert {found[name] for name in shown} == {0}
    assert not [name for name in shown if "inspection_digital" in name]
    assert [name for name in found if name.startswith("nhipso_indicator_completeness_ratio" + CASHLESS)]


def test_labels_are_escaped_and_read_back_as_they_were(office: Office) -> None:
    name = 'Bệnh viện "Hữu\\Nghị" {a="b"} É'
    office.register("12001", name=name)
    families = {one.name: one for one in text_string_to_metric_families(office.metrics())}
    assert families["nhipso_facility_info"].samples[0].labels["name"] == name


def test_the_body_is_what_prometheus_own_parser_reads(office: Office, his: Speaker) -> None:
    office.push(his, [a_tally(TODAY), a_tally(counts={"qr": 10**15})], [a_source(newest_day={"12001": "2026-11-20"})])
    text = office.metrics()
    read = {}
    for one in (one for family in text_string_to_metric_families(text) for one in family.samples):
        labels = ",".join(f'{key}="{value}"' for key, value in one.labels.items())
        read[f"{one.name}{{{labels}}}"] = one.value
    assert read == samples(text)
    assert len(read) > 30


def test_promtool_has_nothing_to_say(office: Office, his: Speaker) -> None:
    office.push(his, [a_tally(TODAY), a_tally()], [a_source(unmapped_cases={"12001": {"payments": 1}})])
    checked = subprocess.run(
        [program("promtool"), "check", "metrics"], input=office.metrics(), capture_output=True, text=True, timeout=60
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_shards_are_a_partition(office: Office) -> None:
    ids = [f"{number}" for number in range(40)]
    office.register(*ids)
    office.enrol("1")
    exposition = exposition_of(office.store, office.yardstick)
    exposition.refresh(NOON)
    whole = exposition.body().decode()
    parts = [exposition.body(f"{number}/3").decode() for number in (1, 2, 3)]
    assert samples(whole) == {name: value for part in parts for name, value in samples(part).items()}
    assert sum(len(samples(part)) for part in parts) == len(samples(whole))
    assert all("nhipso_facility_info{" in part for part in parts)
    assert ["nhipso_agent_info{" in part for part in parts] == [True, False, False]
    assert exposition.body("1/1").decode() == whole


@pytest.mark.parametrize("shard", ["", "1", "0/3", "4/3", "-1/3", "1/3/5", "a/b", "1/1001", "1.0/2", "/"])
def test_a_shard_that_does_not_exist_is_refused(office: Office, shard: str) -> None:
    with pytest.raises(BadRequestError):
        office.metrics(shard=shard)


def test_today_by_category_is_left_out_of_a_country(office: Office, his: Speaker) -> None:
    office.push(his, [a_tally(TODAY)])
    exposition = exposition_of(office.store, office.yardstick, 1)
    exposition.refresh(NOON)
    assert "nhipso_tally{" in exposition.body().decode()
    office.register("12002")
    exposition.refresh(NOON)
    assert "nhipso_tally{" not in exposition.body().decode()


def test_only_what_changed_is_rendered_again(office: Office) -> None:
    agents = [office.speaker(one) for one in ("1", "2", "3")]
    exposition = exposition_of(office.store, office.yardstick)
    assert exposition.refresh(NOON) == 3
    assert exposition.refresh(NOON) == 0
    office.push(agents[1], [a_tally(facility="2")], [a_source(facilities=["2"])])
    assert exposition.refresh(NOON) == 1
    assert (
        'nhipso_indicator_denominator{facility="2",indicator="cashless",window="30d"} 4\n' in exposition.body().decode()
    )
    office.register("3", name="Tên mới")
    office.register("4")
    assert exposition.refresh(NOON) == 2
    with office.store.write() as connection:
        registry.add_pause(connection, Pause("1", TODAY, TODAY, "lụt"))
    assert exposition.refresh(NOON) == 1
    sources.retire(office.store, "2", "his", YESTERDAY, NOON)
    assert exposition.refresh(NOON) == 1


def test_all_is_rendered_again_at_local_midnight(office: Office, his: Speaker) -> None:
    office.push(his, [a_tally(TODAY, counts={"qr": 4})])
    exposition = exposition_of(office.store, office.yardstick)
    last_second = midnight(TODAY + timedelta(days=1)) - timedelta(seconds=1)
    exposition.refresh(last_second)
    today, month = (f'nhipso_indicator_denominator{CASHLESS},window="{window}"}}' for window in ("today", "30d"))
    assert samples(exposition.body().decode())[today] == 4
    assert month not in samples(exposition.body().decode())
    assert exposition.refresh(last_second + timedelta(seconds=1)) == 1
    found = samples(exposition.body().decode())
    assert (found[month], today in found) == (4, False)


def test_a_restored_copy_is_shown_though_its_numbers_of_changes_are_old(office: Office, his: Speaker) -> None:
    copy = office.directory / "copy"
    office.push(his, [a_tally(revision=1, counts={"qr": 1})])
    backup.backup(office.store, copy)
    exposition = exposition_of(office.store, office.yardstick)
    office.push(his, [a_tally(revision=2, counts={"qr": 2})])
    exposition.refresh(NOON)
    backup.restore(office.store, copy)
    office.push(his, [a_tally(revision=2, counts={"qr": 9})])
    exposition.refresh(NOON)
    assert samples(exposition.body().decode())[f'nhipso_indicator_denominator{CASHLESS},window="30d"}}'] == 9


def test_before_the_first_refresh_there_is_no_body_rather_than_an_empty_province(office: Office) -> None:
    with pytest.raises(AwayError):
        exposition_of(office.store, office.yardstick).body()


SILENT = NOON + timedelta(days=1)
PROVINCE = '{scope="province",name="all",indicator="cashless"'


def tell(office: Office, agent: Speaker, facility: str = "12001", **counts: int) -> None:
    """The same counts on each of the last 60 days and today; the source was read at NOON."""
    sent = [a_tally(day, 1, counts, facility=facility) for day in DayRange.ending(TODAY, 61)]
    office.push(agent, sent, [a_source(facilities=[facility], read_at=NOON.isoformat())])


def started(office: Office, at: datetime = NOON, **other: Any) -> Exposition:
    exposition = exposition_of(office.store, office.yardstick, **other)
    exposition.refresh(at)
    return exposition


def shown(exposition: Exposition) -> dict[str, float]:
    return samples(exposition.body().decode())


def test_every_figure_of_an_indicator_with_a_target_is_there(office: Office, his: Speaker) -> None:
    office.set_plans(a_plan({}), a_plan({"ratio": "0.5"}, id="khac"))
    tell(office, his, cash=4, qr=6, unknown=1)
    found = samples(office.metrics())
    whole = {
        f"nhipso_{name}{CASHLESS}}}": value
        for name, value in (
            ("indicator_known_ratio", 10 / 11),
            ("indicator_completeness_ratio", 1),
            ("indicator_verdict", 5),
            ("indicator_below_since_timestamp_seconds", NOON.timestamp()),
            ("indicator_missing", 90),
            ("indicator_as_of_timestamp_seconds", midnight(YESTERDAY).timestamp()),
            ("indicator_previous_ratio", 0.6),
            ("indicator_previous_denominator", 300),
        )
    }
    assert {name: found[name] for name in whole} == whole
    # the target is that of the binding plan only; every plan in force has its deadline: the end of its day
    assert {name: value for name, value in found.items() if name.startswith("nhipso_target_ratio")} == {
        f'nhipso_target_ratio{CASHLESS},plan="ke-hoach-2026"}}': 0.9
    }
    end = midnight(date(2027, 1, 1)).timestamp()
    deadlines = {name: value for name, value in found.items() if name.startswith("nhipso_target_deadline")}
    names = [
        f'nhipso_target_deadline_timestamp_seconds{{indicator="cashless",plan="{plan}"}}'
        for plan in ("ke-hoach-2026", "khac")
    ]
    assert deadlines == dict.fromkeys(names, end)


def test_since_when_it_is_below_is_there_for_every_indicator_that_applies_and_0_when_it_is_not(office: Office) -> None:
    office.register("12001", indicators="cashless emr")
    found = samples(office.metrics())
    since = {name: value for name, value in found.items() if name.startswith("nhipso_indicator_below_since")}
    prefix = 'nhipso_indicator_below_since_timestamp_seconds{facility="12001",indicator='
    assert since == {f'{prefix}"{one}"}}': 0 for one in ("emr", "cashless")}


def test_a_level_that_is_excluded_has_no_series_at_all(office: Office) -> None:
    office.register("1", level="department")
    found = samples(office.metrics())
    assert not [name for name in found if 'facility="1",indicator="cashless"' in name]
    assert found['nhipso_indicator_verdict{facility="1",indicator="procedure_online"}'] == Verdict.NO_DATA


@pytest.mark.parametrize("counts", [{}, {"unknown": 9}])
def test_there_is_no_ratio_without_a_base(office: Office, his: Speaker, counts: dict[str, Any]) -> None:
    office.set_plans(a_plan({}))
    tell(office, his, **counts)
    found = samples(office.metrics())
    assert not [
        name
        for name in found
        if name.startswith(("nhipso_indicator_ratio", "nhipso_indicator_previous", "nhipso_scope_ratio"))
        and 'unit="facilities"' not in name
    ]
    assert found[f'nhipso_indicator_denominator{CASHLESS},window="30d"}}'] == 0
    assert found[f'nhipso_scope_denominator{PROVINCE},window="30d",unit="cases"}}'] == 0


def test_where_nobody_has_told_anything_there_is_a_target_but_nothing_is_missing(office: Office) -> None:
    office.set_plans(a_plan({}))
    office.register("12001")
    found = samples(office.metrics())
    assert found[f'nhipso_target_ratio{CASHLESS},plan="ke-hoach-2026"}}'] == 0.9
    absent = ("missing", "as_of_timestamp_seconds", "known_ratio", "previous_ratio")
    assert not [one for one in absent if f"nhipso_indicator_{one}{CASHLESS}}}" in found]
    assert f'nhipso_scope_numerator{PROVINCE},window="30d",unit="cases"}}' not in found


def test_a_target_is_shown_while_its_plan_is_in_force_and_no_longer(office: Office, his: Speaker) -> None:
    office.set_plans(a_plan({}))
    targets = [
        [name for name in samples(office.metrics(midnight(day))) if name.startswith("nhipso_target_")]
        for day in (date(2026, 1, 1), date(2026, 1, 2), date(2027, 2, 1), date(2027, 2, 2))
    ]
    assert [len(one) for one in targets] == [0, 2, 2, 0]


def test_scopes_say_their_share_their_target_and_how_many_facilities_have_which_verdict(office: Office) -> None:
    uses = {"unit": "facilities", "ratio": "0.75", "uses_at": "0.5", "uses_at_reason": "…"}
    office.set_plans(a_plan(uses))
    for one, cash in (("1", 1), ("2", 9), ("3", 1)):
        office.register(one, area="Xã Sìn Hồ")
        tell(office, office.speaker(one), one, cash=cash, qr=9)
    office.register("4", level="clinic")
    found = samples(office.metrics())
    in_facilities = f'{PROVINCE},window="30d",unit="facilities"}}'
    assert [found[f"nhipso_scope_{one}{in_facilities}"] for one in ("numerator", "denominator", "ratio")] == [
        3,
        4,
        0.75,
    ]
    assert found[f"nhipso_scope_target_ratio{in_facilities}"] == 0.75
    assert found[f'nhipso_scope_verdict{PROVINCE},unit="facilities"}}'] == Verdict.MET
    assert found[f'nhipso_scope_ratio{PROVINCE},window="30d",unit="cases"}}'] == 27 / 38
    assert f'nhipso_scope_target_ratio{PROVINCE},window="30d",unit="cases"}}' not in found
    verdicts = {one: found[f'nhipso_scope_facilities{PROVINCE},verdict="{one.code}"}}'] for one in list(Verdict)[1:]}
    assert {one: n for one, n in verdicts.items() if n} == {Verdict.MET: 3, Verdict.NO_DATA: 1}
    area = '{scope="area",name="Xã Sìn Hồ",indicator="cashless"'
    assert found[f'nhipso_scope_denominator{area},window="30d",unit="facilities"}}'] == 3
    assert (
        found['nhipso_scope_verdict{scope="level",name="clinic",indicator="cashless",unit="facilities"}']
        == Verdict.NEAR
    )
    # held against `uses_at`
    assert found['nhipso_target_ratio{facility="1",indicator="cashless",plan="ke-hoach-2026"}'] == 0.5


def test_nothing_arrives_and_yet_silence_and_oblivion_are_shown_at_their_moment(office: Office, his: Speaker) -> None:
    office.set_plans(a_plan({}))
    tell(office, his, cash=4, qr=6)
    exposition = started(office)
    as_of = f"nhipso_indicator_as_of_timestamp_seconds{CASHLESS}}}"
    second = timedelta(seconds=1)
    assert exposition.refresh(SILENT - second) == 1  # midnight has passed
    assert (exposition.refresh(SILENT - second), exposition.refresh(SILENT)) == (0, 1)
    # the days go on, the figures do not
    exposition.refresh(SILENT + timedelta(days=20))
    assert shown(exposition)[as_of] == midnight(TODAY).timestamp()
    assert shown(exposition)[f"nhipso_indicator_completeness_ratio{CASHLESS}}}"] == 10 / 30
    gone = SILENT + timedelta(days=30)
    exposition.refresh(gone - second)
    assert shown(exposition)[f"nhipso_indicator_verdict{CASHLESS}}}"] == Verdict.BELOW
    assert (exposition.refresh(gone - second), exposition.refresh(gone)) == (0, 1)
    assert shown(exposition)[f"nhipso_indicator_verdict{CASHLESS}}}"] == Verdict.NO_DATA
    # who asks why there are no figures is told since when
    assert f'nhipso_indicator_numerator{CASHLESS},window="30d"}}' not in shown(exposition)
    assert shown(exposition)[as_of] == midnight(TODAY).timestamp()


def test_scopes_follow_a_change_within_five_seconds_though_nothing_else_moves(office: Office, his: Speaker) -> None:
    exposition = started(office)
    denominator = f'nhipso_scope_denominator{PROVINCE},window="30d",unit="cases"}}'
    tell(office, his, cash=4, qr=6)
    exposition.refresh(NOON + timedelta(seconds=1))
    assert shown(exposition)[f'nhipso_indicator_denominator{CASHLESS},window="30d"}}'] == 300
    exposition.refresh(NOON + timedelta(seconds=5))
    assert shown(exposition)[denominator] == 300
    # and then there is nothing more to do
    before = exposition.body()
    exposition.refresh(NOON + timedelta(seconds=20))
    assert exposition.body() is before


def test_a_facility_that_moves_to_another_area_is_no_longer_in_its_old_one(office: Office, his: Speaker) -> None:
    office.register("12001", area="Bắc")
    tell(office, his, cash=4, qr=6)
    exposition = started(office)
    office.register("12001", area="Nam")
    exposition.refresh(NOON + timedelta(minutes=1))
    areas = {name for name in shown(exposition) if 'scope="area"' in name}
    assert areas
    assert not [name for name in areas if 'name="Bắc"' in name]


def test_windows_that_reach_further_back_than_the_30_days_are_whole(office: Office, his: Speaker) -> None:
    sent = [a_tally(day, 1, {"qr": 1}) for day in DayRange(date(2026, 1, 1), TODAY)]
    office.push(his, sent, [a_source(read_at=NOON.isoformat())])
    year = f'nhipso_indicator_denominator{CASHLESS},window="year"}}'
    windows = ("today", "30d", "year")
    assert shown(started(office, windows=windows))[year] == len(DayRange(date(2026, 1, 1), YESTERDAY))
    # while silent too, in the year that follows
    late = [a_tally(day, 1, {"qr": 1}) for day in DayRange(TODAY, date(2026, 12, 20))]
    read = datetime.combine(date(2026, 12, 20), NOON.timetz())
    office.push(his, late, [a_source(read_at=read.isoformat())], at=read, sent_at=read.isoformat())
    assert shown(started(office, read + timedelta(days=25), windows=windows))[year] == 354


def test_what_is_counted_by_the_quarter_is_held_against_the_quarter_before(office: Office) -> None:
    office.register("1", level="department")
    agent = office.speaker("1")
    quarters = {"2026-03-31": 1, "2026-06-30": 2, "2026-09-30": 4}
    sent = [
        a_tally(day, facility="1", measure="inspections", counts={"digital": n, "on_site": n})
        for day, n in quarters.items()
    ]
    office.push(agent, sent, [a_source(facilities=["1"], measures=["inspections"])])
    found = samples(office.metrics())
    place = '{facility="1",indicator="inspection_digital"'
    assert found[f'nhipso_indicator_denominator{place},window="30d"}}'] == 8
    assert found[f"nhipso_indicator_previous_denominator{place}}}"] == 4


def test_promtool_has_nothing_to_say_of_a_body_with_everything_in_it(office: Office) -> None:
    uses = {"indicator": "emr", "unit": "facilities", "uses_at": "0.5", "uses_at_reason": "…"}
    by_hand = [{"facility": one, "day": "2026-03-01", "ratio": "0.1", "reason": "…"} for one in "123"]
    office.set_plans(a_plan({"baselines": by_hand}, uses))
    for number, one in enumerate("123"):
        office.register(one, area='Xã "Sìn Hồ"')
        agent = office.speaker(one)
        tell(office, agent, one, cash=4, qr=6 + number)
        check = a_source("b", facilities=[one], role="check")
        owner = a_source(facilities=[one], newest_day={one: str(TODAY)}, unmapped_cases={one: {"payments": 1}})
        office.push(agent, [a_tally(facility=one, source="b")], [owner, check])
    text = office.metrics(NOON + timedelta(days=8))
    told_elsewhere = {metrics.CONFIRMATION_DUE, metrics.FINDING, metrics.TALLY}
    families = {*metrics.OF_FACILITY, *metrics.OF_SCOPE, *metrics.OF_AGENT} - told_elsewhere
    assert [one.name for one in families if f"\n{one.name}{{" not in text] == []
    checked = subprocess.run(
        [program("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, timeout=60
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    assert len(text.splitlines()) == len(set(text.splitlines()))
