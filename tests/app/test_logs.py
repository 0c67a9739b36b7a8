"""Logs: readable or JSON, rotated, and never with a secret in them, whichever way it came."""

import io
import json
import logging
import warnings

import pytest
import structlog

from ticklane.app.logs import HIDDEN, Redactor, configure_logging
from ticklane.core.errors import ConfigError

CANARY = "c4n4ry/T0ken+\"quoted'\\é"
PLAIN_CANARY = "CANARY7F3A9"


def our_handlers():
    handlers = logging.getLogger().handlers
    return [handler for handler in handlers if type(handler).__module__ == "ticklane.app.logs"]


@pytest.fixture(autouse=True)
def logging_as_before():
    root = logging.getLogger()
    level = root.level
    yield
    for handler in our_handlers():
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


class Output:
    """What the console and the file were given."""

    def __init__(self, directory, **options):
        logging.getLogger().handlers[:] = our_handlers()  # pytest's fail where ours must not
        self.console, self.file = io.StringIO(), directory / "logs" / "ticklane.log"
        configure_logging(file=self.file, stream=self.console, **options)

    @property
    def texts(self):
        return self.console.getvalue(), self.file.read_text("utf-8")

    def records(self):
        return [json.loads(line) for line in self.file.read_text("utf-8").splitlines()]


def ours():
    return structlog.get_logger("ticklane.engine")


# What is written


def test_people_read_time_level_logger_event_and_fields_in_console_and_file(tmp_path):
    output = Output(tmp_path)

    ours().info("order approved", symbol="AAPL", quantity=5)

    for text in output.texts:
        assert text.startswith("20")
        for part in ("info", "order approved", "ticklane.engine", "quantity=5", "symbol=AAPL"):
            assert part in text
        assert "\x1b" not in text


def test_a_terminal_gets_colours_and_the_file_does_not(tmp_path):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    configure_logging(file=tmp_path / "x.log", stream=terminal)

    ours().info("hello")

    assert "\x1b[" in terminal.getvalue()
    assert "\x1b[" not in (tmp_path / "x.log").read_text()


def test_json_is_one_object_a_line(tmp_path):
    output = Output(tmp_path, json=True)

    ours().warning("stale data", age=61.5, note="two\nlines, \u20ac")

    [record] = output.records()
    assert record.pop("timestamp").endswith("Z")
    assert record == {
        "event": "stale data",
        "level": "warning",
        "logger": "ticklane.engine",
        "age": 61.5,
        "note": "two\nlines, \u20ac",
    }
    assert output.texts[0] == output.texts[1]


def test_records_of_libraries_go_the_same_way(tmp_path):
    output = Output(tmp_path, json=True)

    logging.getLogger("somebodys.library").info("read %d rows", 7, extra={"table": "fills"})

    [record] = output.records()
    assert (record["event"], record["logger"]) == ("read 7 rows", "somebodys.library")
    assert (record["level"], record["table"]) == ("info", "fills")


def test_warnings_of_libraries_are_logged(tmp_path):
    output = Output(tmp_path)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        configure_logging(file=output.file, console=False)
        warnings.warn("will go away", DeprecationWarning, stacklevel=1)

    assert "will go away" in output.texts[1]


def test_context_such_as_the_strategys_name_is_on_every_record(tmp_path):
    output = Output(tmp_path, json=True)

    with structlog.contextvars.bound_contextvars(strategy="crossover"):
        ours().info("ticked")

    assert output.records()[0]["strategy"] == "crossover"


def test_the_level_holds_for_both_and_chatty_libraries_stay_quiet_at_debug(tmp_path):
    quiet = Output(tmp_path, level="warning")
    ours().info("not this")
    logging.getLogger("library").info("nor this")
    ours().error("but this")
    assert "not this" not in quiet.texts[0]
    assert "nor this" not in quiet.texts[0]
    assert "but this" in quiet.texts[0]

    all_of_it = Output(tmp_path, level=logging.DEBUG)
    logging.getLogger("aiosqlite").debug("executing")
    for name in ("alembic.runtime.plugins", "matplotlib.font_manager"):
        logging.getLogger(name).info("generated")
    ours().debug("a detail")
    assert "a detail" in all_of_it.texts[0]
    assert not {"executing", "generated"} & set(all_of_it.texts[0].split())


def test_a_second_call_replaces_the_first(tmp_path):
    first = Output(tmp_path / "first")
    second = Output(tmp_path / "second")

    ours().info("once")

    assert first.texts == ("", "")
    assert second.texts[0].count("once") == 1


def test_the_console_can_be_left_to_somebody_else(tmp_path, capsys):
    configure_logging(file=tmp_path / "x.log", console=False)

    ours().info("for the file")

    assert capsys.readouterr() == ("", "")
    assert "for the file" in (tmp_path / "x.log").read_text()


def test_the_file_is_rotated_by_size(tmp_path):
    output = Output(tmp_path, max_bytes=1000, backups=2)

    for number in range(100):
        ours().info(f"line {number}")

    files = sorted(output.file.parent.iterdir())
    assert [file.name for file in files] == ["ticklane.log", "ticklane.log.1", "ticklane.log.2"]
    assert all(file.stat().st_size <= 1000 for file in files)
    assert "line 99" in output.texts[1]


@pytest.mark.parametrize("level", ["LOUD", "", -1, True, None])
def test_an_unknown_level_is_refused(level):
    with pytest.raises(ConfigError, match=r"log level is .*, but must be one of DEBUG, INFO"):
        configure_logging(level)


def test_a_file_that_cannot_be_written_is_refused_and_leaves_logging_alone(tmp_path):
    (tmp_path / "taken").write_text("")
    configure_logging(console=False, file=tmp_path / "good.log")

    with pytest.raises(ConfigError, match=r"log file .*x\.log cannot be written"):
        configure_logging(file=tmp_path / "taken" / "x.log")

    ours().info("still here")
    assert "still here" in (tmp_path / "good.log").read_text()


# Secrets


def fail_with(secret):
    local_variable = secret
    try:
        raise KeyError(f"inner {local_variable}")
    except KeyError as error:
        raise RuntimeError(f"outer {secret!r}") from error


class Settings:
    """A foreign object whose repr tells too much."""

    def __init__(self, secret):
        self.secret = secret

    def __repr__(self):
        return f"Settings(endpoint='x', api_key={self.secret!r})"


class UnwritableError(Exception):
    pass


class Unwritable:
    def __init__(self, secret):
        self.secret = secret

    def __str__(self):
        raise UnwritableError(f"cannot show {self.secret}")


def log_everywhere(secret):
    """Say the secret by every way a record can hold it."""
    library = logging.getLogger("library")
    ours().info(f"plain {secret}", field=secret, listed=[secret, {"deep": (secret,)}], b=b"x")
    ours().info("formatted %s", secret)
    ours().info("object", thing=Settings(secret), **{secret: 1})
    library.warning("formatted %s and %r", secret, {"x": secret})
    library.warning("extra", extra={"header": secret, "nested": {"a": [secret]}})
    library.warning("object %s", Settings(secret), stack_info=True)
    for log in (ours(), library):
        try:
            fail_with(secret)
        except RuntimeError:
            log.exception("it failed")


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("secret", [CANARY, PLAIN_CANARY, "with space", "two\nlines-of-a-secret-1"])
def test_a_secret_appears_in_no_output(tmp_path, as_json, secret):
    output = Output(tmp_path, json=as_json, secrets=["another", secret])

    log_everywhere(secret)

    for text in output.texts:
        written = text + text.encode().decode("unicode_escape", errors="replace")
        assert secret not in written
        assert secret.encode("unicode_escape").decode() not in text
        assert json.dumps(secret)[1:-1] not in text
        assert "Traceback (most recent call last)" in text
        assert text.count(HIDDEN) >= 10


@pytest.mark.parametrize("as_json", [True, False])
def test_a_record_that_cannot_be_written_does_not_betray_it_either(tmp_path, capsys, as_json):
    output = Output(tmp_path, json=as_json, secrets=[PLAIN_CANARY])

    logging.getLogger("library").warning("%d", PLAIN_CANARY)
    logging.getLogger("library").warning("%s", Unwritable(PLAIN_CANARY))

    told = capsys.readouterr().err
    assert "a log record of library could not be written" in told
    assert f"cannot show {HIDDEN}" in told
    for text in (told, *output.texts):
        assert PLAIN_CANARY not in text


@pytest.mark.parametrize("as_json", [True, False])
def test_a_secret_nobody_configured_is_known_by_the_name_beside_it(tmp_path, as_json):
    output = Output(tmp_path, json=as_json)

    ours().info("connecting", api_key=PLAIN_CANARY, options={"secretKey": [PLAIN_CANARY]})
    ours().info("url", to=f"wss://host/stream?token={PLAIN_CANARY}&symbol=AAPL")
    ours().info("object", thing=Settings(PLAIN_CANARY))
    logging.getLogger("library").info("headers %s", {"APCA-API-SECRET-KEY": PLAIN_CANARY, "x": 1})
    logging.getLogger("library").info("login", extra={"password": PLAIN_CANARY})

    for text in output.texts:
        assert PLAIN_CANARY not in text
        assert text.count(HIDDEN) == 6
        assert "symbol=AAPL" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{'api_key': 'abc', 'symbol': 'AAPL'}", "{'api_key': '***', 'symbol': 'AAPL'}"),
        ('{"token": "a\\"b", "n": 1}', '{"token": "***", "n": 1}'),
        (r"{\"token\": \"abc\", \"n\": 1}", r"{\"token\": \"***\", \"n\": 1}"),
        ("?symbol=AAPL&api_key=abc&x=1", "?symbol=AAPL&api_key=***&x=1"),
        ("Client(key='abc def', url='x')", "Client(key='***', url='x')"),
        ("password = 'abc", "password = '***"),
        ("msg=\"don't\" secret='abc' more", "msg=\"don't\" secret='***' more"),
        ("secret='token=abc' done", "secret='***' done"),
        ("headers: b'x', 'auth-token': b'abc'", "headers: b'x', 'auth-token': b'***'"),
        ("monkey=1 keyboard='x' donkey", "monkey=1 keyboard='x' donkey"),
        ("KeyError: 'symbol'", "KeyError: 'symbol'"),
        ("it does not know the key 'x'.", "it does not know the key 'x'."),
    ],
)
def test_names_that_tell_hide_their_values_and_others_do_not(text, shown):
    assert Redactor().text(text) == shown


def test_a_field_of_a_telling_name_stays_visible_when_it_is_not_set():
    event = Redactor().fields(None, "info", {"api_key": None, "token": "", "secret": 5, "key": "k"})

    assert event == {"api_key": None, "token": "", "secret": HIDDEN, "key": HIDDEN}


def test_a_secret_is_found_as_urls_and_reprs_write_it():
    redactor = Redactor(["a/b+c d", "line-one-of-a-pem-file\nline-two-of-a-pem-file", "", None])

    for text in (
        "a/b+c d",
        "a%2Fb%2Bc%20d",
        "a%2Fb%2Bc+d",
        "a/b%2Bc%20d",
        "line-two-of-a-pem-file",
    ):
        assert redactor.text(f"<{text}>") == f"<{HIDDEN}>"


def test_of_two_secrets_the_longer_is_hidden_whole():
    assert Redactor(["abc", "abcdef"]).text("abcdef abc") == f"{HIDDEN} {HIDDEN}"


def test_pydantics_secret_texts_are_opened():
    from pydantic import SecretStr

    assert Redactor([SecretStr("abc123")]).text("it is abc123") == f"it is {HIDDEN}"


def test_a_very_long_word_is_read_in_time():
    text = "x" * 1_000_000

    assert Redactor(["abc"]).text(text) == text
