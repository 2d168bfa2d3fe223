"""What may be wrong with boards: the rules of Grafana's dashboard-linter that make sense here, and our own.

Left out: template-job, template-instance and their like, since every series comes from one collector.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from contract import metrics

_OF_CONTRACT = frozenset(one.name for one in vars(metrics).values() if isinstance(one, metrics.Family))
OWN = frozenset(
    {
        *("nhipso_http_requests_total", "nhipso_http_request_duration_seconds_bucket", "nhipso_ingest_tallies_total"),
        *("nhipso_exposition_render_seconds", "nhipso_loop_heartbeat_timestamp_seconds", "nhipso_loop_period_seconds"),
        *("up", "scrape_duration_seconds", "scrape_samples_scraped", "ALERTS", "ALERTS_FOR_STATE"),
    }
)
"""Metrics that boards use beside those of contract/metrics.py."""
_WIDTH, _LEAST_WIDTH = 24, 3
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WORDS_OF_PROMQL = {"and", "or", "unless", "bool", "offset", "inf", "nan"}
_NOT_NAMES = re.compile(
    r'"(?:[^"\\]|\\.)*"|\{[^}]*\}|\[[^\]]*\]|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)'
)
_NAME = re.compile(r"(?<![\w.$])[A-Za-z_:][\w:]*(?!\w|\s*\()")
_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)")
_BOARD = re.compile(r"/d/([\w-]*)")


def problems(files: Mapping[str, str]) -> list[str]:
    """`files`: name → JSON of each board. Every mistake, with file and panel."""
    boards: dict[str, dict[str, Any]] = {}
    found = []
    for name, text in files.items():
        try:
            boards[name] = json.loads(text)
        except ValueError as error:
            found.append(f"{name}: không phải là JSON đúng: {error}")
    for key in ("uid", "title"):
        found += [
            f"{key} “{one}” dùng cho nhiều bảng" for one in _repeated(str(board.get(key)) for board in boards.values())
        ]
    uids = {str(board.get("uid")) for board in boards.values()}
    for name, board in boards.items():
        found += [f"{name}: {problem}" for problem in _of_board(board, uids)]
    return found


def _of_board(board: dict[str, Any], uids: set[str]) -> Iterator[str]:
    panels = list(_all(board.get("panels", [])))
    yield from _settings(board)
    yield from (f"id {one} dùng cho nhiều khung" for one in _repeated(panel.get("id") for panel in panels))
    yield from (f"khung “{panel.get('title')}”: id phải từ 1" for panel in panels if (panel.get("id") or 0) < 1)
    yield from (f"hai khung cùng tên “{one}”" for one in _repeated(panel.get("title") for panel in panels))
    for panel in panels:
        yield from (f"khung “{panel.get('title')}”: {problem}" for problem in _of_panel(panel))
    yield from _repeats(board, panels)
    yield from _layout(panels)
    yield from _names(board, uids)


def _all(panels: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for panel in panels:
        yield panel
        yield from _all(panel.get("panels", []))


def _settings(board: dict[str, Any]) -> Iterator[str]:
    wanted = {"timezone": "Asia/Ho_Chi_Minh", "editable": False, "refresh": "1m"}
    yield from (f"{key} phải là {value!r}" for key, value in wanted.items() if board.get(key) != value)
    yield from (f"thiếu {key}" for key in ("uid", "title", "description") if not board.get(key))
    variables = board.get("templating", {}).get("list", [])
    if not any(one.get("type") == "datasource" and one.get("name") == "datasource" for one in variables):
        yield "thiếu biến datasource"
    yield from (f"biến {one} khai báo hai lần" for one in _repeated(one.get("name") for one in variables))
    for one in variables:
        if not one.get("label"):
            yield f"biến {one.get('name')}: thiếu nhãn"
        if one.get("type") == "query":
            if one.get("datasource") != _DATASOURCE:
                yield f"biến {one.get('name')}: nguồn dữ liệu phải là $datasource"
            yield from (f"biến {one.get('name')}: {problem}" for problem in _unknown_metrics(_definition(one)))


def _of_panel(panel: dict[str, Any]) -> Iterator[str]:
    if not panel.get("title"):
        yield "thiếu tên"
    if panel.get("type") == "row":
        if panel.get("panels") and not panel.get("collapsed"):
            yield "hàng đang mở mà chứa khung: Grafana sẽ không hiện các khung đó"
        return
    defaults = panel.get("fieldConfig", {}).get("defaults", {})
    wanted = {
        "mô tả": panel.get("description"),
        "đơn vị": defaults.get("unit"),
        "câu nói khi không có số liệu": defaults.get("noValue"),
        "truy vấn": panel.get("targets"),
    }
    yield from (f"thiếu {name}" for name, value in wanted.items() if not value)
    yield from (f"{key} không có giá trị" for key in _empty_keys(panel))
    if panel.get("datasource") != _DATASOURCE:
        yield "nguồn dữ liệu phải là $datasource"
    yield from (f"truy vấn {one} lặp lại" for one in _repeated(one.get("refId") for one in panel.get("targets", [])))
    for one in panel.get("targets", []):
        if one.get("datasource") != _DATASOURCE:
            yield f"truy vấn {one.get('refId')}: nguồn dữ liệu phải là $datasource"
        yield from (f"truy vấn {one.get('refId')}: {problem}" for problem in _expression(one.get("expr", "")))


def _expression(expression: str) -> Iterator[str]:
    if not expression:
        yield "không có biểu thức"
    if not _long_enough(expression):
        yield "rate và increase phải dùng $__rate_interval hoặc một khoảng nguyên giờ"
    yield from _unknown_metrics(expression)


def _long_enough(expression: str) -> bool:
    """Whether ranges are such that a scrape interval of any length leaves two samples in them."""
    ranges = re.findall(r"\b(?:rate|irate|increase)\([^()\[\]]*\[([^\]]+)\]", expression)
    return all(one == "$__rate_interval" or re.fullmatch(r"\d+[hd]", one) for one in ranges)


def _unknown_metrics(expression: str) -> Iterator[str]:
    bare = _NOT_NAMES.sub(" ", expression)
    for name in dict.fromkeys(_NAME.findall(bare)):
        if name.lower() not in _WORDS_OF_PROMQL and name not in _OF_CONTRACT | OWN:
            yield f"chỉ số đo {name} không có trong contract/metrics.py"


def _definition(variable: dict[str, Any]) -> str:
    """The PromQL in a variable's query: `label_values(SERIES, LABEL)`, `query_result(EXPRESSION)`."""
    query = variable.get("query")
    text = str(query.get("query", "")) if isinstance(query, dict) else str(query or "")
    inner = re.fullmatch(r"(label_values|query_result)\((.*)\)", text, re.DOTALL)
    if inner is None:
        return text
    return inner[2].rpartition(",")[0] if inner[1] == "label_values" else inner[2]


def _layout(panels: list[dict[str, Any]]) -> Iterator[str]:
    taken: dict[tuple[int, int], str] = {}
    for panel in panels:
        title, place = str(panel.get("title")), panel.get("gridPos") or {}
        x, y, w, h = (int(place.get(key, 0)) for key in "xywh")
        if w < _LEAST_WIDTH or h < 1 or x < 0 or x + w > _WIDTH:
            yield f"khung “{title}”: rộng {w}, từ cột {x}: không vừa {_WIDTH} cột hoặc quá hẹp"
        cells = [(column, line) for column in range(x, x + w) for line in range(y, y + h)]
        yield from (
            f"khung “{title}” đè lên “{one}”" for one in sorted({taken[cell] for cell in cells if cell in taken})
        )
        taken |= dict.fromkeys(cells, title)


def _repeats(board: dict[str, Any], panels: list[dict[str, Any]]) -> Iterator[str]:
    several = {one.get("name") for one in board.get("templating", {}).get("list", []) if one.get("multi")}
    for panel in panels:
        name = panel.get("repeat")
        if name and name not in several:
            yield f"khung “{panel.get('title')}”: ${name} để lặp theo không phải biến chọn được nhiều giá trị"


def _names(board: dict[str, Any], uids: set[str]) -> Iterator[str]:
    defined = {one.get("name") for one in board.get("templating", {}).get("list", [])}
    texts = list(_strings(board))
    used = {name for text in texts for name in _VARIABLE.findall(text) if not name.startswith("__")}
    yield from (f"biến ${name} không được khai báo" for name in sorted(used - defined))
    linked = {uid for text in texts for uid in _BOARD.findall(text)}
    yield from (f"liên kết đến bảng “{uid}” không có" for uid in sorted(linked - uids))


def _strings(content: object) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        yield from (text for one in content.values() for text in _strings(one))
    elif isinstance(content, list):
        yield from (text for one in content for text in _strings(one))


def _empty_keys(content: object, path: str = "") -> Iterator[str]:
    if isinstance(content, dict):
        for key, value in content.items():
            # the first threshold begins at null: minus infinity
            if value is None and not path.endswith(".steps"):
                yield f"{path}.{key}".lstrip(".")
            yield from _empty_keys(value, f"{path}.{key}")
    elif isinstance(content, list):
        for one in content:
            yield from _empty_keys(one, path)


def _repeated(values: Iterable[object]) -> list[object]:
    return [one for one, times in Counter(values).items() if times > 1]
