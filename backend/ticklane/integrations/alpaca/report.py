"""What a comparison with the venue has shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ticklane.core.market import to_datetime


@dataclass
class Reconciliation:
    """What a comparison with the venue has shown, in plain words."""

    why: str  # start, reconnect, asked, ...
    at_ns: int
    found: list[str] = field(default_factory=list)
    adopted: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    trouble: str = ""  # why it could not be done wholly
    seconds: float = 0.0

    @property
    def is_complete(self) -> bool:
        """True when everything could be read."""
        return not self.trouble

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "why": self.why,
            "at": to_datetime(self.at_ns).isoformat(),
            "seconds": round(self.seconds, 3),
            "is_complete": self.is_complete,
            "trouble": self.trouble,
            "found": list(self.found),
            "adopted": list(self.adopted),
            "differs": list(self.differs),
        }
