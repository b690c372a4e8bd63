"""Are today's schemas still readable by, and able to read, what was released before?"""

from __future__ import annotations

import json
from pathlib import Path

from clickstream_guardian.errors import UsageError
from clickstream_guardian.events.schemas import avro_files
from clickstream_guardian.sources.kafka.compatibility import backward_breaks
from clickstream_guardian.sources.kafka.registry import SUBJECTS, SchemaRegistry


def check_released(folder: Path) -> list[str]:
    """Compare with released ``.avsc`` files; a sentence for each break.

    Raises:
        UsageError: the folder lacks one of them.
    """
    found = []
    for name, schema in avro_files().items():
        file = folder / name
        if not file.is_file():
            raise UsageError(f"{file}: no such file; release it by copying schemas/{name}.")
        found += [
            f"{name}: {text}" for text in backward_breaks(schema, json.loads(file.read_text()))
        ]
    return found


def check_registered(url: str) -> list[str]:
    """Ask the registry about the newest version of each subject; a sentence for each break.

    Raises:
        GuardianError: the registry does not answer.
    """
    registry = SchemaRegistry(url)
    return [
        f"{name}: {text}"
        for name, schema in avro_files().items()
        for text in registry.incompatibilities(SUBJECTS[name], schema)
    ]
