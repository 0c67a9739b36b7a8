"""ticklane: one lane for trading strategies, on history, on paper and on a real account.

The public names are imported when they are first used, so that `import ticklane` costs nothing.
Nothing inside the package imports from here.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ticklane._version import __version__

if TYPE_CHECKING:
    from ticklane.app.backtest import backtest
    from ticklane.app.build import StrategyRunner
    from ticklane.app.result import BacktestResult
    from ticklane.brokers.paper import PaperBroker
    from ticklane.brokers.replay import ReplayBroker
    from ticklane.core.errors import TicklaneError
    from ticklane.core.market import Bar, Bars, MarketData, Quote, Tick
    from ticklane.core.order import Fill, Order
    from ticklane.core.position import Trade
    from ticklane.core.signal import Intent, Signal
    from ticklane.data.catalog import BarCatalog
    from ticklane.data.polling import PollingFeed
    from ticklane.data.provider import MarketDataProvider
    from ticklane.data.streaming import StreamingFeed
    from ticklane.engine.bus import EventBus
    from ticklane.engine.status import StrategyStatus
    from ticklane.integrations.alpaca.account import AlpacaAccount
    from ticklane.integrations.alpaca.broker import AlpacaBroker
    from ticklane.integrations.alpaca.crypto import AlpacaCryptoData
    from ticklane.integrations.alpaca.stocks import AlpacaStockData
    from ticklane.interfaces import BrokerInterface, StrategyInterface
    from ticklane.storage.service import StorageService
    from ticklane.strategies.buy_and_hold import BuyAndHoldStrategy
    from ticklane.strategies.moving_average_crossover import MovingAverageCrossoverStrategy

_HOME = {
    "backtest": "app.backtest",
    "AlpacaAccount": "integrations.alpaca.account",
    "AlpacaBroker": "integrations.alpaca.broker",
    "AlpacaCryptoData": "integrations.alpaca.crypto",
    "AlpacaStockData": "integrations.alpaca.stocks",
    "BacktestResult": "app.result",
    "Bar": "core.market",
    "BarCatalog": "data.catalog",
    "Bars": "core.market",
    "BrokerInterface": "interfaces",
    "BuyAndHoldStrategy": "strategies.buy_and_hold",
    "EventBus": "engine.bus",
    "Fill": "core.order",
    "Intent": "core.signal",
    "MarketData": "core.market",
    "MarketDataProvider": "data.provider",
    "MovingAverageCrossoverStrategy": "strategies.moving_average_crossover",
    "Order": "core.order",
    "PaperBroker": "brokers.paper",
    "PollingFeed": "data.polling",
    "Quote": "core.market",
    "ReplayBroker": "brokers.replay",
    "Signal": "core.signal",
    "StorageService": "storage.service",
    "StrategyInterface": "interfaces",
    "StrategyRunner": "app.build",
    "StrategyStatus": "engine.status",
    "StreamingFeed": "data.streaming",
    "Tick": "core.market",
    "TicklaneError": "core.errors",
    "Trade": "core.position",
}

__all__ = [
    "AlpacaAccount",
    "AlpacaBroker",
    "AlpacaCryptoData",
    "AlpacaStockData",
    "BacktestResult",
    "Bar",
    "BarCatalog",
    "Bars",
    "BrokerInterface",
    "BuyAndHoldStrategy",
    "EventBus",
    "Fill",
    "Intent",
    "MarketData",
    "MarketDataProvider",
    "MovingAverageCrossoverStrategy",
    "Order",
    "PaperBroker",
    "PollingFeed",
    "Quote",
    "ReplayBroker",
    "Signal",
    "StorageService",
    "StrategyInterface",
    "StrategyRunner",
    "StrategyStatus",
    "StreamingFeed",
    "Tick",
    "TicklaneError",
    "Trade",
    "__version__",
    "backtest",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ticklane' has no attribute {name!r}")
    module = import_module(f"ticklane.{_HOME[name]}")
    found = getattr(module, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
