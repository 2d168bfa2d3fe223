"""The exported Prometheus metrics: names, labels, meanings (contract.md, "Prometheus metrics")."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
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
    "nhipso_indicator_as_of_timestamp_seconds", _INDICATOR, "Start of the last day in the figures of the 30 days."
)
TALLY = Family("nhipso_tally", ("facility", "measure", "category"), "Cases of today.")
SOURCE_UP = Family("nhipso_source_up", ("facility", "source", "kind"), "1 when the last read of the source succeeded.")
SOURCE_READ = Family(
    "nhipso_source_read_timestamp_seconds", ("facility", "source", "kind"), "Last read of the source that succeeded."
)
SOURCE_NEWEST = Family(
    "nhipso_source_newest_day_timestamp_seconds", ("facility", "source", "kind"), "Start of the newest day with a case."
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

OF_FACILITY = (
    *(RATIO, NUMERATOR, DENOMINATOR, KNOWN, COMPLETENESS, AS_OF, TALLY),
    *(SOURCE_UP, SOURCE_READ, SOURCE_NEWEST, SOURCE_UNMAPPED, SOURCE_DIFFERENCE),
    *(FACILITY_INFO, FACILITY_EXPECTED, FACILITY_PUSH),
)
OF_AGENT = (AGENT_INFO, AGENT_PUSH, AGENT_WAITING, AGENT_PARKED, AGENT_SKEW)
