"""`python -m tests.upgrades.record`: keeps what agent and collector of this version say to each other.

Real bodies: the agent's own push, the collector's own answers. Written to tests/fixtures/wire/VERSION before that
version is released, and never again.
"""

import json
import tempfile
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from collector import api
from contract import __version__
from contract.days import DayRange, local_day
from tests.faults.site import Site
from tests.office import NOON, Office

WIRE = Path(__file__).parent.parent / "fixtures" / "wire"


def main() -> None:
    """A day of a hospital."""
    target = WIRE / __version__
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nhipso-") as directory:
        office = Office(f"sqlite:///{directory}/store.sqlite", Path(directory))
        with closing(office.store):
            site = Site(Path(directory), office, local_day(NOON))
            site.change(DayRange.ending(local_day(NOON), 3))
            site.poll(NOON)
            site.push(NOON)
            ack = site.line.deliver(site.line.bodies[0])
            parts = cast(Any, SimpleNamespace(store=office.store))
            digests = api.get_digests(parts, site.line._speaker, local_day(NOON), local_day(NOON))
            said = {
                "push": json.loads(site.line.bodies[0]),
                "ack": ack.model_dump(mode="json", by_alias=True),
                "catalogue": office.catalogue.model_dump(mode="json"),
                "digests": digests.model_dump(mode="json"),
            }
            site.close()
    for name, body in said.items():
        (target / f"{name}.json").write_text(json.dumps(body, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
