"""`python -m tests.soak.agent_month CONFIG DAYS POLLS`: an agent that polls, pushes and has its nights.

Everything is the agent's own but the reader, which works in this process instead of one of its own that ends: what it
would leave behind is seen here too. A line of JSON after each day: bytes of memory, and of the ledger on disk.
"""

import json
import sqlite3
import sys
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import click

from agent.app import Agent, start
from agent.poll import Poller, Wish
from agent.pusher import known_catalogue
from agent.settings import load
from contract.days import LOCAL, local_day, now
from tests.faults.site import InPlace
from tests.soak.measuring import memory, size


def main(config: Path, days: int, polls: int) -> None:
    """The last `days` days until today."""
    settings = load(config)
    agent = start(settings, now())
    agent.poller = Poller(settings, agent.disk, InPlace())
    first = local_day(now()) - timedelta(days=days - 1)
    with closing(agent), closing(sqlite3.connect(config.parent / "his.sqlite")) as source:
        for number in range(days):
            midnight = datetime.combine(first + timedelta(days=number), datetime.min.time(), LOCAL)
            for poll in range(polls):
                moment = midnight + timedelta(days=1) * (poll + 0.5) / polls
                with source:
                    source.execute("INSERT INTO checkins VALUES ('x', ?, 'QR')", [f"{moment:%Y-%m-%d %H:%M:%S}"])
                turn(agent, moment, is_night=poll == 0)
            click.echo(json.dumps({"memory": memory(), "disk": size(settings.data_dir)}))
            sys.stdout.flush()


def turn(agent: Agent, moment: datetime, is_night: bool) -> None:
    """One poll and its push; at night the deep read, the comparison and the clearing too."""
    for source in agent.settings.sources:
        wish = Wish(deep=is_night)
        agent.poller.poll(source, agent.kinds[source.name], known_catalogue(agent.settings), moment, wish)
    agent.pusher.push(agent.kinds)
    if is_night:
        agent.pusher.reconcile(local_day(moment))
        agent.ledger.prune(local_day(moment))
        agent.sources.prune(local_day(moment))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
