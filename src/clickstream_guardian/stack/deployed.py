"""The files of ``deploy/`` and ``locks/``: in the wheel, or at a checkout's root."""

from __future__ import annotations

from pathlib import Path

import clickstream_guardian
from clickstream_guardian.errors import GuardianError

_PACKAGE = Path(clickstream_guardian.__file__).parent


def deployed_folder(name: str) -> Path:
    """A folder of ``deploy/``, such as ``connect``.

    Raises:
        GuardianError: neither place has it.
    """
    return _found(f"deploy/{name}")


def lock_file(name: str) -> Path:
    """A file of ``locks/``, such as ``airflow``: packages with their hashes.

    Raises:
        GuardianError: neither place has it.
    """
    return _found(f"locks/{name}.txt")


def _found(path: str) -> Path:
    for place in (_PACKAGE / path, _PACKAGE.parents[1] / path):
        if place.exists():
            return place
    raise GuardianError(f"{path} was not found; install the package again.")
