"""The page for operators says what the program does."""

from pathlib import Path

import orjson

from pipeline.settings import WebhookSettings
from pipeline.storage.jobs import JOBS
from pipeline.storage.keys import RESULTS, UPLOADS
from schemas.topics import DAY_MS, Lane, declare

PAGE = (Path(__file__).parents[3] / "docs/operations.md").read_text(encoding="utf-8")
TEXT = " ".join(PAGE.split())
TOPICS = declare("p")
KEPT = {topic.name: topic.retention_ms // DAY_MS for topic in TOPICS.all()}


def test_page_says_how_long_topics_and_rows_are_kept() -> None:
    week = {KEPT[name] for name in KEPT if "control" not in name and "dead" not in name}
    webhook = WebhookSettings()

    assert f"requests, retries and events {week.pop()} days, cancellations {KEPT['p.control']} day" in TEXT
    assert not week
    assert f"dead letters {KEPT['p.dead-letters']} days" in TEXT
    assert f"`UPSCALE_WEBHOOK__KEEP_SECONDS` ({webhook.keep_seconds / 86_400:.0f} days)" in TEXT
    assert f"`UPSCALE_WEBHOOK__KEEP_JOBS_SECONDS` ({webhook.keep_jobs_seconds / 86_400:.0f} days)" in TEXT


def test_rules_for_the_bucket_name_all_that_lies_in_it() -> None:
    """A request that is repeated, or replayed from the dead letters, finds what it needs until it is gone itself."""
    rules = orjson.loads(PAGE.split("```json\n")[1].split("```")[0])["Rules"]
    days = {rule["Filter"]["Prefix"]: rule["Expiration"]["Days"] for rule in rules if "Expiration" in rule}

    assert days.keys() == {f"{RESULTS}/", f"{UPLOADS}/", f"{JOBS}/"}
    assert min(days.values()) >= max(
        KEPT[TOPICS.dead_letters.name], *(KEPT[TOPICS.requests[lane].name] for lane in Lane)
    )
    assert any("AbortIncompleteMultipartUpload" in rule for rule in rules)


def test_jobs_are_remembered_for_longer_than_their_ends_can_be_read() -> None:
    """By default twice as long, for what Kafka keeps beyond the retention; never for less."""
    retention = TOPICS.events.retention_ms / 1000
    [least] = [rule.ge for rule in WebhookSettings.model_fields["keep_jobs_seconds"].metadata]

    assert WebhookSettings().keep_jobs_seconds == 2 * retention
    assert least == retention
