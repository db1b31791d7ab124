"""TLS and passwords, which the embedded broker has not, against Apache Kafka."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from pipeline.embedded.process import free_port
from pipeline.errors import ServiceUnreachable
from pipeline.kafka import connection
from pipeline.kafka.admin import administration
from pipeline.kafka.publish import Publisher
from pipeline.settings import KafkaSettings
from schemas.topics import Lane
from tests.support.apache_kafka.broker import apache_kafka
from tests.support.apache_kafka.security import Secured, keystore
from tests.support.broker import broker_settings, created_topics, outliving_loops
from tests.support.certificates import make_authority
from tests.support.requirement import required
from tests.support.streams import consuming, put, take

pytestmark = pytest.mark.integration

OFFERED = ["PLAIN", "SCRAM-SHA-512"]


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A broker that also listens with TLS and asks for a password there."""
    folder = tmp_path_factory.mktemp("secured")
    listener = Secured(free_port(), keystore(make_authority(folder)))
    with required(), outliving_loops(apache_kafka(folder, secured=listener)):
        yield listener


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handshake takes longer than a start may wait when the machine tests other things too."""
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 60.0)


def settings(secured: Secured, **changed: object) -> KafkaSettings:
    """What an operator sets, with what a test says otherwise."""
    right = {
        "security_protocol": "SASL_SSL",
        "sasl_username": secured.user,
        "sasl_password": SecretStr(secured.password),
        "ssl_ca_file": secured.keystore.parent / "ca.pem",
    }
    return broker_settings(secured.address).model_copy(update=right | changed)


@pytest.mark.parametrize("mechanism", OFFERED)
async def test_every_client_proves_who_it_is(secured: Secured, mechanism: str) -> None:
    """Administration, producer and consumer all speak TLS and give the password, by each mechanism that is offered."""
    kafka = settings(secured, sasl_mechanism=mechanism)
    topics = await created_topics(kafka)
    await put(kafka, topics.requests[Lane.INTERACTIVE].name, b"a")
    async with consuming(kafka, topics) as consumer:
        [record] = await take(consumer, 1)
    assert record.value == b"a"


@pytest.mark.parametrize("mechanism", OFFERED)
async def test_wrong_password_is_told_as_one(secured: Secured, mechanism: str) -> None:
    """An operator is not sent to look for a network fault, and the password is not shown."""
    wrong = settings(secured, sasl_mechanism=mechanism, sasl_password=SecretStr("hunter2"))
    with pytest.raises(ServiceUnreachable) as refused:
        async with administration(wrong):
            pytest.fail("entered with a wrong password")
    assert "it does not accept UPSCALE_KAFKA__SASL_USERNAME with its password" in str(refused.value)
    assert "hunter2" not in str(refused.value)


async def test_mechanism_that_is_not_offered_is_named(secured: Secured) -> None:
    """Most services offer one or two, and the default need not be among them."""
    with pytest.raises(ServiceUnreachable, match="it does not offer UPSCALE_KAFKA__SASL_MECHANISM SCRAM-SHA-256"):
        async with administration(settings(secured, sasl_mechanism="SCRAM-SHA-256")):
            pytest.fail("entered by a mechanism that is not offered")


async def test_broker_with_a_certificate_of_somebody_else_is_not_talked_to(secured: Secured, tmp_path: Path) -> None:
    """Passwords go to nobody whose certificate is not of the authority that we trust."""
    stranger = settings(secured, ssl_ca_file=make_authority(tmp_path).file)
    with pytest.raises(ServiceUnreachable, match=r"its certificate is not trusted \(\w"):
        async with Publisher(stranger):
            pytest.fail("entered with an unknown authority")
