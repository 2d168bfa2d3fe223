"""Sixty kills of agents, readers, collector and database on a bad line: what `make faults` does at length."""

import pytest

from tests.faults.run import run
from tests.faults.world import Database

pytestmark = pytest.mark.slow
SEED = 6


@pytest.mark.parametrize(("database", "kills"), [("sqlite", 40), ("postgresql", 20)])
def test_killed_at_random_on_a_bad_line_nothing_is_lost_and_nothing_invented(database: Database, kills: int) -> None:
    result = run(kills, SEED, database)
    assert result.is_good, f"seed={SEED} {result} {result.not_a_test} {[*result.differences, *result.broken]}"
    assert sum(result.kills.values()) >= kills
