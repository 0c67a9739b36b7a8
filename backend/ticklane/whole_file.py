"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name to write to, beside `path`, which it becomes at the end of the block.

    If the block fails (a full disk, say) nothing is left of it, and a file that was there before
    stays as it was. What is no file, such as /dev/stdout, is written itself.
    """
    place = Path(os.path.realpath(path))  # of a link, what it points to
    if place.exists() and not place.is_file():
        yield path
        return
    part = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        yield part
        if place.exists():
            shutil.copymode(place, part)
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)
