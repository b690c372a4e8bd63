"""What all commands share: the console, and how loud to be."""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass
from functools import cached_property

import typer
from rich.console import Console


@dataclass
class Shared:
    """Options of every command.

    Attributes:
        quiet: no progress and no summary; what a machine asked for is printed all the same.
        debug: errors show their traceback.
        machine_log: a machine reads standard error, so no words of ours come between.
    """

    quiet: bool = False
    debug: bool = False
    machine_log: bool = False

    @cached_property
    def screen(self) -> Console:
        """Where a person reads."""
        return Console(highlight=False, quiet=self.quiet)

    @cached_property
    def notes(self) -> Console:
        """Progress and remarks; never mixed with a machine's output."""
        return Console(stderr=True, highlight=False, quiet=self.quiet or self.machine_log)


def shared(context: typer.Context) -> Shared:
    """The options given before the command."""
    return context.obj if isinstance(context.obj, Shared) else Shared()


def stop_event() -> threading.Event:
    """Set by Ctrl-C or SIGTERM, from now on."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop
