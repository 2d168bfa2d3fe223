"""What alerts on figures say, as labels: PromQL puts the collector's clauses together (nhipso_indicator_said).

Prometheus expands the templates of every alert anew at each evaluation: there a query or a regular expression takes a
part of a millisecond for each alert, a label that the expression brings along some microseconds (DECISIONS 89, 92).
"""

import re
from collections.abc import Iterable, Mapping

from contract import metrics
from contract.catalogue import Measure
from dashboards.alerts_shape import indented, relabelled, replaced, series
from dashboards.alerts_words import LOST

PAIR = ("facility", "indicator")
MONTH = '{window="30d"}'
_BREAK = "\t"


def tenths(label: str, value: str, by: Iterable[str]) -> str:
    """`value`, a share, as a label in per cent with one decimal; nothing but `by` stays of the labels."""
    written = f'count_values by ({", ".join(by)}) ("{label}", 10000 + round(1000 * ({value})))'
    return relabelled(written, label, "$1,$2", label, r"10*(\d+)(\d)")


def clauses(expression: str, *labels: str) -> str:
    """`expression` by facility and indicator, with these labels of nhipso_indicator_said.

    An alert for which the collector has no words is there all the same.
    """
    said = series(metrics.SAID, *PAIR, *labels)
    # every pair that has an alert has a verdict; ^ 0: what lends its labels, not its value
    unsaid = relabelled(f"{series(metrics.VERDICT, *PAIR)} ^ 0", "share", "số liệu ở trang của cơ sở", "", "")
    lent = f"{said}\nor on (facility, indicator)\n{unsaid}"
    return f"({indented(expression)})\n* on (facility, indicator) group_left ({', '.join(labels)}) ({indented(lent)})"


def lines(expression: str, *labels: str) -> str:
    """`expression`, in which each of these labels, where it says something, is a sentence on a line of its own."""
    for label in labels:
        expression = relabelled(expression, label, "\n$1.", label, "(.+)")
    return expression


def counted(expression: str, by: str, measures: Mapping[str, Measure]) -> str:
    """`expression` with the label unit: what is counted; `measures`: by what the label `by` is."""
    usual = Measure.model_fields["noun_vi"].default
    codes: dict[str, list[str]] = {}
    for code, one in measures.items():
        if one.noun_vi != usual:
            codes.setdefault(one.noun_vi, []).append(code)
    # one step for all that have the same word
    return replaced(expression, "unit", by, {"|".join(found): word for word, found in codes.items()}, usual)


def sentence(expression: str, label: str, text: str) -> str:
    """`expression` with a new `label`: `text`, with labels in `{}`, where they all are; `{label?}` may miss."""
    named = re.findall(r"{(\w+)(\??)}", text)
    for number, (name, optional) in enumerate(named, 1):
        text = text.replace(f"{{{name}{optional}}}", f"${{{number}}}", 1)
    pattern = _BREAK.join(f"([^{_BREAK}]{'*' if optional else '+'})" for _, optional in named)
    joined = _joined(expression, "joined", *(name for name, _ in named))
    return relabelled(joined, label, text, "joined", pattern)


def told(expression: str, by: Iterable[str], summary: str, description: str) -> str:
    """`expression` by `by`, with its texts as its name: so they are gone from an alert's labels by themselves.

    To set a label to "" in a rule instead would be one more template for each alert.
    """
    expression = sentence(sentence(expression, "summary", summary), "description", "{name}" + LOST)
    expression = sentence(expression, "description", description)
    named = _joined(expression, "__name__", "summary", "description", "plan_until")
    return f"max by ({', '.join((*by, '__name__'))}) ({named})"


def _joined(expression: str, label: str, *labels: str) -> str:
    names = "".join(f', "{one}"' for one in labels)
    return f'label_join({expression}, "{label}", "\\t"{names})'


# Templates that take the texts out of the name.
SUMMARY = '{{ reReplaceAll "(?s)\\t.*" "" $labels.__name__ }}'
DESCRIPTION = '{{ reReplaceAll "(?s)^[^\\t]*\\t|\\t[^\\t]*$" "" $labels.__name__ }}'
PLAN_UNTIL = '{{ reReplaceAll "(?s).*\\t" "" $labels.__name__ }}'
