"""`nhipso-agent sheet-template`: the workbook for people to fill, fitted to this agent's facilities."""

import importlib
from collections.abc import Sequence
from pathlib import Path

from agent.settings import Settings, Source
from contract.catalogue import Cadence, Catalogue
from contract.days import local_day, now
from contract.errors import ConfigError


def write(settings: Settings, catalogue: Catalogue, measure: str, file: Path) -> None:
    """Write `file` for `measure`, with the facilities and cadence of the `sheet.file` source that counts it.

    Raises ConfigError: no such measure, the file exists or cannot be written, the extra is missing.
    """
    if measure not in catalogue.measures:
        raise ConfigError(f"danh mục không có “{measure}”; đang có: {', '.join(catalogue.measures)}")
    if file.suffix.lower() != ".xlsx":
        raise ConfigError(f"{file}: tên tệp phải có đuôi .xlsx")
    if file.exists():
        raise ConfigError(f"{file}: đã có, không ghi đè")
    try:
        # imported here: only this command needs openpyxl
        template = importlib.import_module("contract.sheets.template")
    except ModuleNotFoundError as error:
        raise ConfigError(f"lệnh này cần thư viện {error.name}: pip install 'nhipso[sheet]'") from None
    source = _source(settings, measure)
    cadence: Cadence = catalogue.measures[measure].cadence
    if source and source.config.cadence:
        cadence = source.config.cadence
    try:
        template.write(file, catalogue, {measure: cadence}, _facilities(settings, source), local_day(now()))
    except OSError as error:
        raise ConfigError(f"{file}: không ghi được ({type(error).__name__})") from None


def _source(settings: Settings, measure: str) -> Source | None:
    """The `sheet.file` source that counts `measure`."""
    for source in settings.sources:
        asked = (source.config.options.get("measure"), *(source.config.measures or ()))
        if source.config.kind == "sheet.file" and measure in asked:
            return source
    return None


def _facilities(settings: Settings, source: Source | None) -> Sequence[str]:
    """As people write them: the source's own names where it has some."""
    if source and source.config.facility_map:
        return tuple(source.config.facility_map)
    return settings.facilities
