"""One daemon an account: a second one on this machine is refused, and a dead one holds nothing."""

import os
import subprocess
import sys

import pytest

from ticklane.core.errors import BrokerError
from ticklane.integrations.alpaca.claim import Claim


def an_account():
    return "venue.example", f"PA{os.getpid()}"


def test_an_account_that_is_held_names_the_process_that_holds_it():
    host, number = an_account()
    code = (
        "from ticklane.integrations.alpaca.claim import Claim\n"
        f"mine = Claim()\nmine.take({host!r}, {number!r})\nprint('held', flush=True)\ninput()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"

        with pytest.raises(BrokerError, match=rf"\(process {other.pid}\); stop that one first"):
            Claim().take(host, number)

        other.kill()
        other.wait()

    mine = Claim()
    mine.take(host, number)
    mine.drop()


def test_what_was_dropped_can_be_held_again():
    host, number = an_account()
    first, second = Claim(), Claim()
    first.take(host, number)
    with pytest.raises(BrokerError, match="this very process"):
        second.take(host, number)

    first.drop()
    second.take(host, number)

    second.drop()
