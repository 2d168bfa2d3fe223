"""The web application: wiring only."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from secrets import compare_digest
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import disable_created_metrics, generate_latest
from starlette.exceptions import HTTPException

from collector import alerts, api, bodies, confirming, entering, reading, roads
from collector.access import Access
from collector.exposition import Exposition
from collector.loops import Loops
from collector.pages import door, facility, front, guide, rendering
from collector.parts import Meters, Parts, parts_of
from collector.people import People
from collector.settings import Settings, yardstick
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
    413: "nội dung gửi lên quá lớn",
}
_MALFORMED = "yêu cầu không đúng dạng nên máy chủ không thực hiện"


def create_app(settings: Settings, store: Store) -> FastAPI:
    """The collector over an open store. Raises ConfigError for a broken catalogue, plan or calendar."""
    measured_by = yardstick(settings)
    exposition = Exposition(
        store, measured_by, settings.metrics_tally_facilities, settings.metrics_windows, settings.confirmation
    )
    parts = Parts(
        settings=settings,
        store=store,
        yardstick=measured_by,
        access=Access(store, settings.revocations),
        people=People(store),
        exposition=exposition,
        meters=Meters(),
    )
    loops = Loops(store, parts.meters, now)
    loops.add("exposition", timedelta(seconds=0.25), exposition.refresh)
    loops.add_daily("roads", partial(roads.freeze, store, measured_by))
    loops.add_daily("sessions", parts.people.forget_sessions)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loops.start()
        yield
        loops.stop()
        store.close()

    disable_created_metrics()  # type: ignore[no-untyped-call]
    app = FastAPI(
        title="nhipso collector", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        dependencies=[Depends(door.same_origin)], max_body_size=_MOST_BYTES,
    )  # fmt: skip
    app.state.parts = parts
    for part in (api, reading, alerts, entering, confirming, door, front, facility, guide):
        app.include_router(part.router)
    app.mount("/static/fonts", StaticFiles(packages=[("fontpkg_be_vietnam_pro", "files")]))
    app.mount("/static", StaticFiles(packages=[("collector", "static")]))
    app.add_exception_handler(PortalError, _error)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _not_served)
    app.add_exception_handler(Exception, _broken)
    app.middleware("http")(_measure)
    app.add_api_route("/metrics", metrics, response_class=PlainTextResponse)
    app.add_api_route("/healthz", healthz)
    app.add_api_route("/readyz", readyz)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def metrics(
    parts: Annotated[Parts, Depends(parts_of)],
    shard: str | None = None,
    authorization: Annotated[str | None, Header()] = None,
) -> Response:
    """The state of all facilities for Prometheus; `shard=i/n` for one part."""
    token = parts.settings.metrics_token
    if token is not None and not compare_digest(api.bearer(authorization).encode(), token.encode()):
        raise UnauthorisedError("mã đọc /metrics không đúng")
    parts.meters.render.set(parts.exposition.render_seconds)
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


async def _measure(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    started, status = time.perf_counter(), 500
    try:
        response = await call_next(request)
        status = response.status_code
        return response
    finally:
        # the route's pattern, not the path: callers must not be able to make series
        route = getattr(request.scope.get("route"), "path", "other")
        meters: Meters = request.app.state.parts.meters
        method = request.method if request.method in ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS") else "other"
        meters.requests.labels(method, route, status).inc()
        meters.seconds.labels(method, route, status).observe(time.perf_counter() - started)


def _openapi(app: FastAPI) -> dict[str, Any]:
    if not app.openapi_schema:
        schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
        pushed = Push.model_json_schema(ref_template="#/components/schemas/{model}")
        components = schema.setdefault("components", {}).setdefault("schemas", {})
        components.update(pushed.pop("$defs", {}))
        components["Push"] = pushed
        app.openapi_schema = schema
    return app.openapi_schema
