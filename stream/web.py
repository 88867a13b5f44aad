"""The worker's HTTP server: alive, ready, how it is doing, and a door for verdicts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from stream.errors import UsageError
from stream.metrics import REGISTRY
from stream.settings import Settings
from stream.verdicts.endpoint import MAX_BODY_BYTES, VerdictDoor, problems_as_json

Check = Callable[[], bool]


@asynccontextmanager
async def serving(settings: Settings, *, healthy: Check, ready: Check, door: VerdictDoor | None = None) -> AsyncIterator[str]:
    """Serve /health and /ready (200 or 503), /metrics (Prometheus) and, with a `door`, /verdicts (POST) at the address yielded,
    host:port. Raises `UsageError` when it cannot be bound."""

    def answer(check: Check) -> web.Response:
        return web.json_response({"ok": True}) if check() else web.json_response({"ok": False}, status=503)

    async def health(_: web.Request) -> web.Response:
        return answer(healthy)

    async def readiness(_: web.Request) -> web.Response:
        return answer(ready)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[problems_as_json])
    app.add_routes([web.get("/health", health), web.get("/ready", readiness), web.get("/metrics", metrics)])
    if door is not None:
        app.add_routes([web.post("/verdicts", door.post)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.web_host, settings.web_port)
        try:
            await site.start()
        except OSError as error:
            raise UsageError(
                f"cannot serve HTTP at {settings.web_host}:{settings.web_port}: {error.strerror}; "
                "set FLAGSTREAM_WEB_PORT (0 takes a free one)"
            ) from error
        host, port = runner.addresses[0][:2]
        yield f"{host}:{port}"
    finally:
        await runner.cleanup()
