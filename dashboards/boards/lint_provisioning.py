"""What may be wrong with Grafana's provisioning files: what it would not load, or load from or to elsewhere."""

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import yaml

from dashboards.boards import provisioning
from dashboards.boards.variables import DATASOURCE_UID

_LISTS = {provisioning.DATASOURCES: "datasources", provisioning.PROVIDERS: "providers"}
_WANTED: dict[str, dict[str, object]] = {
    provisioning.DATASOURCES: {"type": "prometheus", "uid": DATASOURCE_UID, "access": "proxy", "editable": False},
    provisioning.PROVIDERS: {
        "type": "file",
        "folder": provisioning.FOLDER,
        "folderUid": provisioning.FOLDER_UID,
        "editable": False,
        "allowUiUpdates": False,
    },
}


def problems(files: Mapping[str, str]) -> list[str]:
    """`files`: name → text of all that Grafana gets. Every mistake, with its file."""
    found = []
    for name in _LISTS:
        found += [f"{name}: {problem}" for problem in _of_file(name, files.get(name))]
    boards = {name: text for name, text in files.items() if name.startswith(provisioning.BOARDS)}
    return found + [f"{name}: {problem}" for name, text in boards.items() for problem in _of_board(text)]


def _of_file(name: str, text: str | None) -> Iterator[str]:
    if text is None:
        yield "thiếu tệp này"
        return
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        yield "không phải là YAML đúng"
        return
    entries = content.get(_LISTS[name]) if isinstance(content, dict) else None
    if not isinstance(entries, list) or len(entries) != 1 or not isinstance(entries[0], dict):
        yield f"phải có đúng một mục trong {_LISTS[name]}"
        return
    if content.get("apiVersion") != 1:
        yield "apiVersion phải là 1"
    entry = entries[0]
    yield from (f"{key} phải là {value!r}" for key, value in _WANTED[name].items() if entry.get(key) != value)
    yield from _of_source(entry) if name == provisioning.DATASOURCES else _of_provider(entry)


def _of_source(entry: dict[str, Any]) -> Iterator[str]:
    if not str(entry.get("url")).startswith(("http://", "https://")):
        yield "url phải bắt đầu bằng http:// hoặc https://: sửa prometheus_url của dashboards.toml"
    if not (entry.get("jsonData") or {}).get("timeInterval"):
        yield "thiếu jsonData.timeInterval: $__rate_interval tính từ đó"


def _of_provider(entry: dict[str, Any]) -> Iterator[str]:
    path = PurePosixPath(str((entry.get("options") or {}).get("path")))
    if not path.is_absolute():
        yield f"options.path “{path}” phải là đường dẫn tuyệt đối: sửa grafana_dir của dashboards.toml"
    if not f"{path}/".endswith(f"/{provisioning.BOARDS}"):
        yield f"options.path phải kết thúc bằng {provisioning.BOARDS.rstrip('/')}: các bảng được ghi ra đó"


def _of_board(text: str) -> Iterator[str]:
    """Whether it asks the datasource that is provisioned, when nobody has chosen another."""
    try:
        variables = json.loads(text).get("templating", {}).get("list", [])
    except ValueError:
        return  # lint.py says so
    for one in variables:
        if one.get("type") == "datasource" and (one.get("current") or {}).get("value") != DATASOURCE_UID:
            yield f"biến {one.get('name')}: nguồn chọn sẵn phải là “{DATASOURCE_UID}” của {provisioning.DATASOURCES}"
