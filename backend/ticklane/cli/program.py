"""The `ticklane` command: its subcommands, and what becomes of their errors."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ticklane._version import __version__
from ticklane.cli import backtesting, download, keeping, looking, running, steering, venue
from ticklane.core.errors import TicklaneError

if TYPE_CHECKING:
    from ticklane.app.logs import Redactor


class _Program(TyperGroup):
    """Turns what went wrong in a command into one sentence on stderr and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            done = super().invoke(ctx)
            sys.stdout.flush()  # a reader that went away is noticed here, not at exit
        except BrokenPipeError:
            _leave_pipe()
            raise typer.Exit(0) from None
        except TicklaneError as error:
            _complain(str(error))
            raise typer.Exit(1) from None
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            _complain(f"{error.strerror or error}{where}.")
            raise typer.Exit(1) from None
        return done


app = typer.Typer(
    cls=_Program,
    name="ticklane",
    help="One lane for trading strategies: the same class on history, on paper and on a real "
    "account.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"ticklane {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """What stands before the name of a command."""


for commands in (running, backtesting, download, looking, steering, keeping, venue):
    commands.add_to(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    0: done, 1: refused or failed with one sentence on stderr, 2: wrong usage, 130: Ctrl-C.
    """
    program = typer.main.get_command(app)
    sys.excepthook = _show
    threading.excepthook = lambda fault: _show(fault.exc_type, fault.exc_value, fault.exc_traceback)
    try:
        code = program.main(arguments, prog_name="ticklane", standalone_mode=False)
    except typer.TyperException as error:
        _explain(error)
        return int(error.exit_code)
    except typer.Abort:
        _complain("nothing was done.")
        return 1
    except SystemExit as error:
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        return 0  # how rich and typer answer a reader that went away
    return code if isinstance(code, int) else 0


def _explain(error: typer.TyperException) -> None:
    """Wrong usage: what it would have been, and what is wrong."""
    if not error.format_message():
        return  # a command without arguments: its help was shown
    context = getattr(error, "ctx", None)
    if context is not None:
        hint = f"Try '{context.command_path} --help' for help."
        print(context.get_usage(), hint, "", sep="\n", file=sys.stderr)
    _complain(error.format_message())


def _complain(sentence: str) -> None:
    """One line, whatever is in it."""
    print("Error:", " ".join(_redactor().known(sentence).split()), file=sys.stderr)


def _show(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    """A fault of ours, or of a library whose words are not ours."""
    text = "".join(traceback.format_exception(kind, error, trace))
    print(_redactor().text(text), end="", file=sys.stderr)


def _redactor() -> Redactor:
    from ticklane.app.environment import known_secrets
    from ticklane.app.logs import Redactor

    return Redactor(known_secrets())


def _leave_pipe() -> None:
    """Nobody reads any more: let the interpreter flush into nothing at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
