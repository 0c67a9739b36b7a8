"""Settings: flags, environment, credential files, .env and TOML file, in this order.

`.env.example` lists what is here; a test compares both. Keys of brokers are no settings: they are
read where a broker is made (`app/account.py`) and stand in nothing that is kept or shown.
"""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ticklane.app.environment import ALIASES, everything
from ticklane.core.errors import ConfigError
from ticklane.core.money import LARGEST
from ticklane.core.secret import HIDDEN, Secret
from ticklane.storage.server import Place, place_of

CONFIG_FILE = "ticklane.toml"


def _secret(given: Any) -> Secret:
    if not isinstance(given, str | Secret):
        raise ValueError("must be a text")
    return given if isinstance(given, Secret) else Secret(given)


SecretText = Annotated[Secret, PlainValidator(_secret), PlainSerializer(lambda _: HIDDEN)]


class StrategySettings(BaseModel):
    """One [[strategy]] block; keys not listed here are the strategy's own parameters."""

    model_config = ConfigDict(extra="allow", frozen=True)

    strategy: str = Field(
        description="built-in name, path/to/file.py:Class or package.module:Class"
    )
    name: str | None = Field(None, description="name in the journal (default: the class name)")
    symbols: list[str] = Field(default_factory=list, description="what it trades")
    interval: str | float | None = Field(None, description="every bar, or 5m, or a crontab text")
    calendar: str | None = Field(None, description="ticks only in the sessions of this market")
    cash: Decimal | None = Field(None, gt=0, le=LARGEST, description="its share of the account")

    @property
    def parameters(self) -> dict[str, Any]:
        """The strategy's own parameters."""
        return dict(self.model_extra or {})


class Settings(BaseSettings):
    """Everything the daemon can be told. Environment names are TICKLANE_ and the field's name."""

    model_config = SettingsConfigDict(
        env_prefix="TICKLANE_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    data_dir: Path = Field(Path("ticklane-data"), description="database, logs and reports")
    database: Path | None = Field(None, description="the database (default: in data_dir)")
    database_url: SecretText | None = Field(
        None, description="a PostgreSQL database instead: postgresql://user:password@host/name"
    )
    broker: Literal["paper", "alpaca"] = Field("paper", description="where orders go")
    mode: Literal["paper", "live"] = Field("paper", description="play money, or real money")
    account: str | None = Field(None, description="number of the account at the broker")
    cash: Decimal = Field(
        Decimal(100_000), gt=0, le=LARGEST, description="starting cash of the paper account"
    )
    currency: str = Field("USD", description="account currency")
    allow_short: bool = Field(False, description="permit short sales")
    costs: dict[str, Decimal] = Field(
        default_factory=dict,
        description='{"per_share": 0.005}, {"per_order": 1, "rate": 0.001} or '
        '{"maker": 0.1, "taker": 0.2} in percent',
    )
    slippage: dict[str, Decimal] = Field(
        default_factory=dict,
        description='{"fixed": 0.01}, {"percent": 0.05}, {"spread_percent": 0.1} or '
        '{"cap": 0.025, "impact": 0.1} of the volume',
    )
    latency: float = Field(
        0.0, ge=0, le=3600, description="seconds an order is on its way to the paper broker"
    )
    sizing: dict[str, Decimal] = Field(
        default_factory=dict, description='{"quantity": 10}, {"notional": 5000} or {"percent": 20}'
    )
    limits: str | dict[str, Any] | None = Field(
        None, description='"safe", "none", or a table of limits (default: safe at a real broker)'
    )
    signal_ttl: str | float = Field(
        "60s", description="an order that could not be sent for this time is not sent any more"
    )
    extended_hours: bool = Field(
        False, description="send day limit orders of stocks for the extended sessions too"
    )
    rearm_protection: bool = Field(
        False, description="place stops and targets of a bracket anew when they ended with the day"
    )
    feed: str = Field(
        "simulated",
        description="simulated, alpaca, alpaca:polling, sample:AAPL, catalog:AAPL or replay:PATH",
    )
    data_feed: Literal["iex", "sip", "delayed_sip"] = Field(
        "iex", description="which stock prices of Alpaca; sip needs a subscription"
    )
    quotes: bool = Field(
        False, description="strategies get quotes of Alpaca's stream as well as bars"
    )
    speed: float | None = Field(None, gt=0, description="pace of the feed against recorded time")
    replay_seconds: float | None = Field(
        None, gt=0, description="pace a whole recorded feed to so many seconds"
    )
    seed: int = Field(0, description="seed of the simulated market")
    timeframe: str | None = Field(None, description="bar length (simulated: 1s, alpaca: 1m)")
    calendar: str | None = Field(None, description="market calendar, such as XNYS or 24/7")
    interval: str | float | None = Field(None, description="schedule of all strategies")
    duration: str | float | None = Field(
        None, description="end the run after this time, such as 60s; it cannot be resumed then"
    )
    fresh: bool = Field(False, description="begin a new run even if one can be resumed")
    cancel_on_stop: bool = Field(False, description="cancel open orders at the end")
    keep_equity_days: int | None = Field(None, ge=1, description="thin older equity points")
    keep_signals_days: int | None = Field(None, ge=1, description="drop older signals")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    log_json: bool = Field(False, description="one JSON object a line")
    strategy: list[StrategySettings] = Field(default_factory=list, description="what to run")
    _is_live_confirmed: bool = PrivateAttr(default=False)

    @property
    def is_live_confirmed(self) -> bool:
        """Whether this start was given `--live`; no file and no variable can say so."""
        return self._is_live_confirmed

    @property
    def database_path(self) -> Path:
        """The database file; with a server, what the files beside it are called after."""
        return self.database or self.data_dir / "ticklane.db"

    @property
    def store(self) -> Place:
        """Where runs are recorded: on the server of `database_url`, else in the file."""
        return place_of(self.database_url) if self.database_url else self.database_path

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what load_settings passes in; it has merged file, .env and environment."""
        return (init_settings,)


def load_settings(
    config: str | Path | None = None, *, live: bool = False, **flags: Any
) -> Settings:
    """Read the settings; flags that are None count as not given.

    `config` is a TOML file; without it `ticklane.toml` of the working directory is used when it
    is there. Relative paths in a file are relative to it. `live` is the switch `--live` of a
    command line: one of three things that real money needs. Raises ConfigError.
    """
    given = read_config(config)
    given.update(_from_environment())
    given.update({name: value for name, value in flags.items() if value is not None})
    if flags.get("database") is not None:
        given.pop("database_url", None)  # a file that was asked for by name
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise ConfigError(_sentence(error)) from None
    settings._is_live_confirmed = live
    return settings


def read_config(config: str | Path | None = None) -> dict[str, Any]:
    """The values of a config file, unchecked, its paths made relative to the working directory.

    Empty when none is named and the working directory has none. Raises ConfigError.
    """
    path = Path(config) if config is not None else Path(CONFIG_FILE)
    if config is None and not path.is_file():
        return {}
    given = _read_toml(path)
    for name in ("data_dir", "database"):
        if isinstance(given.get(name), str):
            given[name] = path.parent / Path(given[name]).expanduser()
    if isinstance(given.get("feed"), str):
        given["feed"] = _beside(path, given["feed"])
    blocks = given.get("strategy")
    for block in blocks if isinstance(blocks, list) else ():
        spec = block.get("strategy") if isinstance(block, dict) else None
        if isinstance(spec, str) and ".py" in spec:
            block["strategy"] = str(path.parent / Path(spec).expanduser())
    return given


def _beside(config: Path, feed: str) -> str:
    """The recorded prices of a config file are looked for beside it."""
    kind, colon, path = feed.partition(":")
    if kind != "replay" or not path:
        return feed
    return f"{kind}{colon}{config.parent / Path(path).expanduser()}"


def _from_environment() -> dict[str, Any]:
    """The TICKLANE_ variables as settings."""
    known = {f"TICKLANE_{name}".upper() for name in Settings.model_fields}
    ours = {}
    for name, given in everything().items():
        if not name.startswith("TICKLANE_") or name in _FILES:
            continue
        if name.split("__")[0] not in known:
            raise ConfigError(f"the variable {name} is unknown; .env.example lists the known ones.")
        ours[name.lower()] = given.read()
    source = EnvSettingsSource(Settings, env_prefix="TICKLANE_", env_nested_delimiter="__")
    source.env_vars = ours
    try:
        return source()
    except ValueError as error:
        named = re.search('field "(.+?)"', str(error))
        name = f"TICKLANE_{named[1]}".upper() if named else "a TICKLANE_ variable"
        raise ConfigError(f"{name} must be JSON ({error.__cause__ or error}).") from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"the config file {path} does not exist.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the config file {path} cannot be read ({_why(error)}).") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the config file {path} is not valid TOML: {error}.") from None


def _why(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return error.strerror or str(error)


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    where = _where(first["loc"])
    if first["loc"][0] in _NO_SETTINGS:
        return (
            f"{first['loc'][0]} is no setting of a config file; keys stand in .env, the "
            "environment or a credential file."
        )
    if first["loc"] == ("strategy",):
        given = "a single block" if isinstance(first["input"], dict) else repr(first["input"])
        return (
            f"the setting 'strategy' is {given}, but must be a list of blocks; "
            "write [[strategy]], with two brackets, above each of them."
        )
    if first["type"] == "extra_forbidden":
        known = ", ".join(sorted(Settings.model_fields))
        return f"the setting {where} is unknown; known are {known}."
    if first["type"] == "missing":
        return f"the setting {where} is missing."
    if first["loc"][0] in _SECRET_FIELDS:
        return f"the setting {where} must be a text."
    rule = _RULES.get(first["type"], first["msg"].removeprefix("Value error, "))
    rule = rule.replace("Input should be", "must be", 1).rstrip(".")
    rule = rule.replace("less than or equal to", "at most", 1)
    return f"the setting {where} is {first['input']!r}, but {rule[:1].lower()}{rule[1:]}."


_FILES = {"TICKLANE_DATABASE_URL_FILE"}
_SECRET_FIELDS = {"database_url"}
_NO_SETTINGS = {*ALIASES, *ALIASES.values()}
_RULES = {  # where pydantic's own words would speak of Python
    "path_type": "must be a path",
    "model_type": "must be a [[strategy]] block",
    "model_attributes_type": "must be a [[strategy]] block",
}


def _where(place: tuple[int | str, ...]) -> str:
    """`("strategy", 0, "cash")` as people count: cash of strategy 1."""
    if len(place) > 2 and place[0] == "strategy" and isinstance(place[1], int):
        return f"{place[2]!r} of strategy {place[1] + 1}"
    if place and place[0] == "strategy" and len(place) == 2:
        return f"strategy {int(place[1]) + 1}"
    return repr(".".join(str(part) for part in place if not _is_branch(part)))


def _is_branch(part: int | str) -> bool:
    """The names that pydantic gives to the members of a union, which say nothing to users."""
    return part in ("str", "float", "int")
