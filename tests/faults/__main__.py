"""`python -m tests.faults --kills 300 --seed 1`: `make faults`. Exit code 1: lost, invented, or no test."""

import signal
import sys
from threading import Event
from typing import get_args

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.faults.run import Result, run
from tests.faults.world import Database

_MOST_SHOWN = 50


@click.command()
@click.option("--kills", type=click.IntRange(1), default=300, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Decides everything that is left to chance.")
@click.option("--database", type=click.Choice(get_args(Database)), default="sqlite", show_default=True)
def main(kills: int, seed: int, database: Database) -> None:
    """Kill agents, readers, collector and database; break the line; compare what arrived with the truth.

    Ctrl-C ends the killing; what was done so far is judged.
    """
    console, ended = Console(stderr=True), Event()
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, lambda *_: ended.set())
    console.print(f"seed={seed} database={database}")
    columns = (TextColumn("kills"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=kills)

        def goes_on(killed: int) -> bool:
            progress.update(task, completed=killed)
            if not console.is_terminal:
                console.print(f"kills={killed}")
            return not ended.is_set()

        result = run(kills, seed, database, goes_on)
    _tell(console, result, seed)
    click.echo(str(result))
    sys.exit(0 if result.is_good else 1)


def _tell(console: Console, result: Result, seed: int) -> None:
    console.print("killed:", result.kills, "· line:", result.faults, "· ended by themselves:", result.exits)
    if not result.is_good:
        console.print(f"seed={seed} does not hold")
        for one in [*result.differences, *result.broken][:_MOST_SHOWN]:
            console.print(one)
        if result.not_a_test:
            console.print(f"not a test: {result.not_a_test}")


if __name__ == "__main__":
    main()
