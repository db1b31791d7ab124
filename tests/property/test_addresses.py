from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from pipeline.storage.addresses import vet


@given(st.ip_addresses())
def test_vet_never_passes_what_the_standard_library_calls_inner(address: IPv4Address | IPv6Address) -> None:
    """The table is at least as strict as `ipaddress`, apart from mapped addresses, which it looks into."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    if vet(str(address)) is None and mapped is None:
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_vet_judges_a_mapped_address_as_the_one_inside(address: IPv4Address | IPv6Address) -> None:
    """Writing an IPv4 address as IPv6 neither opens nor shuts it."""
    assert vet(str(address)) == vet(f"::ffff:{address}")


@given(st.ip_addresses(), st.booleans())
def test_vet_opens_nothing_new_but_private_networks(address: IPv4Address | IPv6Address, allow: bool) -> None:
    """What is open stays open with the switch for private addresses."""
    if vet(str(address)) is None:
        assert vet(str(address), allow_private=allow) is None
