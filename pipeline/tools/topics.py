"""`upscale topics create|check|lag`: the topics this program needs, and how far behind their readers are."""

import argparse
import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import orjson

from pipeline.kafka.admin import Standing, TopicReport, administration
from pipeline.settings import KafkaSettings, Settings
from pipeline.tools import lag
from schemas.topics import declare

GOOD = (Standing.OK, Standing.CREATED)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="create|check|lag")
    actions.add_parser("create", help="create what is missing and leave the rest as it is")
    actions.add_parser("check", help="compare what there is with what is declared")
    behind = actions.add_parser("lag", help="what the workers have yet to do: messages, age, megapixels, time")
    behind.add_argument("--json", action="store_true", help="as one line of JSON")


def main(args: argparse.Namespace, settings: Settings) -> int:
    """Exit code 0 when all topics are as declared, or the lag is told; 1 when a topic is missing or differs."""
    if args.action == "lag":
        return asyncio.run(_lag(settings.kafka, as_json=args.json))
    reports = asyncio.run(_reports(args.action, settings.kafka))
    print("\n".join(lines(reports)))
    return 0 if all(report.standing in GOOD for report in reports) else 1


async def _lag(settings: KafkaSettings, *, as_json: bool) -> int:
    topics = declare(settings.topic_prefix, partitions=settings.partitions)
    report = await lag.measure(settings, topics, datetime.now(UTC))
    print(orjson.dumps(lag.document(report)).decode() if as_json else "\n".join(lag.lines(report)))
    return 0


async def _reports(action: str, settings: KafkaSettings) -> list[TopicReport]:
    topics = declare(settings.topic_prefix, partitions=settings.partitions).all()
    async with administration(settings) as admin:
        return await (admin.create(topics) if action == "create" else admin.check(topics))


def lines(reports: Sequence[TopicReport]) -> list[str]:
    """One line a topic: how it stands, its name, and what there is to say, in columns."""
    width = max(len(report.name) for report in reports)
    return [f"{report.standing:<8} {report.name:<{width}}  {report.detail}" for report in reports]
