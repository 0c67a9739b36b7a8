"""Files that are there whole or not at all, and for good."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_numbers = itertools.count()


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name to write to, beside `path`, which it becomes at the end of the block.

    From then on it survives a power cut. If the block fails (a full disk, say) nothing is left of
    it, and a file that was there before stays as it was. What is no file of a folder, such as
    /dev/stdout, is written itself, and so is a file in a folder where nothing can be made.
    """
    place = Path(os.path.realpath(path))  # of a link, what it points to
    part = place.with_name(f".ticklane-{os.getpid()}-{next(_numbers)}.part")
    if not _can_be_replaced(path, place, part):
        yield path
        return
    try:
        yield part
        if place.exists():
            shutil.copymode(place, part)
        _sync(part)
        part.replace(place)
        _sync(place.parent)
    except OSError as error:
        if error.filename == str(part):
            error.filename = str(path)  # the name that was asked for
        raise
    finally:
        part.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _can_be_replaced(path: Path, place: Path, part: Path) -> bool:
    if not place.exists():
        return True
    if not place.is_file() or path.absolute().is_relative_to("/dev"):
        return False
    try:
        part.touch()
    except OSError:
        return False
    return True
