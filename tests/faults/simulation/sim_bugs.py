"""Bugs that are planted to prove that the simulation finds them; none of this is in the product."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from sim_disk import Disk, SimStorage, template_without_unique_orders
from sim_world import NoBugs

from ticklane.integrations.alpaca import sending
from ticklane.integrations.alpaca.convert import order_body
from ticklane.integrations.alpaca.teller import key_of

_SYNC_SECONDS = 20.0


class _LazyDisk(Disk):
    """Says that it is written, but only every so often does it reach the platter."""

    def __init__(self):
        super().__init__()
        self._synced, self._synced_at = self.connection.serialize(), 0.0
        self.loop = None

    def commit(self, writes):
        super().commit(writes)
        if self.loop is not None and self.loop.time() - self._synced_at > _SYNC_SECONDS:
            self._synced, self._synced_at = self.connection.serialize(), self.loop.time()

    def crash(self):
        super().crash()
        self.connection.deserialize(self._synced)
        self.known = {row["client_order_id"] for row in self.rows("SELECT * FROM orders")}


class NoFsync(NoBugs):
    """A crash of the machine takes what the database had called durable."""

    def disk(self):
        return _LazyDisk()

    def storage(self, disk, life):
        disk.loop = life.world.loop
        return SimStorage(disk, life)


class _LooseDisk(Disk):
    """Takes whatever comes: two orders of one id are two rows."""

    def __init__(self):
        super().__init__(template_without_unique_orders())
        self.connection.execute("PRAGMA foreign_keys = OFF")

    def commit(self, writes):
        for statement, rows in writes:
            self.connection.executemany(statement, rows)
        self.note(writes)


class NoUniqueIndex(NoBugs):
    """Order ids begin anew after a restart, and no index is there to refuse the second one."""

    def disk(self):
        return _LooseDisk()

    def storage(self, disk, life):
        return _Forgetful(disk, life)


class OnlyForgetful(NoUniqueIndex):
    """The same with the index in its place: the daemon ends, but nothing is doubled."""

    def disk(self):
        return Disk()


class _Forgetful(SimStorage):
    async def _begin(self, *arguments):
        return replace(await super()._begin(*arguments), order_count=0)


class NewIdAfter404(NoBugs):
    """What the venue does not know is sent again, but under a new id."""

    def plant(self, life):
        sender, api, tracks = life.broker._sender, life.broker._api, life.broker.tracks
        sent = Counter()

        def posting(track):
            order = track.order

            async def post():
                await api.ready()
                if not sender._may_be_sent(track):
                    return None
                sent[order.id] += 1
                if sent[order.id] > 1:
                    order.client_order_id += f"-{sent[order.id]}"
                    tracks.by_client_id[order.client_order_id] = track
                    life.world.disk.known.add(order.client_order_id)  # it was written down first
                sending.crash_point("submit.before_post")
                return await api.write("POST", "/orders", order_body(order), is_ready=True)

            return post

        sender._posting = posting


class NoExecutionDedup(NoBugs):
    """Each telling of an execution is booked."""

    def plant(self, life):
        teller, told = life.broker._teller, Counter()

        def take_execution(execution, source="execution"):
            track = life.broker.tracks.by_broker_id.get(execution.broker_order_id)
            if track is None:
                teller._keep(execution)
                return False
            told[key_of(execution)] += 1
            key = f"{key_of(execution)}#{told[key_of(execution)]}"
            track.filled = max(track.filled, execution.total)
            teller._book(track, execution, key, source)
            return True

        teller.take_execution = take_execution
