"""Acceptance: an operator takes the venue's number of a position, or of the cash, for ours."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from ticklane.core.account_event import ACCEPTED, AccountEvent
from ticklane.core.errors import BrokerError
from ticklane.core.money import ZERO
from ticklane.integrations.alpaca.convert import read_symbol
from ticklane.integrations.alpaca.ledger import Ledger

CASH: Final = "cash"


def adjustment(
    ledger: Ledger,
    what: str,
    positions: Mapping[str, Decimal],
    cash: Decimal,
    reason: str,
    at_ns: int,
) -> AccountEvent:
    """The entry after which ours is what the venue shows; `what` is a symbol, or cash.

    Raises BrokerError where they do not differ.
    """
    name = what.strip()
    if name.lower() == CASH:
        sentence, name = ledger.cash_difference(cash), CASH
        amount, symbol, quantity = _missing(cash, ledger.cash, ledger.due(CASH)), None, None
    else:
        name = read_symbol(name)
        sentence = ledger.quantity_differences(positions).get(name)
        there, here = positions.get(name, ZERO), ledger.positions.get(name, ZERO)
        amount, symbol, quantity = ZERO, name, _missing(there, here, ledger.due(name))
    if sentence is None:
        raise BrokerError(f"{name} does not differ at Alpaca, so there is nothing to accept.")
    words = f"{sentence} Accepted: {reason}"
    return AccountEvent(f"accepted-{at_ns}", ACCEPTED, at_ns, amount, symbol, quantity, words)


def _missing(there: Decimal, here: Decimal, due: Decimal) -> Decimal:
    """What makes up for a difference; fees that are due will still come off ours by themselves."""
    return there - here if there > here else there - (here - due)
