"""The only door to the outside: every connection is judged by the address it really goes to.

A name is vetted by all addresses it resolves to, one bad one refuses it; then each address is vetted again as its
socket is made, which also covers literals, cached answers and names that change their answer; then once more by whom
the connected socket says it talks to.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakSet

import aiohttp
import structlog
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection

log = structlog.get_logger(__name__)

Lookup = Callable[[str, int], list[ResolveResult]]
"""Name and port to answers; blocking, raises `socket.gaierror`."""
Vet = Callable[[str], str | None]
"""Why an address must not be connected to, or None: `addresses.vet` with its flag bound."""

LOOKUP_TIMEOUT_SECONDS = 3.0
LOOKUP_THREADS = 8
MAX_ANSWERS = 16
_NO_SUCH_NAME = (socket.EAI_NONAME, socket.EAI_NODATA)
"""What name servers say that answer. Where none answers, or none can, it is `EAI_AGAIN`."""


class AddressRefused(OSError):
    """A connection we will not make. An `OSError`, so that the client passes it on as the reason of its own error."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EACCES, reason)


class KeptConnectionLost(aiohttp.ServerDisconnectedError):
    """A connection that had served another request broke before there was an answer.

    A server may give one up just as we speak, which says nothing about it.
    """


def system_lookup(name: str, port: int) -> list[ResolveResult]:
    """What the machine's resolver answers."""
    return [
        ResolveResult(hostname=name, host=str(address[0]), port=port, family=family, proto=proto, flags=0)
        for family, _, proto, _, address in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    ]


class VettedResolver(AbstractResolver):
    """Resolves within a deadline, on threads of its own so that slow name servers hold up nothing else."""

    def __init__(self, lookup: Lookup, vet: Vet, threads: int = LOOKUP_THREADS) -> None:
        self._lookup = lookup
        self._vet = vet
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """All answers for `host`. Raises `AddressRefused` when one is forbidden or there is none."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT_SECONDS):
                answers = await loop.run_in_executor(self._threads, self._lookup, host, port)
        except socket.gaierror as error:
            # The same refusal as for a private address: callers must not learn which inner names exist.
            if error.errno in _NO_SUCH_NAME:
                raise AddressRefused("no such name") from None
            raise
        return vet_answers(answers, self._vet)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def vet_answers(answers: list[ResolveResult], vet: Vet) -> list[ResolveResult]:
    """The first of `answers`, when every one of them may be connected to. Raises `AddressRefused`."""
    if not answers:
        raise AddressRefused("no address")
    for answer in answers:
        refuse_forbidden(answer["host"], vet)
    return answers[:MAX_ANSWERS]


def refuse_forbidden(address: str, vet: Vet) -> None:
    """Raises `AddressRefused` when `address` must not be connected to."""
    reason = vet(address)
    if reason is not None:
        log.warning("egress_refused", address=address, reason=reason)
        raise AddressRefused(reason)


def guarded_socket_factory(vet: Vet) -> Callable[[aiohttp.AddrInfoType], socket.socket]:
    """Makes sockets only for addresses that may be connected to; runs right before each connect."""

    def make(address: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, target = address
        refuse_forbidden(str(target[0]), vet)
        return socket.socket(family, kind, protocol)

    return make


def _guarded_response(vet: Vet) -> type[aiohttp.ClientResponse]:
    served: WeakSet[object] = WeakSet()

    class GuardedResponse(aiohttp.ClientResponse):
        """Nothing of an answer is used before its sender has been vetted."""

        async def start(self, connection: Connection) -> aiohttp.ClientResponse:
            peer = connection.transport.get_extra_info("peername") if connection.transport else None
            if peer is not None:
                refuse_forbidden(str(peer[0]), vet)
            reused = connection.protocol in served
            served.add(connection.protocol)
            try:
                return await super().start(connection)
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
                if reused:
                    raise KeptConnectionLost from error
                raise

    return GuardedResponse


@dataclass(frozen=True, slots=True)
class Reuse:
    """What is kept from one request to the next."""

    keep_alive_seconds: float = 15.0
    """An idle connection is kept for so long, however many there are."""
    lookup_threads: int = LOOKUP_THREADS
    """Names resolved at a time. One whose name servers are silent holds a thread for longer than the deadline."""


@asynccontextmanager
async def open_egress(
    vet: Vet,
    *,
    connect_timeout_seconds: float,
    lookup: Lookup = system_lookup,
    ssl_ca_file: Path | None = None,
    reuse: Reuse = Reuse(),
) -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client without proxies, cookies, credentials or decompression, that reaches only vetted addresses.

    Certificates are always checked; `ssl_ca_file` adds an authority to those of the system.

    Deadlines beside the connect timeout are the caller's; so are redirects, which must be turned off per request and
    followed by hand, each through `admit`.
    """
    resolver = VettedResolver(lookup, vet, reuse.lookup_threads)
    tls = ssl.create_default_context()
    if ssl_ca_file is not None:
        tls.load_verify_locations(ssl_ca_file)
    connector = aiohttp.TCPConnector(
        resolver=resolver,
        ssl=tls,
        socket_factory=guarded_socket_factory(vet),
        keepalive_timeout=reuse.keep_alive_seconds,
        limit=0,  # callers bound themselves: waiting here would run down a deadline that is meant for the server
    )
    async with aiohttp.ClientSession(
        connector=connector,
        response_class=_guarded_response(vet),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_seconds),
        headers={"Accept-Encoding": "identity"},
        auto_decompress=False,
        trust_env=False,
    ) as session:
        try:
            yield session
        finally:
            await resolver.close()
