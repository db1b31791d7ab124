"""How the embedded broker is started."""

from pydantic import SecretStr

from pipeline.embedded.broker import broker_argv, broker_env
from pipeline.settings import StoreSettings

STORE = StoreSettings(endpoint="http://127.0.0.1:8333", access_key="ours", secret_key=SecretStr("s3cret"))


def test_broker_listens_on_loopback_only_and_says_so_to_its_clients() -> None:
    """It has no authentication, so nobody else may reach it."""
    argv = broker_argv(9999, None)
    for option in ("--listener-url", "--advertised-listener-url"):
        assert argv[argv.index(option) + 1] == "tcp://127.0.0.1:9999"


def test_broker_behind_something_else_sends_its_clients_there() -> None:
    """It listens on loopback all the same."""
    argv = broker_argv(9999, None, "127.0.0.1:7777")
    assert argv[argv.index("--listener-url") + 1] == "tcp://127.0.0.1:9999"
    assert argv[argv.index("--advertised-listener-url") + 1] == "tcp://127.0.0.1:7777"


def test_broker_without_a_store_keeps_everything_in_memory() -> None:
    """Tests leave nothing behind."""
    assert broker_argv(1, None)[-1].startswith("memory://")
    assert broker_env(None) == {}


def test_broker_with_a_store_keeps_everything_in_its_bucket() -> None:
    """A restart finds what was acknowledged."""
    assert broker_argv(1, "broker")[-1] == "s3://broker/"
    assert broker_env(STORE) == {
        "AWS_ENDPOINT": "http://127.0.0.1:8333",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "ours",
        "AWS_SECRET_ACCESS_KEY": "s3cret",
        "AWS_REGION": "us-east-1",
    }


def test_secrets_are_not_on_the_command_line() -> None:
    """Everybody on the machine can read that."""
    assert "s3cret" not in " ".join(broker_argv(1, "broker"))
