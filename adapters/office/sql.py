"""Kind `office.sql`: a document system (quản lý văn bản và điều hành) by the hospital's own queries."""

from importlib import resources

from adapters.queries import SqlAdapter
from contract.adapter import Adapter, SourceConfig
from contract.catalogue import Catalogue


def adapter(config: SourceConfig, catalogue: Catalogue) -> Adapter:
    """Read the source that `config` names. Raises ConfigError with every problem of its table."""
    return SqlAdapter(config, catalogue, resources.files("adapters.office").joinpath("vendors"))
