"""The first page: for the Sở the whole province as a table, for people of a facility the way to their own page."""

from collections.abc import Callable, Iterator
from datetime import date
from fractions import Fraction
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from fastapi.responses import RedirectResponse, Response

from collector import reports
from collector.overview import Asked, Order, Overview, Row, overview
from collector.pages.door import reader
from collector.pages.rendering import HEADERS, Reader, page
from collector.parts import Parts, parts_of
from collector.reports.blocks import Cell, Column, Table
from collector.typography import clean
from collector.windows import Window
from contract.catalogue import Catalogue, Level
from contract.days import local_day, now
from contract.errors import NotFoundError
from contract.facility import LEVELS, OWNERSHIPS
from contract.plan import Ownership
from contract.verdict import Verdict

router = APIRouter(include_in_schema=False)
WINDOWS: tuple[tuple[Window, str], ...] = (("7d", "7 ngày"), ("30d", "30 ngày"), ("quarter", "Quý"), ("year", "Năm"))

_OF_INDICATOR = ("tỷ lệ", "số đạt", "tổng số", "chưa phân loại", "đánh giá", "đến ngày")


def asked(
    window: Window = "30d",
    indicator: Annotated[str, Query(max_length=64)] = "",
    area: Annotated[str, Query(max_length=200)] = "",
    level: Level | Literal[""] = "",
    ownership: Ownership | Literal[""] = "",
    verdict: Annotated[str, Query(max_length=20)] = "",
    name: Annotated[str, Query(max_length=200)] = "",
    order: Order = "worst",
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> Asked:
    """What the address asks for: the whole state of the table stands in it."""
    return Asked(
        window=window, focus=indicator, area=area, level=level, ownership=ownership, verdict=verdict, name=name,
        order=order, page=page,
    )  # fmt: skip


@router.get("/")
def front(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(reader)],
    wanted: Annotated[Asked, Depends(asked)],
    columns: Literal["", "all"] = "",
) -> Response:
    """The province; people of a facility are led to its page."""
    assert found.session is not None
    own = found.session.person.facility
    if own is not None:
        return RedirectResponse(f"/facilities/{own}", 303)
    shown = overview(parts.province.at(now()), parts.catalogue, wanted, columns == "all")
    verdicts = [one for one in reversed(Verdict) if shown.verdicts.get(one)]
    options = {
        "areas": [(one, one) for one in shown.areas],
        "levels": [(code, getattr(words, found.language)) for code, words in LEVELS.items()],
        "ownerships": [(code, getattr(words, found.language)) for code, words in OWNERSHIPS.items()],
        "verdicts": [(one.code, getattr(one, found.language)) for one in verdicts],
    }
    return page(
        found,
        "overview.html",
        shown=shown,
        at=_addresses(shown.asked, columns),
        catalogue=parts.catalogue,
        windows=WINDOWS,
        levels=LEVELS,
        options=options,
        verdicts=verdicts,
        every_column=columns == "all",
        today=local_day(now()),
    )


@router.get("/overview.{kind}")
def download(
    parts: Annotated[Parts, Depends(parts_of)],
    found: Annotated[Reader, Depends(reader)],
    wanted: Annotated[Asked, Depends(asked)],
    kind: Literal["csv", "xlsx"],
    columns: Literal["", "all"] = "",
) -> Response:
    """The table with all its pages, as a file. Raises NotFoundError for people of one facility."""
    assert found.session is not None
    if found.session.person.facility is not None:
        raise NotFoundError("chỉ dành cho người của Sở")
    state = parts.province.at(now())
    shown = overview(state, parts.catalogue, wanted, columns == "all")
    table = Table("Toàn tỉnh", _columns(shown, parts.catalogue), [list(_cells(one)) for one in shown.all_rows])
    body = reports.lines(table, kind, local_day(state.moment))
    stem = f"toan-tinh-{shown.asked.window}-{local_day(state.moment):%Y%m%d}"
    return Response(
        body,
        media_type=reports.MEDIA_TYPES[kind],
        headers={**HEADERS, "Content-Disposition": f'attachment; filename="{stem}.{kind}"'},
    )


def _addresses(wanted: Asked, columns: str) -> Callable[..., str]:
    """The address of this table with something else asked for; whatever changes, the first page is shown."""
    plain = {
        "window": wanted.window, "indicator": wanted.focus, "area": wanted.area, "level": wanted.level,
        "ownership": wanted.ownership, "verdict": wanted.verdict, "name": wanted.name, "order": wanted.order,
        "columns": columns,
    }  # fmt: skip

    def at(path: str = "/", **changes: str | int) -> str:
        query = {key: value for key, value in {**plain, **changes}.items() if value}
        return f"{path}?{urlencode(query)}"

    return at


def _columns(shown: Overview, catalogue: Catalogue) -> list[Column]:
    titles = ["Mã cơ sở", "Cơ sở", "Địa bàn", "Loại", "Hình thức", "Nhận số liệu lần cuối"]
    for code in shown.columns:
        name = clean(catalogue.indicators[code].vi)
        titles += [
            f"{name}: {what}" for what in ("tỷ lệ", "số đạt", "tổng số", "chưa phân loại", "đánh giá", "đến ngày")
        ]
    return [Column(title, 12) for title in titles]


def _cells(row: Row) -> Iterator[Cell]:
    one = row.place.facility
    yield from (one.id, clean(one.name), clean(one.area), LEVELS[one.level].vi, OWNERSHIPS[one.ownership].vi)
    yield None if one.last_push_at is None else f"{one.last_push_at:%H:%M %d/%m/%Y}"
    for cell in row.cells:
        share: Fraction | None = None if cell is None else cell.share
        as_of: date | None = None if cell is None else cell.as_of
        has_counts = cell is not None and cell.as_of is not None
        yield share
        yield from (cell.numerator, cell.denominator, cell.unknown) if cell and has_counts else (None, None, None)
        yield None if cell is None else cell.verdict.vi
        yield as_of
