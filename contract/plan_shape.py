"""Mistakes of shape in a plan file: a key that is missing, that nobody knows, or that holds something else.

Tables are named by what they are about, for a plan is a public document: it holds no secret and nobody's data.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from pydantic import BaseModel, ValidationError

from contract.legible import Place
from contract.problems import sentences
from contract.targets import AppliesTo, Baseline, Follow, Manual, Override, Plan, Target

_TABLES: dict[str, type[BaseModel]] = {
    "targets": Target,
    "manual": Manual,
    "follow": Follow,
    "applies_to": AppliesTo,
    "overrides": Override,
    "baselines": Baseline,
}
_NAMES = ("indicator", "code", "measure", "facility", "section")
_TEXTS = (
    "issuer",
    "title",
    "short",
    "section",
    "words",
    "vi",
    "en",
    "code",
    "indicator",
    "measure",
    "facility",
    "reason",
)
STAND_INS = (
    dict.fromkeys(_TEXTS, "unread") | dict.fromkeys(("first_day", "last_day", "day"), date(2000, 1, 1)) | {"ratio": 0}
)
"""A value of the right shape for each key that must be there, to read the rest by."""
_WRITE = {
    "targets": "mỗi chỉ tiêu một bảng [[targets]]",
    "manual": "mỗi chỉ tiêu một bảng [[manual]]",
    "follow": "mỗi số đếm một bảng [[follow]]",
    "issuer": 'cơ quan ban hành, ví dụ "Sở Y tế"',
    "title": "tên của văn bản",
    "short": 'tên gọn để đọc trong câu, ví dụ "Kế hoạch 2026"',
    "first_day": "ngày đầu tiên của kế hoạch",
    "last_day": "ngày cuối cùng của kế hoạch",
    "section": 'chỗ trong văn bản, ví dụ "II.7"',
    "words": "nguyên văn của văn bản",
    "indicator": "mã chỉ số trong danh mục",
    "measure": "mã số đếm trong danh mục",
    "code": "mã ngắn, chỉ có chữ thường không dấu, chữ số và dấu gạch dưới",
    "vi": "tên tiếng Việt",
    "en": "tên tiếng Anh",
    "ratio": "95 % viết là 0.95",
    "uses_at": "95 % viết là 0.95",
    "value": "20 % viết là 20",
    "facility": "mã cơ sở trong danh bạ",
    "day": "ngày bắt đầu lộ trình",
    "reason": "lý do, ví dụ số công văn",
}


def mistakes(content: Mapping[str, Any], error: ValidationError) -> list[str]:
    """A sentence for each finding of `error`: where, what is wrong, what to write."""
    found = sentences("", error, _keys, lambda place: where(content, place))
    written = (_WRITE.get(str(one["loc"][-1])) if one["type"] != "extra_forbidden" else None for one in error.errors())
    return [f"{text} ({hint})" if hint else text for text, hint in zip(found, written, strict=True)]


def _keys(place: Place) -> Iterable[str]:
    tables = [part for part in place[:-1] if isinstance(part, str)]
    fields = _TABLES[tables[-1]].model_fields if tables else Plan.model_fields
    return (one for one in fields if one != "id")


def where(content: Mapping[str, Any], place: Place) -> str:
    """`[[targets]] thứ 2 (emr, II.7): overrides thứ 1 (12001): ratio`, counted from one."""
    text: str = ""
    current: Any = content
    before: int | str = ""
    for part in place:
        try:
            current = current[part]
        except (LookupError, TypeError):
            current = {}  # a key that is missing
        if isinstance(part, int):
            said = [str(current[one]) for one in _NAMES if one in current] if isinstance(current, Mapping) else []
            names = ", ".join(" ".join(one.split())[:40] for one in said if one.strip())
            text += f" thứ {part + 1}" + (f" ({names})" if names else "")
        elif not text:
            text = f"[[{part}]]" if len(place) > 1 else part
        else:
            text += f"{': ' if isinstance(before, int) else '.'}{part}"
        before = part
    return text
