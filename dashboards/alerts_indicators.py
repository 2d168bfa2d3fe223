"""Alerts on the figures themselves: below target, falling, off the road, unclassified, of doubtful quality."""

from collections.abc import Iterator

from contract import findings, metrics
from contract.catalogue import Catalogue
from contract.verdict import Verdict
from dashboards.alerts_figures import MONTH, PAIR, clauses, counted, lines, tenths
from dashboards.alerts_shape import Alert, Severity, begun, duration, indented, number, replaced, series, spoken
from dashboards.alerts_words import MOMENT, NAME, SOURCE, say
from dashboards.settings import Alerts

_SOURCE = ("facility", "source", "measure")
_FINDING = (*PAIR, "finding")
_PAGE = "/facilities/{{ $labels.facility }}#{{ $labels.indicator }}"
_TITLE = "{name}: “{title}” "
_TEXT = "{name}, “{title}”: "
_VERDICT = series(metrics.VERDICT, *PAIR)
# How many times the gap to the road is looked at in the days of `off_road_days`.
_LOOKS = 7


def alerts(thresholds: Alerts, catalogue: Catalogue) -> Iterator[Alert]:
    """In the order in which people should read them."""
    yield from _below(thresholds)
    yield _falling(thresholds, catalogue)
    yield _off_the_road(thresholds)
    yield _unmapped(thresholds, catalogue)
    yield _finding(thresholds)


def _below(thresholds: Alerts) -> Iterator[Alert]:
    """A warning, and beside it a critical one from the deadline on.

    The warning goes on under the critical one (which inhibits it): if it ended, the deadline would look like recovery.
    """
    below = f"({series(metrics.BELOW_SINCE, *PAIR)} > 0) <= time() - {number(thresholds.below_hours * 3600)}"
    against = clauses(below, "plan", "plan_until", "share", "target", "held")
    over = f"{series(metrics.DEADLINE, 'indicator', 'plan')} <= time()"
    late = f"{against}\nand on (indicator, plan) {over}"
    cases: tuple[tuple[Severity, str, str], ...] = (
        ("warning", against, "chưa đạt chỉ tiêu"),
        ("critical", late, "đã quá hạn mà chưa đạt chỉ tiêu"),
    )
    for severity, expression, summary in cases:
        yield Alert(
            "IndicatorBelowTarget",
            lines(expression, "target", "held"),
            severity,
            summary=_TITLE + summary,
            description=_TEXT + "{share}.{target?}{held?}",
            further=f"\nChưa đạt từ {MOMENT}.",
            page=_PAGE,
            labels=PAIR,
            in_labels=True,
            of_plan=True,
        )


def _falling(thresholds: Alerts, catalogue: Catalogue) -> Alert:
    fall = f"{series(metrics.PREVIOUS, *PAIR)}\n- on (facility, indicator)\n{series(metrics.RATIO, *PAIR, where=MONTH)}"
    bases = [
        f"and on (facility, indicator) ({indented(_large(family, where, catalogue))})"
        for family, where in ((metrics.DENOMINATOR, 'window="30d"'), (metrics.PREVIOUS_DENOMINATOR, ""))
    ]
    judged = f"and on (facility, indicator) {_VERDICT} >= {Verdict.NO_TARGET.value}"
    points = number(thresholds.falling_points / 100)
    expression = begun(
        "IndicatorFalling",
        "\n".join([f"({indented(fall)}) >= {points}", *bases, judged]),
        _VERDICT,
        *PAIR,
        silent_hours=thresholds.silent_hours,
    )
    found = lines(clauses(expression, "share", "target", "than", "before"), "before", "target")
    return Alert(
        name="IndicatorFalling",
        expression=found,
        severity="warning",
        summary=_TITLE + "giảm mạnh so với {than?}",
        description=_TEXT + "{share}.{before?}{target?}",
        page=_PAGE,
        labels=PAIR,
        in_labels=True,
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
        found.append(f"{series(family, *PAIR, where=_matchers(where, chosen))} >= {base}")
    return "\nor\n".join(found)


def _matchers(*texts: str) -> str:
    return "{" + ",".join(text for text in texts if text) + "}"


def _off_the_road(thresholds: Alerts) -> Alert:
    """Behind the road at every look of the last days; where no verdict could be given, a look counts for nothing."""
    days = thresholds.off_road_days * 86400
    road = metrics.ROAD.name
    gap = (
        f"{series(metrics.ROAD, *PAIR, 'plan')}\n"
        f"- on (facility, indicator) group_left ()\n"
        f"{series(metrics.RATIO, *PAIR, where=MONTH)}\n"
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
    # a silent facility's share stands still while its road goes on
    expression = begun("OffTheRoad", expression, _VERDICT, *PAIR, silent_hours=thresholds.silent_hours)
    late = tenths("late", indented(expression), (*PAIR, "plan"))
    found = clauses(late, "plan_until", "share", "target", "road")
    return Alert(
        name="OffTheRoad",
        expression=lines(found, "target"),
        severity="warning",
        summary=_TITLE + "chậm so với lộ trình",
        description=_TEXT + "{share}; theo lộ trình, đến hôm nay phải đạt {road}.\n"
        f"Chậm ít nhất {{late}} điểm phần trăm trong suốt {spoken(thresholds.off_road_days)} ngày qua.{{target?}}",
        page=_PAGE,
        labels=PAIR,
        in_labels=True,
        of_plan=True,
    )


def _unmapped(thresholds: Alerts, catalogue: Catalogue) -> Alert:
    """Against the largest base that the indicators of the measure have; not where numbers are small."""
    verdict = metrics.VERDICT.name
    base = (
        f"{series(metrics.DENOMINATOR, *PAIR, where=MONTH)}\n"
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
        expression=counted(f"({indented(expression)})", "measure", catalogue.measures),
        severity="warning",
        summary=f"{NAME}: nguồn {SOURCE} có giá trị chưa khai báo ở {measure}",
        description=f"{NAME}, nguồn {SOURCE}: {say('count')} {{{{ $labels.unit }}}} trong 30 ngày của {measure} "
        f"mang giá trị chưa được khai báo, quá {spoken(thresholds.unmapped_percent)} % tổng số tính được. "
        "Phần này chưa được tính vào tỷ lệ nào.",
        page="/facilities/{{ $labels.facility }}",
        labels=_SOURCE,
        dropped=("unit",),
    )


def _finding(thresholds: Alerts) -> Alert:
    # What stands still has an alert of its own, by source.
    told = series(metrics.FINDING, *_FINDING, where='{finding!="stands_still"}')
    expression = begun("DataQualityFinding", f"{told} == 1", told, *_FINDING, silent_hours=thresholds.silent_hours)
    words = {code: one.vi.lower() for code, one in findings.WORDS.items()}
    found = replaced(clauses(expression, "share"), "what", "finding", words, "$1")
    found = replaced(found, "clause", "finding", {code: one.clause for code, one in findings.WORDS.items()}, "$1")
    return Alert(
        name="DataQualityFinding",
        expression=found,
        severity="warning",
        summary="{name}: “{title}”: {what}",
        description=_TEXT + "{clause}.\nHiện {share}. Bằng chứng ở trang của cơ sở.",
        page=_PAGE,
        labels=_FINDING,
        in_labels=True,
    )
