"""The keys of a source's table that are its kind's own, checked whole."""

from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from contract.adapter import SourceConfig
from contract.errors import ConfigError
from contract.problems import sentences

Options = TypeVar("Options", bound=BaseModel)


def options_of(config: SourceConfig, model: type[Options]) -> Options:
    """The source's own options as `model`. Raises ConfigError with a sentence for each mistake."""
    try:
        return model.model_validate(dict(config.options))
    except ValidationError as error:
        raise ConfigError(sentences(config.place, error, lambda place: _keys(model, place))) from None


def _keys(model: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    """The keys that are offered where `place` names one that is not."""
    for name in place[:-1]:
        field = model.model_fields.get(str(name))
        inner = field.annotation if field else None
        model = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else model
    return list(model.model_fields)
