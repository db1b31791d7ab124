"""Resolvers that answer by script, and the table of addresses with one exception."""

import socket
from functools import partial

from aiohttp.abc import ResolveResult

from pipeline.storage.addresses import vet
from pipeline.storage.egress import Lookup

strict = partial(vet, allow_private=False)


def answers(*addresses: str) -> Lookup:
    """A resolver that knows one answer."""

    def lookup(name: str, port: int) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=name,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in addresses
        ]

    return lookup


def only_loopback_one(address: str) -> str | None:
    """The real table, but for the one address where the test's server stands in for the Internet."""
    return None if address == "127.0.0.1" else strict(address)
