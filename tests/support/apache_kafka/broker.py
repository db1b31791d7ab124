"""Brokers of Apache Kafka as children of the tests."""

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from pipeline.embedded.process import Child, ChildFailed, free_ports, listens
from tests.support.apache_kafka.detour import Detour
from tests.support.apache_kafka.jars import jars
from tests.support.apache_kafka.java import LOGGING, MEMORY_AND_START, java
from tests.support.apache_kafka.properties import Node, properties, written
from tests.support.apache_kafka.security import Secured
from tests.support.processes import freeze, thaw
from tests.support.waiting import PATIENCE_SECONDS

STOP_SECONDS = 20.0
"""A broker hands its partitions over before it ends."""


@dataclass(frozen=True, slots=True)
class Installed:
    """How a Java program of Apache Kafka is called."""

    java: str
    jars: Path

    def argv(self, main: str, *arguments: str) -> list[str]:
        return [self.java, *MEMORY_AND_START, *LOGGING, "-cp", f"{self.jars}/*", main, *arguments]


class ApacheBroker:
    """One broker at one address, through all its restarts; its records stay in `folder`. Made by `apache_kafka`."""

    def __init__(self, installed: Installed, node: Node, folder: Path) -> None:
        self.address = node.address
        self._installed = installed
        self._node = node
        self._folder = folder
        self._lifetime = AsyncExitStack()
        self._child: Child | None = None

    @property
    def properties_file(self) -> Path:
        return self._folder / "server.properties"

    @property
    def data_folder(self) -> Path:
        return self._folder / "data"

    @property
    def child(self) -> Child:
        """The process that runs now or ran last."""
        if self._child is None:
            raise RuntimeError(f"broker {self._node.number} has not been started")
        return self._child

    def configure(self, values: Mapping[str, str]) -> None:
        """Write its properties, which it reads at each start."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.properties_file.write_text(written(values))

    async def format(self, cluster: str, *options: str) -> None:
        """Prepare an empty log folder, which has to be done once before the first start. Raises `ChildFailed`."""
        options = ("format", f"--cluster-id={cluster}", f"--config={self.properties_file}", *options)
        argv = self._installed.argv("kafka.tools.StorageTool", *options)
        async with Child("formatting", argv, {}, self._folder / "format.log") as child:
            if await child.ended() != 0:
                raise ChildFailed(f"formatting failed:\n{child.log_path.read_text()}")

    async def start(self) -> None:
        """Start it, or start it again with its records; returns before it answers. Raises `ChildFailed`."""
        name = f"Apache Kafka broker {self._node.number}"
        argv = self._installed.argv("kafka.Kafka", str(self.properties_file))
        child = Child(name, argv, {}, self._folder / "broker.log", stop_seconds=STOP_SECONDS)
        self._child = await self._lifetime.enter_async_context(child)

    async def ready(self) -> None:
        """Return when it takes requests as a member of its cluster. Raises `ChildFailed`."""
        await self.child.ready(lambda: listens(self._node.port), PATIENCE_SECONDS)
        await self.child.ready(self._is_member, PATIENCE_SECONDS)

    async def stop(self) -> None:
        """End it in good order: what it leads is led by others before."""
        await self._lifetime.aclose()

    async def kill(self) -> None:
        """End it as a power cut would, but for what the kernel has yet to write."""
        await self.child.kill()
        await self._lifetime.aclose()

    async def freeze(self) -> None:
        """It keeps its connections and answers nothing until `thaw`."""
        await freeze(self.child.pid)

    def thaw(self) -> None:
        thaw(self.child.pid)

    async def _is_member(self) -> bool:
        """Whether it lists itself: a broker that still catches up listens, but names itself to nobody."""
        client = AIOKafkaAdminClient(bootstrap_servers=self.address, request_timeout_ms=2000)
        try:
            await client.start()
            described = await client.describe_cluster()
        except (KafkaError, OSError):
            return False
        finally:
            await client.close()
        return any(each["node_id"] == self._node.number for each in described["brokers"])


@dataclass(frozen=True, slots=True)
class Cluster:
    """Brokers that run."""

    brokers: tuple[ApacheBroker, ...]

    @property
    def servers(self) -> str:
        """Bootstrap servers, for UPSCALE_KAFKA__SERVERS."""
        return ",".join(each.address for each in self.brokers)


@asynccontextmanager
async def apache_kafka(
    folder: Path, *, brokers: int = 1, secured: Secured | None = None, detours: Sequence[Detour] = ()
) -> AsyncIterator[Cluster]:
    """Run `brokers` brokers on the loopback address while the block lasts, each with its files in `folder`.

    With three, every topic has three copies, of which two must be in sync. One alone may be `secured` besides; or each
    has one of `detours` as a second way to it. They are killed at the end: nobody wants their records any more. Raises
    `Unavailable`, `WrongJars` and `ChildFailed`.
    """
    installed = Installed(java(), await asyncio.to_thread(jars))
    ports = iter(free_ports(2 * brokers))
    nodes = [Node(number, next(ports), next(ports)) for number in range(1, brokers + 1)]
    cluster = Cluster(tuple(ApacheBroker(installed, node, folder / f"broker-{node.number}") for node in nodes))
    for node, broker in zip(nodes, cluster.brokers, strict=True):
        values = properties(node, nodes, broker.data_folder)
        for listener in (secured, *detours[node.number - 1 : node.number]):
            values = listener.added_to(values) if listener else values
        broker.configure(values)
    cluster_id = base64.urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
    await asyncio.gather(*(each.format(cluster_id, *(secured.scram if secured else ())) for each in cluster.brokers))
    async with AsyncExitStack() as running:
        for each in cluster.brokers:
            await each.start()
            running.push_async_callback(each.kill)
        await asyncio.gather(*(each.ready() for each in cluster.brokers))
        yield cluster
