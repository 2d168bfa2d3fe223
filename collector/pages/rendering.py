"""From a template and figures to a page: typography of Vietnamese readers, the language switch, security headers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from functools import cache
from importlib import resources
from typing import Any, Literal

from babel.messages.pofile import read_po
from babel.numbers import format_decimal
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from collector.people import Session
from contract import __version__
from contract.days import LOCAL, now
from contract.errors import PortalError
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
    "Cache-Control": "private, no-cache",
}


_TITLES = {
    403: "Không được phép",
    404: "Không có trang này",
    409: "Số liệu vừa thay đổi",
    429: "Máy chủ đang bận",
    503: "Tạm thời không có số liệu",
}


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a page, and in which language. `session` None: nobody has logged in."""

    session: Session | None
    language: Language


def language_of(request: Request) -> Language:
    """The language that the reader has chosen; Vietnamese until then."""
    return "en" if request.cookies.get(LANGUAGE_COOKIE) == "en" else "vi"


def page(reader: Reader, template: str, status: int = 200, **context: Any) -> HTMLResponse:
    """The page; `context` are the template's names."""
    text = (
        _environment(reader.language)
        .get_template(template)
        .render(session=reader.session, language=reader.language, version=__version__, moment=now(), **context)
    )
    return HTMLResponse(text, status, HEADERS)


def problem(request: Request, error: PortalError, headers: Mapping[str, str]) -> HTMLResponse:
    """The page for somebody whose request is answered with an error: what happened, and the way back."""
    title = _TITLES.get(error.status, "Không thực hiện được")
    answer = page(Reader(None, language_of(request)), "problem.html", error.status, title=title, sentence=str(error))
    answer.headers.update(headers)
    return answer


def percent(share: Fraction | float | None, digits: int = 1, language: Language = "vi") -> str:
    """`71,4 %`; an empty text for no share. Never rounds what misses 100 % up to it."""
    if share is None:
        return ""
    scaled = Fraction(share) * 100 * 10**digits
    rounded = Fraction(round(scaled), 10**digits)
    if rounded >= 100 > Fraction(share) * 100:
        rounded = 100 - Fraction(1, 10**digits)
    text = format_decimal(float(rounded), format=f"#,##0.{'0' * digits}" if digits else "#,##0", locale=language)
    return f"{text}\N{NO-BREAK SPACE}%"


def number(value: int, language: Language = "vi") -> str:
    """`1.024` in Vietnamese, `1,024` in English."""
    return format_decimal(value, locale=language)


def day(value: date) -> str:
    """`05/11/2026`."""
    return f"{value:%d/%m/%Y}"


def clock(value: datetime) -> str:
    """`10:05 hôm nay` is said by the template; this is `10:05 21/11/2026`, local."""
    return f"{value.astimezone(LOCAL):%H:%M %d/%m/%Y}"


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
        "percent": lambda share, digits=1: percent(share, digits, language),
        "number": lambda value: number(value, language),
        "day": day,
        "clock": clock,
        "named": lambda entry: getattr(entry, language),
        "meaning": lambda entry: getattr(entry, f"meaning_{language}"),
    }
    environment.globals["Verdict"] = Verdict
    return environment


def _words(language: Language) -> Mapping[str, str]:
    """Vietnamese text → the same in `language`; what is not there stays Vietnamese."""
    if language == "vi":
        return {}
    file = resources.files("collector").joinpath("translations", f"{language}.po")
    with file.open("rb") as text:
        return {str(one.id): str(one.string) for one in read_po(text) if one.id and one.string}
