"""ReplayBroker: the same simulated venue at historical bars, without anything to connect to."""

from __future__ import annotations

from typing import ClassVar

from ticklane.brokers.paper import PaperBroker


class ReplayBroker(PaperBroker):
    """The broker of a backtest: PaperBroker's venue, rules and options, named for the journal."""

    name: ClassVar[str] = "replay"
