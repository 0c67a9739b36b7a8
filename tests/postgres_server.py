"""The PostgreSQL server of the tests: TICKLANE_TEST_POSTGRES holds the URL of a database on it."""

import asyncio
import os
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from ticklane.storage.server import Server

URL = os.environ.get("TESTS_POSTGRES_URL", "")  # see conftest.py
ON_SERVER = pytest.mark.skipif(not URL, reason="TICKLANE_TEST_POSTGRES names no server")


class Schema:
    """A schema of its own in the database of the tests, so that tests run beside each other."""

    def __init__(self):
        self.name = f"test_{uuid4().hex}"
        self.url = f"{URL}{'&' if '?' in URL else '?'}search_path={self.name}"
        self.server = Server.of(self.url)
        self.password = urlsplit(URL).password

    def __enter__(self):
        self.run(f"CREATE SCHEMA {self.name}")
        return self

    def __exit__(self, *_):
        self.run(f"DROP SCHEMA {self.name} CASCADE")

    def run(self, *statements):
        """Do this at the server as another program would; the rows of the last one."""
        return _in_a_thread(self.ask(*statements))

    async def ask(self, *statements):
        import asyncpg

        connection = await asyncpg.connect(self.url)
        try:
            for statement in statements:
                found = await connection.fetch(statement)
            return found
        finally:
            await connection.close()


def _in_a_thread(work):
    """Run to its end what is asynchronous, also where a loop is running."""
    import threading

    found = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(work)))
    thread.start()
    thread.join()
    return found[0]
