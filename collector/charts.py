"""Charts as SVG files, made on the server by pygal: a share over days, and what it is made of by week. A door to pygal.

They are images in a page, so nothing in them may need script or another file; the page says the same in words and in a
table. Shares always stand on an axis from 0 to 100 %; days without data are gaps, never zero.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

import pygal
from pygal.style import Style

from collector.typography import number

# pygal leaves a finder for its plugins among Python's, of a kind that Python warns of at each module that is not there
sys.meta_path[:] = [one for one in sys.meta_path if not type(one).__module__.startswith("pygal")]
_WIDTH, _HEIGHT = 880, 300
_INK, _QUIET, _GUIDE, _SHARE, _TARGET = "#1b2733", "#52606d", "#d5dbe1", "#0b5394", "#b04a00"
# After Paul Tol's "muted" and "bright": told apart by colour-blind readers, and in grey by their lightness.
_CATEGORIES = (
    "#0b5394",
    "#88ccee",
    "#117733",
    "#ddcc77",
    "#882255",
    "#44aa99",
    "#999933",
    "#332288",
    "#cc6677",
    "#777777",
)
_UNKNOWN = "#8f4a75"
_SHEETS = ("file://style.css", "file://graph.css")
_LINES = (
    "inline:#chart-chart .series .line { stroke-width: 1.8; stroke-opacity: 1 }"
    " #chart-chart .serie-0 .line { stroke-width: 2.6 }"
)
_HATCH = (
    '<pattern id="unknown" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    f'<rect width="6" height="6" fill="#fff"/><rect width="2.5" height="6" fill="{_UNKNOWN}"/></pattern>'
)


@dataclass(frozen=True, slots=True)
class Line:
    """A labelled level or way beside a share: per cent by day, None where it does not exist."""

    label: str
    values: Sequence[float | None]
    is_target: bool = False


def share(days: Sequence[date], shares: Sequence[Fraction | None], label: str, lines: Sequence[Line]) -> bytes:
    """A share by day; `lines`: its target and its road."""
    chart = pygal.Line(
        **_plain((_SHARE, _TARGET, _QUIET)[: 1 + len(lines)]), range=(0, 100), y_labels=[0, 25, 50, 75, 100],
        show_dots=False, allow_interruptions=True, css=[*_SHEETS, _LINES],
        formatter=lambda value: f"{number(round(value))} %",
    )  # fmt: skip
    _days(chart, days)
    # a day alone between gaps is a line without length
    alone = [
        one is not None and (not at or shares[at - 1] is None) and (at + 1 == len(shares) or shares[at + 1] is None)
        for at, one in enumerate(shares)
    ]
    points = [None if one is None else float(one * 100) for one in shares]
    chart.add(label, points, show_dots=any(alone), dots_size=1.6)
    for line in lines:
        dashes = "7, 4" if line.is_target else "2, 4"
        chart.add(line.label, line.values, stroke_style={"width": 1.6, "dasharray": dashes})
    return _written(chart)


def stacked(
    days: Sequence[date], by_category: Mapping[str, Sequence[int]], unknown: Sequence[int], named: str
) -> bytes:
    """Cases by category, a bar for each week that begins on one of `days`; what is unclassified is hatched."""
    colours = (*_CATEGORIES[: len(by_category)], _UNKNOWN)
    last = f".serie-{len(by_category)} rect {{ fill: url(#unknown); stroke: {_UNKNOWN} }}"
    chart = pygal.StackedBar(
        **_plain(colours), formatter=lambda value: number(round(value or 0)), rounded_bars=0, spacing=8,
        css=[*_SHEETS, f"inline:{last}"],
    )  # fmt: skip
    chart.config.defs.append(_HATCH)
    _days(chart, days)
    for name, counts in by_category.items():
        chart.add(name, counts)
    chart.add(named, unknown)
    return _written(chart)


def _plain(colours: Sequence[str]) -> dict[str, object]:
    style = Style(
        background="transparent", plot_background="transparent", foreground=_INK, foreground_strong=_INK,
        foreground_subtle=_GUIDE, opacity="1", opacity_hover="1", transition="0", colors=tuple(colours),
        font_family="'Be Vietnam Pro', system-ui, sans-serif", label_font_size=13, major_label_font_size=13,
        legend_font_size=13, no_data_font_size=20, guide_stroke_color=_GUIDE, guide_stroke_dasharray="1, 0",
        major_guide_stroke_color=_GUIDE, major_guide_stroke_dasharray="1, 0",
    )  # fmt: skip
    return {
        "style": style, "width": _WIDTH, "height": _HEIGHT, "explicit_size": True, "js": [], "margin": 4,
        # pygal leaves room for one line of the legend
        "margin_bottom": 4 + 22 * ((len(colours) - 1) // 3), "legend_at_bottom": True,
        "legend_at_bottom_columns": min(3, len(colours)), "truncate_legend": -1, "truncate_label": -1,
        "show_minor_x_labels": False, "no_data_text": "Chưa có số liệu",
    }  # fmt: skip


def _days(chart: pygal.Line, days: Sequence[date]) -> None:
    """Labels of the days; no more than eight are shown."""
    labels = [f"{day:%d/%m}" for day in days]
    step = max(1, -(-len(labels) // 8))
    chart.x_labels, chart.x_labels_major = labels, labels[::step]


def _written(chart: pygal.Line) -> bytes:
    # the same figures make the same bytes: a random name would make caches useless
    chart.uuid = "chart"
    chart.add_xml_filter(_without_script)
    written: bytes = chart.render()
    return written


def _without_script(root: Any) -> Any:
    """pygal writes its settings as a script, for its tooltips; an image needs neither."""
    for one in [*root.iter("script"), *root.iter("{http://www.w3.org/2000/svg}script")]:
        one.getparent().remove(one)
    return root
