"""Puts this folder on the path, so that every room's tests can import `lane_builders`."""

import os

# A program that is tested refuses TICKLANE_ variables that are none of its settings. The workers of
# pytest-xdist inherit the other name.
if "TICKLANE_TEST_POSTGRES" in os.environ:
    os.environ["TESTS_POSTGRES_URL"] = os.environ.pop("TICKLANE_TEST_POSTGRES")
