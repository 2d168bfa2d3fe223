"""`make audit`: what is locked against the known vulnerabilities, and our own code by bandit.

Exit codes: 0 clean, 1 something was found, 3 the vulnerability service did not answer for everything: then what it did
not answer for has NOT been checked, and that is no good news.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
PARTS = ("adapters", "agent", "collector", "contract", "dashboards")
CLEAN, FOUND, UNCHECKED = 0, 1, 3


class Verdict(NamedTuple):
    """What to end with, and what to say."""

    code: int
    lines: tuple[str, ...]


def of_locked(name: str, said: str, failure: str = "") -> Verdict:
    """What pip-audit's JSON says of a lock file; `failure` is the last line of its errors."""
    try:
        packages = json.loads(said)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Verdict(UNCHECKED, (f"{name}: NOT CHECKED: the vulnerability service did not answer: {failure}",))
    skipped = [one["name"] for one in packages if "skip_reason" in one]
    found = tuple(
        f"{name}: {one['name']} {one['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or '?'}"
        for one in packages
        for flaw in one.get("vulns", ())
    )
    checked = f"{name}: {len(packages) - len(skipped)} of {len(packages)} packages checked, {len(found)} findings"
    if skipped or not packages:
        first = ", ".join(skipped[:5])
        why = f"{name}: NOT CHECKED: the vulnerability service knows nothing of {len(skipped)}: {first} …"
        return Verdict(FOUND if found else UNCHECKED, (*found, checked, why))
    return Verdict(FOUND if found else CLEAN, (*found, checked))


def audit_locked(lock: Path) -> Verdict:
    """Ask the service about every package of a lock file."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--progress-spinner", "off"),
            *("--format", "json", "--requirement", str(lock)),
        ],
        capture_output=True,
        text=True,
        timeout=600,
    )
    return of_locked(lock.name, done.stdout, (done.stderr.strip().splitlines() or ["?"])[-1])


def audit_code(parts: Sequence[str] = PARTS, root: Path = ROOT) -> Verdict:
    """Let bandit read our own code, tests left out; [tool.bandit] says what is answered for all of it."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bandit", "--quiet", "--recursive", *parts, "--format", "custom"),
            *("--configfile", str(ROOT / "pyproject.toml"), "--exclude", "*/test_*.py,*/conftest.py"),
            *("--msg-template", "{relpath}:{line}: {test_id} {msg}"),
        ],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=root,
    )
    found = tuple(line for line in done.stdout.splitlines() if line.strip())
    code = CLEAN if done.returncode == 0 and not found else FOUND
    return Verdict(code, (*found, f"bandit: {len(found)} findings" if found or not code else done.stderr))


def main() -> None:
    """All of it, in words and as an exit code."""
    verdicts = [audit_code(), *(audit_locked(lock) for lock in sorted((ROOT / "requirements").glob("*.lock")))]
    for verdict in verdicts:
        sys.stdout.write("".join(f"{line}\n" for line in verdict.lines))
    codes = {verdict.code for verdict in verdicts}
    sys.exit(FOUND if FOUND in codes else max(codes))


if __name__ == "__main__":
    main()
