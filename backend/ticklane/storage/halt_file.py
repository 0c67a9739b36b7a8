"""The kill switch as a file beside the database: set and read by any process, also by hand."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

from ticklane.core.errors import StorageError
from ticklane.core.market import to_datetime, to_ns
from ticklane.whole_file import whole_file


class HaltFile:
    """`<database>.halt`; that it is there is what counts, what stands in it is for people.

    Needs neither the database nor the daemon, so that it can be set while both are stuck.
    """

    def __init__(self, database: Path) -> None:
        path = Path(database).resolve()
        self.path = path.with_name(path.name + ".halt")
        self._text = str(self.path)

    def is_set(self) -> bool:
        """One look at the disk; a folder that cannot be read counts as set."""
        try:
            os.stat(self._text)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return True

    def read(self) -> tuple[str, int | None]:
        """Why and when it was set; an empty or foreign text is taken for the reason."""
        try:
            text = self.path.read_text("utf-8", "replace").strip()
        except OSError:
            return "", None
        try:
            found = json.loads(text)
            return str(found["reason"]), to_ns(datetime.fromisoformat(found["at"]))
        except (ValueError, KeyError, TypeError):
            return text[:500], None

    def set(self, reason: str, at_ns: int) -> None:
        """Write it so that it survives a power cut; one that is there already stays."""
        if self.is_set():
            return
        text = json.dumps({"reason": reason, "at": to_datetime(at_ns).isoformat()}) + "\n"
        try:
            with whole_file(self.path) as part:
                part.write_text(text, "utf-8")
        except OSError as error:
            raise StorageError(
                f"the halt file {self.path} cannot be written ({error.strerror}); stop the daemon "
                "instead, or make its folder writable."
            ) from None

    def clear(self) -> None:
        """Take it away."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"the halt file {self.path} cannot be removed ({error.strerror}); trading stays "
                "halted until it is gone."
            ) from None
