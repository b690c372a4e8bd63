"""Write the generated files (`schemas/`, `docs/reference/`), or check that they are fresh.

Run: `python scripts/make_docs.py` or `python scripts/make_docs.py --check`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["COLUMNS"] = "100"

import typer.main
from pydantic_core import PydanticUndefined

from clickstream_guardian.api import reference as api_reference
from clickstream_guardian.cli.app import app
from clickstream_guardian.events.fields import (
    EVENT_KINDS,
    INGESTION_FIELDS,
    REJECTION_FIELDS,
    Field,
)
from clickstream_guardian.events.rejections import EXPLANATIONS
from clickstream_guardian.events.schemas import ANOMALY_FIELDS, avro_files
from clickstream_guardian.metrics import reference as metrics_reference
from clickstream_guardian.rules import reference as rules_reference
from clickstream_guardian.rules.loader import load_catalogue
from clickstream_guardian.settings import Settings

ROOT = Path(__file__).parents[1]
NOTE = "*Generated; do not edit (`make docs`).*"


def pages() -> Iterator[tuple[Path, str]]:
    """Every generated file with its text."""
    for name, schema in avro_files().items():
        yield ROOT / "schemas" / name, json.dumps(schema, indent=2) + "\n"
    reference = ROOT / "docs" / "reference"
    yield reference / "settings.md", settings_page()
    yield reference / "cli.md", cli_page()
    yield reference / "schemas.md", schemas_page()
    results = ROOT / "bench" / "results"
    measured, mimics = (
        json.loads((results / f"{name}.json").read_text()) for name in ("detection", "mimics")
    )
    yield reference / "rules.md", rules_reference.render(load_catalogue(), measured, mimics)
    yield reference / "metrics.md", metrics_reference.render()
    yield reference / "api.md", api_reference.render()


def settings_page() -> str:
    """One row per setting."""
    lines = ["# Settings", "", NOTE, "", "| setting | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        names = [f"GUARDIAN_{name.upper()}"]
        if field.validation_alias is not None:
            names = [str(alias) for alias in field.validation_alias.choices]  # type: ignore[union-attr]
        default = "" if field.default in (None, PydanticUndefined) else f"`{field.default}`"
        shown = " or ".join(f"`{one}`" for one in names)
        lines.append(f"| {shown} | {default} | {field.description} |")
    return "\n".join(lines) + "\n"


def cli_page() -> str:
    """Every command with its options, from the commands themselves."""
    lines = ["# The command `guardian`", "", NOTE, ""]
    lines += ["Exit codes: 0 done, 1 the work failed, 2 wrong use, 3 too much rejected.", ""]
    lines += _commands(typer.main.get_command(app), "guardian")
    return "\n".join(lines)


def _commands(command: Any, path: str) -> list[str]:
    lines = []
    for name, sub in sorted(getattr(command, "commands", {}).items()):
        full = f"{path} {name}"
        if getattr(sub, "commands", None):
            lines += _commands(sub, full)
            continue
        lines += [f"## {full}", "", *_help(sub.help or ""), ""]
        options = [p for p in sub.params if p.name != "help"]
        if options:
            lines += ["| option | meaning |", "|---|---|"]
            lines += [f"| {_option(p)} | {getattr(p, 'help', '') or ''} |" for p in options]
            lines.append("")
    return lines


def _help(text: str) -> list[str]:
    plain = text.replace("[bold]", "`").replace("[/]", "`")
    return [line.strip() for line in plain.strip().splitlines()]


def _option(parameter: Any) -> str:
    if not any(opt.startswith("-") for opt in parameter.opts):
        return f"`{parameter.name.upper()}`"
    return ", ".join(f"`{opt}`" for opt in (*parameter.opts, *parameter.secondary_opts))


def schemas_page() -> str:
    """The fields of every event kind and what a raw row carries beside them."""
    lines = ["# Schemas", "", NOTE, ""]
    for kind in EVENT_KINDS:
        lines += _fields(f"{kind.name} (`raw.{kind.table}`, topic `{kind.topic}`)", kind.fields)
    lines += _fields("beside the event in a raw row", INGESTION_FIELDS)
    lines += _fields("`raw.rejected`", REJECTION_FIELDS)
    lines += _fields("anomaly on the log", ANOMALY_FIELDS)
    lines += ["## Reason codes of rejections", "", "| code | meaning |", "|---|---|"]
    lines += [f"| `{reason}` | {words} |" for reason, words in EXPLANATIONS.items()]
    return "\n".join(lines) + "\n"


def _fields(title: str, fields: tuple[Field, ...]) -> list[str]:
    lines = [f"## {title}", "", "| field | type | meaning |", "|---|---|---|"]
    for field in fields:
        kind = f"{field.type}{', optional' if field.optional else ''}"
        lines.append(f"| `{field.name}` | {kind} | {field.meaning} |")
    return [*lines, ""]


def main() -> None:
    """Write or check."""
    stale = []
    for path, text in pages():
        if path.exists() and path.read_text() == text:
            continue
        if "--check" in sys.argv:
            stale.append(str(path.relative_to(ROOT)))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    if stale:
        sys.exit(f"stale generated files: {', '.join(stale)}; run `make docs` and commit them.")


if __name__ == "__main__":
    main()
