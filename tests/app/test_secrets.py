"""A canary: keys are used for all that keys are for, and then looked for everywhere."""

import os
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_builders import PATIENCE, run_process, spawn, wait_for

from ticklane.app.logs import Redactor
from ticklane.clock import SystemClock
from ticklane.core.market import HOUR, MINUTE, Bar
from ticklane.testing.venue import LocalVenue

KEY, SECRET = "PKCANARYKEYKEYKEY00", "CANARYsecret/canary+SECRET0000000000"
WRONG = "CANARYwrong/wrong+WRONG000000000000"
TRADED = ("--strategy", "buy_and_hold", "--symbols", "AAPL,BTC/USD", "--param", "position_size=1")
ALPACA = ("--broker", "alpaca", "--feed", "alpaca")


@pytest.fixture
def venue():
    """A venue that takes these keys only."""
    with LocalVenue(keys=(KEY, SECRET)) as venue:
        for symbol, price in (("AAPL", 100.0), ("SPY", 500.0), ("BTC/USD", 50_000.0)):
            venue.price(symbol, price)
        hour = SystemClock().now_ns() // HOUR * HOUR - HOUR
        venue.bar(Bar("AAPL", hour, hour + MINUTE, 100.0, 101.0, 99.0, 100.0, 1_000.0))
        yield venue


def put_keys(folder, url, key=KEY, secret=SECRET):
    """A `.env` as users have it."""
    text = f"ALPACA_API_KEY={key}\nALPACA_API_SECRET={secret}\nALPACA_BASE_URL={url}\n"
    (folder / ".env").write_text(f"{text}TICKLANE_LOG_LEVEL=DEBUG\n")
    (folder / ".env").chmod(0o600)


@contextmanager
def no_canary(folder):
    """Collects what commands have said, and looks for canaries in it and in every file."""
    said = []
    yield said
    texts = {f"output {number}": text for number, text in enumerate(said)}
    for file in folder.rglob("*"):
        if file.is_file() and file.name != ".env":
            texts[str(file)] = file.read_bytes().decode("latin-1")
    assert {name for name, text in texts.items() if "canary" in text.lower()} == set()


def command_lines():
    """Those of all processes."""
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            lines.append((process / "cmdline").read_bytes().decode("latin-1"))
        except OSError:  # it has ended meanwhile
            continue
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("doctor",), 0),
        (("doctor", "--json"), 0),
        (("status",), 1),
        (("strategies",), 0),
        (("run", *ALPACA, *TRADED, "--live"), 1),
    ],
    ids=lambda given: " ".join(given[:2]) if isinstance(given, tuple) else "",
)
def test_no_command_shows_a_key(folder, venue, words, code):
    put_keys(folder, venue.url)

    with no_canary(folder) as said:
        done = run_process(*words, cwd=folder)
        said += done.out, done.err

    assert done.code == code, done


def test_a_run_shows_no_key(folder, venue):
    put_keys(folder, venue.url)

    with no_canary(folder) as said, spawn("run", *ALPACA, *TRADED, cwd=folder) as daemon:
        try:
            said.append(wait_for(daemon, "is up"))
            said.append(command_lines())
            status = run_process("status", "--json", cwd=folder)
            said += status.out, status.err
            daemon.terminate()
            said += daemon.communicate(timeout=PATIENCE)
        finally:
            daemon.kill()

    assert status.code == 0, status
    assert daemon.returncode == 0, said


def test_a_download_shows_no_key(folder, venue):
    put_keys(folder, venue.url)

    with no_canary(folder) as said:
        done = run_process("download", "AAPL", "--days-back", "2", cwd=folder)
        said += done.out, done.err

    assert done.code == 0, done


@pytest.mark.parametrize(
    "words",
    [("doctor",), ("run", *ALPACA, *TRADED), ("download", "AAPL", "--days-back", "2")],
    ids=lambda words: words[0],
)
def test_wrong_keys_are_told_in_one_sentence_that_shows_none(folder, venue, words):
    put_keys(folder, venue.url, secret=WRONG)

    with no_canary(folder) as said:
        done = run_process(*words, cwd=folder)
        said += done.out, done.err

    assert done.code == 1, done
    assert "ALPACA_API_KEY and ALPACA_API_SECRET" in done.out + done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "words",
    [("doctor",), ("run", *ALPACA, *TRADED), ("download", "AAPL", "--days-back", "2")],
    ids=lambda words: words[0],
)
def test_a_server_that_is_not_there_is_told_in_one_sentence(folder, words):
    put_keys(folder, "http://127.0.0.1:9")

    with no_canary(folder) as said:
        done = run_process(*words, cwd=folder)
        said += done.out, done.err

    assert done.code == 1, done
    assert "127.0.0.1:9 cannot be reached" in done.out + done.err
    assert "Traceback" not in done.err


FAULTY = """
import os
import threading

from ticklane.cli import main
from ticklane.app import doctor

secret = os.environ["ALPACA_API_SECRET"]


def broken(*_, **__):
    raise ValueError(f"a library that shows {secret} and X-Secret: {secret!r}")


thread = threading.Thread(target=broken)
doctor.examine = broken
try:
    main(["doctor", "--help"])
finally:
    thread.start()
    thread.join()
    main(["doctor"])
"""


def test_what_a_library_lets_out_is_hidden_in_tracebacks(folder):
    import subprocess
    import sys

    from cli_builders import environment

    given = {**environment(), "ALPACA_API_KEY": KEY, "ALPACA_API_SECRET": SECRET}

    done = subprocess.run(
        [sys.executable, "-c", FAULTY], env=given, capture_output=True, text=True, cwd=folder
    )

    assert "canary" not in (done.stdout + done.stderr).lower()
    assert done.stderr.count("a library that shows ***") == 2


def test_no_file_of_a_key_is_read_by_others_unnoticed(folder, tl):
    (folder / "secret").write_text(SECRET)
    os.chmod(folder / "secret", 0o644)
    (folder / ".env").write_text(f"ALPACA_API_KEY={KEY}\nALPACA_API_SECRET_FILE=secret\n")
    os.chmod(folder / ".env", 0o600)

    said = tl("doctor", "--no-connect")

    assert "notice  permissions  others may read secret; run chmod 600 secret" in said.out


def test_a_sentence_with_a_secret_is_hidden_and_one_about_secrets_is_not():
    redactor = Redactor([SECRET])

    assert redactor.known(f"no {SECRET} here") == "no *** here"
    assert redactor.known("parameter 'size' must be key=value") == (
        "parameter 'size' must be key=value"
    )
