"""What `ticklane status` and `ticklane reconcile` say, as lines for people."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_LINES = (
    ("Run", "run_id"),
    ("State", "state"),
    ("Trading", "trading_state"),
    ("Broker", "broker"),
    ("Prices", "feed"),
    ("Last tick", "time"),
    ("Equity", "equity"),
    ("Cash", "cash"),
    ("Open orders", "open_orders"),
    ("Process", "pid"),
    ("Error", "error"),
)
_REPORT_HEAD = ("why", "at", "seconds", "is_complete")
_FEED_PARTS = ("label", "timeframe", "last_bar_seconds", "is_up", "reconnects", "stream", "same")


def status_lines(told: Mapping[str, Any]) -> list[str]:
    """The whole status: the run, the feed, the broker, the strategies."""
    shown = {**told, **{name: f"{float(told[name]):,.2f}" for name in ("equity", "cash")}}
    shown["time"] = _instant(str(told["time"])) if told["time"] else None
    lines = [_line(name, shown[key]) for name, key in _LINES if shown.get(key) not in (None, "")]
    lines += [_restriction_line(one) for one in told.get("restrictions", ())]
    lines += [_line(*pair) for pair in _feed_pairs(told.get("prices") or {})]
    lines += [_line(*pair) for pair in _venue_pairs(told.get("venue") or {})]
    for one in told["strategies"]:
        lines += ["", *_strategy_lines(one)]
    return lines


def report_lines(report: Mapping[str, Any]) -> list[str]:
    """A comparison with the venue: lists of sentences, each under its heading."""
    lines = []
    if "at" in report:
        done = "" if report.get("is_complete", True) else ", not complete"
        lines.append(f"Compared {_instant(report['at'])}{done}")
    for name, told in report.items():
        if name in _REPORT_HEAD:
            continue
        if isinstance(told, list):
            lines += [f"{_words(name)}: {len(told) or 'nothing'}", *(f"  {one}" for one in told)]
        elif _says(told):
            lines.append(f"{_words(name)}: {_shown(told)}")
    return lines


def _line(name: str, text: Any) -> str:
    return f"{name:<12} {text}"


def _restriction_line(one: Mapping[str, Any]) -> str:
    where = f" {one['symbol']}" if one["symbol"] else ""
    until = ", until released" if one["is_latched"] else ""
    return f"  {one['state']}{where} since {_instant(one['since'])}{until}: {one['reason']}"


# The feed


def _feed_pairs(prices: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a live feed tells of its bars and of its connections."""
    if not prices:
        return
    parts = [f"{prices['timeframe']}"] if prices.get("timeframe") else []
    age = prices.get("last_bar_seconds")
    parts.append("none yet" if age is None else f"last one closed {age:,.0f} s ago")
    counts = {name: value for name, value in prices.items() if name not in _FEED_PARTS}
    parts += [f"{value:,} {_words(name).lower()}" for name, value in counts.items() if value]
    yield "Bars", ", ".join(parts)
    for url, stream in (prices.get("stream") or {}).items():
        yield "Data stream", f"{_stream_words(stream)} ({urlsplit(url).path.strip('/')})"


def _stream_words(stream: Mapping[str, Any]) -> str:
    parts = ["up" if stream.get("is_up") else "down"]
    age = stream.get("last_message_seconds")
    parts.append("nothing heard yet" if age is None else f"heard {age:,.1f} s ago")
    parts.append(f"{max(0, stream.get('connections', 1) - 1)} reconnects")
    if not stream.get("is_up") and stream.get("last_error"):
        parts.append(str(stream["last_error"]))
    return ", ".join(parts)


# The broker


def _venue_pairs(venue: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the broker tells of itself: in our words where they are known, else in its own."""
    for name, value in venue.items():
        if name == "restrictions" or not _says(value):
            continue
        known = _KNOWN.get(name)
        try:
            yield known(value) if known is not None else (_words(name), _shown(value))
        except (KeyError, TypeError, ValueError, AttributeError):  # of a broker that is not ours
            yield _words(name), _shown(value)


def _trade_stream(stream: Mapping[str, Any]) -> tuple[str, str]:
    words = _stream_words(
        {
            "is_up": stream["is_up"],
            "last_message_seconds": stream["heard_seconds_ago"],
            "connections": stream["reconnects"] + 1,
            "last_error": stream["trouble"],
        }
    )
    return "Trade stream", words


def _rate(rate: Mapping[str, Any]) -> tuple[str, str]:
    return "Rate budget", f"{rate['remaining']} of {rate['limit']} requests left this minute"


def _requests(counts: Mapping[str, Any]) -> tuple[str, str]:
    unclear, limited = counts["unclear"], counts["rate_limited"]
    return "Requests", f"{counts['requests']:,}, {unclear} unclear, {limited} rate limited"


def _skew(seconds: float) -> tuple[str, str]:
    return "Clock", f"{abs(seconds):.3f} s {'ahead of' if seconds > 0 else 'behind'} the broker's"


def _comparison(report: Mapping[str, Any]) -> tuple[str, str]:
    counts = (
        f"{len(report[name])} {words}"
        for name, words in (("found", "found"), ("adopted", "taken over"), ("differs", "differ"))
    )
    trouble = "" if report["is_complete"] else f"; not complete: {report['trouble']}"
    return "Compared", f"{_instant(report['at'])} ({report['why']}): {', '.join(counts)}{trouble}"


_KNOWN: Mapping[str, Callable[[Any], tuple[str, str]]] = {
    "stream": _trade_stream,
    "rate": _rate,
    "requests": _requests,
    "clock_skew_seconds": _skew,
    "reconciliation": _comparison,
}


# Whatever else there is


def _says(value: Any) -> bool:
    return value not in (None, "", {})


def _words(name: str) -> str:
    return name.removeprefix("is_").replace("_", " ").capitalize()


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{_words(k).lower()} {_shown(v)}" for k, v in value.items() if _says(v))
    if isinstance(value, list):
        return str(len(value)) if value else "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    return _instant(text) if _INSTANT.match(text) else text


def _instant(text: str) -> str:
    return text[:19].replace("T", " ") + " UTC"


def _strategy_lines(one: Mapping[str, Any]) -> list[str]:
    head = f"{one['name']}: {one['state']}, {', '.join(one['symbols'])}, {one['schedule']}"
    counts = [
        f"{one[key]:,} {key}"
        for key in ("ticks", "signals", "merged", "faults")
        if one[key] or key in ("ticks", "signals")
    ]
    lines = [head, f"  {', '.join(counts)}"]
    if one["hang_seconds"]:
        lines.append(f"  held up the lane for {one['hang_seconds']:.1f} s in all")
    if one["error"]:
        lines.append(f"  last error: {one['error']}")
    return lines
