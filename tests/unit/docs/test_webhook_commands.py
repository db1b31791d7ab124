"""docs/webhooks.md tells operators what the commands are and print: it is held to them."""

import argparse
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from pipeline.state.delivery_log import LoggedAttempt, LoggedDelivery
from pipeline.state.records import DeliveryState, Endpoint, EndpointKind, Health, KeyKind, Outcome, SigningKey
from pipeline.tools import webhook_lines, webhooks
from schemas.callbacks import WebhookEvent

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "webhooks.md").read_text(encoding="utf-8")
COMMAND = re.compile(r"upscale webhooks ([^`\n]+)")


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


NOON = at("2026-01-31T12:00:00Z")
REGISTERED = Endpoint(
    id="ep_0b4f6c2e9d1a4738a6c5f1e2d3b4a596",
    tenant="photo-desk",
    kind=EndpointKind.REGISTERED,
    url="https://hooks.example.com/up",
    host="hooks.example.com",
    events=None,
    payload="upscale",
    created_at=NOON,
)
ORIGIN = replace(
    REGISTERED,
    id="or_6d0a7c55e1f75b0c9a3e4b8f2c1d7e60",
    kind=EndpointKind.REQUEST,
    url="https://shop.example.com",
    health=Health(1, NOON + 4),
)
DELIVERY = LoggedDelivery(
    id="6b1f9f7e-3a0c-5d0e-8f55-0c5a2b9d7e11",
    message_id="msg_5c1f0a9be27d5d0f8f550c5a2b9d7e11",
    endpoint_id=ORIGIN.id,
    tenant="photo-desk",
    job_id="0197a3c2",
    event=WebhookEvent.COMPLETED,
    url="https://shop.example.com/done",
    created_at=NOON + 3,
    state=DeliveryState.PENDING,
    reason=None,
    due_at=NOON + 310,
    attempts=(
        LoggedAttempt(1, NOON + 3, 0.12, Outcome.UNAVAILABLE, 503),
        LoggedAttempt(2, NOON + 8, 30.0, Outcome.TIMEOUT, None),
    ),
)
KEYS = (
    SigningKey(KeyKind.HMAC, bytes(range(32, 64)), NOON),
    SigningKey(KeyKind.HMAC, bytes(range(32)), at("2026-01-01T00:00:00Z"), NOON + 86_400),
)


def shown() -> dict[str, list[str]]:
    """What the page says each command prints."""
    [block] = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    parts = (part.splitlines() for part in block.split("$ ")[1:])
    return {lines[0]: lines[1:] for lines in parts}


def test_commands_print_what_is_shown() -> None:
    assert shown() == {
        "upscale webhooks list": webhook_lines.endpoint_listing([REGISTERED, ORIGIN], NOON + 60),
        "upscale webhooks log --tenant photo-desk": webhook_lines.delivery_lines(DELIVERY, ORIGIN, NOON + 60),
        "upscale webhooks secret --tenant photo-desk": webhook_lines.key_listing(KEYS),
    }


def test_table_has_every_command() -> None:
    [table] = re.findall(r"<!-- commands -->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    assert sorted(words.split()[0] for words in COMMAND.findall(table)) == sorted(webhooks.ACTIONS)


@pytest.mark.parametrize("page", ["webhooks.md", "operations.md"])
def test_commands_that_are_told_can_be_typed(page: str) -> None:
    parser = argparse.ArgumentParser()
    webhooks.add_arguments(parser)
    for words in COMMAND.findall((DOCS / page).read_text(encoding="utf-8")):
        assert parser.parse_args(words.split()).action in webhooks.ACTIONS
