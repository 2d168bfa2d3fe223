"""Grafana's provisioning: the datasource, and the folder in which the boards stand."""

import yaml

from dashboards.boards.variables import DATASOURCE_UID
from dashboards.settings import General

FOLDER_UID, FOLDER = "nhipso", "Nhịp số"
BOARDS = "grafana/dashboards/"
DATASOURCES = "grafana/provisioning/datasources/nhipso.yml"
PROVIDERS = "grafana/provisioning/dashboards/nhipso.yml"


def datasource(general: General) -> str:
    """The text of DATASOURCES."""
    told = "# Prometheus đọc số liệu của máy chủ thu thập: prometheus_url của dashboards.toml.\n"
    source: dict[str, object] = {
        "name": FOLDER,
        "uid": DATASOURCE_UID,
        "type": "prometheus",
        "access": "proxy",
        "url": str(general.prometheus_url).rstrip("/"),
        "editable": False,
        # the scrape interval of config/prometheus.yml: $__rate_interval derives from it
        "jsonData": {"httpMethod": "POST", "prometheusType": "Prometheus", "timeInterval": "60s"},
    }
    return told + _yaml({"apiVersion": 1, "datasources": [source]})


def provider(general: General) -> str:
    """The text of PROVIDERS."""
    told = (
        "# Các bảng do “nhipso-dashboards build” ghi ra, nằm ở grafana_dir của dashboards.toml.\n"
        "# Bảng không sửa được trong Grafana: sửa danh mục, kế hoạch hoặc dashboards.toml rồi ghi lại.\n"
    )
    provider: dict[str, object] = {
        "name": "nhipso",
        "folder": FOLDER,
        "folderUid": FOLDER_UID,
        "type": "file",
        "allowUiUpdates": False,
        "disableDeletion": False,
        "editable": False,
        "updateIntervalSeconds": 60,
        "options": {"path": f"{general.grafana_dir}/{BOARDS}".rstrip("/"), "foldersFromFilesStructure": False},
    }
    return told + _yaml({"apiVersion": 1, "providers": [provider]})


def _yaml(content: dict[str, object]) -> str:
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
