"""Charts as SVG: they print and need no script. In a page they take their colours from its style sheet; alone they bring their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 420, 260
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 14, 40
TICKS = 5
STYLES = "abcdefgh"
"""Classes of lines, dots and bars; a page's style sheet knows the first three."""

_ROW, _NAMES = 16, 210
_COLOURS = ("#0b6bcb", "#b3540b", "#6b7280", "#0f7b55", "#8b3fb0", "#b01c4b", "#7a6a00", "#222222")
_STYLE = (
    "text{font-family:sans-serif;fill:#444}.grid{stroke:#ddd}.tick{font-size:10px}.axis{font-size:11px}.title{font-size:12px;font-weight:bold}"
    ".line{fill:none;stroke-width:2}.line.c{stroke-dasharray:4 4}.span{stroke-width:2;opacity:.5}"
    + "".join(f".line.{s},.span.{s}{{stroke:{c}}}.dot.{s},.bar.{s}{{fill:{c}}}" for s, c in zip(STYLES, _COLOURS, strict=True))
)

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A named line; `style` is a class of the style sheet, `dots` marks its points."""

    name: str
    points: Sequence[Point]
    style: str = "a"
    dots: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A named row of dots: a value for each series, None where there is none, and an interval of the first."""

    name: str
    values: Sequence[float | None]
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A drawing with its title and its legend of (name, style)."""

    title: str
    parts: tuple[str, ...]
    legend: tuple[tuple[str, str], ...]
    width: int = WIDTH
    height: int = HEIGHT

    def figure(self) -> str:
        """A figure for a page with a style sheet."""
        keys = "".join(f'<span class="key {style}">{escape(name)}</span>' for name, style in self.legend if name)
        return (
            f'<figure><figcaption>{escape(self.title)}</figcaption><svg viewBox="0 0 {self.width} {self.height}" role="img" '
            f'aria-label="{escape(self.title)}">{"".join(self.parts)}</svg><div class="keys">{keys}</div></figure>'
        )

    def image(self) -> str:
        """An SVG file of its own."""
        top, bottom = 22, 20 if self.legend else 4
        keys, x = [], 8.0
        for name, style in self.legend:
            y = top + self.height + 10
            keys.append(f'<circle class="dot {style}" cx="{x + 4:.0f}" cy="{y - 4}" r="4"/>')
            keys.append(f'<text class="tick" x="{x + 12:.0f}" y="{y}">{escape(name)}</text>')
            x += 24 + 5.6 * len(name)
        width = max(self.width, round(x))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top + self.height + bottom}" width="{width}" role="img" '
            f'aria-label="{escape(self.title)}"><style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>'
            f'<text class="title" x="8" y="15">{escape(self.title)}</text><g transform="translate(0 {top})">{"".join(self.parts)}</g>'
            f"{''.join(keys)}</svg>\n"
        )


def lines(
    series: Sequence[Line], *, title: str, x_label: str, y_label: str, x_top: float = 1.0, y_top: float = 1.0,
    x_tick: Callable[[float], str] = lambda value: f"{value:.1f}",
) -> Chart:
    """Lines over [0, x_top] × [0, y_top]."""

    def at(point: Point) -> str:
        x = LEFT + (WIDTH - LEFT - RIGHT) * min(point[0] / x_top, 1.0)
        y = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(point[1] / y_top, 1.0)
        return f"{x:.1f},{y:.1f}"

    parts = [_frame(x_label, y_label, x_top, y_top, x_tick)]
    for line in series:
        if line.dots:
            for point in line.points:
                x, y = at(point).split(",")
                parts.append(f'<circle class="dot {line.style}" cx="{x}" cy="{y}" r="3.5"/>')
        if len(line.points) > 1:
            parts.append(f'<polyline class="line {line.style}" points="{" ".join(at(point) for point in line.points)}"/>')
    return Chart(title=title, parts=tuple(parts), legend=tuple((line.name, line.style) for line in series))


def bars(rows: Sequence[tuple[str, float, float | None]], *, title: str, y_label: str, names: tuple[str, str]) -> Chart:
    """One bar a row, or two (before, after)."""
    top = _nice(max((max(first, second or 0.0) for _, first, second in rows), default=1.0))
    parts = [_frame("", y_label, 1.0, top, lambda _: "")]
    room = (WIDTH - LEFT - RIGHT) / max(1, len(rows))
    every = max(1, len(rows) // 8)
    for place, (name, first, second) in enumerate(rows):
        values = [(first, "b")] if second is None else [(first, "b"), (second, "a")]
        width = room * 0.8 / len(values)
        for number, (value, style) in enumerate(values):
            height = (HEIGHT - TOP - BOTTOM) * value / top
            x = LEFT + place * room + room * 0.1 + number * width
            parts.append(
                f'<rect class="bar {style}" x="{x:.1f}" y="{HEIGHT - BOTTOM - height:.1f}" width="{width:.1f}" height="{height:.1f}">'
                f"<title>{escape(name)}: {value:,.0f}</title></rect>"
            )
        if place % every == 0:
            x = LEFT + (place + 0.5) * room
            parts.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{escape(name)}</text>')
    two = any(second is not None for _, _, second in rows)
    return Chart(title=title, parts=tuple(parts), legend=((names[0], "b"), (names[1], "a")) if two else ())


def dots(rows: Sequence[Row], *, title: str, names: Sequence[str], low: float, high: float) -> Chart:
    """A row a name and a dot a series, between `low` and `high`; what lies outside stands on the edge."""
    width = _NAMES + WIDTH

    def across(value: float) -> float:
        return _NAMES + (WIDTH - RIGHT) * (min(max(value, low), high) - low) / (high - low)

    height = _ROW * len(rows) + 24
    parts = []
    for number in range(TICKS + 1):
        value = low + (high - low) * number / TICKS
        parts.append(f'<line class="grid" x1="{across(value):.1f}" x2="{across(value):.1f}" y1="0" y2="{height - 18}"/>')
        parts.append(f'<text class="tick" x="{across(value):.1f}" y="{height - 5}" text-anchor="middle">{value:.2f}</text>')
    for place, row in enumerate(rows):
        y = _ROW * place + _ROW / 2
        parts.append(f'<text class="tick" x="{_NAMES - 6}" y="{y + 3:.1f}" text-anchor="end">{escape(row.name)}</text>')
        if row.interval is not None:
            first, last = map(across, row.interval)
            parts.append(f'<line class="span a" x1="{first:.1f}" x2="{last:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        # The first series is drawn last, on top.
        for style, found in reversed(list(zip(STYLES, row.values, strict=False))):
            if found is not None:
                parts.append(
                    f'<circle class="dot {style}" cx="{across(found):.1f}" cy="{y:.1f}" r="4"><title>{escape(row.name)}: {found:.3f}</title></circle>'
                )
    return Chart(title=title, parts=tuple(parts), legend=tuple(zip(names, STYLES, strict=False)), width=width, height=height)


def _frame(x_label: str, y_label: str, x_top: float, y_top: float, x_tick: Callable[[float], str]) -> str:
    parts = []
    for number in range(TICKS + 1):
        share = number / TICKS
        x, y = LEFT + (WIDTH - LEFT - RIGHT) * share, HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share
        value = y_top * share
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        shown = f"{value:,.1f}" if y_top < TICKS else f"{value:,.0f}"
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{shown}</text>')
        if x_label:
            shown = escape(x_tick(x_top * share))
            parts.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{shown}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text class="axis" x="{middle:.0f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>')
    parts.append(f'<text class="axis" transform="translate(12 {(HEIGHT - BOTTOM + TOP) / 2:.0f}) rotate(-90)" text-anchor="middle">'
                 f"{escape(y_label)}</text>")
    return "".join(parts)


def _nice(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, … at or above `value`."""
    step = 1.0
    while True:
        for factor in (1, 2, 5):
            if step * factor >= value:
                return step * factor
        step *= 10
