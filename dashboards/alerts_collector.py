"""Alerts on the collector itself, for the people at the Sở who run it."""

from collections.abc import Iterator

from dashboards.alerts_shape import Alert, number, spoken
from dashboards.settings import Alerts

JOB = "nhipso"
# prometheus_client's, of the collector itself (contract.md)
HEARTBEAT = "nhipso_loop_heartbeat_timestamp_seconds"
PERIOD = "nhipso_loop_period_seconds"
METRICS = frozenset({"up", HEARTBEAT, PERIOD})


def alerts(thresholds: Alerts) -> Iterator[Alert]:
    """In the order in which people should read them."""
    up = f'up{{job="{JOB}"}}'
    yield Alert(
        name="CollectorDown",
        # min() of absent() too: without it the label job would come and go with the target
        expression=f"min({up}) == 0\nor\nmin(absent({up}))",
        severity="critical",
        summary="Máy chủ thu thập không trả lời",
        description="Prometheus không đọc được /metrics của máy chủ thu thập. Các bảng đang đứng yên, "
        "các cảnh báo khác được giữ như trước khi mất liên lạc. "
        "Số liệu không mất: các agent giữ lại và gửi khi máy chủ trở lại.",
        page="",
        hold_seconds=thresholds.collector_down_minutes * 60,
    )
    yield Alert(
        name="LoopDead",
        # Against the moment of the scrape: between two scrapes every heart seems to stand still.
        expression=f"timestamp({HEARTBEAT}) - {HEARTBEAT}\n"
        f"> on (job, instance, loop) clamp_min({number(thresholds.loop_periods)} * {PERIOD}, "
        f"{number(thresholds.interval_seconds)})",
        severity="critical",
        summary="Một vòng lặp của máy chủ thu thập đã đứng: {{ $labels.loop }}",
        description="Vòng lặp {{ $labels.loop }} ở {{ $labels.instance }} đã quá hạn báo nhịp "
        f"{spoken(thresholds.loop_periods)} chu kỳ. /metrics vẫn trả lời nhưng có thể là số cũ.",
        page="",
        hold_seconds=2 * thresholds.interval_seconds,
    )
    yield Alert(
        name="Watchdog",
        expression="vector(1)",
        severity="none",
        summary="Đường cảnh báo còn sống",
        description="Luôn luôn báo, để một nơi bên ngoài nhận ra khi Prometheus hoặc Alertmanager ngừng.",
        page="",
    )
