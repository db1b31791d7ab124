"""The AsyncAPI document hangs together: every reference leads somewhere and every example fits its message.

The official schema is not committed; these checks cover what it asks of the parts we use, and what it cannot ask.
"""

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

from schemas import topics
from schemas.asyncapi_messages import ASKED
from schemas.codec import CONTENT_TYPE, encode
from schemas.events import ALL_EVENTS, EventData, JobData
from schemas.examples import EXAMPLES, record, records, short_name
from schemas.generate import FOLDER
from schemas.topics import declare

DOCUMENT: dict[str, Any] = yaml.safe_load((FOLDER / "asyncapi.yaml").read_text(encoding="utf-8"))
MESSAGES: dict[str, Any] = DOCUMENT["components"]["messages"]


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _at(reference: str) -> Any:
    found: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


@pytest.mark.parametrize("reference", sorted(set(_references(DOCUMENT))))
def test_reference_leads_somewhere(reference: str) -> None:
    """Within the document, so that one file is enough."""
    assert reference.startswith("#/")
    assert isinstance(_at(reference), dict)


def test_document_says_what_3_0_0_requires() -> None:
    """Version and info; nothing at the top that the version does not know."""
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= DOCUMENT["info"].keys()
    assert DOCUMENT.keys() <= {
        "asyncapi", "id", "info", "servers", "defaultContentType", "channels", "operations", "components",
    }  # fmt: skip


def test_channels_are_the_declared_topics() -> None:
    """Address, partitions and configuration come from the one declaration. Where jobs wait concerns us alone."""
    topics = declare()
    declared = {topic.name: topic for topic in topics.all() if topic.name not in topics.retry_lanes}
    assert {channel["address"] for channel in DOCUMENT["channels"].values()} == set(declared)
    for channel in DOCUMENT["channels"].values():
        topic = declared[channel["address"]]
        binding = channel["bindings"]["kafka"]
        assert (binding["topic"], binding["partitions"]) == (topic.name, topic.partitions)
        assert binding["topicConfiguration"] == {"cleanup.policy": ["delete"]} | topic.configuration


def test_operations_read_requests_and_write_the_rest() -> None:
    """Seen from the service: what it receives and what it sends; every channel has exactly one."""
    seen = [(each["action"], each["channel"]["$ref"].rpartition("/")[2]) for each in DOCUMENT["operations"].values()]
    assert sorted(seen) == [
        ("receive", "control"),
        ("receive", "requests-bulk"),
        ("receive", "requests-interactive"),
        ("send", "dead-letters"),
        ("send", "events"),
    ]


def test_event_channel_carries_what_the_service_says_and_no_request() -> None:
    """A consumer of the topic knows beforehand what it may meet."""
    carried = set(DOCUMENT["channels"]["events"]["messages"])
    assert {event.__name__ for event in ALL_EVENTS} - carried == {"UpscaleRequested", "CancelRequested"}


@pytest.mark.parametrize("event", ALL_EVENTS, ids=lambda event: event.__name__)
def test_message_describes_what_is_sent(event: type) -> None:
    """Headers and payload of a real record validate against the message, and so does the example it shows."""
    message = MESSAGES[event.__name__]
    sent = record(encode(EXAMPLES[message["name"]]))
    shown = message["examples"][0]
    for part, value in (("headers", sent["headers"]), ("headers", shown["headers"])):
        jsonschema.Draft202012Validator(message[part]).validate(value)
    payload = {**DOCUMENT, **_at(message["payload"]["$ref"])}
    for value in (sent["value"], shown["payload"]):
        jsonschema.Draft202012Validator(payload).validate(value)


@pytest.mark.parametrize("event", ASKED, ids=lambda event: event.__name__)
def test_what_is_asked_has_the_three_forms_that_are_read(event: type[EventData]) -> None:
    """A client made from the document may send each of them; only one of them needs headers."""
    forms = {event.__name__: "", f"{event.__name__}Structured": ".structured", f"{event.__name__}Bare": ".bare"}
    channels = [
        channel["messages"] for channel in DOCUMENT["channels"].values() if event.__name__ in channel["messages"]
    ]
    assert channels
    assert all(set(forms) == set(messages) for messages in channels)
    assert [name for name in forms if MESSAGES[name].get("headers", {}).get("required")] == [event.__name__]
    for name, form in forms.items():
        sent = records()[short_name(event.type) + form]
        payload = MESSAGES[name]["payload"]
        schema = {**DOCUMENT, **(_at(payload["$ref"]) if "$ref" in payload else payload)}
        jsonschema.Draft202012Validator(schema).validate(sent["value"])
        for headers in (
            sent["headers"],
            {each: text for each, text in sent["headers"].items() if each != CONTENT_TYPE},
        ):
            jsonschema.Draft202012Validator(MESSAGES[name].get("headers", {})).validate(headers)


@pytest.mark.parametrize("event", ALL_EVENTS, ids=lambda event: event.__name__)
def test_message_can_be_correlated_and_keyed(event: type) -> None:
    """The job id joins all messages of a job and is the record's key; what is about no job has an id of its own."""
    message = MESSAGES[event.__name__]
    name = "job_id" if issubclass(event, JobData) else "endpoint_id"
    assert message["correlationId"]["location"] == f"$message.payload#/{name}"
    assert name in _at(message["payload"]["$ref"])["properties"]
    assert message["bindings"]["kafka"]["key"]["type"] == "string"


def test_dead_letter_describes_every_header_that_is_set() -> None:
    """Whoever replays dead letters learns from here what they carry; one of them is there only at times."""
    headers = MESSAGES["DeadLetter"]["headers"]
    declared = {
        value for value in vars(topics).values() if isinstance(value, str) and value.startswith(("dlq-", "orig-"))
    }
    assert set(headers["properties"]) == declared
    assert declared - set(headers["required"]) == {topics.VALUE_OMITTED}


def test_mark_names_the_headers_by_which_it_is_told_from_a_letter() -> None:
    """Whoever reads the topic with a program of their own can pass marks over."""
    headers = MESSAGES["DeadLetterMark"]["headers"]
    assert set(headers["properties"]) == set(headers["required"]) == {topics.MARKED, topics.MARK_OUTCOME}
