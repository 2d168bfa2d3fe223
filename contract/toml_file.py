"""Reads a TOML file that a person wrote."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contract.errors import ConfigError

LARGEST_BYTES = 1024 * 1024


def read(file: Path, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    """The tables of `file`. Raises ConfigError that names the file and says what is wrong."""
    try:
        if file.stat().st_size > LARGEST_BYTES:
            raise ConfigError(f"{file}: lớn hơn {LARGEST_BYTES // 1024**2} MB, không phải là tệp cấu hình")
        return tomllib.loads(file.read_text("utf-8"), parse_float=parse_float)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: không đọc được tệp ({type(error).__name__})") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: không phải là TOML đúng: {error}") from None
    except (ValueError, RecursionError):
        raise ConfigError(f"{file}: có số quá dài, hoặc lồng quá sâu") from None
