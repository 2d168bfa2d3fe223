"""Grafana boards, Prometheus rules and Alertmanager routes, generated from the catalogue and the plans."""

from contract import extras


def main() -> None:
    """The command nhipso-dashboards."""
    extras.run("dashboards")
