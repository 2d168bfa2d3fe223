"""What an alert says of its figures, as labels: PromQL writes figures, days and sentences as Vietnamese readers do.

Prometheus expands the templates of every alert anew at each evaluation: there a query or a regular expression takes a
part of a millisecond for each alert, a label that the expression brings along some microseconds. So the texts of alerts
on figures are written here; what that costs instead, for pairs without an alert too, says DECISIONS 89.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from contract import metrics
from contract.catalogue import Catalogue, Measure
from contract.plan import Operator, Plan, Target
from contract.verdict import Verdict
from dashboards.alerts_shape import indented, relabelled, replaced, series, spoken
from dashboards.alerts_words import LOST

PAIR = ("facility", "indicator")
MONTH = '{window="30d"}'
_ZONE = 7 * 3600
# Its midnight here.
_YESTERDAY = f"(time() - (time() + {_ZONE}) % 86400 - 86400)"
# Every pair that has an alert has a verdict.
_EVERY = f"{series(metrics.VERDICT, *PAIR)} ^ 0"
_BREAK = "\t"
_OF_PLAN = ("indicator", "plan")
_QUARTERS = {"I": "0[1-3]", "II": "0[4-6]", "III": "0[7-9]", "IV": "1[0-2]"}
_BEFORE = {"monthly": "tháng trước đó", "quarterly": "quý trước đó", "yearly": "năm trước đó"}
_HELD = {
    Verdict.NO_DATA: "chưa đủ số liệu",
    Verdict.UNKNOWN: Verdict.UNKNOWN.vi.lower(),
    Verdict.INSUFFICIENT: Verdict.INSUFFICIENT.vi.lower(),
}


_TENTHS = {r"10*(\d+)(\d)": "$1,$2"}
_GROUPED = {r"1(\d{3})(\d{3})(\d{3})(\d{3})(\d{3})": "$1.$2.$3.$4.$5", r"[0.]*(\d.*)": "$1"}
_DAY = {r"(\d+)(\d\d)(\d\d)": "$3/$2/$1"}


@dataclass(frozen=True, slots=True)
class _Figure:
    """A number, the label that it becomes, and how its digits are put as people read them: pattern → text."""

    value: str
    passes: Mapping[str, str] = field(default_factory=dict)


def _share(value: str) -> _Figure:
    """In per cent with one decimal: 0.4729 → `47,3`."""
    return _Figure(f"10000 + round(1000 * ({value}))", _TENTHS)


def _count(value: str) -> _Figure:
    """1234567 → `1.234.567`."""
    return _Figure(f"1e15 + clamp_max({value}, 1e15 - 1)", _GROUPED)


def _day(moment: str) -> _Figure:
    """A moment's day here: `05/11/2026`."""
    local = f"({moment} + {_ZONE})"
    return _Figure(f"10000 * year({local}) + 100 * month({local}) + day_of_month({local})", _DAY)


_FIGURES = {
    "share": _share(metrics.RATIO.name + MONTH),
    "have": _count(metrics.NUMERATOR.name + MONTH),
    "of": _count(metrics.DENOMINATOR.name + MONTH),
    "as_of": _day(f"({metrics.AS_OF.name} != {_YESTERDAY})"),
    "missing": _count(metrics.MISSING.name),
    # in thousandths of a per cent, by which the plan's own figures are known again
    "target": _Figure(f"round(100000 * {metrics.TARGET.name})"),
    "verdict": _Figure(metrics.VERDICT.name),
    "before": _share(metrics.PREVIOUS.name),
    "base_before": _count(metrics.PREVIOUS_DENOMINATOR.name),
    "fall": _share(f"{metrics.PREVIOUS.name} - on (facility, indicator) {metrics.RATIO.name}{MONTH}"),
    "road": _share(metrics.ROAD.name),
}
_USUAL = ("share", "have", "of", "as_of")


def tenths(label: str, value: str, by: Iterable[str]) -> str:
    """`value`, a share, as a label in per cent with one decimal; nothing but `by` stays of the labels."""
    return _written(_counted(label, _share(value), by), label, _TENTHS)


def figures(expression: str, catalogue: Catalogue, *further: str, sure: Sequence[str] = ()) -> str:
    """`expression` with the labels share, have, of, as_of and `further`, as people read them, empty if unknown.

    Beside them unit (what is counted), cadence (if it is not daily), period (whose figures these are), and the `sure`:
    an alert without one of these would be lost.
    """
    names = (*_USUAL, *further, *sure)
    for name in names:
        found = _of_yesterday() if name == "as_of" else _counted(name, _FIGURES[name], PAIR)
        if name not in sure:
            found = f"{found}\nor on (facility, indicator)\n{_EVERY}"
        expression = f"{expression}\n* on (facility, indicator) group_left ({name}) ({indented(found)})"
    # only now, for nothing is as many as all figures of a province
    for name in names:
        expression = _written(expression, name, _FIGURES[name].passes)
    measures = {code: catalogue.measures[one.measure] for code, one in catalogue.indicators.items()}
    expression = counted(expression, "indicator", measures)
    cadences = {code: one.cadence for code, one in measures.items() if one.cadence in _BEFORE}
    return _with_period(_grouped(expression, "cadence", "indicator", cadences))


def _of_yesterday() -> str:
    """as_of: nearly always yesterday, whose date is worked out once."""
    yesterday = _counted("as_of", _day(f"vector({_YESTERDAY})"), ())
    fresh = f"({metrics.AS_OF.name} == {_YESTERDAY}) ^ 0\n* on () group_left (as_of) {yesterday}"
    return f"{_counted('as_of', _FIGURES['as_of'], PAIR)}\nor on (facility, indicator)\n{fresh}"


def _counted(label: str, figure: _Figure, by: Iterable[str]) -> str:
    return f'count_values by ({", ".join(by)}) ("{label}", {figure.value})'


def _written(vector: str, label: str, passes: Mapping[str, str]) -> str:
    for pattern, text in passes.items():
        vector = relabelled(vector, label, text, label, pattern)
    return vector


def counted(expression: str, by: str, measures: Mapping[str, Measure]) -> str:
    """`expression` with the label unit: what is counted; `measures`: by what the label `by` is."""
    usual = Measure.model_fields["noun_vi"].default
    nouns = {code: one.noun_vi for code, one in measures.items() if one.noun_vi != usual}
    return _grouped(expression, "unit", by, nouns, usual)


def _grouped(expression: str, label: str, by: str, words: Mapping[str, str], otherwise: str = "") -> str:
    """As replaced(), with one step for all that have the same word."""
    codes: dict[str, list[str]] = {}
    for code, word in words.items():
        codes.setdefault(word, []).append(code)
    return replaced(expression, label, by, {"|".join(found): word for word, found in codes.items()}, otherwise)


def _with_period(expression: str) -> str:
    expression = relabelled(_joined(expression, "ends", " ", "cadence", "as_of"), "period", "trong 30 ngày", "", "")
    named = {r"monthly ../(\d+/\d+)": "trong tháng $1", r"yearly ../../(\d+)": "trong năm $1"}
    named |= {rf"quarterly ../{months}/(\d+)": f"trong quý {name}/$1" for name, months in _QUARTERS.items()}
    for pattern, text in named.items():
        expression = relabelled(expression, "period", text, "ends", pattern)
    return expression


def _joined(expression: str, label: str, separator: str, *labels: str) -> str:
    names = "".join(f', "{one}"' for one in labels)
    return f'label_join({expression}, "{label}", "{separator}"{names})'


def sentence(expression: str, label: str, text: str, needs: Iterable[str] = ()) -> str:
    """`expression` with a new `label`: `text`, with labels in `{}`, where they and `needs` are; `{label?}` may miss."""
    named = re.findall(r"{(\w+)(\??)}", text)
    for number, (name, optional) in enumerate(named, 1):
        text = text.replace(f"{{{name}{optional}}}", f"${{{number}}}", 1)
    asked = [*named, *((name, "") for name in needs)]
    pattern = _BREAK.join(f"([^{_BREAK}]{'*' if optional else '+'})" for _, optional in asked)
    joined = _joined(expression, "joined", r"\t", *(name for name, _ in asked)) if asked else expression
    return relabelled(joined, label, text, "joined" if asked else "", pattern)


def said(expression: str, *labels: str) -> str:
    """`expression` with the label `said`: the texts of `labels`, one after another."""
    return _joined(expression, "said", "", *labels)


def told(expression: str, by: Iterable[str], summary: str, description: str) -> str:
    """`expression` by `by`, with its texts as its name: so they are gone from an alert's labels by themselves.

    To set a label to "" in a rule instead would be one more template for each alert.
    """
    expression = sentence(sentence(expression, "summary", summary), "description", "{name}" + LOST)
    expression = sentence(expression, "description", description, ["said"])
    named = _joined(expression, "__name__", r"\t", "summary", "description", "plan_until")
    return f"max by ({', '.join((*by, '__name__'))}) ({named})"


# Templates that take the texts out of the name.
SUMMARY = '{{ reReplaceAll "(?s)\\t.*" "" $labels.__name__ }}'
DESCRIPTION = '{{ reReplaceAll "(?s)^[^\\t]*\\t|\\t[^\\t]*$" "" $labels.__name__ }}'
PLAN_UNTIL = '{{ reReplaceAll "(?s).*\\t" "" $labels.__name__ }}'


def share(expression: str) -> str:
    """With figures(): the labels share_said, a clause, and stop, the end of a sentence."""
    expression = sentence(expression, "stop", ".")
    expression = sentence(expression, "until", ", số liệu đến ngày {as_of}")
    expression = sentence(expression, "share_said", "chưa có số liệu")
    # silent for so long that no figure counts any more
    gone = ", số liệu cuối cùng đến hết ngày {as_of}"
    expression = sentence(expression, "share_said", "không có số liệu trong 30 ngày qua" + gone)
    expression = sentence(expression, "share_said", "không có số liệu của kỳ gần đây" + gone, ["cadence"])
    nothing = "không có trường hợp nào để tính tỷ lệ ({period}{until?})"
    expression = sentence(expression, "share_said", nothing, ["of"])
    return sentence(expression, "share_said", "đạt {share} % ({have}/{of} {unit} {period}{until?})")


def target(expression: str, plans: Sequence[Plan]) -> str:
    """With figures("target", "missing") and the label plan: target_said, a sentence on a line of its own."""
    expression = f"{expression}\n* on (indicator, plan) group_left (deadline) ({indented(_deadline())})"
    expression = replaced(expression, "plan_title", "plan", {one.id: one.short for one in plans}, "$1")
    # what is asked since the rules were built
    expression = relabelled(expression, "percent", "$1,$2", "target", r"(\d*)(\d{3})")
    expression = relabelled(expression, "percent", "$1", "percent", r"(\d+(?:,\d*[1-9])?),?0*")
    expression = sentence(expression, "asked", "Chỉ tiêu ≥ {percent} % theo {plan_title}")
    untils = {one.id: one.until.isoformat() for one in plans}
    expression = replaced(expression, "plan_until", "plan", untils)
    expression = _joined(expression, "place", r"\t", "plan", "indicator", "facility", "target")
    for text, places in _asked(plans).items():
        expression = relabelled(expression, "asked", text.replace("$", "$$"), "place", "|".join(places))
    expression = sentence(expression, "due", ", hạn {deadline}")
    expression = relabelled(expression, "missing", "", "missing", "0")
    expression = sentence(expression, "short", "; còn thiếu {missing} {unit}")
    return sentence(expression, "target_said", "\n{asked}{due?}{short?}.")


def before(expression: str) -> str:
    """With figures("before", "base_before", "fall"): before_said, a sentence on a line of its own, and than."""
    usual = "30 ngày trước đó"
    expression = replaced(sentence(expression, "than", usual), "than", "cadence", _BEFORE)
    first = {cadence: text[0].upper() + text[1:] for cadence, text in _BEFORE.items()}
    expression = replaced(sentence(expression, "past", usual), "past", "cadence", first)
    text = "\n{past} đạt {before} % trên {base_before} {unit}: giảm {fall} điểm phần trăm."
    return sentence(expression, "before_said", text)


def held(expression: str) -> str:
    """With figures("verdict"): held_said, for below target is kept while no verdict can be given."""
    kept = "\nHiện {}: cảnh báo được giữ đến khi đủ số liệu để kết luận."
    return replaced(
        expression, "held_said", "verdict", {f"{one.value}": kept.format(text) for one, text in _HELD.items()}
    )


def _deadline() -> str:
    # the day that ends at the moment
    figure = _day(f"({metrics.DEADLINE.name} - 3600)")
    day = _written(_counted("deadline", figure, _OF_PLAN), "deadline", figure.passes)
    planless = f"group by (indicator, plan) ({metrics.TARGET.name} or {_EVERY})"
    return f"{day}\nor on (indicator, plan)\n{planless}"


def _asked(plans: Iterable[Plan]) -> dict[str, list[str]]:
    """What is asked for, in words → where: patterns of plan, indicator, facility, figure; one's own come last."""
    places: dict[str, list[str]] = {}
    for plan in plans:
        for one in plan.targets:
            if one.ratio is not None:
                of_all = one.ratio if one.uses_at is None else one.uses_at
                place = _BREAK.join((plan.id, one.indicator, "[^\t]+", _figure(of_all)))
                places.setdefault(_words(plan, one), []).append(place)
    for plan in plans:
        for one in plan.targets:
            for own in one.overrides:
                place = _BREAK.join((plan.id, one.indicator, re.escape(own.facility), _figure(own.ratio)))
                places.setdefault(_own_words(plan, one, own.ratio), []).append(place)
    return places


def _words(plan: Plan, one: Target) -> str:
    assert one.ratio is not None
    if one.uses_at is None:
        return f"Chỉ tiêu {_at_least(one.operator, one.ratio)} theo {plan.short}"
    uses = f"từ {_percent(one.uses_at)}" if one.uses_at < 1 else "100 %"
    return (
        f"Mức được tính là có sử dụng (Sở quy định): {uses}; {plan.short}: {_at_least(one.operator, one.ratio)} cơ sở"
    )


def _own_words(plan: Plan, one: Target, own: Decimal) -> str:
    assert one.ratio is not None
    asked = _at_least(one.operator, one.ratio)
    if one.uses_at is None:
        return f"Mức riêng của cơ sở (Sở quy định): {_at_least(one.operator, own)}; {plan.short}: {asked}"
    uses = f"từ {_percent(own)}" if own < 1 else "100 %"
    return f"Mức riêng của cơ sở để được tính là có sử dụng (Sở quy định): {uses}; {plan.short}: {asked} cơ sở"


def _at_least(operator: Operator, ratio: Decimal) -> str:
    if operator == ">":
        return f"> {_percent(ratio)}"
    return f"≥ {_percent(ratio)}" if ratio < 1 else "100 %"


def _percent(ratio: Decimal) -> str:
    return f"{spoken(float(100 * ratio))} %"


def _figure(ratio: Decimal) -> str:
    return f"{round(100_000 * ratio)}"
