"""Grafana's provisioning: the datasource, and the folder in which the boards stand."""

import yaml

from dashboards.boards.variables import DATASOURCE_UID

DIRECTORY = "/etc/nhipso/dashboards"
"""Where `nhipso-dashboards build` is expected to have written on the machine of Grafana."""
FOLDER_UID, FOLDER = "nhipso", "Nhịp số"


def datasource() -> str:
    """grafana/provisioning/datasources/nhipso.yml."""
    told = "# Prometheus đọc số liệu của máy thu thập; sửa url nếu Prometheus không chạy cùng máy với Grafana.\n"
    source: dict[str, object] = {
        "name": FOLDER,
        "uid": DATASOURCE_UID,
        "type": "prometheus",
        "access": "proxy",
        "url": "http://127.0.0.1:9090",
        "editable": False,
        # the scrape interval of config/prometheus.yml: $__rate_interval derives from it
        "jsonData": {"httpMethod": "POST", "prometheusType": "Prometheus", "timeInterval": "60s"},
    }
    return told + _yaml({"apiVersion": 1, "datasources": [source]})


def provider() -> str:
    """grafana/provisioning/dashboards/nhipso.yml."""
    told = (
        f"# Các bảng do “nhipso-dashboards build {DIRECTORY}” ghi ra; ghi vào chỗ khác thì sửa path.\n"
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
        "options": {"path": f"{DIRECTORY}/grafana/dashboards", "foldersFromFilesStructure": False},
    }
    return told + _yaml({"apiVersion": 1, "providers": [provider]})


def _yaml(content: dict[str, object]) -> str:
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
