"""`upscale demo`: real photographs through a real broker, store, worker and dispatcher on this machine."""

import argparse
import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, time

from rich.console import Console

from pipeline.dispatcher.sign import shown
from pipeline.embedded.stack import dispatcher, stack, worker
from pipeline.settings import Settings
from pipeline.state.database import open_database
from pipeline.state.signing_keys import keys_of_owners
from pipeline.telemetry.scrape import Sample, scrape, total
from pipeline.tools.arrivals import Arrival, receiving
from pipeline.tools.asking import add_options, options_of
from pipeline.tools.before_after import LARGEST_PIXELS, side_by_side
from pipeline.tools.errand import Asked, Ended, Errand, Picture
from pipeline.tools.files import check_readable, make_folder
from pipeline.tools.photographs import write_small
from pipeline.tools.session import connect
from schemas.callbacks import Webhook
from schemas.events import ResultObject, UpscaleCompleted
from schemas.options import UpscaleOptions
from schemas.topics import Lane

TENANT = "demo"
WEBHOOK_SECONDS = 30.0
"""How long the last webhook is waited for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `upscale demo`."""
    parser.add_argument("pictures", nargs="*", type=Path, help="your own pictures instead of the photographs")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/demo"), help="folder (default: out/demo)")
    add_options(parser)


def main(arguments: argparse.Namespace, config: Settings) -> int:
    """Exit code 0 when every picture was upscaled."""
    for path in arguments.pictures:
        check_readable(path)
    options = options_of(arguments)
    make_folder(arguments.output / "after")
    pictures = arguments.pictures or write_small(make_folder(arguments.output / "before"))
    with TemporaryDirectory(prefix="upscale-demo-") as state:
        return asyncio.run(_demo(pictures, options, arguments.output, Path(state), config))


async def _demo(pictures: Sequence[Path], options: UpscaleOptions, folder: Path, state: Path, config: Settings) -> int:
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    console.print("starting broker, store, worker and dispatcher on this machine ...")
    async with (
        stack(state, opened(config)) as running,
        worker(state, running.local),
        dispatcher(state, running.local),
        connect(running.local) as session,
        receiving(partial(tenant_secret, running.local, TENANT)) as arrivals,
    ):
        local = running.local
        console.print(f"broker {local.kafka.servers}, store {local.store.endpoint}, model {options.model}")
        named = [Picture(path.name, path.stem, path) for path in pictures]
        started = monotonic()
        asked = Asked(options, TENANT, Lane.INTERACTIVE, Webhook(url=arrivals.url))
        ended = await Errand(asked, folder / "after").run(session, named)
        seconds = monotonic() - started
        told = await arrivals.of({each.event.job_id for each in ended}, WEBHOOK_SECONDS)
        counts = await scrape(f"http://{local.telemetry.host}:{local.telemetry.port}/metrics")
    for each in ended:
        if isinstance(each.event, UpscaleCompleted) and each.picture.path and each.result:
            console.print(await asyncio.to_thread(look_at, each.picture.path, each.result, each.event.result, folder))
    for arrival in told:
        console.print(arrived(arrival))
    console.print(summary(ended, seconds, counts))
    well = all(each.result for each in ended) and len(told) == len(ended) and all(each.verified for each in told)
    return 0 if well else 1


def opened(config: Settings) -> Settings:
    """The receiver is on this machine, where strangers' webhooks must never lead."""
    webhook = config.webhook.model_copy(update={"allow_http": True, "allow_private_addresses": True})
    return config.model_copy(update={"webhook": webhook})


async def tenant_secret(config: Settings, tenant: str) -> str:
    """What the tenant's webhooks are signed with."""
    async with open_database(config.state) as database, database.write() as connection:
        owner = (tenant, None)
        keys = await keys_of_owners(connection, {owner}, time())
    return shown(keys[owner][0])


def arrived(arrival: Arrival) -> str:
    """A webhook, for a person."""
    signature = "signature verified" if arrival.verified else "SIGNATURE WRONG"
    return f"webhook {arrival.body.type}, {signature}, {arrival.late_seconds:.2f} s after the event"


def look_at(before: Path, after: Path, result: ResultObject, folder: Path) -> str:
    """Where to see what became of a picture: on a sheet, written into `folder`, unless it is too large for one."""
    if result.width * result.height > LARGEST_PIXELS:
        return f"result  {after}"
    return f"compare {side_by_side(before, after, folder / f'{after.stem}_before_after.png')}"


def summary(ended: Sequence[Ended], seconds: float, counts: Sequence[Sample]) -> str:
    """The last line: how much was done in which time, and how full the launches were."""
    done = [each.event for each in ended if isinstance(each.event, UpscaleCompleted)]
    before = sum(event.source_width * event.source_height for event in done) / 1e6
    after = sum(event.result.width * event.result.height for event in done) / 1e6
    tiles, launches = total(counts, "upscale_batch_size_sum"), total(counts, "upscale_batch_size_count")
    return (
        f"{len(done)} of {len(ended)} pictures, {before:.2f} -> {after:.2f} megapixels in {seconds:.1f} s, "
        f"{tiles / launches if launches else 0:.1f} tiles per batch"
    )
