"""The command line: options in, one call, an exit code out.

Exit codes: 0 done, 1 the work failed, 2 wrong use, 3 too much rejected.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer

from clickstream_guardian import __version__
from clickstream_guardian.cli import (
    alerts,
    allow,
    chaos,
    cluster,
    deadletter,
    detect,
    doctor,
    lab,
    look,
    run,
    serve,
    upkeep,
)
from clickstream_guardian.cli.context import Shared
from clickstream_guardian.errors import GuardianError
from clickstream_guardian.settings import load_settings
from clickstream_guardian.telemetry.log import Event, configure, is_json, tell

app = typer.Typer(
    name="guardian",
    help="Raw clicks in; a lake, abusive sessions with reasons, and the day's numbers out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
run.register(app)
detect.register(app)
look.register(app)
lab.register(app)
serve.register(app)
upkeep.register(app)
deadletter.register(app)
alerts.register(app)
chaos.register(app)
doctor.register(app)
allow.register(app)
cluster.register(app)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"guardian {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    _version_asked: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of every command; everything of a run lives under GUARDIAN_HOME."""
    configure(load_settings().log)
    context.obj = Shared(quiet=quiet, debug=debug, machine_log=is_json())
    began = time.monotonic()
    tell(Event.COMMAND_STARTED, command=context.invoked_subcommand)
    context.call_on_close(partial(_ended, context.invoked_subcommand, began))


def _ended(command: str | None, began: float) -> None:
    if sys.exc_info()[0] is None:
        seconds = round(time.monotonic() - began, 3)
        tell(Event.COMMAND_ENDED, command=command, seconds=seconds)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; errors are one sentence on standard error.

    Args:
        arguments: what stands after ``guardian``; by default those of this process.
    """
    # Loading the libraries makes 150,000 objects that stay. Python's cyclic collector would look
    # through them again and again meanwhile; what we work on later is freed without it.
    gc.set_threshold(50_000, 20, 20)
    given = sys.argv[1:] if arguments is None else list(arguments)
    debug = "--debug" in given
    try:
        app(given)
    except GuardianError as error:
        if debug:
            raise
        _say(str(error), error.exit_code)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if debug:
            raise
        _say(f"This command needs {error.name}, not installed: run `make setup-dev`.", 2)
        sys.exit(2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        if debug:
            raise
        place = f"{error.filename}: " if error.filename else ""
        said = f"{place}{error.strerror or error}"
        _say(f"{said}; {_remedy(error)} the same command goes on from here.")
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        _say(f"{type(error).__name__}: {error} (an error of ours: --debug shows where).")
        sys.exit(1)


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free some space, and"
    return "once that is mended,"


def _say(sentence: str, exit_code: int = 1) -> None:
    if is_json():
        tell(Event.COMMAND_FAILED, failed=True, sentence=sentence, exit_code=exit_code)
        return
    typer.secho(f"guardian: {sentence}", err=True, fg=typer.colors.RED)
