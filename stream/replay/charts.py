"""Charts as SVG: they print, need no script, and take their colours from the page's style sheet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 420, 260
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 14, 40
TICKS = 5

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A named line; `style` is a class of the style sheet, `dots` marks its points."""

    name: str
    points: Sequence[Point]
    style: str = "a"
    dots: bool = False


def lines(
    series: Sequence[Line], *, title: str, x_label: str, y_label: str, x_top: float = 1.0, y_top: float = 1.0,
    x_tick: Callable[[float], str] = lambda value: f"{value:.1f}",
) -> str:
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
    return _svg(title, parts, [(line.name, line.style) for line in series])


def bars(rows: Sequence[tuple[str, float, float | None]], *, title: str, y_label: str, names: tuple[str, str]) -> str:
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
    return _svg(title, parts, [(names[0], "b"), (names[1], "a")] if two else [])


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


def _svg(title: str, parts: list[str], legend: list[tuple[str, str]]) -> str:
    keys = "".join(f'<span class="key {style}">{escape(name)}</span>' for name, style in legend if name)
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f'{"".join(parts)}</svg><div class="keys">{keys}</div></figure>'
    )


def _nice(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, … at or above `value`."""
    step = 1.0
    while True:
        for factor in (1, 2, 5):
            if step * factor >= value:
                return step * factor
        step *= 10
