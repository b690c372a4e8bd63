"""What the sub-commands of the cluster profile write on the screen with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

OUT = Console()
ERR = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="One JSON value instead of a table.")]


def mib(count: int) -> str:
    """Bytes as people read them."""
    return f"{count / (1 << 20):,.0f} MiB"


def print_table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Print rows of text under a head; what is too wide goes on below, for it may be copied."""
    table = Table(*(Column(name, overflow="fold") for name in head), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    OUT.print(table)


@contextmanager
def message_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar while the block runs; the value is told messages done and messages in all."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=ERR, transient=True) as bar:
        task = bar.add_task(what, total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=max(done, total))

        yield show
