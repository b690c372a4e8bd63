"""Whom and what an allow-list lets through."""

from __future__ import annotations

import pytest

from clickstream_guardian.verdicts import AllowEntry, AllowKind, AllowList, Clients
from clickstream_guardian.verdicts.allow import network_text

LIST = AllowList(
    [
        AllowEntry(AllowKind.SESSION, "s1", "by session"),
        AllowEntry(AllowKind.USER, "ann", "by user"),
        AllowEntry(AllowKind.NETWORK, "10.1.0.0/16", "by network"),
        AllowEntry(AllowKind.NETWORK, "2001:db8::/32", "by network 6"),
    ]
)


def clients(users: str = "", addresses: str = "") -> Clients:
    return Clients(frozenset(users.split()), frozenset(addresses.split()))


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        (clients(), None),
        (clients(users="ann"), "by user"),
        (clients(users="ann bob"), None),
        (clients(users="bob", addresses="10.1.2.3"), "by network"),
        (clients(addresses="10.1.0.0 10.1.255.255"), "by network"),
        (clients(addresses="10.1.2.3 10.2.0.0"), None),
        (clients(addresses="::ffff:10.1.2.3"), "by network"),
        (clients(addresses="2001:db8::1 10.1.2.3"), "by network"),
        (clients(addresses="10.1.2.3,10.1.2.4"), None),
        (clients(addresses="unknown"), None),
    ],
)
def test_users_and_networks_cover_sessions_that_name_nobody_else(
    who: Clients, reason: str | None
) -> None:
    assert LIST.reason("other", who) == reason


def test_a_session_s_own_entry_needs_no_client_and_comes_first() -> None:
    assert LIST.reason("s1", clients(users="bob", addresses="10.1.2.3")) == "by session"


def test_a_list_of_sessions_and_items_asks_for_no_clients() -> None:
    assert LIST.asks_for_clients
    assert not AllowList([AllowEntry(AllowKind.SESSION, "s1", "")]).asks_for_clients


def test_a_network_is_written_one_way() -> None:
    assert network_text("10.1.2.3") == "10.1.2.3/32"
    assert network_text("2001:DB8:0::/32") == "2001:db8::/32"
    for wrong in ("10.1.2.3/16", "10.1", "shop.example"):
        with pytest.raises(ValueError, match=r"10\.1|shop"):
            network_text(wrong)
