"""What travels: the digest that two sides compare, and the shape of a push."""

import hashlib
from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from contract.tally import Push, digest
from tests.office import a_push, a_source


def test_the_digest_is_sha256_over_sorted_lines_as_the_design_writes_them() -> None:
    days = [
        (date(2026, 11, 2), {"qr": 2, "cash": 10, "card": 0}),
        (date(2026, 11, 1), {}),
        (date(2026, 11, 3), {"qr": 0}),
    ]
    text = "2026-11-01 {}\n2026-11-02 cash 10\n2026-11-02 qr 2\n2026-11-03 {}"
    assert digest(days) == hashlib.sha256(text.encode()).hexdigest()
    assert digest(reversed(days)) == digest(days)
    assert digest([]) != digest([(date(2026, 11, 1), {})])


def test_the_push_of_the_contract_page_is_understood() -> None:
    body = """
    {"agent": {"id": "a3f1", "version": "1.0.0", "sent_at": "2026-11-21T10:00:00+07:00", "waiting": 0, "parked": 0},
     "sources": [{"name": "his", "kind": "his.sql", "role": "count", "part": null, "from": null, "facilities": ["12001"], "measures": ["checkins"], "ok": true,
                  "read_at": "2026-11-21T09:59:58+07:00", "newest_day": {"12001": "2026-11-21"}, "since": null, "error": null,
                  "unmapped": {"12001": {"payments": {"VI_MOI": 12}}}}],
     "tallies": [{"facility": "12001", "source": "his", "measure": "checkins", "day": "2026-11-20", "revision": 4,
                  "counts": {"cccd_qr": 412, "vneid": 77, "manual": 61}}]}
    """  # noqa: E501
    push = Push.model_validate_json(body)
    assert push.sources[0].from_ is None
    assert push.sources[0].unmapped == {"12001": {"payments": {"VI_MOI": 12}}}


def test_a_newer_agent_may_say_more_than_this_collector_knows() -> None:
    push = Push.model_validate(a_push("a1", [], [a_source(mood="good")], colour="red") | {"weather": "rain"})
    assert push.agent.id == "a1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "hai từ"},
        {"name": "x" * 65},
        {"role": "boss"},
        {"facilities": "12001"},
        {"measures": ["x" * 65]},
        {"measures": ["m"] * 501},
        {"ok": "perhaps"},
        {"from": "2026-13-01"},
        {"read_at": "2026-11-20T11:59:00"},
        {"read_at": "0001-01-01T00:00:00+14:00"},
        {"since": "9999-12-31T23:59:59-12:00"},
        {"error": "x" * 2001},
        {"error": "a\x00b"},
        {"kind": "a\x00b"},
        {"part": "a\x00b"},
        {"failed": ["x" * 65]},
        {"unmapped": {"12001": {"payments": {"VI": -1}}}},
        {"unmapped": {"12001": {"payments": {"VI": 10**40}}}},
        {"unmapped_cases": {"12001": {"payments": 10**400}}},
        {"unmapped_cases": {"12001": {"payments": -1}}},
    ],
)
def test_a_report_on_a_source_holds_nothing_that_a_database_or_prometheus_would_choke_on(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Push.model_validate(a_push("a1", [], [a_source(**wrong)]))


@pytest.mark.parametrize(
    "wrong", [{"waiting": -1}, {"waiting": 2**60}, {"version": "x" * 65}, {"version": "1\x00"}, {"sent_at": "noon"}]
)
def test_what_an_agent_says_of_itself_is_bounded_too(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Push.model_validate(a_push("a1", [], [], **wrong))
