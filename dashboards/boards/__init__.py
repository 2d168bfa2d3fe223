"""Grafana: five boards, built from the catalogue and the plans, and what Grafana needs to load them."""

from collections.abc import Mapping
from datetime import date

from dashboards.boards import facility, fleet, indicator, lint, lint_provisioning, province, provisioning, system
from dashboards.settings import Settings


def files(settings: Settings, today: date) -> Mapping[str, str]:
    """Path → text; `today` decides which plans are over."""
    boards = [
        province.board(settings, today),
        facility.board(settings),
        indicator.board(settings, today),
        fleet.board(settings),
        system.board(settings.alerts.loop_periods),
    ]
    return {f"{provisioning.BOARDS}{one.uid}.json": one.json(boards) for one in boards} | {
        provisioning.DATASOURCES: provisioning.datasource(settings.general),
        provisioning.PROVIDERS: provisioning.provider(settings.general),
    }


def problems(settings: Settings, files: Mapping[str, str]) -> list[str]:
    """Every mistake in the boards and in the provisioning, with file and panel; empty when there is none."""
    of_boards = lint.problems({name: text for name, text in files.items() if name.startswith(provisioning.BOARDS)})
    return of_boards + lint_provisioning.problems(files)
