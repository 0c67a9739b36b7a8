"""The first thing to run: the paper broker on real daily bars of AAPL, IBM and MSFT, no keys.

    python run_strategy_example.py           paced to about 20 seconds
    python run_strategy_example.py --fast    without pacing

It is the real daemon: settings, runner, PaperBroker, a SQLite file and a live table. Kill it at
any moment and start it again: it goes on where it was. A finished run is followed by a new one.
"""

from __future__ import annotations

import argparse
import sys

from ticklane.app.example import run_example


def main() -> int:
    """Run the example; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="do not pace the bars")
    parser.add_argument("--fresh", action="store_true", help="begin a new run in any case")
    arguments = parser.parse_args()
    return run_example(is_fast=arguments.fast, fresh=arguments.fresh)


if __name__ == "__main__":
    sys.exit(main())
