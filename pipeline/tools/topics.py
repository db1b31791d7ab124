"""`upscale topics create|check`: the topics this program needs, made or compared with what the broker has."""

import argparse
import asyncio
from collections.abc import Sequence

from pipeline.kafka.admin import Standing, TopicReport, administration
from pipeline.settings import KafkaSettings, Settings
from schemas.topics import declare

GOOD = (Standing.OK, Standing.CREATED)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action",
        choices=("create", "check"),
        help="create what is missing and leave the rest as it is, or only compare",
    )


def main(args: argparse.Namespace, settings: Settings) -> int:
    """Print a line for each topic. Exit code 0 when all are as declared, 1 when one is missing or differs."""
    reports = asyncio.run(_reports(args.action, settings.kafka))
    print("\n".join(lines(reports)))
    return 0 if all(report.standing in GOOD for report in reports) else 1


async def _reports(action: str, settings: KafkaSettings) -> list[TopicReport]:
    topics = declare(settings.topic_prefix, partitions=settings.partitions).all()
    async with administration(settings) as admin:
        return await (admin.create(topics) if action == "create" else admin.check(topics))


def lines(reports: Sequence[TopicReport]) -> list[str]:
    """One line a topic: how it stands, its name, and what there is to say, in columns."""
    width = max(len(report.name) for report in reports)
    return [f"{report.standing:<8} {report.name:<{width}}  {report.detail}" for report in reports]
