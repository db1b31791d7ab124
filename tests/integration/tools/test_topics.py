"""`upscale topics` against a real broker, and against none."""

import argparse

import pytest

from pipeline.__main__ import main as command_line
from pipeline.embedded.process import free_port
from pipeline.settings import KafkaSettings, Settings
from pipeline.tools import topics
from schemas.topics import declare

pytestmark = pytest.mark.integration

ALL = len(declare().all())


def run(action: str, kafka: KafkaSettings) -> int:
    return topics.main(argparse.Namespace(action=action), Settings(kafka=kafka))


def test_topics_are_missing_then_created_then_there(kafka: KafkaSettings, capsys: pytest.CaptureFixture[str]) -> None:
    """Checking changes nothing and fails while something is missing; creating twice is as good as once."""
    assert run("check", kafka) == 1
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["missing"] * ALL
    assert run("create", kafka) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["created"] * ALL
    assert run("create", kafka) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["ok"] * ALL


def test_topics_with_too_few_partitions_differ(kafka: KafkaSettings, capsys: pytest.CaptureFixture[str]) -> None:
    """More workers than partitions would idle without a word."""
    run("create", kafka)
    capsys.readouterr()
    assert run("check", kafka.model_copy(update={"partitions": 9})) == 1
    told = {line.split()[1]: " ".join(line.split()[2:]) for line in capsys.readouterr().out.splitlines()}
    assert told[f"{kafka.topic_prefix}.requests.interactive"] == "has 2 partitions, declared with 9"


def test_unreachable_broker_is_one_line_with_address_and_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, but what was tried and which setting changes it; and exit code 1."""
    monkeypatch.setenv("UPSCALE_KAFKA__SERVERS", f"127.0.0.1:{free_port()}")
    assert command_line(["topics", "check"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("upscale topics: cannot reach the Kafka broker at 127.0.0.1:")
    assert "UPSCALE_KAFKA__SERVERS" in told
    assert told.count("\n") == 1


def test_unusable_settings_are_told_with_the_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What cannot work is told before anything is contacted."""
    monkeypatch.setenv("UPSCALE_KAFKA__SECURITY_PROTOCOL", "SASL_PLAINTEXT")
    assert command_line(["topics", "check"]) == 1
    assert "UPSCALE_KAFKA__SASL_USERNAME: required when" in capsys.readouterr().err
