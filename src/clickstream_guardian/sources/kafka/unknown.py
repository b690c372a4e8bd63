"""The registry's word that there is no such schema; apart, so that decoding needs no HTTP."""

from __future__ import annotations

from clickstream_guardian.errors import GuardianError


class UnknownSchemaError(GuardianError):
    """The registry knows no schema of this id."""
