"""An alert of ours, and the pieces of PromQL that its expression is put together from.

Three things would end an alert without anything being well again, and all are met here: a failed scrape (Prometheus
marks every series of the target as gone at once), a silent facility, and a label that changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from contract import metrics
from contract.metrics import Family

Severity = Literal["warning", "critical", "none"]
_INFO = metrics.FACILITY_INFO
_WHO = ("facility", "name", "area")


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule. `summary` and `description` are Prometheus templates (alerts_words.py)."""

    name: str
    expression: str
    severity: Severity
    summary: str
    description: str
    page: str
    """Where it leads in the portal: a path, as a template."""
    labels: tuple[str, ...] = ()
    """What tells two alerts apart, `facility` among them; none for an alert on the collector itself."""
    dropped: tuple[str, ...] = ()
    """Labels that the expression carries for the texts only: were they kept, a new value would be a new alert."""
    hold_seconds: float = 0
    annotations: Mapping[str, str] = field(default_factory=dict)


def series(family: Family, *labels: str, where: str = "") -> str:
    """The series of `family` by `labels`, without those of the scrape."""
    return f"max by ({', '.join(labels)}) ({family.name}{where})"


def expected() -> str:
    """The facilities of which data is expected: not in their first week, not in a pause, not closed."""
    return f"and on (facility) {metrics.FACILITY_EXPECTED.name}"


def held(alert: Alert) -> str:
    """The expression with the facility's area, and its name for the texts; while it cannot be scraped, what fired.

    That has the value -Inf and no name any more.
    """
    by = ", ".join(alert.labels)
    now = f"({indented(alert.expression)})\n* on (facility) group_left (name, area) {series(_INFO, *_WHO)}"
    same = f'alertname="{alert.name}",severity="{alert.severity}",alertstate="firing"'
    before = f"-Inf * max by ({by}, area) (ALERTS{{{same}}} unless on (facility) {_INFO.name})"
    return f'{now}\nor on ({by})\nlabel_replace({before}, "name", "Cơ sở $1", "facility", "(.*)")'


def replaced(expression: str, label: str, by: str, texts: Mapping[str, str], otherwise: str = "") -> str:
    """`expression` with a new `label`: the text of what its label `by` is (a code, or several as `a|b`).

    `otherwise`: what it is for all others; `$1` is what `by` is itself.
    """
    if otherwise:
        expression = f'label_replace({expression}, "{label}", "{otherwise}", "{by}", "(.*)")'
    for code, text in texts.items():
        quoted = text.replace("$", "$$").replace("\\", r"\\").replace('"', r"\"")
        expression = f'label_replace({expression},\n"{label}", "{quoted}", "{by}", "{code}")'
    return expression


def indented(expression: str) -> str:
    """On lines of its own, two columns in."""
    return "\n" + "\n".join("  " + line for line in expression.splitlines()) + "\n"


def duration(seconds: float) -> str:
    """As Prometheus writes it, in the largest unit that is exact: `7d`, `36s`, `500ms`."""
    rest = round(seconds * 1000)
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if rest % size == 0:
            return f"{rest // size}{unit}"
    return f"{rest}ms"


def number(value: float) -> str:
    """A threshold, without the noise of binary fractions."""
    return f"{value:.10g}"


def spoken(value: float) -> str:
    """A threshold as people write it, with a decimal comma."""
    return number(value).replace(".", ",")
