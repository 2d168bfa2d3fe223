"""The quick look at a tally never says anything else than the thorough one."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from collector.shapes import Batch, Shapes
from collector.test_ingest import WRONG
from tests.office import CATALOGUE, TODAY, YESTERDAY, a_tally

MINE = frozenset({"12001", "12002"})
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, 1, -1, 1.0, 10**15, 10**15 + 1, 2**53 + 1, float("nan"), "", "x", [], {}, ["cash"]]
)
COUNTS = st.dictionaries(
    st.sampled_from(["qr", "cash", "card", "unknown", "gold"]), st.integers(0, 3) | ODD, max_size=4
)


@st.composite
def a_raw(draw: st.DrawFn) -> Any:
    """A tally as it may travel: most are right, some are not."""
    days = [str(TODAY), str(YESTERDAY), "2026-02-29", "20261119", "2019-12-31"]
    said = {
        "facility": draw(st.sampled_from(["12001", "12002", "12003"]) | ODD),
        "source": draw(st.sampled_from(["his", "emr", "hai từ"]) | ODD),
        "measure": draw(st.sampled_from(["payments", "records", "smiles"]) | ODD),
        "day": draw(st.sampled_from(days) | ODD),
        "revision": draw(st.integers(1, 3) | ODD),
        "counts": draw(COUNTS | ODD),
    }
    spoilt = draw(st.sampled_from([*said, "", "", "", "", "", ""]))
    right = a_tally(counts=draw(st.dictionaries(st.sampled_from(["qr", "cash"]), st.integers(0, 2))))
    said = {**right, **({spoilt: said[spoilt]} if spoilt else {})} if draw(st.booleans()) else said
    return {key: value for key, value in said.items() if key != draw(st.sampled_from([*said, *([""] * 20)]))}


def one_by_one(raws: list[Any], facilities: frozenset[str]) -> Batch:
    """Each looked at by somebody who has never seen one."""
    whole = Batch(len(raws))
    for index, raw in enumerate(raws):
        alone = Shapes(CATALOGUE, TODAY).batch([None] * index + [raw], facilities)
        for place, tallied in alone.tallies.items():
            whole.tallies[place] += tallied
        whole.refused += [one for one in alone.refused if one.index == index]
    return whole


@given(st.lists(a_raw() | ODD, max_size=12), st.sampled_from([MINE, frozenset({"12001"})]))
def test_what_was_looked_at_before_changes_no_verdict(raws: list[Any], facilities: frozenset[str]) -> None:
    shapes = Shapes(CATALOGUE, TODAY)
    shapes.batch([a_tally(), a_tally(TODAY, counts={"cash": 1})], MINE)
    assert shapes.batch(raws, facilities) == one_by_one(raws, facilities)


def test_counts_are_canonical_whatever_their_order_and_zeros() -> None:
    several = [{"qr": 1, "cash": 3}, {"cash": 3, "qr": 1}, {"cash": 3, "qr": 1, "card": 0}, {"qr": 1, "cash": 3}]
    batch = Shapes(CATALOGUE, TODAY).batch([a_tally(counts=counts) for counts in several], MINE)
    [(place, tallied)] = batch.tallies.items()
    assert place == ("12001", "his", "payments")
    assert [counts for _, _, _, counts in tallied] == ['{"cash":3,"qr":1}'] * 4


def test_what_is_wrong_is_seen_in_a_tally_that_is_like_a_right_one() -> None:
    right = a_tally(counts={"cash": 1})
    raws = [right, *(right | wrong for wrong, _ in WRONG)]
    batch = Shapes(CATALOGUE, TODAY).batch(raws, frozenset({"12001"}))
    assert [(one.index, one.code) for one in batch.refused] == [(n, code) for n, (_, code) in enumerate(WRONG, 1)]
