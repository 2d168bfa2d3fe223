"""What alerts say: pieces of Prometheus's templates that write figures, moments and names as Vietnamese readers do.

A template has no arithmetic and knows no decimal comma; regular expressions move the point, and `Add` (nanoseconds)
moves a moment to the local time. Every firing alert is written anew at each evaluation, so a text asks one query.
"""

import re
from collections.abc import Collection, Iterable

from contract import findings, metrics
from contract.catalogue import Catalogue
from contract.metrics import Family
from contract.plan import Plan
from contract.verdict import Verdict
from dashboards.alerts_shape import replaced

_HOUR = 3_600_000_000_000
_ZONE = 7 * _HOUR
_DEFINITIONS = {
    # 0.4729 → 47,3
    "points": r'{{ printf "%.3f" . | reReplaceAll `^(\d+)\.(\d\d)(\d)$` "$1$2,$3" | reReplaceAll `^0+(\d)` "$1" }}',
    # 0.6 → 60
    "round": r'{{ printf "%.3f" . | reReplaceAll `^(\d+)\.(\d\d)(\d)$` "$1$2,$3" | reReplaceAll `^0+(\d)|,0$` "$1" }}',
    # 1234567 → 1.234.567
    "count": r'{{ printf "%015.0f" . | reReplaceAll `(...)(...)(...)(...)(...)$` "$1.$2.$3.$4.$5" '
    r'| reReplaceAll `^[0.]+(\d)` "$1" }}',
    "minutes": r'{{ printf "%.1f" . | reReplaceAll `^-` "" | reReplaceAll `\.0$` "" | reReplaceAll `\.` "," }}',
    "moment": f'{{{{ ((toTime .).Add {_ZONE}).Format "02/01/2006 15:04" }}}}',
    "day": f'{{{{ ((toTime .).Add {_ZONE}).Format "02/01/2006" }}}}',
    # the day that ends at the moment
    "until": f'{{{{ ((toTime .).Add {_ZONE - _HOUR}).Format "02/01/2006" }}}}',
    "verdict": "".join(
        f"{{{{ if eq . {one.value}.0 }}}}{one.vi.lower()}{{{{ end }}}}"
        for one in (Verdict.NO_DATA, Verdict.UNKNOWN, Verdict.INSUFFICIENT)
    ),
    # 2026-10 → 10/2026
    "month": r'{{ reReplaceAll `^(\d+)-(\d+)$` "$2/$1" . }}',
}
FINDINGS = {code: words.clause for code, words in findings.WORDS.items() if code != "stands_still"}
_FIGURES = {
    "share": metrics.RATIO,
    "have": metrics.NUMERATOR,
    "of": metrics.DENOMINATOR,
    "as_of": metrics.AS_OF,
    "before": metrics.PREVIOUS,
    "base_before": metrics.PREVIOUS_DENOMINATOR,
    "target": metrics.TARGET,
    "missing": metrics.MISSING,
    "deadline": metrics.DEADLINE,
    "road": metrics.ROAD,
    "verdict": metrics.VERDICT,
}


def say(definition: str, of: str = "$value") -> str:
    """Template code: the value of the alert, or something else, written by a definition."""
    return f'{{{{ template "{definition}" {of} }}}}'


NAME = "{{ $labels.name }}"
SOURCE = "{{ $labels.source }}"
INDICATOR = "“{{ $labels.title }}”"
UNIT = "{{ $labels.unit }}"
# with figures()
SHARE = (
    f"{{{{ if ge $share 0.0 }}}}đạt {say('points', '$share')} % "
    f"({say('count', '$have')}/{say('count', '$of')} {UNIT} trong 30 ngày"
    "{{ else if ge $of 0.0 }}không có ca nào để tính tỷ lệ (30 ngày"
    "{{ else }}tạm thời không đọc được số liệu (30 ngày{{ end }}"
    f"{{{{ if ge $as_of 0.0 }}}}, số liệu đến ngày {say('day', '$as_of')}{{{{ end }}}})"
)
# with figures("target", "missing", "deadline")
TARGET = (
    f"{{{{ if ge $target 0.0 }}}}Chỉ tiêu {{{{ $labels.operator }}}} "
    f"{say('round', '$target')} % theo {{{{ $labels.plan_title }}}}"
    f"{{{{ if ge $deadline 0.0 }}}}, hạn {say('until', '$deadline')}{{{{ end }}}}"
    f"{{{{ if gt $missing 0.0 }}}}; còn thiếu {say('count', '$missing')} {UNIT}{{{{ end }}}}.{{{{ end }}}}"
)
# with figures("verdict"): below target is kept while no verdict can be given
HELD = (
    f"{{{{ if and (ge $verdict {Verdict.NO_DATA.value}.0) (le $verdict {Verdict.INSUFFICIENT.value}.0) }}}}\n"
    f"Hiện {say('verdict', '$verdict')}: cảnh báo được giữ đến khi đủ số liệu để kết luận."
    "{{ end }}"
)


# What an alert says that fires only because nobody can see that it does not.
BLIND = (
    "{{ if lt $value -1e300 }}"
    + NAME
    + ": đang mất liên lạc với máy chủ thu thập, cảnh báo được giữ như trước.{{ else }}"
)


def complete(text: str) -> str:
    """`text` with the definitions that it uses before it."""
    used = dict.fromkeys(re.findall(r'{{-? *template "(\w+)"', text))
    return "".join(f'{{{{ define "{one}" }}}}{_DEFINITIONS[one]}{{{{ end -}}}}\n' for one in used) + text


def titled(expression: str, labels: Collection[str], catalogue: Catalogue) -> str:
    """`expression` with the label title (and unit), by its label indicator or measure, if it is one of `labels`."""
    if "measure" in labels:
        measures = {code: one.vi for code, one in catalogue.measures.items()}
        return replaced(expression, "title", "measure", measures, "$1")
    if "indicator" not in labels:
        return expression
    money = [code for code, one in catalogue.indicators.items() if catalogue.measures[one.measure].unit == "VND"]
    found = replaced(expression, "unit", "indicator", {"|".join(money): "đồng"} if money else {}, "ca")
    return replaced(found, "title", "indicator", {code: one.vi for code, one in catalogue.indicators.items()}, "$1")


def planned(expression: str, plans: Iterable[Plan]) -> str:
    """`expression` with the labels plan_title, plan_until, operator, from its labels plan and indicator."""
    plans = tuple(plans)
    found = replaced(expression, "plan_title", "plan", {one.id: one.short for one in plans}, "$1")
    found = replaced(found, "plan_until", "plan", {one.id: one.until.isoformat() for one in plans})
    strict = "|".join(_strict(plans))
    found = replaced(found, "operator", "plan", {}, "≥")
    if not strict:
        return found
    # label_replace reads one label: both are joined, and what they were joined to is taken away again
    return (
        f'label_replace(label_replace(label_join({found}, "place", "/", "plan", "indicator"), '
        f'"operator", ">", "place", "{strict}"), "place", "", "", "")'
    )


def figures(*further: str) -> str:
    """Template code that asks for figures of the alert's facility and indicator, of the 30 days, in one query.

    $share, $have, $of, $as_of and the `further` ones, -1 where there is none; those of a plan: of $labels.plan.
    """
    names = ("share", "have", "of", "as_of", *further)
    asked = "|".join(_FIGURES[name].name for name in names if name != "deadline")
    query, arguments = f'{{__name__=~"{asked}",facility=%q,indicator=%q}}', "$labels.facility $labels.indicator"
    if "deadline" in names:  # the same for all facilities, so asked for beside the others
        query += f" or {metrics.DEADLINE.name}{{indicator=%q,plan=%q}}"
        arguments += " $labels.indicator $labels.plan"
    lines = ["".join(f"{{{{- ${name} := -1.0 }}}}" for name in names)]
    lines += [f"{{{{- range query (printf `{query}` {arguments}) }}}}{{{{ $is := .Labels.__name__ }}}}"]
    for name in names:
        condition = "if" if name == names[0] else "else if"
        lines.append(f"{{{{- {condition} {_is(_FIGURES[name])} }}}}{{{{ ${name} = .Value }}}}")
    return "\n".join([*lines, "{{- end }}{{ end -}}\n"])


def _is(family: Family) -> str:
    same = [f'eq $is "{family.name}"']
    same += ['eq .Labels.window "30d"'] if "window" in family.labels else []
    same += ["eq .Labels.plan $labels.plan"] if "plan" in family.labels else []
    return same[0] if len(same) == 1 else "and " + " ".join(f"({one})" for one in same)


def _strict(plans: Iterable[Plan]) -> list[str]:
    """`plan/indicator` where every target asks for more than its ratio."""
    operators: dict[str, set[str]] = {}
    for plan in plans:
        for one in plan.targets:
            if one.ratio is not None:
                operators.setdefault(f"{plan.id}/{one.indicator}", set()).add(one.operator)
    return [place for place, found in operators.items() if found == {">"}]
