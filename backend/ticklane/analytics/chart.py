"""The picture of a run: prices with trade markers, equity and drawdown on one time axis.

The same drawing is made as PNG and as SVG. In the SVG each colour becomes a CSS variable
(`--chart-ink` and so on), so that a page decides about light and dark.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

from ticklane.analytics import text
from ticklane.analytics.panels import (
    COLOURS,
    Sheet,
    days_of,
    draw_drawdown,
    draw_equity,
    draw_price,
)
from ticklane.analytics.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PRICE_PANELS = 6
WIDE = Sheet(name="wide", width=11, height=1.75, font=8.5, columns=660, candles=130, markers=150)
NARROW = Sheet(name="narrow", width=4.7, height=1.8, font=9, columns=250, candles=50, markers=60)
PICTURE = Sheet(
    name="png",
    width=12,
    height=1.9,
    font=9.5,
    columns=1600,
    candles=150,
    markers=190,
    has_header=True,
)


def write_png(data: ReportData, target: Any) -> None:
    """Write the drawing with a header as PNG, 1800 pixels wide, to a path or a binary stream."""
    with _style(PICTURE):
        figure = draw(data, PICTURE)
        figure.savefig(
            target, format="png", dpi=150, facecolor="white", metadata={"Software": None}
        )


def svg(data: ReportData, sheet: Sheet) -> str:
    """The drawing as an `<svg>` element whose colours are CSS variables; it loads nothing."""
    stream = BytesIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with _style(sheet):
        draw(data, sheet).savefig(stream, format="svg", transparent=True, metadata=nothing)
    drawing = stream.getvalue().decode()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r'<g id="[^"]*"', "<g", drawing)  # two drawings stand on one page
    drawing = re.sub(r' d="[^"]*"', _shorten, drawing)
    drawing = drawing.replace("<svg", '<svg role="img" aria-label="Prices, equity, drawdown"', 1)
    for role, colour in COLOURS.items():
        drawing = drawing.replace(colour, f"var(--chart-{role})")
    return drawing


def _shorten(path: re.Match[str]) -> str:
    """Coordinates to a hundredth of a point, on one line."""
    return re.sub(r"(\.\d\d)\d+", r"\1", path[0]).replace("\n", "")


@contextmanager
def _style(sheet: Sheet) -> Iterator[None]:
    """Our own look whatever the caller's matplotlib is set to."""
    import matplotlib.style

    look = {
        "font.size": sheet.font,
        "text.color": COLOURS["ink"],
        "text.parse_math": False,
        "axes.titlesize": sheet.font + 1,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.titlepad": 5,
        "axes.facecolor": "none",
        "axes.axisbelow": True,
        "axes.grid": True,
        "axes.ymargin": 0.08,
        "axes.xmargin": 0.015,
        "grid.color": COLOURS["grid"],
        "grid.linewidth": 0.7,
        "xtick.color": COLOURS["muted"],
        "ytick.color": COLOURS["muted"],
        "legend.frameon": False,
        "legend.labelcolor": COLOURS["muted"],
        "lines.solid_joinstyle": "round",
        "svg.fonttype": "none",
        "svg.hashsalt": f"ticklane-{sheet.name}",
        **{f"axes.spines.{side}": False for side in ("left", "right", "top", "bottom")},
        **{f"{axis}tick.{part}.size": 0 for axis in "xy" for part in ("major", "minor")},
    }
    with matplotlib.style.context(["default", look]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # a name the font cannot write
        yield


def drawn_symbols(data: ReportData) -> list[str]:
    """The symbols that get a panel: those with most fills, in the order of the bars."""
    fills: dict[str, int] = dict.fromkeys(data.bars, 0)
    for fill in data.fills:
        if fill.symbol in fills:
            fills[fill.symbol] += 1
    chosen = sorted(fills, key=lambda symbol: -fills[symbol])[:PRICE_PANELS]
    return [symbol for symbol in data.bars if symbol in chosen]


def draw(data: ReportData, sheet: Sheet) -> Figure:
    """Draw all panels under each other, on one time axis."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    symbols = drawn_symbols(data)
    heights = [1.9 if len(symbols) == 1 else 1.1] * len(symbols) + [1.25, 0.75]
    if sheet.has_header:
        heights.insert(0, 0.5)
    size = (sheet.width, sheet.height * sum(heights) + 0.4)
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(h_pad=0.06, w_pad=0.08))
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    rows = [grid[row] for row in range(len(heights))]
    if sheet.has_header:
        _header(figure.add_subplot(rows.pop(0)), data)
    panels: list[Axes] = []
    for row in rows:
        panels.append(figure.add_subplot(row, sharex=panels[0] if panels else None))
    for symbol, panel in zip(symbols, panels, strict=False):
        draw_price(panel, data, symbol, sheet)
    draw_equity(panels[-2], data, sheet)
    draw_drawdown(panels[-1], data, sheet)
    _finish_time_axis(panels, data, sheet)
    return figure


def _header(axes: Axes, data: ReportData) -> None:
    axes.set_axis_off()
    title = text.shortened(data.title, 70)
    muted = COLOURS["muted"]
    told = [part for part in (data.label, span_text(data)) if part]
    room = 72 - sum(len(part) + 3 for part in told)
    if data.subtitle and room > 12:
        told.insert(-1, text.shortened(data.subtitle, room))
    below = "   ".join(told)  # what is cut where it is too long is the subtitle, never the dates
    style: dict[str, Any] = {"va": "top", "transform": axes.transAxes}
    axes.text(0, 0.92, title, size=min(17, 620 / len(title or " ")), weight="bold", **style)
    axes.text(0, 0.4, below, color=muted, **style)
    for place, (name, value) in enumerate(reversed(headline(data)[:5])):
        x = 1 - place * 0.112
        axes.text(x, 0.92, value, size=13, weight="bold", ha="right", **style)
        axes.text(x, 0.4, name, size=8.5, color=muted, ha="right", **style)


def headline(data: ReportData) -> list[tuple[str, str]]:
    """The six numbers that stand above everything else, as name and text."""
    metrics = data.metrics
    return [
        ("Final equity", text.money(metrics.final_equity, data.currency)),
        ("Total return", text.percent(metrics.total_return, is_signed=True)),
        ("Sharpe", text.ratio(metrics.sharpe)),
        ("Max drawdown", text.percent(metrics.max_drawdown)),
        ("Trades", text.count(metrics.trades)),
        ("Win rate", text.percent(metrics.win_rate)),
    ]


def span_text(data: ReportData) -> str:
    """First and last instant of the curve."""
    metrics = data.metrics
    if metrics.start is None or metrics.end is None:
        return "no bars in this period"
    return f"{text.closing(metrics.start)} to {text.closing(metrics.end)} UTC"


def _finish_time_axis(panels: Sequence[Axes], data: ReportData, sheet: Sheet) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    few, many = (5, 11) if sheet.is_wide else (3, 7)  # closer together they leave gaps
    locator: Any = AutoDateLocator(minticks=few, maxticks=many)  # type: ignore[no-untyped-call]
    axis = panels[-1].xaxis
    axis.set_major_locator(locator)
    axis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    for panel in panels[:-1]:
        panel.tick_params(labelbottom=False)
    if len(data.times) < 2:
        middle = float(days_of(data.times_ns)[0]) if len(data.times) else 0.0
        panels[-1].set_xlim(middle - 1, middle + 1)
