"""What the routes of one collector share."""

from dataclasses import dataclass

from fastapi import Request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from collector.access import Access
from collector.confirmations import Confirmations
from collector.exposition import Exposition
from collector.people import People
from collector.province import Province
from collector.settings import Settings
from collector.sso import Provider
from collector.store import Store
from collector.yardstick import Yardstick
from contract.catalogue import Catalogue


class Meters:
    """The collector's own metrics, of this process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        route = ["method", "route", "status"]
        self.requests = Counter("nhipso_http_requests", "Requests answered.", route, registry=self.registry)
        self.seconds = Histogram(
            "nhipso_http_request_duration_seconds", "Time to answer.", route, registry=self.registry
        )
        self.tallies = Counter("nhipso_ingest_tallies", "Tallies judged.", ["result"], registry=self.registry)
        for result in ("accepted", "stale", "refused"):
            self.tallies.labels(result)  # there from the first scrape, so that the first one shows as a step
        self.render = Gauge(
            "nhipso_exposition_render_seconds", "Time to bring the pieces up to date.", registry=self.registry
        )
        self.heartbeat = Gauge(
            "nhipso_loop_heartbeat_timestamp_seconds", "Last turn of a loop.", ["loop"], registry=self.registry
        )
        self.period = Gauge(
            "nhipso_loop_period_seconds", "How often the loop should turn.", ["loop"], registry=self.registry
        )


@dataclass(frozen=True)
class Parts:
    """One collector, put together."""

    settings: Settings
    store: Store
    yardstick: Yardstick
    access: Access
    people: People
    province: Province
    confirmations: Confirmations
    exposition: Exposition
    meters: Meters
    sso: Provider | None
    """None: people log in by password alone."""

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue in force."""
        return self.yardstick.catalogue


def parts_of(request: Request) -> Parts:
    """The parts of the app that answers."""
    parts: Parts = request.app.state.parts
    return parts
