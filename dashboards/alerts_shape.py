"""An alert of ours, and the pieces of PromQL that its expression is put together from.

Three things would end an alert without anything being well again, and all are met here: a failed scrape (Prometheus
marks every series of the target as gone at once), a silent facility, and a label that changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
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
    in_labels: bool = False
    """`summary` and `description` are made of labels in `{}` (alerts_figures.sentence).

    For what alerts by the hundred.
    """
    of_plan: bool = False
    """It ends when the plan does, by the label plan_until."""
    further: str = ""
    """With `in_labels`: a template that ends the description."""


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


def begun(alert: str, expression: str, pairs: str, *labels: str, silent_hours: float) -> str:
    """`expression`, which begins only where data is expected and comes; what stands already goes on.

    `pairs`: an expression that has everything which may alert, by `labels`.
    """
    awake = (
        f"{metrics.FACILITY_EXPECTED.name} <= time()\n"
        f"and on (facility) {series(metrics.FACILITY_PUSH, 'facility')} > time() - {number(silent_hours * 3600)}"
    )
    by = ", ".join(labels)
    standing = f'ALERTS{{alertname="{alert}",alertstate="firing"}}'
    may = f"{pairs}\nand on (facility) ({indented(awake)})\nor on ({by})\n{standing}"
    return f"{expression}\nand on ({by}) ({indented(may)})"


def replaced(expression: str, label: str, by: str, texts: Mapping[str, str], otherwise: str = "") -> str:
    """`expression` with a new `label`: the text of what its label `by` is (a code, or several as `a|b`).

    `otherwise`: what it is for all others; `$1` is what `by` is itself.
    """
    if otherwise:
        expression = relabelled(expression, label, otherwise, by, "(.*)")
    for code, text in texts.items():
        expression = relabelled(expression, label, text.replace("$", "$$"), by, code)
    return expression


def relabelled(expression: str, label: str, text: str, by: str, pattern: str) -> str:
    """PromQL's label_replace: `label` is `text`, with `$1` and so on, where the label `by` is like `pattern`."""
    return f'label_replace({expression},\n"{label}", "{_quoted(text)}", "{by}", "{_quoted(pattern)}")'


def _quoted(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n").replace("\t", r"\t")


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
