"""`python -m tests.soak [--days 30] [--facilities 10] [--polls 96]`: the month, and what it took."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import click

from tests.soak.run import Figures, growth, run

_MIB = 2**20


def main() -> int:
    """1 when something has grown that should not."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("days", 30), ("facilities", 10), ("polls", 96)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="nhipso-soak-") as directory:
        found = run(Path(directory), asked.days, asked.facilities, asked.polls)
    for name in ("collector_memory", "collector_disk", "collector_wal", "agent_memory", "agent_disk"):
        taken = getattr(found, name)
        told = " ".join(f"{one / _MIB:.1f}" for one in taken[:: max(1, len(taken) // 10)])
        click.echo(f"{name:17} MiB: {told} … {taken[-1] / _MIB:.1f}   growth {growth(taken):+.1%}")
    click.echo(
        f"days={found.days} pushes={found.pushes} scrapes={found.scrapes} tallies={found.tallies} "
        f"logged={found.logged} bytes_a_tally={bytes_a_tally(found):.0f} backup_bytes={found.backup_bytes} "
        f"seconds={time.monotonic() - started:.0f}"
    )
    return 1 if max(growth(found.collector_memory), growth(found.agent_memory)) > 0.1 else 0


def bytes_a_tally(found: Figures) -> float:
    """What the collector's disk grew by, for each tally that was new: the log of corrections and indexes in it."""
    third = found.days // 3
    grown = found.collector_disk[-1] - found.collector_disk[third]
    return grown / (found.tallies * (found.days - 1 - third) / found.days)


if __name__ == "__main__":
    sys.exit(main())
