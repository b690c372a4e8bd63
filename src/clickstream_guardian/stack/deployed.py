"""The files of ``deploy/``: in the wheel beside the package, in a checkout at its root."""

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
    places = (_PACKAGE / "deploy" / name, _PACKAGE.parents[1] / "deploy" / name)
    for place in places:
        if place.is_dir():
            return place
    raise GuardianError(f"The folder deploy/{name} was not found; install the package again.")
