"""docs/webhooks.md tells receivers what the dispatcher does: its tables, numbers and examples are held to it."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.dispatcher.deliver import MAX_ANSWER_BYTES, MAX_URL_CHARS, outcome_of
from pipeline.dispatcher.schedule import DELAYS_SECONDS, JITTER, MAX_RETRY_AFTER_SECONDS, following
from pipeline.dispatcher.sign import shown, signature_headers
from pipeline.settings import WebhookSettings
from pipeline.state.records import Abandoned, Answer, Delivered, EndpointKind, Next, Outcome, RetryAt
from schemas.webhooks import WebhookBody
from tests.support.attempts import ED25519_KEY, HMAC_KEY, pending

PAGE = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text(encoding="utf-8")
NOW = 1_700_000_000.0
UNITS = {"s": 1, "min": 60, "h": 3600}
BODY = b'{"type":"upscale.completed","data":{"job_id":"1"}}'


def rows(mark: str) -> list[list[str]]:
    """The cells of the table between its marks, without its head."""
    found = re.search(rf"<!-- {mark} -->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    assert found
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1].splitlines()[2:]]


def statuses(cell: str) -> list[int]:
    """The statuses that a cell names, ranges and single ones."""
    return [
        status
        for first, last in re.findall(r"`(\d{3})`(?:–`(\d{3})`)?", cell)
        for status in range(int(first), int(last or first) + 1)
    ]


def cases() -> Iterator[tuple[Outcome, int | None, list[str]]]:
    """Outcome and status of every answer in the table, and what it says follows."""
    for answer, word, *told in rows("answers"):
        for status in statuses(answer) or [None]:
            yield Outcome(word.strip("`")), status, told


def next_of(outcome: Outcome, status: int | None, kind: EndpointKind, *, attempts: int = 0, once: bool = False) -> Next:
    answer = Answer(outcome, status, None, NOW, 1.0)
    return following(pending(kind=kind, attempts=attempts, once=once), answer, NOW, 0.0)


def in_words(outcome: Outcome, status: int | None, kind: EndpointKind, *, once: bool = False) -> str:
    """What `following` does, in the words of the table."""
    match next_of(outcome, status, kind, once=once):
        case Delivered():
            return "done"
        case Abandoned(reason):
            return f"given up: `{reason}`"
        case RetryAt(at):
            wait = "" if at - NOW < 60 else f", after {at - NOW:.0f} s or more"
    most = next(made for made in range(1, 20) if _over(next_of(outcome, status, kind, attempts=made - 1)))
    return f"again{wait}" + ("" if most == len(DELAYS_SECONDS) else f", {most} attempts in all")


def _over(found: Next) -> bool:
    return isinstance(found, Abandoned)


def test_table_says_what_follows_from_each_answer() -> None:
    for outcome, status, told in cases():
        done = [
            in_words(outcome, status, EndpointKind.REGISTERED),
            in_words(outcome, status, EndpointKind.REQUEST),
            in_words(outcome, status, EndpointKind.REQUEST, once=True),
        ]
        assert (outcome, status, told) == (outcome, status, done)


def test_table_has_the_word_of_each_status() -> None:
    """Every status once, and no other."""
    told = {status: outcome for outcome, status, _ in cases() if status is not None}
    assert told == {status: outcome_of(status) for status in range(200, 600)}
    assert sum(1 for _, status, _ in cases() if status is not None) == 400


def test_table_has_every_word() -> None:
    assert {outcome for outcome, _, _ in cases()} == set(Outcome)


def test_schedule_is_the_one_that_is_told() -> None:
    told = [after.split(" ") for _, after in rows("schedule")]
    assert tuple(float(number) * UNITS[unit] for number, unit in told) == DELAYS_SECONDS
    assert [int(attempt) for attempt, _ in rows("schedule")] == list(range(1, len(DELAYS_SECONDS) + 1))


@pytest.mark.parametrize(
    "told",
    [
        f"after {MAX_ANSWER_BYTES // 1024} KiB",
        f"at most {MAX_URL_CHARS:,} characters",
        f"whole attempt has {WebhookSettings().attempt_timeout_seconds:.0f} s",
        f"no connection within {WebhookSettings().connect_timeout_seconds:.0f} s",
        f"At most {WebhookSettings().endpoint_concurrency} attempts",
        f"{WebhookSettings().host_concurrency} at one host",
        f"for {WebhookSettings().rotation_seconds / 3600:.0f} hours",
        f"kept for {WebhookSettings().keep_seconds / 86_400:.0f} days",
        f"up to {MAX_RETRY_AFTER_SECONDS / 3600:.0f} h",
    ],
)
def test_number_is_the_one_that_is_told(told: str) -> None:
    assert told in PAGE.replace("\n", " ").replace("  ", " ")


def test_jitter_and_the_life_of_an_address_are_told_in_words() -> None:
    """A fifth, and a week."""
    assert JITTER == 1 / 5
    assert WebhookSettings().result_url_seconds == 7 * 86_400


def test_example_is_a_body() -> None:
    """None of its fields is one that we do not send."""
    [text] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    told = orjson.loads(text)
    body = WebhookBody.model_validate(told)
    assert body.model_dump(mode="json", exclude_unset=True) == told


def example(name: str) -> Any:
    """The function of that name from the page's code, with what it leaves to the reader filled in."""
    [code] = [code for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if f"def {name}(" in code]
    there: dict[str, Any] = {"seen_before": lambda _: False, "work_on_later": lambda *_: None}
    exec(code, there)
    return there[name]


@pytest.mark.parametrize(
    ("signature", "status"), [(None, 204), ("v1", 400), ("v1,abc", 400), ("v1,a,b", 400), ("v1,g0hM9SsE+A==", 400)]
)
def test_example_receives_what_is_ours_and_nothing_else(signature: str | None, status: int) -> None:
    headers = signature_headers("msg_1", int(time.time()), BODY, [ED25519_KEY, HMAC_KEY])
    if signature is not None:
        headers["webhook-signature"] = signature
    assert example("receive")(shown(HMAC_KEY), headers, BODY) == status


def test_example_verifies_what_is_signed_for_a_public_key() -> None:
    verified, public = example("verified"), shown(ED25519_KEY)
    headers = signature_headers("msg_1", int(time.time()), BODY, [HMAC_KEY, ED25519_KEY])
    old = signature_headers("msg_1", int(time.time()) - 301, BODY, [ED25519_KEY])
    assert verified(public, headers, BODY)
    assert not verified(public, headers, BODY + b" ")
    assert not verified(public, old, BODY)
