"""A second listener of a broker, whose clients are told an address that is not its own: that of a proxy before it."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.embedded.process import LOOPBACK


@dataclass(frozen=True, slots=True)
class Detour:
    """Plain text at `port`; clients that come by this way are sent to `advertised` ever after."""

    port: int
    advertised: str
    """`host:port`."""

    def added_to(self, plain: Mapping[str, str]) -> dict[str, str]:
        """The properties of a broker with this listener besides."""
        return dict(plain) | {
            "listeners": f"{plain['listeners']},DETOUR://{LOOPBACK}:{self.port}",
            "advertised.listeners": f"{plain['advertised.listeners']},DETOUR://{self.advertised}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,DETOUR:PLAINTEXT",
        }
