"""Schemathesis over the collector's own OpenAPI document: whatever fits it, and much that does not, is no 500.

Seeds are fixed: the same requests in every run. They go to a real server.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode

from tests.security.province import Province, province

pytestmark = pytest.mark.slow
CALLERS = ("nobody", "agent", "admin token", "confirmer token", "alertmanager")
EACH = 6
"""Requests for each operation, right and wrong by the document; the callers take turns."""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Province]:
    with province(tmp_path_factory.mktemp("province")) as one:
        yield one


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda one: str(one.value))
def test_no_request_is_a_mistake_of_ours(here: Province, mode: GenerationMode) -> None:
    address = str(here.http.base_url)
    document = schemathesis.openapi.from_url(f"{address}/openapi.json")
    sent: list[str] = []
    for found in document.get_all_operations():
        operation = found.ok()  # type: ignore[union-attr]

        @settings(
            max_examples=EACH, derandomize=True, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            name = CALLERS[len(sent) % len(CALLERS)]
            answer = case.call(base_url=address, headers=here.caller(name).headers)
            sent.append(case.operation.label)
            assert answer.status_code < 500, f"{name}: {case.as_curl_command()}"

        with suppress(Unsatisfiable):  # an operation that takes nothing has nothing that could be wrong
            ask()
    assert len(set(sent)) >= 12
    assert 'status="5' not in here.http.get("/metrics", headers=here.caller("prometheus").headers).text
