"""Places of the operating system that a server without privileges can reach."""

from __future__ import annotations

import hashlib
import stat
import tempfile
from pathlib import Path

SYSTEM_FOLDER = Path("/var/lib/clickstream-guardian")
SOCKET_LIMIT = 90
"""A Unix socket's path may hold about 100 bytes."""


def reachable_by_all(path: Path) -> bool:
    """Whether any user may walk down to the path."""
    folders = [path.resolve(), *path.resolve().parents]
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in folders)


def outside_home(folder: Path) -> Path:
    """A system folder that stands for a folder of the home, keyed by its path (for root)."""
    return SYSTEM_FOLDER / _key(folder) / folder.name


def socket_path(folder: Path, name: str) -> Path:
    """Where a Unix socket of a folder lies: in it, or in the temp folder if its path is long."""
    inside = folder / name
    if len(str(inside)) <= SOCKET_LIMIT:
        return inside
    private = Path(tempfile.gettempdir()) / f"guardian-{_key(folder)}"
    private.mkdir(mode=0o700, exist_ok=True)
    return private / name


def _key(folder: Path) -> str:
    return hashlib.sha256(str(folder).encode()).hexdigest()[:16]
