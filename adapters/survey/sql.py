"""Kind `survey.sql`: answers on a scale of 1 to 5 in a SQL database, by the hospital's queries.

What a query returns as `category` may be the number or the words of the scale (QĐ 3869 and 56/QĐ-BYT); anything else
is `unknown`. A `categories` table in agent.toml goes before the scale.
"""

from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from typing import Any

from adapters.queries import SqlAdapter
from contract.adapter import Adapter, SourceConfig
from contract.catalogue import Catalogue

MEASURES = ("satisfaction", "procedure_opinions")
SCALE: Mapping[str, tuple[str, ...]] = {
    "satisfied": ("5", "4", "Rất hài lòng", "Rất tốt", "Hài lòng", "Tốt"),
    "neutral": ("3", "Bình thường", "Trung bình", "Trung lập"),
    "dissatisfied": ("2", "1", "Không hài lòng", "Kém", "Rất không hài lòng", "Rất kém"),
}


def adapter(config: SourceConfig, catalogue: Catalogue) -> Adapter:
    """Read the source that `config` names. Raises ConfigError with every problem of its table."""
    scaled = replace(config, options={**config.options, **_with_scale(config.options)})
    return SqlAdapter(scaled, catalogue, resources.files("adapters.survey").joinpath("vendors"))


def _with_scale(options: Mapping[str, Any]) -> dict[str, Any]:
    """`queries` with the scale laid under the mapping of each; what is no table is left for SqlAdapter to name."""
    queries = options.get("queries")
    if not isinstance(queries, dict):
        return {}
    words = {word: code for code, words in SCALE.items() for word in words}
    return {
        "queries": {
            name: {**table, "categories": {**words, **table.get("categories", {})}}
            if isinstance(table, dict)
            and table.get("measure", name) in MEASURES
            and isinstance(table.get("categories", {}), dict)
            else table
            for name, table in queries.items()
        }
    }
