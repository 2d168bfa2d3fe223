"""The exported Prometheus metrics: names, labels, meanings (contract.md, "Prometheus metrics")."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """One metric. All are gauges; counters of the collector's own work are prometheus_client's."""

    name: str
    labels: tuple[str, ...]
    help: str


_INDICATOR = ("facility", "indicator")
RATIO = Family("nhipso_indicator_ratio", (*_INDICATOR, "window"), "Share of adopted cases, 0 to 1.")
NUMERATOR = Family("nhipso_indicator_numerator", (*_INDICATOR, "window"), "Adopted cases behind the ratio.")
DENOMINATOR = Family("nhipso_indicator_denominator", (*_INDICATOR, "window"), "Cases in the base of the ratio.")
KNOWN = Family("nhipso_indicator_known_ratio", _INDICATOR, "Base over base plus unknown, 30 days.")
COMPLETENESS = Family("nhipso_indicator_completeness_ratio", _INDICATOR, "Days with data over days expected, 30 days.")
AS_OF = Family(
    "nhipso_indicator_as_of_timestamp_seconds",
    _INDICATOR,
    "Start of the last day in the figures of the 30 days; where there are none, of the last day ever told.",
)
VERDICT = Family(
    "nhipso_indicator_verdict",
    _INDICATOR,
    "0 not_applicable, 1 no_data, 2 unknown, 3 insufficient, 4 no_target, 5 below, 6 near, 7 met; of the 30 days.",
)
PREVIOUS = Family("nhipso_indicator_previous_ratio", _INDICATOR, "Share of the 30 days before the 30 days.")
PREVIOUS_DENOMINATOR = Family("nhipso_indicator_previous_denominator", _INDICATOR, "Cases behind the previous ratio.")
BELOW_SINCE = Family(
    "nhipso_indicator_below_since_timestamp_seconds",
    _INDICATOR,
    "Since when below target, 0 when not; kept in silence.",
)
MISSING = Family("nhipso_indicator_missing", _INDICATOR, "Cases missing to the target, 30 days.")
TARGET = Family("nhipso_target_ratio", (*_INDICATOR, "plan"), "What the facility is held against.")
DEADLINE = Family(
    "nhipso_target_deadline_timestamp_seconds",
    ("indicator", "plan"),
    "End of the day by which the target is to be met.",
)
ROAD = Family(
    "nhipso_road_ratio", (*_INDICATOR, "plan"), "Where the road to the target says the share should be today."
)
SAID = Family(
    "nhipso_indicator_said",
    (*_INDICATOR, "plan", "plan_until", "share", "target", "held", "than", "before", "road"),
    "1 where an alert may be due: what it says of the 30 days, in clauses (Vietnamese).",
)
_SCOPE = ("scope", "name", "indicator")
SCOPE_RATIO = Family(
    "nhipso_scope_ratio", (*_SCOPE, "window", "unit"), "Pooled share of a province, an area or a level."
)
SCOPE_NUMERATOR = Family("nhipso_scope_numerator", (*_SCOPE, "window", "unit"), "Cases or facilities behind the ratio.")
SCOPE_DENOMINATOR = Family("nhipso_scope_denominator", (*_SCOPE, "window", "unit"), "Base of the ratio.")
SCOPE_TARGET = Family("nhipso_scope_target_ratio", (*_SCOPE, "window", "unit"), "What the scope is held against.")
SCOPE_VERDICT = Family("nhipso_scope_verdict", (*_SCOPE, "unit"), "Verdict on the 30 days, numbers as of a facility.")
SCOPE_FACILITIES = Family("nhipso_scope_facilities", (*_SCOPE, "verdict"), "How many facilities have a verdict.")
FINDING = Family("nhipso_finding", (*_INDICATOR, "finding"), "1 while a data-quality finding stands.")
CONFIRMATION = Family(
    "nhipso_confirmation", ("facility", "period", "state"), "1 for the state of a closed month: open, confirmed, ..."
)
CONFIRMATION_DUE = Family(
    "nhipso_confirmation_due_timestamp_seconds", ("facility", "period"), "By when a closed month is to be confirmed."
)
TALLY = Family("nhipso_tally", ("facility", "measure", "category"), "Cases of today.")
SOURCE_UP = Family("nhipso_source_up", ("facility", "source", "kind"), "1 when the last read of the source succeeded.")
SOURCE_READ = Family(
    "nhipso_source_read_timestamp_seconds", ("facility", "source", "kind"), "Last read of the source that succeeded."
)
SOURCE_NEWEST = Family(
    "nhipso_source_newest_day_timestamp_seconds", ("facility", "source", "kind"), "Start of the newest day with a case."
)
SOURCE_BEHIND = Family(
    "nhipso_source_behind",
    ("facility", "source", "kind"),
    "Days on which cases were expected since the newest day that has one.",
)
SOURCE_UNMAPPED = Family(
    "nhipso_source_unmapped", ("facility", "source", "measure"), "Cases in 30 days whose category no mapping knows."
)
SOURCE_DIFFERENCE = Family(
    "nhipso_source_check_difference_ratio",
    ("facility", "source", "measure"),
    "Cases of a check source over those of the owner, less 1, 30 days.",
)
FACILITY_INFO = Family(
    "nhipso_facility_info", ("facility", "name", "level", "ownership", "area"), "1 for every registered facility."
)
FACILITY_EXPECTED = Family(
    "nhipso_facility_expected_since_timestamp_seconds", ("facility",), "Since when data is expected of the facility."
)
FACILITY_PUSH = Family(
    "nhipso_facility_last_push_timestamp_seconds", ("facility",), "Last push that spoke for the facility, 0 if never."
)
AGENT_INFO = Family("nhipso_agent_info", ("agent", "version"), "1 for every agent.")
AGENT_PUSH = Family("nhipso_agent_last_push_timestamp_seconds", ("agent",), "Last push of the agent, 0 if never.")
AGENT_WAITING = Family("nhipso_agent_waiting", ("agent",), "Tallies that waited to be sent at the last push.")
AGENT_PARKED = Family("nhipso_agent_parked", ("agent",), "Tallies refused or put aside at the last push.")
AGENT_SKEW = Family("nhipso_agent_clock_skew_seconds", ("agent",), "Clock of the agent less that of the collector.")
AGENT_FACILITY = Family("nhipso_agent_facility", ("agent", "facility"), "1 for every facility an agent speaks for.")

OF_FACILITY = (
    *(RATIO, NUMERATOR, DENOMINATOR, PREVIOUS, PREVIOUS_DENOMINATOR, KNOWN, COMPLETENESS),
    *(VERDICT, BELOW_SINCE, MISSING, AS_OF, TARGET, ROAD, SAID, TALLY),
    *(SOURCE_UP, SOURCE_READ, SOURCE_NEWEST, SOURCE_BEHIND, SOURCE_UNMAPPED, SOURCE_DIFFERENCE),
    *(FACILITY_INFO, FACILITY_EXPECTED, FACILITY_PUSH, CONFIRMATION, CONFIRMATION_DUE, FINDING),
)
OF_SCOPE = (SCOPE_RATIO, SCOPE_NUMERATOR, SCOPE_DENOMINATOR, SCOPE_TARGET, SCOPE_VERDICT, SCOPE_FACILITIES, DEADLINE)
OF_AGENT = (AGENT_INFO, AGENT_FACILITY, AGENT_PUSH, AGENT_WAITING, AGENT_PARKED, AGENT_SKEW)
