"""Reads of tables what can be read although some of it is wrong, so that rules can be held against the rest."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Place = tuple[int | str, ...]
"""Where a key stands: `("targets", 1, "overrides", 0, "ratio")`."""
_Model = TypeVar("_Model", bound=BaseModel)


def rest(
    model: type[_Model], content: Mapping[str, Any], error: ValidationError, stand_ins: Mapping[str, object]
) -> _Model | None:
    """`content` as `model` without the keys that `error` names; None when nothing is left to be read.

    A key that must be there has its value of `stand_ins`: what is said of that key must not be believed (`touches`).
    """
    kept = copy.deepcopy(dict(content))
    for one in error.errors(include_input=False, include_url=False, include_context=False):
        found = _innermost(kept, one["loc"])
        if found is None:
            return None
        table, key = found
        table.pop(key, None)
        if key in stand_ins and one["type"] != "extra_forbidden":
            table[key] = stand_ins[key]
    try:
        return model.model_validate(kept)
    except ValidationError:
        return None


def wrong(error: ValidationError) -> list[Place]:
    """Where keys of the model stand whose values cannot be read."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return [one["loc"] for one in found if one["type"] != "extra_forbidden"]


def touches(keys: Iterable[str], unread: Iterable[str]) -> bool:
    """Whether one of `keys` (dotted) is, holds, or lies in one that could not be read."""
    lost = [f"{one}." for one in unread]
    return any(f"{key}.".startswith(one) or one.startswith(f"{key}.") for key in keys for one in lost)


def _innermost(content: dict[str, Any], place: Place) -> tuple[dict[str, Any], str] | None:
    """The last table on the way to `place`, and the key in it; an entry of a list belongs to the list's key."""
    found = None
    current: Any = content
    for part in place:
        if isinstance(current, dict) and isinstance(part, str):
            found = current, part
            current = current.get(part)
        elif isinstance(current, list) and isinstance(part, int) and part < len(current):
            current = current[part]
        else:
            break
    return found
