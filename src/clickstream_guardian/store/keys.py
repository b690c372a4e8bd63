"""API keys: shown once when made, kept as a hash, revoked but never deleted."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, func, select

from clickstream_guardian.errors import UsageError
from clickstream_guardian.store.read import Query
from clickstream_guardian.store.tables import api_keys

_NAME_LENGTH = 100


@dataclass(frozen=True)
class ApiKey:
    """What is known of a key.

    Attributes:
        key_id: 8 hex digits, the first part of the key; says which key it is, opens nothing.
        name: who uses it, in the words of whoever made it.
        revoked_at: since when it no longer works; None while it does.
    """

    key_id: str
    name: str
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True)
class NewApiKey:
    """A key that was just made; ``secret`` is the whole key, and is not stored anywhere."""

    key_id: str
    name: str
    secret: str = field(repr=False)


def create_key(connection: Connection, name: str) -> NewApiKey:
    """Make a key, in the caller's transaction.

    Raises:
        UsageError: the name is empty or too long.
    """
    if not name.strip() or len(name) > _NAME_LENGTH or not name.isprintable():
        raise UsageError(
            f"The key name {name[:_NAME_LENGTH]!r} cannot be used: give 1 to {_NAME_LENGTH} "
            "printable characters that say who will use the key."
        )
    key_id = secrets.token_hex(4)
    secret = f"gk_{key_id}_{secrets.token_urlsafe(32)}"
    connection.execute(
        api_keys.insert().values(key_id=key_id, name=name.strip(), key_hash=hash_key(secret))
    )
    return NewApiKey(key_id, name.strip(), secret)


def list_keys(connection: Connection) -> list[ApiKey]:
    """All keys ever made, oldest first."""
    columns = api_keys.c
    found = connection.execute(
        select(columns.key_id, columns.name, columns.created_at, columns.revoked_at).order_by(
            columns.created_at, columns.key_id
        )
    )
    return [ApiKey(*row) for row in found]


def revoke_key(connection: Connection, key_id: str) -> ApiKey:
    """End a key; one that was revoked before keeps its time.

    Raises:
        UsageError: there is no such key.
    """
    columns = api_keys.c
    found = connection.execute(
        api_keys.update()
        .where(columns.key_id == key_id)
        .values(revoked_at=func.coalesce(columns.revoked_at, func.now()))
        .returning(columns.key_id, columns.name, columns.created_at, columns.revoked_at)
    ).one_or_none()
    if found is None:
        raise UsageError(f"No API key has the id {key_id!r}; see `guardian keys list`.")
    return ApiKey(*found)


def hash_key(secret: str) -> bytes:
    """What is stored of a key: SHA-256 is enough, as the key is 256 random bits."""
    return hashlib.sha256(secret.encode()).digest()


def live_keys() -> Query:
    """The keys that work: rows ``(key_id, key_hash)``."""
    return Query("SELECT key_id, key_hash FROM api_keys WHERE revoked_at IS NULL")
