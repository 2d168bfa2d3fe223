"""The catalogue: every measure, its categories, and the indicators made from them.

The package ships `catalogue.toml`; a Sở may lay an override file over it at the collector, table by table and
key by key. Agents fetch the result. Its digest names the version.
"""

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from contract import toml_file
from contract.errors import ConfigError
from contract.problems import sentences

UNKNOWN = "unknown"
Cadence = Literal["daily", "working", "monthly", "quarterly", "yearly"]
Level = Literal["province", "regional", "commune_station", "clinic", "department"]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    vi: str = Field(min_length=1)
    en: str = Field(min_length=1)


class Category(_Entry):
    """One answer to the question that a measure asks of each case."""


class Measure(_Entry):
    """What is counted. A case belongs to the local day of the time that `day_vi` / `day_en` names."""

    meaning_vi: str = Field(min_length=1)
    meaning_en: str = Field(min_length=1)
    day_vi: str = Field(min_length=1)
    day_en: str = Field(min_length=1)
    unit: Literal["case", "VND"] = "case"
    noun_vi: str = Field(default="ca", min_length=1)
    """What a sentence calls what is counted: “334 ca”, “12 văn bản”."""
    cadence: Cadence = "daily"
    min_base: int = Field(default=30, ge=1)
    categories: dict[Code, Category] = Field(min_length=1)

    @property
    def codes(self) -> frozenset[str]:
        """The category codes a tally of this measure may hold, `unknown` among them."""
        return frozenset(self.categories) | {UNKNOWN}


class Indicator(_Entry):
    """A share: adopted ÷ base, where base = all categories but `unknown` and the excluded."""

    meaning_vi: str = Field(min_length=1)
    meaning_en: str = Field(min_length=1)
    measure: str
    adopted: tuple[str, ...] = Field(min_length=1)
    excluded: tuple[str, ...] = ()
    levels: tuple[Level, ...] = Field(min_length=1)


class Catalogue(BaseModel):
    """All measures and indicators, in the order in which people should see them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    measures: dict[Code, Measure]
    indicators: dict[Code, Indicator]

    @cached_property
    def digest(self) -> str:
        """`sha256:…` over the canonical JSON of the content."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

    def indicators_of(self, measure: str) -> Iterator[tuple[str, Indicator]]:
        """The indicators made from `measure`."""
        return ((code, one) for code, one in self.indicators.items() if one.measure == measure)


def load(override: Path | None = None) -> Catalogue:
    """The shipped catalogue with `override` (a TOML file) laid over it.

    Raises ConfigError that names every problem, with the file and the key.
    """
    shipped = tomllib.loads(resources.files("contract").joinpath("catalogue.toml").read_text("utf-8"))
    if override is None:
        return parse(shipped, "catalogue.toml")
    over = toml_file.read(override)
    return parse(_laid_over(shipped, over), str(override))


def received(content: Mapping[str, Any]) -> Catalogue:
    """The catalogue that a collector sent, perhaps a newer one: keys that this version does not know are left out.

    Raises ConfigError for anything else that it does not understand.
    """
    return parse(content, "catalogue", extra="ignore")


def parse(content: Mapping[str, Any], file: str, extra: Literal["forbid", "ignore"] = "forbid") -> Catalogue:
    """Build a catalogue from plain tables; `file` is named in each problem. `extra`: what unknown keys are."""
    try:
        catalogue = Catalogue.model_validate(content, extra=extra)
    except ValidationError as error:
        raise ConfigError(sentences(file, error)) from None
    problems = [f"{file}: {problem}" for problem in _contradictions(catalogue)]
    if problems:
        raise ConfigError(problems)
    return catalogue


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        both = isinstance(under, Mapping) and isinstance(value, Mapping)
        merged[key] = _laid_over(under, value) if both else value  # type: ignore[arg-type]
    return merged


def _contradictions(catalogue: Catalogue) -> Iterator[str]:
    for code, measure in catalogue.measures.items():
        if UNKNOWN in measure.categories:
            yield f"measures.{code}.categories.{UNKNOWN}: số đếm nào cũng có sẵn “unknown”, không khai báo lại"
    for code, indicator in catalogue.indicators.items():
        yield from (f"indicators.{code}: {problem}" for problem in _contradictions_of(indicator, catalogue))


def _contradictions_of(indicator: Indicator, catalogue: Catalogue) -> Iterator[str]:
    measure = catalogue.measures.get(indicator.measure)
    if measure is None:
        yield f"measure: không có “{indicator.measure}” trong measures"
        return
    for key in ("adopted", "excluded"):
        codes: tuple[str, ...] = getattr(indicator, key)
        yield from (
            f"{key}: “{one}” không phải là category của {indicator.measure}"
            for one in codes
            if one not in measure.categories
        )
        if len(set(codes)) != len(codes):
            yield f"{key}: có mã lặp lại"
    yield from (
        f"“{one}” vừa ở adopted vừa ở excluded" for one in sorted(set(indicator.adopted) & set(indicator.excluded))
    )
    if not set(measure.categories) - set(indicator.excluded) - set(indicator.adopted):
        yield "adopted và excluded chiếm hết category: tỷ lệ lúc nào cũng là 100 %"
