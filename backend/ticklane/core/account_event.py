"""What happens in an account besides fills: fees, dividends, interest, deposits, splits."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

ACCEPTED: Final = "ACCEPTED"  # the kind of an operator's own entry: the venue's number counts


class AccountEvent(NamedTuple):
    """One entry of the account's own journal at the venue; booked once by its id.

    `amount` is what it adds to the cash (negative: takes from it); `quantity` what it adds to the
    position in `symbol`, such as a fee in coins or the shares of a split.
    """

    id: str  # the venue's own
    kind: str  # FEE, CFEE, DIV, INT, CSD, CSW, JNLC, SPLIT ...; ACCEPTED by an operator
    at_ns: int
    amount: Decimal
    symbol: str | None = None
    quantity: Decimal | None = None
    detail: str = ""
