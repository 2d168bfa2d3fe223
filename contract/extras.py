"""Commands whose libraries come with an extra: without it they say so and end with 2."""

import sys
from importlib import import_module


def run(part: str) -> None:
    """Run the command of `part`, whose extra has the same name."""
    try:
        command = import_module(f"{part}.__main__")
    except ModuleNotFoundError as error:
        sys.stderr.write(f'Thiếu thư viện “{error.name}” của nhipso-{part}: cài bằng pip install "nhipso[{part}]"\n')
        sys.exit(2)
    command.main()
