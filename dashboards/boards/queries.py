"""PromQL that several panels share. `$…` are the boards' variables."""

HERE = 'nhipso_facility_info{area=~"$area", level=~"$level"}'
"""The facilities that the reader has chosen by area and level."""


def named(expression: str) -> str:
    """`expression` (labelled facility) for the chosen facilities, with their names."""
    return f"(({expression}) * on (facility) group_left (name, area) {HERE})"


def chosen(expression: str) -> str:
    """`expression` (labelled facility) for the chosen facilities."""
    return f"(({expression}) and on (facility) {HERE})"


def held(figure: str, selector: str) -> str:
    """A province's figure in the unit its target is in: of facilities where the plan counts facilities, else of cases.

    `figure`: ratio or verdict; a verdict is of 30 days and has no window.
    """
    window = "" if figure == "verdict" else ', window="30d"'
    of = f'scope="province", {selector}{window}'
    target = f'nhipso_scope_target_ratio{{scope="province", {selector}, window="30d", unit="facilities"}}'
    return (
        f'((nhipso_scope_{figure}{{{of}, unit="facilities"}} and on (indicator) {target})'
        f' or on (indicator) nhipso_scope_{figure}{{{of}, unit="cases"}})'
    )


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
