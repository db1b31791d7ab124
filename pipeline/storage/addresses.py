"""Which network addresses lie outside: a table and one pure function over it.

The standard library's `is_global` is not used: it takes NAT64, 6to4, multicast and others for public, and its answers
change between releases. For IPv6 the table names what is allowed, so that what nobody thought of stays shut; every
form that carries an IPv4 address (compatible, NAT64, 6to4, Teredo) lies outside of what is allowed, except the mapped
form and ISATAP, which are unwrapped.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

_FORBIDDEN_V4: tuple[tuple[IPv4Network, str], ...] = tuple(
    (IPv4Network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol assignments"),
        ("192.0.2.0/24", "documentation"),
        ("192.31.196.0/24", "AS112"),
        ("192.52.193.0/24", "AMT relay"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "AS112"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_ALLOWED_V6 = IPv6Network("2000::/3")
_FORBIDDEN_V6: tuple[tuple[IPv6Network, str], ...] = tuple(
    (IPv6Network(network), reason)
    for network, reason in (
        ("2001::/23", "protocol assignments"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
        ("2620:4f:8000::/48", "AS112"),
    )
)
# What `allow_private` opens. Link-local stays shut, and so does the metadata address inside the private IPv6 range:
# nobody develops against a cloud's metadata.
_PRIVATE: tuple[IPv4Network | IPv6Network, ...] = (
    IPv4Network("10.0.0.0/8"),
    IPv4Network("127.0.0.0/8"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv6Network("::1/128"),
    IPv6Network("fc00::/7"),
)
_METADATA_V6 = IPv6Address("fd00:ec2::254")
_ISATAP_MARKS = (0x00005EFE, 0x02005EFE)


def vet(address: str, *, allow_private: bool = False) -> str | None:
    """Why `address` must not be connected to, or None when it may. The reason is for the log only.

    `address` is what a resolver answered or a literal: dotted IPv4, or IPv6 with or without a scope.
    """
    try:
        parsed = _unwrap(ip_address(address))
    except ValueError:
        return "not an address"
    if allow_private and _is_private(parsed):
        return None
    return _vet_v4(parsed) if isinstance(parsed, IPv4Address) else _vet_v6(parsed)


def _unwrap(address: Address) -> Address:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _is_private(address: Address) -> bool:
    return address != _METADATA_V6 and any(
        address in network for network in _PRIVATE if network.version == address.version
    )


def _vet_v4(address: IPv4Address) -> str | None:
    return next((reason for network, reason in _FORBIDDEN_V4 if address in network), None)


def _vet_v6(address: IPv6Address) -> str | None:
    if address not in _ALLOWED_V6:
        return "not global unicast"
    embedded = _isatap(address)
    if embedded is not None and _vet_v4(embedded) is not None:
        return "ISATAP"
    return next((reason for network, reason in _FORBIDDEN_V6 if address in network), None)


def _isatap(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address in the last 32 bits of an ISATAP interface identifier (RFC 5214, section 6.1)."""
    mark, last = (int(address) >> 32) & 0xFFFFFFFF, int(address) & 0xFFFFFFFF
    return IPv4Address(last) if mark in _ISATAP_MARKS else None
