"""Completion events at a steady rate, of jobs that never were: what the webhook benchmark feeds a dispatcher with."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from time import time
from uuid import uuid4

from pipeline.kafka.publish import Publisher
from schemas import codec
from schemas.codec import Message
from schemas.events import Event, Provenance, ResultObject, UpscaleCompleted, event_from
from schemas.options import OutputFormat

TICK_SECONDS = 0.01


async def say_completions(publisher: Publisher, topic: str, tenants: Sequence[str], *, rate: int, seconds: int) -> int:
    """Say events at a steady rate, in bursts of `TICK_SECONDS`, one tenant after the other; how many."""
    asked, said = rate * seconds, 0
    templates = {tenant: codec.encode(completion(tenant)) for tenant in tenants}
    started, pending = time(), set[asyncio.Task[None]]()
    while said < asked:
        due = min(asked, int((time() - started) * rate) + 1)
        for number in range(said, due):
            task = asyncio.create_task(_say(publisher, topic, templates[tenants[number % len(tenants)]]))
            pending.add(task)
            task.add_done_callback(pending.discard)
        said = due
        await asyncio.sleep(TICK_SECONDS)
    await asyncio.gather(*pending)
    return asked


async def _say(publisher: Publisher, topic: str, template: Message) -> None:
    """A copy of the event for a job of its own, now; cheap, for the processors are there for what is measured."""
    job, now = str(uuid4()).encode(), datetime.now(UTC).isoformat().encode()
    changed = {"ce_id": job, "ce_subject": job, "ce_partitionkey": job, "ce_time": now}
    headers = tuple((name, changed.get(name, value)) for name, value in template.headers)
    value = template.value.replace(template.key, job)
    await publisher.send(topic, key=job, value=value, headers=headers)


def completion(tenant: str) -> Event:
    """The end of some job."""
    job = str(uuid4())
    data = UpscaleCompleted(
        job_id=job,
        tenant=tenant,
        result=ResultObject(
            url=f"s3://upscale/results/{tenant}/{job}/0.png",
            sha256="0" * 64,
            size=5_000_000,
            format=OutputFormat.PNG,
            width=2000,
            height=2000,
        ),
        provenance=Provenance(model="bench", weights_sha256="0" * 64, precision="fp32", version="0"),
        source_width=500,
        source_height=500,
        processing_seconds=1.0,
    )
    return event_from(data, source="/bench", time=datetime.now(UTC))
