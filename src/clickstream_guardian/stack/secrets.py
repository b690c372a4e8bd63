"""Passwords of the stack: generated once for a home, kept in one private file."""

from __future__ import annotations

import base64
import json
import os
import secrets
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class StackSecrets:
    """What the servers of one home know and nobody else does."""

    postgres_password: str
    s3_access_key: str
    s3_secret_key: str
    supervisor_password: str
    kafka_cluster_id: str
    spark_secret: str
    airflow_password: str
    airflow_key: str


def load_secrets(home: Path) -> StackSecrets | None:
    """The home's secrets, or None if no stack was ever made in it."""
    file = _file(home)
    if not file.exists():
        return None
    stored = json.loads(file.read_text())
    if stored.keys() != _new().keys():  # made before a server was added
        stored = _new() | stored
        write_private(file, json.dumps(stored, indent=2))
    return StackSecrets(**stored)


def load_or_create_secrets(home: Path) -> tuple[StackSecrets, bool]:
    """The home's secrets, and whether they have just been made."""
    known = load_secrets(home)
    if known is not None:
        return known, False
    made = StackSecrets(**_new())
    write_private(_file(home), json.dumps(asdict(made), indent=2))
    return made, True


def _new() -> dict[str, str]:
    return {
        "postgres_password": secrets.token_urlsafe(18),
        "s3_access_key": secrets.token_hex(10).upper(),
        "s3_secret_key": secrets.token_urlsafe(30),
        "supervisor_password": secrets.token_urlsafe(18),
        "kafka_cluster_id": _cluster_id(),
        "spark_secret": secrets.token_urlsafe(30),
        "airflow_password": secrets.token_urlsafe(18),
        "airflow_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    }


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    temporary.replace(file)


def _file(home: Path) -> Path:
    return home / "secrets" / "stack.json"


def _cluster_id() -> str:
    """A random id in Kafka's form: 16 bytes in URL-safe base 64, not beginning with a dash."""
    while True:
        made = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not made.startswith("-"):
            return made
