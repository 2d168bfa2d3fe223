"""Grafana: five boards, built from the catalogue and the plans, and what Grafana needs to load them."""

from collections.abc import Mapping
from datetime import date

from dashboards.boards import facility, fleet, indicator, lint, province, provisioning, system
from dashboards.settings import Settings

_BOARDS = "grafana/dashboards/"


def files(settings: Settings, today: date) -> Mapping[str, str]:
    """Path → text; `today` decides which plans are over."""
    boards = [
        province.board(settings, today),
        facility.board(settings),
        indicator.board(settings, today),
        fleet.board(settings),
        system.board(settings.alerts.loop_periods),
    ]
    return {f"{_BOARDS}{one.uid}.json": one.json(boards) for one in boards} | {
        "grafana/provisioning/datasources/nhipso.yml": provisioning.datasource(settings.general),
        "grafana/provisioning/dashboards/nhipso.yml": provisioning.provider(settings.general),
    }


def problems(settings: Settings, files: Mapping[str, str]) -> list[str]:
    """Every mistake in the boards, with file and panel; empty when there is none."""
    return lint.problems({name: text for name, text in files.items() if name.startswith(_BOARDS)})
