"""PromQL that several panels share. `$…` are the boards' variables."""

HERE = 'nhipso_facility_info{area=~"$area", level=~"$level", facility=~"$facility"}'
"""The facilities that the reader has chosen, by area, level and name."""
PROVINCE = 'scope="province"'


def named(expression: str) -> str:
    """`expression` (labelled facility) for the chosen facilities, with their names."""
    return f"(({expression}) * on (facility) group_left (name, area) {HERE})"


def chosen(expression: str) -> str:
    """`expression` (labelled facility) for the chosen facilities."""
    return f"(({expression}) and on (facility) {HERE})"


def counted(expression: str, there: str = "nhipso_facility_info") -> str:
    """How many series `expression` has; 0 only where `there` has series, for nothing known is not nothing there."""
    return f"count({expression}) or 0 * count({there})"


def held(figure: str, selector: str, scopes: str = PROVINCE) -> str:
    """A scope's figure in the unit its target is in: of facilities where the plan counts facilities, else of cases.

    `figure`: ratio, numerator, denominator, verdict (of 30 days, it has no window); `scopes`: matchers of their labels.
    """
    window = "" if figure == "verdict" else ', window="30d"'
    cases, facilities = (
        f'nhipso_scope_{figure}{{{scopes}, {selector}{window}, unit="{unit}"}}' for unit in ("cases", "facilities")
    )
    where = by_facilities(selector, scopes)
    return f"(({facilities} and on (name, indicator) {where}) or on (name, indicator) {cases})"


def by_facilities(selector: str, scopes: str = PROVINCE) -> str:
    """The targets that count facilities."""
    return f'nhipso_scope_target_ratio{{{scopes}, {selector}, window="30d", unit="facilities"}}'


def with_target(expression: str, selector: str) -> str:
    """`expression` (labelled indicator, unit), where the province has a target, with `target` and `of` as words.

    A target is read off its series, so a plan that changes changes the board without a new build.
    """
    series = f'nhipso_scope_target_ratio{{scope="province", {selector}, window="30d"}}'
    target = f'count_values by (indicator, unit) ("target", round(100 * {series}, 0.1))'
    joined = f"({expression}) * on (indicator, unit) group_left (target) {target}"
    comma = f'label_replace({joined}, "target", "$1,$2", "target", "(\\\\d+)\\\\.(\\\\d+)")'
    return f'label_replace({comma}, "of", " số cơ sở", "unit", "facilities")'


def alerts(selector: str) -> str:
    """When the alerts that fire began, in seconds; the Watchdog always fires and is none."""
    firing = f'ALERTS{{alertstate="firing", alertname!="Watchdog"{selector}}}'
    return f'(ALERTS_FOR_STATE{{alertname!="Watchdog"{selector}}} and ignoring (alertstate) {firing})'


def milliseconds(expression: str) -> str:
    """A timestamp as Grafana reads one."""
    return f"1000 * ({expression})"
