"""Prometheus and Alertmanager over the demo's collector, with the boards, rules and routes that are built for it."""

import shutil

from demo.children import Children
from demo.config import dashboards_toml, prometheus_yml
from demo.running import Running, reserve

# Who tries a demo does not wait for a day.
SOON = """
[alerts]
below_hours = 0.02
settle_minutes = 1
interval_seconds = 5

[delivery]
collector_interval_seconds = 5
"""
_SCRAPE_SECONDS = 5
_PROGRAMS = {"prometheus": ("prometheus",), "alertmanager": ("prometheus-alertmanager", "alertmanager")}


class Watch:
    """Whichever of the two is installed runs; the boards are built in any case.

    `more`: dashboards.toml after its first table. Alerts go to the collector, and to nobody else unless `more` says so.
    """

    def __init__(
        self, running: Running, children: Children, more: str = SOON, scrape_seconds: float = _SCRAPE_SECONDS
    ) -> None:
        home = running.province.directory
        self.directory = home / "dashboards"
        self._running = running
        self._children = children
        self._held = {"prometheus": reserve([9090, 0]), "alertmanager": reserve([9093, 0])}
        self._build(more)
        collector, alertmanager = running.address.removeprefix("http://"), self._listen("alertmanager")
        (self.directory / "prometheus.yml").write_text(prometheus_yml(collector, alertmanager, scrape_seconds), "utf-8")
        self.alertmanager = self._start(
            "alertmanager",
            f"--config.file={self.directory / 'alertmanager' / 'alertmanager.yml'}",
            f"--storage.path={home / 'alertmanager-data'}",
            "--cluster.listen-address=",
            "--data.retention=336h",
        )
        """Its address; None where it is not installed."""
        self.prometheus = self._start(
            "prometheus",
            f"--config.file={self.directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={home / 'prometheus-data'}",
            "--storage.tsdb.retention.time=400d",
        )
        """Its address; None where it is not installed."""

    @property
    def grafana(self) -> str:
        """A line that starts a Grafana with the boards."""
        return f"GF_PATHS_PROVISIONING={self.directory / 'grafana' / 'provisioning'} grafana server"

    def close(self) -> None:
        """Give the ports back; the programs are ended by who started them."""
        for held in self._held.values():
            held.close()

    def _build(self, more: str) -> None:
        self.directory.mkdir()
        config, running = self.directory / "dashboards.toml", self._running
        prometheus = f"http://{self._listen('prometheus')}"
        facilities = running.province.facilities_csv
        text = dashboards_toml(running.address, prometheus, self.directory, facilities, running.plans, more)
        config.write_text(text, "utf-8")
        self._children.run("dashboards", "--config", str(config), "build", str(self.directory))

    def _start(self, name: str, *options: str) -> str | None:
        program = _found(name)
        if program is None:
            return None
        self._children.launch(name, program, *options, f"--web.listen-address={self._listen(name)}")
        return f"http://{self._listen(name)}"

    def _listen(self, name: str) -> str:
        return f"127.0.0.1:{self._held[name].getsockname()[1]}"


def _found(name: str) -> str | None:
    return next((found for program in _PROGRAMS[name] if (found := shutil.which(program))), None)
