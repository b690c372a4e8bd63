"""Whether a new schema can read what an older one wrote (``BACKWARD``), without a registry.

The rules are those of schema resolution in the Avro specification, for the records of flat
fields that ``events`` makes. CI holds today's schemas against the released ones by it.
"""

from __future__ import annotations

from typing import Any

_PROMOTIONS = {
    "int": {"long", "float", "double"},
    "long": {"float", "double"},
    "float": {"double"},
    "string": {"bytes"},
    "bytes": {"string"},
}


def backward_breaks(new: dict[str, Any], old: dict[str, Any]) -> list[str]:
    """Why ``new`` cannot read what ``old`` wrote, a sentence for each field; empty if it can."""
    before = {field["name"]: field["type"] for field in old["fields"]}
    breaks = []
    for field in new["fields"]:
        name = field["name"]
        if name not in before:
            if "default" not in field:
                breaks.append(f"Field {name!r} is new and has no default.")
        elif not _reads(field["type"], before[name]):
            breaks.append(f"Field {name!r} changed from {before[name]} to {field['type']}.")
    return breaks


def _reads(reader: Any, writer: Any) -> bool:
    if isinstance(writer, list):
        return all(_reads(reader, branch) for branch in writer)
    if isinstance(reader, list):
        return any(_reads(branch, writer) for branch in reader)
    reader_type, writer_type = _type(reader), _type(writer)
    if reader_type != writer_type:
        return reader_type in _PROMOTIONS.get(writer_type, set())
    if isinstance(reader, dict) or isinstance(writer, dict):
        return _essence(reader) == _essence(writer)
    return True


def _type(schema: Any) -> str:
    return str(schema["type"]) if isinstance(schema, dict) else str(schema)


def _essence(schema: Any) -> dict[str, Any]:
    """What two schemas of one type must share."""
    whole = schema if isinstance(schema, dict) else {}
    names = ("name", "size", "logicalType", "precision", "scale")
    return {name: whole.get(name) for name in names}
