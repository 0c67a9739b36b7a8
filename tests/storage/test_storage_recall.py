"""An order that the lane has forgotten is found again by any of its ids, on either database."""

import pytest
from storage_builders import a_fill, an_order, born, fields_of, moved

from ticklane.core.events import FillBooked
from ticklane.core.order import OrderClass, OrderStatus
from ticklane.core.recalled import Sought


def a_bracket():
    """An entry that has filled and its two exits, one of which has."""
    entry = an_order(1, order_class=OrderClass.BRACKET, broker_order_id="v1")
    entry.client_order_id = "tl-abc123-r1-1"
    exits = [an_order(n, parent_id=entry.id, broker_order_id=f"v{n}") for n in (2, 3)]
    return entry, *exits


async def keep(storage, *orders):
    """Record orders that have been filled."""
    for order in orders:
        steps = [born(order), moved(order, OrderStatus.ACKED), moved(order, OrderStatus.FILLED)]
        fill = a_fill(order, f"{order.broker_order_id}:10")
        await storage.record("r1", [*steps, FillBooked(fill, None)])


@pytest.mark.parametrize(
    "sought",
    [Sought("r1-1"), Sought("", "tl-abc123-r1-1"), Sought("", "", "v1")],
    ids=["ours", "client", "broker"],
)
async def test_an_order_is_found_by_each_of_its_ids(storage, sought):
    entry, *exits = a_bracket()
    await keep(storage, entry, *exits)

    found = await storage.recall("r1", sought)

    kept = fields_of(entry) | {"legs": ["r1-2", "r1-3"], "executions": ("v1:10",)}
    assert fields_of(found.order) == kept
    assert found.order is found.family[0]


async def test_an_exit_comes_with_its_entry_and_all_their_fills(storage):
    await keep(storage, *a_bracket(), an_order(4, broker_order_id="v4"))

    found = await storage.recall("r1", Sought("", "", "v3"))

    assert (found.order.id, [one.id for one in found.family]) == ("r1-3", ["r1-1", "r1-2", "r1-3"])
    assert [fill.execution_id for fill in found.fills] == ["v1:10", "v2:10", "v3:10"]
    assert found.order in found.family[0].legs


@pytest.mark.parametrize("sought", [Sought("r1-9"), Sought("", "x", ""), Sought("", "", "v9")])
async def test_what_was_never_there_is_not_found(storage, sought):
    await keep(storage, *a_bracket())

    assert await storage.recall("r1", sought) is None


async def test_an_order_of_another_run_is_not_found(storage):
    await keep(storage, *a_bracket())

    assert await storage.recall("r2", Sought("r1-1")) is None
