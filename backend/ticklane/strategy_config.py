"""A strategy's config, a mapping of anything, read into name, symbols and parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from typing import Any

from ticklane.core.errors import ConfigError, StrategyError


def read_strategy_config(
    config: Any, model: Any, default_name: str
) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    """The name, the symbols, and the other keys as the strategy's `Config` model reads them.

    Raises ConfigError for what is no mapping, a bad name or symbol, an unknown key or a parameter
    out of bounds; StrategyError for a `Config` that is no pydantic model.
    """
    given = _given(config, default_name)
    name = _name(given.pop("name", None), default_name)
    symbols = _symbols(given.pop("symbols", ()), name)
    return name, symbols, _validated(model, given, name)


def _given(config: Any, name: str) -> dict[str, Any]:
    if config is not None and not isinstance(config, Mapping):
        raise ConfigError(f"config of {name} is {config!r}, but must be a mapping.")
    return dict(config or {})


def _name(name: Any, default: str) -> str:
    if name is None:
        return default
    if not isinstance(name, str) or not name.strip():
        raise ConfigError(f"name is {name!r}, but must be a text that is not empty.")
    return name


def _symbols(symbols: Any, name: str) -> tuple[str, ...]:
    if isinstance(symbols, str):
        symbols = (symbols,)
    if not isinstance(symbols, Iterable):
        raise ConfigError(f"symbols of {name} is {symbols!r}, but must be a list of texts.")
    is_set = isinstance(symbols, Set)  # which has no order of its own, so that of the alphabet
    listed = tuple(sorted(symbols, key=str) if is_set else symbols)
    for symbol in listed:
        if not isinstance(symbol, str) or not symbol:
            raise ConfigError(f"symbols of {name} holds {symbol!r}, but each must be a text.")
    if len(set(listed)) != len(listed):
        raise ConfigError(f"symbols of {name} are {list(listed)}, but each may stand there once.")
    return listed


def _validated(model: Any, given: dict[str, Any], name: str) -> dict[str, Any]:
    """The strategy's own parameters as its `Config` model reads them."""
    if model is None:
        return given
    if not hasattr(model, "model_fields"):
        raise StrategyError(f"Config of {name} is {model!r}, but must be a pydantic model.")
    from pydantic import ValidationError

    unknown = [key for key in given if key not in model.model_fields]
    if unknown:
        known = ", ".join(["name", "symbols", *model.model_fields])
        raise ConfigError(f"{name} does not know the key {unknown[0]!r}; it knows {known}.")
    try:
        read = dict(model(**given))
    except ValidationError as error:
        raise ConfigError(_first_complaint(error.errors()[0], name)) from None
    for key, value in given.items():
        is_counted = type(read[key]) in (int, float) and read[key] == value
        if isinstance(value, bool) and is_counted:  # pydantic takes true for 1
            raise ConfigError(
                f"{key} of {name} is {value!r}, but must be a number, not true or false."
            )
    return read


def _first_complaint(found: Any, name: str) -> str:
    """One of pydantic's errors as a sentence with the parameter, its value and the bound."""
    field = ".".join(str(part) for part in found["loc"])
    if found["type"] == "missing":
        return f"{field} of {name} is missing; give it a value."
    message = re.sub(r"^(?:\w+ )?[Ii]nput should ", "must ", found["msg"])
    message = message.removeprefix("Value error, ").removeprefix("Assertion failed, ").rstrip(".")
    if not field:
        return f"the parameters of {name} do not fit together: {message}."
    return f"{field} of {name} is {found['input']!r}, but {message[:1].lower()}{message[1:]}."
