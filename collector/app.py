"""The web application: wiring only."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from secrets import compare_digest
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import disable_created_metrics, generate_latest
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from collector import alerts, api, bodies, confirming, entering, reading, reminders, retention, roads, serving, sheets
from collector.access import Access
from collector.confirmations import Confirmations
from collector.exposition import Exposition
from collector.gate import Gate
from collector.loops import Loops
from collector.pages import (
    admin,
    confirmation,
    confirmation_list,
    detail,
    door,
    facility,
    guide,
    indicator,
    manual,
    overview,
    rendering,
    reporting,
    sso,
)
from collector.pages import sheets as sheet_pages
from collector.parts import Meters, Parts, parts_of
from collector.people import People
from collector.province import Province
from collector.reports import background
from collector.reports.background import Press
from collector.settings import Settings, yardstick
from collector.sso import Provider
from collector.store import Store
from contract import __version__
from contract.days import now
from contract.errors import AwayError, MalformedError, PortalError, UnauthorisedError
from contract.tally import Push

# Of any request. Those who read a body have limits of their own; the framework reads a form before any of us is asked.
_MOST_BYTES = 16 * 2**20
_NOT_SERVED = {
    404: "không có gì ở địa chỉ này; hãy kiểm tra lại đường dẫn",
    405: "địa chỉ này không nhận yêu cầu kiểu đó",
    408: "nội dung đến quá chậm nên máy chủ không chờ thêm",
    413: "nội dung gửi lên quá lớn",
    429: "máy chủ đang nhận quá nhiều tệp cùng lúc: hãy thử lại sau ít phút",
}
_MALFORMED = "yêu cầu không đúng dạng nên máy chủ không thực hiện"
_ROUTES = (
    api, reading, alerts, entering, confirming, door, sso, overview, facility, detail, indicator, guide, admin,
    confirmation, confirmation_list, sheet_pages, manual, reporting,
)  # fmt: skip
# In a backlog the figures are brought up to date a piece at a time; between two pieces pushes have their turn.
_REFRESH_SECONDS = 0.5
# More than any form of ours has.
_FORM_LIMITS: Any = {"max_fields": 500, "max_files": 2}


class _App(FastAPI):
    """FastAPI with the gate around all of it, its own refusals and the page of our mistakes too."""

    def build_middleware_stack(self) -> ASGIApp:
        """Once, before the first request."""
        parts: Parts = self.state.parts
        only_tls = str(parts.settings.public_url or "").startswith("https:")
        return Gate(super().build_middleware_stack(), parts.meters, only_tls)


def create_app(settings: Settings, store: Store) -> FastAPI:
    """The collector over an open store. Raises ConfigError for a broken catalogue, plan or calendar."""
    measured_by = yardstick(settings)
    province = Province(
        store, measured_by, settings.confirmation, settings.metrics_windows, settings.metrics_tally_facilities
    )
    exposition = Exposition(store, measured_by, province)
    parts = Parts(
        settings=settings,
        store=store,
        yardstick=measured_by,
        access=Access(store, settings.revocations),
        people=People(store),
        province=province,
        confirmations=Confirmations(store, measured_by, settings.confirmation, province),
        exposition=exposition,
        meters=Meters(),
        sso=Provider(settings.sso) if settings.sso else None,
    )
    press = Press(store, settings, measured_by)
    loops = _loops(parts, press)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loops.start()
        yield
        loops.stop()
        press.stop()
        store.close()

    disable_created_metrics()  # type: ignore[no-untyped-call]
    app = _App(
        title="nhipso collector", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        dependencies=[Depends(door.same_origin)], max_body_size=_MOST_BYTES, form_limits=_FORM_LIMITS,
        redirect_slashes=False,  # it would send people to whatever the Host header says
    )  # fmt: skip
    app.state.parts = parts
    for part in _ROUTES:
        app.include_router(part.router)
    app.mount("/static/fonts", StaticFiles(packages=[("fontpkg_be_vietnam_pro", "files")]))
    app.mount("/static", StaticFiles(packages=[("collector", "static")]))
    app.add_exception_handler(PortalError, _error)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _not_served)
    app.add_exception_handler(Exception, _broken)
    app.add_api_route("/metrics", metrics, response_class=PlainTextResponse)
    app.add_api_route("/healthz", healthz)
    app.add_api_route("/readyz", readyz)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _loops(parts: Parts, press: Press) -> Loops:
    """What goes on in the background."""
    settings, store = parts.settings, parts.store
    loops = Loops(store, parts.meters, now)
    loops.add("exposition", timedelta(seconds=0.25), partial(parts.exposition.refresh, patience=_REFRESH_SECONDS))
    loops.add_daily("roads", partial(roads.freeze, store, parts.yardstick))
    forget = partial(retention.forget, store, settings.retention, parts.yardstick.plans)
    loops.add_daily("retention", forget, hour=retention.HOUR)
    loops.add_daily("sessions", parts.people.forget_sessions)
    loops.add_daily("old_sheets", partial(sheets.forget, store))
    loops.add("reports", background.PERIOD, press.turn)
    loops.add_daily("old_reports", press.forget)
    if settings.mail is not None:
        address = (settings.mail, settings.public_url or "")
        turn = partial(reminders.remind, store, parts.confirmations, settings.confirmation, *address)
        loops.add_daily("reminders", turn, hour=reminders.HOUR)
    loops.add("certificate", timedelta(days=1), partial(serving.warn, settings))
    return loops


def metrics(
    request: Request,
    parts: Annotated[Parts, Depends(parts_of)],
    shard: Annotated[str | None, Query(max_length=9)] = None,
    authorization: Annotated[str | None, Header()] = None,
) -> Response:
    """The state of all facilities for Prometheus; `shard=i/n` for one part."""
    token = parts.settings.metrics_token
    if token is not None and not compare_digest(api.bearer(authorization).encode(), token.encode()):
        raise UnauthorisedError("mã đọc /metrics không đúng")
    if token is None and not api.is_of_this_machine(request):
        raise UnauthorisedError("chưa khai báo metrics_token_file nên chỉ máy này đọc được /metrics")
    parts.meters.render.set(parts.province.refresh_seconds)
    body = parts.exposition.body(shard) + generate_latest(parts.meters.registry)
    return Response(body, media_type="text/plain; version=0.0.4; charset=utf-8")


async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


def readyz(parts: Annotated[Parts, Depends(parts_of)]) -> dict[str, str]:
    """The database answers and has the current schema. Raises AwayError."""
    if not parts.store.is_current():
        raise AwayError("lược đồ cơ sở dữ liệu chưa đúng phiên bản: chạy nhipso-collector migrate")
    return {"status": "ready"}


async def _error(request: Request, error: Exception) -> Response:
    assert isinstance(error, PortalError)
    if isinstance(error, door.LogInFirstError):
        return RedirectResponse(error.address, 303)
    retry = getattr(error, "retry_after", None)
    headers = {} if retry is None else {"Retry-After": str(retry)}
    return _answer(request, error.status, type(error).__name__, str(error), headers)


async def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if _is_browser(request):
        return rendering.problem(request, MalformedError.status, _MALFORMED, {})
    names = {"query", "path", "header", *(one.alias for one in request.scope["route"].dependant.query_params)}
    return await _error(request, MalformedError(bodies.places(error.errors(), names)))


async def _not_served(request: Request, error: Exception) -> Response:
    """What the framework refuses; its own words may repeat what was sent."""
    assert isinstance(error, HTTPException)
    said = _NOT_SERVED.get(error.status_code, _MALFORMED)
    return _answer(request, error.status_code, type(error).__name__, said, error.headers or {})


async def _broken(request: Request, error: Exception) -> Response:
    """A mistake of ours; the server writes it to its log."""
    return _answer(
        request, 500, "InternalError", "máy chủ gặp lỗi khi trả lời; lỗi đã được ghi vào nhật ký của máy chủ", {}
    )


def _answer(request: Request, status: int, name: str, sentence: str, headers: Mapping[str, str]) -> Response:
    """For a browser a page, for a program JSON."""
    if _is_browser(request):
        return rendering.problem(request, status, sentence, headers)
    return JSONResponse({"error": name, "detail": sentence}, status_code=status, headers=dict(headers))


def _is_browser(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _openapi(app: FastAPI) -> dict[str, Any]:
    if not app.openapi_schema:
        schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
        pushed = Push.model_json_schema(ref_template="#/components/schemas/{model}")
        components = schema.setdefault("components", {}).setdefault("schemas", {})
        components.update(pushed.pop("$defs", {}))
        components["Push"] = pushed
        app.openapi_schema = schema
    return app.openapi_schema
