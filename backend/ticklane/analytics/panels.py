"""The panels of a report's picture: prices with what was traded, equity, drawdown.

Each function draws into one matplotlib Axes; `chart` puts them under each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ticklane.analytics import text
from ticklane.analytics.metrics import drawdowns
from ticklane.analytics.report_data import ReportData
from ticklane.analytics.thinning import envelope, first_of_columns, thin
from ticklane.core.market import DAY, Bars, Column, to_datetime
from ticklane.core.order import Fill

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINKS = 250  # up to so many trades get a line from entry to exit
LOG_FROM = 8.0  # highest over lowest price from which on the scale is logarithmic
COLOURS = {
    "ink": "#16202d",
    "muted": "#5f6e82",
    "grid": "#e4e9f0",
    "edge": "#fdfefe",
    "price": "#34465e",
    "band": "#c3cfde",
    "equity": "#1f5fd0",
    "up": "#0b8a6a",
    "down": "#d0402f",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """How large a drawing is: inches, points of text, and columns that lines are thinned to."""

    name: str
    width: float
    height: float  # of one ordinary panel
    font: float
    columns: int
    candles: int  # up to so many bars are drawn as candles, more as a line
    markers: int  # up to so many buys and so many sales of a symbol are all marked
    has_header: bool = False

    @property
    def is_wide(self) -> bool:
        """Room for long titles and whole legends."""
        return self.width > 6


def days_of(time_ns: Any) -> Any:
    """Matplotlib's own unit of time: days since 1970."""
    return np.asarray(time_ns, np.float64) / DAY


def draw_price(axes: Axes, data: ReportData, symbol: str, sheet: Sheet) -> None:
    """Candles or a line with its range, a marker for each fill, a line for each trade."""
    bars = data.visible(symbol)
    axes.set_title(" ".join(part for part in (symbol, data.label and f"({data.label})") if part))
    if len(bars):
        if len(bars) <= sheet.candles:
            _draw_candles(axes, bars, sheet)
        else:
            _draw_line(axes, bars, sheet)
        low, high = float(bars.low.min()), float(bars.high.max())
        if low > 0 and high / low > LOG_FROM:
            _make_logarithmic(axes, low, high)
        _draw_links(axes, data, symbol, sheet)
        _draw_markers(axes, data, symbol, sheet)
    _format_values(axes, "")


def _draw_line(axes: Axes, bars: Bars, sheet: Sheet) -> None:
    band = envelope(bars.close_ns, bars.low, bars.high, sheet.columns // 2)
    axes.fill_between(days_of(band.time_ns), band.low, band.high, color=COLOURS["band"], lw=0)
    shown = thin(bars.close_ns, bars.close, sheet.columns)
    axes.plot(days_of(bars.close_ns[shown]), bars.close[shown], color=COLOURS["price"], lw=0.8)


def _draw_candles(axes: Axes, bars: Bars, sheet: Sheet) -> None:
    middle = days_of(bars.open_ns) + (days_of(bars.close_ns) - days_of(bars.open_ns)) / 2
    colours = [COLOURS["up" if rose else "down"] for rose in bars.close >= bars.open]
    width = min(9.0, 0.6 * 72 * 0.9 * sheet.width / len(bars))
    flat = bars.high.max() * 2e-4  # an unchanged price still shows as a dash
    top, bottom = np.maximum(bars.open, bars.close), np.minimum(bars.open, bars.close)
    top = np.maximum(top, bottom + flat)
    axes.vlines(middle, bars.low, bars.high, colors=colours, lw=max(0.6, width / 9), alpha=0.55)
    axes.vlines(middle, bottom, top, colors=colours, lw=width, alpha=0.55)


def _make_logarithmic(axes: Axes, low: float, high: float) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    axes.set_yscale("log")
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1.0, 2.0, 5.0) if len(decades) <= 4 else (1.0,)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    axes.yaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_title(f"{axes.get_title('left')} · log scale")


def _draw_links(axes: Axes, data: ReportData, symbol: str, sheet: Sheet) -> None:
    """A line from entry to exit of each trade, in the colour of its result."""
    trades = [trade for trade in data.trades if trade.symbol == symbol]
    if len(trades) > LINKS:
        return
    end_ns = int(data.times_ns[-1])
    for name, won in (("gain", True), ("loss", False)):
        x: list[float] = []
        y: list[float] = []
        for trade in trades:
            if (trade.profit > 0) is won:
                closed_ns = end_ns if trade.closed_ns is None else trade.closed_ns
                x += [trade.opened_ns / DAY, closed_ns / DAY, math.nan]
                y += [float(trade.entry_price), float(trade.exit_price), math.nan]
        if x:
            colour = COLOURS["up" if won else "down"]
            axes.plot(
                x,
                y,
                color=colour,
                lw=1.3,
                alpha=0.75,
                ls=(0, (2.5, 1.5)),
                label=name if sheet.is_wide else "",
            )


def _draw_markers(axes: Axes, data: ReportData, symbol: str, sheet: Sheet) -> None:
    """A caret for each fill, its tip at time and price; fewer and smaller when there are many."""
    fills = [fill for fill in data.fills if fill.symbol == symbol]
    size = min(7.5, max(4.4, 7.5 * math.sqrt(0.4 * sheet.markers / max(1, len(fills)))))
    for is_buy in (True, False):
        side = [fill for fill in fills if (fill.quantity > 0) is is_buy]
        shown = _marked(side, sheet)
        x = days_of([fill.filled_ns for fill in shown])
        y = [float(fill.price) for fill in shown]
        axes.plot(x, y, ls="none", **_caret(is_buy, size), label=_side_label(side, shown, is_buy))
    if fills:
        _draw_legend(axes)


def _caret(is_buy: bool, size: float) -> dict[str, Any]:
    from matplotlib.markers import CARETDOWN, CARETUP

    return {
        "marker": CARETUP if is_buy else CARETDOWN,
        "markersize": size,
        "markerfacecolor": COLOURS["up" if is_buy else "down"],
        "markeredgecolor": COLOURS["edge"],
        "markeredgewidth": 0.4,
    }


def _marked(fills: Sequence[Fill], sheet: Sheet) -> list[Fill]:
    if len(fills) <= sheet.markers:
        return list(fills)
    filled_ns = np.array([fill.filled_ns for fill in fills], np.int64)
    first, last = int(filled_ns.min()), int(filled_ns.max())
    places = first_of_columns(filled_ns, first, last, int(0.7 * sheet.markers))
    return [fills[place] for place in places]


def _side_label(fills: Sequence[Fill], shown: Sequence[Fill], is_buy: bool) -> str:
    if not fills:
        return ""  # matplotlib leaves it out of the legend
    name = "buy" if is_buy else "sale"
    some = "" if len(shown) == len(fills) else f" ({text.count(len(shown))} drawn)"
    return f"{text.count(len(fills))} {name}{'' if len(fills) == 1 else 's'}{some}"


def _draw_legend(axes: Axes) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.markers import CARETUP

    handles, labels = axes.get_legend_handles_labels()
    shown: list[Line2D] = []
    for handle in handles:  # a caret hangs by its tip: in the legend take one that is centred
        line = Line2D([], [])
        line.update_from(handle)
        if line.get_linestyle() == "None":
            line.set(marker="^" if line.get_marker() == CARETUP else "v", markersize=6.5)
        shown.append(line)
    place: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1, 1), "ncol": 4}
    axes.legend(shown, labels, **place, borderaxespad=0.1, handlelength=1.4, columnspacing=1.2)


def draw_equity(axes: Axes, data: ReportData, sheet: Sheet) -> None:
    """Equity against the starting cash."""
    axes.set_title(f"Equity · {text.money(data.metrics.final_equity, data.currency)}")
    _format_values(axes, data.currency)
    if not len(data.equity):
        return
    cash = data.metrics.starting_cash
    shown = thin(data.times_ns, data.equity, sheet.columns)
    x, y = days_of(data.times_ns[shown]), data.equity[shown]
    axes.axhline(cash, color=COLOURS["muted"], lw=0.8, ls=(0, (4, 3)))
    axes.fill_between(x, y, cash, color=COLOURS["equity"], alpha=0.1, lw=0)
    axes.plot(x, y, color=COLOURS["equity"], lw=1.3 if len(shown) == len(data.equity) else 0.9)
    axes.plot(x[-1:], y[-1:], "o", color=COLOURS["equity"], markersize=3.5)


def draw_drawdown(axes: Axes, data: ReportData, sheet: Sheet) -> None:
    """The fall from the highest point so far, at every point of the curve."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_title("Drawdown")
    axes.yaxis.tick_right()
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}%"))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    falls: Column = drawdowns(data.equity, data.metrics.starting_cash) * 100
    if not len(falls):
        return
    shown = thin(data.times_ns, falls, sheet.columns)
    x, y = days_of(data.times_ns[shown]), falls[shown]
    axes.fill_between(x, y, 0, color=COLOURS["down"], alpha=0.22, lw=0)
    axes.plot(x, y, color=COLOURS["down"], lw=0.9)
    deepest = float(falls.min())
    axes.set_ylim(deepest * 1.15 if deepest < 0 else -1, 0)
    if deepest < 0:
        at_ns = int(data.times_ns[falls.argmin()])
        when = text.closing(to_datetime(at_ns))
        where = " at bar closes" if sheet.is_wide else ""
        day = f" on {when}" if sheet.is_wide else ""
        axes.set_title(f"Drawdown{where} · deepest {text.percent(deepest / 100)}{day}")
        axes.plot([at_ns / DAY], [deepest], "o", color=COLOURS["down"], markersize=3.5)


def _format_values(axes: Axes, currency: str) -> None:
    """Numbers on the right, with separators and as many decimals as the steps need."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    def write(value: float, _: int | None) -> str:
        gaps = np.diff(axes.yaxis.get_majorticklocs())
        step = float(gaps.min()) if len(gaps) else 1.0
        decimals = next((d for d in range(9) if abs(round(step, d) - step) < step / 1e6), 9)
        sign = "-" if value < 0 else ""
        digits = f"{abs(value):,.{decimals}f}"
        return sign + (text.with_currency(digits, currency) if currency else digits)

    axes.yaxis.tick_right()
    axes.yaxis.set_major_formatter(FuncFormatter(write))
    if axes.get_yscale() == "linear":
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
