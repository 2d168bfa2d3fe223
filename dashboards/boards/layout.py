"""A board: uid, variables, rows of panels, links to the others; and its JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from dashboards.boards.sdk import Builder, JSONEncoder, builders, models
from dashboards.boards.variables import Variable

PROVINCE, FACILITY, INDICATOR = "nhipso-tinh", "nhipso-co-so", "nhipso-chi-so"
FLEET, SYSTEM = "nhipso-thu-thap", "nhipso-he-thong"
TITLES = {
    PROVINCE: "Toàn tỉnh",
    FACILITY: "Cơ sở",
    INDICATOR: "Chỉ số",
    FLEET: "Phần mềm thu thập",
    SYSTEM: "Hệ thống",
}
TIME_ZONE = "Asia/Ho_Chi_Minh"
Panel = Builder[models.Panel]


@dataclass(frozen=True)
class Row:
    """A heading, and the panels under it from left to right, line by line.

    `repeat`: the variable for each of whose chosen values the row stands once.
    """

    title: str
    panels: Sequence[Panel]
    repeat: str = ""


@dataclass(frozen=True)
class Board:
    """One board. `since`: how far back its charts look, as Grafana writes it."""

    uid: str
    description: str
    variables: Sequence[Variable]
    rows: Sequence[Row]
    links: Sequence[builders.DashboardLink] = ()
    since: str = "now-30d"

    def json(self, boards: Sequence["Board"]) -> str:
        """The file that Grafana reads, with links to the other `boards`."""
        built = builders.Dashboard(TITLES[self.uid]).uid(self.uid).description(self.description).tags(["nhipso"])
        built.timezone(TIME_ZONE).week_start("monday").refresh("1m").time(self.since, "now").readonly()
        built.tooltip(models.DashboardCursorSync.CROSSHAIR).variables(list(self.variables))
        built.links([*self.links, *(_between(self, one) for one in boards if one.uid != self.uid)])
        for row in self.rows:
            # open rows: a panel given to a Row makes it collapsed, and Grafana drops the panels of a row that is not
            heading = builders.Row(row.title)
            built.with_row(heading.repeat(row.repeat) if row.repeat else heading)
            for panel in row.panels:
                built.with_panel(panel)
        found = built.build()
        for number, one in enumerate(found.panels or [], 1):
            one.id_val = number  # the SDK gives none to panels and 0 to rows: "Panel not found" in links to one panel
        content = json.loads(json.dumps(found, cls=JSONEncoder))
        content["annotations"] = {"list": []}
        return json.dumps(_clean(content), ensure_ascii=False, indent=1) + "\n"


def board_url(uid: str, *keeping: str, **setting: str) -> str:
    """The path of a board, with the variables `keeping` as they are and `setting` as given, and the chosen time."""
    kept = [f"${{{name}:queryparam}}" for name in keeping]
    given = [f"var-{name}={value}" for name, value in setting.items()]
    return f"/d/{uid}?" + "&".join([*kept, *given, "${__url_time_range}"])


def outside(title: str, tooltip: str, url: str) -> builders.DashboardLink:
    """A link at the top of a board to a page of the portal."""
    link = builders.DashboardLink(title).type(models.DashboardLinkType.LINK).url(url).tooltip(tooltip)
    return link.icon("external link").target_blank(True)


def _between(here: Board, there: Board) -> builders.DashboardLink:
    """A link that carries the variables both boards have; several values never go where there is room for one."""
    ours = {one.name: bool(one.multi) for one in (built.build() for built in here.variables)}
    theirs = {one.name: bool(one.multi) for one in (built.build() for built in there.variables)}
    kept = [name for name, several in ours.items() if name in theirs and (theirs[name] or not several)]
    path = f"/d/{there.uid}?" + "&".join(f"${{{name}:queryparam}}" for name in kept)
    link = builders.DashboardLink(TITLES[there.uid]).type(models.DashboardLinkType.LINK).url(path)
    return link.icon("dashboard").tooltip(there.description).keep_time(True)


def _clean(content: object) -> object:
    """Without what the SDK writes and Grafana does not need, or takes amiss."""
    if isinstance(content, list):
        return [_clean(one) for one in content]
    if not isinstance(content, dict):
        return content
    noise = {"auto", "auto_min", "auto_count"}  # of interval variables only
    if content.get("placement") == models.DashboardLinkPlacement.IN_CONTROLS_MENU:
        noise.add("placement")  # would hide the links in a menu from Grafana 12.3 on
    if not content.get("repeat"):
        noise.add("repeatDirection")
    return {
        key: _clean(value)
        for key, value in content.items()
        # the first threshold has the value null: minus infinity
        if key not in noise and (value is not None or key == "value")
    }
