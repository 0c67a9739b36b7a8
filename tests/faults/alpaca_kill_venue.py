"""A local venue in a process of its own: prices of the simulated market, faults none, control on.

`python alpaca_kill_venue.py CASH SEED` prints its address and serves until its standard input ends.
"""

from __future__ import annotations

import sys

from alpaca_market import SYMBOLS, market_feed

from ticklane.testing.venue import LocalVenue


def main(cash, seed):
    feed = market_feed(SYMBOLS, seed)
    with LocalVenue(
        cash, feed=feed, control=True, rate_limit=1_000_000, keys=("key", "secret")
    ) as venue:
        print(venue.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
