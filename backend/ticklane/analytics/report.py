"""A run as a page to read: one self-contained HTML file, and its picture as PNG beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ticklane.analytics import tables
from ticklane.analytics.chart import (
    NARROW,
    WIDE,
    drawn_symbols,
    headline,
    span_text,
    svg,
    write_png,
)
from ticklane.analytics.panels import Sheet
from ticklane.analytics.report_data import ReportData, StrategyRow, summarise_strategies
from ticklane.core.errors import ConfigError
from ticklane.whole_file import whole_file

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["ReportData", "StrategyRow", "render_html", "summarise_strategies", "write_report"]


def write_report(data: ReportData, path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Write `path` as HTML and as PNG, and return both paths, the HTML first.

    `path` ends in .html, .png or nothing, both files are written whichever it is; a folder gets
    `report.html` and `report.png`. Missing folders are made. Raises ConfigError for another
    suffix and for a place that cannot be written.
    """
    html = render_html(data)
    try:
        page, picture = report_files(Path(path))
        page.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(page) as page_part, whole_file(picture) as picture_part:
            write_png(data, picture_part)
            page_part.write_text(html, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"report path {path} cannot be written ({error.strerror}); choose another place."
        ) from error
    return page, picture


def report_files(path: Path) -> tuple[Path, Path]:
    """Where the page and the picture go; raises ConfigError for another suffix."""
    if path.is_dir():
        path = path / "report"
    elif path.suffix.lower() not in ("", ".html", ".png"):
        raise ConfigError(
            f"report path ends in {path.suffix!r}, but must end in .html or .png or have no suffix."
        )
    return path.with_suffix(".html"), path.with_suffix(".png")


def render_html(data: ReportData, sheets: Sequence[Sheet] = (WIDE, NARROW)) -> str:
    """The page as text: styles and drawings are inside, nothing is loaded from anywhere.

    A screen shows the sheet for its width; without `sheets` there are only words and tables.
    """
    from markupsafe import Markup

    drawn = drawn_symbols(data)
    return (
        _environment()
        .get_template("report.html")
        .render(
            data=data,
            span=span_text(data),
            headline=headline(data),
            drawings=[(s.name, Markup(svg(data, s))) for s in sheets],
            not_drawn=sorted({*data.bars, *(fill.symbol for fill in data.fills)} - {*drawn}),
            groups=tables.metric_groups(data),
            strategies=tables.strategy_lines(data),
            parts=tables.trade_parts(data),
        )
    )


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
