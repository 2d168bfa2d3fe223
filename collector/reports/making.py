"""The process that makes one report: its order comes in as a pickle, the file or a sentence goes out as one.

A process of its own can be killed at its deadline, and takes neither the memory nor the time of the server's.
"""

import os
import pickle
import sys
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from collector import reports
from collector.letterhead import Letterhead
from collector.reports import periods
from collector.store import Store
from collector.thresholds import Confirmation
from collector.yardstick import Yardstick
from contract.errors import NhipsoError

# Pages and pushes go first.
_NICENESS = 10


@dataclass(frozen=True, slots=True)
class Order:
    """All that a report is made from; `database`: as in Settings."""

    database: str
    yardstick: Yardstick
    rules: Confirmation
    letterhead: Letterhead
    period: str
    facility: str | None
    format: reports.Format
    moment: datetime


@dataclass(frozen=True, slots=True)
class Made:
    """The report's file."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """Why there is none, in our own words."""

    problem: str


def make(order: Order) -> Made | Refused:
    """The report."""
    store = Store(order.database)
    try:
        with store.read() as connection:
            drawn = reports.draw_up(
                connection, order.yardstick, order.rules, order.letterhead, periods.named(order.period),
                order.facility, order.moment,
            )  # fmt: skip
        return Made(reports.file_name(drawn, order.format), reports.write(drawn, order.format))
    except NhipsoError as error:
        return Refused(str(error))
    finally:
        store.close()


def main() -> None:
    """Read the order, make the report, and end; also when the server has ended before."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # whatever a library prints is no answer
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    order = pickle.load(sys.stdin.buffer)  # noqa: S301 (our own parent)  # nosec B301
    threading.Thread(target=_end_with, args=(sys.stdin.buffer,), daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    with answers:
        pickle.dump(make(order), answers)
    os._exit(0)  # the thread that waits for the server still holds stdin


def _end_with(parent: BinaryIO) -> None:
    parent.read()
    os._exit(1)
