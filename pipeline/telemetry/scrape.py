"""Reading the metrics of another process of this program."""

from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True)
class Sample:
    """One number of an exposition."""

    name: str
    labels: dict[str, str]
    value: float


async def scrape(url: str) -> tuple[Sample, ...]:
    """All samples at `url`. Raises `aiohttp.ClientError` when nobody answers there."""
    async with aiohttp.ClientSession(trust_env=False) as session, session.get(url) as answer:
        answer.raise_for_status()
        text = await answer.text()
    return tuple(
        Sample(sample.name, dict(sample.labels), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    )


def total(samples: Sequence[Sample], name: str) -> float:
    """The sum over all labels; 0 when there is no such sample."""
    return sum(sample.value for sample in samples if sample.name == name)


def quantile_bound(samples: Sequence[Sample], histogram: str, share: float) -> float:
    """The smallest bucket bound under which at least `share` of the observations lie; infinity when none is."""
    buckets = {float(each.labels["le"]): each.value for each in samples if each.name == f"{histogram}_bucket"}
    enough = share * max(buckets.values(), default=0.0)
    return min((bound for bound, count in buckets.items() if count >= enough), default=float("inf"))
