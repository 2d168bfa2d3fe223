"""What people type into the fields of a form, as values."""

from contextlib import suppress
from datetime import date, datetime
from typing import Annotated

from fastapi import Form

from contract.errors import ConfigError

Text = Annotated[str, Form(max_length=2000)]
"""A field; what is not sent is empty."""


def day(text: str, name: str) -> date | None:
    """A day as browsers send it or as people write it (dd/MM/yyyy); None: nothing was typed. Raises ConfigError."""
    if not text.strip():
        return None
    for form in ("%Y-%m-%d", "%d/%m/%Y"):
        with suppress(ValueError):
            return datetime.strptime(text.strip(), form).date()  # noqa: DTZ007
    raise ConfigError(f"{name}: không đúng dạng ngày; viết như 31/12/2026")


def wanted_day(text: str, name: str) -> date:
    """The same, where a day is needed. Raises ConfigError."""
    found = day(text, name)
    if found is None:
        raise ConfigError(f"{name}: chưa nhập")
    return found
