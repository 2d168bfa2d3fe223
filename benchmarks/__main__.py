"""`make bench`: every benchmark with its peer, as one table and as benchmarks/results.json (contract, "Commands").

With names of programs, those only: `python -m benchmarks standings growth`.
"""

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.progress import track

from benchmarks.folders import show

PROGRAMS = (
    *("his_sql", "bhyt_xml", "einvoice_xml", "agent_weight", "ingest", "ingest_postgresql", "catch_up"),
    *("standings", "exposition", "end_to_end", "growth", "portal", "rules"),
)
_RESULTS = Path(__file__).parent / "results.json"


def main(names: list[str]) -> str | None:
    """Run these, each in a process of its own, and show all; returns which could not be run."""
    rows: list[dict[str, Any]] = []
    failed = {}
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        for name in track(names, "Đo"):
            try:
                rows += pool.submit(_rows, name).result()
            except Exception as error:  # the others have taken half an hour, or will
                failed[name] = error
            _RESULTS.write_text(json.dumps(rows, ensure_ascii=False, indent=2) + "\n", "utf-8")
    show(rows)
    return "".join(f"{name}: {error!r}\n" for name, error in failed.items()) or None


def _rows(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = import_module(f"benchmarks.{name}").run()
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(PROGRAMS)))
