"""`upscale dlq list|show|replay|drop`: the records that were parked, and what becomes of them."""

import argparse
import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import orjson
from rich.console import Console
from rich.progress import Progress

from pipeline.errors import PipelineError
from pipeline.kafka.parked import Letter, Outcome, Place, Stock
from pipeline.kafka.publish import Publisher
from pipeline.kafka.replay import Dealt, Pace, Replay, Sent, destination, mark, take_stock
from pipeline.kafka.scan import record_at
from pipeline.settings import Settings
from pipeline.tools import choice, letters
from schemas.topics import Topics, declare

HOW = (
    "Nothing is deleted, for Kafka deletes no single record: what was replayed or dropped is marked on the same topic, "
    "is not listed any more and not sent again, and expires with the topic's retention. A replay that was interrupted "
    "goes on where it stopped when it is called again; what was on its way then may be sent twice, which workers "
    "recognise as one job."
)
JSON_HELP = "a line of JSON for each letter instead"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `upscale dlq`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|show|replay|drop")
    listing = actions.add_parser("list", help="the letters that nobody has dealt with, oldest first")
    listing.add_argument("--handled", action="store_true", help="also those that were replayed or dropped")
    show = actions.add_parser("show", help="one letter: why it was parked, its headers, its value")
    show.add_argument("letter", metavar="OFFSET", help="as `dlq list` names it")
    show.add_argument("--json", action="store_true", help="as one line of JSON, with the whole value")
    replay = actions.add_parser("replay", help="send letters back to the request topic they came from", description=HOW)
    replay.add_argument("--rate", metavar="N/s", help="at most so many a second (default: as fast as it goes)")
    drop = actions.add_parser("drop", help="mark letters as dealt with, without sending them", description=HOW)
    for each in (listing, replay, drop):
        choice.add_filters(each)
        each.add_argument("--json", action="store_true", help=JSON_HELP)
    for each in (replay, drop):
        each.add_argument("--all", action="store_true", help="every open letter; needed when nothing else restricts")
        each.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")


def main(arguments: argparse.Namespace, config: Settings) -> int:
    """Exit code 0 when all that was asked was done, 1 when a letter is not there or has to stay."""
    topics = declare(config.kafka.topic_prefix, partitions=config.kafka.partitions)
    action = {"list": _list, "show": _show, "replay": _replay, "drop": _drop}[arguments.action]
    return asyncio.run(action(arguments, config, topics))


async def _list(arguments: argparse.Namespace, config: Settings, topics: Topics) -> int:
    wanted, most = choice.wanted(arguments, datetime.now(UTC)), choice.limit(arguments)
    stock = await take_stock(config.kafka, topics.dead_letters.name)
    found = [each for each in (stock.letters if arguments.handled else stock.open) if wanted.includes(each)][:most]
    if arguments.json:
        _print_json(letters.document(each, stock.marks.get(each.place)) for each in found)
    else:
        print("\n".join([*(letters.listing(found, stock) if found else ()), letters.totals(found, stock)]))
    return 0


async def _show(arguments: argparse.Namespace, config: Settings, topics: Topics) -> int:
    place = choice.place(arguments.letter)
    topic = topics.dead_letters.name
    stock = await take_stock(config.kafka, topic)
    letter = next((each for each in stock.letters if each.place == place), None)
    record = await record_at(config.kafka, topic, place.partition, place.offset) if letter else None
    if letter is None or record is None:
        raise PipelineError(f"OFFSET: no letter lies at {place} of {topic}")
    outcome = stock.marks.get(place)
    if arguments.json:
        _print_json([letters.document(letter, outcome) | letters.contents(record)])
    else:
        print("\n".join(letters.description(letter, record, outcome)))
    return 0


async def _replay(arguments: argparse.Namespace, config: Settings, topics: Topics) -> int:
    rate = choice.rate(arguments.rate)
    chosen = await _chosen(arguments, config, topics)
    if arguments.dry_run:
        _tell([_foreseen(letter, topics) for letter in chosen], len(chosen), arguments, "would be sent")
        return 0
    dealt: list[Dealt] = []
    with Progress(console=Console(stderr=True), disable=not _on_a_terminal()) as progress:
        bar = progress.add_task("replaying", total=len(chosen))

        def count(one: Dealt) -> None:
            dealt.append(one)
            progress.advance(bar)

        try:
            async with Publisher(config.kafka) as publisher:
                await Replay(config.kafka, topics, publisher).run(chosen, Pace(rate, monotonic), count)
        finally:
            progress.stop()
            _tell(dealt, len(chosen), arguments, "sent")
    return 0 if all(isinstance(each.end, Sent) for each in dealt) else 1


async def _drop(arguments: argparse.Namespace, config: Settings, topics: Topics) -> int:
    chosen = await _chosen(arguments, config, topics)
    if not arguments.dry_run:
        async with Publisher(config.kafka) as publisher:
            for letter in chosen:
                await mark(publisher, topics.dead_letters.name, letter.place, Outcome.DROPPED)
    if arguments.json:
        _print_json(letters.document(each, None if arguments.dry_run else Outcome.DROPPED) for each in chosen)
    else:
        print(f"letters {'that would be dropped' if arguments.dry_run else 'dropped'}: {len(chosen)}")
    return 0


async def _chosen(arguments: argparse.Namespace, config: Settings, topics: Topics) -> Sequence[Letter]:
    """The open letters that are meant. Raises `PipelineError` for one that is named and not open."""
    wanted, most = choice.wanted(arguments, datetime.now(UTC)), choice.limit(arguments)
    if wanted.all and most is None and not arguments.all:
        raise PipelineError("nothing restricts what is meant: name letters, give a filter, or say --all")
    stock = await take_stock(config.kafka, topics.dead_letters.name)
    _require_open(wanted.places or frozenset(), stock)
    return [each for each in stock.open if wanted.includes(each)][:most]


def _require_open(places: frozenset[Place], stock: Stock) -> None:
    known = {letter.place for letter in stock.letters}
    for place in sorted(places):
        if place not in known:
            raise PipelineError(f"OFFSET: no letter lies at {place}")
        if place in stock.marks:
            raise PipelineError(f"OFFSET: the letter at {place} was {stock.marks[place]} already")


def _foreseen(letter: Letter, topics: Topics) -> Dealt:
    found = destination(letter, topics)
    return Dealt(letter, Sent(found) if isinstance(found, str) else found)


def _tell(dealt: Sequence[Dealt], asked: int, arguments: argparse.Namespace, verb: str) -> None:
    """Every letter that stays is named, and when nothing was done yet, every other one too."""
    if arguments.json:
        _print_json(map(letters.dealt_document, dealt))
        return
    named = [each for each in dealt if arguments.dry_run or not isinstance(each.end, Sent)]
    sent = sum(isinstance(each.end, Sent) for each in dealt)
    print("\n".join([*map(letters.dealt_line, named), f"{sent} of {asked} letters {verb}"]))


def _print_json(documents: Iterable[dict[str, Any]]) -> None:
    for each in documents:
        print(orjson.dumps(each).decode())


def _on_a_terminal() -> bool:
    return Console(stderr=True).is_terminal
