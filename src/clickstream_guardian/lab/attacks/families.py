"""The families of attacks and controls: one function each, from drawn numbers to sessions.

A new family is a function and its entry in `FAMILIES`; the plan loader, the labels and the
documentation test follow from there.
"""

from __future__ import annotations

from collections.abc import Mapping

from clickstream_guardian.lab.attacks import controls, crowds, loners
from clickstream_guardian.lab.attacks.scene import Family

FAMILIES: Mapping[str, Family] = {**loners.FAMILIES, **crowds.FAMILIES, **controls.FAMILIES}
