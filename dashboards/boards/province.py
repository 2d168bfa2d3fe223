"""Toàn tỉnh: where the province stands, who is behind, what moved, what needs an answer."""

from datetime import date

from contract.verdict import Verdict
from dashboards.boards import panels, queries, variables, words
from dashboards.boards.layout import FACILITY, INDICATOR, PROVINCE, Board, Panel, Row, board_url
from dashboards.boards.panels import COUNT, MOMENT, POINTS, SHARE, Column, Link
from dashboards.boards.sdk import stat
from dashboards.settings import Settings

# The worst first; of these queries of a tile one answers.
_HELD = {"A": Verdict.BELOW, "B": Verdict.NEAR, "C": Verdict.MET}
_OPEN = {"D": Verdict.NO_TARGET, "E": Verdict.INSUFFICIENT, "F": Verdict.UNKNOWN, "G": Verdict.NO_DATA}
TO_FACILITY = Link(
    "Mở bảng của cơ sở", board_url(FACILITY, "datasource", "area", "level", facility="${__data.fields.facility}")
)
_TO_INDICATOR = Link(
    "Mở bảng của chỉ số",
    board_url(INDICATOR, "datasource", "area", "level", "facility", indicator="${__data.fields.indicator}"),
)
NAME = Column("name", "Cơ sở", width=260, link=TO_FACILITY)
CODE = Column("facility", "Mã", width=90, link=TO_FACILITY)
AREA = Column("area", "Địa bàn", width=140)


def board(settings: Settings, today: date) -> Board:
    """The first board that people open."""
    return Board(
        uid=PROVINCE,
        description="Các chỉ số số hóa của toàn tỉnh so với chỉ tiêu, cơ sở nào đang chậm, tuần này có gì thay đổi.",
        variables=[
            variables.datasource(),
            variables.area(),
            variables.level(),
            variables.facility(several=True),
            variables.indicator(settings.catalogue, _planned(settings, today)),
        ],
        rows=[
            Row("Tình hình chung", _counts(settings)),
            Row("Các chỉ số của toàn tỉnh", [_tile()]),
            Row("Cơ sở đạt chỉ tiêu", [_verdicts(settings)]),
            Row("Từng cơ sở, từng chỉ số", [_facilities(settings)]),
            Row("Cần chú ý", [alerts(settings, width=14), _silent(settings)]),
            Row("Thay đổi trong 7 ngày qua", [_movers(settings, up=True), _movers(settings, up=False)]),
        ],
    )


def _planned(settings: Settings, today: date) -> list[str]:
    """The indicators for which a plan that is not over sets a figure: what a Sở wants to see first."""
    asked = {
        one.indicator
        for plan in settings.plans
        if not plan.is_over(today)
        for one in plan.targets
        if one.ratio is not None
    }
    return [code for code in settings.catalogue.indicators if code in asked]


def _counts(settings: Settings) -> list[Panel]:
    silent, known = settings.alerts.silent_hours, "nhipso_facility_info"
    expected = "nhipso_facility_expected_since_timestamp_seconds"
    late = f"time() - nhipso_facility_last_push_timestamp_seconds > {silent * 3600:g}"
    tiles = [
        ("Cơ sở đã đăng ký", "Số cơ sở có trong danh sách đăng ký, kể cả cơ sở chưa gửi số liệu.", queries.HERE, known),
        (
            f"Không gửi số liệu quá {words.hours(silent)}",
            "Số cơ sở đang phải gửi số liệu mà máy chủ thu thập không nhận được lần gửi nào trong thời gian này. "
            "Cơ sở mới đăng ký hoặc đang tạm dừng không tính.",
            queries.chosen(f"({late}) and on (facility) {expected}"),
            known,
        ),
        (
            "Cơ sở có chỉ số chưa đạt",
            "Số cơ sở có ít nhất một chỉ số “Chưa đạt” trong 30 ngày qua, theo chỉ tiêu của kế hoạch đang có hiệu lực.",
            queries.chosen(f"count by (facility) (nhipso_indicator_verdict == {Verdict.BELOW:d})"),
            known,
        ),
        (
            "Cảnh báo đang phát",
            "Số cảnh báo mà Prometheus đang phát cho các cơ sở đã chọn và cho cả hệ thống.",
            f"({queries.chosen(queries.alerts(''))}) or ({queries.alerts(', facility=' + chr(34) * 2)})",
            # it always fires: without it no rule is evaluated
            'ALERTS{alertname="Watchdog"}',
        ),
        (
            "Điểm bất thường trong số liệu",
            "Số phát hiện về chất lượng số liệu còn chưa được giải thích, như số đứng yên, số tăng giảm đột ngột.",
            queries.chosen("nhipso_finding == 1"),
            known,
        ),
        (
            "Tháng chờ xác nhận",
            "Số bảng số liệu tháng mà cơ sở chưa xác nhận, trong hai tháng gần nhất đã kết thúc.",
            queries.chosen('nhipso_confirmation{state=~"open|reopened"} == 1'),
            known,
        ),
    ]
    return [
        panels.tiles(title, meaning, {"A": (queries.counted(found, there), title)}, COUNT).span(4).height(4)
        for title, meaning, found, there in tiles
    ]


def _tile() -> Panel:
    """One tile an indicator; which of its queries answers decides words and colour, by the verdict."""
    selector = 'indicator=~"$indicator"'
    panel = indicator_tile("${indicator:text}", selector).height(4).span(24)
    panel.repeat("indicator").repeat_direction("h").max_per_row(4)
    return panel


def indicator_tile(title: str, selector: str) -> stat.Panel:
    """The share of the province on one indicator, with its verdict and target in words, in the verdict's colour."""
    ratio, verdict = queries.held("ratio", selector), queries.held("verdict", selector)
    of = {letter: f"{ratio} and on (indicator, unit) ({verdict} == {one:d})" for letter, one in (_HELD | _OPEN).items()}
    found = {
        letter: (queries.with_target(of[letter], selector), f"{one.vi} · chỉ tiêu {{{{target}}}} %{{{{of}}}}")
        for letter, one in _HELD.items()
    } | {letter: (of[letter], one.vi) for letter, one in _OPEN.items()}
    panel = panels.tiles(
        title,
        "Tỷ lệ chung của toàn tỉnh trong 30 ngày đến hết hôm qua: tổng số trường hợp đạt chia tổng số trường hợp, "
        f"không phải trung bình các tỷ lệ. {words.PERIODS}Nếu kế hoạch giao chỉ tiêu theo số cơ sở thì là tỷ lệ cơ sở "
        "đạt. Chỉ tiêu lấy từ kế hoạch đang có hiệu lực, màu theo kết quả so với chỉ tiêu. Nguồn: nhipso_scope_ratio.",
        found,
        SHARE,
    )
    colours = {letter: one.colour for letter, one in (_HELD | _OPEN).items()}
    link = Link(
        "Mở bảng của chỉ số",
        board_url(INDICATOR, "datasource", "area", "level", "facility", indicator="${__field.labels.indicator}"),
    )
    return panels.linked(panels.coloured_by_query(panel, colours), link)


def _verdicts(settings: Settings) -> Panel:
    shown = [one for one in reversed(Verdict) if one is not Verdict.NOT_APPLICABLE]
    return (
        panels.matrix(
            "Số cơ sở theo kết quả từng chỉ số",
            "Mỗi chỉ số có bao nhiêu cơ sở đạt, gần đạt, chưa đạt và bao nhiêu cơ sở chưa đủ số liệu để kết luận, "
            "trên toàn tỉnh, trong 30 ngày qua. Nguồn: nhipso_scope_facilities.",
            'sum by (indicator, verdict) (nhipso_scope_facilities{scope="province", indicator=~"$indicator"})',
            [
                Column(
                    "indicator",
                    "Chỉ số",
                    width=360,
                    mappings=words.mapping(words.indicators(settings.catalogue)),
                    link=_TO_INDICATOR,
                )
            ],
            "verdict",
            {one.code: one.vi for one in shown},
        )
        .span(24)
        .height(9)
    )


def _facilities(settings: Settings) -> Panel:
    verdict = 'max by (facility, indicator) (nhipso_indicator_verdict{indicator=~"$indicator"})'
    return (
        panels.matrix(
            "Kết quả của từng cơ sở",
            "Kết quả 30 ngày qua của mỗi cơ sở ở mỗi chỉ số; dấu – là chỉ số không tính cho loại cơ sở đó. "
            f"{words.PERIODS}Bấm vào tên cơ sở để xem chi tiết. Nguồn: nhipso_indicator_verdict.",
            queries.named(verdict),
            [NAME, CODE, AREA],
            "indicator",
            words.indicators(settings.catalogue),
            mappings=words.verdicts(),
        )
        .span(24)
        .height(16)
    )


def alerts(settings: Settings, width: int, selector: str = "") -> Panel:
    """The alerts that fire; `selector`: further matchers, `, facility="…"`."""
    labels = "alertname, severity, indicator" + ("" if selector else ", facility, name")
    found = f"max by ({labels}) ({queries.named(queries.milliseconds(queries.alerts(selector)))})"
    if not selector:
        without = queries.milliseconds(queries.alerts(', facility=""'))
        found += f" or max by ({labels}) ({without})"
    columns = [
        Column(
            "severity",
            "Mức",
            width=110,
            coloured=True,
            mappings=words.mapping(words.SEVERITIES, words.SEVERITY_COLOURS),
        ),
        Column("alertname", "Cảnh báo", width=200, mappings=words.mapping(words.ALERTS)),
        *([] if selector else [Column("name", "Cơ sở", width=200, link=TO_FACILITY)]),
        Column("indicator", "Chỉ số", width=220, mappings=words.mapping(words.indicators(settings.catalogue))),
        Column("A", "Từ lúc", MOMENT, width=140),
        *([] if selector else [Column("facility", "Mã", width=80)]),
    ]
    return (
        panels.rows(
            "Cảnh báo",
            "Các cảnh báo mà Prometheus đang phát và thời điểm bắt đầu. Cách xử lý từng cảnh báo ở sổ tay vận hành. "
            "Nguồn: ALERTS, ALERTS_FOR_STATE.",
            {"A": found},
            columns,
            sort=("Từ lúc", False),
            empty="Không có cảnh báo nào",
        )
        .span(width)
        .height(9)
    )


def _silent(settings: Settings) -> Panel:
    hours = settings.alerts.silent_hours
    pushed = "nhipso_facility_last_push_timestamp_seconds"
    late = f"{pushed} < time() - {hours * 3600:g}"
    expected = "nhipso_facility_expected_since_timestamp_seconds"
    never = words.mapping({"0": "Chưa bao giờ"})
    return (
        panels.rows(
            "Cơ sở không gửi số liệu",
            f"Cơ sở đang phải gửi số liệu mà đã quá {words.hours(hours)} không gửi. Không tính cơ sở mới đăng ký "
            "và cơ sở đang tạm dừng. Nguồn: nhipso_facility_last_push_timestamp_seconds.",
            {
                "A": queries.milliseconds(
                    f"max by (facility, name) ({queries.named(f'({late}) and on (facility) {expected}')})"
                )
            },
            [
                Column("name", "Cơ sở", link=TO_FACILITY),
                Column("facility", "Mã", width=90),
                Column("A", "Gửi lần cuối", MOMENT, 150, never),
            ],
            sort=("Gửi lần cuối", False),
            empty="Không có cơ sở nào",
        )
        .span(10)
        .height(9)
    )


def _movers(settings: Settings, *, up: bool) -> Panel:
    now = 'max by (facility, indicator) (nhipso_indicator_ratio{window="30d", indicator=~"$indicator"})'
    before = now.replace('"$indicator"}', '"$indicator"} offset 7d')
    counts = f"nhipso_indicator_verdict >= {Verdict.NO_TARGET:d}"
    change = queries.chosen(f"({now} - {before}) and on (facility, indicator) ({counts})")
    best = f"topk(10, {change} > 0)" if up else f"bottomk(10, {change} < 0)"
    asked = {"A": f"100 * {queries.named(best)}", "B": f"{queries.named(now)} and on (facility, indicator) {best}"}
    return (
        panels.rows(
            "Tăng nhiều nhất" if up else "Giảm nhiều nhất",
            "Mười tỷ lệ 30 ngày thay đổi nhiều điểm phần trăm nhất so với 7 ngày trước; không tính nơi còn ít số liệu, "
            "chưa phân loại hay chưa có số liệu. Nguồn: nhipso_indicator_ratio.",
            {letter: f"max by (facility, name, indicator) ({one})" for letter, one in asked.items()},
            [
                Column("name", "Cơ sở", width=200, link=TO_FACILITY),
                Column("indicator", "Chỉ số", mappings=words.mapping(words.indicators(settings.catalogue))),
                Column("B", "Hiện nay", SHARE, 90),
                Column("A", "Thay đổi", POINTS, 110),
                Column("facility", "Mã", width=80),
            ],
            sort=("Thay đổi", up),
            empty="Không có thay đổi",
        )
        .span(12)
        .height(9)
    )
