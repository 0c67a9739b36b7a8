"""Registry: finds a strategy by name, in a file or in a module, describes it and makes it."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import re
import sys
import traceback
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

from ticklane.core.errors import ConfigError, StrategyError, TicklaneError
from ticklane.interfaces import StrategyInterface, check_strategy

GROUP = "ticklane.strategies"
# The same as in pyproject.toml, for a source tree that is not installed. As texts: this room does
# not know the room of strategies, and nothing is imported before somebody asks for it.
BUILT_IN = {
    "buy_and_hold": "ticklane.strategies.buy_and_hold:BuyAndHoldStrategy",
    "moving_average_crossover": (
        "ticklane.strategies.moving_average_crossover:MovingAverageCrossoverStrategy"
    ),
}
_siblings: set[str] = set()  # modules that came from beside a strategy file


@dataclass(frozen=True, slots=True)
class Parameter:
    """One field of a strategy's `Config`, as plain values."""

    name: str
    type: str  # such as "int", or the choices "simple | exponential"
    default: Any  # None where it is required
    bounds: str  # such as ">= 1", empty without any
    description: str
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class StrategyInfo:
    """What a list of strategies shows; `error` says why one of them cannot be used."""

    name: str
    target: str  # "package.module:ClassName"
    class_name: str
    summary: str  # the first line of its docstring
    parameters: tuple[Parameter, ...] = ()
    error: str | None = None


def find_strategy(spec: str) -> type[StrategyInterface]:
    """The class that a text names; nothing of it is run but its import.

    `spec` is the name of a built-in or installed strategy (entry point group
    `ticklane.strategies`), `path/to/file.py:ClassName`, or `package.module:ClassName`. A file
    with exactly one strategy needs no class name. Files are read anew each time; modules beside
    them can be imported. Raises StrategyError.
    """
    text = spec.strip()
    file = re.fullmatch(r"(.+?\.py)(?::(.*))?", text)
    if file is not None:
        return _class_in(_module_of_file(file[1]), file[2] or "", file[1])
    module, colon, name = text.rpartition(":")
    if not colon:
        module, _, name = _target_of(text).partition(":")
    return _class_in(_module_of_name(module), name, module)


def make_strategy(spec: str, config: Mapping[str, Any] | None = None) -> StrategyInterface:
    """Find a strategy and make it with this config; raises StrategyError and ConfigError."""
    kind = find_strategy(spec)
    try:
        made = kind(config)
    except TicklaneError:
        raise
    except Exception as error:
        told = _told(error, Path(inspect.getfile(kind)).parent)
        raise StrategyError(f"{kind.__name__} cannot be made: {told}.") from error
    return check_strategy(made)


def list_strategies() -> list[StrategyInfo]:
    """Every built-in and installed strategy by name, also those that cannot be imported."""
    return [_info(name) for name in sorted(_targets())]


def describe(name: str, kind: type[StrategyInterface]) -> StrategyInfo:
    """A strategy class in plain values."""
    target = f"{kind.__module__}:{kind.__qualname__}"
    summary = (inspect.getdoc(kind) or "").partition("\n")[0]
    return StrategyInfo(name, target, kind.__name__, summary, parameters_of(kind))


def parameters_of(kind: type[StrategyInterface]) -> tuple[Parameter, ...]:
    """The fields of a strategy's `Config`, none without one."""
    fields = getattr(kind.Config, "model_fields", {})
    return tuple(_parameter(name, field) for name, field in fields.items())


def parse_parameters(given: Iterable[str]) -> dict[str, Any]:
    """Read `["fast=5", "average=exponential"]`, as `--param` gives them.

    A value that is a JSON number, true, false, or a JSON list or object is read as such,
    everything else is text. Raises ConfigError.
    """
    found: dict[str, Any] = {}
    for one in given:
        key, equals, value = one.partition("=")
        key = key.strip()
        if not equals or not key:
            raise ConfigError(f"parameter {one!r} must be key=value, such as fast=5.")
        if key in found:
            raise ConfigError(f"parameter {key!r} is given twice; give it once.")
        found[key] = _value(value.strip())
    return found


def _value(text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except ValueError:
        return text
    return value if isinstance(value, int | float | list | dict) else text


def _refuse_constant(text: str) -> Any:
    raise ValueError(text)  # NaN and Infinity are not JSON


# --- names -----------------------------------------------------------------------------------


def _targets() -> dict[str, list[str]]:
    """Name -> what it stands for; more than one where packages disagree."""
    found: dict[str, set[str]] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, set()).add(f"{entry.module}:{entry.attr}")
    return {
        **{name: sorted(targets) for name, targets in found.items()},
        **{name: [target] for name, target in BUILT_IN.items()},
    }


def _target_of(name: str) -> str:
    targets = _targets()
    found = targets.get(name, [])
    if not found:
        raise StrategyError(
            f"strategy {name!r} is not known; installed are {', '.join(sorted(targets))}, and "
            "your own is given as path/to/file.py:ClassName or package.module:ClassName."
        )
    if len(found) > 1:
        raise StrategyError(f"strategy {name!r} is ambiguous; give {' or '.join(found)}.")
    return found[0]


def _info(name: str) -> StrategyInfo:
    try:
        return describe(name, find_strategy(name))
    except StrategyError as error:
        target = " or ".join(_targets()[name])
        return StrategyInfo(name, target, target.rpartition(":")[2], "", error=str(error))


# --- modules ---------------------------------------------------------------------------------


def _module_of_file(given: str) -> ModuleType:
    path = Path(given).expanduser().resolve()
    if not path.is_file():
        raise StrategyError(f"strategy file {given} is not there; check the path.")
    name = f"ticklane_file_{path.stem}_{zlib.crc32(bytes(path)):08x}"
    loader = SourceFileLoader(name, str(path))

    def run() -> ModuleType:
        spec = importlib.util.spec_from_loader(name, loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses and pydantic look there while it runs
        # Not exec_module: its cached bytecode may be older than an edit within the same second.
        exec(loader.source_to_code(loader.get_data(str(path)), str(path)), module.__dict__)
        return module

    try:
        with _reachable(path.parent), _fresh_siblings(path.parent, name):
            return _imported(given, path.parent, run)
    except StrategyError:
        sys.modules.pop(name, None)
        raise


def _module_of_name(name: str) -> ModuleType:
    missing: str | None = name
    if all(part.isidentifier() for part in name.split(".")):
        try:
            with _reachable(Path.cwd()):
                return _imported(name, Path.cwd(), lambda: importlib.import_module(name))
        except StrategyError as error:
            cause = error.__cause__
            missing = cause.name if isinstance(cause, ModuleNotFoundError) else None
            if missing is None or not f"{name}.".startswith(f"{missing}."):
                raise
    raise StrategyError(
        f"there is no module {missing!r}; give a strategy as package.module:ClassName or "
        "path/to/file.py:ClassName."
    )


def _imported(shown: str, folder: Path, run: Callable[[], ModuleType]) -> ModuleType:
    try:
        return run()
    except (Exception, SystemExit) as error:
        told = _told(error, folder)
        raise StrategyError(f"{shown} does not import: {told}.") from error


@contextmanager
def _reachable(folder: Path) -> Iterator[None]:
    """Let modules of this folder be imported meanwhile."""
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


@contextmanager
def _fresh_siblings(folder: Path, name: str) -> Iterator[None]:
    """Forget the modules beside earlier files, which may have the same names as those beside
    the file that becomes the module `name`. Who has imported them keeps them.
    """
    while _siblings:
        sys.modules.pop(_siblings.pop(), None)
    before = {name, *sys.modules}
    try:
        yield
    finally:
        made = {found: sys.modules[found] for found in sys.modules.keys() - before}
        _siblings.update(found for found, one in made.items() if _is_beside(one, folder))


def _is_beside(module: ModuleType, folder: Path) -> bool:
    """True for what a folder holds, but not for what is installed there, nor for ticklane."""
    file = getattr(module, "__file__", None)
    if not file or module.__name__.partition(".")[0] == __name__.partition(".")[0]:
        return False
    return Path(file).is_relative_to(folder) and "site-packages" not in Path(file).parts


def _told(error: BaseException, folder: Path) -> str:
    """An error in some words, with the line of the strategy that led to it."""
    words = " ".join(str(getattr(error, "msg", None) or error).split()).rstrip(".")
    told = f"{type(error).__name__}: {words}" if words else type(error).__name__
    place = _place(error, folder)
    return f"{told} ({place})" if place else told


def _place(error: BaseException, folder: Path) -> str:
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{Path(error.filename).name}, line {error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__]
    inside = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    outside = [frame for frame in frames if not frame.filename.startswith("<")]
    chosen = (inside or outside)[-1:]
    return "".join(f"{Path(frame.filename).name}, line {frame.lineno}" for frame in chosen)


# --- classes ---------------------------------------------------------------------------------


def _class_in(module: ModuleType, name: str, shown: str) -> type[StrategyInterface]:
    if not name:
        return _only_class_in(module, shown)
    if not hasattr(module, name):
        there = ", ".join(kind.__name__ for kind in _strategies_in(module)) or "none"
        raise StrategyError(f"{shown} has no class {name}; the strategies there are: {there}.")
    return _checked(getattr(module, name), name, shown)


def _only_class_in(module: ModuleType, shown: str) -> type[StrategyInterface]:
    there = _strategies_in(module)
    ready = [kind for kind in there if not inspect.isabstract(kind)]
    if len(ready) > 1:
        names = ", ".join(kind.__name__ for kind in ready)
        raise StrategyError(
            f"{shown} holds several strategies ({names}); name one, as in "
            f"{shown}:{ready[0].__name__}."
        )
    if not there:
        raise StrategyError(
            f"{shown} holds no strategy; write a class that inherits from StrategyInterface."
        )
    chosen = (ready or there)[0]
    return _checked(chosen, chosen.__name__, shown)


def _strategies_in(module: ModuleType) -> list[type[StrategyInterface]]:
    """The strategy classes written in a module, in their order."""
    kinds = (value for value in vars(module).values() if isinstance(value, type))
    mine = (kind for kind in kinds if kind.__module__ == module.__name__)
    return list(dict.fromkeys(kind for kind in mine if issubclass(kind, StrategyInterface)))


def _checked(kind: Any, name: str, shown: str) -> type[StrategyInterface]:
    if not isinstance(kind, type) or not issubclass(kind, StrategyInterface):
        raise StrategyError(
            f"{name} in {shown} is not a strategy; it must be a class that inherits from "
            "StrategyInterface."
        )
    if inspect.isabstract(kind):
        missing = ", ".join(sorted(kind.__abstractmethods__))
        raise StrategyError(f"{name} in {shown} is abstract; it still needs {missing}.")
    return kind


# --- parameters ------------------------------------------------------------------------------

_BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "multiple_of": "multiple of"}
_LENGTHS = {"min_length": "at least", "max_length": "at most"}


def _parameter(name: str, field: Any) -> Parameter:
    is_required = field.is_required()
    default = None if is_required else field.get_default(call_default_factory=True)
    return Parameter(
        name,
        _type_name(field.annotation),
        default if isinstance(default, int | float | str | None) else str(default),
        ", ".join(_bounds(field.metadata)),
        field.description or "",
        is_required,
    )


def _bounds(metadata: Iterable[Any]) -> Iterator[str]:
    for one in metadata:
        for key, sign in _BOUNDS.items():
            if getattr(one, key, None) is not None:
                yield f"{sign} {getattr(one, key)}"
        for key, words in _LENGTHS.items():
            if getattr(one, key, None) is not None:
                yield f"{words} {getattr(one, key)} long"


def _type_name(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " | ".join(map(str, get_args(annotation)))
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__name__
    return str(annotation).replace("typing.", "")
