"""Hệ thống: the collector itself."""

from dashboards.boards import panels, variables, words
from dashboards.boards.layout import SYSTEM, Board, Panel, Row
from dashboards.boards.panels import COUNT, MOMENT, Column, Line
from dashboards.boards.sdk import Property, options

JOB = 'job="nhipso"'
"""The scrape job of config/prometheus.yml."""
_LOOP_STATES = {"1": "Đang chạy", "0": "Ngừng"}


def board(loop_periods: float) -> Board:
    """`loop_periods`: after so many of its periods without a turn a loop counts as dead, as in the alert LoopDead."""
    return Board(
        uid=SYSTEM,
        description="Máy chủ thu thập có khỏe không: Prometheus đọc được không, trả lời nhanh không, việc nền có chạy.",
        variables=[variables.datasource()],
        rows=[
            Row("Tình hình chung", _summary()),
            Row("Trả lời các yêu cầu", [_requests(), _latency()]),
            Row("Nhận số liệu và dựng số liệu cho Prometheus", [_ingest(), _render()]),
            Row("Việc nền", [_loops(loop_periods), _scrapes()]),
        ],
        since="now-24h",
    )


def _summary() -> list[Panel]:
    up = panels.tiles(
        "Máy chủ thu thập",
        "Prometheus có đọc được số liệu của máy chủ thu thập vào lần đọc gần nhất hay không. Nguồn: up.",
        {"A": (f"min(up{{{JOB}}})", "Máy chủ thu thập")},
        COUNT,
    )
    up.mappings(words.yes_or_no("Đang chạy", "Không đọc được"))
    up.color_mode(options.BigValueColorMode.BACKGROUND)
    failed = 'sum(rate(nhipso_http_requests_total{status=~"5.."}[1h]))'
    others = [
        (
            "Tỷ lệ trả lời lỗi trong 1 giờ",
            "Phần yêu cầu mà máy chủ thu thập trả lời bằng lỗi 5xx trong một giờ qua. Nguồn: "
            "nhipso_http_requests_total.",
            f"({failed} or vector(0)) / sum(rate(nhipso_http_requests_total[1h]))",
            panels.SHARE,
        ),
        (
            "Thời gian dựng số liệu",
            "Lần gần nhất đưa số liệu cho Prometheus về mới nhất mất bao lâu. Nguồn: nhipso_exposition_render_seconds.",
            "max(nhipso_exposition_render_seconds)",
            "s",
        ),
        (
            "Số chuỗi số liệu",
            "Số chuỗi mà Prometheus nhận được ở lần đọc gần nhất. Nguồn: scrape_samples_scraped.",
            f"sum(scrape_samples_scraped{{{JOB}}})",
            COUNT,
        ),
    ]
    tiles = [panels.tiles(title, meaning, {"A": (found, title)}, unit) for title, meaning, found, unit in others]
    return [one.span(6).height(4) for one in (up, *tiles)]


def _requests() -> Panel:
    return (
        panels.lines(
            "Số yêu cầu mỗi giây",
            "Yêu cầu mà máy chủ thu thập đã trả lời, theo mã trả lời: 2xx là được, 4xx là bị từ chối, 5xx là lỗi của "
            "máy chủ thu thập. Nguồn: nhipso_http_requests_total.",
            [Line("sum by (status) (rate(nhipso_http_requests_total[$__rate_interval]))", "{{status}}")],
            "reqps",
        )
        .span(12)
        .height(9)
    )


def _latency() -> Panel:
    by_bucket = "sum by (le) (rate(nhipso_http_request_duration_seconds_bucket[$__rate_interval]))"
    return (
        panels.lines(
            "Thời gian trả lời",
            "Nửa số yêu cầu được trả lời trong thời gian của đường “một nửa”, 95 % và 99 % số yêu cầu trong thời "
            "gian của hai đường kia. Nguồn: nhipso_http_request_duration_seconds.",
            [
                Line(f"histogram_quantile(0.5, {by_bucket})", "Một nửa", panels.SHARE_LINE),
                Line(f"histogram_quantile(0.95, {by_bucket})", "95 %", panels.TARGET_LINE, (12, 6)),
                Line(f"histogram_quantile(0.99, {by_bucket})", "99 %", panels.ROAD_LINE, (3, 6)),
            ],
            "s",
        )
        .span(12)
        .height(9)
    )


def _ingest() -> Panel:
    panel = panels.lines(
        "Số đếm nhận được mỗi giây",
        "Số đếm mà các phần mềm thu thập gửi đến, theo kết quả: nhận, cũ hơn số đã có, bị từ chối. "
        "Nguồn: nhipso_ingest_tallies_total.",
        [Line("sum by (result) (rate(nhipso_ingest_tallies_total[$__rate_interval]))", "{{result}}")],
        "cps",
    )
    for result, name in {"accepted": "Nhận", "stale": "Cũ hơn số đã có", "refused": "Bị từ chối"}.items():
        panel.override_by_name(result, [Property("displayName", name)])
    return panel.span(12).height(9)


def _render() -> Panel:
    return (
        panels.lines(
            "Thời gian dựng số liệu cho Prometheus",
            "Mỗi lần đưa số liệu về mới nhất mất bao lâu. Nguồn: nhipso_exposition_render_seconds.",
            [Line("max(nhipso_exposition_render_seconds)", "Thời gian dựng", panels.SHARE_LINE)],
            "s",
        )
        .span(12)
        .height(9)
    )


def _loops(periods: float) -> Panel:
    last, period = (
        "max by (loop) (nhipso_loop_heartbeat_timestamp_seconds)",
        "max by (loop) (nhipso_loop_period_seconds)",
    )
    states = words.mapping(_LOOP_STATES, {"1": words.GOOD, "0": words.BAD})
    return (
        panels.rows(
            "Các việc nền",
            f"Mỗi việc nền chạy lại sau một chu kỳ; quá {periods:g} chu kỳ không chạy thì coi là đã ngừng. "
            "Nguồn: nhipso_loop_heartbeat_timestamp_seconds.",
            {
                "A": f"time() - {last} <= bool {periods:g} * {period}",
                "B": f"1000 * {last}",
                "C": period,
            },
            [
                Column("loop", "Việc nền"),
                Column("A", "Tình trạng", width=120, coloured=True, mappings=states),
                Column("B", "Chạy lần cuối", MOMENT, 150),
                Column("C", "Chu kỳ", "s", 100),
            ],
        )
        .span(12)
        .height(9)
    )


def _scrapes() -> Panel:
    return (
        panels.lines(
            "Thời gian Prometheus đọc số liệu",
            "Mỗi lần Prometheus đọc số liệu của máy chủ thu thập mất bao lâu. Nguồn: scrape_duration_seconds.",
            [Line(f"max by (instance) (scrape_duration_seconds{{{JOB}}})", "{{instance}}")],
            "s",
        )
        .span(12)
        .height(9)
    )
