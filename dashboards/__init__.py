"""Grafana boards, Prometheus rules and Alertmanager routes, generated from the catalogue and the plans."""
