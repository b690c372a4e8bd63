"""Values as JSON has them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal


def plain(value: object) -> object:
    """Instants in RFC 3339 with Z, decimals as text, bytes as hex; the rest as it is."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, date | Decimal):
        return str(value)
    return value.hex() if isinstance(value, bytes) else value
