"""Plan files: a plan is a TOML file that a Sở keeps; its id is the file's name without `.toml`.

`plan check FILE` names every mistake; so does everything else that reads one.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from contract import plan_mistakes, toml_file
from contract.catalogue import Catalogue
from contract.errors import ConfigError
from contract.plan_mistakes import Kind
from contract.targets import AppliesTo, Baseline, Follow, Manual, Operator, Override, Ownership, Plan, Target

__all__ = [
    "AppliesTo",
    "Baseline",
    "Follow",
    "Manual",
    "Operator",
    "Override",
    "Ownership",
    "Plan",
    "Target",
    "load",
    "parse",
    "read",
]


def load(files: Sequence[Path], catalogue: Catalogue, facilities: Mapping[str, Kind] | None = None) -> tuple[Plan, ...]:
    """The plans in the order given: the first in force with a target binds. Raises ConfigError with every problem.

    `facilities`: those of the registry, against which ids are held; None where nobody knows them.
    """
    plans, problems = [], []
    for file in files:
        try:
            plans.append(read(file, catalogue, facilities))
        except ConfigError as error:
            problems += error.problems
    names = [one.stem for one in files]
    problems += [
        f"kế hoạch “{one}” được khai báo hai lần: bỏ một, hoặc đổi tên tệp"
        for one in sorted({name for name in names if names.count(name) > 1})
    ]
    if problems:
        raise ConfigError(problems)
    return tuple(plans)


def read(file: Path, catalogue: Catalogue, facilities: Mapping[str, Kind] | None = None) -> Plan:
    """One plan file. Raises ConfigError that names every mistake, with file, target and key."""
    content = toml_file.read(file, parse_float=Decimal)
    problems = [f"{file}: id: mã của kế hoạch là tên tệp: bỏ khóa này"] if "id" in content else []
    try:
        plan = parse({**content, "id": file.stem}, str(file), catalogue, facilities)
    except ConfigError as error:
        raise ConfigError(problems + error.problems) from None
    if problems:
        raise ConfigError(problems)
    return plan


def parse(
    content: Mapping[str, Any], file: str, catalogue: Catalogue, facilities: Mapping[str, Kind] | None = None
) -> Plan:
    """Build a plan from plain tables; `file` is named in each problem."""
    plan, problems = plan_mistakes.find(content, catalogue, facilities)
    if plan is None or problems:
        raise ConfigError([f"{file}: {problem}" for problem in problems])
    return plan
