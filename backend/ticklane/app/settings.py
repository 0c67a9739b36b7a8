"""Settings: flags, environment, .env and TOML file, in this order; the only reader of os.environ."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ticklane.core.errors import ConfigError

CONFIG_FILE = "ticklane.toml"
Environment = Mapping[str, str]


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
    cash: Decimal | None = Field(None, gt=0, description="its share of the account")

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
    broker: Literal["paper"] = Field("paper", description="where orders go")
    cash: Decimal = Field(Decimal(100_000), gt=0, description="starting cash of the paper account")
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
    latency: float = Field(0.0, ge=0, description="seconds an order is on its way")
    sizing: dict[str, Decimal] = Field(
        default_factory=dict, description='{"quantity": 10}, {"notional": 5000} or {"percent": 20}'
    )
    feed: str = Field("simulated", description="simulated, sample:AAPL or replay:PATH")
    speed: float | None = Field(None, gt=0, description="pace of the feed against recorded time")
    replay_seconds: float | None = Field(
        None, gt=0, description="pace a whole recorded feed to so many seconds"
    )
    seed: int = Field(0, description="seed of the simulated market")
    timeframe: str | None = Field(None, description="bar length (simulated: 1s)")
    calendar: str | None = Field(None, description="market calendar, such as XNYS or 24/7")
    interval: str | float | None = Field(None, description="schedule of all strategies")
    duration: str | float | None = Field(None, description="end after this time, such as 60s")
    fresh: bool = Field(False, description="begin a new run even if one can be resumed")
    cancel_on_stop: bool = Field(False, description="cancel open orders at the end")
    keep_equity_days: int | None = Field(None, ge=1, description="thin older equity points")
    keep_signals_days: int | None = Field(None, ge=1, description="drop older signals")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    log_json: bool = Field(False, description="one JSON object a line")
    strategy: list[StrategySettings] = Field(default_factory=list, description="what to run")

    @property
    def database_path(self) -> Path:
        """Where the database is."""
        return self.database or self.data_dir / "ticklane.db"

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


def load_settings(config: str | Path | None = None, **flags: Any) -> Settings:
    """Read the settings; flags that are None count as not given.

    `config` is a TOML file; without it `ticklane.toml` of the working directory is used when it
    is there. Relative paths in a file are relative to it. Raises ConfigError.
    """
    path = Path(config) if config is not None else Path(CONFIG_FILE)
    given = _read_toml(path) if config is not None or path.is_file() else {}
    given.update(_from_environment())
    given.update({name: value for name, value in flags.items() if value is not None})
    try:
        return Settings(**given)
    except ValidationError as error:
        raise ConfigError(_sentence(error)) from None


def environment() -> Environment:
    """The process environment, for systemd's protocol."""
    return os.environ


def _from_environment() -> dict[str, Any]:
    """TICKLANE_ variables of the environment, which win over those of a .env file."""
    from dotenv import dotenv_values

    merged = {**dotenv_values(".env"), **os.environ}
    known = {f"TICKLANE_{name}".upper() for name in Settings.model_fields}
    for name in merged:
        is_ours = name.upper().startswith("TICKLANE_")
        if is_ours and name.upper().split("__")[0] not in known:
            raise ConfigError(f"the variable {name} is unknown; .env.example lists the known ones.")
    source = EnvSettingsSource(Settings, env_prefix="TICKLANE_", env_nested_delimiter="__")
    source.env_vars = {name.lower(): value for name, value in merged.items()}
    try:
        return source()
    except ValueError as error:
        cause = error.__cause__ or error
        raise ConfigError(f"{error} ({cause}); write it as JSON.") from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        given = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"the config file {path} does not exist.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the config file {path} cannot be read: {error}.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the config file {path} is not valid TOML: {error}.") from None
    for name in ("data_dir", "database"):
        if isinstance(given.get(name), str):
            given[name] = path.parent / given[name]
    for block in given.get("strategy", ()):
        spec = block.get("strategy") if isinstance(block, dict) else None
        if isinstance(spec, str) and ".py" in spec:
            block["strategy"] = str(path.parent / spec)
    return given


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"the setting {where!r} is unknown; known are {', '.join(sorted(Settings.model_fields))}."
    if first["type"] == "missing":
        return f"the setting {where!r} is missing."
    message = first["msg"][:1].lower() + first["msg"][1:]
    return f"the setting {where} is {first['input']!r}, but: {message}."
