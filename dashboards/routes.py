"""routes."""

from collections.abc import Mapping
from datetime import date

from dashboards.settings import Settings


def files(settings: Settings, today: date) -> Mapping[str, str]:
    """Path → text."""
    return {}


def problems(settings: Settings, files: Mapping[str, str]) -> list[str]:
    """What is wrong."""
    return []
