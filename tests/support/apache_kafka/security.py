"""A second listener of a broker, with TLS and passwords."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.embedded.process import LOOPBACK
from tests.support.certificates import Authority

MODULES = "org.apache.kafka.common.security"


@dataclass(frozen=True, slots=True)
class Secured:
    """SASL_SSL at `port`, for one user with one password, by PLAIN and by SCRAM-SHA-512."""

    port: int
    keystore: Path
    """PEM: the private key, then the certificate."""
    user: str = "upscale"
    password: str = "with = and spaces"

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def scram(self) -> list[str]:
        """Options of formatting: SCRAM passwords are part of the cluster's metadata."""
        return [f"--add-scram=SCRAM-SHA-512=[name={self.user},password={self.password}]"]

    def added_to(self, plain: Mapping[str, str]) -> dict[str, str]:
        """The properties of a broker with this listener besides."""
        name = "listener.name.secure"
        return dict(plain) | {
            "listeners": f"{plain['listeners']},SECURE://{self.address}",
            "advertised.listeners": f"{plain['advertised.listeners']},SECURE://{self.address}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
            f"{name}.ssl.keystore.type": "PEM",
            f"{name}.ssl.keystore.location": str(self.keystore),
            f"{name}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
            f"{name}.plain.sasl.jaas.config": f"{MODULES}.plain.PlainLoginModule required "
            f'user_{self.user}="{self.password}";',
            f"{name}.scram-sha-512.sasl.jaas.config": f"{MODULES}.scram.ScramLoginModule required;",
        }


def keystore(authority: Authority) -> Path:
    """A key and a certificate of `authority` for the loopback address."""
    authority.server("broker", f"IP:{LOOPBACK}")
    target = authority.folder / "keystore.pem"
    target.write_text("".join((authority.folder / f"broker.{kind}").read_text() for kind in ("key", "pem")))
    return target
