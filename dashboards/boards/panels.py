"""The panels a board is made of: tiles, tables, matrices, charts, bars; each with its title, meaning and unit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from dashboards.boards import variables, words
from dashboards.boards.sdk import (
    PromQueryFormat,
    Property,
    bargauge,
    builders,
    common,
    models,
    options,
    prometheus,
    stat,
    table,
    timeseries,
)

SHARE, COUNT, MOMENT, DAY = "percentunit", "none", "time:HH:mm DD/MM/YYYY", "time:DD/MM/YYYY"
POINTS = "suffix:điểm"
"""Percent points: the difference of two shares, times 100."""
# of Okabe and Ito, light enough for Grafana's dark page; the dashes tell them apart without colour
SHARE_LINE, ROAD_LINE, TARGET_LINE = "#56B4E9", "#E69F00", "#009E73"
# long names wrap from Grafana 12.1 on; before, the heading's tooltip has the rest
_HEADING = [Property("custom.minWidth", 120), Property("custom.wrapHeaderText", True)]
_Any = TypeVar("_Any", stat.Panel, table.Panel, timeseries.Panel, bargauge.Panel)


@dataclass(frozen=True)
class Link:
    """Where a click leads. `url` may hold Grafana's `${__data.fields…}` and variables."""

    title: str
    url: str
    new_tab: bool = False

    def json(self) -> dict[str, object]:
        """As Grafana keeps a data link (the SDK's DashboardLink has keys of a board's own links)."""
        return {"title": self.title, "url": self.url, "targetBlank": self.new_tab}


@dataclass(frozen=True)
class Column:
    """One column of a table: a label, or the value of the query whose letter `of` is."""

    of: str
    title: str
    unit: str = ""
    width: int = 0
    mappings: words.Mappings = field(default_factory=list)
    coloured: bool = False
    """Cells take the colour of their mapping."""
    link: Link | None = None
    wraps: bool = False

    def properties(self) -> list[Property]:
        """What sets this column apart from the table's defaults."""
        found = [Property("displayName", self.title), Property("mappings", [*self.mappings, *words.absent()])]
        if self.unit:
            found.append(Property("unit", self.unit))
        if self.unit in (SHARE, POINTS):
            found.append(Property("decimals", 1))
        if self.width:
            found.append(Property("custom.width", self.width))
        if self.coloured:
            found.append(Property("custom.cellOptions", options.TableColoredBackgroundCellOptions()))
        if self.wraps:
            # cells wrap from Grafana 10.4 on; before, "inspect" opens the whole text
            found.append(Property("custom.cellOptions", options.TableAutoCellOptions(wrap_text=True)))
            found.append(Property("custom.inspect", True))
        if self.link is not None:
            found.append(Property("links", [self.link.json()]))
        return found


@dataclass(frozen=True)
class Line:
    """One query of a chart. `dash` tells lines apart without colour."""

    expression: str
    legend: str
    colour: str = ""
    dash: tuple[int, ...] = ()


def target(letter: str, expression: str, legend: str = "") -> prometheus.Dataquery:
    """A query for what is now."""
    built = prometheus.Dataquery().ref_id(letter).expr(expression).instant().datasource(variables.prometheus())
    return built.legend_format(legend) if legend else built


def tiles(title: str, description: str, queries: Mapping[str, tuple[str, str]], unit: str) -> stat.Panel:
    """Large figures, one a series; `queries`: letter → (expression, name)."""
    panel = _common(stat.Panel(), title, description, unit).no_value(words.NOTHING)
    for letter, (expression, name) in queries.items():
        panel.with_target(target(letter, expression, name))
    last = common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
    panel.reduce_options(last).color_mode(options.BigValueColorMode.NONE).graph_mode(options.BigValueGraphMode.NONE)
    panel.text_mode(options.BigValueTextMode.VALUE_AND_NAME if len(queries) > 1 else options.BigValueTextMode.VALUE)
    return panel.thresholds(_no_thresholds()).justify_mode(options.BigValueJustifyMode.CENTER)


def coloured_by_query(panel: stat.Panel, colours: Mapping[str, str]) -> stat.Panel:
    """A tile takes the colour of the query that its figure came from."""
    panel.color_mode(options.BigValueColorMode.BACKGROUND)
    for letter, colour in colours.items():
        panel.override_by_query(letter, [_fixed(colour)])
    return panel


def linked(panel: stat.Panel, link: Link) -> stat.Panel:
    """A click on a tile leads somewhere."""
    return panel.override_by_field_type("number", [Property("links", [link.json()])])


def rows(
    title: str,
    description: str,
    queries: Mapping[str, str],
    columns: Sequence[Column],
    *,
    sort: tuple[str, bool] | None = None,
    empty: str = words.NOTHING,
) -> table.Panel:
    """A table with a column for each label and value; the queries' rows are joined on the labels they share.

    `sort`: title of a column, and whether the largest comes first.
    """
    panel = _table(title, description, empty, sort)
    for letter, expression in queries.items():
        panel.with_target(target(letter, expression).format(PromQueryFormat.TABLE))
    fields = [_field(one.of, queries) for one in columns]
    hidden = [name for name in (_field(letter, queries) for letter in queries) if name not in fields]
    if len(queries) > 1:
        panel.with_transformation(models.DataTransformerConfig("merge", options={}))
    panel.with_transformation(_organised(fields, ["Time", *hidden]))
    for name, one in zip(fields, columns, strict=True):
        panel.override_by_name(name, one.properties())
    return panel


def matrix(
    title: str,
    description: str,
    expression: str,
    columns: Sequence[Column],
    across: str,
    names: Mapping[str, str],
    *,
    mappings: words.Mappings | None = None,
    empty: str = words.NOTHING,
) -> table.Panel:
    """A table with `columns` (labels) and then a column for each value of the label `across`, titled by `names`."""
    panel = _table(title, description, empty, (columns[0].title, False))
    panel.with_target(target("A", expression).format(PromQueryFormat.TIME_SERIES))
    kept = [one.of for one in columns]
    wide = {"mode": "columns", "valueLabel": across, "keepLabels": [*kept, across]}
    panel.with_transformation(models.DataTransformerConfig("labelsToFields", options=wide))
    # gives a table for each series up to Grafana 11; merging what is merged already changes nothing
    panel.with_transformation(models.DataTransformerConfig("merge", options={}))
    panel.with_transformation(_organised([*kept, *names], ["Time"]))
    panel.mappings([*(mappings or []), *words.absent()])
    if mappings:
        panel.cell_options(options.TableColoredBackgroundCellOptions())
    for one in columns:
        plain = Property("custom.cellOptions", options.TableAutoCellOptions())
        panel.override_by_name(one.of, [plain, *one.properties()])
    for code, name in names.items():
        panel.override_by_name(code, [Property("displayName", name), *_HEADING])
    return panel


def lines(title: str, description: str, queries: Sequence[Line], unit: str) -> timeseries.Panel:
    """A chart over the chosen time; shares always from 0 to 100 %."""
    panel = _common(timeseries.Panel(), title, description, unit).no_value(words.NOTHING)
    panel.line_width(2).fill_opacity(0).show_points(options.VisibilityMode.AUTO).min(0)
    if unit == SHARE:
        panel.max(1)
    for place, line in enumerate(queries):
        letter = chr(ord("A") + place)
        query = prometheus.Dataquery().ref_id(letter).expr(line.expression).range().legend_format(line.legend)
        panel.with_target(query.datasource(variables.prometheus()))
        drawn = [_fixed(line.colour)] if line.colour else []
        if line.dash:
            style = options.LineStyle(fill="dash", dash=[float(one) for one in line.dash])
            drawn.append(Property("custom.lineStyle", style))
        if drawn:
            panel.override_by_query(letter, drawn)
    legend = common.VizLegendOptions().show_legend(True).display_mode(options.LegendDisplayMode.LIST)
    tooltip = common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI)
    return panel.legend(legend.placement(options.LegendPlacement.BOTTOM)).tooltip(tooltip)


def bars(
    title: str, description: str, expression: str, legend: str, names: Mapping[str, str], colours: Mapping[str, str]
) -> bargauge.Panel:
    """Counts as horizontal bars; `names` and `colours` by the text of `legend`."""
    panel = _common(bargauge.Panel(), title, description, COUNT).no_value(words.NOTHING).min(0)
    panel.with_target(target("A", expression, legend)).thresholds(_no_thresholds())
    panel.orientation(options.VizOrientation.HORIZONTAL).display_mode(options.BarGaugeDisplayMode.BASIC)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    for code, name in names.items():
        colour = [_fixed(colours[code])] if code in colours else []
        panel.override_by_name(code, [Property("displayName", name), *colour])
    return panel


def verdict_column(of: str) -> Column:
    """The verdict as word and colour."""
    return Column(of, "Kết quả", width=130, mappings=words.verdicts(), coloured=True)


def _common(panel: _Any, title: str, description: str, unit: str) -> _Any:
    panel.title(title).description(description).datasource(variables.prometheus()).unit(unit)
    if unit == SHARE:
        panel.decimals(1)
    return panel


def _table(title: str, description: str, empty: str, sort: tuple[str, bool] | None) -> table.Panel:
    panel = _common(table.Panel(), title, description, COUNT).no_value(empty).thresholds(_no_thresholds())
    panel.filterable(True).align(options.FieldTextAlignment.AUTO).cell_height(options.TableCellHeight.SM)
    panel.show_header(True)
    if sort is not None:
        panel.sort_by([common.TableSortByFieldState().display_name(sort[0]).desc(sort[1])])
    return panel


def _field(of: str, queries: Mapping[str, str]) -> str:
    if of not in queries:
        return of
    return f"Value #{of}" if len(queries) > 1 else "Value"


def _organised(order: Sequence[str], hidden: Sequence[str]) -> models.DataTransformerConfig:
    organised: dict[str, object] = {
        "indexByName": {name: place for place, name in enumerate(order)},
        "excludeByName": dict.fromkeys(hidden, True),
        "renameByName": {},
    }
    return models.DataTransformerConfig("organize", options=organised)


def _fixed(colour: str) -> Property:
    return Property("color", {"mode": "fixed", "fixedColor": colour})


def _no_thresholds() -> builders.ThresholdsConfig:
    """Colour comes from verdicts only: no number of a plan is written into a board."""
    step = models.Threshold(value=None, color="transparent")
    return builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps([step])
