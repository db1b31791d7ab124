"""What an operator of webhooks means."""

import argparse

import pytest

from pipeline.errors import PipelineError
from pipeline.state.endpoints import NewEndpoint
from pipeline.storage.urls import UrlPolicy
from pipeline.tools import webhook_choice, webhooks
from schemas.callbacks import WebhookEvent
from tests.support.deliveries import NOON

URL = "https://example.com/hook?token=secret"


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    webhooks.add_arguments(parser)
    return parser.parse_args(words)


def added(*words: str) -> NewEndpoint:
    return webhook_choice.new_endpoint(parsed("add", *words), UrlPolicy())


def test_endpoint_hears_of_every_end_unless_events_are_named() -> None:
    assert added(URL, "--tenant", "acme") == NewEndpoint("acme", URL, None, "upscale")
    some = added(URL, "--tenant", "acme", "--events", "upscale.failed, upscale.completed,upscale.failed")
    assert some.events == (WebhookEvent.COMPLETED, WebhookEvent.FAILED)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("http://example.com/a?token=secret",),
            "URL: the scheme must be https, got 'http'; got 'http://example.com/a'",
        ),
        (("https://10.0.0.1/",), "URL: its host does not lead to a public address; got 'https://10.0.0.1/'"),
        (
            ("https://me:secret@example.com/",),
            "URL: user names, passwords and escapes are not allowed before the path; "
            "got 'https://[redacted]@example.com/'",
        ),
        (
            (URL, "--events", "upscale.done"),
            "--events: must be upscale.completed or upscale.failed or upscale.canceled or upscale.expired, "
            "got 'upscale.done'",
        ),
        ((URL, "--events", ""), "got ''"),
        ((URL, "--events", "upscale.progress"), "got 'upscale.progress'"),
        ((URL, "--payload", "stripe"), "--payload: must be upscale, got 'stripe'"),
        ((URL, "--payload", ""), "--payload: must be upscale, got ''"),
        ((URL, "--tenant", "a b"), "--tenant: must be 1 to 64 of letters, digits"),
    ],
)
def test_endpoint_that_cannot_be_is_told_by_its_argument(words: tuple[str, ...], told: str) -> None:
    """What it must be and what it is, and no secret."""
    with pytest.raises(PipelineError) as refused:
        added("--tenant", "acme", *words)
    assert told in str(refused.value)
    assert "secret" not in str(refused.value)


def test_since_is_an_age_or_a_point_in_time() -> None:
    assert webhook_choice.since("2h", NOON) == NOON - 7200
    assert webhook_choice.since("2027-01-15T08:00:00Z", NOON) == NOON
    with pytest.raises(PipelineError, match=r"--since: must be an age .* got 'soon'"):
        webhook_choice.since("soon", NOON)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("send",),
        ("add", URL),
        ("add", "--tenant", "acme"),
        ("secret",),
        ("secret", "ep_1", "--tenant", "acme"),
        ("rotate", "--at-once"),
        ("log", "--endpoint", "ep_1", "--tenant", "acme"),
        ("recover", "ep_1"),
        ("resend",),
        ("test",),
        ("enable",),
        ("disable",),
    ],
)
def test_words_that_say_too_little_or_too_much_are_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as refused:
        parsed(*words)
    assert refused.value.code == 2
