"""Alerts on the figures themselves: below target, falling, off the road, unclassified, of doubtful quality."""

from collections.abc import Iterator
from functools import partial

from contract import metrics
from contract.catalogue import Catalogue
from contract.verdict import Verdict
from dashboards.alerts_shape import Alert, duration, indented, number, replaced, series, spoken
from dashboards.alerts_words import FINDINGS, HELD, INDICATOR, NAME, SHARE, SOURCE, TARGET, UNIT, figures, say
from dashboards.settings import Alerts

_PAIR = ("facility", "indicator")
_SOURCE = ("facility", "source", "measure")
_MONTH = '{window="30d"}'
_PAGE = "/facilities/{{ $labels.facility }}#{{ $labels.indicator }}"
_PLAN = {
    # by it a message says “Kế hoạch hết hiệu lực”, not “đã đạt”, when the alert ends after this day
    "plan_until": "{{ $labels.plan_until }}",
}
_AGAINST_PLAN = ("plan", "plan_title", "plan_until", "operator")
# How many times the gap to the road is looked at in the days of `off_road_days`.
_LOOKS = 7


def alerts(thresholds: Alerts, catalogue: Catalogue) -> Iterator[Alert]:
    """In the order in which people should read them."""
    yield from _below(thresholds)
    yield _falling(thresholds, catalogue)
    yield _off_the_road(thresholds)
    yield _unmapped(thresholds, catalogue)
    yield _finding()


def _below(thresholds: Alerts) -> Iterator[Alert]:
    """A warning, and beside it a critical one from the deadline on.

    The warning goes on under the critical one (which inhibits it): if it ended, the deadline would look like recovery.
    """
    below = f"({series(metrics.BELOW_SINCE, *_PAIR)} > 0) <= time() - {number(thresholds.below_hours * 3600)}"
    # ^ 0: the target lends its label, not its value
    target = f"{series(metrics.TARGET, *_PAIR, 'plan')} ^ 0"
    against = f"({below})\n* on (facility, indicator) group_left (plan) {target}"
    over = f"{series(metrics.DEADLINE, 'indicator', 'plan')} <= time()"
    description = (
        figures("target", "missing", "deadline", "verdict")
        + f"{NAME}, {INDICATOR}: {SHARE}.\n{TARGET}\n"
        + f"Chưa đạt từ {say('moment')}."
        + HELD
    )
    made = partial(
        Alert,
        "IndicatorBelowTarget",
        description=description,
        page=_PAGE,
        labels=_PAIR,
        dropped=_AGAINST_PLAN,
        annotations=_PLAN,
    )
    yield made(expression=against, severity="warning", summary=f"{NAME}: {INDICATOR} chưa đạt chỉ tiêu")
    yield made(
        expression=f"{against}\nand on (indicator, plan) {over}",
        severity="critical",
        summary=f"{NAME}: {INDICATOR} đã quá hạn mà chưa đạt chỉ tiêu",
    )


def _falling(thresholds: Alerts, catalogue: Catalogue) -> Alert:
    fall = (
        f"{series(metrics.PREVIOUS, *_PAIR)}\n- on (facility, indicator)\n{series(metrics.RATIO, *_PAIR, where=_MONTH)}"
    )
    bases = [
        f"and on (facility, indicator) ({indented(_large(family, where, catalogue))})"
        for family, where in ((metrics.DENOMINATOR, 'window="30d"'), (metrics.PREVIOUS_DENOMINATOR, ""))
    ]
    judged = f"and on (facility, indicator) {series(metrics.VERDICT, *_PAIR)} >= {Verdict.NO_TARGET.value}"
    points = number(thresholds.falling_points / 100)
    return Alert(
        name="IndicatorFalling",
        expression="\n".join([f"({indented(fall)}) >= {points}", *bases, judged]),
        severity="warning",
        summary=f"{NAME}: {INDICATOR} giảm mạnh so với 30 ngày trước đó",
        description=figures("before", "base_before")
        + f"{NAME}, {INDICATOR}: {SHARE}.\n"
        + f"30 ngày trước đó đạt {say('points', '$before')} % trên {say('count', '$base_before')} {UNIT}: "
        + f"giảm {say('points')} điểm phần trăm.",
        page=_PAGE,
        labels=_PAIR,
    )


def _large(family: metrics.Family, where: str, catalogue: Catalogue) -> str:
    """The pairs whose base is not a small number, each by its measure's `min_base`."""
    by_base: dict[int, list[str]] = {}
    for code, one in catalogue.indicators.items():
        by_base.setdefault(catalogue.measures[one.measure].min_base, []).append(code)
    usual = max(by_base, key=lambda base: len(by_base[base]))
    others = "|".join(code for base, codes in by_base.items() if base != usual for code in codes)
    found = []
    for base, codes in by_base.items():
        chosen = f'indicator!~"{others}"' if base == usual else f'indicator=~"{"|".join(codes)}"'
        found.append(f"{series(family, *_PAIR, where=_matchers(where, chosen))} >= {base}")
    return "\nor\n".join(found)


def _matchers(*texts: str) -> str:
    return "{" + ",".join(text for text in texts if text) + "}"


def _off_the_road(thresholds: Alerts) -> Alert:
    """Behind the road at every look of the last days; where no verdict could be given, a look counts for nothing."""
    days = thresholds.off_road_days * 86400
    road = metrics.ROAD.name
    gap = (
        f"{series(metrics.ROAD, *_PAIR, 'plan')}\n"
        f"- on (facility, indicator) group_left ()\n"
        f"{series(metrics.RATIO, *_PAIR, where=_MONTH)}\n"
        f"and on (facility, indicator) {metrics.VERDICT.name} >= {Verdict.BELOW.value}"
    )
    step, points = duration(days / _LOOKS), number(thresholds.off_road_points / 100)
    expression = (
        f"min_over_time(({indented(gap)})[{duration(days)}:{step}]) >= {points}\n"
        # the road was there already when the days began, and is still the one that binds
        f"and on (facility, indicator, plan) present_over_time({road}[{duration(2 * days / _LOOKS)}:{step}] "
        f"offset {duration(days)})\n"
        f"and on (facility, indicator, plan) {road}\n"
        # whoever is back needs not wait for the next look
        f"unless on (facility, indicator, plan) ({indented(gap)}) < {points}"
    )
    return Alert(
        name="OffTheRoad",
        expression=expression,
        severity="warning",
        summary=f"{NAME}: {INDICATOR} chậm so với lộ trình",
        description=figures("target", "missing", "deadline", "road")
        + f"{NAME}, {INDICATOR}: {SHARE}"
        + f"{{{{ if ge $road 0.0 }}}}; theo lộ trình, đến hôm nay phải đạt {say('points', '$road')} %{{{{ end }}}}.\n"
        + f"Chậm ít nhất {say('points')} điểm phần trăm trong suốt "
        + f"{spoken(thresholds.off_road_days)} ngày qua.\n{TARGET}",
        page=_PAGE,
        labels=_PAIR,
        dropped=_AGAINST_PLAN,
        annotations=_PLAN,
    )


def _unmapped(thresholds: Alerts, catalogue: Catalogue) -> Alert:
    """Against the largest base that the indicators of the measure have; not where numbers are small."""
    verdict = metrics.VERDICT.name
    base = (
        f"{series(metrics.DENOMINATOR, *_PAIR, where=_MONTH)}\n"
        # a verdict on enough cases, or none because the classification is what is missing
        f"and on (facility, indicator) ({verdict} == {Verdict.UNKNOWN.value} or {verdict} >= {Verdict.NO_TARGET.value})"
    )
    of_measure = {"|".join(code for code, _ in catalogue.indicators_of(one)): one for one in catalogue.measures}
    base = replaced(base, "measure", "indicator", {codes: one for codes, one in of_measure.items() if codes})
    expression = (
        f"{series(metrics.SOURCE_UNMAPPED, *_SOURCE)}\n"
        f"> on (facility, measure) group_left ()\n"
        f"{number(thresholds.unmapped_percent / 100)} * max by (facility, measure) ({indented(base)})"
    )
    measure = "“{{ $labels.title }}”"
    return Alert(
        name="CategoriesUnmapped",
        expression=expression,
        severity="warning",
        summary=f"{NAME}: nguồn {SOURCE} có giá trị chưa khai báo ở {measure}",
        description=f"{NAME}, nguồn {SOURCE}: {say('count')} ca trong 30 ngày của {measure} "
        f"mang giá trị chưa được khai báo, quá {spoken(thresholds.unmapped_percent)} % số ca tính được. "
        "Các ca này chưa được tính vào tỷ lệ nào.",
        page="/facilities/{{ $labels.facility }}",
        labels=_SOURCE,
    )


def _finding() -> Alert:
    # What stands still has an alert of its own, by source.
    found = series(metrics.FINDING, *_PAIR, "finding", where='{finding!="stands_still"}')
    what = "{{ $labels.finding_title }}"
    return Alert(
        name="DataQualityFinding",
        expression=replaced(f"{found} == 1", "finding_title", "finding", FINDINGS, "$1"),
        severity="warning",
        summary=f"{NAME}: {INDICATOR}: {what}",
        description=figures() + f"{NAME}, {INDICATOR}: {what}.\n" + f"Hiện {SHARE}. Bằng chứng ở trang của cơ sở.",
        page=_PAGE,
        labels=(*_PAIR, "finding"),
        dropped=("finding_title",),
    )
