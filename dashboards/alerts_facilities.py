"""Alerts on what should have come from a facility: its data, its sources, its agent, its confirmation."""

from collections.abc import Iterator

from contract import metrics
from dashboards.alerts_shape import Alert, duration, expected, indented, number, series, spoken
from dashboards.alerts_words import NAME, SOURCE, say
from dashboards.settings import Alerts

_PAGE = "/facilities/{{ $labels.facility }}"
_SOURCE = ("facility", "source")
_AGENT = ("agent", "facility")
_MONTH = ("facility", "period")
# How far back a look may miss: the collector may have been away at just that moment.
_NEAR = "6h"
_MOMENT = say("moment")


def alerts(thresholds: Alerts) -> Iterator[Alert]:
    """In the order in which people should read them."""
    yield _silent(thresholds)
    yield _down(thresholds)
    yield _still(thresholds)
    yield _waiting(thresholds)
    yield _skewed(thresholds)


def _silent(thresholds: Alerts) -> Alert:
    before = f"<= time() - {number(thresholds.silent_hours * 3600)}"
    return Alert(
        name="FacilitySilent",
        expression=(f"{series(metrics.FACILITY_PUSH, 'facility')} {before}\n{expected()} {before}"),
        severity="warning",
        summary=f"{NAME}: không gửi số liệu về Sở",
        description=f"{NAME} {{{{ if eq $value 0.0 }}}}chưa gửi số liệu lần nào"
        + f"{{{{ else }}}}không gửi gì từ {_MOMENT}{{{{ end }}}}. "
        + "Các con số đang hiện là của lần gửi cuối; cảnh báo về chỉ số được giữ nguyên, không phải đã đạt.",
        page=_PAGE,
        labels=("facility",),
        # after the collector itself was away, agents get this long to come back
        hold_seconds=thresholds.settle_minutes * 60,
    )


def _down(thresholds: Alerts) -> Alert:
    seconds = thresholds.source_down_hours * 3600
    up = series(metrics.SOURCE_UP, *_SOURCE)
    read = f"{series(metrics.SOURCE_READ, *_SOURCE)}\nor\n{up} * 0"
    expression = (
        f"({indented(read)}) <= time() - {number(seconds)}\n"
        f"and on (facility, source) {up} == 0\n"
        # a source that was added only now gets the same time
        f"and on (facility, source) last_over_time({metrics.SOURCE_UP.name}[{_NEAR}] offset {duration(seconds)})\n"
        f"{expected()}"
    )
    return Alert(
        name="SourceDown",
        expression=expression,
        severity="warning",
        summary=f"{NAME}: không đọc được nguồn {SOURCE}",
        description=f"{NAME}: nguồn {SOURCE} "
        + f"{{{{ if eq $value 0.0 }}}}chưa đọc được lần nào{{{{ else }}}}không đọc được từ {_MOMENT}{{{{ end }}}}. "
        + "Phần mềm tại cơ sở vẫn chạy và sẽ tự đọc bù khi nguồn trở lại.",
        page=_PAGE,
        labels=_SOURCE,
    )


def _still(thresholds: Alerts) -> Alert:
    expression = (
        f"{series(metrics.SOURCE_BEHIND, *_SOURCE)} > {thresholds.still_days}\n"
        f"and on (facility, source) {series(metrics.SOURCE_UP, *_SOURCE)} == 1\n"
        f"{expected()}"
    )
    query = f"{metrics.SOURCE_NEWEST.name}{{facility=%q,source=%q}}"
    return Alert(
        name="SourceStandsStill",
        expression=expression,
        severity="warning",
        summary=f"{NAME}: nguồn {SOURCE} đọc được nhưng không có ca mới",
        description="{{- $day := -1.0 }}"
        + f"{{{{ range query (printf `{query}` $labels.facility $labels.source) }}}}"
        + "{{ $day = .Value }}{{ end -}}\n"
        + f"{NAME}: nguồn {SOURCE} vẫn đọc được, nhưng "
        + f"đã {say('count')} ngày phải có số liệu mà không có ca nào"
        + f"{{{{ if ge $day 0.0 }}}}; ngày mới nhất có ca là {say('day', '$day')}{{{{ end }}}}.",
        page=_PAGE,
        labels=_SOURCE,
    )


def _waiting(thresholds: Alerts) -> Alert:
    waiting, least = series(metrics.AGENT_WAITING, "agent"), thresholds.waiting
    before = duration(thresholds.waiting_hours * 3600)
    # It was as much already then: a heap that is being worked off does not alert, and an agent that fell silent stays.
    growing = (
        f"({waiting} > {least})\n>= on (agent)\n"
        f"(max by (agent) (last_over_time({metrics.AGENT_WAITING.name}[{_NEAR}] offset {before})) > {least})"
    )
    return Alert(
        name="AgentWaitingGrows",
        expression=_of_facilities(growing),
        severity="warning",
        summary=f"{NAME}: số liệu chờ gửi ở agent ngày một nhiều",
        description=f"{NAME}: agent {{{{ $labels.agent }}}} có "
        + f"{say('count')} số đếm chờ gửi, không giảm trong "
        + f"{spoken(thresholds.waiting_hours)} giờ qua. Chưa mất gì: tất cả nằm trong sổ trên đĩa của cơ sở.",
        page=_PAGE,
        labels=_AGENT,
    )


def _skewed(thresholds: Alerts) -> Alert:
    minutes = f"({series(metrics.AGENT_SKEW, 'agent')} / 60)"
    limit = number(thresholds.clock_minutes)
    return Alert(
        name="AgentClockSkewed",
        expression=_of_facilities(f"{minutes} > {limit}\nor\n{minutes} < -{limit}"),
        severity="warning",
        summary=f"{NAME}: đồng hồ của máy chạy agent lệch giờ",
        description=f"{NAME}: đồng hồ của máy chạy agent {{{{ $labels.agent }}}} "
        + "{{ if gt $value 0.0 }}nhanh{{ else }}chậm{{ end }} "
        + f"{say('minutes')} phút so với máy chủ của Sở. Ca quanh nửa đêm có thể bị tính sang ngày khác.",
        page=_PAGE,
        labels=_AGENT,
    )


def _of_facilities(agents: str) -> str:
    """An expression by agent, once for every facility that the agent speaks for and of which data is expected."""
    speaks = indented(f"{series(metrics.AGENT_FACILITY, *_AGENT)}\n{expected()}")
    return f"({indented(agents)})\n* on (agent) group_right ()\n({speaks})"


def overdue() -> Alert:
    """A closed month that nobody has confirmed or disputed by its day."""
    due = series(metrics.CONFIRMATION_DUE, *_MONTH)
    expression = (
        f"{due} <= time()\n"
        f"and on (facility, period) {_in_state('open|reopened')} == 1\n"
        f"unless on (facility, period) {_in_state('confirmed|disputed')} == 1"
    )
    month = say("month", "$labels.period")
    return Alert(
        name="ConfirmationOverdue",
        expression=expression,
        severity="warning",
        summary=f"{NAME}: chưa xác nhận số liệu tháng {month}",
        description=f"{NAME} chưa xác nhận (hoặc phải xác nhận lại) số liệu tháng {month}; "
        f"hạn là hết ngày {say('until')}.",
        page=_PAGE,
        labels=_MONTH,
    )


def _in_state(states: str) -> str:
    return series(metrics.CONFIRMATION, *_MONTH, where=f'{{state=~"{states}"}}')
