"""Alerts on the figures themselves: below target, falling, off the road, unclassified, of doubtful quality."""

from collections.abc import Iterator, Sequence

from contract import findings, metrics
from contract.catalogue import Catalogue
from contract.plan import Plan
from contract.verdict import Verdict
from dashboards.alerts_figures import MONTH, PAIR, before, counted, figures, held, said, sentence, share, target, tenths
from dashboards.alerts_shape import Alert, Severity, begun, duration, indented, number, replaced, series, spoken
from dashboards.alerts_words import MOMENT, NAME, SOURCE, say
from dashboards.settings import Alerts

_SOURCE = ("facility", "source", "measure")
_FINDING = (*PAIR, "finding")
_PAGE = "/facilities/{{ $labels.facility }}#{{ $labels.indicator }}"
_TITLE = "{name}: “{title}” "
_TEXT = "{name}, “{title}”: {said}"
# ^ 0: the target lends its label, not its value
_TARGET = f"{series(metrics.TARGET, *PAIR, 'plan')} ^ 0"
_VERDICT = series(metrics.VERDICT, *PAIR)
# How many times the gap to the road is looked at in the days of `off_road_days`.
_LOOKS = 7


def alerts(thresholds: Alerts, catalogue: Catalogue, plans: Sequence[Plan]) -> Iterator[Alert]:
    """In the order in which people should read them; `plans`: those whose words are known."""
    yield from _below(thresholds, catalogue, plans)
    yield _falling(thresholds, catalogue, plans)
    yield _off_the_road(thresholds, catalogue, plans)
    yield _unmapped(thresholds, catalogue)
    yield _finding(thresholds, catalogue)


def _below(thresholds: Alerts, catalogue: Catalogue, plans: Sequence[Plan]) -> Iterator[Alert]:
    """A warning, and beside it a critical one from the deadline on.

    The warning goes on under the critical one (which inhibits it): if it ended, the deadline would look like recovery.
    """
    below = f"({series(metrics.BELOW_SINCE, *PAIR)} > 0) <= time() - {number(thresholds.below_hours * 3600)}"
    against = f"({below})\n* on (facility, indicator) group_left (plan) {_TARGET}"
    over = f"{series(metrics.DEADLINE, 'indicator', 'plan')} <= time()"
    late = f"{against}\nand on (indicator, plan) {over}"
    cases: tuple[tuple[Severity, str, str], ...] = (
        ("warning", against, "chưa đạt chỉ tiêu"),
        ("critical", late, "đã quá hạn mà chưa đạt chỉ tiêu"),
    )
    for severity, expression, summary in cases:
        found = figures(f"({indented(expression)})", catalogue, "missing", sure=["target", "verdict"])
        found = held(target(share(found), plans))
        yield Alert(
            "IndicatorBelowTarget",
            said(found, "share_said", "stop", "target_said", "held_said"),
            severity,
            summary=_TITLE + summary,
            description=_TEXT,
            further=f"\nChưa đạt từ {MOMENT}.",
            page=_PAGE,
            labels=PAIR,
            in_labels=True,
            of_plan=True,
        )


def _falling(thresholds: Alerts, catalogue: Catalogue, plans: Sequence[Plan]) -> Alert:
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
    target_or_none = f"{_TARGET}\nor on (facility, indicator)\n{_VERDICT} ^ 0"
    bound = f"({indented(expression)})\n* on (facility, indicator) group_left (plan) ({indented(target_or_none)})"
    found = figures(bound, catalogue, "target", "missing", sure=["before", "base_before", "fall"])
    return Alert(
        name="IndicatorFalling",
        expression=said(before(target(share(found), plans)), "share_said", "stop", "before_said", "target_said"),
        severity="warning",
        summary=_TITLE + "giảm mạnh so với {than?}",
        description=_TEXT,
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


def _off_the_road(thresholds: Alerts, catalogue: Catalogue, plans: Sequence[Plan]) -> Alert:
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
    found = target(share(figures(late, catalogue, "target", "missing", sure=["road"])), plans)
    found = sentence(found, "road_said", "; theo lộ trình, đến hôm nay phải đạt {road} %")
    days_said = spoken(thresholds.off_road_days)
    found = sentence(found, "late_said", f".\nChậm ít nhất {{late}} điểm phần trăm trong suốt {days_said} ngày qua.")
    return Alert(
        name="OffTheRoad",
        expression=said(found, "share_said", "road_said", "late_said", "target_said"),
        severity="warning",
        summary=_TITLE + "chậm so với lộ trình",
        description=_TEXT,
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


def _finding(thresholds: Alerts, catalogue: Catalogue) -> Alert:
    # What stands still has an alert of its own, by source.
    told = series(metrics.FINDING, *_FINDING, where='{finding!="stands_still"}')
    expression = begun("DataQualityFinding", f"{told} == 1", told, *_FINDING, silent_hours=thresholds.silent_hours)
    found = share(figures(f"({indented(expression)})", catalogue))
    found = replaced(found, "what", "finding", {code: one.vi.lower() for code, one in findings.WORDS.items()}, "$1")
    clauses = {code: f"{one.clause}.\nHiện " for code, one in findings.WORDS.items()}
    found = replaced(found, "clause", "finding", clauses, "$1.\nHiện ")
    return Alert(
        name="DataQualityFinding",
        expression=said(found, "clause", "share_said", "stop"),
        severity="warning",
        summary="{name}: “{title}”: {what}",
        description=_TEXT + " Bằng chứng ở trang của cơ sở.",
        page=_PAGE,
        labels=_FINDING,
        in_labels=True,
    )
