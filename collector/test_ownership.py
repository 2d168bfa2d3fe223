"""Who counts what, and what operators do to sources (architecture.md, "Keys, owners, revisions")."""

from datetime import date, timedelta
from typing import Any

import pytest

from collector import sources
from collector.access import Speaker
from contract.errors import ConfigError
from contract.tally import Ack
from tests.office import NOON, TODAY, YESTERDAY, Office, a_source, a_tally

PAYMENTS = {"cash": 100}


@pytest.fixture
def his(office: Office) -> Speaker:
    return office.speaker("12001")


def codes(ack: Ack) -> list[str]:
    return [one.code for one in ack.refused]


def total(office: Office, day: date = YESTERDAY, facility: str = "12001") -> int:
    """All payments that count on a day."""
    return sum(office.data(facility).counts("payments", [day]).values())


def of(name: str, day: date | str = YESTERDAY, revision: int = 1, **counts: int) -> dict[str, Any]:
    return a_tally(day, revision, counts or PAYMENTS, source=name)


def test_a_second_source_of_a_measure_is_not_its_owner(office: Office, his: Speaker) -> None:
    roster = [a_source("his"), a_source("cashdesk")]
    ack = office.push(his, [of("cashdesk"), of("his")], roster)
    assert (ack.accepted, codes(ack)) == (1, ["not_owner"])
    assert "“his”" in ack.refused[0].reason
    assert total(office) == 100


def test_without_any_roster_the_first_that_sends_is_the_owner(office: Office, his: Speaker) -> None:
    assert office.push(his, [of("b")], []).accepted == 1
    assert codes(office.push(his, [of("a")], [])) == ["not_owner"]


def test_a_second_source_of_another_agent_is_not_the_owner_either(office: Office, his: Speaker) -> None:
    office.push(his, [of("his")])
    other = office.speaker("12001")
    assert codes(office.push(other, [of("cashdesk")], [a_source("cashdesk")])) == ["not_owner"]


def test_sources_own_measures_one_by_one(office: Office, his: Speaker) -> None:
    roster = [a_source("his"), a_source("emr", measures=["records", "payments"])]
    sent = [of("his"), of("emr"), a_tally(source="emr", measure="records", counts={"paper": 4})]
    assert codes(office.push(his, sent, roster)) == ["not_owner"]


def test_parts_add(office: Office, his: Speaker) -> None:
    roster = [a_source("his"), a_source("inpatient", part="inpatient"), a_source("ward", part="inpatient")]
    ack = office.push(his, [of("his"), of("inpatient", qr=7), of("ward", qr=50)], roster)
    assert (ack.accepted, codes(ack)) == (2, ["not_owner"])
    assert office.data().counts("payments", [YESTERDAY]) == {"cash": 100, "qr": 7}


def test_a_check_is_compared_never_added(office: Office, his: Speaker) -> None:
    roster = [a_source("his"), a_source("bank", role="check")]
    assert office.push(his, [of("his"), of("bank", cash=90)], roster).accepted == 2
    assert total(office) == 100
    assert 'check_difference_ratio{facility="12001",source="bank",measure="payments"} -0.1\n' in office.metrics()


def test_a_check_is_compared_only_on_days_that_both_have_told(office: Office, his: Speaker) -> None:
    days = [YESTERDAY - timedelta(days=n) for n in range(4)]
    sent = [of("his", day) for day in days] + [of("bank", days[0], cash=90)]
    office.push(his, sent, [a_source("his"), a_source("bank", role="check")])
    assert 'check_difference_ratio{facility="12001",source="bank",measure="payments"} -0.1\n' in office.metrics()


def test_a_check_that_becomes_a_counter_queues_behind_the_owner(office: Office, his: Speaker) -> None:
    office.push(his, [of("bank")], [a_source("bank", role="check")])
    office.push(his, [of("his")], [a_source("bank", role="check"), a_source("his")])
    roster = [a_source("bank"), a_source("his")]
    assert codes(office.push(his, [of("bank", TODAY), of("his", TODAY)], roster)) == ["not_owner"]
    assert total(office) == 100
    assert total(office, TODAY) == 100


def test_a_part_that_is_given_up_queues_behind_the_owner_and_is_not_added_twice(office: Office, his: Speaker) -> None:
    office.push(his, [of("ward", cash=7)], [a_source("ward", part="ward")])
    office.push(his, [of("his")], [a_source("ward", part="ward"), a_source("his")])
    assert total(office) == 107
    roster = [a_source("ward"), a_source("his")]
    assert codes(office.push(his, [of("ward", TODAY), of("his", TODAY)], roster)) == ["not_owner"]
    assert (total(office), total(office, TODAY)) == (100, 100)


def test_a_source_belongs_to_one_agent_until_an_operator_moves_it(office: Office, his: Speaker) -> None:
    office.push(his, [of("his")])
    other = office.speaker("12001")
    assert codes(office.push(other, [of("his", revision=2)])) == ["source_taken"]
    assert office.source().agent == his.agent
    sources.move(office.store, "12001", "his", other.agent, NOON)
    assert office.push(other, [of("his", revision=2, cash=5)]).accepted == 1
    assert codes(office.push(his, [of("his", revision=3)])) == ["source_taken"]
    assert total(office) == 5


def test_a_source_cannot_be_moved_to_an_agent_that_may_not_speak_for_its_facility(office: Office, his: Speaker) -> None:
    office.push(his, [of("his")])
    stranger = office.speaker("12002")
    with pytest.raises(ConfigError, match="ghi danh lại"):
        sources.move(office.store, "12001", "his", stranger.agent, NOON)
    with pytest.raises(ConfigError, match="không có agent"):
        sources.move(office.store, "12001", "his", "nobody", NOON)
    assert office.source().agent == his.agent


def test_a_retired_source_counts_up_to_its_last_day_and_is_refused_after_it(office: Office, his: Speaker) -> None:
    office.push(his, [of("his", TODAY), of("his")])
    sources.retire(office.store, "12001", "his", YESTERDAY, NOON)
    ack = office.push(his, [of("his", TODAY, 2), of("his", YESTERDAY, 2, cash=90)])
    assert (ack.accepted, codes(ack)) == (1, ["not_owner"])
    assert (total(office), total(office, TODAY)) == (90, 0)
    assert office.push(his, [of("new", TODAY, cash=8)], [a_source("new")]).accepted == 1
    assert codes(office.push(his, [of("new")], [a_source("new")])) == ["not_owner"]
    assert (total(office), total(office, TODAY)) == (90, 8)


def test_on_the_shared_cut_over_day_both_add(office: Office, his: Speaker) -> None:
    days = [TODAY - timedelta(days=n) for n in (2, 1, 0)]
    office.push(his, [of("old", day) for day in days[:2]], [a_source("old")])
    sources.retire(office.store, "12001", "old", days[1], NOON)
    roster = [a_source("new", **{"from": str(days[1])})]
    ack = office.push(his, [of("new", day, cash=7) for day in days], roster)
    assert (ack.accepted, codes(ack)) == (2, ["not_owner"])
    assert [total(office, day) for day in days] == [100, 107, 7]
    assert office.push(his, [of("old", days[1], 2, cash=101)], roster).accepted == 1
    assert total(office, days[1]) == 108


def test_a_source_that_begins_before_the_old_one_ends_waits_for_it(office: Office, his: Speaker) -> None:
    days = [TODAY - timedelta(days=n) for n in (2, 1, 0)]
    office.push(his, [of("old", day) for day in days], [a_source("old")])
    roster = [a_source("new", **{"from": str(days[0])})]
    assert codes(office.push(his, [of("new", day) for day in days], roster)) == ["not_owner"] * 3


def test_another_system_under_the_same_name_owns_from_its_day_and_leaves_history_as_it_was(
    office: Office, his: Speaker
) -> None:
    days = [TODAY - timedelta(days=n) for n in (2, 1, 0)]
    office.push(his, [of("his", day) for day in days[:2]])
    roster = [a_source("his", kind="emr.sql", **{"from": str(days[1])})]
    ack = office.push(his, [of("his", day, 5, cash=7) for day in days], roster)
    assert (ack.accepted, codes(ack)) == (2, ["not_owner"])
    assert [total(office, day) for day in days] == [100, 7, 7]
    assert office.standing().present == 2


def test_a_rename_moves_keys_whole(office: Office, his: Speaker) -> None:
    office.push(his, [of("his"), of("his", TODAY, 3)])
    before = {day: row for (_, _, day), row in office.stored().items()}
    office.push(his, [of("his2", TODAY)], [a_source("his2")])  # the agent was renamed first, and has knocked
    sources.rename(office.store, "12001", "his", "his2", NOON)
    assert {place: row for place, row in office.stored().items()} == {
        ("12001", "his2", day): row for day, row in before.items()
    }
    ack = office.push(his, [of("his2", TODAY, 4, cash=1), of("his2")], [a_source("his2")])
    assert (ack.accepted, codes(ack)) == (2, [])
    assert office.source(name="his2").in_roster


def test_a_rename_to_a_name_that_counts_itself_or_is_no_name_is_refused(office: Office, his: Speaker) -> None:
    office.push(his, [of("his"), of("ward")], [a_source("his"), a_source("ward", part="ward")])
    for new in ("ward", "his", "hai từ", ""):
        with pytest.raises(ConfigError):
            sources.rename(office.store, "12001", "his", new, NOON)
    with pytest.raises(ConfigError, match="không có nguồn"):
        sources.rename(office.store, "12001", "nothing", "something", NOON)
    assert {name for _, name, _ in office.stored()} == {"his", "ward"}


def test_a_source_that_left_the_roster_goes_on_counting_as_an_orphan(office: Office, his: Speaker) -> None:
    office.push(his, [of("his")])
    assert office.source().in_roster
    office.push(his, [], [a_source("other", measures=["records"])])
    assert not office.source().in_roster
    assert total(office) == 100
    assert office.push(his, [of("his", TODAY)], [a_source("other", measures=["records"])]).accepted == 1
    assert codes(office.push(his, [of("new")], [a_source("new")])) == ["not_owner"]


def test_a_source_whose_agent_names_nothing_any_more_is_an_orphan_at_every_facility(office: Office) -> None:
    both = office.speaker("12001", "12002")
    office.push(both, [], [a_source(facilities=["12001", "12002"])])
    office.push(both, [], [a_source(facilities=["12001"])])
    assert (office.source().in_roster, office.source("12002").in_roster) == (True, False)
    office.push(both, [], [])
    assert not office.source().in_roster


def test_a_roster_does_not_reach_a_facility_that_is_not_the_agents(office: Office, his: Speaker) -> None:
    office.speaker("12002")
    office.push(his, [], [a_source(facilities=["12001", "12002", "99999"])])
    assert {one.facility for one in (office.source(),)} == {"12001"}
    assert office.data("12002").sources == []


def test_a_closed_facility_takes_days_until_its_last(office: Office) -> None:
    office.register("12001", active_to=str(YESTERDAY))
    agent = office.speaker("12001")
    ack = office.push(agent, [of("his"), of("his", TODAY)])
    assert (ack.accepted, codes(ack)) == (1, ["facility_closed"])


# --- rival claims after a source drops a measure


def test_a_measure_that_a_source_drops_is_free_from_its_last_day_which_was_counted_only_in_part(
    office: Office, his: Speaker
) -> None:
    before = YESTERDAY - timedelta(days=1)
    office.push(his, [of("a", before), of("a", cash=60)], [a_source("a"), a_source("b")])
    roster = [a_source("a", measures=["records"]), a_source("b")]
    office.push(his, [], roster)
    assert (total(office, before), total(office)) == (100, 60)  # nobody has counted that day better yet
    ack = office.push(his, [of("b", day, cash=7) for day in (before, YESTERDAY, TODAY)], roster)
    assert (ack.accepted, codes(ack)) == (2, ["not_owner"])
    assert [total(office, day) for day in (before, YESTERDAY, TODAY)] == [100, 7, 7]


def test_what_was_on_its_way_when_a_measure_was_dropped_does_not_take_it_back(office: Office, his: Speaker) -> None:
    before = YESTERDAY - timedelta(days=1)
    office.push(his, [of("a", before), of("a")], [a_source("a"), a_source("b")])
    roster = [a_source("a", measures=["records"]), a_source("b")]
    office.push(his, [of("b", YESTERDAY, cash=7)], roster)
    ack = office.push(his, [of("a", before, 2, cash=101), of("a", YESTERDAY, 2)], roster)
    assert (ack.accepted, codes(ack)) == (1, ["not_owner"])
    assert (total(office, before), total(office)) == (101, 7)
    assert office.push(his, [of("b", TODAY, cash=7)], roster).accepted == 1


def test_a_dropped_measure_that_nobody_counts_takes_late_days_and_may_come_back(office: Office, his: Speaker) -> None:
    office.push(his, [of("a")], [a_source("a")])
    office.push(his, [of("a", TODAY)], [a_source("a", measures=["records"])])
    assert (total(office), total(office, TODAY)) == (100, 100)
    office.push(his, [of("a", TODAY, 2, cash=9)], [a_source("a")])
    assert total(office, TODAY) == 9


def test_a_measure_that_comes_back_waits_while_another_source_counts_it(office: Office, his: Speaker) -> None:
    before = YESTERDAY - timedelta(days=1)
    office.push(his, [of("a", before), of("a")], [a_source("a")])
    office.push(his, [of("b", YESTERDAY, cash=7)], [a_source("a", measures=["records"]), a_source("b")])
    both = [a_source("a"), a_source("b")]
    ack = office.push(his, [of("a", TODAY), of("b", TODAY, cash=7)], both)
    assert codes(ack) == ["not_owner"]
    assert [total(office, day) for day in (before, YESTERDAY, TODAY)] == [100, 7, 7]
    sources.retire(office.store, "12001", "b", YESTERDAY, NOON)
    assert office.push(his, [of("a", TODAY)], both).accepted == 1
    assert [total(office, day) for day in (before, YESTERDAY, TODAY)] == [100, 7, 100]


def test_a_source_in_the_roster_may_send_a_measure_that_it_does_not_name(office: Office, his: Speaker) -> None:
    for turn in (1, 2, 3):
        assert office.push(his, [of("his", YESTERDAY, turn, cash=turn)], [a_source(measures=["records"])]).accepted == 1
        assert total(office) == turn


def test_operators_are_told_what_does_not_exist(office: Office) -> None:
    office.register("12001", at=NOON)
    with pytest.raises(ConfigError, match="cơ sở 12001 không có nguồn “his”"):
        sources.retire(office.store, "12001", "his", TODAY, NOON)
