"""Chỉ số: one indicator: what it means, who leads and who is behind, how it moves."""

from datetime import date

from contract.plan import Plan, Target
from contract.verdict import Verdict
from dashboards.boards import panels, queries, variables, words
from dashboards.boards.layout import INDICATOR, Board, Panel, Row
from dashboards.boards.panels import COUNT, POINTS, SHARE, Column, Line
from dashboards.boards.province import AREA, CODE, NAME, indicator_tile
from dashboards.boards.sdk import Property
from dashboards.settings import Settings

_ONE = 'indicator=~"$indicator"'
_AREAS = 'scope="area", name=~"$area"'


def board(settings: Settings, today: date) -> Board:
    """All of one indicator, over the facilities chosen; and again below for each further indicator chosen."""
    first = next(iter(settings.catalogue.indicators))
    tile = indicator_tile("Toàn tỉnh", _ONE).span(6).height(8)
    shown = [tile, _meaning(settings, today), _trend(), _distribution(), _ranking(), _areas()]
    return Board(
        uid=INDICATOR,
        description="Một chỉ số: ý nghĩa, văn bản nào giao, cơ sở nào đạt, cơ sở nào chậm, diễn biến theo thời gian.",
        variables=[
            variables.datasource(),
            variables.area(),
            variables.level(),
            variables.facility(several=True),
            variables.indicator(settings.catalogue, [first]),
        ],
        rows=[Row("${indicator:text}", shown, repeat="indicator")],
    )


def _meaning(settings: Settings, today: date) -> Panel:
    """The words hang on the indicator's code: a text panel could not follow `$indicator`."""
    catalogue = settings.catalogue
    meanings = {code: one.meaning_vi for code, one in catalogue.indicators.items()}
    said = {code: _said(code, settings.plans, today) for code in catalogue.indicators}
    code = f"max by (indicator) (nhipso_indicator_verdict{{{_ONE}}})"
    return (
        panels.rows(
            "Chỉ số này là gì, văn bản nào giao",
            "Định nghĩa trong danh mục chỉ số, và nguyên văn các kế hoạch có nói đến chỉ số này.",
            {"A": f'label_replace({code}, "plan", "$1", "indicator", "(.*)")'},
            [
                Column("indicator", "Ý nghĩa", mappings=words.mapping(meanings), wraps=True),
                Column("plan", "Kế hoạch", mappings=words.mapping(said), wraps=True),
            ],
        )
        .span(18)
        .height(8)
    )


def _said(code: str, plans: tuple[Plan, ...], today: date) -> str:
    found = [_quoted(plan, target, today) for plan in plans for target in plan.targets if target.indicator == code]
    return "\n".join(found) or "Chưa có kế hoạch nào giao chỉ tiêu này."


def _quoted(plan: Plan, target: Target, today: date) -> str:
    over = " (hết hiệu lực)" if plan.is_over(today) else ""
    return f"{plan.short}{over}, {target.section}: “{target.words}”."


def _trend() -> Panel:
    of = f'{queries.PROVINCE}, {_ONE}, window="30d"'
    cases, facilities = (f'nhipso_scope_ratio{{{of}, unit="{unit}"}}' for unit in ("cases", "facilities"))
    levels = queries.held("ratio", _ONE, 'scope="level", name=~"$level"')
    panel = panels.lines(
        "Diễn biến",
        "Tỷ lệ 30 ngày của toàn tỉnh và của từng loại cơ sở, so với chỉ tiêu. Nếu kế hoạch giao chỉ tiêu theo số cơ sở "
        f"thì có thêm tỷ lệ cơ sở đạt, và từng loại cơ sở cũng tính theo số cơ sở. {words.PERIODS}"
        "Nguồn: nhipso_scope_ratio, nhipso_scope_target_ratio.",
        [
            Line(f"max({cases})", "Toàn tỉnh, theo số trường hợp", panels.SHARE_LINE),
            Line(
                f"max({facilities} and on (name, indicator) {queries.by_facilities(_ONE)})",
                "Toàn tỉnh, theo số cơ sở",
                panels.ROAD_LINE,
                (3, 6),
            ),
            Line(f"max by (unit) (nhipso_scope_target_ratio{{{of}}})", "{{unit}}", panels.TARGET_LINE, (12, 6)),
            Line(f"max by (name) ({levels})", "{{name}}", dash=(2, 4)),
        ],
        SHARE,
    )
    for code, name in (words.LEVELS | {code: f"Chỉ tiêu, theo {name}" for code, name in words.UNITS.items()}).items():
        panel.override_by_name(code, [Property("displayName", name)])
    return panel.span(15).height(10)


def _distribution() -> Panel:
    shown = [one for one in reversed(Verdict) if one is not Verdict.NOT_APPLICABLE]
    return (
        panels.bars(
            "Bao nhiêu cơ sở ở mỗi kết quả",
            "Số cơ sở trên toàn tỉnh theo kết quả 30 ngày qua của chỉ số này. Nguồn: nhipso_scope_facilities.",
            f'sum by (verdict) (nhipso_scope_facilities{{scope="province", {_ONE}}})',
            "{{verdict}}",
            {one.code: one.vi for one in shown},
            {one.code: one.colour for one in shown},
        )
        .span(9)
        .height(10)
    )


def _ranking() -> Panel:
    ratio = f'nhipso_indicator_ratio{{{_ONE}, window="30d"}}'
    asked = {
        "A": f"nhipso_indicator_verdict{{{_ONE}}}",
        "B": ratio,
        "C": f"nhipso_target_ratio{{{_ONE}}}",
        "D": f"nhipso_indicator_missing{{{_ONE}}}",
        "E": f'nhipso_indicator_numerator{{{_ONE}, window="30d"}}',
        "F": f'nhipso_indicator_denominator{{{_ONE}, window="30d"}}',
        "G": f"100 * ({ratio} - ignoring (window) nhipso_indicator_previous_ratio{{{_ONE}}})",
    }
    return (
        panels.rows(
            "Các cơ sở, từ cao đến thấp",
            "Tỷ lệ 30 ngày của từng cơ sở, số trường hợp phía sau tỷ lệ, chỉ tiêu và số trường hợp còn thiếu. “So "
            f"với trước” là số điểm phần trăm chênh lệch với kỳ liền trước. {words.PERIODS}"
            "Nguồn: nhipso_indicator_ratio.",
            {letter: f"max by (facility, name, area) ({queries.named(one)})" for letter, one in asked.items()},
            [
                NAME,
                CODE,
                AREA,
                panels.verdict_column("A"),
                Column("B", "Tỷ lệ", SHARE, 90),
                Column("C", "Chỉ tiêu", SHARE, 90),
                Column("D", "Còn thiếu", COUNT, 100),
                Column("E", "Đạt", COUNT, 90),
                Column("F", "Tổng", COUNT, 90),
                Column("G", "So với trước", POINTS, 120),
            ],
            sort=("Tỷ lệ", True),
        )
        .span(24)
        .height(14)
    )


def _areas() -> Panel:
    of = f"{_AREAS}, {_ONE}"
    figures = {"A": "verdict", "B": "ratio", "C": "target_ratio", "D": "numerator", "E": "denominator"}
    asked = {letter: f"max by (name, unit) ({queries.held(one, _ONE, _AREAS)})" for letter, one in figures.items()}
    facilities = {
        "F": f'max by (name) (nhipso_scope_facilities{{{of}, verdict="met"}})',
        "G": f"sum by (name) (nhipso_scope_facilities{{{of}}})",
    }
    return (
        panels.rows(
            "Từng địa bàn",
            "Tỷ lệ chung của mỗi địa bàn trong 30 ngày (gộp các cơ sở trên địa bàn) và số cơ sở đạt. Nếu kế hoạch giao "
            f"chỉ tiêu theo số cơ sở thì tỷ lệ, “Đạt” và “Tổng” cũng tính theo số cơ sở. {words.PERIODS}"
            "Nguồn: nhipso_scope_ratio, nhipso_scope_target_ratio, nhipso_scope_facilities.",
            asked | facilities,
            [
                Column("name", "Địa bàn"),
                panels.verdict_column("A"),
                Column("B", "Tỷ lệ", SHARE, 100),
                Column("C", "Chỉ tiêu", SHARE, 100),
                Column("unit", "Tính theo", width=130, mappings=words.mapping(words.UNITS)),
                Column("D", "Đạt", COUNT, 100),
                Column("E", "Tổng", COUNT, 100),
                Column("F", "Cơ sở đạt", COUNT, 110),
                Column("G", "Số cơ sở", COUNT, 110),
            ],
            sort=("Tỷ lệ", True),
        )
        .span(24)
        .height(9)
    )
