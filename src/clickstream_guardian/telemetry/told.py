"""What was told already, so that it is told once; remembered in bounded room."""

from __future__ import annotations

from collections import OrderedDict

MOST_TOLD = 50_000
"""About 8 MB of ids. An anomaly changes only while its windows are open: one that so many others
have followed changes no more, or is told of a second time."""


class Told:
    """Ids that were told of last."""

    def __init__(self, most: int = MOST_TOLD) -> None:
        self._most = most
        self._ids: OrderedDict[str, None] = OrderedDict()

    def is_new(self, one: str) -> bool:
        """Whether an id was not told of yet, as far as is remembered; now it is."""
        if one in self._ids:
            self._ids.move_to_end(one)
            return False
        self._ids[one] = None
        if len(self._ids) > self._most:
            self._ids.popitem(last=False)
        return True
