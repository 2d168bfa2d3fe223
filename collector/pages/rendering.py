"""From a template and figures to a page: typography of Vietnamese readers, the language switch, security headers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from functools import cache
from importlib import resources
from typing import Any, Literal

from babel.messages.pofile import read_po
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from collector import typography
from collector.pages.spark import spark
from collector.people import Session
from collector.yardstick import Bound
from contract import __version__
from contract.days import LOCAL, now
from contract.verdict import Verdict

Language = Literal["vi", "en"]
LANGUAGE_COOKIE = "nhipso-language"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self';"
        " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    # a page holds figures of one person's facilities: the next one at this computer must not get it by going back
    "Cache-Control": "no-store",
}
PROBLEMS = {
    401: "Hãy đăng nhập",
    403: "Không được phép",
    404: "Không có trang này",
    409: "Số liệu vừa thay đổi",
    413: "Nội dung gửi lên quá lớn",
    429: "Quá nhiều yêu cầu",
    500: "Máy chủ gặp lỗi",
    503: "Tạm thời không có số liệu",
}
"""The headings of pages that tell of a problem, by status."""
NOT_DONE = "Không thực hiện được"


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a page, in which language, and where. `session` None: nobody has logged in."""

    session: Session | None
    language: Language
    here: str


def language_of(request: Request) -> Language:
    """The language that the reader has chosen; Vietnamese until then."""
    return "en" if request.cookies.get(LANGUAGE_COOKIE) == "en" else "vi"


def here(request: Request) -> str:
    """The address that shows this page again: with its query, or the front page for a form that was sent."""
    if request.method != "GET":
        return "/"
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def page(reader: Reader, template: str, status: int = 200, **context: Any) -> HTMLResponse:
    """The page; `context` are the template's names."""
    shown = {"session": reader.session, "language": reader.language, "here": reader.here}
    text = (
        _environment(reader.language)
        .get_template(template)
        .render(**shown, version=__version__, moment=now(), **context)
    )
    return HTMLResponse(text, status, HEADERS)


def problem(request: Request, status: int, sentence: str, headers: Mapping[str, str]) -> HTMLResponse:
    """The page for somebody whose request is answered with an error: what happened, and the way back."""
    known: Reader | None = getattr(request.state, "reader", None)
    # its own address may hold what was wrong: it is not repeated
    reader = Reader(known.session if known else None, language_of(request), "/")
    answer = page(reader, "problem.html", status, title=PROBLEMS.get(status, NOT_DONE), problem=sentence)
    answer.headers.update(headers)
    return answer


def percent(share: Fraction | None, language: Language = "vi") -> str:
    """A share (0 … 1) to one decimal: `71,4 %`, in English `71.4%`; an empty text for no share."""
    if share is None:
        return ""
    text = typography.percent(share)
    return text if language == "vi" else _english(text).replace(typography.NBSP, "")


def target(bound: Bound, language: Language = "vi") -> str:
    """What a facility or a scope is held against: `≥ 95 %`, `> 40,5 %`."""
    text = number(Decimal(bound.ratio.numerator * 100) / Decimal(bound.ratio.denominator), language)
    gap = typography.NBSP if language == "vi" else ""
    return f"{'≥' if bound.operator == '>=' else '>'}{typography.NBSP}{text}{gap}%"


def number(value: int | Decimal, language: Language = "vi") -> str:
    """`1.024` in Vietnamese, `1,024` in English."""
    text = typography.number(value)
    return text if language == "vi" else _english(text)


def clock(value: datetime) -> str:
    """`10:05 21/11/2026`, local."""
    return f"{value.astimezone(LOCAL):%H:%M %d/%m/%Y}"


def fresh(value: datetime, today: date) -> str:
    """`10:05` of today, `10:05 21/11` of this year, else the whole day."""
    at = value.astimezone(LOCAL)
    if at.date() == today:
        return f"{at:%H:%M}"
    return f"{at:%H:%M %d/%m}" if at.year == today.year else f"{at:%H:%M %d/%m/%Y}"


def sentence(text: str) -> str:
    """A sentence of an error, which begins small and ends without a full stop, as people read it."""
    return typography.capitalised(text) + ("" if text.endswith((".", "?", "!", "…")) else ".")


def _english(digits: str) -> str:
    return digits.translate(str.maketrans(",.", ".,"))


@cache
def _environment(language: Language) -> Environment:
    environment = Environment(
        loader=PackageLoader("collector"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, extensions=["jinja2.ext.i18n"],
    )  # fmt: skip
    words = _words(language)

    def translated(text: str) -> str:
        return words.get(text, text)

    def counted(one: str, many: str, n: int) -> str:
        return translated(one if n == 1 else many)

    environment.install_gettext_callables(translated, counted, newstyle=True)  # type: ignore[attr-defined]
    environment.filters |= {
        "held": lambda bound: target(bound, language),
        "percent": lambda share: percent(share, language),
        "number": lambda value: number(value, language),
        "day": typography.day,
        "clock": clock,
        "fresh": fresh,
        "lower_first": lambda text: text[:1].lower() + text[1:],
        "spark": spark,
        "sentence": sentence,
        "named": lambda entry: getattr(entry, language),
        "meaning": lambda entry: getattr(entry, f"meaning_{language}"),
    }
    environment.globals["Verdict"] = Verdict
    return environment


def _words(language: Language) -> Mapping[str, str]:
    """Vietnamese text → the same in `language`; what is not there stays Vietnamese."""
    if language == "vi":
        return {}
    words: dict[str, str] = {}
    for file in resources.files("collector").joinpath("translations", language).iterdir():
        with file.open("rb") as text:
            words |= {str(one.id): str(one.string) for one in read_po(text) if one.id and one.string}
    return words
