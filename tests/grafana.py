"""Does with boards what Grafana does: takes their expressions, fills in the variables, asks Prometheus."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

ALL = ".*"
"""What every variable with "All" means by it."""


def expressions(board: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(title of the panel, or `$name` of the variable; expression) of everything that a board asks of Prometheus."""
    found = [(str(panel["title"]), str(one["expr"])) for panel in _panels(board) for one in panel.get("targets", [])]
    variables = [one for one in board["templating"]["list"] if one["type"] == "query"]
    return [(f"${one['name']}", _inner(str(one["query"]["query"]))) for one in variables] + found


def substitute(expression: str, chosen: Mapping[str, str], *, interval: str = "1m", range_: str = "1h") -> str:
    """`expression` with the variables as chosen (`{"area": ".*", …}`) and Grafana's own set. KeyError: not chosen."""
    own = {"__rate_interval": interval, "__interval": interval, "__range": range_}
    return re.sub(r"\$\{?([A-Za-z_]\w*)(?::\w+)?\}?", lambda found: (own | dict(chosen))[found[1]], expression)


def query(prometheus_url: str, expression: str) -> list[dict[str, Any]]:
    """The series of an instant query. AssertionError with Prometheus' words when it refuses; OSError when away."""
    data = urlencode({"query": expression}).encode()
    try:
        with build_opener(ProxyHandler({})).open(f"{prometheus_url}/api/v1/query", data, timeout=30) as answer:
            content = json.load(answer)
    except HTTPError as refused:
        raise AssertionError(f"{json.load(refused)['error']}\n{expression}") from None
    found: list[dict[str, Any]] = content["data"]["result"]
    return found


def _panels(board: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", [])


def _inner(text: str) -> str:
    """The PromQL of `label_values(SERIES, LABEL)` or `query_result(EXPRESSION)`."""
    if text.startswith("query_result("):
        return text.removeprefix("query_result(").removesuffix(")")
    return text.removeprefix("label_values(").removesuffix(")").rpartition(",")[0]
