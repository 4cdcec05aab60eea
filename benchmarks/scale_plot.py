"""Draws how long a diagnosis takes by the size of the recording: both axes logarithmic, so that a line is a power."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 24, 48
"""Pixels around the area of the plot."""

COLOURS = ("#0b62a4", "#c4501b")

Points = Sequence[tuple[float, float]]


def plot(series: Mapping[str, Points], x: str, y: str) -> str:
    """Give an SVG of series of (x, y) points, with a dotted line of what grows in proportion from the last point of
    the first one."""
    points = [point for each in series.values() for point in each]
    scale = _Scale([point[0] for point in points], [point[1] for point in points])
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        *scale.grid(),
        *_proportional(scale, next(iter(series.values()))),
    ]
    for number, (name, each) in enumerate(series.items()):
        lines += _series(scale, name, each, COLOURS[number % len(COLOURS)], number)
    lines += [
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x)}</text>',
        f'<text x="16" y="{(TOP + HEIGHT - BOTTOM) / 2:.0f}" text-anchor="middle" '
        f'transform="rotate(-90 16 {(TOP + HEIGHT - BOTTOM) / 2:.0f})">{escape(y)}</text>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


class _Scale:
    """Where numbers stand on the page; the axes go from one power of ten to another."""

    def __init__(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        self.x_powers = range(floor(log10(min(xs))), ceil(log10(max(xs))) + 1)
        self.y_powers = range(floor(log10(min(ys))), ceil(log10(max(ys))) + 1)

    def at(self, x: float, y: float) -> tuple[float, float]:
        across = (log10(x) - self.x_powers[0]) / max(1, len(self.x_powers) - 1)
        up = (log10(y) - self.y_powers[0]) / max(1, len(self.y_powers) - 1)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    def grid(self) -> Iterator[str]:
        low, high = 10.0 ** self.x_powers[0], 10.0 ** self.x_powers[-1]
        bottom, top = 10.0 ** self.y_powers[0], 10.0 ** self.y_powers[-1]
        for power in self.x_powers:
            (x, y), (_, end) = self.at(10.0**power, bottom), self.at(10.0**power, top)
            yield f'<path d="M{x:.1f} {y:.1f}V{end:.1f}" stroke="#ddd"/>'
            yield f'<text x="{x:.1f}" y="{y + 16:.1f}" text-anchor="middle">{10**power:,}</text>'
        for power in self.y_powers:
            (x, y), (end, _) = self.at(low, 10.0**power), self.at(high, 10.0**power)
            yield f'<path d="M{x:.1f} {y:.1f}H{end:.1f}" stroke="#ddd"/>'
            yield f'<text x="{x - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>'


def _proportional(scale: _Scale, points: Points) -> Iterator[str]:
    x, y = points[-1]
    least = max(points[0][0], x * 10.0 ** scale.y_powers[0] / y)
    (x1, y1), (x2, y2) = scale.at(least, y * least / x), scale.at(x, y)
    yield f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="#888" stroke-dasharray="2 4"/>'


def _series(scale: _Scale, name: str, points: Points, colour: str, number: int) -> Iterator[str]:
    places = [scale.at(*point) for point in points]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for (x, y), (spans, seconds) in zip(places, points, strict=True):
        title = f"<title>{name}: {seconds:.3g} for {spans:,.0f}</title>"
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}">{title}</circle>'
    yield f'<text x="{LEFT + 16}" y="{TOP + 18 + 18 * number}" fill="{colour}">{escape(name)}</text>'
