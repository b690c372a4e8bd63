"""Dead letters: what could not become an event, its bytes as the value, the rest as headers.

The identity of a dead letter is (source, partition, offset): the file by its hash and the row in
it, or the topic, partition and offset of a message that the landing path refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clickstream_guardian.events.fields import EventKind


def dead_letter_headers(
    kind: EventKind, rejection: Mapping[str, Any], source: str, place: str
) -> list[tuple[str, str | bytes | None]]:
    """The headers of a rejected line, as ``RejectedRow`` of the Connect plugin reads them."""
    values = {
        "kind": kind.name,
        "source": source,
        "place": place,
        "partition": 0,
        "offset": rejection["row"],
        "line_number": rejection["line_number"],
        "reason": rejection["reason"],
        "detail": rejection["detail"],
        "raw_bytes": rejection["raw_bytes"],
    }
    return [(name, str(value).encode()) for name, value in values.items()]
