"""A disk on which nothing, or little, can be written."""

import resource
from contextlib import contextmanager


@contextmanager
def no_room(size=0):
    """No file can be made longer than this."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
