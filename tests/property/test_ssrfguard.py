"""Our table of addresses beside that of `ssrfguard`, which somebody else made from the same registries.

We differ from it where it says so here and nowhere else, and always by refusing more.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ssrfguard import DEFAULT_DENIED

from pipeline.storage.addresses import vet
from tests.support.forbidden import FORBIDDEN

Address = IPv4Address | IPv6Address

REFUSED_BY_US_ALONE = {
    "192.0.0.0/24": "protocol assignments as a whole, the two anycast addresses in it too: nobody fetches from those",
    "192.31.196.0/24": "AS112 answers DNS for names that should not be asked for",
    "192.52.193.0/24": "relays of multicast",
    "192.175.48.0/24": "AS112",
    "2001::/23": "protocol assignments as a whole: Teredo, anycast, AMT, AS112, ORCHIDv2 and drone tags in it too",
    "2002::/16": "6to4 is deprecated: it is refused whatever is inside",
    "2620:4f:8000::/48": "AS112",
    "::/96": "IPv4-compatible addresses are deprecated: refused whatever is inside",
    "64:ff9b::/96": "NAT64 exists in networks that we do not know: refused whatever is inside",
}
"""Networks where it may pass an address and we do not, with the reason."""
ALLOWED_V6 = ip_network("2000::/3")
ISATAP_MARKS = (0x00005EFE, 0x02005EFE)

NETWORKS = [block.network for block in DEFAULT_DENIED.blocks]
NEAR_THE_TABLE = st.sampled_from(NETWORKS).flatmap(
    lambda network: st.integers(
        max(0, int(network.network_address) - 2), min(2**network.max_prefixlen - 1, int(network.broadcast_address) + 2)
    ).map(lambda number: IPv4Address(number) if network.version == 4 else IPv6Address(number))
)
GLOBAL_V6 = st.integers(int(ALLOWED_V6[0]), int(ALLOWED_V6[-1])).map(IPv6Address)
ISATAP = st.builds(
    lambda prefix, mark, last: IPv6Address((0x2001_0470 << 96) | prefix << 64 | mark << 32 | last),
    st.integers(0, 2**32 - 1),
    st.sampled_from(ISATAP_MARKS),
    st.integers(0, 2**32 - 1),
)
MAPPED = st.ip_addresses(v=4).map(lambda inside: IPv6Address(f"::ffff:{inside}"))


def inside(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def why_we_refuse(address: Address) -> str | None:
    """The documented reason to refuse what `ssrfguard` passes."""
    address = inside(address)
    for network, reason in REFUSED_BY_US_ALONE.items():
        if address in ip_network(network):
            return reason
    if isinstance(address, IPv6Address) and address not in ALLOWED_V6:
        return "only what has been given out as global unicast is open"
    embedded = IPv4Address(int(address) & 0xFFFFFFFF)
    if (int(address) >> 32) & 0xFFFFFFFF in ISATAP_MARKS and vet(str(embedded)) is not None:
        return "ISATAP: it ends in an IPv4 address that we refuse"
    return None


@settings(max_examples=2000)
@given(st.ip_addresses(v=4) | st.ip_addresses(v=6) | NEAR_THE_TABLE | GLOBAL_V6 | ISATAP | MAPPED)
@example(IPv6Address("2001:20::1"))
@example(IPv4Address("192.0.0.9"))
@example(IPv6Address("64:ff9b::808:808"))
@example(IPv6Address("2001:470::5efe:808:808"))
def test_vet_differs_from_ssrfguard_only_where_it_is_written_down(address: Address) -> None:
    """What it refuses we refuse; what it passes we pass, or have a reason in the list for."""
    refused, by_it = vet(str(address)) is not None, DEFAULT_DENIED.classify(address).blocked
    if by_it:
        assert refused
    elif refused:
        assert why_we_refuse(address) is not None


@pytest.mark.parametrize("address", FORBIDDEN)
def test_forbidden_address_passes_there_only_where_it_is_written_down(address: str) -> None:
    if not DEFAULT_DENIED.classify(address).blocked:
        assert why_we_refuse(ip_address(address)) is not None


@pytest.mark.parametrize("network", REFUSED_BY_US_ALONE)
def test_each_difference_that_is_written_down_is_one(network: str) -> None:
    """Once the two agree on a network its line has to go."""
    examples = {
        "192.0.0.0/24": "192.0.0.9",
        "2001::/23": "2001:20::1",
        "2002::/16": "2002:808:808::1",
        "::/96": "::8.8.8.8",
        "64:ff9b::/96": "64:ff9b::8.8.8.8",
    }
    address = examples.get(network, str(ip_network(network)[1]))
    assert ip_address(address) in ip_network(network)
    assert not DEFAULT_DENIED.classify(address).blocked
    assert vet(address) is not None
