"""A worker that cannot start, as a process: one message that names what was tried and what to set, and exit code 1."""

import socket
from collections.abc import Iterator

import pytest

from pipeline.embedded.process import free_port
from tests.support.commands import Commands

pytestmark = [pytest.mark.integration, pytest.mark.weights]

START_SECONDS = 30
"""A start that fails has said so by then, on a busy machine too."""


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def failed_start(commands: Commands, variables: dict[str, str]) -> str:
    """What a worker says on stderr that ends with code 1 in time and without a traceback."""
    ended = commands.run("worker", environment=variables, limit_seconds=START_SECONDS)
    assert ended.code == 1, ended
    assert "Traceback" not in ended.out + ended.err
    assert '"level":"error"' not in ended.out
    return ended.err


def one_line(text: str) -> str:
    assert text.count("\n") == 1, text
    return text.removesuffix("\n")


def test_worker_without_a_broker_names_its_address_and_variable(commands: Commands, variables: dict[str, str]) -> None:
    """Nothing listens where the broker should be."""
    address = f"127.0.0.1:{free_port()}"
    told = one_line(failed_start(commands, variables | {"UPSCALE_KAFKA__SERVERS": address}))
    assert told == (
        f"upscale worker: cannot reach the Kafka broker at {address}: connection refused; "
        "set UPSCALE_KAFKA__SERVERS to change the address"
    )


def test_worker_without_a_store_names_its_address_and_variable(commands: Commands, variables: dict[str, str]) -> None:
    """Nothing listens where the store should be."""
    address = f"http://127.0.0.1:{free_port()}"
    told = one_line(failed_start(commands, variables | {"UPSCALE_STORE__ENDPOINT": address}))
    assert told == (
        f"upscale worker: cannot reach the object store at {address}: the connection is refused or breaks off; "
        "set UPSCALE_STORE__ENDPOINT to change the address"
    )


def test_worker_whose_store_is_silent_waits_no_longer_than_its_setting(
    commands: Commands, variables: dict[str, str], silent_port: int
) -> None:
    """A store that hangs is told apart from one that is down."""
    silent = {
        "UPSCALE_STORE__ENDPOINT": f"http://127.0.0.1:{silent_port}",
        "UPSCALE_STORE__READ_TIMEOUT_SECONDS": "0.3",
    }
    told = one_line(failed_start(commands, variables | silent))
    assert f"at http://127.0.0.1:{silent_port}: no answer within 0.3 s; set UPSCALE_STORE__ENDPOINT" in told


@pytest.mark.parametrize("wrong", ["UPSCALE_STORE__ACCESS_KEY", "UPSCALE_STORE__SECRET_KEY"])
def test_worker_with_wrong_credentials_names_their_variables_and_shows_neither(
    commands: Commands, variables: dict[str, str], wrong: str
) -> None:
    """The store is there and does not know us; the keys themselves are never printed."""
    told = one_line(failed_start(commands, variables | {wrong: "never-issued"}))
    assert told.startswith(f"upscale worker: the object store at {variables['UPSCALE_STORE__ENDPOINT']} cannot be used")
    assert told.endswith("see UPSCALE_STORE__ACCESS_KEY and UPSCALE_STORE__SECRET_KEY")
    assert "never-issued" not in told
    assert variables["UPSCALE_STORE__SECRET_KEY"] not in told


def test_worker_without_its_bucket_names_the_bucket_and_variable(commands: Commands, variables: dict[str, str]) -> None:
    """A bucket is not made by a role."""
    told = one_line(failed_start(commands, variables | {"UPSCALE_STORE__BUCKET": "no-such-bucket"}))
    assert told.endswith("cannot be used: it has no bucket 'no-such-bucket'; see UPSCALE_STORE__BUCKET")


def test_worker_without_its_topics_names_them_and_the_command(commands: Commands, variables: dict[str, str]) -> None:
    """Topics are not made by a role; everything that was started before is closed again."""
    told = one_line(failed_start(commands, variables | {"UPSCALE_KAFKA__TOPIC_PREFIX": "absent"}))
    assert told == (
        "upscale worker: missing on the broker: absent.requests.bulk, absent.requests.interactive; "
        "`upscale topics create` makes them"
    )


def test_worker_with_a_mistyped_variable_names_the_nearest_that_exists(
    commands: Commands, variables: dict[str, str]
) -> None:
    """A setting that is not read would be a setting that is silently wrong."""
    told = failed_start(commands, variables | {"UPSCALE_KAFKA__SERVRS": "somewhere:9092"})
    assert told == (
        "upscale: settings:\nUPSCALE_KAFKA__SERVRS: is not a setting; did you mean UPSCALE_KAFKA__SERVERS?\n"
    )


def test_worker_with_a_precision_the_device_cannot_do_names_the_ones_it_can(
    commands: Commands, variables: dict[str, str]
) -> None:
    """The precision is never changed in silence: it changes the pixels."""
    asked = {"UPSCALE_DEVICE__DEVICE": "cpu", "UPSCALE_DEVICE__PRECISION": "fp16"}
    assert failed_start(commands, variables | asked) == (
        "upscale: settings:\nUPSCALE_DEVICE__PRECISION: must be auto, fp32 or bf16 on a CPU, "
        "where fp16 is many times slower, got 'fp16'\n"
    )


def test_worker_whose_port_is_taken_names_it_and_its_variable(
    commands: Commands, variables: dict[str, str], silent_port: int
) -> None:
    """Two workers on one machine is the usual cause."""
    told = one_line(failed_start(commands, variables | {"UPSCALE_TELEMETRY__PORT": str(silent_port)}))
    assert told == (
        f"upscale worker: cannot listen on 127.0.0.1:{silent_port} for health and metrics: address already in use; "
        "set UPSCALE_TELEMETRY__PORT to another port"
    )
