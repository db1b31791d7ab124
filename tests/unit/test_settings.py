"""Every setting is reachable, explained, and refused in words that say which variable to change."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from pipeline import settings
from pipeline.environment import load
from pipeline.settings import InvalidSettings, Settings
from pipeline.variables import environment, variable

SAMPLES: dict[str, str] = {
    "UPSCALE_KAFKA__SERVERS": "a:1,b:2",
    "UPSCALE_KAFKA__SECURITY_PROTOCOL": "SSL",
    "UPSCALE_KAFKA__SASL_MECHANISM": "SCRAM-SHA-512",
    "UPSCALE_KAFKA__SESSION_TIMEOUT_MS": "45000",
    "UPSCALE_INTAKE__LEASE_SECONDS": "7.5",
    "UPSCALE_KAFKA__REBALANCE_TIMEOUT_MS": "21000",
    "UPSCALE_KAFKA__REQUEST_TIMEOUT_MS": "31000",
    "UPSCALE_STORE__ENDPOINT": "http://127.0.0.1:8333",
    "UPSCALE_STORE__ACCESS_KEY": "key",
    "UPSCALE_STORE__SECRET_KEY": "hunter2",
    "UPSCALE_DEVICE__DEVICE": "cuda",
    "UPSCALE_DEVICE__PRECISION": "bf16",
    "UPSCALE_WEBHOOK__RESULT_URL_SECONDS": "259200",
    "UPSCALE_TELEMETRY__LOG_LEVEL": "debug",
    "UPSCALE_TELEMETRY__LOG_FORMAT": "console",
}
"""Values where adding one to the default would not do."""


def _all_fields() -> Iterator[tuple[str, str, Any]]:
    for room, declared in Settings.model_fields.items():
        for field in type(declared.default).model_fields:
            yield room, field, getattr(declared.default, field)


def _sample(name: str, default: object) -> str:
    if name in SAMPLES:
        return SAMPLES[name]
    match default:
        case bool():
            return str(not default).lower()
        case int():
            return str(default + 1)
        case float():
            return str(default + 0.5)
        case tuple():
            return "9001,9002"
        case _:
            return "other"


FIELDS = list(_all_fields())
NAMES = [variable(room, field) for room, field, _ in FIELDS]
COMPLETE = {variable(room, field): _sample(variable(room, field), default) for room, field, default in FIELDS}


def _refusal(**variables: str) -> str:
    with pytest.raises(InvalidSettings) as refusal:
        load(variables)
    return str(refusal.value)


@pytest.mark.parametrize(("room", "field", "default"), FIELDS, ids=NAMES)
def test_field_is_reachable_by_its_variable(room: str, field: str, default: object) -> None:
    """A field that no variable reaches is not a setting."""
    assert getattr(getattr(load(COMPLETE), room), field) != default


@pytest.mark.parametrize(("room", "field", "default"), FIELDS, ids=NAMES)
def test_field_is_reachable_from_a_file(room: str, field: str, default: object, tmp_path: Path) -> None:
    """Any of them may be mounted; the newline that editors add is no part of the value."""
    name = variable(room, field)
    path = tmp_path / "value"
    path.write_text(f"{COMPLETE[name]}\n")
    others = {other: text for other, text in COMPLETE.items() if other != name}
    assert load({**others, f"{name}_FILE": str(path)}) == load(COMPLETE)


@pytest.mark.parametrize("room", Settings.model_fields)
def test_every_field_is_described(room: str) -> None:
    """The reference is made of the descriptions."""
    model = type(Settings.model_fields[room].default)
    assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_nothing_set_means_the_defaults() -> None:
    """An empty environment is a valid one."""
    assert load({}) == Settings()


def test_load_reads_the_environment_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the operator exports is what counts."""
    monkeypatch.setenv("UPSCALE_KAFKA__GROUP", "other")
    assert load().kafka.group == "other"


def test_environment_hands_the_same_settings_to_a_child() -> None:
    """Written out and read again they are equal, secrets and lists included."""
    assert load(environment(load(COMPLETE))) == load(COMPLETE)
    assert load(environment(Settings())) == Settings()


@pytest.mark.parametrize(
    ("variables", "lines"),
    [
        ({"UPSCALE_KAFKA__PARTITIONS": "0"}, ["UPSCALE_KAFKA__PARTITIONS: must be greater than 0, got '0'"]),
        (
            {"UPSCALE_TELEMETRY__PORT": "70000"},
            ["UPSCALE_TELEMETRY__PORT: must be less than or equal to 65535, got '70000'"],
        ),
        (
            {"UPSCALE_DEVICE__DEVICE": "gpu"},
            ["UPSCALE_DEVICE__DEVICE: must be 'auto', 'cpu', 'cuda' or 'mps', got 'gpu'"],
        ),
        (
            {"UPSCALE_FETCH__TOTAL_TIMEOUT_SECONDS": "inf"},
            ["UPSCALE_FETCH__TOTAL_TIMEOUT_SECONDS: must be a finite number, got 'inf'"],
        ),
        (
            {"UPSCALE_KAFKA__REBALANCE_TIMEOUT_MS": "30000"},
            [
                "UPSCALE_KAFKA__*: must nest: revoke_budget_seconds < rebalance_timeout_ms < request_timeout_ms, "
                "got 5000 ms, 30000 ms, 30000 ms"
            ],
        ),
        (
            {"UPSCALE_KAFKA__HEARTBEAT_INTERVAL_MS": "10001"},
            [
                "UPSCALE_KAFKA__*: session_timeout_ms: must be at least 3 heartbeats, got "
                "30000 ms with heartbeat_interval_ms 10001"
            ],
        ),
        (
            {"UPSCALE_INTAKE__LEASE_SECONDS": "6", "UPSCALE_KAFKA__SESSION_TIMEOUT_MS": "6000"}
            | {"UPSCALE_KAFKA__HEARTBEAT_INTERVAL_MS": "2000"},
            [
                "UPSCALE_INTAKE__LEASE_SECONDS: must be shorter than the session of "
                "UPSCALE_KAFKA__SESSION_TIMEOUT_MS, got 6 s and 6000 ms"
            ],
        ),
        (
            {"UPSCALE_STORE__SECRET_KEY": "hunter2"},
            ["UPSCALE_STORE__*: access_key and secret_key must be set together or not at all"],
        ),
        (
            {"UPSCALE_STORE__SOURCE_BUCKETS": '["a"'},
            ["UPSCALE_STORE__SOURCE_BUCKETS: must be `a,b` or a JSON array, got '[\"a\"'"],
        ),
        (
            {"UPSCALE_STORE__SOURCE_BUCKETS": "[1]"},
            ["UPSCALE_STORE__SOURCE_BUCKETS: must be text, got 1"],
        ),
        (
            {"UPSCALE_KAKFA__SERVERS": "a:1", "UPSCALE_IMAGE__MIN_SIDE": "none"},
            [
                "UPSCALE_KAKFA__SERVERS: is not a setting; did you mean UPSCALE_KAFKA__SERVERS?",
                "UPSCALE_IMAGE__MIN_SIDE: must be a valid integer, unable to parse string as an integer, got 'none'",
            ],
        ),
    ],
)
def test_refusal_names_variable_limit_and_value(variables: dict[str, str], lines: list[str]) -> None:
    """All mistakes at once, a line each: a start that fails five times for five typos is five restarts."""
    assert _refusal(**variables).splitlines() == lines


def test_refusal_never_shows_a_secret() -> None:
    """Neither its own nor that of a neighbour in a room whose rule is broken."""
    told = _refusal(
        **COMPLETE | {"UPSCALE_KAFKA__SASL_PASSWORD": "swordfish", "UPSCALE_KAFKA__REQUEST_TIMEOUT_MS": "1"}
    )
    assert "UPSCALE_KAFKA__*" in told
    assert "swordfish" not in told
    assert "hunter2" not in told


def test_unreadable_file_is_refused_by_variable_and_path(tmp_path: Path) -> None:
    """A secret that was not mounted is found at the start, not at the first use."""
    told = _refusal(UPSCALE_STORE__ACCESS_KEY="a", UPSCALE_STORE__SECRET_KEY_FILE=str(tmp_path / "absent"))
    assert told.splitlines()[0].startswith(f"UPSCALE_STORE__SECRET_KEY_FILE: cannot read {tmp_path / 'absent'}: ")


def test_binary_file_is_refused_by_variable(tmp_path: Path) -> None:
    """The wrong file was mounted."""
    (tmp_path / "value").write_bytes(b"\xff\xfe")
    told = _refusal(UPSCALE_KAFKA__GROUP_FILE=str(tmp_path / "value"))
    assert told.startswith("UPSCALE_KAFKA__GROUP_FILE: cannot read ")


def test_refusal_in_code_shows_no_input_either() -> None:
    """An exception that nobody translated may still end up in a log."""
    with pytest.raises(ValidationError) as refusal:
        settings.StoreSettings.model_validate({"secret_key": "hunter2"})
    assert "hunter2" not in str(refusal.value)


def test_secrets_are_not_in_the_representation() -> None:
    """A settings object may end up in a log line."""
    loaded = load({**COMPLETE, "UPSCALE_KAFKA__SASL_PASSWORD": "swordfish"})
    assert isinstance(loaded.store.secret_key, SecretStr)
    assert "hunter2" not in repr(loaded)
    assert "swordfish" not in repr(loaded)


@pytest.mark.parametrize("text", ["a,b", " a , b ,", '["a","b"]', '["a", "b"]'])
def test_lists_are_written_with_commas_or_as_json(text: str) -> None:
    """People write commas, programs write JSON."""
    assert load({"UPSCALE_STORE__SOURCE_BUCKETS": text}).store.source_buckets == ("a", "b")


def test_worker_without_a_lease_may_have_any_session() -> None:
    """A single worker takes jobs over at once."""
    assert load({"UPSCALE_INTAKE__LEASE_SECONDS": "0"}).intake.lease_seconds == 0


def test_settings_are_frozen_and_know_their_names() -> None:
    """In code as in the environment, a misspelt field is refused."""
    with pytest.raises(ValidationError, match="frozen"):
        Settings().kafka.group = "other"
    with pytest.raises(ValidationError, match="grup"):
        settings.KafkaSettings.model_validate({"grup": "other"})


def test_rooms_are_settings_classes_of_their_own() -> None:
    """Each room takes its own part and cannot see the others'."""
    assert all(isinstance(field.default, BaseModel) for field in Settings.model_fields.values())


def test_lease_is_half_of_the_session_unless_said_otherwise() -> None:
    """A dead worker's jobs are free when its records come to another."""
    assert load({}).lease_seconds == 15.0
    assert load({"UPSCALE_KAFKA__SESSION_TIMEOUT_MS": "9000"}).lease_seconds == 4.5
    with pytest.raises(InvalidSettings, match=r"^UPSCALE_INTAKE__LEASE_SECONDS: .* got 30 s and 30000 ms$"):
        load({"UPSCALE_INTAKE__LEASE_SECONDS": "30"})
