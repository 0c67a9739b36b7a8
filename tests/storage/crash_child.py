"""Records one whole tick after the other until it is killed; says each that is durable."""

import asyncio
import sys

from storage_builders import START, a_whole_tick

from ticklane.storage.service import StorageService


async def main(place):
    storage = StorageService(place)
    recovered = await storage.begin_run("print", {}, START)
    number = recovered.order_count
    while True:
        number += 1
        await storage.record(recovered.run_id, a_whole_tick(number))
        print(number, flush=True)


asyncio.run(main(sys.argv[1]))
