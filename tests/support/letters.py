"""Parked requests on a real broker, and `upscale dlq` as an operator types it."""

import argparse
import asyncio
from dataclasses import dataclass

import orjson
import pytest

from pipeline.kafka.deadletter import Why, park
from pipeline.kafka.publish import Publisher
from pipeline.kafka.records import Received
from pipeline.kafka.scan import Record, reading, whole
from pipeline.settings import IntakeSettings, KafkaSettings, Settings
from pipeline.tools import dlq
from schemas.topics import Topics

CRASH_LOOP = Why("crash_loop", "starts: limit 3")


async def park_all(settings: KafkaSettings, topics: Topics, *received: Received, why: Why = CRASH_LOOP) -> None:
    """Park each, in order."""
    async with Publisher(settings) as publisher:
        for each in received:
            await park(publisher, topics.dead_letters.name, each, why)


async def all_of(settings: KafkaSettings, topic: str) -> list[Record]:
    """Everything on a topic."""
    async with reading(settings) as reader:
        return [record async for record in reader.scan(await whole(settings, topic))]


@dataclass(frozen=True, slots=True)
class Dlq:
    """The command on one deployment."""

    kafka: KafkaSettings
    capsys: pytest.CaptureFixture[str]

    async def run(self, *words: str) -> tuple[int, str]:
        """Exit code, and what was printed. Raises what an operator is told in one line."""
        parser = argparse.ArgumentParser()
        dlq.add_arguments(parser)
        self.capsys.readouterr()
        config = Settings(kafka=self.kafka, intake=IntakeSettings(lease_seconds=0))
        code = await asyncio.to_thread(dlq.main, parser.parse_args(words), config)
        return code, self.capsys.readouterr().out

    async def json(self, *words: str) -> list[dict[str, object]]:
        """What was printed as JSON."""
        _, out = await self.run(*words, "--json")
        return [orjson.loads(line) for line in out.splitlines()]
