"""The passwords of the embedded database's roles: random, in files that only their owner reads."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Passwords:
    """One password per role."""

    admin: str
    owner: str
    reader: str

    @property
    def all(self) -> tuple[str, str, str]:
        """The three, in the order of the fields."""
        return self.admin, self.owner, self.reader


def ensure_passwords(folder: Path) -> Passwords:
    """Read the passwords from ``folder``, making those that are missing."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Passwords(*(ensure_secret(folder / f"database-{role}") for role in _ROLES))


def ensure_secret(path: Path) -> str:
    """Read a secret, or make one of 192 random bits; written whole or not at all."""
    if path.exists() and (found := path.read_text().strip()):
        return found
    new = path.with_name(f".{path.name}-{os.getpid()}")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(24))
    new.rename(path)
    return path.read_text()


_ROLES = ("admin", "owner", "reader")
