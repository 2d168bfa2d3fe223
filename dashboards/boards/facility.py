"""Cơ sở: everything about one facility, and the way to its page on the portal."""

from contract.catalogue import Catalogue
from contract.verdict import Verdict
from dashboards.boards import panels, queries, variables, words
from dashboards.boards.layout import FACILITY, Board, Panel, Row, board_url, outside
from dashboards.boards.panels import COUNT, DAY, MOMENT, SHARE, Column, Line, Link
from dashboards.boards.province import alerts
from dashboards.boards.sdk import Property
from dashboards.settings import Settings

_ONE = 'facility="$facility"'
_INDICATOR = f'{_ONE}, indicator=~"$indicator"'


def board(settings: Settings) -> Board:
    """One facility at a time; the portal has the same figures with what to do about them."""
    page = f"{str(settings.general.portal_url).rstrip('/')}/facilities/${{facility}}"
    first = next(iter(settings.catalogue.indicators))
    return Board(
        uid=FACILITY,
        description="Mọi chỉ số của một cơ sở so với chỉ tiêu và lộ trình, số liệu hôm nay, các nguồn số liệu.",
        variables=[
            variables.datasource(),
            variables.area(),
            variables.level(),
            variables.facility(several=False),
            variables.indicator(settings.catalogue, [first]),
        ],
        rows=[
            Row("${facility:text}", [*_summary(), _identity(page)]),
            Row("Các chỉ số", [_standings(settings.catalogue)]),
            Row("${indicator:text}", [_share(settings), _quality()], repeat="indicator"),
            Row(
                "Số liệu hôm nay", [_tallies(settings.catalogue, money=False), _tallies(settings.catalogue, money=True)]
            ),
            Row("Nguồn số liệu", [_sources(), _findings(settings.catalogue)]),
            Row("Cảnh báo và xác nhận", [alerts(settings, 14, f", {_ONE}"), _confirmations()]),
        ],
        links=[outside("Trang của cơ sở trên cổng", "Số liệu, ý kiến và xác nhận của cơ sở này", page)],
    )


def _summary() -> list[Panel]:
    verdicts = f"nhipso_indicator_verdict{{{_ONE}}}"
    tiles = [
        (
            "Chỉ số đạt",
            "Số chỉ số “Đạt” của cơ sở trong 30 ngày qua.",
            queries.counted(f"{verdicts} == {Verdict.MET:d}", verdicts),
            COUNT,
        ),
        (
            "Chỉ số chưa đạt",
            "Số chỉ số “Chưa đạt” của cơ sở trong 30 ngày qua.",
            queries.counted(f"{verdicts} == {Verdict.BELOW:d}", verdicts),
            COUNT,
        ),
        (
            "Gửi số liệu lần cuối",
            "Lần cuối máy chủ thu thập nhận được số liệu gửi thay mặt cơ sở này.",
            queries.milliseconds(f"max(nhipso_facility_last_push_timestamp_seconds{{{_ONE}}} > 0)"),
            MOMENT,
        ),
    ]
    return [
        panels.tiles(title, meaning, {"A": (found, title)}, unit).span(width).height(4)
        for (title, meaning, found, unit), width in zip(tiles, (3, 3, 6), strict=True)
    ]


def _identity(page: str) -> Panel:
    return (
        panels.rows(
            "Cơ sở",
            "Cơ sở như đã đăng ký ở Sở. Bấm vào tên để mở trang của cơ sở trên cổng. Nguồn: nhipso_facility_info.",
            {"A": f"max by (facility, name, level, ownership, area) (nhipso_facility_info{{{_ONE}}})"},
            [
                Column("name", "Tên", link=Link("Mở trang của cơ sở trên cổng", page, new_tab=True)),
                Column("facility", "Mã", width=90),
                Column("level", "Loại", width=110, mappings=words.mapping(words.LEVELS)),
                Column("ownership", "Hình thức", width=130, mappings=words.mapping(words.OWNERSHIPS)),
                Column("area", "Địa bàn", width=140),
            ],
        )
        .span(12)
        .height(4)
    )


def _standings(catalogue: Catalogue) -> Panel:
    """A row an indicator; `by`: what is asked, letter after letter."""
    asked = {
        "A": f"nhipso_indicator_verdict{{{_ONE}}}",
        "B": f'nhipso_indicator_ratio{{{_ONE}, window="30d"}}',
        "C": f"nhipso_target_ratio{{{_ONE}}}",
        "D": f"nhipso_road_ratio{{{_ONE}}}",
        "E": f"nhipso_indicator_missing{{{_ONE}}}",
        "F": f'nhipso_indicator_numerator{{{_ONE}, window="30d"}}',
        "G": f'nhipso_indicator_denominator{{{_ONE}, window="30d"}}',
        "H": f'nhipso_indicator_ratio{{{_ONE}, window="today"}}',
        "I": f"nhipso_indicator_known_ratio{{{_ONE}}}",
        "J": f"nhipso_indicator_completeness_ratio{{{_ONE}}}",
        "K": queries.milliseconds(f"nhipso_indicator_as_of_timestamp_seconds{{{_ONE}}}"),
        "L": queries.milliseconds(f"nhipso_indicator_below_since_timestamp_seconds{{{_ONE}}} > 0"),
    }
    here = board_url(FACILITY, "datasource", "area", "level", "facility", indicator="${__data.fields.indicator}")
    names = words.mapping(words.indicators(catalogue))
    return (
        panels.rows(
            "Các chỉ số của cơ sở",
            "Kết quả 30 ngày đến hết ngày ghi ở cột “Số liệu đến”, so với chỉ tiêu của kế hoạch đang có hiệu lực. "
            f"{words.PERIODS}“Còn thiếu” là số trường hợp phải thêm để đạt chỉ tiêu; “Rõ hình thức” là phần đã "
            "phân loại được; “Đủ "
            "ngày” là phần ngày đã có số liệu. Bấm vào tên chỉ số để xem diễn biến ở bên dưới; muốn xem nhiều chỉ số "
            "thì chọn ở đầu bảng.",
            {letter: f"max by (indicator) ({expression})" for letter, expression in asked.items()},
            [
                Column("indicator", "Chỉ số", width=290, mappings=names, link=Link("Xem diễn biến", here)),
                panels.verdict_column("A"),
                Column("B", "Tỷ lệ", SHARE, 80),
                Column("C", "Chỉ tiêu", SHARE, 80),
                Column("D", "Lộ trình", SHARE, 80),
                Column("E", "Còn thiếu", COUNT, 90),
                Column("F", "Đạt", COUNT, 80),
                Column("G", "Tổng", COUNT, 80),
                Column("H", "Hôm nay", SHARE, 80),
                Column("I", "Rõ hình thức", SHARE, 100),
                Column("J", "Đủ ngày", SHARE, 80),
                Column("K", "Số liệu đến", DAY, 105),
                Column("L", "Chưa đạt từ", DAY, 105),
            ],
        )
        .span(24)
        .height(13)
    )


def _share(settings: Settings) -> Panel:
    panel = panels.lines(
        "Tỷ lệ so với lộ trình và chỉ tiêu",
        "Tỷ lệ 30 ngày của chỉ số, mức mà lộ trình yêu cầu vào từng ngày, và chỉ tiêu của kế hoạch đang có hiệu lực. "
        f"{words.PERIODS}Chỗ trống là lúc không có số liệu. Nguồn: nhipso_indicator_ratio, nhipso_road_ratio, "
        "nhipso_target_ratio.",
        [
            Line(f'max(nhipso_indicator_ratio{{{_INDICATOR}, window="30d"}})', "Tỷ lệ 30 ngày", panels.SHARE_LINE),
            Line(f"max(nhipso_road_ratio{{{_INDICATOR}}})", "Lộ trình", panels.ROAD_LINE, (3, 6)),
            Line(
                f"max by (plan) (nhipso_target_ratio{{{_INDICATOR}}})",
                "{{plan}}",
                panels.TARGET_LINE,
                (12, 6),
            ),
        ],
        SHARE,
    )
    for plan in settings.plans:
        panel.override_by_name(plan.id, [Property("displayName", f"Chỉ tiêu ({plan.short})")])
    return panel.span(14).height(10)


def _quality() -> Panel:
    return (
        panels.lines(
            "Số liệu có đủ và rõ không",
            "“Đủ ngày” là phần ngày trong 30 ngày đã có số liệu từ mọi nguồn; “Rõ hình thức” là phần trường hợp mà "
            "nguồn cho biết thuộc loại nào. Thấp thì tỷ lệ chưa nói lên được gì.",
            [
                Line(f"max(nhipso_indicator_completeness_ratio{{{_INDICATOR}}})", "Đủ ngày", panels.SHARE_LINE),
                Line(f"max(nhipso_indicator_known_ratio{{{_INDICATOR}}})", "Rõ hình thức", panels.TARGET_LINE, (12, 6)),
            ],
            SHARE,
        )
        .span(10)
        .height(10)
    )


def _tallies(catalogue: Catalogue, *, money: bool) -> Panel:
    of_money = "|".join(code for code, one in catalogue.measures.items() if one.unit == "VND")
    chosen = f'nhipso_tally{{{_ONE}, measure{"=" if money else "!"}~"{of_money}"}}'
    return (
        panels.rows(
            "Số tiền hôm nay" if money else "Số trường hợp hôm nay",
            "Tổng số tiền hôm nay theo từng loại, đến lần gửi gần nhất. Nguồn: nhipso_tally."
            if money
            else "Số trường hợp hôm nay theo từng loại, đến lần gửi gần nhất; ngày chưa hết nên số còn tăng. "
            "Nguồn: nhipso_tally.",
            {"A": f'max by (measure, case) (label_join({chosen}, "case", "/", "measure", "category"))'},
            [
                Column("measure", "Số đếm", mappings=words.mapping(words.measures(catalogue))),
                Column("case", "Loại", width=220, mappings=words.mapping(words.categories(catalogue))),
                Column("A", "Số tiền" if money else "Số lượng", "currencyVND" if money else COUNT, 140),
            ],
            sort=("Số đếm", False),
        )
        .span(10 if money else 14)
        .height(12)
    )


def _sources() -> Panel:
    asked = {
        "A": f"max by (source, kind) (nhipso_source_up{{{_ONE}}})",
        "B": queries.milliseconds(f"max by (source, kind) (nhipso_source_read_timestamp_seconds{{{_ONE}}})"),
        "C": queries.milliseconds(f"max by (source, kind) (nhipso_source_newest_day_timestamp_seconds{{{_ONE}}})"),
        "D": f"max by (source, kind) (nhipso_source_behind{{{_ONE}}})",
        "E": f"sum by (source) (nhipso_source_unmapped{{{_ONE}}})",
        "F": f"max by (source) (abs(nhipso_source_check_difference_ratio{{{_ONE}}}))",
    }
    return (
        panels.rows(
            "Các nguồn số liệu",
            "Từng phần mềm mà nhịp số đang đọc ở cơ sở: lần đọc thành công gần nhất, ngày mới nhất có số liệu và đã "
            "chậm mấy ngày so với lịch, số trường hợp trong 30 ngày có giá trị chưa khai báo, độ lệch nếu là nguồn "
            "đối chiếu.",
            asked,
            [
                Column("source", "Nguồn", width=110),
                Column("kind", "Loại", width=180, mappings=words.mapping(words.KINDS)),
                Column(
                    "A",
                    "Lần đọc cuối",
                    width=120,
                    coloured=True,
                    mappings=words.yes_or_no("Đọc được", "Không đọc được"),
                ),
                Column("B", "Đọc được lúc", MOMENT, 140),
                Column("C", "Ngày mới nhất", DAY, 110),
                Column("D", "Chậm (ngày)", COUNT, 95),
                Column("E", "Chưa khai báo", COUNT, 105),
                Column("F", "Lệch đối chiếu", SHARE, 105),
            ],
        )
        .span(16)
        .height(8)
    )


def _findings(catalogue: Catalogue) -> Panel:
    return (
        panels.rows(
            "Điểm bất thường",
            "Những điều trong số liệu cần cơ sở xem lại. Bằng chứng ở trang của cơ sở trên cổng. Nguồn: "
            "nhipso_finding.",
            {"A": f"max by (indicator, finding) (nhipso_finding{{{_ONE}}} == 1)"},
            [
                Column("indicator", "Chỉ số", mappings=words.mapping(words.indicators(catalogue))),
                Column("finding", "Phát hiện", mappings=words.mapping(words.FINDINGS)),
            ],
            empty="Không có điểm bất thường nào",
        )
        .span(8)
        .height(8)
    )


def _confirmations() -> Panel:
    state = f"max by (period, state) (nhipso_confirmation{{{_ONE}}} == 1)"
    due = queries.milliseconds(f"max by (period) (nhipso_confirmation_due_timestamp_seconds{{{_ONE}}})")
    words_of_states = words.mapping(words.CONFIRMATIONS, words.CONFIRMATION_COLOURS)
    return (
        panels.rows(
            "Xác nhận số liệu tháng",
            "Cơ sở đã xác nhận số liệu của hai tháng gần nhất đã kết thúc hay chưa, và hạn xác nhận. Nguồn: "
            "nhipso_confirmation.",
            {"A": state, "B": due},
            [
                Column("period", "Tháng", width=100, mappings=words.months()),
                Column("state", "Tình trạng", mappings=words_of_states, coloured=True),
                Column("B", "Hạn", DAY, 120),
            ],
            sort=("Tháng", True),
        )
        .span(10)
        .height(9)
    )
