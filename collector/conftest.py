"""A Sở over each of the two databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.office import Office


@pytest.fixture
def office(store_url: str, tmp_path: Path) -> Iterator[Office]:
    """An empty registry."""
    one = Office(store_url, tmp_path)
    yield one
    one.store.close()
