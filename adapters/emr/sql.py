"""Kind `emr.sql`: any EMR with a SQL database, by a vendor file or by queries of the hospital's own."""

from importlib import resources

from adapters.queries import SqlAdapter
from contract.adapter import Adapter, SourceConfig
from contract.catalogue import Catalogue


def adapter(config: SourceConfig, catalogue: Catalogue) -> Adapter:
    """Read the source that `config` names. Raises ConfigError with every problem of its table."""
    return SqlAdapter(config, catalogue, resources.files("adapters.emr").joinpath("vendors"))
