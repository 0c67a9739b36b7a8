"""What the tests of the brokers share."""

from ticklane.core.money import plain


def told(bench, bars):
    """The fills of a bench in words; `bars` are those shown, the first is number 1."""
    return [_words(fill, bars) for fill in bench.fills]


def _words(fill, bars):
    part = "open" if fill.filled_ns == fill.source.open_ns else "close"
    assert fill.filled_ns == getattr(fill.source, f"{part}_ns")
    number = bars.index(fill.source) + 1
    return f"{plain(fill.quantity)} @ {plain(fill.price)} {fill.rule}, {part} of {number}"
