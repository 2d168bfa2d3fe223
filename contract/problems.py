"""Turns pydantic's findings into sentences for the person who wrote the file: Vietnamese, place and rule, no value.

What was written is not repeated: a key of a config file may be a secret, a row of a sheet may be a person.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

_Context = Mapping[str, Any]
_SENTENCES: dict[str, str | Callable[[_Context], str]] = {
    "missing": "thiếu khóa bắt buộc này",
    "extra_forbidden": "không có khóa này",
    "string_type": "phải là chữ, đặt trong dấu ngoặc kép",
    "string_too_short": "không được để trống",
    "string_too_long": lambda c: f"dài quá {c['max_length']} ký tự",
    "string_pattern_mismatch": "không đúng dạng",
    "int_type": "phải là số nguyên",
    "int_parsing": "phải là số nguyên",
    "int_from_float": "phải là số nguyên",
    "float_type": "phải là một số",
    "float_parsing": "phải là một số",
    "decimal_type": "phải là một số",
    "decimal_parsing": "phải là một số, không kèm dấu %",
    "finite_number": "phải là một số",
    "bool_type": "phải là true hoặc false",
    "bool_parsing": "phải là true hoặc false",
    "list_type": "phải là danh sách [ … ]",
    "tuple_type": "phải là danh sách [ … ]",
    "too_short": "danh sách không được rỗng",
    "too_long": lambda c: f"danh sách dài quá {c['max_length']}",
    "dict_type": "phải là một bảng",
    "model_type": "phải là một bảng",
    "date_type": "phải là một ngày, dạng 2026-01-31",
    "date_parsing": "phải là một ngày, dạng 2026-01-31",
    "date_from_datetime_parsing": "phải là một ngày, dạng 2026-01-31",
    "date_from_datetime_inexact": "phải là một ngày không kèm giờ, dạng 2026-01-31",
    "time_type": 'phải là giờ, dạng "02:30"',
    "time_parsing": 'phải là giờ, dạng "02:30"',
    "url_type": "phải là một địa chỉ, dạng https://…",
    "url_parsing": "phải là một địa chỉ, dạng https://…",
    "url_scheme": "phải bắt đầu bằng http:// hoặc https://",
    "greater_than": lambda c: f"phải lớn hơn {c['gt']}",
    "greater_than_equal": lambda c: f"phải từ {c['ge']} trở lên",
    "less_than": lambda c: f"phải nhỏ hơn {c['lt']}",
    "less_than_equal": lambda c: f"phải không quá {c['le']}",
    "literal_error": lambda c: f"phải là một trong: {str(c['expected']).replace(' or ', ', ')}",
    "value_error": "giá trị không hợp lệ",
}


def sentences(
    place: str,
    error: ValidationError,
    offered: Callable[[tuple[int | str, ...]], Iterable[str]] | None = None,
    where: Callable[[tuple[int | str, ...]], str] | None = None,
) -> list[str]:
    """One sentence for each finding: `place: key: what is wrong`.

    `offered`: the keys that could stand where an unknown one stands; `where`: a key's place in words, not with dots.
    """
    found = []
    for one in error.errors(include_input=False, include_url=False):
        path = tuple(part for part in one["loc"] if part != "[key]")
        key = where(path) if where else ".".join(str(part) for part in path)
        sentence = _SENTENCES.get(one["type"], "giá trị không hợp lệ")
        text = sentence if isinstance(sentence, str) else sentence(one.get("ctx", {}))
        if one["type"] == "extra_forbidden" and offered:
            text += f"; các khóa dùng được: {', '.join(offered(one['loc']))}"
        found.append(": ".join(part for part in (place, key, text) if part))
    return found
