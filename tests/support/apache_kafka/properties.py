"""server.properties of a broker, for tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.embedded.process import LOOPBACK

GROUP_MIN_SESSION_MS = 1000
"""The default is 6,000, which would make every test of a lost member wait that long."""


@dataclass(frozen=True, slots=True)
class Node:
    """A broker that is also one of the controllers."""

    number: int
    port: int
    controller_port: int

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def voter(self) -> str:
        return f"{self.number}@{LOOPBACK}:{self.controller_port}"


def properties(node: Node, nodes: Sequence[Node], data: Path) -> dict[str, str]:
    """Of `node` among `nodes`, with its records in `data`.

    As in production: topics are not made by asking for them, and of three copies two must have a record before it is
    acknowledged. Not as in production: everything that waits in case others come waits for nobody.
    """
    copies = str(len(nodes))
    in_sync = str(max(1, len(nodes) - 1))
    return {
        "node.id": str(node.number),
        "process.roles": "broker,controller",
        "listeners": f"PLAINTEXT://{node.address},CONTROLLER://{LOOPBACK}:{node.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{node.address}",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": ",".join(each.voter for each in nodes),
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.num.partitions": "3",
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.num.partitions": "3",
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": str(GROUP_MIN_SESSION_MS),
        # A broker that is killed is missed after this long; the default is 9,000.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        "replica.lag.time.max.ms": "3000",
        "controller.quorum.election.timeout.ms": "500",
        "controller.quorum.fetch.timeout.ms": "1000",
        "log.initial.task.delay.ms": "100",
        "log.retention.check.interval.ms": "200",
    }


def written(values: Mapping[str, str]) -> str:
    """As a file of Java properties."""
    return "".join(f"{name}={value}\n" for name, value in values.items())
