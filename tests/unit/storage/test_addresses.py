import pytest

from pipeline.storage.addresses import vet
from tests.support.forbidden import FORBIDDEN

PUBLIC = ("1.1.1.1", "8.8.8.8", "93.184.216.34", "::ffff:8.8.8.8", "2606:4700::1111", "2a00:1450:4001:800::200e")
PRIVATE = ("127.0.0.1", "10.1.2.3", "172.20.0.5", "192.168.1.1", "::1", "fd12:3456::1", "::ffff:127.0.0.1")


@pytest.mark.parametrize("address", FORBIDDEN)
def test_vet_gives_a_reason_for_every_inner_address(address: str) -> None:
    """No special-purpose, private or metadata address is taken for public, wrapped in IPv6 or not."""
    assert vet(address) is not None


@pytest.mark.parametrize("address", PUBLIC)
def test_vet_passes_public_addresses(address: str) -> None:
    """Ordinary addresses of the Internet may be connected to."""
    assert vet(address) is None


@pytest.mark.parametrize("address", ["fe80::1%eth0", "::1%lo"])
def test_vet_judges_an_address_without_its_scope(address: str) -> None:
    """A scope does not hide an address."""
    assert vet(address) is not None


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "0x7f000001", "1.2.3.4.5", "[::1]"])
def test_vet_refuses_what_is_not_an_address(text: str) -> None:
    """What cannot be judged is not connected to."""
    assert vet(text) == "not an address"


@pytest.mark.parametrize("address", PRIVATE)
def test_vet_opens_private_addresses_when_told(address: str) -> None:
    """For development, loopback and private networks can be opened."""
    assert vet(address) is not None
    assert vet(address, allow_private=True) is None


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "192.0.0.192", "224.0.0.1", "0.0.0.0", "fe80::1"]
)
def test_vet_keeps_metadata_and_link_local_shut_when_private_is_open(address: str) -> None:
    """Opening the inner network does not open the metadata services of clouds."""
    assert vet(address, allow_private=True) is not None
