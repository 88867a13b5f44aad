"""HTTP endpoints for `bench act`, in a thread of their own: one that is well, one that fails three times in ten, one that hangs."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from aiohttp import web

from schemas.signature import SignatureError, verify

Manner = Literal["well", "failing", "hanging"]
FAILS = 0.3
START_TIMEOUT_S = 10.0
HANGS_S = 3600.0


class Endpoint:
    """A receiver of webhooks that verifies signatures and honours the idempotency key: it acts on each key once. A `failing` one answers
    500 to a share of the requests, half of them before it acted and half after, as where the answer is lost on its way."""

    def __init__(self, manner: Manner, *, delay_s: float, secret: str, chance: random.Random) -> None:
        self._manner = manner
        self._delay_s = delay_s
        self._secret = secret
        self._chance = chance
        self._keys: set[str] = set()
        self._latest: dict[str, int] = {}
        self.url = ""
        self.requests = 0
        self.acted: Counter[str] = Counter()
        """How often it acted, by the id in the flag itself."""
        self.answered: set[str] = set()
        """Flags that it said it had taken."""
        self.out_of_order = 0
        """Flags acted on after a later one of the same entity."""
        self._first_s = self._last_s = 0.0

    @property
    def seconds(self) -> float:
        """From the first request to the last answer."""
        return self._last_s - self._first_s

    async def take(self, request: web.Request) -> web.Response:
        """Answer one POST."""
        self._first_s = self._first_s or time.perf_counter()
        self.requests += 1
        body = await request.read()
        try:
            key = verify(body, request.headers, secrets=[self._secret], now_s=time.time())
        except SignatureError:
            return web.Response(status=401)
        if self._manner == "hanging":
            await asyncio.sleep(HANGS_S)
        await asyncio.sleep(self._delay_s)
        lot = self._chance.random() if self._manner == "failing" else 1.0
        if lot >= FAILS / 2:
            flag = json.loads(body)
            self._act(key, flag["id"], flag["entity"], flag["event"]["offset"])
            if lot >= FAILS:
                self.answered.add(flag["id"])
        self._last_s = time.perf_counter()
        return web.Response(status=204 if lot >= FAILS else 500)

    def _act(self, key: str, flag_id: str, entity: str, offset: int) -> None:
        if key in self._keys:
            return
        self._keys.add(key)
        self.acted[flag_id] += 1
        self.out_of_order += offset < self._latest.get(entity, -1)
        self._latest[entity] = max(offset, self._latest.get(entity, -1))


@contextmanager
def serving_endpoints(endpoints: Sequence[Endpoint]) -> Iterator[None]:
    """Serve each on a loopback port of its own, which its `url` names from then on."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="endpoints", daemon=True)
    thread.start()
    runners: list[web.AppRunner] = []
    try:
        asyncio.run_coroutine_threadsafe(_open(endpoints, runners), loop).result(START_TIMEOUT_S)
        yield
    finally:
        asyncio.run_coroutine_threadsafe(_close(runners), loop).result(START_TIMEOUT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _open(endpoints: Sequence[Endpoint], runners: list[web.AppRunner]) -> None:
    for endpoint in endpoints:
        app = web.Application()
        app.router.add_post("/flags", endpoint.take)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}/flags"


async def _close(runners: Sequence[web.AppRunner]) -> None:
    await asyncio.gather(*(runner.cleanup() for runner in runners))
