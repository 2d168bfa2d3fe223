"""Phần mềm thu thập: the agents in the hospitals, and the sources they read."""

from contract.catalogue import Catalogue
from dashboards.boards import panels, queries, variables, words
from dashboards.boards.layout import FLEET, Board, Panel, Row
from dashboards.boards.panels import COUNT, DAY, MOMENT, SHARE, Column, Line
from dashboards.boards.province import CODE, NAME
from dashboards.boards.queries import HERE
from dashboards.settings import Settings

_MINE = f"(nhipso_agent_facility and on (facility) {HERE})"


def board(settings: Settings) -> Board:
    """For those who keep the agents running."""
    return Board(
        uid=FLEET,
        description="Phần mềm thu thập ở các cơ sở: lần gửi gần nhất, số liệu đang chờ, phiên bản, đồng hồ, các nguồn.",
        variables=[
            variables.datasource(),
            variables.area(),
            variables.level(),
            variables.facility(several=True),
        ],
        rows=[
            Row("Tình hình chung", _counts(settings)),
            Row("Từng phần mềm thu thập", [_agents(), _versions()]),
            Row("Từng nguồn số liệu", [_sources(settings.catalogue)]),
            Row("Theo thời gian", [_waiting(), _clocks()]),
            Row(
                "Giá trị chưa khai báo và nguồn đối chiếu",
                [_unmapped(settings.catalogue), _differences(settings.catalogue)],
            ),
        ],
        since="now-7d",
    )


def _of_agents(expression: str) -> str:
    return f"(({expression}) and on (agent) {_MINE})"


def _of_facilities(expression: str) -> str:
    return f"(({expression}) * on (facility) group_left (name) {HERE})"


def _counts(settings: Settings) -> list[Panel]:
    hours, minutes, waiting = settings.alerts.silent_hours, settings.alerts.clock_minutes, settings.alerts.waiting
    late = f"time() - nhipso_agent_last_push_timestamp_seconds > {hours * 3600:g}"
    skewed = f"abs(nhipso_agent_clock_skew_seconds) > {minutes * 60:g}"
    behind = f"nhipso_source_behind > {settings.alerts.still_days}"
    tiles = [
        ("Phần mềm thu thập", "Số phần mềm thu thập đã đăng ký với máy chủ thu thập.", _of_agents("nhipso_agent_info")),
        (
            f"Không gửi quá {words.hours(hours)}",
            "Số phần mềm thu thập đã quá lâu không gửi gì, hoặc chưa gửi lần nào.",
            _of_agents(late),
        ),
        (
            "Đang chờ nhiều",
            f"Số phần mềm thu thập còn hơn {waiting} số đếm chờ gửi vào lần gửi gần nhất.",
            _of_agents(f"nhipso_agent_waiting > {waiting}"),
        ),
        (
            "Đồng hồ sai",
            f"Số máy có đồng hồ lệch hơn {minutes:g} phút so với máy chủ thu thập.",
            _of_agents(skewed),
        ),
        (
            "Nguồn không đọc được",
            "Số nguồn mà lần đọc gần nhất không thành công.",
            _of_facilities("nhipso_source_up == 0"),
        ),
        (
            "Nguồn đứng yên",
            f"Số nguồn mà ngày mới nhất có số liệu đã chậm hơn {settings.alerts.still_days} ngày so với lịch.",
            _of_facilities(behind),
        ),
    ]
    return [
        panels.tiles(title, meaning, {"A": (queries.counted(found), title)}, COUNT).span(4).height(4)
        for title, meaning, found in tiles
    ]


def _agents() -> Panel:
    pushed = "nhipso_agent_last_push_timestamp_seconds"
    asked = {
        "A": f"max by (agent, version) ({_of_agents('nhipso_agent_info')})",
        "B": f"count by (agent) ({_MINE})",
        "C": f"1000 * max by (agent) ({_of_agents(pushed)})",
        "D": f"max by (agent) ({_of_agents('nhipso_agent_waiting')})",
        "E": f"max by (agent) ({_of_agents('nhipso_agent_parked')})",
        "F": f"max by (agent) ({_of_agents('nhipso_agent_clock_skew_seconds')})",
    }
    return (
        panels.rows(
            "Các phần mềm thu thập",
            "Mỗi dòng là một phần mềm thu thập: phiên bản, số cơ sở nó gửi thay, lần gửi gần nhất, số đếm còn chờ "
            "gửi và số đếm bị từ chối hoặc để riêng, đồng hồ lệch bao nhiêu giây so với máy chủ thu thập.",
            asked,
            [
                Column("agent", "Mã", width=130),
                Column("version", "Phiên bản", width=110),
                Column("B", "Cơ sở", COUNT, 80),
                Column("C", "Gửi lần cuối", MOMENT, 150, words.mapping({"0": "Chưa bao giờ"})),
                Column("D", "Chờ gửi", COUNT, 90),
                Column("E", "Để riêng", COUNT, 90),
                Column("F", "Lệch giờ (giây)", COUNT, 120),
            ],
            sort=("Gửi lần cuối", False),
        )
        .span(17)
        .height(10)
    )


def _versions() -> Panel:
    return (
        panels.rows(
            "Phiên bản",
            "Bao nhiêu phần mềm thu thập đang chạy mỗi phiên bản. Nguồn: nhipso_agent_info.",
            {"A": f"count by (version) ({_of_agents('nhipso_agent_info')})"},
            [Column("version", "Phiên bản"), Column("A", "Số lượng", COUNT, 110)],
            sort=("Phiên bản", True),
        )
        .span(7)
        .height(10)
    )


def _sources(catalogue: Catalogue) -> Panel:
    asked = {
        "A": "nhipso_source_up",
        "B": "1000 * nhipso_source_read_timestamp_seconds",
        "C": "1000 * nhipso_source_newest_day_timestamp_seconds",
        "D": "nhipso_source_behind",
    }
    joined = {letter: f"max by (facility, name, source, kind) ({_of_facilities(one)})" for letter, one in asked.items()}
    return (
        panels.rows(
            "Các nguồn số liệu",
            "Từng nguồn ở từng cơ sở: lần đọc gần nhất có thành công không, đọc được lúc nào, ngày mới nhất có số "
            "liệu và đã chậm mấy ngày so với lịch. Nguồn: nhipso_source_up và các chỉ báo cùng họ.",
            joined,
            [
                NAME,
                CODE,
                Column("source", "Nguồn", width=130),
                Column("kind", "Loại", width=200, mappings=words.mapping(words.KINDS)),
                Column(
                    "A",
                    "Lần đọc cuối",
                    width=130,
                    coloured=True,
                    mappings=words.yes_or_no("Đọc được", "Không đọc được"),
                ),
                Column("B", "Đọc được lúc", MOMENT, 160),
                Column("C", "Ngày mới nhất", DAY, 130),
                Column("D", "Chậm (ngày)", COUNT, 110),
            ],
            sort=("Chậm (ngày)", True),
        )
        .span(24)
        .height(13)
    )


def _waiting() -> Panel:
    return (
        panels.lines(
            "Số đếm chờ gửi",
            "Số đếm còn nằm ở cơ sở vào mỗi lần gửi. Tăng mãi là đường truyền hoặc máy chủ thu thập có vấn đề; số liệu "
            "không mất. Nguồn: nhipso_agent_waiting.",
            [Line(f"max by (agent) ({_of_agents('nhipso_agent_waiting')})", "{{agent}}")],
            COUNT,
        )
        .span(12)
        .height(9)
    )


def _clocks() -> Panel:
    return (
        panels.lines(
            "Đồng hồ lệch",
            "Đồng hồ của từng máy lệch bao nhiêu giây so với máy chủ thu thập, không kể nhanh hay chậm. "
            "Nguồn: nhipso_agent_clock_skew_seconds.",
            [Line(f"max by (agent) (abs({_of_agents('nhipso_agent_clock_skew_seconds')}))", "{{agent}}")],
            "s",
        )
        .span(12)
        .height(9)
    )


def _unmapped(catalogue: Catalogue) -> Panel:
    found = _of_facilities("nhipso_source_unmapped > 0")
    return (
        panels.rows(
            "Giá trị chưa khai báo",
            "Số trường hợp trong 30 ngày có giá trị mà tệp cấu hình chưa biết xếp vào loại nào; chúng được tính là "
            "chưa phân loại. Nguồn: nhipso_source_unmapped.",
            {"A": f"max by (facility, name, source, measure) ({found})"},
            [
                Column("name", "Cơ sở", link=NAME.link),
                Column("facility", "Mã", width=80),
                Column("source", "Nguồn", width=90),
                Column("measure", "Số đếm", mappings=words.mapping(words.measures(catalogue))),
                Column("A", "Trường hợp", COUNT, 100),
            ],
            sort=("Trường hợp", True),
            empty="Mọi giá trị đã được khai báo",
        )
        .span(12)
        .height(9)
    )


def _differences(catalogue: Catalogue) -> Panel:
    found = _of_facilities("nhipso_source_check_difference_ratio")
    return (
        panels.rows(
            "Nguồn đối chiếu",
            "Nguồn đối chiếu đếm nhiều hơn (dương) hay ít hơn (âm) nguồn chính bao nhiêu phần trăm trong 30 ngày. "
            "Nguồn: nhipso_source_check_difference_ratio.",
            {"A": f"max by (facility, name, source, measure) ({found})"},
            [
                Column("name", "Cơ sở", link=NAME.link),
                Column("facility", "Mã", width=80),
                Column("source", "Nguồn", width=90),
                Column("measure", "Số đếm", mappings=words.mapping(words.measures(catalogue))),
                Column("A", "Lệch", SHARE, 100),
            ],
            sort=("Lệch", True),
            empty="Không có nguồn đối chiếu",
        )
        .span(12)
        .height(9)
    )
