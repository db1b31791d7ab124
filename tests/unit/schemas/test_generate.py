"""What is committed under schemas/generated is what the models say, and it is right by other people's validators."""

import runpy
import sys
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest

from schemas.codec import decode_only, to_document
from schemas.events import EVENT_TYPES, Event, UpscaleFailed
from schemas.examples import EXAMPLES, records
from schemas.generate import FOLDER, documents, drift, main

FORMATS = jsonschema.Draft202012Validator.FORMAT_CHECKER
SCHEMAS = {
    Path(name).stem: orjson.loads(content) for name, content in documents().items() if name.startswith("json-schema/")
}


def _validate(schema: str, value: object) -> None:
    jsonschema.Draft202012Validator(SCHEMAS[schema], format_checker=FORMATS).validate(value)


def test_generated_files_are_current() -> None:
    """Models and documents cannot drift apart unnoticed."""
    assert drift(documents(), FOLDER) == [], "run python -m schemas.generate"


def test_generation_is_deterministic() -> None:
    """The same models give the same bytes, so a difference in review is a difference in meaning."""
    assert documents() == documents()


def test_check_names_what_is_stale_and_writing_cures_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A gate that says what to do, and can fail."""
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
    (tmp_path / "asyncapi.yaml").write_text("edited by hand")
    (tmp_path / "examples" / "left-over.json").write_text("{}")
    assert main(["--check"], tmp_path) == 1
    told = capsys.readouterr().err
    assert "asyncapi.yaml: not current" in told
    assert "examples/left-over.json: not current" in told
    assert main([], tmp_path) == 0
    assert drift(documents(), tmp_path) == []


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_is_json_schema_2020_12(name: str) -> None:
    """By the metaschema."""
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])


def test_schema_exists_for_every_event() -> None:
    """And for the options and the envelope."""
    assert set(SCHEMAS) == {*EVENT_TYPES, "options", "envelope"}


@pytest.mark.parametrize("event", EXAMPLES.values(), ids=EXAMPLES)
def test_example_validates_alone_and_in_its_envelope(event: Event) -> None:
    """What documentation shows is what validators accept."""
    envelope = to_document(event)
    _validate(event.type, envelope["data"])
    _validate("envelope", envelope)


@pytest.mark.parametrize("event", EXAMPLES.values(), ids=EXAMPLES)
def test_envelope_refuses_a_payload_of_another_type(event: Event) -> None:
    """The type decides which payload belongs; one without any of its fields never does."""
    with pytest.raises(jsonschema.ValidationError):
        _validate("envelope", {**to_document(event), "data": {"tenant": "photo-desk"}})


@pytest.mark.parametrize(
    ("options", "accepted"),
    [({"scale": 2.5}, True), ({"scale": 0}, False), ({"sclae": 2}, False), ({"quality": 101}, False), ({}, True)],
)
def test_options_schema_agrees_with_the_model(options: dict[str, Any], accepted: bool) -> None:
    """A client that validates first is told the same as one that just sends."""
    assert jsonschema.Draft202012Validator(SCHEMAS["options"]).is_valid(options) is accepted


@pytest.mark.parametrize("name", records())
def test_committed_example_fits_its_schema_and_is_read(name: str) -> None:
    """Every record shown to readers is one that validators let pass and that we read, in each of the three modes."""
    record = orjson.loads((FOLDER / "examples" / f"{name}.json").read_bytes())
    short, _, form = name.partition(".")
    event_type = f"io.upscale.{short}.v1"
    _validate("envelope" if form == "structured" else event_type, record["value"])
    headers = [(header, value.encode()) for header, value in record["headers"].items()]
    payload = decode_only(EVENT_TYPES[event_type], orjson.dumps(record["value"]), headers, origin="topic/0/7")
    if form != "bare":
        assert payload == EXAMPLES[event_type].data


@pytest.mark.parametrize("field", ["code", "stage"])
def test_schema_of_a_failure_leaves_room_for_words_to_come(field: str) -> None:
    """A reader that validates must not break when we name one more way to fail; the words of today are named."""
    failed = orjson.loads((FOLDER / "examples" / "failed.json").read_bytes())["value"]
    known = SCHEMAS[UpscaleFailed.type]["$defs"]["Failure"]["properties"][field]
    assert failed["failure"][field] in (known | known.get("anyOf", [{}])[0])["examples"]
    failed["failure"][field] = "brand_new"
    _validate(UpscaleFailed.type, failed)


def test_check_is_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m schemas.generate --check` exits with the verdict."""
    monkeypatch.setattr(sys, "argv", ["generate", "--check"])
    monkeypatch.delitem(sys.modules, "schemas.generate")
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("schemas.generate", run_name="__main__")
    assert ended.value.code == 0
