"""The report of a paper or live run, made from its database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from ticklane.app.build import StrategyRunner
from ticklane.app.result import BacktestResult
from ticklane.core.correction import book_again, revised_trades, standing
from ticklane.core.money import exact
from ticklane.core.order import Fill
from ticklane.core.portfolio import Book
from ticklane.core.position import Trade
from ticklane.storage.reader import Reader
from ticklane.storage.server import Place


def run_result(runner: StrategyRunner, database: Place) -> BacktestResult:
    """What the whole run has led to, before and after any restart, read back from its journal."""
    assert runner.feed is not None
    with Reader(database) as reader:
        orders = reader.orders_of(runner.run_id)
        journal = reader.fills_of(runner.run_id)
        times_ns, equity = reader.equity(runner.run_id)
    shares = {name: book.deposits for name, book in runner.portfolio.books.items()}
    books = {name: Book(name, cash) for name, cash in shares.items()}
    trades, fills = closed_trades(books, journal), standing(journal)
    for book in books.values():
        for symbol, position in book.positions.items():
            price = runner.portfolio.price_of(symbol)
            trade = position.open_trade(exact(price)) if price is not None else None
            if trade is not None:
                trades.append(trade)
    held = _exposed(fills, times_ns)
    return BacktestResult(
        orders=orders,
        fills=fills,
        trades=trades,
        times=times_ns.view("datetime64[ns]"),
        equity=equity,
        exposed=held,
        starting_cash=sum(shares.values(), Decimal(0)),
        cash=runner.portfolio.cash,
        bars={s: runner.feed.history(s, None, runner.now_ns) for s in runner.feed.symbols},
        timeframe=runner.feed.timeframe,
        strategies=runner.get_status().strategies,
        label=runner.feed.label,
        notes=[
            f"Paper run {runner.run_id}; every order and fill is in {database.name}.",
            "Market orders fill at the open of the next bar.",
        ],
    )


def closed_trades(books: Mapping[str, Book], journal: Iterable[Fill]) -> list[Trade]:
    """The round trips of a journal's fills, each as it is known now; the books are moved."""
    trades: list[Trade] = []
    for fill in journal:
        book = books[fill.strategy]
        trade = book_again(book, fill)
        for told, known in revised_trades(book, fill.symbol):
            trades[trades.index(told)] = known
        if trade is not None:
            trades.append(trade)
    return trades


def _exposed(fills: list[Fill], times_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether anything was held at each point of the curve."""
    held: dict[str, Decimal] = {}
    exposed = np.zeros(len(times_ns), np.bool_)
    for fill in fills:
        held[fill.symbol] = held.get(fill.symbol, Decimal(0)) + fill.quantity
        since = np.searchsorted(times_ns, fill.seen_ns, side="left")
        exposed[since:] = any(held.values())
    return exposed
