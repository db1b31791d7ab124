"""What every client of the broker is told, and what is said when the settings do not fit."""

import asyncio
import ssl
from pathlib import Path

import pytest

from pipeline.kafka.connection import connection_options, split_address, stop_bounded
from pipeline.settings import InvalidSettings, KafkaSettings

SASL = {"security_protocol": "SASL_PLAINTEXT", "sasl_username": "worker", "sasl_password": "s3cret"}


def test_plain_connection_has_neither_certificates_nor_credentials() -> None:
    """The default is a broker next door."""
    options = connection_options(KafkaSettings())
    assert options == {"security_protocol": "PLAINTEXT", "request_timeout_ms": 30_000}


@pytest.mark.parametrize("protocol", ["SSL", "SASL_SSL"])
def test_tls_connection_verifies_certificate_and_host_name(protocol: str) -> None:
    """There is no way to switch verification off."""
    settings = KafkaSettings.model_validate(SASL | {"security_protocol": protocol})
    context = connection_options(settings)["ssl_context"]
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_sasl_connection_carries_mechanism_and_credentials(mechanism: str) -> None:
    """The secret is unwrapped here and nowhere earlier."""
    options = connection_options(KafkaSettings.model_validate(SASL | {"sasl_mechanism": mechanism}))
    assert options["sasl_mechanism"] == mechanism
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("worker", "s3cret")
    assert "ssl_context" not in options


@pytest.mark.parametrize("missing", ["sasl_username", "sasl_password"])
def test_sasl_without_credentials_names_the_missing_variable(missing: str) -> None:
    """The operator reads what to set, and why it is needed."""
    with pytest.raises(InvalidSettings, match=rf"UPSCALE_KAFKA__{missing.upper()}: required when .* SASL_PLAINTEXT"):
        connection_options(KafkaSettings.model_validate(SASL | {missing: None}))


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_unusable_certificate_file_is_named(tmp_path: Path, content: str | None) -> None:
    """Missing and broken files are told before anything is connected."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidSettings, match=rf"UPSCALE_KAFKA__SSL_CA_FILE: must be .* got '{path}'"):
        connection_options(KafkaSettings(security_protocol="SSL", ssl_ca_file=path))


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("broker:9093", ("broker", 9093)),
        (" broker ", ("broker", 9092)),
        ("[::1]:9093", ("::1", 9093)),
        ("[::1]", ("::1", 9092)),
    ],
)
def test_address_is_split_into_host_and_port(address: str, parts: tuple[str, int]) -> None:
    """As Kafka writes them, with Kafka's own port as the default."""
    assert split_address(address) == parts


async def test_stopping_ends_although_the_client_never_does() -> None:
    """A broker that is gone does not hold up a shutdown."""
    await stop_bounded("client", asyncio.Event().wait(), 0.01)


async def test_stopping_swallows_a_cancellation_that_the_client_made_itself() -> None:
    """The rest of the shutdown still runs."""

    async def cancels_itself() -> None:
        raise asyncio.CancelledError

    await stop_bounded("client", cancels_itself())


async def test_stopping_swallows_what_the_client_raises() -> None:
    """A client that fails to say goodbye is gone all the same."""

    async def fails() -> None:
        raise ConnectionResetError

    await stop_bounded("client", fails())
