"""`make bench`: every benchmark with its peer, as one table and as benchmarks/results.json (contract, "Commands")."""

import json
from importlib import import_module
from pathlib import Path

from rich.progress import track

from benchmarks.folders import show

PROGRAMS = (
    *("his_sql", "bhyt_xml", "einvoice_xml", "agent_weight", "ingest", "ingest_postgresql", "catch_up"),
    *("standings", "exposition", "end_to_end", "growth", "portal", "rules"),
)


def main() -> None:
    """Run all, then show all."""
    rows = [row for name in track(PROGRAMS, "Đo") for row in import_module(f"benchmarks.{name}").run()]
    show(rows)
    (Path(__file__).parent / "results.json").write_text(json.dumps(rows, ensure_ascii=False, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
