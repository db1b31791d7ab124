"""How every client of the broker connects, what is said when it cannot, and how it is stopped."""

import asyncio
import os
import ssl
from collections.abc import Awaitable
from contextlib import suppress
from socket import gaierror
from typing import Any

import structlog
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import (
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from pipeline.errors import ServiceUnreachable
from pipeline.settings import InvalidSettings, KafkaSettings
from pipeline.variables import variable

CONNECT_SECONDS = 5.0
"""A broker that has not answered by then is reported as unreachable when a process starts."""
STOP_SECONDS = 10.0
"""Leaving the group and closing connections may take this long; a broker that is gone must not hold us up."""
GOODBYE_SECONDS = 0.5
DEFAULT_PORT = 9092
FETCH_WAIT_MS = 50
"""How long a broker may hold a question for records while it has none.

The client asks a broker for one answer at a time, and only about partitions of which it holds nothing. So what follows
a record in its partition waits until a question about the others is answered: with the client's own 500 ms a job of
80 ms took 260, and a busy topic came in gusts.
"""

log = structlog.get_logger(__name__)


def connection_options(settings: KafkaSettings) -> dict[str, Any]:
    """What all aiokafka clients have in common, but for the servers, which are `answering_servers`.

    Raises `InvalidSettings` when the security settings do not fit.
    """
    options: dict[str, Any] = {
        "security_protocol": settings.security_protocol,
        "request_timeout_ms": settings.request_timeout_ms,
    }
    if settings.security_protocol.endswith("SSL"):
        options["ssl_context"] = _ssl_context(settings)
    if settings.security_protocol.startswith("SASL"):
        options |= _sasl_options(settings)
    return options


def _ssl_context(settings: KafkaSettings) -> ssl.SSLContext:
    """Certificates and host names are always verified."""
    try:
        return ssl.create_default_context(cafile=settings.ssl_ca_file)
    except (OSError, ssl.SSLError) as error:
        name = variable("kafka", "ssl_ca_file")
        raise InvalidSettings(
            f"{name}: must be a readable file of PEM certificates, got '{settings.ssl_ca_file}' ({error.strerror})"
        ) from None


def _sasl_options(settings: KafkaSettings) -> dict[str, Any]:
    if settings.sasl_username is None or settings.sasl_password is None:
        missing = "sasl_username" if settings.sasl_username is None else "sasl_password"
        raise InvalidSettings(
            f"{variable('kafka', missing)}: required when {variable('kafka', 'security_protocol')} "
            f"is {settings.security_protocol}"
        )
    return {
        "sasl_mechanism": settings.sasl_mechanism,
        "sasl_plain_username": settings.sasl_username,
        "sasl_plain_password": settings.sasl_password.get_secret_value(),
    }


async def answering_servers(settings: KafkaSettings) -> list[str]:
    """Those bootstrap servers that accept connections.

    aiokafka tries them one after the other, each for the whole request timeout: one that is switched off would hold
    up a start although the others are well. Raises `ServiceUnreachable` when none answers.
    """
    addresses = [address.strip() for address in settings.servers.split(",") if address.strip()]
    if not addresses:
        raise InvalidSettings(f"{variable('kafka', 'servers')}: must name a host:port, got {settings.servers!r}")
    problems = await asyncio.gather(*(_problem(address) for address in addresses))
    answering = [address for address, problem in zip(addresses, problems, strict=True) if problem is None]
    if not answering:
        raise unreachable(settings, str(problems[0]))
    return answering


async def connect(settings: KafkaSettings, attempt: Awaitable[object]) -> None:
    """Await `attempt`, a client's first exchange. Raises `ServiceUnreachable` when it fails or takes too long."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await attempt
    except (KafkaError, OSError, TimeoutError):
        raise unreachable(settings, await _refusal(settings)) from None


async def _refusal(settings: KafkaSettings) -> str:
    """Why a broker that accepts connections is of no use, learnt from one more: aiokafka drops the cause."""
    host, port = split_address((await answering_servers(settings))[0])
    connection = AIOKafkaConnection(host, port, **connection_options(settings))
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await connection.connect()
    except SaslAuthenticationFailed:
        return f"it does not accept {variable('kafka', 'sasl_username')} with its password"
    except UnsupportedSaslMechanismError:
        return f"it does not offer {variable('kafka', 'sasl_mechanism')} {settings.sasl_mechanism}"
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not trusted ({error.verify_message})"
    except (KafkaError, OSError, TimeoutError):
        pass
    finally:
        await _goodbye(connection)
    return f"it accepts connections but does not answer as a broker that speaks {settings.security_protocol}"


async def _goodbye(connection: AIOKafkaConnection) -> None:
    """Close, and wait a moment for the other end to do so too: TLS says goodbye both ways, and whoever ends before
    leaves a socket to the garbage collector."""
    closed = connection.close()
    if closed is not None:
        await asyncio.wait({closed}, timeout=GOODBYE_SECONDS)


def unreachable(settings: KafkaSettings, reason: str) -> ServiceUnreachable:
    return ServiceUnreachable("Kafka broker", settings.servers, variable("kafka", "servers"), reason)


async def _problem(address: str) -> str | None:
    """Why no connection can be made, in a few words; None when one can."""
    host, port = split_address(address)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return f"no answer within {CONNECT_SECONDS:g} s"
    except gaierror:
        return "the host name is not known"
    except OSError as error:
        return os.strerror(error.errno).lower() if error.errno else "the connection failed"
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return None


def split_address(address: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port`; without a port Kafka's own is meant."""
    host, colon, port = address.strip().rpartition(":")
    if not colon or not port.isdecimal():
        return address.strip().strip("[]"), DEFAULT_PORT
    return host.strip("[]"), int(port)


async def stop_bounded(name: str, stopping: Awaitable[object], seconds: float = STOP_SECONDS) -> None:
    """Await a client's stop for at most `seconds`. Never raises for the client's sake.

    aiokafka awaits tasks that it has cancelled itself, so its stop may end in CancelledError although nobody
    cancelled us. In a task of its own that stays apart from a cancellation which is meant for us.
    """
    task = asyncio.ensure_future(stopping)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        task.cancel()
        await asyncio.wait({task}, timeout=1.0)
        log.warning("client_stop_abandoned", client=name, after_seconds=seconds)
    elif task.cancelled() or task.exception() is not None:
        log.info("client_stop_failed", client=name, error="cancelled" if task.cancelled() else repr(task.exception()))
