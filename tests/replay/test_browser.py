"""The report in a real browser: nothing is fetched, nothing is complained of, and it can be read by day, by night, on a phone and on paper.

Needs a Chromium on the path (`apt-get install chromium`); where there is none these are skipped by name."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from stream.replay.report import write_report
from tests.replay.test_report import results, summarise, verdicts

__all__ = ["results"]

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE_S = 60.0


@dataclass
class Tab:
    """A page of a running browser, over its DevTools protocol, with everything that it said and asked for."""

    socket: aiohttp.ClientWebSocketResponse
    events: list[dict[str, Any]] = field(default_factory=list)
    _last: int = 0

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._last += 1
        await self.socket.send_json({"id": self._last, "method": method, "params": params})
        while True:
            said = await self._hear()
            if said.get("id") == self._last:
                assert "error" not in said, said
                result: dict[str, Any] = said["result"]
                return result

    async def until(self, event: str) -> None:
        while not any(one["method"] == event for one in self.events):
            await self._hear()

    async def value(self, expression: str) -> Any:
        found = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return found["result"]["value"]

    async def _hear(self) -> dict[str, Any]:
        said: dict[str, Any] = await self.socket.receive_json(timeout=PATIENCE_S)
        if "method" in said:
            self.events.append(said)
        return said


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a headless browser."""
    binary = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if binary is None:
        pytest.skip("no browser here: install chromium to look at the report in one")
    profile = tmp_path_factory.mktemp("browser")
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-port=0"]
    process = subprocess.Popen(
        [binary, *words, f"--user-data-dir={profile}", "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(profile)},
    )
    try:
        told = profile / "DevToolsActivePort"
        deadline = time.monotonic() + PATIENCE_S
        while not (told.exists() and told.read_text().count("\n")):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.skip(f"{binary} does not start here")
            time.sleep(0.1)
        yield int(told.read_text().split()[0])
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def page(results: Any, kit: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "out.html"
    write_report(path, summarise(results, kit, verdicts(kit), command="flagstream replay --topic messages"))
    return path


@asynccontextmanager
async def opened(port: int, page: Path, *, scheme: str = "light", width: int = 1100, media: str = "screen") -> AsyncIterator[Tab]:
    async with aiohttp.ClientSession() as session:
        async with session.put(f"http://127.0.0.1:{port}/json/new?about:blank") as answer:
            about = await answer.json()
        async with session.ws_connect(about["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            tab = Tab(socket)
            for domain in ("Page", "Runtime", "Log", "Network"):
                await tab.call(f"{domain}.enable")
            await tab.call("Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}])
            await tab.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
            tab.events.clear()
            await tab.call("Page.navigate", url=page.as_uri())
            await tab.until("Page.loadEventFired")
            yield tab
            await tab.call("Page.close")


def channel(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def luminance(colour: list[int]) -> float:
    red, green, blue = (channel(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


CONTRASTS = """
(() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const behind = node => { for (; node; node = node.parentElement) { const c = rgb(getComputedStyle(node).backgroundColor); if (c.length < 4 || c[3] > 0) return c.slice(0, 3); } return [255, 255, 255]; };
  return [...document.querySelectorAll("p, li, td, th, dt, dd, small, h1, h2, a, summary, code, pre")].filter(n => n.textContent.trim())
    .map(n => [n.tagName + "." + n.className, rgb(getComputedStyle(n).color).slice(0, 3), behind(n)]);
})()
"""


async def contrasts(tab: Tab) -> dict[str, float]:
    """The least contrast of text with what is behind it, by kind of element."""
    found: dict[str, float] = {}
    for name, ink, paper in await tab.value(CONTRASTS):
        light, dark = sorted((luminance(ink), luminance(paper)), reverse=True)
        found[name] = min(found.get(name, 99.0), (light + 0.05) / (dark + 0.05))
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_fetched_or_complained_of_and_text_stands_out_by_day_and_by_night(scheme: str, browser: int, page: Path) -> None:
    async def look() -> None:
        async with opened(browser, page, scheme=scheme) as tab:
            await asyncio.sleep(0.3)
            assert await tab.value("document.querySelector('.answer .word').textContent") == "It depends"
            asked = [one["params"]["request"]["url"] for one in tab.events if one["method"] == "Network.requestWillBeSent"]
            assert asked == [page.as_uri()]
            complaints = {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"}
            assert [one for one in tab.events if one["method"] in complaints] == []
            paper = luminance(await tab.value("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"))
            assert (paper > 0.8) if scheme == "light" else (paper < 0.05)
            dim = {name: round(contrast, 2) for name, contrast in (await contrasts(tab)).items() if contrast < 4.5}
            assert dim == {}

    asyncio.run(look())


def test_the_answer_is_the_first_thing_seen_and_nothing_sticks_out_on_a_phone(browser: int, page: Path) -> None:
    async def look() -> None:
        for width in (390, 1100):
            async with opened(browser, page, width=width) as tab:
                assert await tab.value("document.documentElement.scrollWidth") <= width
                place = await tab.value("(r => [r.top, r.bottom])(document.querySelector('.answer .headline').getBoundingClientRect())")
                assert 0 < place[0] < place[1] < 450
                assert await tab.value("[...document.querySelectorAll('svg')].every(s => s.getBoundingClientRect().height > 100)")

    asyncio.run(look())


def test_it_prints_on_white_paper_whatever_the_screen_is_like(browser: int, page: Path) -> None:
    async def look() -> None:
        async with opened(browser, page, scheme="dark", media="print") as tab:
            paper = luminance(await tab.value("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"))
            assert paper > 0.99
            assert not await tab.value("document.querySelector('nav').offsetHeight")
            assert {name: contrast for name, contrast in (await contrasts(tab)).items() if contrast < 4.5} == {}
            printed = base64.b64decode((await tab.call("Page.printToPDF", printBackground=True))["data"])
            assert printed.startswith(b"%PDF")
            assert 1 <= printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") <= 12

    asyncio.run(look())
