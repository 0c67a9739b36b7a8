"""A market that never was: prices as a pure function of seed, symbol and time.

The logarithm of a price is a sum of value noise: for each of 31 octaves, from 0.13 s to 4.6 years,
hashed numbers stand on a lattice in time and are joined by a smooth curve. An octave's amplitude
grows with the square root of its period, which makes the variance of a move grow with its duration:
the series looks like a random walk of 20 to 40 % volatility a year, chosen by symbol. Any instant
can be asked for at once, today and after a restart, and always has the same price.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from ticklane.core.market import DAY, Bars, Column, Instants, Timeframe

YEAR = 365 * DAY
_SHORTEST, _LONGEST = 27, 57  # octaves as powers of two nanoseconds
# Sum over all octaves of E[(n(t + d) - n(t))**2] * period / d for this noise n, by simulation; the
# same for every duration d between the shortest and the longest octave (within 0.2 %).
_SPREAD = 1.622
_POINTS = 8  # prices looked at in a bar, for its high and low
_PIECE = 16_384

Words = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class _Character:
    """What the hash of seed and symbol decides once."""

    base: float  # the price around which all moves: 50 to 500
    volatility: float  # a year, 0.2 to 0.4
    daily_volume: float  # 1 to 10 million
    phases: Words  # one an octave, so that their lattices do not coincide
    keys: Words


def simulated_bars(seed: int, symbol: str, timeframe: Timeframe, first: int, last: int) -> Bars:
    """Bars `first` to `last` (exclusive) of a symbol; bar k opens k timeframes after 1970.

    A bar opens at the price at its opening, which is the close of the bar before, and closes at the
    price at its close. Prices are multiples of 0.01 (the lowest possible is 5), volumes are whole.
    """
    character = _character(seed, symbol)
    step = timeframe.ns
    edges = np.arange(first, last + 1, dtype=np.int64) * step
    inner = np.arange(_POINTS, dtype=np.int64) * step // _POINTS
    times = np.append((edges[:-1, None] + inner).ravel(), edges[-1])
    prices = np.round(character.base * np.exp(_log_moves(character, times)), 2)
    inside = prices[:-1].reshape(-1, _POINTS)
    close = prices[_POINTS::_POINTS].copy()
    return Bars(
        symbol,
        edges[:-1].copy(),
        edges[1:].copy(),
        inside[:, 0].copy(),
        np.maximum(inside.max(axis=1), close),
        np.minimum(inside.min(axis=1), close),
        close,
        _volumes(character, edges[1:], step),
    )


def _log_moves(character: _Character, times: Instants) -> Column:
    """The sum of all octaves, in pieces small enough for the processor's cache."""
    pieces = [times[first : first + _PIECE] for first in range(0, len(times), _PIECE)]
    return np.concatenate([_octaves(character, piece) for piece in pieces])


def _octaves(character: _Character, times: Instants) -> Column:
    total = np.zeros(len(times), np.float64)
    instants = times.view(np.uint64)
    for row, octave in enumerate(range(_SHORTEST, _LONGEST + 1)):
        amplitude = character.volatility * math.sqrt(2.0**octave / (_SPREAD * YEAR))
        shifted = instants + character.phases[row]
        noise = _noise(shifted, octave, character.keys[row : row + 1])
        noise *= amplitude
        total += noise
    return total


def _noise(instants: Words, octave: int, key: Words) -> Column:
    """Value noise of one octave at rising instants, within -1 and 1."""
    cells = instants >> np.uint64(octave)
    part = _floats(instants & np.uint64((1 << octave) - 1), 2.0**-octave)
    weight = part * part
    weight *= 3.0 - 2.0 * part
    first = cells[0]
    count = int(cells[-1] - first) + 2
    if count <= len(cells):  # long octaves: hash each lattice point once
        lattice = _hashed(np.arange(count, dtype=np.uint64) + first, key)
        place = (cells - first).view(np.int64)
        left, rise = lattice[place], np.diff(lattice)[place]
    else:
        left = _hashed(cells, key)
        rise = _hashed(cells + np.uint64(1), key)
        rise -= left
    weight *= rise
    weight += left
    return weight


def _hashed(numbers: Words, key: Words) -> Column:
    """Evenly spread floats in [-1, 1), one a number: splitmix64 (Steele, Lea, Flood 2014)."""
    spread = _floats(_mixed(numbers * np.uint64(0x9E3779B97F4A7C15) + key) >> np.uint64(11), 2**-52)
    spread -= 1.0
    return spread


def _floats(words: Words, scale: float) -> Column:
    """Words below 2**63 as floats; the machine turns signed integers into floats faster."""
    floats = words.view(np.int64).astype(np.float64)
    floats *= scale
    return floats


def _mixed(words: Words) -> Words:
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        words = words ^ (words >> np.uint64(shift))
        words *= np.uint64(factor)
    words ^= words >> np.uint64(31)
    return words


def _volumes(character: _Character, closes: Instants, step: int) -> Column:
    """Whole numbers around the daily volume's share, with the long tail of an exponential."""
    evenly = (_hashed(closes.view(np.uint64), character.keys[-1:]) + 1.0) / 2.0
    factor: Column = 0.3 - 0.7 * np.log(1.0 - evenly)
    return np.maximum(1.0, np.round(character.daily_volume * step / DAY * factor))


@cache
def _character(seed: int, symbol: str) -> _Character:
    octaves = _LONGEST - _SHORTEST + 1
    words = _words(f"{seed}/{symbol}", 3 + 2 * octaves + 1)
    evenly = [int(word) / 2**64 for word in words[:3]]
    phases = words[3 : 3 + octaves] >> np.uint64(64 - _SHORTEST)
    return _Character(
        base=50.0 * 10.0 ** evenly[0],
        volatility=0.2 + 0.2 * evenly[1],
        daily_volume=1e6 * 10.0 ** evenly[2],
        phases=phases << np.arange(octaves, dtype=np.uint64),
        keys=words[3 + octaves :],
    )


def _words(text: str, count: int) -> Words:
    """`count` 64-bit words that depend on nothing but the text, on every machine."""
    digests = [
        blake2b(f"{number}/{text}".encode(), digest_size=64).digest()
        for number in range(-(-count // 8))
    ]
    words: Words = np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)
    return words[:count]
