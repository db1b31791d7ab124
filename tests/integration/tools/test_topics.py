"""`upscale topics` against a real broker, and against none."""

import argparse

import pytest

from pipeline.embedded.process import free_port
from pipeline.settings import KafkaSettings, Settings
from pipeline.tools import topics

pytestmark = pytest.mark.integration


def run(action: str, kafka: KafkaSettings) -> int:
    return topics.main(argparse.Namespace(action=action), Settings(kafka=kafka))


def test_topics_are_missing_then_created_then_there(kafka: KafkaSettings, capsys: pytest.CaptureFixture[str]) -> None:
    """Checking changes nothing and fails while something is missing; creating twice is as good as once."""
    assert run("check", kafka) == 1
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["missing"] * 4
    assert run("create", kafka) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["created"] * 4
    assert run("create", kafka) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["ok"] * 4


def test_topics_with_too_few_partitions_differ(kafka: KafkaSettings, capsys: pytest.CaptureFixture[str]) -> None:
    """More workers than partitions would idle without a word."""
    run("create", kafka)
    capsys.readouterr()
    assert run("check", kafka.model_copy(update={"partitions": 9})) == 1
    out = capsys.readouterr().out
    assert f"differs  {kafka.topic_prefix}.requests.interactive  has 2 partitions, declared with 9" in out


def test_unreachable_broker_is_one_line_with_address_and_variable(capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback: what was tried, what happened, and what to set."""
    address = f"127.0.0.1:{free_port()}"
    assert run("check", KafkaSettings(servers=address)) == 2
    assert capsys.readouterr().err == (
        f"upscale topics: cannot reach the Kafka broker at {address}: connection refused; "
        "set UPSCALE_KAFKA__SERVERS to change the address\n"
    )


def test_unusable_settings_are_one_line_with_the_variable(capsys: pytest.CaptureFixture[str]) -> None:
    """Settings that do not fit together are told before anything is connected."""
    assert run("check", KafkaSettings(security_protocol="SASL_PLAINTEXT")) == 2
    assert capsys.readouterr().err.startswith("upscale topics: UPSCALE_KAFKA__SASL_USERNAME: required when")
