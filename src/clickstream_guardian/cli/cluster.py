"""Commands of the cluster profile: the servers, and what goes on the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

from clickstream_guardian.stack.commands import connectors_app, schemas_app, stack_app, topics_app
from clickstream_guardian.stack.produce_commands import add_generator, produce_app


def register(app: typer.Typer) -> None:
    """Add the cluster's sub-commands."""
    add_generator(_generate)
    app.add_typer(stack_app, name="stack")
    app.add_typer(topics_app, name="topics")
    app.add_typer(schemas_app, name="schemas")
    app.add_typer(connectors_app, name="connectors")
    app.add_typer(produce_app, name="produce")


def _generate(*args: Any, **options: Any) -> Any:
    from clickstream_guardian.lab.generator import write_dataset

    generate: Callable[..., Any] = write_dataset
    return generate(*args, **options)
