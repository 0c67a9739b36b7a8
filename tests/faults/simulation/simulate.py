"""Runs seeds by hand: `simulate.py FIRST COUNT`, or `simulate.py SEED` for a seed's whole story."""

import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[3] / "backend"), str(Path(__file__).parent)]

from sim_run import simulate, story  # noqa: E402


def main(first, count=1):
    began, failed = time.perf_counter(), []
    for seed in range(first, first + count):
        world = simulate(seed)
        if world.checks.broken is not None:
            failed.append(seed)
            print(f"seed {seed}: {str(world.checks.broken)[:600]}", flush=True)
        if (seed - first + 1) % 500 == 0:
            print(f"... {seed - first + 1} seeds, {len(failed)} failed", flush=True)
        if count == 1:
            print(story(world, 100_000))
    seconds = time.perf_counter() - began
    print(
        f"{count} seeds in {seconds:.1f} s, {count / seconds:.1f}/s; {len(failed)} failed: {failed}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(*map(int, sys.argv[1:])))
