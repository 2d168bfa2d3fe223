"""The one door to grafana-foundation-sdk: its builders, and the models behind them."""

import warnings

with warnings.catch_warnings():
    # The SDK calls v1 boards deprecated as soon as they are imported. File provisioning reads v1 from Grafana 10 to 13;
    # v2 only the newest reads.
    warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
    from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, table, timeseries
    from grafana_foundation_sdk.builders import dashboard as builders
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models import common as options
    from grafana_foundation_sdk.models import dashboard as models
    from grafana_foundation_sdk.models.prometheus import PromQueryFormat

Property = models.DynamicConfigValue

__all__ = [
    "Builder",
    "JSONEncoder",
    "PromQueryFormat",
    "Property",
    "bargauge",
    "builders",
    "common",
    "models",
    "options",
    "prometheus",
    "stat",
    "table",
    "timeseries",
]
