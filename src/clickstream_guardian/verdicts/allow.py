"""The allow-list: what people have decided to put up with, why, and until when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address


class AllowKind(StrEnum):
    """What an entry is about."""

    SESSION = "session"
    ITEM = "item"
    USER = "user"
    NETWORK = "network"


@dataclass(frozen=True)
class AllowEntry:
    """One entry; ``until_at`` None holds until it is removed."""

    kind: AllowKind
    value: str
    reason: str
    until_at: datetime | None = None


@dataclass(frozen=True)
class Clients:
    """Who a session's events say they come from: signed-in users, and addresses as text."""

    users: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()


_NOBODY = Clients()


class AllowList:
    """The entries in force."""

    def __init__(self, entries: Iterable[AllowEntry] = ()) -> None:
        kept = list(entries)
        self._sessions = {e.value: e.reason for e in kept if e.kind is AllowKind.SESSION}
        self._users = {e.value: e.reason for e in kept if e.kind is AllowKind.USER}
        self._networks = {
            ip_network(e.value): e.reason for e in kept if e.kind is AllowKind.NETWORK
        }
        self.items = frozenset(e.value for e in kept if e.kind is AllowKind.ITEM)
        """Items on which anything goes."""

    @property
    def asks_for_clients(self) -> bool:
        """Whether it matters who a session comes from."""
        return bool(self._users or self._networks)

    def reason(self, session_id: str, clients: Clients = _NOBODY) -> str | None:
        """Why the session is allowed; None where it is not.

        A user's entry covers sessions that name this user, or other allowed ones, and nobody else;
        a network's those whose every address lies in it, or in other allowed ones.
        """
        if session_id in self._sessions:
            return self._sessions[session_id]
        if clients.users and clients.users <= self._users.keys():
            return self._users[min(clients.users)]
        reasons = [self._of_address(text) for text in sorted(clients.addresses)]
        return reasons[0] if reasons and None not in reasons else None

    def covers(self, sample_items: Iterable[str]) -> bool:
        """Whether an anomaly's evidence lies on allowed items alone."""
        items = set(sample_items)
        return bool(items) and items <= self.items

    def _of_address(self, text: str) -> str | None:
        address = _address(text)
        if address is None:
            return None
        return next((why for net, why in self._networks.items() if address in net), None)


def network_text(text: str) -> str:
    """A network, or one address, in the one way it is written: ``10.1.0.0/16``.

    Raises:
        ValueError: it is none, or bits are set beyond its prefix.
    """
    return str(ip_network(text))


def _address(text: str) -> Address | None:
    """None for what is no address, such as a list of them: it lies in no network."""
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
