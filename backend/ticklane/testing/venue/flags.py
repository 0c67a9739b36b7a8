"""The account's flags and configurations, which an operator can set."""

from __future__ import annotations

from typing import Any

from ticklane.core.errors import ConfigError
from ticklane.core.money import to_decimal


class Flags:
    """What `/v2/account` and `/v2/account/configurations` say besides money."""

    def __init__(self, account_id: str, account_number: str, created_ns: int) -> None:
        self.id = account_id
        self.account_number = account_number
        self.created_ns = created_ns
        self.status = "ACTIVE"
        self.crypto_status = "ACTIVE"
        self.trading_blocked = False
        self.account_blocked = False
        self.transfers_blocked = False
        self.pattern_day_trader = False
        self.daytrade_count = 0
        self.configurations: dict[str, Any] = {
            "dtbp_check": "entry",
            "fractional_trading": True,
            "max_margin_multiplier": "4",
            "max_options_trading_level": None,
            "no_shorting": False,
            "pdt_check": "entry",
            "ptp_no_exception_entry": False,
            "suspend_trade": False,
            "trade_confirm_email": "all",
        }

    def set(self, **values: Any) -> None:
        """Set flags by name; raises ConfigError for one that does not exist."""
        for name, value in values.items():
            if name in ("configurations", "created_ns") or not hasattr(self, name):
                raise ConfigError(f"the account has no flag {name!r}.")
            setattr(self, name, value)

    def configure(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Take what `PATCH /v2/account/configurations` sends."""
        known = self.configurations
        known.update({k: v for k, v in changes.items() if k in known and v is not None})
        return dict(known)

    @property
    def is_suspended(self) -> bool:
        """True when the user has switched trading off."""
        return bool(self.configurations["suspend_trade"])


def ceiling_of(value: Any) -> Any:
    """A buying power set by hand; None takes it away."""
    return None if value is None else to_decimal(value, "buying_power")
