"""What alerts say: pieces of Prometheus's templates that write figures, moments and names as Vietnamese readers do.

A template has no arithmetic and knows no decimal comma; regular expressions move the point, and `Add` (nanoseconds)
moves a moment to the local time. Every firing alert is written anew at each evaluation: what alerts by the hundred say
comes as labels (alerts_figures.py).
"""

import re
from collections.abc import Collection

from contract.catalogue import Catalogue
from dashboards.alerts_shape import replaced

_HOUR = 3_600_000_000_000
_ZONE = 7 * _HOUR
_DEFINITIONS = {
    # 1234567 → 1.234.567
    "count": r'{{ printf "%015.0f" . | reReplaceAll `(...)(...)(...)(...)(...)$` "$1.$2.$3.$4.$5" '
    r'| reReplaceAll `^[0.]+(\d)` "$1" }}',
    "minutes": r'{{ printf "%.1f" . | reReplaceAll `^-` "" | reReplaceAll `\.0$` "" | reReplaceAll `\.` "," }}',
    "moment": f'{{{{ ((toTime .).Add {_ZONE}).Format "02/01/2006 15:04" }}}}',
    "day": f'{{{{ ((toTime .).Add {_ZONE}).Format "02/01/2006" }}}}',
    # the day that ends at the moment
    "until": f'{{{{ ((toTime .).Add {_ZONE - _HOUR}).Format "02/01/2006" }}}}',
    # 2026-10 → 10/2026
    "month": r'{{ reReplaceAll `^(\d+)-(\d+)$` "$2/$1" . }}',
}


def say(definition: str, of: str = "$value") -> str:
    """Template code: the value of the alert, or something else, written by a definition."""
    return f'{{{{ template "{definition}" {of} }}}}'


NAME = "{{ $labels.name }}"
SOURCE = "{{ $labels.source }}"
MOMENT = _DEFINITIONS["moment"].replace("toTime .", "toTime $value")
LOST = ": đang mất liên lạc với máy chủ thu thập, cảnh báo được giữ như trước."
# What an alert says that fires only because nobody can see that it does not.
BLIND = "{{ if lt $value -1e300 }}" + NAME + LOST + "{{ else }}"


# What an alert says besides, unless that is so.
SEEING = "{{{{ if gt $value -1e300 }}}}{}{{{{ end }}}}"


def complete(text: str) -> str:
    """`text` with the definitions that it uses before it."""
    used = dict.fromkeys(re.findall(r'{{-? *template "(\w+)"', text))
    return "".join(f'{{{{ define "{one}" }}}}{_DEFINITIONS[one]}{{{{ end -}}}}\n' for one in used) + text


def titled(expression: str, labels: Collection[str], catalogue: Catalogue) -> str:
    """`expression` with the label title, by its label indicator or measure, if it is one of `labels`."""
    if "measure" in labels:
        return replaced(
            expression, "title", "measure", {code: one.vi for code, one in catalogue.measures.items()}, "$1"
        )
    if "indicator" not in labels:
        return expression
    return replaced(
        expression, "title", "indicator", {code: one.vi for code, one in catalogue.indicators.items()}, "$1"
    )
