"""`make bench`: every benchmark with its peer, as one table and as benchmarks/results.json (contract, "Commands").

With names of programs, those only: `python -m benchmarks standings growth`.
"""

import json
import sys
from pathlib import Path
from typing import Any

from rich.progress import track

from benchmarks.folders import show
from benchmarks.processes import rows_of

PROGRAMS = (
    *("his_sql", "bhyt_xml", "einvoice_xml", "agent_weight", "ingest", "ingest_postgresql", "catch_up"),
    *("standings", "exposition", "end_to_end", "growth", "portal", "rules"),
)
_RESULTS = Path(__file__).parent / "results.json"


def main(names: list[str]) -> str | None:
    """Run these, each in a process of its own, and show all; returns which could not be run."""
    rows: list[dict[str, Any]] = []
    failed = {}
    for name in track(names, "Đo"):
        try:
            rows += rows_of(name)
        except Exception as error:  # the others have taken half an hour, or will
            failed[name] = error
        _RESULTS.write_text(json.dumps(rows, ensure_ascii=False, indent=2) + "\n", "utf-8")
    if rows:
        show(rows)
    return "".join(f"{name}: {error!r}\n" for name, error in failed.items()) or None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(PROGRAMS)))
